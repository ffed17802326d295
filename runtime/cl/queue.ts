import type { ClRcT } from '../../idl/index.ts'
import { Queue } from '../basic/queue.ts'
import { ClLibrary, given, handlesOf, walked } from './library.ts'
import type { ClOut } from './process.ts'

/** A queue. */
export type ClQueueT<V> = Queue<V>

const LIBRARY = new ClLibrary('QUEUE')
const handle = handlesOf(Queue)

/** A queue of `maxSize` elements at most, 0: no limit. */
export function clQueueCreate<V>(
  maxSize: number,
  onDequeue: ((data: V) => void) | null,
  onDestroy: ((data: V) => void) | null,
  out: ClOut<ClQueueT<V> | undefined>,
): ClRcT {
  return LIBRARY.get(
    out,
    () =>
      new Queue<V>({
        sizeMax: maxSize,
        ...(onDequeue === null ? {} : { onDequeue }),
        ...(onDestroy === null ? {} : { onDestroy }),
      }),
  )
}

/** `Queue.enqueue`. */
export function clQueueNodeInsert<V>(queue: ClQueueT<V>, data: V): ClRcT {
  return LIBRARY.run(() => handle(queue).enqueue(data))
}

/** `Queue.dequeue`. */
export function clQueueNodeDelete<V>(queue: ClQueueT<V>, out: ClOut<V>): ClRcT {
  return LIBRARY.run(() => {
    given('out', out).value = handle(queue).dequeue()
  })
}

/** How many elements there are. */
export function clQueueSizeGet<V>(queue: ClQueueT<V>, out: ClOut<number>): ClRcT {
  return LIBRARY.get(out, () => handle(queue).size)
}

/** `Queue.destroy`. */
export function clQueueDelete<V>(queue: ClQueueT<V>): ClRcT {
  return LIBRARY.run(() => handle(queue).destroy())
}

/** Visits each element until a visit answers with another code than OK, which is then the walk's. */
export function clQueueWalk<V, A>(
  queue: ClQueueT<V>,
  visit: (data: V, argument: A) => ClRcT,
  argument: A,
): ClRcT {
  return walked((next) =>
    LIBRARY.run(() => handle(queue).walk((data) => next(given('visit', visit)(data, argument)))),
  )
}
