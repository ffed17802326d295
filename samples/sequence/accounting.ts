import { Ranges } from './ranges.ts'

/** What became of the numbers. */
export interface Account {
  /** Numbers that callers got. */
  readonly drawn: number
  /** Calls that ended in an error. */
  readonly failed: number
  /** Numbers up to the highest issued that no caller got. */
  readonly lost: number
  /** Numbers that two calls got. */
  readonly duplicated: number
}

/**
 * Keeps the books of one load client that is the only caller of its service. The lowest number it ever got is where its
 * books begin; they must be closed while no call is under way, or what is under way counts as lost.
 */
export class Accounting {
  readonly #got = new Ranges()
  #duplicated = 0
  #failed = 0

  /** A call was answered with these numbers. */
  answered(first: number, last: number): void {
    this.#duplicated += this.#got.add(first, last)
  }

  callFailed(): void {
    this.#failed += 1
  }

  /** Ranges that nobody got, for a report. */
  gaps(countMax: number): readonly (readonly [number, number])[] {
    return this.#got.gaps(countMax)
  }

  get account(): Account {
    const { lowest, highest, count } = this.#got
    const issued = lowest === undefined || highest === undefined ? 0 : highest - lowest + 1
    return {
      drawn: count + this.#duplicated,
      failed: this.#failed,
      lost: issued - count,
      duplicated: this.#duplicated,
    }
  }
}
