import { CL_OK, SdkError, type ClRcT } from '../../idl/index.ts'
import { Container, type ContainerKind } from '../basic/container/container.ts'
import type { Compare, ContainerNode } from '../basic/container/order.ts'
import type { RuleExpression } from '../basic/rule/expression.ts'
import { ClLibrary, given, handlesOf, walked } from './library.ts'
import type { ClOut } from './process.ts'

/** A container, and a node of it. */
export type ClCntHandleT<K, V> = Container<K, V>
export type ClCntNodeHandleT<K, V> = ContainerNode<K, V>

/** Whether a key may be there more than once. SAFplus, section 20.4. */
export const CL_CNT_UNIQUE_KEY = 1
export const CL_CNT_NON_UNIQUE_KEY = 2

/** What is told of a node that goes; null: nothing. */
export type ClCntDeleteCallbackT<K, V> = ((key: K, data: V) => void) | null
/** What a walk calls. */
export type ClCntWalkCallbackT<K, V, A> = (key: K, data: V, argument: A, length: number) => ClRcT

const LIBRARY = new ClLibrary('CNT')
const handle = handlesOf(Container)

/** A doubly linked list in the order of insertion. */
export function clCntLlistCreate<K, V>(
  compare: Compare<K>,
  onDelete: ClCntDeleteCallbackT<K, V>,
  onDestroy: ClCntDeleteCallbackT<K, V>,
  keyType: number,
  out: ClOut<ClCntHandleT<K, V> | undefined>,
): ClRcT {
  return created({ kind: 'list' }, compare, [onDelete, onDestroy], keyType, out)
}

/** A doubly linked list, ascending. */
export function clCntOrderedLlistCreate<K, V>(
  compare: Compare<K>,
  onDelete: ClCntDeleteCallbackT<K, V>,
  onDestroy: ClCntDeleteCallbackT<K, V>,
  keyType: number,
  out: ClOut<ClCntHandleT<K, V> | undefined>,
): ClRcT {
  return created({ kind: 'orderedList' }, compare, [onDelete, onDestroy], keyType, out)
}

/** A hash table. */
export function clCntHashtblCreate<K, V>(
  buckets: number,
  compare: Compare<K>,
  hash: (key: K) => number,
  onDelete: ClCntDeleteCallbackT<K, V>,
  onDestroy: ClCntDeleteCallbackT<K, V>,
  keyType: number,
  out: ClOut<ClCntHandleT<K, V> | undefined>,
): ClRcT {
  return created({ kind: 'hash', buckets, hash }, compare, [onDelete, onDestroy], keyType, out)
}

/** A red-black tree. */
export function clCntRbtreeCreate<K, V>(
  compare: Compare<K>,
  onDelete: ClCntDeleteCallbackT<K, V>,
  onDestroy: ClCntDeleteCallbackT<K, V>,
  keyType: number,
  out: ClOut<ClCntHandleT<K, V> | undefined>,
): ClRcT {
  return created({ kind: 'tree' }, compare, [onDelete, onDestroy], keyType, out)
}

/** The same: nothing here is used by two threads at a time. */
export const clCntThreadSafeLlistCreate = clCntLlistCreate

/** The same: nothing here is used by two threads at a time. */
export const clCntThreadSafeOrderedLlistCreate = clCntOrderedLlistCreate

/** The same: nothing here is used by two threads at a time. */
export const clCntThreadSafeHashtblCreate = clCntHashtblCreate

/** The same: nothing here is used by two threads at a time. */
export const clCntThreadSafeRbtreeCreate = clCntRbtreeCreate

/** `Container.add`. */
export function clCntNodeAdd<K, V>(
  container: ClCntHandleT<K, V>,
  key: K,
  data: V,
  rule: RuleExpression | null,
): ClRcT {
  return LIBRARY.run(() => void handle(container).add(key, data, rule ?? undefined))
}

