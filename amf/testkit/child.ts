import { spawn, type ChildProcess } from 'node:child_process'
import { closeSync, openSync } from 'node:fs'
import { toolPath } from '../model/tool-path.ts'

/** One process that the testkit started. */
export interface Child {
  readonly name: string
  readonly pid: number
  /** Resolves when the process has ended. Never rejects. */
  readonly exited: Promise<{ readonly code: number | null; readonly signal: string | null }>
  readonly running: boolean
  signal(signal: NodeJS.Signals): void
}

export interface ChildOptions {
  readonly name: string
  /** Words after `holdfast`. */
  readonly words: readonly string[]
  readonly env: Readonly<Record<string, string | undefined>>
  readonly logFile: string
}

/**
 * Starts the tool in a process group of its own, so that a Ctrl-C meant for the caller does not reach it; it dies with
 * the calling thread all the same, by the kernel's parent-death signal.
 */
export function startChild(options: ChildOptions): Child {
  const log = openSync(options.logFile, 'a')
  try {
    const argv = ['--pdeathsig', 'KILL', '--', process.execPath, toolPath(), ...options.words]
    const child = spawn('setpriv', argv, {
      detached: true,
      stdio: ['ignore', log, log],
      env: { ...process.env, ...options.env },
    })
    return wrap(options.name, child)
  } finally {
    closeSync(log)
  }
}

function wrap(name: string, child: ChildProcess): Child {
  let running = true
  const exited = new Promise<{ code: number | null; signal: string | null }>((resolve) => {
    child.once('exit', (code, signal) => {
      running = false
      resolve({ code, signal })
    })
    child.once('error', () => {
      running = false
      resolve({ code: null, signal: null })
    })
  })
  return {
    name,
    pid: child.pid ?? 0,
    exited,
    get running() {
      return running
    },
    signal: (signal) => void (running && child.kill(signal)),
  }
}
