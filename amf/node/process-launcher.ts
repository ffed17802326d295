import { spawn, type ChildProcess } from 'node:child_process'
import { accessSync, constants, statSync } from 'node:fs'
import { Socket } from 'node:net'
import { delimiter, isAbsolute, join, resolve } from 'node:path'
import { isMainThread } from 'node:worker_threads'
import { SdkError } from '../../idl/index.ts'
import { COMPONENT_ENV } from '../../runtime/internal.ts'
import { BoundedLog } from './bounded-log.ts'

/**
 * Starts the processes of a node so that none outlives it.
 *
 * I1 The kernel kills the child when the thread that started it ends (`setpriv --pdeathsig KILL`),
 *    therefore children are started by a main thread only.
 * I2 That setting begins a moment after the fork. A launcher that died in this moment leaves a
 *    child with another parent, and a small shell between `setpriv` and the program compares and
 *    ends it: no moment is uncovered.
 * I3 A child leads a process group of its own, which is killed with it: what it forked ends too.
 */

const STDERR_TAIL_BYTES = 8 * 1024
const LOG_SIZE_BYTES_MAX = 4 * 1024 * 1024
/**
 * What a dying process wrote is waited for so long at most: a grandchild may keep its pipe open.
 */
const DRAIN_MS = 200
/** Exit code of a child that found itself without its parent. */
const ORPHAN_EXIT_CODE = 125
const PARENT_CHECK = `[ "$PPID" = "$0" ] || exit ${ORPHAN_EXIT_CODE}; exec "$@"`

export interface LaunchOptions {
  /** Program and arguments. A name without a slash is looked up in `PATH` of `env`. */
  readonly argv: readonly string[]
  /** The whole environment, to which the parent's pid is added. */
  readonly env: Readonly<Record<string, string | undefined>>
  /** @defaultValue the launcher's own working directory */
  readonly cwd?: string
  /** Standard output and standard error go there; null: nowhere. */
  readonly logFile: string | null
  /** The file and its predecessor `FILE.1` have at most so many bytes each. @defaultValue 4 MiB */
  readonly logSizeBytesMax?: number
  /**
   * After exit code 0 its process group is left alone, and what that writes goes to the log file as long as this
   * process lives: for a command that starts a program and returns. @defaultValue false
   */
  readonly leavesProcesses?: boolean
}

/** How a process ended; exactly one of both is set. */
export interface ProcessEnd {
  readonly code: number | null
  readonly signal: NodeJS.Signals | null
}

export interface LaunchedProcess {
  readonly pid: number
  /** The process itself is what was to be started. */
  readonly started: null
  /** Resolves when the process is reaped and its process group killed. Never rejects. */
  readonly exited: Promise<ProcessEnd>
  /** Resolves after `exited`, when its last words are read, at the latest 200 ms later. */
  readonly drained: Promise<void>
  /** SIGKILL to the whole process group, also when it is stopped. Harmless when it is gone. */
  kill(): void
  /** Sends a signal to the process alone. Harmless when it is gone. */
  signal(signal: NodeJS.Signals): void
  /** SIGTERM to the process alone. */
  terminate(): void
  /** Last 8 KiB of standard error. */
  stderrTail(): string
}

/**
 * Starts a process.
 * @throws SdkError NOT_EXIST when there is no such program or directory; NOT_SUPPORTED without
 * `setpriv`; NO_RESOURCE when the system has no process or descriptor left; INVALID_STATE outside
 * the main thread.
 */
export function launchProcess(options: LaunchOptions): LaunchedProcess {
  const { env, cwd = process.cwd() } = options
  if (!isMainThread) {
    throw new SdkError('INVALID_STATE', 'processes are launched from the main thread only')
  }
  checkDirectory(cwd)
  const program = findProgram(options.argv[0] ?? '', { cwd, path: env['PATH'] })
  const child = spawn(
    findSetpriv(),
    guardedArguments(process.pid, [program, ...options.argv.slice(1)]),
    {
      cwd,
      env: { ...env, [COMPONENT_ENV.parentPid]: String(process.pid) },
      detached: true,
      stdio: ['ignore', 'pipe', 'pipe'],
    },
  )
  // Told through the missing pid; the event comes too late to be thrown.
  child.on('error', () => undefined)
  if (child.pid === undefined) {
    throw new SdkError('NO_RESOURCE', `cannot start ${program}: no process or descriptor is left`, {
      context: { program },
    })
  }
  return new Launched(child, child.pid, options)
}

/**
 * Arguments of `setpriv` that run a program tied to its parent (I1, I2).
 * @internal
 */
export function guardedArguments(parentPid: number, argv: readonly string[]): string[] {
  const shell = ['/bin/sh', '-c', PARENT_CHECK, String(parentPid)]
  return ['--pdeathsig', 'KILL', '--', ...shell, ...argv]
}

