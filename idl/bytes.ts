import { Packr, Unpackr } from 'msgpackr'
import { scan } from './scan.ts'
import { SdkError } from './sdk-error.ts'

/** Plain msgpack: no records, no extension types, so that the bytes mean the same to every reader. */
const OPTIONS = {
  useRecords: false,
  variableMapSize: true,
  mapsAsObjects: true,
  copyBuffers: false,
} as const

/** A message above this size gets a packer of its own, whose buffer goes with it. */
const POOLED_SIZE_BYTES_MAX = 65_536
/** Messages up to this size are read through a buffer that msgpackr knows already. */
const SCRATCH_SIZE_BYTES = 4_096

/** Turns wire values (what `wire.ts` makes) into bytes. */
export class Packer {
  #packr = new Packr(OPTIONS)

  /** The result is a view on a pooled buffer: nobody writes to it again, but copy it before transferring it. */
  pack(wire: unknown): Uint8Array {
    const bytes = this.#packr.pack(wire)
    // The packer never shrinks its buffer, so small messages would each hold a large one alive.
    if (bytes.length > POOLED_SIZE_BYTES_MAX) this.#packr = new Packr(OPTIONS)
    return bytes
  }
}

/** Reads wire values (for `wire.ts`) from untrusted bytes. */
export class Unpacker {
  readonly #unpackr = new Unpackr(OPTIONS)
  readonly #scratch = Buffer.allocUnsafeSlow(SCRATCH_SIZE_BYTES)
  readonly #range = { start: 0, end: 0 }

  /**
   * Reads one wire value. Byte strings in it are views that the next call overwrites: copy them.
   * @throws {SdkError} MESSAGE_ERROR or TOO_BIG as in `scan.ts`.
   */
  unpack(bytes: Uint8Array): unknown {
    scan(bytes)
    try {
      if (bytes.length > SCRATCH_SIZE_BYTES) {
        // A view of its own: msgpackr leaves a property on the object that it is given.
        return this.#unpackr.unpack(Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength))
      }
      // Copying a small message costs less than the views that msgpackr makes for each new buffer.
      this.#scratch.set(bytes)
      this.#range.end = bytes.length
      return this.#unpackr.unpack(this.#scratch, this.#range)
    } catch (cause) {
      throw new SdkError('MESSAGE_ERROR', 'not the bytes of a value', { cause })
    }
  }
}
