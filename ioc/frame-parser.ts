import { FRAME_VERSION, HEADER_SIZE_BYTES, viewOf } from './frame.ts'

/** Why bytes are no frames. The connection they came on has lost its framing and must close. */
export type FrameFault =
  | { readonly kind: 'tooShort'; readonly sizeBytes: number }
  | { readonly kind: 'tooLarge'; readonly sizeBytes: number; readonly sizeBytesMax: number }
  | { readonly kind: 'wrongVersion'; readonly version: number }

/** Receives one whole frame: `bytes[start, end)`, with a view of `bytes`. Returning false stops the parser for good. */
export type FrameSink = (bytes: Uint8Array, view: DataView, start: number, end: number) => boolean

const VERSION_OFFSET = 4
const PREFIX_BYTES = 5

/**
 * Cuts a stream of bytes, which arrives in chunks cut anywhere, into frames. A frame that lies in one chunk is handed
 * on without copying; only one that crosses chunks is put together in a buffer of its own. Length and version are
 * checked as soon as they are there, so that garbage is refused before anything is allocated for it.
 */
export class FrameParser {
  readonly #sizeBytesMax: number
  readonly #sink: FrameSink
  /** Present while the length of the crossing frame is not known: its first bytes. */
  readonly #prefix = new Uint8Array(PREFIX_BYTES)
  #prefixLength = 0
  #partial: Uint8Array | null = null
  #partialLength = 0
  #stopped = false
  /** While a frame is handed on: whether bytes of its chunk are behind it. */
  hasMore = false

  constructor(sizeBytesMax: number, sink: FrameSink) {
    this.#sizeBytesMax = sizeBytesMax
    this.#sink = sink
  }

  /** Takes the next chunk. After a fault the parser ignores everything. */
  push(chunk: Uint8Array): FrameFault | null {
    if (this.#stopped) return null
    let at = 0
    if (this.#partial !== null || this.#prefixLength > 0) {
      const next = this.#finishPartial(chunk)
      if (typeof next !== 'number') return next
      at = next
    }
    const end = chunk.length
    if (this.#stopped || at === end) return null
    const view = viewOf(chunk)
    while (!this.#stopped && end - at >= PREFIX_BYTES) {
      const size = view.getUint32(at)
      const fault = this.#check(size, view.getUint8(at + VERSION_OFFSET))
      if (fault !== null) return fault
      if (size > end - at) {
        this.#partial = new Uint8Array(size)
        this.#partial.set(chunk.subarray(at))
        this.#partialLength = end - at
        return null
      }
      this.hasMore = at + size < end
      if (!this.#sink(chunk, view, at, at + size)) this.#stopped = true
      at += size
    }
    if (!this.#stopped && at < end) {
      this.#prefix.set(chunk.subarray(at))
      this.#prefixLength = end - at
    }
    return null
  }

  /** Bytes kept for a frame that is not complete. */
  get pendingBytes(): number {
    return this.#partial === null ? this.#prefixLength : this.#partialLength
  }

  /** @returns where the rest of the chunk starts, or the outcome when there is no rest. */
  #finishPartial(chunk: Uint8Array): number | FrameFault | null {
    let at = 0
    if (this.#partial === null) {
      while (this.#prefixLength < PREFIX_BYTES && at < chunk.length) {
        this.#prefix[this.#prefixLength] = chunk[at]!
        this.#prefixLength += 1
        at += 1
      }
      if (this.#prefixLength < PREFIX_BYTES) return null
      const size = viewOf(this.#prefix).getUint32(0)
      const fault = this.#check(size, this.#prefix[VERSION_OFFSET]!)
      if (fault !== null) return fault
      this.#partial = new Uint8Array(size)
      this.#partial.set(this.#prefix)
      this.#partialLength = PREFIX_BYTES
      this.#prefixLength = 0
    }
    const frame = this.#partial
    const taken = Math.min(frame.length - this.#partialLength, chunk.length - at)
    frame.set(chunk.subarray(at, at + taken), this.#partialLength)
    this.#partialLength += taken
    at += taken
    if (this.#partialLength < frame.length) return null
    this.#partial = null
    this.hasMore = at < chunk.length
    if (!this.#sink(frame, viewOf(frame), 0, frame.length)) this.#stopped = true
    return at
  }

  #check(size: number, version: number): FrameFault | null {
    if (size < HEADER_SIZE_BYTES) return this.#stop({ kind: 'tooShort', sizeBytes: size })
    if (size > this.#sizeBytesMax) {
      return this.#stop({ kind: 'tooLarge', sizeBytes: size, sizeBytesMax: this.#sizeBytesMax })
    }
    if (version !== FRAME_VERSION) return this.#stop({ kind: 'wrongVersion', version })
    return null
  }

  #stop(fault: FrameFault): FrameFault {
    this.#stopped = true
    this.#partial = null
    this.#prefixLength = 0
    return fault
  }
}

/** One English phrase for a log line. */
export function describeFault(fault: FrameFault): string {
  switch (fault.kind) {
    case 'tooShort':
      return `a frame of ${fault.sizeBytes} bytes is shorter than its header`
    case 'tooLarge':
      return `a frame of ${fault.sizeBytes} bytes is above the limit of ${fault.sizeBytesMax}`
    case 'wrongVersion':
      return `frame version ${fault.version}, this side speaks ${FRAME_VERSION}`
  }
}
