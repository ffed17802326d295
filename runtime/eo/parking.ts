/** A call that waits for its component to get the role. */
export interface Parked<T> {
  readonly call: T
  readonly deadlineMs: number
  readonly parkedAtMs: number
}

/**
 * Calls that arrived before the role did. A core: bounded, first in first out.
 * At the bound `park` answers false, and the caller gets TRY_AGAIN: it surely did not run.
 */
export class Parking<T> {
  readonly #countMax: number
  #parked: Parked<T>[] = []

  constructor(countMax: number) {
    this.#countMax = countMax
  }

  get count(): number {
    return this.#parked.length
  }

  park(call: T, deadlineMs: number, nowMs: number): boolean {
    if (this.#parked.length >= this.#countMax) return false
    this.#parked.push({ call, deadlineMs, parkedAtMs: nowMs })
    return true
  }

  /** Takes out, in order of arrival, every parked call that `pick` picks. */
  take(pick: (parked: Parked<T>) => boolean): T[] {
    if (this.#parked.length === 0) return []
    const taken: T[] = []
    const kept: Parked<T>[] = []
    for (const parked of this.#parked) {
      if (pick(parked)) taken.push(parked.call)
      else kept.push(parked)
    }
    this.#parked = kept
    return taken
  }
}
