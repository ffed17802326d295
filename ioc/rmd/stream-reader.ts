/**
 * The caller's end of a stream of replies. Core: what it wants done goes out through {@link StreamControl}.
 *
 * I1 Items are given out in their order, each once, before the stream's end or error. I2 The bytes of items that are
 * here and not given out pass {@link STREAM_WINDOW_BYTES} by one item at most: the callee sends on credit.
 */

/** Bytes that a callee may send before the caller has taken any. Part of the protocol: both ends count from it. */
export const STREAM_WINDOW_BYTES = 256 * 1024

/** What an item costs besides its payload, so that empty ones are bounded too. */
export const STREAM_ITEM_BYTES = 64

/** What a reader has done for it. */
export interface StreamControl {
  /** Makes the call. The reader is told its end by `finish` or `fail`. */
  start(reader: StreamReader): void
  /** Lets the callee send up to this many bytes, counted from the start. */
  grant(bytes: number): void
  /** Nobody waits any more. */
  cancel(): void
}

interface Waiter {
  readonly resolve: (result: IteratorResult<unknown, undefined>) => void
  readonly reject: (error: Error) => void
}

const DONE: IteratorResult<unknown, undefined> = { done: true, value: undefined }

type State = 'idle' | 'open' | 'done'

/** What `for await` runs over. The call is made when the first item is asked for. */
export class StreamReader implements AsyncIterableIterator<unknown, undefined> {
  readonly #control: StreamControl
  #state: State = 'idle'
  #items: { readonly value: unknown; readonly bytes: number }[] = []
  #head = 0
  #waiters: Waiter[] = []
  #error: Error | null = null
  #received = 0
  #taken = 0
  #granted = STREAM_WINDOW_BYTES

  constructor(control: StreamControl) {
    this.#control = control
  }

  [Symbol.asyncIterator](): this {
    return this
  }

  /** An item came: the call cannot be made again. */
  get begun(): boolean {
    return this.#received > 0
  }

  /** True while an item may come: one beyond the credit breaks the protocol. */
  get hasRoom(): boolean {
    return this.#received < this.#granted
  }

  next(): Promise<IteratorResult<unknown, undefined>> {
    if (this.#state === 'idle') {
      this.#state = 'open'
      this.#control.start(this)
    }
    const item = this.#items[this.#head]
    if (item !== undefined) {
      this.#items[this.#head] = undefined as never
      this.#head += 1
      if (this.#head === this.#items.length) {
        this.#items = []
        this.#head = 0
      }
      this.#take(item.bytes)
      return Promise.resolve({ done: false, value: item.value })
    }
    const error = this.#error
    this.#error = null
    if (error !== null) return Promise.reject(error)
    if (this.#state === 'done') return Promise.resolve(DONE)
    return new Promise((resolve, reject) => this.#waiters.push({ resolve, reject }))
  }

  /** Called by `break`: gives the stream up. */
  return(): Promise<IteratorResult<unknown, undefined>> {
    const wasOpen = this.#state === 'open'
    this.#items = []
    this.#head = 0
    this.#error = null
    this.finish()
    if (wasOpen) this.#control.cancel()
    return Promise.resolve(DONE)
  }

  /** Takes an item that arrived. */
  push(value: unknown, payloadBytes: number): void {
    const bytes = payloadBytes + STREAM_ITEM_BYTES
    this.#received += bytes
    const waiter = this.#waiters.shift()
    if (waiter === undefined) {
      this.#items.push({ value, bytes })
      return
    }
    this.#take(bytes)
    waiter.resolve({ done: false, value })
  }

  finish(): void {
    this.#state = 'done'
    for (const waiter of this.#waiters.splice(0)) waiter.resolve(DONE)
  }

  fail(error: Error): void {
    if (this.#state === 'done') return
    this.#state = 'done'
    const first = this.#waiters.shift()
    if (first === undefined) this.#error = error
    else first.reject(error)
    this.finish()
  }

  #take(bytes: number): void {
    this.#taken += bytes
    const grant = this.#taken + STREAM_WINDOW_BYTES
    // Half a window at a time: one small frame for many items, and the callee never runs dry meanwhile.
    if (this.#state !== 'open' || grant - this.#granted < STREAM_WINDOW_BYTES / 2) return
    this.#granted = grant
    this.#control.grant(grant)
  }
}