/** `Container.add`, with the node. */
export function clCntNodeAddAndNodeGet<K, V>(
  container: ClCntHandleT<K, V>,
  key: K,
  data: V,
  rule: RuleExpression | null,
  out: ClOut<ClCntNodeHandleT<K, V> | undefined>,
): ClRcT {
  return LIBRARY.get(out, () => handle(container).add(key, data, rule ?? undefined))
}

/** `Container.find`. */
export function clCntNodeFind<K, V>(
  container: ClCntHandleT<K, V>,
  key: K,
  out: ClOut<ClCntNodeHandleT<K, V> | undefined>,
): ClRcT {
  return LIBRARY.get(out, () => handle(container).find(key))
}

/** `Container.first`. */
export function clCntFirstNodeGet<K, V>(
  container: ClCntHandleT<K, V>,
  out: ClOut<ClCntNodeHandleT<K, V> | undefined>,
): ClRcT {
  return LIBRARY.get(out, () => handle(container).first())
}

/** `Container.last`. */
export function clCntLastNodeGet<K, V>(
  container: ClCntHandleT<K, V>,
  out: ClOut<ClCntNodeHandleT<K, V> | undefined>,
): ClRcT {
  return LIBRARY.get(out, () => handle(container).last())
}

/** `Container.next`. */
export function clCntNextNodeGet<K, V>(
  container: ClCntHandleT<K, V>,
  node: ClCntNodeHandleT<K, V>,
  out: ClOut<ClCntNodeHandleT<K, V> | undefined>,
): ClRcT {
  return LIBRARY.get(out, () => handle(container).next(node))
}

/** `Container.previous`. */
export function clCntPreviousNodeGet<K, V>(
  container: ClCntHandleT<K, V>,
  node: ClCntNodeHandleT<K, V>,
  out: ClOut<ClCntNodeHandleT<K, V> | undefined>,
): ClRcT {
  return LIBRARY.get(out, () => handle(container).previous(node))
}

/** The node's key. */
export function clCntNodeUserKeyGet<K, V>(
  container: ClCntHandleT<K, V>,
  node: ClCntNodeHandleT<K, V>,
  out: ClOut<K>,
): ClRcT {
  return LIBRARY.run(() => {
    handle(container).next(node)
    given('out', out).value = node.key
  })
}

/** The node's data. */
export function clCntNodeUserDataGet<K, V>(
  container: ClCntHandleT<K, V>,
  node: ClCntNodeHandleT<K, V>,
  out: ClOut<V>,
): ClRcT {
  return LIBRARY.run(() => {
    handle(container).next(node)
    given('out', out).value = node.data
  })
}

/** Data of the first node with this key. */
export function clCntDataForKeyGet<K, V>(
  container: ClCntHandleT<K, V>,
  key: K,
  out: ClOut<V>,
): ClRcT {
  const node: ClOut<ClCntNodeHandleT<K, V> | undefined> = { value: undefined }
  const rc = clCntNodeFind(container, key, node)
  return rc === CL_OK ? LIBRARY.run(() => void (given('out', out).value = node.value!.data)) : rc
}

/** Data of the first node with this key whose data compares as equal; `compare` gets `data` first. */
export function clCntNonUniqueKeyFind<K, V>(
  container: ClCntHandleT<K, V>,
  key: K,
  data: V,
  compare: (given: V, there: V) => number,
  out: ClOut<V>,
): ClRcT {
  return LIBRARY.run(() => {
    given('out', out).value = firstEqual(container, key, data, compare).data
  })
}

/** Deletes the first node with this key whose data compares as equal; NOT_EXIST when there is none. */
export function clCntNonUniqueKeyDelete<K, V>(
  container: ClCntHandleT<K, V>,
  key: K,
  data: V,
  compare: (given: V, there: V) => number,
): ClRcT {
  return LIBRARY.run(() => container.delete(firstEqual(container, key, data, compare)))
}

