import type { StoredEntry } from './operations.ts'

/** One moment, by the clock that does not jump and by the one that outlives the machine's. */
export type Moment = NonNullable<StoredEntry['idleSince']>

/**
 * How long ago a moment was. Monotonic times compare within one life of the machine, and say how long it really was;
 * after another start of the machine there is only the wall clock, and what it says may be short but is never negative.
 */
export function elapsedMs(since: Moment, now: Moment): number {
  const isSameBoot = since.bootId === now.bootId
  const ms = isSameBoot ? now.monotonicMs - since.monotonicMs : now.wallMs - since.wallMs
  return Math.max(0, ms)
}

/** The moment that was so long ago. */
export function before(now: Moment, ms: number): Moment {
  return { ...now, monotonicMs: now.monotonicMs - ms, wallMs: now.wallMs - ms }
}
