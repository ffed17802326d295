/**
 * Age of a progress stamp as the watchdog judges it. A core. Stamps are monotonic milliseconds cut to 32 bits.
 *
 * A watchdog whose own tick came late (the process was stopped, the machine paused) cannot blame the other thread for
 * the time in which nobody ran: the age starts again at that moment.
 */
export class StampAge {
  readonly #lateMs: number
  #lastTickMs: number | undefined
  #baseMs: number | undefined

  constructor(periodMs: number) {
    this.#lateMs = 3 * periodMs + 100
  }

  /** @param stamp - as stored by the judged thread; 0 while it has not started. */
  at(nowMs: number, stamp: number): number {
    const last = this.#lastTickMs
    if (last === undefined || nowMs - last > this.#lateMs) this.#baseMs = nowMs
    this.#lastTickMs = nowMs
    const sinceBaseMs = nowMs - (this.#baseMs ?? nowMs)
    if (stamp === 0) return Math.max(0, Math.floor(sinceBaseMs))
    const stampAgeMs = (Math.floor(nowMs) - stamp) | 0
    return Math.max(0, Math.floor(Math.min(stampAgeMs, sinceBaseMs)))
  }
}
