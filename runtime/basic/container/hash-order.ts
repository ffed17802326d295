import { ListOrder } from './list-order.ts'
import type { Compare, Entry, Order } from './order.ts'

/** Hash table with open hashing: a list for each bucket, walked bucket by bucket. */
export class HashOrder<K, V> implements Order<K, V> {
  readonly #buckets: readonly ListOrder<K, V>[]
  readonly #hash: (key: K) => number

  /** @param hash - any number; it is taken modulo `buckets`. */
  constructor(compare: Compare<K>, hash: (key: K) => number, buckets: number) {
    this.#hash = hash
    this.#buckets = Array.from({ length: buckets }, () => new ListOrder(compare, false))
  }

  insert(entry: Entry<K, V>): void {
    this.#bucketOf(entry.key).insert(entry)
  }

  remove(entry: Entry<K, V>): void {
    this.#bucketOf(entry.key).remove(entry)
  }

  find(key: K): Entry<K, V> | undefined {
    return this.#bucketOf(key).find(key)
  }

  first(): Entry<K, V> | undefined {
    return this.#firstFrom(0)
  }

  last(): Entry<K, V> | undefined {
    return this.#lastFrom(this.#buckets.length - 1)
  }

  next(entry: Entry<K, V>): Entry<K, V> | undefined {
    return entry.next ?? this.#firstFrom(this.#indexOf(entry.key) + 1)
  }

  previous(entry: Entry<K, V>): Entry<K, V> | undefined {
    return entry.previous ?? this.#lastFrom(this.#indexOf(entry.key) - 1)
  }

  #firstFrom(index: number): Entry<K, V> | undefined {
    for (let at = index; at < this.#buckets.length; at += 1) {
      const first = this.#buckets[at]!.first()
      if (first !== undefined) return first
    }
    return undefined
  }

  #lastFrom(index: number): Entry<K, V> | undefined {
    for (let at = index; at >= 0; at -= 1) {
      const last = this.#buckets[at]!.last()
      if (last !== undefined) return last
    }
    return undefined
  }

  #indexOf(key: K): number {
    return (Math.trunc(this.#hash(key)) >>> 0) % this.#buckets.length
  }

  #bucketOf(key: K): ListOrder<K, V> {
    return this.#buckets[this.#indexOf(key)]!
  }
}
