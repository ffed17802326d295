import { type FrameHeader, HEADER_SIZE_BYTES, viewOf, writeHeader } from './frame.ts'

const FIRST_CAPACITY_BYTES = 16 * 1024
/** A buffer that grew beyond this is not kept once it is empty. */
const KEPT_CAPACITY_BYTES = 256 * 1024
/** Below this a loop copies faster than `set`, which must look at its arguments first. */
const LOOP_COPY_BYTES_MAX = 24

/**
 * Frames that wait to leave, one after the other in one growing buffer, so that many go in one write.
 *
 * I1 Bytes before `#start` have left and may still be read by the transport: they are never written again.
 */
export class Outbox {
  #bytes: Uint8Array = EMPTY
  #view = viewOf(EMPTY)
  #start = 0
  #end = 0

  get length(): number {
    return this.#end - this.#start
  }

  /** Appends a frame: header and payload straight into the buffer. Appends nothing when it throws. */
  append(header: Readonly<FrameHeader>, payload: Uint8Array): void {
    const size = HEADER_SIZE_BYTES + payload.length
    if (this.#end + size > this.#bytes.length) this.#grow(size)
    const at = this.#end
    writeHeader(this.#view, at, header, payload.length)
    copy(payload, this.#bytes, at + HEADER_SIZE_BYTES)
    this.#end = at + size
  }

  /** Appends a frame whose payload is `prefix` and then `payload`. */
  appendPrefixed(header: Readonly<FrameHeader>, prefix: Uint8Array, payload: Uint8Array): void {
    const bodyBytes = prefix.length + payload.length
    const size = HEADER_SIZE_BYTES + bodyBytes
    if (this.#end + size > this.#bytes.length) this.#grow(size)
    const at = this.#end
    writeHeader(this.#view, at, header, bodyBytes)
    this.#bytes.set(prefix, at + HEADER_SIZE_BYTES)
    this.#bytes.set(payload, at + HEADER_SIZE_BYTES + prefix.length)
    this.#end = at + size
  }

  /** Appends bytes that are frames already. */
  appendRaw(frames: Uint8Array): void {
    if (this.#end + frames.length > this.#bytes.length) this.#grow(frames.length)
    this.#bytes.set(frames, this.#end)
    this.#end += frames.length
  }

  /** The first `length` bytes of what waits. Valid until the next append. */
  head(length: number): Uint8Array {
    return this.#bytes.subarray(this.#start, this.#start + length)
  }

  /**
   * Bytes of the whole frames that fit into `sizeBytesMax`, of one frame at least: between two of them another
   * priority may go first.
   */
  headLength(sizeBytesMax: number): number {
    const length = this.length
    if (length <= sizeBytesMax) return length
    let size = this.#view.getUint32(this.#start)
    while (size < length) {
      const next = size + this.#view.getUint32(this.#start + size)
      if (next > sizeBytesMax) break
      size = next
    }
    return size
  }

  /** Takes the first `length` bytes away. @param mayReuse - false while somebody still reads them. */
  consume(length: number, mayReuse: boolean): void {
    this.#start += length
    if (this.#start < this.#end) return
    this.#start = 0
    this.#end = 0
    if (!mayReuse || this.#bytes.length > KEPT_CAPACITY_BYTES) this.#use(EMPTY)
  }

  /** Room for `sizeBytes` more, and half as much again: what waits moves to a new buffer. */
  #grow(sizeBytes: number): void {
    const length = this.length
    let capacity = FIRST_CAPACITY_BYTES
    while (capacity < (length + sizeBytes) * 1.5) capacity *= 2
    const larger = Buffer.allocUnsafeSlow(capacity)
    larger.set(this.head(length))
    this.#start = 0
    this.#end = length
    this.#use(larger)
  }

  #use(bytes: Uint8Array): void {
    this.#bytes = bytes
    this.#view = viewOf(bytes)
  }
}

const EMPTY = new Uint8Array(0)

function copy(from: Uint8Array, to: Uint8Array, at: number): void {
  const length = from.length
  if (length > LOOP_COPY_BYTES_MAX) return to.set(from, at)
  for (let i = 0; i < length; i += 1) to[at + i] = from[i]!
}
