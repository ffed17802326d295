/** A timer as the heap sees it. */
export interface Due {
  /** When it is due, on the caller's clock. */
  dueMs: number
  /** Breaks ties: armed earlier, fires earlier. */
  order: number
  /** Place in the heap, -1 outside. */
  place: number
}

/** Binary heap of what is due, the earliest first; taking out the middle costs no more than the end. */
export class DueHeap<T extends Due> {
  readonly #items: T[] = []

  get size(): number {
    return this.#items.length
  }

  /** The earliest. */
  peek(): T | undefined {
    return this.#items[0]
  }

  add(item: T): void {
    this.#items.push(item)
    item.place = this.#items.length - 1
    this.#up(item)
  }

  /** Nothing where it is not in. */
  remove(item: T): void {
    const { place } = item
    if (this.#items[place] !== item) return
    const last = this.#items.pop()!
    item.place = -1
    if (last === item) return
    this.#put(last, place)
    this.#up(last)
    this.#down(last)
  }

  #up(item: T): void {
    while (item.place > 0) {
      const parent = this.#items[(item.place - 1) >> 1]!
      if (!isBefore(item, parent)) return
      this.#exchange(item, parent)
    }
  }

  #down(item: T): void {
    for (;;) {
      const left = this.#items[2 * item.place + 1]
      const right = this.#items[2 * item.place + 2]
      const child = right !== undefined && isBefore(right, left!) ? right : left
      if (child === undefined || !isBefore(child, item)) return
      this.#exchange(item, child)
    }
  }

  #exchange(a: T, b: T): void {
    const { place } = a
    this.#put(a, b.place)
    this.#put(b, place)
  }

  #put(item: T, place: number): void {
    this.#items[place] = item
    item.place = place
  }
}

function isBefore(a: Due, b: Due): boolean {
  return a.dueMs < b.dueMs || (a.dueMs === b.dueMs && a.order < b.order)
}
