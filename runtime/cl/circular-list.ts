import { SdkError, type ClRcT } from '../../idl/index.ts'
import { CircularList, type CircularListNode } from '../basic/circular-list.ts'
import { ClLibrary, given, handlesOf, walked } from './library.ts'
import type { ClOut } from './process.ts'

/** A circular list, and a node of it. */
export type ClClistT<V> = CircularList<V>
export type ClClistNodeT<V> = CircularListNode<V>

/** What a full list does. SAFplus, section 20.5. */
export const CL_NO_DROP = 0
export const CL_DROP_FIRST = 1
const POLICIES = ['noDrop', 'dropFirst'] as const

const LIBRARY = new ClLibrary('CLIST')
const handle = handlesOf(CircularList)

/**
 * A list of `maxSize` nodes at most, 0: no limit. INVALID_PARAMETER for another drop policy; NULL_POINTER without one
 * of the callbacks.
 */
export function clClistCreate<V>(
  maxSize: number,
  dropPolicy: number,
  onDelete: (data: V) => void,
  onDestroy: (data: V) => void,
  out: ClOut<ClClistT<V> | undefined>,
): ClRcT {
  return LIBRARY.get(out, () => {
    const policy = POLICIES[dropPolicy]
    if (policy === undefined) {
      throw new SdkError('INVALID_PARAMETER', `there is no drop policy ${dropPolicy}`)
    }
    return new CircularList<V>({
      sizeMax: maxSize,
      policy,
      onDelete: given('onDelete', onDelete),
      onDestroy: given('onDestroy', onDestroy),
    })
  })
}

/** `CircularList.addFirst`. */
export function clClistFirstNodeAdd<V>(list: ClClistT<V>, data: V): ClRcT {
  return LIBRARY.run(() => void handle(list).addFirst(data))
}

/** `CircularList.addLast`. */
export function clClistLastNodeAdd<V>(list: ClClistT<V>, data: V): ClRcT {
  return LIBRARY.run(() => void handle(list).addLast(data))
}

/** `CircularList.addAfter`. */
export function clClistAfterNodeAdd<V>(list: ClClistT<V>, node: ClClistNodeT<V>, data: V): ClRcT {
  return LIBRARY.run(() => void handle(list).addAfter(node, data))
}

/** `CircularList.addBefore`. */
export function clClistBeforeNodeAdd<V>(list: ClClistT<V>, node: ClClistNodeT<V>, data: V): ClRcT {
  return LIBRARY.run(() => void handle(list).addBefore(node, data))
}

/** `CircularList.delete`. */
export function clClistNodeDelete<V>(list: ClClistT<V>, node: ClClistNodeT<V>): ClRcT {
  return LIBRARY.run(() => handle(list).delete(node))
}

/** `CircularList.first`. */
export function clClistFirstNodeGet<V>(
  list: ClClistT<V>,
  out: ClOut<ClClistNodeT<V> | undefined>,
): ClRcT {
  return LIBRARY.get(out, () => handle(list).first())
}

/** `CircularList.last`. */
export function clClistLastNodeGet<V>(
  list: ClClistT<V>,
  out: ClOut<ClClistNodeT<V> | undefined>,
): ClRcT {
  return LIBRARY.get(out, () => handle(list).last())
}

/** `CircularList.next`. */
export function clClistNextNodeGet<V>(
  list: ClClistT<V>,
  node: ClClistNodeT<V>,
  out: ClOut<ClClistNodeT<V> | undefined>,
): ClRcT {
  return LIBRARY.get(out, () => handle(list).next(node))
}

/** `CircularList.previous`. */
export function clClistPreviousNodeGet<V>(
  list: ClClistT<V>,
  node: ClClistNodeT<V>,
  out: ClOut<ClClistNodeT<V> | undefined>,
): ClRcT {
  return LIBRARY.get(out, () => handle(list).previous(node))
}

/** The node's data. */
export function clClistDataGet<V>(list: ClClistT<V>, node: ClClistNodeT<V>, out: ClOut<V>): ClRcT {
  return LIBRARY.run(() => {
    handle(list).next(node)
    given('out', out).value = node.data
  })
}

/** How many nodes there are. */
export function clClistSizeGet<V>(list: ClClistT<V>, out: ClOut<number>): ClRcT {
  return LIBRARY.get(out, () => handle(list).size)
}

/** `CircularList.destroy`. */
export function clClistDelete<V>(list: ClClistT<V>): ClRcT {
  return LIBRARY.run(() => handle(list).destroy())
}

/** Visits each node until a visit answers with another code than OK, which is then the walk's. */
export function clClistWalk<V, A>(
  list: ClClistT<V>,
  visit: (data: V, argument: A) => ClRcT,
  argument: A,
): ClRcT {
  return walked((next) =>
    LIBRARY.run(() => handle(list).walk((data) => next(given('visit', visit)(data, argument)))),
  )
}
