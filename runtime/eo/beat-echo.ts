import {
  HEADER_SIZE_BYTES,
  makeFrameHeader,
  PROTOCOL,
  readHeader,
  viewOf,
} from '../../ioc/light.ts'

/** An agent sends a hello and beats, nothing longer. */
const FRAME_BYTES_MAX = 4_096
const NO_BYTES = new Uint8Array(0)

/** Finds the beats that an agent sent back in the bytes of a raw connection. A core; one a connection. */
export class BeatEcho {
  readonly #header = makeFrameHeader()
  #rest: Uint8Array = NO_BYTES

  /** @returns the numbers of beats in the chunk; null when the bytes are no frames: give the connection up. */
  push(chunk: Uint8Array): number[] | null {
    const bytes = this.#rest.length === 0 ? chunk : joined(this.#rest, chunk)
    const view = viewOf(bytes)
    const beats: number[] = []
    let at = 0
    while (bytes.length - at >= HEADER_SIZE_BYTES) {
      const length = view.getUint32(at)
      if (length < HEADER_SIZE_BYTES || length > FRAME_BYTES_MAX) return null
      if (bytes.length - at < length) break
      if (!readHeader(view, at, this.#header)) return null
      if (this.#header.protocol === PROTOCOL.heartbeat) beats.push(this.#header.messageId)
      at += length
    }
    this.#rest = at === bytes.length ? NO_BYTES : Uint8Array.from(bytes.subarray(at))
    return beats
  }
}

function joined(a: Uint8Array, b: Uint8Array): Uint8Array {
  const both = new Uint8Array(a.length + b.length)
  both.set(a)
  both.set(b, a.length)
  return both
}
