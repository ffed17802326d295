/** A set of whole numbers kept as ranges that do not touch: small as long as what is missing is little. */
export class Ranges {
  /** First and last of each range, ascending. */
  readonly #firsts: number[] = []
  readonly #lasts: number[] = []
  #count = 0

  /** How many numbers are in the set. */
  get count(): number {
    return this.#count
  }

  /** The smallest number; undefined while empty. */
  get lowest(): number | undefined {
    return this.#firsts[0]
  }

  get highest(): number | undefined {
    return this.#lasts.at(-1)
  }

  /** How many ranges the set is made of. */
  get rangeCount(): number {
    return this.#firsts.length
  }

  /** Adds `first` to `last` and says how many of these numbers were in the set already. */
  add(first: number, last: number): number {
    // Ranges from `from` up to (not including) `to` overlap or touch the new one and melt into it.
    const from = this.#indexOfLastAtLeast(first - 1)
    let to = from
    let merged: readonly [number, number] = [first, last]
    let already = 0
    while (to < this.#firsts.length && (this.#firsts[to] ?? 0) <= last + 1) {
      const [oneFirst, oneLast] = [this.#firsts[to] ?? 0, this.#lasts[to] ?? 0]
      already += Math.max(0, Math.min(last, oneLast) - Math.max(first, oneFirst) + 1)
      merged = [Math.min(merged[0], oneFirst), Math.max(merged[1], oneLast)]
      to += 1
    }
    this.#firsts.splice(from, to - from, merged[0])
    this.#lasts.splice(from, to - from, merged[1])
    this.#count += last - first + 1 - already
    return already
  }

  /** The gaps between the lowest and the highest number, at most `countMax` of them. */
  gaps(countMax: number): readonly (readonly [number, number])[] {
    const found: [number, number][] = []
    for (let index = 1; index < this.#firsts.length && found.length < countMax; index += 1)
      found.push([(this.#lasts[index - 1] ?? 0) + 1, (this.#firsts[index] ?? 0) - 1])
    return found
  }

  /** Index of the first range that ends at `value` or later; new numbers mostly come at the end. */
  #indexOfLastAtLeast(value: number): number {
    let low = 0
    let high = this.#lasts.length
    while (low < high) {
      const middle = (low + high) >>> 1
      if ((this.#lasts[middle] ?? 0) < value) low = middle + 1
      else high = middle
    }
    return low
  }
}
