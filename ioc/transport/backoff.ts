/** Ms after the first failure and at most; each further failure doubles the wait. */
const WAIT_MS = { first: 100, most: 5_000 } as const

interface Failure {
  readonly untilMs: number
  readonly waitMs: number
  readonly why: string
}

/**
 * When an address that could not be reached is tried again. Whoever asks earlier is told at once: an unreachable host
 * costs its callers one time-out, not one each. Bounded by the number of addresses.
 */
export class Backoff {
  readonly #failures = new Map<number, Failure>()

  /** @returns how long to wait and why; null: try now. */
  check(key: number, nowMs: number): { readonly waitMs: number; readonly why: string } | null {
    const failure = this.#failures.get(key)
    if (failure === undefined || nowMs >= failure.untilMs) return null
    return { waitMs: failure.untilMs - nowMs, why: failure.why }
  }

  failed(key: number, why: string, nowMs: number): void {
    const before = this.#failures.get(key)
    const waitMs = before === undefined ? WAIT_MS.first : Math.min(before.waitMs * 2, WAIT_MS.most)
    this.#failures.set(key, { untilMs: nowMs + waitMs, waitMs, why })
  }

  succeeded(key: number): void {
    this.#failures.delete(key)
  }
}
