import { SdkError } from '../../idl/index.ts'

/** What hangs in a {@link Chain}. */
export class Link<E> {
  previous: E | undefined
  next: E | undefined
}

/** A doubly linked chain: what lists, buckets, queues and circular lists are made of. */
export class Chain<E extends Link<E>> {
  first: E | undefined
  last: E | undefined
  size = 0
  readonly #sizeMax: number

  /**
   * @param sizeMax - most links; 0: no limit. Whoever inserts asks {@link isFull} first.
   * @throws SdkError INVALID_PARAMETER when it is no whole number from 0.
   */
  constructor(sizeMax = 0) {
    if (!Number.isSafeInteger(sizeMax) || sizeMax < 0) {
      throw new SdkError('INVALID_PARAMETER', `sizeMax is ${sizeMax}: 0 means no limit`)
    }
    this.#sizeMax = sizeMax
  }

  get isFull(): boolean {
    return this.#sizeMax > 0 && this.size >= this.#sizeMax
  }

  /** Before `successor`; at the end when there is none. */
  insert(link: E, successor?: E): void {
    const predecessor = successor === undefined ? this.last : successor.previous
    link.previous = predecessor
    link.next = successor
    if (predecessor === undefined) this.first = link
    else predecessor.next = link
    if (successor === undefined) this.last = link
    else successor.previous = link
    this.size += 1
  }

  remove(link: E): void {
    if (link.previous === undefined) this.first = link.next
    else link.previous.next = link.next
    if (link.next === undefined) this.last = link.previous
    else link.next.previous = link.previous
    link.previous = undefined
    link.next = undefined
    this.size -= 1
  }

  /** Takes every link out and hands it to `each`, the first one first. */
  drain(each: (link: E) => void): void {
    for (let link = this.first; link !== undefined; link = this.first) {
      this.remove(link)
      each(link)
    }
  }
}
