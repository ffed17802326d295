import { SdkError } from '../../../idl/index.ts'
import { evaluateRule, type RuleExpression } from '../rule/expression.ts'
import { HashOrder } from './hash-order.ts'
import { ListOrder } from './list-order.ts'
import { Entry, type Compare, type ContainerNode, type Order } from './order.ts'
import { TreeOrder } from './tree-order.ts'

/** What a container is made of. */
export type ContainerKind<K> =
  | { readonly kind: 'list' | 'orderedList' | 'tree' }
  /** `buckets` 1 to 1_048_576; `hash` gives any number, the same for keys that compare equal. */
  | { readonly kind: 'hash'; readonly buckets: number; readonly hash: (key: K) => number }

/** How a container treats its keys, and what it tells about nodes that go. */
export interface ContainerOptions<K, V> {
  readonly compare: Compare<K>
  /** A key that is there already: refused when true. @defaultValue true */
  readonly unique?: boolean
  /** For each node that a delete takes out. */
  readonly onDelete?: (key: K, data: V) => void
  /** For each node that is there when the container is destroyed. */
  readonly onDestroy?: (key: K, data: V) => void
}

const BUCKETS_MAX = 1_048_576

/**
 * Pairs of key and data behind one interface, whatever they are kept in: doubly linked list (in the order of
 * insertion),
 * ordered list, hash table, red-black tree (ascending). Equal keys keep the order of their insertion. SAFplus,
 * section
 * 20.4. Nodes of another container, or deleted ones, are refused with INVALID_HANDLE.
 */
export class Container<K, V> {
  readonly #order: Order<K, V>
  readonly #options: ContainerOptions<K, V>
  /** Marks the nodes of this container. */
  readonly #mark = {}
  #size = 0
  #destroyed = false

  /** @throws SdkError INVALID_PARAMETER for a number of buckets out of bounds; NULL_POINTER without a hash. */
  constructor(kind: ContainerKind<K>, options: ContainerOptions<K, V>) {
    this.#order = orderOf(kind, options.compare)
    this.#options = options
  }

  /** How many nodes there are. */
  get size(): number {
    this.#check()
    return this.#size
  }

  /**
   * @param rule - the node is visited by a walk only if this is true of the walk's words.
   * @throws SdkError DUPLICATE when keys are unique and this one is there.
   */
  add(key: K, data: V, rule?: RuleExpression): ContainerNode<K, V> {
    this.#check()
    if (this.#options.unique !== false && this.#order.find(key) !== undefined) {
      throw new SdkError('DUPLICATE', 'the key is in the container already')
    }
    const entry = new Entry(key, data, rule, this.#mark)
    this.#order.insert(entry)
    this.#size += 1
    return entry
  }

  /** The first node with this key. */
  find(key: K): ContainerNode<K, V> | undefined {
    this.#check()
    return this.#order.find(key)
  }

  /** Nodes with this key, the first first; those that `matches` accepts. */
  findAll(key: K, matches: (data: V) => boolean = () => true): readonly ContainerNode<K, V>[] {
    return this.#equals(key).filter(({ data }) => matches(data))
  }

  first(): ContainerNode<K, V> | undefined {
    this.#check()
    return this.#order.first()
  }

  last(): ContainerNode<K, V> | undefined {
    this.#check()
    return this.#order.last()
  }

  next(node: ContainerNode<K, V>): ContainerNode<K, V> | undefined {
    return this.#order.next(this.#mine(node))
  }

  previous(node: ContainerNode<K, V>): ContainerNode<K, V> | undefined {
    return this.#order.previous(this.#mine(node))
  }

  /** Takes a node out, then calls `onDelete`. */
  delete(node: ContainerNode<K, V>): void {
    const entry = this.#mine(node)
    this.#takeOut(entry)
    this.#options.onDelete?.(entry.key, entry.data)
  }

  /** Deletes every node with this key. Returns how many there were. */
  deleteKey(key: K): number {
    const entries = this.#equals(key)
    for (const entry of entries) if (entry.owner === this.#mark) this.delete(entry)
    return entries.length
  }

  /** Deletes every node. */
  clear(): void {
    this.#check()
    for (let entry = this.#order.first(); entry !== undefined; entry = this.#order.first()) {
      this.delete(entry)
    }
  }

  /** Ends the container: `onDestroy` for each node, INVALID_HANDLE for every use afterwards. */
  destroy(): void {
    this.#check()
    for (let entry = this.#order.first(); entry !== undefined; entry = this.#order.first()) {
      this.#takeOut(entry)
      this.#options.onDestroy?.(entry.key, entry.data)
    }
    this.#destroyed = true
  }

  /**
   * Visits nodes in order until `visit` returns false. The next node is fetched before the visit: the visited node
   * may
   * be deleted in it, the next one may not (INVALID_STATE).
   * @param words - what the nodes' rules are evaluated on.
   */
  walk(visit: (node: ContainerNode<K, V>) => boolean | void, words?: Uint32Array): void {
    this.#check()
    let entry = this.#order.first()
    while (entry !== undefined) {
      if (entry.owner !== this.#mark) {
        throw new SdkError('INVALID_STATE', 'a visit deleted the node that comes next')
      }
      const next = this.#order.next(entry)
      if (entry.rule === undefined || evaluateRule(entry.rule, words)) {
        if (visit(entry) === false) return
      }
      entry = next
    }
  }

  /** Throws the invariant of the structure that does not hold. @internal */
  checkInvariants(): void {
    if (this.#order instanceof TreeOrder) this.#order.checkInvariants()
  }

  #equals(key: K): readonly Entry<K, V>[] {
    this.#check()
    const found: Entry<K, V>[] = []
    const { compare } = this.#options
    const isTree = this.#order instanceof TreeOrder
    let at = this.#order.find(key)
    while (at !== undefined) {
      if (compare(at.key, key) === 0) found.push(at)
      // In a tree equal keys are neighbours; in a list, and a bucket is one, others may be between.
      else if (isTree) break
      at = isTree ? this.#order.next(at) : at.next
    }
    return found
  }

  #takeOut(entry: Entry<K, V>): void {
    this.#order.remove(entry)
    entry.owner = undefined
    this.#size -= 1
  }

  #mine(node: ContainerNode<K, V>): Entry<K, V> {
    this.#check()
    if (node instanceof Entry && node.owner === this.#mark) return node as Entry<K, V>
    throw new SdkError('INVALID_HANDLE', 'the node is deleted, or of another container')
  }

  #check(): void {
    if (this.#destroyed) throw new SdkError('INVALID_HANDLE', 'the container is destroyed')
  }
}

function orderOf<K, V>(kind: ContainerKind<K>, compare: Compare<K>): Order<K, V> {
  switch (kind.kind) {
    case 'list':
    case 'orderedList':
      return new ListOrder(compare, kind.kind === 'orderedList')
    case 'tree':
      return new TreeOrder(compare)
    case 'hash':
      if (typeof kind.hash !== 'function') {
        throw new SdkError('NULL_POINTER', 'a hash table needs a hash function')
      }
      if (!Number.isInteger(kind.buckets) || kind.buckets < 1 || kind.buckets > BUCKETS_MAX) {
        throw new SdkError(
          'INVALID_PARAMETER',
          `a hash table has 1 to ${BUCKETS_MAX} buckets, not ${kind.buckets}`,
        )
      }
      return new HashOrder(compare, kind.hash, kind.buckets)
  }
}
