import type { Compare, Entry, Order } from './order.ts'

/** A place in the tree. */
interface TreeNode<K, V> {
  readonly entry: Entry<K, V>
  parent: TreeNode<K, V> | undefined
  left: TreeNode<K, V> | undefined
  right: TreeNode<K, V> | undefined
  red: boolean
}

type Side = 'left' | 'right'
const OTHER = { left: 'right', right: 'left' } as const

/**
 * Red-black tree, ascending; equal keys in the order of insertion.
 *
 * I1 the root is black; I2 a red node has no red child; I3 every way down passes the same number of black nodes.
 */
export class TreeOrder<K, V> implements Order<K, V> {
  readonly #compare: Compare<K>
  readonly #places = new WeakMap<Entry<K, V>, TreeNode<K, V>>()
  #root: TreeNode<K, V> | undefined

  constructor(compare: Compare<K>) {
    this.#compare = compare
  }

  insert(entry: Entry<K, V>): void {
    let parent: TreeNode<K, V> | undefined
    let side: Side = 'left'
    for (let at = this.#root; at !== undefined; at = at[side]) {
      parent = at
      side = this.#compare(entry.key, at.entry.key) < 0 ? 'left' : 'right'
    }
    const node = { entry, parent, left: undefined, right: undefined, red: true }
    this.#places.set(entry, node)
    if (parent === undefined) this.#root = node
    else parent[side] = node
    this.#afterInsert(node)
  }

  remove(entry: Entry<K, V>): void {
    const node = this.#places.get(entry)!
    this.#places.delete(entry)
    if (node.left !== undefined && node.right !== undefined) {
      this.#exchange(node, leftmost(node.right))
    }
    const child = node.left ?? node.right
    if (!node.red) {
      if (child?.red === true) child.red = false
      else this.#beforeBlackLeaves(node)
    }
    this.#put(node, child)
  }

  find(key: K): Entry<K, V> | undefined {
    let found: TreeNode<K, V> | undefined
    let at = this.#root
    while (at !== undefined) {
      const order = this.#compare(key, at.entry.key)
      if (order === 0) found = at
      at = order <= 0 ? at.left : at.right
    }
    return found?.entry
  }

  first(): Entry<K, V> | undefined {
    return this.#root === undefined ? undefined : leftmost(this.#root).entry
  }

  last(): Entry<K, V> | undefined {
    return this.#root === undefined ? undefined : outermost(this.#root, 'right').entry
  }

  next(entry: Entry<K, V>): Entry<K, V> | undefined {
    return this.#neighbour(entry, 'right')
  }

  previous(entry: Entry<K, V>): Entry<K, V> | undefined {
    return this.#neighbour(entry, 'left')
  }

  /** Number of black nodes on every way down. @throws Error naming the invariant that does not hold. @internal */
  checkInvariants(): number {
    if (this.#root?.red === true) throw new Error('I1: the root is red')
    return blackHeight(this.#root)
  }

  #neighbour(entry: Entry<K, V>, side: Side): Entry<K, V> | undefined {
    let node = this.#places.get(entry)!
    const below = node[side]
    if (below !== undefined) return outermost(below, OTHER[side]).entry
    while (node.parent !== undefined && node.parent[side] === node) node = node.parent
    return node.parent?.entry
  }

  #afterInsert(inserted: TreeNode<K, V>): void {
    let node = inserted
    while (node.parent?.red === true) {
      const { parent } = node
      const grandparent = parent.parent!
      const side = sideOf(parent)
      const uncle = grandparent[OTHER[side]]
      if (uncle?.red === true) {
        parent.red = false
        uncle.red = false
        grandparent.red = true
        node = grandparent
        continue
      }
      if (node === parent[OTHER[side]]) {
        this.#rotate(parent, side)
        node = parent
      }
      node.parent!.red = false
      grandparent.red = true
      this.#rotate(grandparent, OTHER[side])
    }
    this.#root!.red = false
  }

  /** Restores I3 around a black node that is about to go and has no red child to take its colour. */
  #beforeBlackLeaves(leaving: TreeNode<K, V>): void {
    let node = leaving
    while (node.parent !== undefined && !node.red) {
      const { parent } = node
      const side = sideOf(node)
      let sibling = parent[OTHER[side]]!
      if (sibling.red) {
        sibling.red = false
        parent.red = true
        this.#rotate(parent, side)
        sibling = parent[OTHER[side]]!
      }
      const near = sibling[side]
      const far = sibling[OTHER[side]]
      if (near?.red !== true && far?.red !== true) {
        sibling.red = true
        node = parent
        continue
      }
      if (far?.red !== true) {
        near!.red = false
        sibling.red = true
        this.#rotate(sibling, OTHER[side])
        sibling = parent[OTHER[side]]!
      }
      sibling.red = parent.red
      parent.red = false
      sibling[OTHER[side]]!.red = false
      this.#rotate(parent, side)
      return
    }
    node.red = false
  }

  /** `node` goes down to its `side`, the child of the other side takes its place. */
  #rotate(node: TreeNode<K, V>, side: Side): void {
    const child = node[OTHER[side]]!
    const inner = child[side]
    this.#put(node, child)
    node[OTHER[side]] = inner
    if (inner !== undefined) inner.parent = node
    child[side] = node
    node.parent = child
  }

  /** Puts `replacement` in the place that `node` has below its parent. */
  #put(node: TreeNode<K, V>, replacement: TreeNode<K, V> | undefined): void {
    const { parent } = node
    if (parent === undefined) this.#root = replacement
    else parent[sideOf(node)] = replacement
    if (replacement !== undefined) replacement.parent = parent
  }

  /** Exchanges the places of a node with two children and of its successor, which has no left child. */
  #exchange(node: TreeNode<K, V>, successor: TreeNode<K, V>): void {
    const { left, right, red } = node
    const { parent: above, right: below } = successor
    this.#put(node, successor)
    node.red = successor.red
    successor.red = red
    successor.left = left
    left!.parent = successor
    node.left = undefined
    node.right = below
    if (below !== undefined) below.parent = node
    if (above === node) {
      successor.right = node
      node.parent = successor
      return
    }
    successor.right = right
    right!.parent = successor
    above!.left = node
    node.parent = above
  }
}

function sideOf<K, V>(node: TreeNode<K, V>): Side {
  return node.parent!.left === node ? 'left' : 'right'
}

function outermost<K, V>(node: TreeNode<K, V>, side: Side): TreeNode<K, V> {
  let at = node
  for (let below = at[side]; below !== undefined; below = at[side]) at = below
  return at
}

function leftmost<K, V>(node: TreeNode<K, V>): TreeNode<K, V> {
  return outermost(node, 'left')
}

function blackHeight<K, V>(node: TreeNode<K, V> | undefined): number {
  if (node === undefined) return 1
  if (node.red && (node.left?.red === true || node.right?.red === true)) {
    throw new Error('I2: a red node has a red child')
  }
  const left = blackHeight(node.left)
  if (left !== blackHeight(node.right)) throw new Error('I3: black heights differ')
  return left + (node.red ? 0 : 1)
}
