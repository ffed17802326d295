import { Packr, Unpackr } from 'msgpackr'
import { scan } from './scan.ts'
import { SdkError } from './sdk-error.ts'

/** Plain msgpack: no records, no extension types, so that the bytes mean the same to every reader. */
const OPTIONS = { useRecords: false, mapsAsObjects: true, copyBuffers: false } as const

/** A message above this size gets a packer of its own, whose buffer goes with it. */
const POOLED_SIZE_BYTES_MAX = 65_536

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

const unpackr = new Unpackr(OPTIONS)

/**
 * Reads one wire value from untrusted bytes.
 * Byte strings in it are views on `bytes`.
 * @throws {SdkError} MESSAGE_ERROR or TOO_BIG as in `scan.ts`.
 */
export function unpack(bytes: Uint8Array): unknown {
  scan(bytes)
  try {
    // A view of its own: msgpackr leaves a property on the object that it is given.
    return unpackr.unpack(Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength))
  } catch (cause) {
    throw new SdkError('MESSAGE_ERROR', 'not the bytes of a value', { cause })
  }
}
