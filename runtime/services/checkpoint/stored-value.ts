import { crc32 } from 'node:zlib'
import { decodeValue, encodeValue } from '../../../idl/index.ts'

/**
 * Values in the store: one byte of format version, four of CRC-32 (big-endian) over the rest, then the body. Whatever
 * does not check is treated as lost, never as content.
 */
export const STORED_VERSION = 1
const HEADER_SIZE_BYTES = 5

/** Wraps a body for the store. Copies it. */
export function seal(body: Uint8Array): Uint8Array {
  const sealed = new Uint8Array(HEADER_SIZE_BYTES + body.byteLength)
  sealed[0] = STORED_VERSION
  new DataView(sealed.buffer).setUint32(1, crc32(body))
  sealed.set(body, HEADER_SIZE_BYTES)
  return sealed
}

/** The body; a copy that outlives the store's buffer. @returns undefined when it is torn or of another version. */
export function unseal(sealed: Uint8Array | undefined): Uint8Array | undefined {
  if (sealed === undefined || sealed.byteLength < HEADER_SIZE_BYTES) return undefined
  if (sealed[0] !== STORED_VERSION) return undefined
  const body = Uint8Array.prototype.slice.call(sealed, HEADER_SIZE_BYTES)
  const view = new DataView(sealed.buffer, sealed.byteOffset, sealed.byteLength)
  return view.getUint32(1) === crc32(body) ? body : undefined
}

/** {@link seal} of a plain value. */
export function sealValue(value: unknown): Uint8Array {
  return seal(encodeValue(value))
}

/** {@link unseal} of a plain value; undefined when it does not check. */
export function unsealValue(sealed: Uint8Array | undefined): unknown {
  const body = unseal(sealed)
  if (body === undefined) return undefined
  try {
    return decodeValue(body)
  } catch {
    return undefined
  }
}
