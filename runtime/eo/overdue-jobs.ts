/** Functions watched at most; of more, the oldest are forgotten. */
const JOB_COUNT_MAX = 1_024

/**
 * Functions that ran past their deadline and have not come back. One that takes much longer is told once, by name:
 * nothing can end it on the EO's thread without ending the component, and on a worker its thread goes with it. A
 * core.
 */
export class OverdueJobs<T> {
  readonly #overdueMs: number
  /** Since when, by job; null once it was told. */
  readonly #since = new Map<T, number | null>()
  #toldCount = 0

  /** @param overdueMs - how long past its deadline a function is called stuck. */
  constructor(overdueMs: number) {
    this.#overdueMs = overdueMs
  }

  get count(): number {
    return this.#since.size
  }

  /** Functions that were called stuck, ever; and those that still are. */
  statistics(): { readonly stuck: number; readonly stuckNow: number } {
    return { stuck: this.#toldCount, stuckNow: this.stuck().length }
  }

  /** Takes in a function that is overdue since then; one that is known already stays as it is. */
  add(job: T, sinceMs: number): void {
    if (this.#since.has(job)) return
    this.#since.set(job, sinceMs)
    if (this.#since.size <= JOB_COUNT_MAX) return
    const oldest = this.#since.keys().next()
    if (oldest.done !== true) this.#since.delete(oldest.value)
  }

  /** It came back after all, or never was overdue. */
  done(job: T): void {
    this.#since.delete(job)
  }

  /** Those that were called stuck and have not come back. */
  stuck(): T[] {
    return [...this.#since].flatMap(([job, since]) => (since === null ? [job] : []))
  }

  /** Those that have become stuck by now. */
  sweep(nowMs: number): T[] {
    const stuck: T[] = []
    for (const [job, since] of this.#since) {
      if (since === null || nowMs - since < this.#overdueMs) continue
      this.#since.set(job, null)
      this.#toldCount++
      stuck.push(job)
    }
    return stuck
  }
}
