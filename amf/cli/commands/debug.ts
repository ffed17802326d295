import type { Command } from 'commander'
import { CL_ERR, CL_OK, isSdkError, rcError, rcText, SdkError } from '../../../idl/index.ts'
import { DebugCommands } from '../../../runtime/internal.ts'
import { componentsOf } from '../../operator/components.ts'
import type { Link } from '../../operator/link.ts'
import { untilDone } from '../../operator/retry.ts'
import {
  optionsOf,
  print,
  timeoutMsOf,
  withLink,
  type CliIo,
  type GlobalOptions,
} from '../context.ts'
import { EXIT, PrintedFailure } from '../exit-code.ts'

const DEFAULT_DEBUG_MS = 10_000

const HELP = `
Without a command: the commands that the component has registered. ENTITY is a component, or a service unit or
service instance with only one running component; @NAME and NODE:PORT work too. What begins with "-" follows "--".
The component must have switched the debug library on (clEoClientLibs = { debug: true }).
A command is sent once: when its component ends meanwhile, it may have run.
Exit codes: 1 the command failed (its return code is told), 3 no such entity or command, 5 timed out.

Examples:
  holdfast debug sequence1
  holdfast debug sequence1 show --timeout 2
  holdfast debug @sequence set -- -3`

/** `debug`: the commands that components offer to their operators. */
export function addDebugCommand(program: Command, io: CliIo): void {
  program
    .command('debug')
    .description("list or run a component's own debug commands")
    .argument('<entity>', 'component, or what has only one')
    .argument('[command]', 'one of its commands')
    .argument('[args...]', 'arguments of the command')
    .addHelpText('after', HELP)
    .action(
      (
        entity: string,
        name: string | undefined,
        args: readonly string[],
        _: unknown,
        command: Command,
      ) => {
        const options = optionsOf<GlobalOptions>(command)
        return name === undefined
          ? runList(io, options, entity)
          : runCommand(io, options, { entity, command: name, arguments: [...args] })
      },
    )
}

async function runList(io: CliIo, options: GlobalOptions, entity: string): Promise<void> {
  const list = await asking(io, options, entity, (debug, timeoutMs) =>
    debug.list({}, { timeoutMs }),
  )
  const width = Math.max(0, ...list.commands.map(({ name }) => name.length))
  const lines = list.commands.map(
    ({ name, help }) => `  ${name.padEnd(width)}  ${help.split('\n')[0] ?? ''}`,
  )
  print(io, options, { document: list, text: [`${list.prompt}:`, ...lines].join('\n') })
}

async function runCommand(
  io: CliIo,
  options: GlobalOptions,
  request: { readonly entity: string; readonly command: string; readonly arguments: string[] },
): Promise<void> {
  const { entity, command, arguments: args } = request
  const answer = await asking(io, options, entity, (debug, timeoutMs) =>
    debug
      .run({ command, arguments: args }, { timeoutMs, atMostOnce: true })
      .catch((error: unknown) => {
        if (!isSdkError(error) || !error.mayHaveRun || error.code === 'TIMEOUT') throw error
        const message = `${command} of ${entity}: ${error.message}; it may have run`
        throw new SdkError('FAILED_OPERATION', message, { cause: error })
      }),
  )
  const { rc, text, isCut } = answer
  print(io, options, { document: { entity, command, ...answer, rcText: rcText(rc) }, text })
  if (isCut) io.stderr(`the output is cut after ${text.length} characters\n`)
  if (rc === CL_OK) return
  throw new PrintedFailure(
    'FAILED_OPERATION',
    `${command} of ${entity}: ${rcText(rc)}`,
    rcError(rc) === CL_ERR.TIMEOUT ? EXIT.timedOut : EXIT.failed,
  )
}

type DebugLink = ReturnType<typeof debugOf>

const debugOf = ({ connection }: Link, to: string) => connection.rmd.client(DebugCommands, { to })

async function asking<T>(
  io: CliIo,
  options: GlobalOptions,
  entity: string,
  ask: (debug: DebugLink, timeoutMs: number) => Promise<T>,
): Promise<T> {
  return withLink(io, options, (link) =>
    untilDone(
      async (timeoutMs) => {
        const to = await addressOf(link, entity, timeoutMs)
        try {
          return await ask(debugOf(link, to), timeoutMs)
        } catch (error) {
          if (isSdkError(error) && NO_TABLE.has(error.code)) throw noDebug(entity, error)
          throw error
        }
      },
      {
        timeoutMs: timeoutMsOf(options, DEFAULT_DEBUG_MS),
        what: `debug of ${entity}`,
        signal: io.signal,
        final: ['NAME_NOT_FOUND'],
      },
    ),
  )
}

const NO_TABLE: ReadonlySet<string> = new Set(['FUNC_NOT_REGISTERED', 'INVALID_CLIENTID'])

function noDebug(entity: string, cause: SdkError): SdkError {
  const remedy = 'its module must export clEoClientLibs = { debug: true }'
  return new SdkError('FUNC_NOT_REGISTERED', `${entity} offers no debug commands: ${remedy}`, {
    cause,
  })
}

async function addressOf(link: Link, entity: string, timeoutMs: number): Promise<string> {
  if (/^(?:@.+|\d+:\d+)$/.test(entity)) return entity
  const found = componentsOf(await link.management.status({}, { timeoutMs }), entity)
  const [first] = found
  if (first !== undefined && found.length === 1) return first.address
  const names = found.map(({ name }) => name).join(', ')
  throw new SdkError('INVALID_STATE', `${entity} has several components: choose one of ${names}`)
}
