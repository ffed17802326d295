import { Command, CommanderError } from 'commander'
import { addAdminCommands } from './commands/admin.ts'
import { addApplyCommand } from './commands/apply.ts'
import { addCallCommand } from './commands/call.ts'
import { addCheckCommand } from './commands/check.ts'
import { addDebugCommand } from './commands/debug.ts'
import { addEventsCommand } from './commands/events.ts'
import { addIdlCommand } from './commands/idl.ts'
import { addImportCommand } from './commands/import.ts'
import { addLaunchCommands } from './commands/launch.ts'
import { addLogCommand } from './commands/log.ts'
import { addQueryCommands } from './commands/query.ts'
import { addSimulateCommand } from './commands/simulate.ts'
import { addUpCommands } from './commands/up.ts'
import { addWaitCommand } from './commands/wait.ts'
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

/** Builds the whole command line. */
export function buildProgram(io: CliIo): Command {
  const program = new Command('holdfast')
  program
    .description('High availability for Node.js: runs, watches and moves components.')
    .version(VERSION, '-V, --version')
    .option('--run-dir <dir>', 'directory of the cluster (or HOLDFAST_RUN_DIR)')
    .option('--json', 'print one JSON document on standard output and nothing else')
    .option('--timeout <seconds>', 'give up after this time, up to 600', parseSeconds)
    .option('--debug', 'print stack traces')
    .addHelpText('after', OVERVIEW)
  addUpCommands(program, io)
  addQueryCommands(program, io)
  addWaitCommand(program, io)
  addAdminCommands(program, io)
  addApplyCommand(program, io)
  addCallCommand(program, io)
  addEventsCommand(program, io)
  addDebugCommand(program, io)
  addLogCommand(program, io)
  addCheckCommand(program, io)
  addImportCommand(program, io)
  addSimulateCommand(program, io)
  addIdlCommand(program, io)
  addLaunchCommands(program, io)
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
    await buildProgram(io).parseAsync([...argv], { from: 'user' })
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

const NO_COMMAND = 'no command given'

function reportError(io: CliIo, report: { json: boolean }, code: string, message: string): void {
  if (report.json) io.stdout(`${JSON.stringify({ error: { code, message } })}\n`)
  io.stderr(`holdfast: ${code}: ${message}\n`)
}

function stackOf(error: Error): string {
  const cause = error.cause instanceof Error ? `\ncaused by ${stackOf(error.cause)}` : ''
  return `${error.stack ?? error.message}${cause}`
}
