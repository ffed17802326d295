import { Chain } from '../chain.ts'
import type { Compare, Entry, Order } from './order.ts'

/** Doubly linked list: in the order of insertion, or ascending where `sorted`. Finding is linear. */
export class ListOrder<K, V> implements Order<K, V> {
  readonly #chain = new Chain<Entry<K, V>>()
  readonly #compare: Compare<K>
  readonly #sorted: boolean

  constructor(compare: Compare<K>, sorted: boolean) {
    this.#compare = compare
    this.#sorted = sorted
  }

  insert(entry: Entry<K, V>): void {
    this.#chain.insert(entry, this.#sorted ? this.#successor(entry.key) : undefined)
  }

  remove(entry: Entry<K, V>): void {
    this.#chain.remove(entry)
  }

  find(key: K): Entry<K, V> | undefined {
    for (let at = this.#chain.first; at !== undefined; at = at.next) {
      if (this.#compare(at.key, key) === 0) return at
    }
    return undefined
  }

  first(): Entry<K, V> | undefined {
    return this.#chain.first
  }

  last(): Entry<K, V> | undefined {
    return this.#chain.last
  }

  next(entry: Entry<K, V>): Entry<K, V> | undefined {
    return entry.next
  }

  previous(entry: Entry<K, V>): Entry<K, V> | undefined {
    return entry.previous
  }

  /** The first entry with a greater key. From the end: keys mostly arrive ascending. */
  #successor(key: K): Entry<K, V> | undefined {
    let successor: Entry<K, V> | undefined
    for (let at = this.#chain.last; at !== undefined; at = at.previous) {
      if (this.#compare(at.key, key) <= 0) return successor
      successor = at
    }
    return successor
  }
}
