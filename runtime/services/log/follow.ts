import type { Clock } from '../../../ioc/index.ts'
import { LOG_LIMITS, type LogFileInfo, type LogRead, type LogReadAnswer } from './interface.ts'
import type { StoredRecord } from './interface.ts'

/** So long at most until it looks for files again: the second line, news of files are told. */
const LOOK_MS = 5_000
const RETRY_MS = 300
/** How long a node keeps a reader waiting that has everything. */
const WAIT_MS = 2_000

export interface FollowOptions {
  files(): Promise<readonly LogFileInfo[]>
  /** As `LogService.filesChanged`. */
  filesChanged(known: string, waitMs: number): Promise<string>
  read(nodeId: number, request: LogRead): Promise<LogReadAnswer>
  wants(file: LogFileInfo): boolean
  /** Number of the first record to be read of a file; `isNew`: it was not there when this began. */
  from(file: LogFileInfo, isNew: boolean): number
  /**
   * Records of one file in their order; the next ones come when it resolves, the same ones when it rejects.
   * @param lost - how many directly before them are gone: the reader was slower than the files turn.
   */
  onRecords(file: LogFileInfo, records: readonly StoredRecord[], lost: number): Promise<void> | void
  readonly clock: Clock
}

/** Follows files on all nodes, those that come later too, through absences of nodes, until it is stopped. */
export class LogFollower {
  readonly #options: FollowOptions
  readonly #known = new Set<string>()
  readonly #stop = new AbortController()

  constructor(options: FollowOptions) {
    this.#options = options
  }

  /** Resolves when it has looked for files once. @throws what `files` rejects with. */
  async start(): Promise<void> {
    const known = await this.#options.filesChanged('', 0)
    await this.#look(false)
    void this.#lookAgain(known)
  }

  stop(): void {
    this.#stop.abort()
  }

  async #lookAgain(first: string): Promise<void> {
    let known = first
    while (!this.#isStopped) {
      try {
        known = await this.#options.filesChanged(known, LOOK_MS)
        await this.#look(true)
      } catch {
        // Whatever changed meanwhile is news again.
        known = ''
        await this.#pause(RETRY_MS)
      }
    }
  }

  async #look(isNew: boolean): Promise<void> {
    const files = await this.#options.files()
    if (this.#isStopped) return
    for (const file of files) {
      const key = `${file.nodeId} ${file.file}`
      if (this.#known.has(key) || !this.#options.wants(file)) continue
      this.#known.add(key)
      void this.#follow(file, Math.max(1, this.#options.from(file, isNew)))
    }
  }

  async #follow(file: LogFileInfo, from: number): Promise<void> {
    const { packetCount: countMax } = LOG_LIMITS
    let next = from
    while (!this.#isStopped) {
      try {
        const request = { file: file.file, from: next, countMax, waitMs: WAIT_MS }
        const answer = await this.#options.read(file.nodeId, request)
        if (this.#isStopped) return
        if (answer.records.length > 0 || answer.lost > 0) {
          await this.#options.onRecords(file, answer.records, answer.lost)
        }
        next = answer.next
      } catch {
        await this.#pause(RETRY_MS)
      }
    }
  }

  get #isStopped(): boolean {
    return this.#stop.signal.aborted
  }

  #pause(ms: number): Promise<void> {
    return new Promise((resolve) => {
      const { signal } = this.#stop
      const done = (): void => {
        cancel()
        signal.removeEventListener('abort', done)
        resolve()
      }
      const cancel = this.#options.clock.after(ms, done)
      signal.addEventListener('abort', done)
    })
  }
}
