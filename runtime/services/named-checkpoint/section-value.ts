/**
 * How a section is kept: a value under `s` and its id with a header and, while it is small, its bytes; a large one has
 * its bytes in pieces of one size, each under `p`, the piece's number and the id. So a write to a large section changes
 * what it touches only.
 *
 * Header: version (1 byte), expiration time, last update (milliseconds, 64-bit floats; Infinity: never), size (64-bit
 * float); big-endian.
 */
const VERSION = 1
const HEADER_SIZE_BYTES = 25

/** A section of at most so many bytes is kept in one value. */
export const INLINE_SIZE_BYTES = 16 * 1_024
export const PIECE_SIZE_BYTES = 64 * 1_024

export interface SectionHeader {
  /** Infinity: never. */
  readonly expiresAtMs: number
  readonly lastUpdateMs: number
  readonly size: number
}

/** @throws Error for bytes that are no section: a bug, or another format. */
export function headerOf(value: Uint8Array): SectionHeader {
  if (value[0] !== VERSION) throw new Error(`a section of format ${value[0]}, not ${VERSION}`)
  const view = new DataView(value.buffer, value.byteOffset, value.byteLength)
  return {
    expiresAtMs: view.getFloat64(1),
    lastUpdateMs: view.getFloat64(9),
    size: view.getFloat64(17),
  }
}

/** Bytes that stand in the value itself; empty for a section in pieces. */
export function inlineOf(value: Uint8Array): Uint8Array {
  return value.subarray(HEADER_SIZE_BYTES)
}

/** The value of a section. @param inline - its bytes, left out for one in pieces. Copies them. */
export function sectionValue(header: SectionHeader, inline?: Uint8Array): Uint8Array {
  const value = new Uint8Array(HEADER_SIZE_BYTES + (inline?.byteLength ?? 0))
  const view = new DataView(value.buffer)
  value[0] = VERSION
  view.setFloat64(1, header.expiresAtMs)
  view.setFloat64(9, header.lastUpdateMs)
  view.setFloat64(17, header.size)
  if (inline !== undefined) value.set(inline, HEADER_SIZE_BYTES)
  return value
}

export function isInPieces(size: number): boolean {
  return size > INLINE_SIZE_BYTES
}

export function pieceCount(size: number): number {
  return isInPieces(size) ? Math.ceil(size / PIECE_SIZE_BYTES) : 0
}

const SECTION = 's'
const PIECE = 'p'
const DIGITS = 6

export function sectionKey(id: string): string {
  return `${SECTION}${id}`
}

export function pieceKey(id: string, piece: number): string {
  return `${PIECE}${piece.toString(36).padStart(DIGITS, '0')}${id}`
}

/** The section that a key belongs to; `piece` null: its value. null: no section's key. */
export function parseKey(
  key: string,
): { readonly id: string; readonly piece: number | null } | null {
  if (key.startsWith(SECTION)) return { id: key.slice(1), piece: null }
  if (!key.startsWith(PIECE)) return null
  return { id: key.slice(1 + DIGITS), piece: parseInt(key.slice(1, 1 + DIGITS), 36) }
}
