/**
 * Why a component is called busy: its progress stamp, a late health check of AMF's or of its own starting, a function
 * that runs on past its deadline.
 */
export type BusyReason = 'stamp' | 'healthCheck' | 'started' | 'function'

/** A reason begins or ends. */
export interface BusyNews {
  readonly busy: boolean
  readonly delayMs: number
  /** English, for the alarm's cause, where the delay does not say it. */
  readonly why?: string
}

/**
 * The busy alarm of one component. Its first reason raises it at once; it is cleared when there was no reason for the
 * hold time, so that what comes and goes is one alarm. Stamps are held before they come here (`liveness.ts`).
 */
export class BusyAlarm {
  readonly #holdMs: () => number
  readonly #tell: (news: BusyNews) => void
  readonly #reasons = new Set<BusyReason>()
  #isRaised = false
  #timer: NodeJS.Timeout | undefined

  constructor(holdMs: () => number, tell: (news: BusyNews) => void) {
    this.#holdMs = holdMs
    this.#tell = tell
  }

  get isRaised(): boolean {
    return this.#isRaised
  }

  set(reason: BusyReason, news: BusyNews): void {
    if (news.busy) {
      this.#reasons.add(reason)
      clearTimeout(this.#timer)
      if (!this.#isRaised) this.#become(news)
    } else if (this.#reasons.delete(reason) && this.#reasons.size === 0) {
      if (reason === 'stamp') this.clear()
      else this.#timer = setTimeout(() => this.clear(), this.#holdMs())
    }
  }

  /** Nothing is left of what was busy. */
  clear(): void {
    clearTimeout(this.#timer)
    this.#reasons.clear()
    if (this.#isRaised) this.#become({ busy: false, delayMs: 0 })
  }

  #become(news: BusyNews): void {
    this.#isRaised = news.busy
    this.#tell(news)
  }
}
