import type { Clock } from '../../../ioc/index.ts'
import type { DirectoryEntry } from './operations.ts'

export interface RetentionsOptions {
  readonly clock: Clock
  /** Whether this node is the one that ends what is over. */
  readonly isMine: () => boolean
  /** A time has passed. Rejects when that could not be told. */
  readonly passed: (id: string, generation: number) => Promise<unknown>
}

interface Waiting {
  readonly generation: number
  readonly durationMs: number
  readonly sinceMs: number
}

const RETRY_MS = 500

/**
 * When checkpoints that nobody has open are to go. Every node counts from when it heard that the last one closed, and
 * one of them says that the time has passed: so the time goes on when that node dies.
 */
export class Retentions {
  readonly #options: RetentionsOptions
  readonly #waiting = new Map<string, Waiting>()
  #cancel: (() => void) | null = null

  constructor(options: RetentionsOptions) {
    this.#options = options
  }

  changed(id: string, entry: DirectoryEntry | undefined): void {
    const isOver = entry?.openers.length === 0
    const durationMs = entry?.retentionDurationMs ?? null
    if (entry === undefined || !isOver || durationMs === null) this.#waiting.delete(id)
    else {
      const { generation } = entry
      const known = this.#waiting.get(id)
      const nowMs = this.#options.clock.nowMs()
      const since = known?.generation === generation ? known.sinceMs : nowMs - entry.idleMs
      this.#waiting.set(id, { generation, durationMs, sinceMs: since })
    }
    this.#arm()
  }

  close(): void {
    this.#waiting.clear()
    this.#cancel?.()
    this.#cancel = null
  }

  #arm(): void {
    this.#cancel?.()
    this.#cancel = null
    if (this.#waiting.size === 0) return
    let dueMs = Infinity
    for (const { sinceMs, durationMs } of this.#waiting.values()) {
      dueMs = Math.min(dueMs, sinceMs + durationMs)
    }
    this.#wakeAfter(dueMs - this.#options.clock.nowMs())
  }

  /** A time longer than a timer can run is waited for in parts. */
  #wakeAfter(delayMs: number): void {
    const ms = Math.min(2 ** 30, Math.max(1, Math.ceil(delayMs)))
    this.#cancel = this.#options.clock.after(ms, () => this.#look())
  }

  #look(): void {
    this.#cancel = null
    const { clock, isMine, passed } = this.#options
    const nowMs = clock.nowMs()
    let isLate = false
    for (const [id, { generation, durationMs, sinceMs }] of this.#waiting) {
      if (sinceMs + durationMs > nowMs) continue
      isLate = true
      if (isMine()) passed(id, generation).catch(() => undefined)
    }
    // Whoever was to say it may have died, or not be heard.
    if (isLate) this.#wakeAfter(RETRY_MS)
    else this.#arm()
  }
}