/** How a command ended, with its last words. */
export interface CommandEnd extends ProcessEnd {
  readonly timedOut: boolean
  readonly stderrTail: string
}

/**
 * Runs a command to its end; after `timeoutMs` it is killed. Its process group is killed in any
 * case, so that a command leaves nothing running. @throws SdkError as {@link launchProcess}.
 */
export async function runCommand(
  options: LaunchOptions & { readonly timeoutMs: number },
): Promise<CommandEnd> {
  const launched = launchProcess(options)
  let timedOut = false
  const timer = setTimeout(() => {
    timedOut = true
    launched.kill()
  }, options.timeoutMs)
  const end = await launched.exited
  clearTimeout(timer)
  await launched.drained
  return { ...end, timedOut, stderrTail: launched.stderrTail() }
}

class Launched implements LaunchedProcess {
  readonly pid: number
  readonly started = null
  readonly exited: Promise<ProcessEnd>
  readonly drained: Promise<void>
  readonly #child: ChildProcess
  #isGone = false
  #tail: Buffer = Buffer.alloc(0)

  constructor(child: ChildProcess, pid: number, options: LaunchOptions) {
    this.#child = child
    this.pid = pid
    const { logFile, logSizeBytesMax = LOG_SIZE_BYTES_MAX } = options
    const log = logFile === null ? null : new BoundedLog(resolve(logFile), logSizeBytesMax)
    const closed = new Promise<void>((done) => child.once('close', () => done()))
    this.exited = new Promise((done) => {
      child.once('exit', (code, signal) => {
        if (code !== 0 || options.leavesProcesses !== true) this.kill()
        this.#isGone = true
        done({ code, signal })
      })
    })
    child.stdout?.on('data', (chunk: Buffer) => log?.write(chunk))
    child.stderr?.on('data', (chunk: Buffer) => {
      this.#tail = Buffer.concat([this.#tail, chunk]).subarray(-STDERR_TAIL_BYTES)
      log?.write(chunk)
    })
    this.drained = this.#drain(closed, log, options.leavesProcesses === true)
  }

  kill(): void {
    this.#send(-this.pid, 'SIGKILL')
  }

  signal(signal: NodeJS.Signals): void {
    this.#send(this.pid, signal)
  }

  terminate(): void {
    this.signal('SIGTERM')
  }

  stderrTail(): string {
    return this.#tail.toString()
  }

  async #drain(closed: Promise<void>, log: BoundedLog | null, leaves: boolean): Promise<void> {
    const { code } = await this.exited
    let timer: NodeJS.Timeout | undefined
    const late = new Promise<void>((done) => {
      timer = setTimeout(done, DRAIN_MS)
    })
    await Promise.race([closed, late])
    clearTimeout(timer)
    for (const stream of [this.#child.stdout, this.#child.stderr]) {
      if (!leaves || code !== 0) stream?.destroy()
      else if (stream instanceof Socket) stream.unref()
    }
    await log?.flushed()
  }

  /** After the end the number may belong to somebody else. */
  #send(pid: number, signal: NodeJS.Signals): void {
    if (this.#isGone) return
    try {
      process.kill(pid, signal)
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'ESRCH') throw error
    }
  }
}

function checkDirectory(cwd: string): void {
  if (statSync(cwd, { throwIfNoEntry: false })?.isDirectory() === true) return
  throw new SdkError('NOT_EXIST', `working directory ${cwd} does not exist`, { context: { cwd } })
}

function findSetpriv(): string {
  for (const directory of ['/usr/bin', '/bin']) {
    const path = join(directory, 'setpriv')
    if (isProgram(path)) return path
  }
  throw new SdkError(
    'NOT_SUPPORTED',
    'setpriv is missing, without which processes could outlive their node; ' +
      'remedy: install the package util-linux',
  )
}

function findProgram(
  name: string,
  { cwd, path }: { cwd: string; path: string | undefined },
): string {
  const candidates = name.includes('/')
    ? [isAbsolute(name) ? name : resolve(cwd, name)]
    : (path ?? '/usr/bin:/bin').split(delimiter).map((directory) => resolve(cwd, directory, name))
  const found = name === '' ? undefined : candidates.find(isProgram)
  if (found !== undefined) return found
  const where = name.includes('/') ? candidates[0] : `PATH (${path ?? 'not set'})`
  throw new SdkError(
    'NOT_EXIST',
    `program ${name === '' ? '""' : name} is not an executable file at ${where}; ` +
      'remedy: correct the command of the component type',
    { context: { program: name } },
  )
}

function isProgram(path: string): boolean {
  try {
    accessSync(path, constants.X_OK)
    return statSync(path).isFile()
  } catch {
    return false
  }
}
