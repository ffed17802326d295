import type { OrderEntry, OrderSnapshot, Position, Submission } from './interface.ts'
import type { OrderLog } from './order-log.ts'

/** What a leader sends. */
export interface Ordered {
  readonly term: number
  readonly snapshot: OrderSnapshot | null
  readonly after: Position
  readonly entries: readonly OrderEntry[]
  readonly stable: number
}

/** What came of it: `deliver` is the number up to which entries may be delivered now. */
export type OrderedOutcome =
  | { readonly kind: 'taken'; readonly restored: boolean; readonly deliver: number }
  | { readonly kind: 'refused'; readonly code: 'STALE_TERM' | 'OUT_OF_SYNC' }

/** Takes what a leader ordered into the log of this node, pure. */
export function takeOrdered(log: OrderLog, ordered: Ordered): OrderedOutcome {
  const { after, entries } = ordered
  // A repeated one may come late: what is known already is not taken back.
  const snapshot = isKnown(log, ordered.snapshot) ? null : ordered.snapshot
  if (snapshot !== null) log.restore(snapshot)
  if (!log.has(after) || after.sequence < log.delivered.sequence) {
    return { kind: 'refused', code: 'OUT_OF_SYNC' }
  }
  for (const entry of entries) {
    if (entry.at.sequence <= log.held.sequence) {
      if (log.has(entry.at)) continue
      if (entry.at.sequence <= log.delivered.sequence) {
        return { kind: 'refused', code: 'OUT_OF_SYNC' }
      }
      // A former leader ordered otherwise, and it was delivered nowhere.
      log.truncateAfter(entry.at.sequence - 1)
    }
    if (entry.at.sequence !== log.held.sequence + 1) return { kind: 'refused', code: 'OUT_OF_SYNC' }
    log.append(entry)
  }
  // What is held behind these entries may be a former leader's: it is not confirmed by this one.
  const confirmed = entries.at(-1)?.at.sequence ?? after.sequence
  return {
    kind: 'taken',
    restored: snapshot !== null,
    deliver: Math.min(ordered.stable, confirmed),
  }
}

function isKnown(log: OrderLog, snapshot: OrderSnapshot | null): boolean {
  if (snapshot === null) return true
  return snapshot.at.sequence <= log.delivered.sequence && log.has(snapshot.at)
}

export const PENDING_COUNT_MAX = 4_096

/** What this node submitted and has not seen in the order yet, pure. Numbers have no gap: nothing is ever left out. */
export class PendingSubmissions<T> {
  #pending: { readonly submission: Submission; readonly token: T }[] = []
  #last = 0
  /** Submitted to the present leader up to here. */
  #submitted = 0

  get isFull(): boolean {
    return this.#pending.length >= PENDING_COUNT_MAX
  }

  add(topic: string, payload: Uint8Array, token: T): void {
    this.#last++
    this.#pending.push({ submission: { number: this.#last, topic, payload }, token })
  }

  /** What the present leader has not got yet; it counts as submitted from now on. */
  takeUnsubmitted(): Submission[] {
    const fresh: Submission[] = []
    for (const { submission } of this.#pending) {
      if (submission.number > this.#submitted) fresh.push(submission)
    }
    this.#submitted = this.#last
    return fresh
  }

  /** Another leader, or one that missed something: everything is submitted again, in order. */
  submitAgain(): void {
    this.#submitted = 0
  }

  /** The submission stands in the order and was delivered. */
  delivered(number: number): T | undefined {
    const first = this.#pending[0]
    if (first === undefined || first.submission.number > number) return undefined
    this.#pending.shift()
    return first.token
  }

  /** Those up to `number` were delivered elsewhere, inside a content that came whole. */
  passed(number: number): T[] {
    const tokens: T[] = []
    for (let token = this.delivered(number); token !== undefined; token = this.delivered(number)) {
      tokens.push(token)
    }
    return tokens
  }
}
