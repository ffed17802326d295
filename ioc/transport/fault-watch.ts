import { randomBytes } from 'node:crypto'
import { readFileSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { FAULT_FILE_ENV, type FaultTable, faultTableSchema } from './faults.schema.ts'

/** A change of the file is seen after so long at most. Looked at rather than watched: inotify is scarce. */
const POLL_INTERVAL_MS = 10

/**
 * The fault file as one user of sockets in this process sees it. While anybody uses it, a file `PID.HEX` beside the
 * fault file holds the version that is in force here: who changes the table can wait until all know.
 */
export class FaultWatch {
  readonly #path: string
  readonly #acknowledgement: string
  readonly #listeners = new Set<() => void>()
  #table: FaultTable = { version: 0, nodes: {}, faults: [] }
  #seen = ''
  #timer: NodeJS.Timeout | undefined

  constructor(path: string) {
    this.#path = path
    const own = `${process.pid}.${randomBytes(4).toString('hex')}`
    this.#acknowledgement = join(dirname(path), own)
  }

  /** Valid while somebody {@link use}s it. */
  get table(): FaultTable {
    return this.#table
  }

  /** Keeps the table fresh and tells its changes, until the function that it returns is called. */
  use(onChange: () => void): () => void {
    // One entry for each use, also of the same function.
    const listener = (): void => onChange()
    if (this.#listeners.size === 0) this.#start()
    this.#listeners.add(listener)
    return () => {
      if (this.#listeners.delete(listener) && this.#listeners.size === 0) this.#stop()
    }
  }

  #start(): void {
    this.#seen = ''
    this.#read()
    this.#timer = setInterval(() => this.#read(), POLL_INTERVAL_MS)
    this.#timer.unref()
  }

  #stop(): void {
    clearInterval(this.#timer)
    rmSync(this.#acknowledgement, { force: true })
  }

  #read(): void {
    const stat = statSync(this.#path, { bigint: true, throwIfNoEntry: false })
    // Gone with the run directory: the cluster is being cleared away.
    if (stat === undefined) return
    const seen = `${stat.ino}.${stat.mtimeNs}.${stat.size}`
    if (seen === this.#seen) return
    this.#seen = seen
    this.#table = faultTableSchema.parse(JSON.parse(readFileSync(this.#path, 'utf8')))
    const wasUsed = this.#listeners.size > 0
    for (const listener of this.#listeners) listener()
    // The last user may have waited for just this.
    if (wasUsed && this.#listeners.size === 0) return
    writeFileSync(this.#acknowledgement, String(this.#table.version))
  }
}

/** The watch of this process, when a test gave it a fault file. */
export function faultWatchOf(env: Readonly<Record<string, string | undefined>>): FaultWatch | null {
  const path = env[FAULT_FILE_ENV]
  return path === undefined ? null : new FaultWatch(path)
}
