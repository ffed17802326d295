import { CL_CID, CL_ERR, CL_OK, isSdkError, rcOf, rcText, SdkError } from '../../../idl/index.ts'
import type { ClRcT } from '../../../idl/index.ts'
import { type LibraryContext, pushTable, type ServiceLibrary } from '../service.ts'
import { DEBUG_LIMITS, DebugCommands } from './interface.ts'

/** A command that is still running so long before the caller's time-out is answered with TIMEOUT. */
const MARGIN_MS = 100

/** A command line that a component offers to its operators. */
export interface DebugCommand {
  /** 1 to 79 characters, no white space, unique in the component. */
  readonly name: string
  /** One or more lines; the first one stands in the list. */
  readonly help: string
  /**
   * Runs on the component's receive path: it must not block it.
   * @param args - what followed the name.
   * @param signal - aborts when the caller's time is over; what is returned then is dropped.
   * @returns what the operator sees; with `rc` other than 0 the command failed. An `SdkError` that is thrown is
   * answered with its return code and message, any other error with UNSPECIFIED and its message.
   */
  readonly run: (args: readonly string[], signal: AbortSignal) => DebugOutput | Promise<DebugOutput>
}

type DebugOutput = string | void | { readonly rc: ClRcT; readonly text: string }

/** Commands that were registered together. */
export interface DebugRegistration {
  /** Removes them. @throws SdkError INVALID_HANDLE the second time. */
  deregister(): void
}

/**
 * The debug service, `clDebug...` of the original. The flag `debug` of `clEoClientLibs` switches it on; `holdfast debug
 * COMPONENT` lists and runs the commands. `help` and `errno` are there from the start. SAFplus, section 19.
 */
export interface DebugClient {
  /**
   * Adds commands, all or none.
   * @param prompt - what the component calls itself in front of a command line; the last one given counts.
   * @throws SdkError ALREADY_EXIST for a name that is taken; INVALID_PARAMETER; NO_SPACE beyond 256 commands.
   */
  register(commands: readonly DebugCommand[], prompt?: string): DebugRegistration
}

/** The component's side of the debug service; it has no other. */
export function debugLibrary(context: LibraryContext): ServiceLibrary<DebugClient> {
  const table = new DebugTable(context)
  return {
    client: table,
    pushes: [],
    functions: [
      pushTable(DebugCommands, {
        list: () => table.list(),
        run: (request, call) =>
          table.run(request, Math.max(1, call.deadlineMs - performance.now() - MARGIN_MS)),
      }),
    ],
    close: () => table.close(),
  }
}

interface Answer {
  readonly rc: ClRcT
  readonly text: string
  readonly isCut: boolean
}

class DebugTable implements DebugClient {
  readonly #context: LibraryContext
  readonly #commands = new Map<string, DebugCommand>()
  readonly #running = new Set<AbortController>()
  #prompt: string