/** How many nodes there are. */
export function clCntSizeGet<K, V>(container: ClCntHandleT<K, V>, out: ClOut<number>): ClRcT {
  return LIBRARY.get(out, () => handle(container).size)
}

/** How many nodes have this key. */
export function clCntKeySizeGet<K, V>(
  container: ClCntHandleT<K, V>,
  key: K,
  out: ClOut<number>,
): ClRcT {
  return LIBRARY.get(out, () => handle(container).findAll(key).length)
}

/** `Container.delete`. */
export function clCntNodeDelete<K, V>(
  container: ClCntHandleT<K, V>,
  node: ClCntNodeHandleT<K, V>,
): ClRcT {
  return LIBRARY.run(() => handle(container).delete(node))
}

/** `Container.deleteKey`; NOT_EXIST when there is none. */
export function clCntAllNodesForKeyDelete<K, V>(container: ClCntHandleT<K, V>, key: K): ClRcT {
  return LIBRARY.get({ value: 0 }, () => handle(container).deleteKey(key) || undefined)
}

/** `Container.clear`. */
export function clCntAllNodesDelete<K, V>(container: ClCntHandleT<K, V>): ClRcT {
  return LIBRARY.run(() => handle(container).clear())
}

/** `Container.destroy`. */
export function clCntDelete<K, V>(container: ClCntHandleT<K, V>): ClRcT {
  return LIBRARY.run(() => handle(container).destroy())
}

/**
 * Visits the nodes until a visit answers with another code than OK, which is then the walk's. An argument of words
 * is what rules
 * are evaluated on; `length` is theirs.
 */
export function clCntWalk<K, V, A>(
  container: ClCntHandleT<K, V>,
  visit: ClCntWalkCallbackT<K, V, A>,
  argument: A,
  length: number,
): ClRcT {
  const words = argument instanceof Uint32Array ? argument.subarray(0, length) : undefined
  return walked((next) =>
    LIBRARY.run(() => {
      const call = given('visit', visit)
      handle(container).walk(({ key, data }) => next(call(key, data, argument, length)), words)
    }),
  )
}

/** The same, whatever the visits answer. */
export function clCntWalkFailSafe<K, V, A>(
  container: ClCntHandleT<K, V>,
  visit: ClCntWalkCallbackT<K, V, A>,
  argument: A,
  length: number,
): ClRcT {
  const all: ClCntWalkCallbackT<K, V, A> = (...visited) => {
    given('visit', visit)(...visited)
    return CL_OK
  }
  return clCntWalk(container, all, argument, length)
}

function created<K, V>(
  kind: ContainerKind<K>,
  compare: Compare<K>,
  [onDelete, onDestroy]: readonly [ClCntDeleteCallbackT<K, V>, ClCntDeleteCallbackT<K, V>],
  keyType: number,
  out: ClOut<ClCntHandleT<K, V> | undefined>,
): ClRcT {
  return LIBRARY.get(out, () => {
    if (keyType !== CL_CNT_UNIQUE_KEY && keyType !== CL_CNT_NON_UNIQUE_KEY) {
      throw new SdkError('INVALID_PARAMETER', `there is no key type ${keyType}`)
    }
    return new Container<K, V>(kind, {
      compare: given('compare', compare),
      unique: keyType === CL_CNT_UNIQUE_KEY,
      ...(onDelete === null ? {} : { onDelete }),
      ...(onDestroy === null ? {} : { onDestroy }),
    })
  })
}

function firstEqual<K, V>(
  container: ClCntHandleT<K, V>,
  key: K,
  data: V,
  compare: (given: V, there: V) => number,
): ClCntNodeHandleT<K, V> {
  const isEqual = given('compare', compare)
  const [found] = handle(container).findAll(key, (there) => isEqual(data, there) === 0)
  if (found !== undefined) return found
  throw new SdkError('NOT_EXIST', 'no node has this key and such data')
}
