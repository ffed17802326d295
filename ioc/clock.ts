import { performance } from 'node:perf_hooks'

/** Where real time enters this floor: shells take a clock, cores take `nowMs`. */
export interface Clock {
  /** Monotonic milliseconds with fractions. */
  nowMs(): number
  /** Runs `run` once after `delayMs`. @returns the function that cancels it. */
  after(delayMs: number, run: () => void): () => void
}

/** The machine's monotonic clock: `performance.now()`. */
export const systemClock: Clock = {
  nowMs: () => performance.now(),
  after: (delayMs, run) => {
    const timer = setTimeout(run, delayMs)
    return () => clearTimeout(timer)
  },
}
