import { isSdkError } from '../../idl/index.ts'
import type { Clock } from '../../ioc/index.ts'

const BATCH_COUNT_MAX = 64
const RETRY_MS = 50

/** What one component is still to be told by a service of its node. */
export interface PushQueueOptions<T> {
  /** Items that wait at most; beyond it the oldest one goes, and the receiver learns that by the numbers. */
  readonly countMax: number
  /** @param first - number of the first item; items count from 1. Rejects when they were not taken. */
  readonly send: (first: number, items: readonly T[]) => Promise<unknown>
  readonly clock: Clock
}

/**
 * Items for one receiver, in order: one message under way at a time, what comes meanwhile goes with the next. A message
 * whose answer is lost is sent again: {@link PushIntake} drops what it has.
 */
export class PushQueue<T> {
  readonly #options: PushQueueOptions<T>
  #items: T[] = []
  /** Number of the first of `#items`. */
  #first = 1
  #isSending = false
  #isClosed = false

  constructor(options: PushQueueOptions<T>) {
    this.#options = options
  }

  push(item: T): void {
    if (this.#isClosed) return
    this.#items.push(item)
    if (this.#items.length > this.#options.countMax) {
      this.#items.shift()
      this.#first++
    }
    if (!this.#isSending) void this.#run()
  }

  close(): void {
    this.#isClosed = true
    this.#items = []
  }

  async #run(): Promise<void> {
    this.#isSending = true
    // What one turn pushes goes together.
    await Promise.resolve()
    while (this.#items.length > 0) {
      const first = this.#first
      const batch = this.#items.slice(0, BATCH_COUNT_MAX)
      try {
        await this.#options.send(first, batch)
        const taken = first + batch.length - this.#first
        if (taken > 0) {
          this.#items.splice(0, taken)
          this.#first += taken
        }
      } catch (error) {
        // Nobody listens any more: presence ends this queue, or has done so.
        if (isSdkError(error, 'FUNC_NOT_REGISTERED')) this.close()
        else await new Promise<void>((resolve) => this.#options.clock.after(RETRY_MS, resolve))
      }
    }
    this.#isSending = false
  }
}

/** The receiving side of a {@link PushQueue}: each item once, and how many never came. */
export class PushIntake {
  #next = 1

  /** @returns the items that are new, and how many before them are lost. */
  take<T>(first: number, items: readonly T[]): { readonly fresh: readonly T[]; lost: number } {
    const lost = Math.max(0, first - this.#next)
    const fresh = items.slice(Math.max(0, this.#next - first))
    this.#next = Math.max(this.#next, first + items.length)
    return { fresh, lost }
  }
}
