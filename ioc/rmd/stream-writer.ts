import type { SdkError } from '../../idl/index.ts'
import type { Epoch } from '../address.ts'
import type { SendOutcome } from '../connection-events.ts'
import type { ReplyStream } from './rmd.ts'
import { STREAM_ITEM_BYTES, STREAM_WINDOW_BYTES } from './stream-reader.ts'

/** What a writer has done for it. */
export interface StreamOutput {
  readonly itemBytesMax: number
  send(payload: Uint8Array, epoch: Epoch): SendOutcome
  /** Calls back a little later: the send queue was full. */
  later(retry: () => void): void
  tooBig(bytes: number): SdkError
}

/**
 * The callee's end of a stream of replies.
 *
 * I1 An item leaves only while the credit is not used up, and one at most waits for the send queue. I2 The end of the
 * stream comes after it.
 */
export class StreamWriter implements ReplyStream {
  readonly #output: StreamOutput
  #sent = 0
  #granted = STREAM_WINDOW_BYTES
  /** An item that the send queue had no room for. */
  #held: { readonly payload: Uint8Array; readonly epoch: Epoch } | null = null
  #waiters: (() => void)[] = []
  #isOver = false
  /** Ends the stream, when the item that waits has left. */
  #ending: (() => void) | null = null
  onOver: (() => void) | null = null

  constructor(output: StreamOutput) {
    this.#output = output
  }

  get isOver(): boolean {
    return this.#isOver
  }

  send(payload: Uint8Array, epoch: Epoch = 0): boolean {
    if (this.#isOver) return false
    if (payload.length > this.#output.itemBytesMax) throw this.#output.tooBig(payload.length)
    this.#sent += payload.length + STREAM_ITEM_BYTES
    this.#transmit(payload, epoch)
    return this.#hasRoom
  }

  ready(): Promise<void> {
    if (this.#hasRoom || this.#isOver) return Promise.resolve()
    return new Promise((resolve) => this.#waiters.push(resolve))
  }

  /** The caller takes bytes up to `granted`, counted from the start. */
  credit(granted: number): void {
    if (granted > this.#granted) this.#granted = granted
    this.#maybeWake()
  }

  /** Runs `end` when no item waits for the send queue: at once, or later, or never where the stream is over first. */
  endWith(end: () => void): void {
    if (this.#held === null) end()
    else this.#ending = end
  }

  end(): void {
    if (this.#isOver) return
    this.#isOver = true
    this.#held = null
    this.#ending = null
    this.#wake()
    this.onOver?.()
  }

  get #hasRoom(): boolean {
    return this.#held === null && this.#sent < this.#granted
  }

  #transmit(payload: Uint8Array, epoch: Epoch): void {
    // Where it is closed, the end of the stream is on its way too.
    if (this.#output.send(payload, epoch) !== 'full') return
    this.#held = { payload, epoch }
    this.#output.later(() => {
      const held = this.#held
      if (held === null) return
      this.#held = null
      this.#transmit(held.payload, held.epoch)
      if (this.#held === null) this.#ending?.()
      this.#maybeWake()
    })
  }

  #maybeWake(): void {
    if (this.#hasRoom) this.#wake()
  }

  #wake(): void {
    for (const resolve of this.#waiters.splice(0)) resolve()
  }
}
