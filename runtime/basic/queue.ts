import { SdkError } from '../../idl/index.ts'
import { Chain, Link } from './chain.ts'

class Place<V> extends Link<Place<V>> {
  readonly data: V
  isQueued = true

  constructor(data: V) {
    super()
    this.data = data
  }
}

/** How long a queue may get, and whom it tells about what goes. */
export interface QueueOptions<V> {
  /** Most elements; 0: no limit. */
  readonly sizeMax: number
  readonly onDequeue?: (data: V) => void
  /** For each element that is there when the queue is destroyed. */
  readonly onDestroy?: (data: V) => void
}

/** Counters of a queue since it was made. */
export interface QueueStatistics {
  readonly size: number
  readonly sizePeak: number
  readonly enqueued: number
  readonly dequeued: number
  /** Elements refused because the queue was full. */
  readonly refused: number
}

/** First in, first out. SAFplus, section 20.6. */
export class Queue<V> {
  readonly #chain: Chain<Place<V>>
  readonly #options: QueueOptions<V>
  #sizePeak = 0
  #enqueued = 0
  #dequeued = 0
  #refused = 0
  #destroyed = false

  /** @throws SdkError INVALID_PARAMETER when `sizeMax` is no whole number from 0. */
  constructor(options: QueueOptions<V>) {
    this.#chain = new Chain(options.sizeMax)
    this.#options = options
  }

  get size(): number {
    this.#check()
    return this.#chain.size
  }

  /** Puts an element at the end. @throws SdkError MAXSIZE_REACHED when the queue is full. */
  enqueue(data: V): void {
    this.#check()
    if (this.#chain.isFull) {
      this.#refused += 1
      throw new SdkError('MAXSIZE_REACHED', `the queue has its ${this.#chain.size} elements`)
    }
    this.#chain.insert(new Place(data))
    this.#enqueued += 1
    this.#sizePeak = Math.max(this.#sizePeak, this.#chain.size)
  }

  /** Takes the first element out, then calls `onDequeue`. @throws SdkError NOT_EXIST when the queue is empty. */
  dequeue(): V {
    this.#check()
    const { first } = this.#chain
    if (first === undefined) throw new SdkError('NOT_EXIST', 'the queue is empty')
    this.#chain.remove(first)
    first.isQueued = false
    this.#dequeued += 1
    this.#options.onDequeue?.(first.data)
    return first.data
  }

  /** Visits each element from the first until `visit` returns false. Those that a visit dequeues are passed over. */
  walk(visit: (data: V) => boolean | void): void {
    this.#check()
    let place = this.#chain.first
    while (place !== undefined) {
      const next: Place<V> | undefined = place.next
      if (visit(place.data) === false) return
      // Elements only go at the front: what is there now comes after all that was visited.
      place = next === undefined || next.isQueued ? next : this.#chain.first
    }
  }

  statistics(): QueueStatistics {
    return {
      size: this.#chain.size,
      sizePeak: this.#sizePeak,
      enqueued: this.#enqueued,
      dequeued: this.#dequeued,
      refused: this.#refused,
    }
  }

  /** Ends the queue: `onDestroy` for each element, INVALID_HANDLE for every use afterwards. */
  destroy(): void {
    this.#check()
    this.#chain.drain((place) => {
      place.isQueued = false
      this.#options.onDestroy?.(place.data)
    })
    this.#destroyed = true
  }

  #check(): void {
    if (this.#destroyed) throw new SdkError('INVALID_HANDLE', 'the queue is destroyed')
  }
}
