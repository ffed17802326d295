import { type FrameHeader, HEADER_SIZE_BYTES, viewOf, writeHeader } from './frame.ts'

const FIRST_CAPACITY_BYTES = 16 * 1024
/** A buffer that grew beyond this is not kept once it is empty. */
const KEPT_CAPACITY_BYTES = 256 * 1024
/** Below this a loop copies faster than `set`, which must look at its arguments first. */
const LOOP_COPY_BYTES_MAX = 24

/**
 * Frames that wait to leave, one after the other in one growing buffer, so that all of one tick go in one write.
 */
export class Outbox {
  #bytes: Uint8Array = EMPTY
  #view = viewOf(EMPTY)
  #length = 0

  get length(): number {
    return this.#length
  }

  /** Appends a frame: header and payload straight into the buffer. Appends nothing when it throws. */
  append(header: Readonly<FrameHeader>, payload: Uint8Array): void {
    const at = this.#length
    const end = at + HEADER_SIZE_BYTES + payload.length
    if (end > this.#bytes.length) this.#grow(end)
    writeHeader(this.#view, at, header, payload.length)
    copy(payload, this.#bytes, at + HEADER_SIZE_BYTES)
    this.#length = end
  }

  /** Appends a frame whose payload is `prefix` and then `payload`. */
  appendPrefixed(header: Readonly<FrameHeader>, prefix: Uint8Array, payload: Uint8Array): void {
    const at = this.#length
    const bodyBytes = prefix.length + payload.length
    const end = at + HEADER_SIZE_BYTES + bodyBytes
    if (end > this.#bytes.length) this.#grow(end)
    writeHeader(this.#view, at, header, bodyBytes)
    this.#bytes.set(prefix, at + HEADER_SIZE_BYTES)
    this.#bytes.set(payload, at + HEADER_SIZE_BYTES + prefix.length)
    this.#length = end
  }

  /** Appends bytes that are frames already. */
  appendRaw(frames: Uint8Array): void {
    const at = this.#length
    const end = at + frames.length
    if (end > this.#bytes.length) this.#grow(end)
    this.#bytes.set(frames, at)
    this.#length = end
  }

  /** What waits. Valid until the next append. */
  view(): Uint8Array {
    return this.#bytes.subarray(0, this.#length)
  }

  /** Empties the box. @param keepBuffer - false when somebody still reads the old view. */
  clear(keepBuffer: boolean): void {
    this.#length = 0
    if (!keepBuffer || this.#bytes.length > KEPT_CAPACITY_BYTES) this.#use(EMPTY)
  }

  #grow(neededBytes: number): void {
    let capacity = Math.max(this.#bytes.length * 2, FIRST_CAPACITY_BYTES)
    while (capacity < neededBytes) capacity *= 2
    const larger = Buffer.allocUnsafeSlow(capacity)
    larger.set(this.view())
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
