import { spawn, type ChildProcess, type SpawnOptions } from 'node:child_process'
import { isMainThread } from 'node:worker_threads'
import { SdkError } from '../../idl/index.ts'

export interface ProcessOptions {
  readonly command: string
  readonly args?: readonly string[]
  /** @defaultValue that of this process */
  readonly env?: Readonly<Record<string, string>>
  /** In a session and process group of its own: it outlives this process, and signals may go to the group. */
  readonly ownGroup?: boolean
  /** @defaultValue 'inherit' */
  readonly output?: 'inherit' | 'ignore'
}

/** How a process ended: by its own exit code, or by a signal. */
export interface ProcessEnd {
  readonly code: number | null
  readonly signal: NodeJS.Signals | null
}

/** A process started by this one. */
export class OsProcess {
  readonly pid: number
  readonly #child: ChildProcess
  readonly #ownGroup: boolean
  readonly #ended: Promise<ProcessEnd>

  private constructor(child: ChildProcess, pid: number, ownGroup: boolean) {
    this.#child = child
    this.pid = pid
    this.#ownGroup = ownGroup
    this.#ended = new Promise((resolve) => {
      child.once('exit', (code, signal) => resolve({ code, signal }))
    })
  }

  /**
   * Starts it.
   * @throws SdkError OS_ERROR with the cause when it cannot be started; INVALID_PARAMETER for what is no command.
   */
  static async start(options: ProcessOptions): Promise<OsProcess> {
    const { command, args = [], env, ownGroup = false, output = 'inherit' } = options
    const child = spawned(command, args, {
      stdio: ['ignore', output, output],
      detached: ownGroup,
      ...(env === undefined ? {} : { env }),
    })
    return await new Promise((resolve, reject) => {
      // Told again when a signal cannot be sent: that is no reason to end this process.
      child.on('error', (cause) => {
        reject(new SdkError('OS_ERROR', `${command} cannot be started`, { cause }))
      })
      child.once('spawn', () => resolve(new OsProcess(child, child.pid!, ownGroup)))
    })
  }

  /** Resolves when it has ended, also afterwards. */
  wait(): Promise<ProcessEnd> {
    return this.#ended
  }

  /** Signals it, or its whole group where it has one of its own. False when it has ended. */
  signal(signal: NodeJS.Signals): boolean {
    if (!this.#ownGroup) return this.#child.kill(signal)
    if (this.#child.exitCode !== null || this.#child.signalCode !== null) return false
    try {
      return process.kill(-this.pid, signal)
    } catch (error) {
      // It ended, and Node.js has not told so yet.
      if ((error as NodeJS.ErrnoException).code === 'ESRCH') return false
      throw error
    }
  }
}

function spawned(command: string, args: readonly string[], options: SpawnOptions): ChildProcess {
  try {
    return spawn(command, args, options)
  } catch (cause) {
    const message = `${JSON.stringify(command)} is no command: ${String(cause)}`
    throw new SdkError('INVALID_PARAMETER', message, { cause })
  }
}

/** Signals that a process can be told of; Node.js sees to SIGSEGV and its like itself, and nobody can to SIGKILL. */
export const HANDLED_SIGNALS = ['SIGHUP', 'SIGINT', 'SIGQUIT', 'SIGALRM', 'SIGTERM'] as const

/**
 * Has these signals tell `handle` instead of ending the process. The function returned undoes it.
 * @throws SdkError INVALID_STATE on another thread than the main one: no signal would ever be told there.
 */
export function handleSignals(
  handle: (signal: NodeJS.Signals) => void,
  signals: readonly NodeJS.Signals[] = HANDLED_SIGNALS,
): () => void {
  if (!isMainThread) {
    throw new SdkError('INVALID_STATE', 'signals are told to the main thread only: call it there')
  }
  const listener = (signal: NodeJS.Signals): void => handle(signal)
  for (const signal of signals) process.on(signal, listener)
  return () => {
    for (const signal of signals) process.off(signal, listener)
  }
}
