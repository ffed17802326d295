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

export class CallTable<C extends TableCall> {
  readonly #calls = new Map<number, C>()
  #nextId = 1
  #watermark = 1
  #nextDueMs = Number.POSITIVE_INFINITY

  /** Calls that are pending. */
  get size(): number {
    return this.#calls.size
  }

  /** When {@link takeDue} should be called next; infinite when nothing waits. */
  get nextDueMs(): number {
    return this.#calls.size === 0 ? Number.POSITIVE_INFINITY : this.#nextDueMs
  }

  /** A new message id. */
  takeId(): number {
    const id = this.#nextId
    this.#nextId = id + 1
    return id
  }

  /** Enters a call under its id, which was taken after those of all calls that were entered before. */
  add(call: C): void {
    this.#calls.set(call.id, call)
    if (call.dueMs < this.#nextDueMs) this.#nextDueMs = call.dueMs
  }

  get(id: number): C | undefined {
    return this.#calls.get(id)
  }

  /** Finishes a call. @returns false when it was finished already. */
  delete(id: number): boolean {
    return this.#calls.delete(id)
  }

  /** Sets when a call is due. */
  setDue(call: C, dueMs: number): void {
    call.dueMs = dueMs
    if (dueMs < this.#nextDueMs) this.#nextDueMs = dueMs
  }

  /** All pending calls, oldest first. Calls that are finished meanwhile are left out. */
  values(): IterableIterator<C> {
    return this.#calls.values()
  }

  /**
   * Every at-most-once reply with an id below this one was received or given up. Callees may forget those.
   * Amortised constant time: each id is passed once.
   */
  watermark(): number {
    let id = this.#watermark
    while (id < this.#nextId && this.#calls.get(id)?.atMostOnce !== true) id += 1
    this.#watermark = id
    return id
  }

  /** The calls that are due, oldest first. Each must be finished or get a later `dueMs` by the caller. */
  takeDue(nowMs: number): C[] {
    if (nowMs < this.#nextDueMs) return []
    const due: C[] = []
    let next = Number.POSITIVE_INFINITY
    for (const call of this.#calls.values()) {
      if (call.dueMs <= nowMs) due.push(call)
      else if (call.dueMs < next) next = call.dueMs
    }
    this.#nextDueMs = next
    return due
  }
}
