/** Beats under way whose sending time is remembered. */
const SENT_COUNT = 256

/**
 * The lease under which a component may hold ACTIVE, as its watchdog keeps it: every beat that the agent sends back
 * renews it, counted from when that beat was sent. A core.
 *
 * It is the second line: on one machine nobody else gets the role before this process is proven gone. Where the agent
 * stands still, the process ends by itself before the director would act.
 */
export class RoleLease {
  readonly #leaseMs: number
  readonly #sentMs = new Float64Array(SENT_COUNT)
  readonly #sentBeat = new Float64Array(SENT_COUNT)
  #renewedMs: number

  /** @param leaseMs - 0: there is no lease, and it never runs out. */
  constructor(leaseMs: number, nowMs: number) {
    this.#leaseMs = leaseMs
    this.#renewedMs = nowMs
  }

  /** A beat, numbered from 1, leaves. */
  sent(beat: number, nowMs: number): void {
    this.#sentBeat[beat % SENT_COUNT] = beat
    this.#sentMs[beat % SENT_COUNT] = nowMs
  }

  /** A beat came back. @returns how long it was under way in ms; null when that is not known any more. */
  answered(beat: number, nowMs: number): number | null {
    const at = beat % SENT_COUNT
    if (beat <= 0 || this.#sentBeat[at] !== beat) return null
    const sentMs = this.#sentMs[at]!
    this.#renewedMs = Math.max(this.#renewedMs, sentMs)
    return nowMs - sentMs
  }

  /** Nothing from before counts: the whole process stood still, or the role was granted at this moment. */
  restart(nowMs: number): void {
    this.#renewedMs = nowMs
  }

  isOver(nowMs: number): boolean {
    return this.#leaseMs > 0 && nowMs - this.#renewedMs > this.#leaseMs
  }
}
