import { readFileSync } from 'node:fs'
import type { ComponentProcess, ProcessExit } from './component-ports.ts'
import type { LaunchedProcess } from './process-launcher.ts'

/** SAF AMF B.04.01 section 7.8: passive monitoring looks this often. */
const LOOK_MS = 200
/** A killed process that is still there is killed again after this time. */
const KILL_AGAIN_MS = 20

/** A program that is no child of the node process, told apart from a later one with the same pid. */
export interface WatchedProcess {
  readonly pid: number
  isDead(): boolean
  /** SIGKILL; harmless when it is gone. */
  kill(): void
}

/**
 * A component whose command returned and left it running. The process of its pid file is watched from then on; without
 * a pid file nothing is, and its health-check command is what judges it.
 *
 * The number in a pid file counts only while the command has just written it: it is read once, when the command ended.
 */
export class DaemonProcess implements ComponentProcess {
  readonly started: Promise<ProcessExit>
  readonly exited: Promise<ProcessExit>
  readonly drained: Promise<void>
  readonly #command: LaunchedProcess
  readonly #pidFile: string | null
  readonly #watchPid: (pid: number) => WatchedProcess
  #exit: (exit: ProcessExit) => void = () => undefined
  #watched: WatchedProcess | null = null
  #ended = false
  #timer: NodeJS.Timeout | undefined
  #killed = false

  constructor(
    command: LaunchedProcess,
    pidFile: string | null,
    watchPid: (pid: number) => WatchedProcess,
  ) {
    this.#command = command
    this.#pidFile = pidFile
    this.#watchPid = watchPid
    this.exited = new Promise((resolve) => {
      this.#exit = resolve
    })
    this.drained = command.drained
    this.started = command.exited.then((exit) => this.#commandEnded(exit))
  }

  get pid(): number | null {
    return this.#ended ? (this.#watched?.pid ?? null) : this.#command.pid
  }

  kill(): void {
    if (this.#killed) return
    this.#killed = true
    this.#command.kill()
    this.#watched?.kill()
    // Before its end the command's own exit tells.
    if (this.#ended) this.#watch(KILL_AGAIN_MS)
  }

  terminate(): void {
    // It has a terminate command: that is the orderly way.
  }

  stderrTail(): string {
    return this.#command.stderrTail()
  }

  #commandEnded(exit: ProcessExit): ProcessExit {
    this.#ended = true
    if (exit.code !== 0 || this.#killed) {
      this.#exit(exit)
      return exit
    }
    const pid = this.#pidFile === null ? null : readPid(this.#pidFile)
    if (this.#pidFile !== null && pid === null) {
      // Told as a failed start: nobody could watch it.
      const failed = { code: 1, signal: null }
      this.#exit(failed)
      return failed
    }
    if (pid === null) return exit
    this.#watched = this.#watchPid(pid)
    this.#watch(LOOK_MS)
    return exit
  }

  #watch(everyMs: number): void {
    clearInterval(this.#timer)
    this.#timer = setInterval(() => this.#look(), everyMs)
    this.#look()
  }

  #look(): void {
    if (this.#watched?.isDead() === false) {
      if (this.#killed) this.#watched.kill()
      return
    }
    clearInterval(this.#timer)
    this.#exit(this.#killed ? { code: null, signal: 'SIGKILL' } : { code: null, signal: null })
  }
}

/** The number in the file; null when there is none. */
function readPid(path: string): number | null {
  try {
    const text = readFileSync(path, 'utf8').trim()
    return /^[1-9][0-9]{0,9}$/.test(text) ? Number(text) : null
  } catch {
    return null
  }
}
