import type { RuleExpression } from '../rule/expression.ts'
import { Link } from '../chain.ts'

/** How keys compare: below zero, zero, above zero. */
export type Compare<K> = (left: K, right: K) => number

/** One pair in a container. It stays the same object until it is deleted. */
export interface ContainerNode<K, V> {
  readonly key: K
  readonly data: V
}

/** A node as the structures of this folder link it. */
export class Entry<K, V> extends Link<Entry<K, V>> implements ContainerNode<K, V> {
  readonly key: K
  readonly data: V
  readonly rule: RuleExpression | undefined
  /** The container's mark; undefined once deleted. */
  owner: object | undefined

  constructor(key: K, data: V, rule: RuleExpression | undefined, owner: object) {
    super()
    this.key = key
    this.data = data
    this.rule = rule
    this.owner = owner
  }
}

/** A structure that keeps entries findable and in some order. Entries given to it are its own. */
export interface Order<K, V> {
  insert(entry: Entry<K, V>): void
  remove(entry: Entry<K, V>): void
  /** The first entry with this key, in the structure's order. */
  find(key: K): Entry<K, V> | undefined
  first(): Entry<K, V> | undefined
  last(): Entry<K, V> | undefined
  next(entry: Entry<K, V>): Entry<K, V> | undefined
  previous(entry: Entry<K, V>): Entry<K, V> | undefined
}