  constructor(context: LibraryContext) {
    this.#context = context
    this.#prompt = context.component
    for (const command of this.#ownCommands()) this.#commands.set(command.name, command)
  }

  register(commands: readonly DebugCommand[], prompt?: string): DebugRegistration {
    const names = commands.map((command) => checked(command).name)
    const taken = names.find(
      (name, index) => this.#commands.has(name) || names.indexOf(name) !== index,
    )
    if (taken !== undefined) {
      throw new SdkError('ALREADY_EXIST', `debug.register: there is a command ${taken} already`)
    }
    if (this.#commands.size + names.length > DEBUG_LIMITS.commandCount) {
      const message = `debug.register: ${DEBUG_LIMITS.commandCount} commands are the most`
      throw new SdkError('NO_SPACE', message)
    }
    if (prompt !== undefined) this.#prompt = prompt
    for (const command of commands) this.#commands.set(command.name, command)
    let isRegistered = true
    return {
      deregister: () => {
        if (!isRegistered) throw new SdkError('INVALID_HANDLE', 'deregistered already')
        isRegistered = false
        for (const name of names) this.#commands.delete(name)
      },
    }
  }

  list() {
    const commands = [...this.#commands.values()]
      .map(({ name, help }) => ({ name, help }))
      .sort((a, b) => (a.name < b.name ? -1 : 1))
    return { component: this.#context.component, prompt: this.#prompt, commands }
  }

  async run(
    request: { readonly command: string; readonly arguments: readonly string[] },
    timeoutMs: number,
  ): Promise<Answer> {
    const command = this.#find(request.command)
    if (this.#running.size >= DEBUG_LIMITS.runningCount) {
      throw new SdkError('TRY_AGAIN', `${this.#running.size} debug commands are running`)
    }
    const limit = new AbortController()
    this.#running.add(limit)
    const timer = setTimeout(() => {
      limit.abort(rcOf(CL_CID.DEBUG, CL_ERR.TIMEOUT))
    }, timeoutMs)
    try {
      return answerOf(
        await Promise.race([
          run(command, request.arguments, limit.signal),
          aborted(limit.signal, command.name),
        ]),
      )
    } finally {
      clearTimeout(timer)
      this.#running.delete(limit)
    }
  }

  close(): Promise<void> {
    for (const one of this.#running) one.abort(rcOf(CL_CID.DEBUG, CL_ERR.INVALID_STATE))
    return Promise.resolve()
  }

  #find(name: string): DebugCommand {
    const command = this.#commands.get(name)
    if (command !== undefined) return command
    const known = [...this.#commands.keys()].sort().join(', ')
    const message = `${this.#context.component} has no debug command ${name}; it has: ${known}`
    throw new SdkError('NOT_EXIST', message)
  }

  #ownCommands(): readonly DebugCommand[] {
    return [
      {
        name: 'help',
        help: 'help [COMMAND]: what commands there are; the whole help of one',
        run: ([name]) => {
          if (name !== undefined) return this.#find(name).help
          const { commands } = this.list()
          const width = Math.max(...commands.map((one) => one.name.length))
          return commands
            .map((one) => `${one.name.padEnd(width)}  ${one.help.split('\n')[0] ?? ''}`)
            .join('\n')
        },
      },
      {
        name: 'errno',
        help: 'errno RC: a return code in words',
        run: ([text = '']) => {
          const rc = Number(text)
          if (/^(0x)?[0-9a-f]+$/i.test(text) && rc <= 0xffff_ffff) return rcText(rc)
          throw new SdkError('INVALID_PARAMETER', `errno: "${text}" is no return code`)
        },
      },
    ]
  }
}

function checked(command: DebugCommand): DebugCommand {
  const { nameLength, helpLength } = DEBUG_LIMITS
  const wrong =
    typeof command.name !== 'string' || !/^\S+$/.test(command.name)
      ? 'a name is needed, without white space'
      : command.name.length > nameLength
        ? `the name has more than ${nameLength} characters`
        : typeof command.help !== 'string' || command.help.length > helpLength
          ? `help is a text of at most ${helpLength} characters`
          : typeof command.run !== 'function'
            ? 'run is a function'
            : null
  if (wrong === null) return command
  throw new SdkError('INVALID_PARAMETER', `debug.register: ${String(command.name)}: ${wrong}`)
}

async function run(
  command: DebugCommand,
  args: readonly string[],
  signal: AbortSignal,
): Promise<Exclude<DebugOutput, void>> {
  try {
    return (await command.run(args, signal)) ?? ''
  } catch (error) {
    if (isSdkError(error)) return { rc: error.rc, text: error.message }
    const text = error instanceof Error ? error.message : String(error)
    return { rc: rcOf(CL_CID.DEBUG, CL_ERR.UNSPECIFIED), text }
  }
}

function aborted(signal: AbortSignal, name: string): Promise<Exclude<DebugOutput, void>> {
  return new Promise((resolve) => {
    signal.addEventListener('abort', () => {
      resolve({
        rc: signal.reason as ClRcT,
        text: `${name} was given up: it did not return in time`,
      })
    })
  })
}

function answerOf(output: Exclude<DebugOutput, void>): Answer {
  const { rc, text } = typeof output === 'string' ? { rc: CL_OK, text: output } : output
  const isCut = text.length > DEBUG_LIMITS.outputLength
  return { rc, text: isCut ? text.slice(0, DEBUG_LIMITS.outputLength) : text, isCut }
}
