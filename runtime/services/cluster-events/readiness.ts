import { EventEmitter } from 'node:events'
import { setImmediate as nextTurn } from 'node:timers/promises'

/**
 * What the style GET_FD gives in place of a descriptor: tells that `handleEvent` has something to deliver. By level, as
 * select does: `readable` comes again until it was delivered. Iterating gives one turn each time there is something.
 */
export interface OcEvReadiness extends AsyncIterable<void> {
  /** True while `handleEvent` would deliver something. */
  pending(): boolean
  /** `close` is the last one: the handle is unregistered, or the service ended. */
  on(event: 'readable' | 'close', listener: () => void): this
  once(event: 'readable' | 'close', listener: () => void): this
  off(event: 'readable' | 'close', listener: () => void): this
}

/** The library's side of it. */
export class Readiness extends EventEmitter implements OcEvReadiness {
  readonly #hasPending: () => boolean
  #isClosed = false

  constructor(hasPending: () => boolean) {
    super()
    this.#hasPending = hasPending
    // Who begins to listen late hears of what is there.
    this.on('newListener', (name: string) => {
      if (name === 'readable') queueMicrotask(() => this.signal())
    })
  }

  pending(): boolean {
    return this.#hasPending()
  }

  signal(): void {
    if (this.pending()) this.emit('readable')
  }

  close(): void {
    this.#isClosed = true
    this.emit('close')
  }

  async *[Symbol.asyncIterator](): AsyncGenerator<void> {
    while (!this.#isClosed) {
      if (this.pending()) {
        yield
        // What the body left there must not keep the loop from turning.
        if (this.pending()) await nextTurn()
      } else {
        await new Promise<void>((resolve) => {
          const wake = (): void => {
            this.off('readable', wake)
            this.off('close', wake)
            resolve()
          }
          this.on('readable', wake)
          this.on('close', wake)
        })
      }
    }
  }
}
