import { crc32 } from 'node:zlib'

/**
 * A batch in a file: one byte of format version, four of its length, four of its CRC-32, four of the CRC-32 of these
 * nine (all big-endian), then the batch. The second sum tells a header that was damaged from a batch that is cut short.
 */
const FRAME_VERSION = 1
export const FRAME_HEADER_SIZE_BYTES = 13
const CHECKED_SIZE_BYTES = 9

/** Fills in the header of a batch. */
export function writeFrameHeader(header: Buffer, payload: Uint8Array): void {
  header.writeUInt8(FRAME_VERSION, 0)
  header.writeUInt32BE(payload.byteLength, 1)
  header.writeUInt32BE(crc32(payload), 5)
  header.writeUInt32BE(crc32(header.subarray(0, CHECKED_SIZE_BYTES)), CHECKED_SIZE_BYTES)
}

/** What is in a file at some place. `cutShort`: the rest of a frame that was not written to its end. */
export type FrameAt =
  | { readonly kind: 'batch'; readonly payload: Uint8Array; readonly next: number }
  | { readonly kind: 'cutShort' }
  | { readonly kind: 'damaged' }

/** Reads the frame at `at`. Its payload shares the memory of `bytes`. */
export function readFrame(bytes: Buffer, at: number): FrameAt {
  const start = at + FRAME_HEADER_SIZE_BYTES
  if (start > bytes.byteLength) return { kind: 'cutShort' }
  const header = bytes.subarray(at, at + CHECKED_SIZE_BYTES)
  const isSound = crc32(header) === bytes.readUInt32BE(at + CHECKED_SIZE_BYTES)
  if (!isSound || bytes[at] !== FRAME_VERSION) return { kind: 'damaged' }
  const next = start + bytes.readUInt32BE(at + 1)
  if (next > bytes.byteLength) return { kind: 'cutShort' }
  const payload = bytes.subarray(start, next)
  const isWhole = crc32(payload) === bytes.readUInt32BE(at + 5)
  return isWhole ? { kind: 'batch', payload, next } : { kind: 'damaged' }
}
