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
}
