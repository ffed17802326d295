import { SdkError } from '../../idl/index.ts'
import { Chain, Link } from './chain.ts'

/** One place of a {@link CircularList}. */
export interface CircularListNode<V> {
  readonly data: V
}

class Place<V> extends Link<Place<V>> implements CircularListNode<V> {
  readonly data: V
  /** The list's mark; undefined once deleted. */
  owner: object | undefined

  constructor(data: V, owner: object) {
    super()
    this.data = data
    this.owner = owner
  }
}

/** What a circular list does when it is full, and whom it tells about nodes that go. */
export interface CircularListOptions<V> {
  /** Most nodes; 0: no limit. */
  readonly sizeMax: number
  /** At the limit: refuse the new node, or drop the first one. @defaultValue 'noDrop' */
  readonly policy?: 'noDrop' | 'dropFirst'
  readonly onDelete?: (data: V) => void
  /** For each node that is there when the list is destroyed. */
  readonly onDestroy?: (data: V) => void
}

/** A list whose last node is followed by its first. SAFplus, section 20.5. */
export class CircularList<V> {
  readonly #chain: Chain<Place<V>>
  readonly #options: CircularListOptions<V>
  readonly #mark = {}
  #destroyed = false

  /** @throws SdkError INVALID_PARAMETER when `sizeMax` is no whole number from 0. */
  constructor(options: CircularListOptions<V>) {
    this.#chain = new Chain(options.sizeMax)
    this.#options = options
  }

  get size(): number {
    this.#check()
    return this.#chain.size
  }

  /** @throws SdkError MAXSIZE_REACHED when it is full and drops nothing; so do the other three. */
  addFirst(data: V): CircularListNode<V> {
    return this.#insert(data, () => this.#chain.first)
  }

  addLast(data: V): CircularListNode<V> {
    return this.#insert(data, () => undefined)
  }

  addAfter(node: CircularListNode<V>, data: V): CircularListNode<V> {
    const place = this.#mine(node)
    return this.#insert(data, () => this.#afterDrop(place, place.next))
  }

  addBefore(node: CircularListNode<V>, data: V): CircularListNode<V> {
    const place = this.#mine(node)
    return this.#insert(data, () => this.#afterDrop(place, place))
  }

  delete(node: CircularListNode<V>): void {
    this.#takeOut(this.#mine(node))
    this.#options.onDelete?.(node.data)
  }

  first(): CircularListNode<V> | undefined {
    this.#check()
    return this.#chain.first
  }

  last(): CircularListNode<V> | undefined {
    this.#check()
    return this.#chain.last
  }

  /** The first one after the last. */
  next(node: CircularListNode<V>): CircularListNode<V> {
    return this.#mine(node).next ?? this.#chain.first!
  }

  /** The last one before the first. */
  previous(node: CircularListNode<V>): CircularListNode<V> {
    return this.#mine(node).previous ?? this.#chain.last!
  }

  /**
   * Visits each node once, from the first, until `visit` returns false. The visited node may be deleted, the next one
   * may not (INVALID_STATE).
   */
  walk(visit: (data: V, node: CircularListNode<V>) => boolean | void): void {
    this.#check()
    let place = this.#chain.first
    while (place !== undefined) {
      if (place.owner !== this.#mark) {
        throw new SdkError('INVALID_STATE', 'a visit deleted the node that comes next')
      }
      const next: Place<V> | undefined = place.next
      if (visit(place.data, place) === false) return
      place = next
    }
  }

  /** Ends the list: `onDestroy` for each node, INVALID_HANDLE for every use afterwards. */
  destroy(): void {
    this.#check()
    this.#chain.drain((place) => {
      place.owner = undefined
      this.#options.onDestroy?.(place.data)
    })
    this.#destroyed = true
  }

  #insert(data: V, successor: () => Place<V> | undefined): CircularListNode<V> {
    this.#check()
    const { sizeMax, policy, onDelete } = this.#options
    const dropped = this.#chain.isFull ? this.#chain.first! : undefined
    if (dropped !== undefined) {
      if (policy !== 'dropFirst') {
        throw new SdkError('MAXSIZE_REACHED', `the list has its ${sizeMax} nodes`)
      }
      this.#takeOut(dropped)
    }
    const place = new Place(data, this.#mark)
    this.#chain.insert(place, successor())
    // The list is whole again: what is told may use it.
    if (dropped !== undefined) onDelete?.(dropped.data)
    return place
  }

  /** Where the node that was named fell to the drop policy, its place is the head. */
  #afterDrop(named: Place<V>, successor: Place<V> | undefined): Place<V> | undefined {
    return named.owner === this.#mark ? successor : this.#chain.first
  }

  #takeOut(place: Place<V>): void {
    this.#chain.remove(place)
    place.owner = undefined
  }

  #mine(node: CircularListNode<V>): Place<V> {
    this.#check()
    if (node instanceof Place && node.owner === this.#mark) return node as Place<V>
    throw new SdkError('INVALID_HANDLE', 'the node is deleted, or of another list')
  }

  #check(): void {
    if (this.#destroyed) throw new SdkError('INVALID_HANDLE', 'the list is destroyed')
  }
}
