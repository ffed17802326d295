import { Command, CommanderError } from 'commander'
import { parseSeconds, type CliIo } from './context.ts'
import { codeOf, EXIT, exitCodeOf, PrintedFailure, type ExitCode } from './exit-code.ts'

const OVERVIEW = `
A cluster is known on its machine by its run directory: --run-dir DIR, else HOLDFAST_RUN_DIR,
else ~/.local/state/holdfast/CLUSTER. When only one cluster is there, it need not be named.

Something is wrong?   holdfast status              what is up, what is not, whom it waits for
                      holdfast why sequenceSI      the chain of causes of the last role change
                      holdfast events --follow     what happens from now on
                      holdfast repair sequenceSU1  try again what was given up

Exit codes: 0 done, 1 failed, 2 usage, 3 not found, 4 refused (with the reason), 5 timed out.
With --json: one JSON document on standard output; errors as {"error":{"code","message"}}.`

type AddCommands = (program: Command, io: CliIo) => void

/** Commands that are loaded together. In the order of the help. */
interface CommandPart {
  readonly names: readonly string[]
  readonly load: () => Promise<AddCommands>
}

const PARTS: readonly CommandPart[] = [
  {
    names: ['up', 'down'],
    load: async () => (await import('./commands/up.ts')).addUpCommands,
  },
  {
    names: ['status', 'state', 'why'],
    load: async () => (await import('./commands/query.ts')).addQueryCommands,
  },
  {
    names: ['wait'],
    load: async () => (await import('./commands/wait.ts')).addWaitCommand,
  },
  {
    names: [
      'lock',
      'unlock',
      'shutdown',
      'restart',
      'swap',
      'adjust',
      'repair',
      'lock-instantiation',
      'unlock-instantiation',
      'eam-start',
      'eam-stop',
    ],
    load: async () => (await import('./commands/admin.ts')).addAdminCommands,
  },
  {
    names: ['apply'],
    load: async () => (await import('./commands/apply.ts')).addApplyCommand,
  },
  {
    names: ['call'],
    load: async () => (await import('./commands/call.ts')).addCallCommand,
  },
  {
    names: ['events'],
    load: async () => (await import('./commands/events.ts')).addEventsCommand,
  },
  {
    names: ['debug'],
    load: async () => (await import('./commands/debug.ts')).addDebugCommand,
  },
  {
    names: ['log'],
    load: async () => (await import('./commands/log.ts')).addLogCommand,
  },
  {
    names: ['check'],
    load: async () => (await import('./commands/check.ts')).addCheckCommand,
  },
  {
    names: ['import'],
    load: async () => (await import('./commands/import.ts')).addImportCommand,
  },
  {
    names: ['simulate'],
    load: async () => (await import('./commands/simulate.ts')).addSimulateCommand,
  },
  {
    names: ['idl'],
    load: async () => (await import('./commands/idl.ts')).addIdlCommand,
  },
  {
    names: ['node', 'component'],
    load: async () => (await import('./commands/launch.ts')).addLaunchCommands,
  },
]

/** The parts that have a command of this name among the words of a command line; null: it takes all of them. */
function partsFor(words: readonly string[]): readonly CommandPart[] | null {
  if (words.includes('help')) return null
  const parts = PARTS.filter(({ names }) => names.some((name) => words.includes(name)))
  return parts.length === 0 ? null : parts
}

/**
 * Builds the command line: with `words` only the commands that they may mean, since loading all takes longer than most
 * of them run; without, the whole.
 */
export async function buildProgram(io: CliIo, words: readonly string[] = []): Promise<Command> {
  const program = new Command('holdfast')
  program
    .description('High availability for Node.js: runs, watches and moves components.')
    .version(VERSION, '-V, --version')
    .option('--run-dir <dir>', 'directory of the cluster (or HOLDFAST_RUN_DIR)')
    .option('--json', 'print one JSON document on standard output and nothing else')
    .option('--timeout <seconds>', 'give up after this time, up to 600', parseSeconds)
    .option('--debug', 'print stack traces')
    .addHelpText('after', OVERVIEW)
  const adds = await Promise.all((partsFor(words) ?? PARTS).map(({ load }) => load()))
  for (const add of adds) add(program, io)
  const nested = program.commands.flatMap(({ commands }) => commands)
  for (const command of [program, ...program.commands, ...nested]) {
    command.exitOverride().showSuggestionAfterError(true).configureHelp({ showGlobalOptions: true })
    command.configureOutput({ writeOut: io.stdout, writeErr: () => undefined })
  }
  return program
}

const VERSION = '0.1.0'

/**
 * Runs one command line and returns the exit code. Never throws and never ends the process.
 *
 * @param argv - without the program and the script.
 */
export async function runCommandLine(argv: readonly string[], io: CliIo): Promise<ExitCode> {
  const flags = argv.includes('--') ? argv.slice(0, argv.indexOf('--')) : argv
  const report = { json: flags.includes('--json'), debug: flags.includes('--debug') }
  try {
    if (argv.length === 0) throw new CommanderError(EXIT.usage, 'holdfast.empty', NO_COMMAND)
    await parse(argv, io, flags)
    return EXIT.done
  } catch (error) {
    if (error instanceof CommanderError) {
      if (error.exitCode === 0) return EXIT.done
      const message = error.message.replace(/^error: /, '').replace(/^\(outputHelp\)$/, NO_COMMAND)
      reportError(io, report, 'USAGE', `${message}\nSee "holdfast help".`)
      return EXIT.usage
    }
    const message = error instanceof Error ? error.message : String(error)
    if (error instanceof PrintedFailure) report.json = false
    reportError(io, report, codeOf(error), message)
    if (report.debug && error instanceof Error) io.stderr(`${stackOf(error)}\n`)
    return exitCodeOf(error)
  }
}

/** A word that is no command, beside one that is: what was meant may be any of them. */
async function parse(argv: readonly string[], io: CliIo, words: readonly string[]): Promise<void> {
  try {
    await (await buildProgram(io, words)).parseAsync([...argv], { from: 'user' })
  } catch (error) {
    const isUnknown = error instanceof CommanderError && error.code === 'commander.unknownCommand'
    if (!isUnknown || partsFor(words) === null) throw error
    await (await buildProgram(io)).parseAsync([...argv], { from: 'user' })
  }
}

const NO_COMMAND = 'no command given'

function reportError(io: CliIo, report: { json: boolean }, code: string, message: string): void {
  if (report.json) io.stdout(`${JSON.stringify({ error: { code, message } })}\n`)
  io.stderr(`holdfast: ${code}: ${message}\n`)
}

function stackOf(error: Error): string {
  const cause = error.cause instanceof Error ? `\ncaused by ${stackOf(error.cause)}` : ''
  return `${error.stack ?? error.message}${cause}`
}
