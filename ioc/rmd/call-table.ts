/**
 * The calls that a program made and that are not finished. Core: time comes in as `nowMs`.
 *
 * I1 Ids grow by one with each call and are never used again: iteration is in the order of the calls.
 * I2 The watermark never passes an at-most-once call that is pending, and never goes back.
 * I3 `nextDueMs` is never later than the earliest `dueMs`; it may be earlier, after calls were finished.
 */

/** What the table must know of a call. */
export interface TableCall {
  readonly id: number
  readonly atMostOnce: boolean
  /** When the call must be looked at: its deadline, or earlier, to ask again. */
  dueMs: number
}

/** Places of the ring: a power of two, above the number of calls that are usually in flight. */
const RING_SIZE = 4_096
const RING_MASK = RING_SIZE - 1

/**
 * The latest ids have a place in a ring; a call that is still pending when its place comes round again moves to a map.
 * A map alone would be rebuilt every few hundred calls, and the collector keeps what the old tables, once they are
 * promoted, still point to: measured as half of the time that a call takes.
 */
export class CallTable<C extends TableCall> {
  readonly #ring: (C | undefined)[] = new Array<C | undefined>(RING_SIZE).fill(undefined)
  /** Calls older than the ring, oldest first: they moved in the order of their ids. */
  readonly #old = new Map<number, C>()
  #size = 0
  #nextId = 1
  #watermark = 1
  #nextDueMs = Number.POSITIVE_INFINITY

  /** Calls that are pending. */
  get size(): number {
    return this.#size
  }

  /** When {@link takeDue} should be called next; infinite when nothing waits. */
  get nextDueMs(): number {
    return this.#size === 0 ? Number.POSITIVE_INFINITY : this.#nextDueMs
  }

  /** A new message id. */
  takeId(): number {
    const id = this.#nextId
    this.#nextId = id + 1
    return id
  }

  /** Enters a call under its id, which was taken after those of all calls that were entered before. */
  add(call: C): void {
    const place = call.id & RING_MASK
    const before = this.#ring[place]
    if (before !== undefined) this.#old.set(before.id, before)
    this.#ring[place] = call
    this.#size += 1
    if (call.dueMs < this.#nextDueMs) this.#nextDueMs = call.dueMs
  }

  get(id: number): C | undefined {
    const call = this.#ring[id & RING_MASK]
    if (call !== undefined && call.id === id) return call
    return this.#old.size === 0 ? undefined : this.#old.get(id)
  }

  /** Finishes a call. @returns false when it was finished already. */
  delete(id: number): boolean {
    const place = id & RING_MASK
    if (this.#ring[place]?.id === id) this.#ring[place] = undefined
    else if (!this.#old.delete(id)) return false
    this.#size -= 1
    return true
  }

  /** Sets when a call is due. */
  setDue(call: C, dueMs: number): void {
    call.dueMs = dueMs
    if (dueMs < this.#nextDueMs) this.#nextDueMs = dueMs
  }

  /** All pending calls, oldest first. Those that are finished while it runs are left out. */
  *values(): IterableIterator<C> {
    yield* this.#old.values()
    if (this.#size === this.#old.size) return
    const end = this.#nextId
    for (let id = Math.max(1, end - RING_SIZE); id < end; id += 1) {
      const call = this.#ring[id & RING_MASK]
      if (call !== undefined && call.id === id) yield call
    }
  }

  /**
   * Every at-most-once reply with an id below this one was received or given up. Callees may forget those.
   * Amortised constant time: each id is passed once.
   */
  watermark(): number {
    let id = this.#watermark
    while (id < this.#nextId && this.get(id)?.atMostOnce !== true) id += 1
    this.#watermark = id
    return id
  }

  /** The calls that are due, oldest first. Each must be finished or get a later `dueMs` by the caller. */
  takeDue(nowMs: number): C[] {
    if (nowMs < this.#nextDueMs) return []
    const due: C[] = []
    let next = Number.POSITIVE_INFINITY
    for (const call of this.values()) {
      if (call.dueMs <= nowMs) due.push(call)
      else if (call.dueMs < next) next = call.dueMs
    }
    this.#nextDueMs = next
    return due
  }
}
