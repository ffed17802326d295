import type { Clock } from './clock.ts'

/** What this floor needs of a logger; pino's has this shape. */
export interface IocLog {
  warn(fields: object, message: string): void
  debug(fields: object, message: string): void
}

/** Drops every line. */
export const silentLog: IocLog = { warn: () => {}, debug: () => {} }

const INTERVAL_MS = 10_000

/**
 * Lets one line a reason through every ten seconds and tells how many were held back, so that a peer that sends
 * garbage cannot fill the disk. Reasons are a closed set: callers pass literals, never a peer's words.
 */
export class LimitedLog {
  readonly #log: IocLog
  readonly #clock: Clock
  readonly #reasons = new Map<string, { sinceMs: number; heldBack: number }>()

  constructor(log: IocLog, clock: Clock) {
    this.#log = log
    this.#clock = clock
  }

  warn(reason: string, fields: object, message: string): void {
    const nowMs = this.#clock.nowMs()
    const last = this.#reasons.get(reason)
    if (last !== undefined && nowMs - last.sinceMs < INTERVAL_MS) {
      last.heldBack += 1
      return
    }
    this.#reasons.set(reason, { sinceMs: nowMs, heldBack: 0 })
    this.#log.warn({ reason, heldBack: last?.heldBack ?? 0, ...fields }, message)
  }
}
