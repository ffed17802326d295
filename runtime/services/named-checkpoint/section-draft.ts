import {
  headerOf,
  inlineOf,
  isInPieces,
  pieceCount,
  pieceKey,
  PIECE_SIZE_BYTES,
  type SectionHeader,
  sectionKey,
  sectionValue,
} from './section-value.ts'

/** Content as an operation finds it; values are not changed. */
export type ReadValue = (key: string) => Uint8Array | null

/**
 * What one operation changes in the sections, before any of it counts. Pure. Reads see what was drafted. Values that
 * were read are never changed: a changed one is a new one.
 */
export class SectionDraft {
  readonly #read: ReadValue
  readonly #writes = new Map<string, Uint8Array | null>()
  /** Pieces made here: they may still be changed in place. */
  readonly #own = new Set<Uint8Array>()

  constructor(read: ReadValue) {
    this.#read = read
  }

  /** Keys and new values; null deletes. */
  get writes(): ReadonlyMap<string, Uint8Array | null> {
    return this.#writes
  }

  header(id: string): SectionHeader | null {
    const value = this.#get(sectionKey(id))
    return value === null ? null : headerOf(value)
  }

  /** A copy of bytes `offset` to `end` of a section that exists. */
  bytes(id: string, offset: number, end: number): Uint8Array {
    const value = this.#get(sectionKey(id)) ?? new Uint8Array()
    const { size } = headerOf(value)
    const copy = new Uint8Array(Math.max(0, Math.min(end, size) - offset))
    if (!isInPieces(size)) {
      copy.set(inlineOf(value).subarray(offset, offset + copy.byteLength))
      return copy
    }
    for (let at = 0; at < copy.byteLength;) {
      const piece = Math.floor((offset + at) / PIECE_SIZE_BYTES)
      const from = (offset + at) % PIECE_SIZE_BYTES
      const stored = this.#get(pieceKey(id, piece)) ?? new Uint8Array(PIECE_SIZE_BYTES)
      const part = stored.subarray(from, Math.min(stored.byteLength, from + copy.byteLength - at))
      if (part.byteLength === 0) break
      copy.set(part, at)
      at += part.byteLength
    }
    return copy
  }

  /** Makes or replaces a section. */
  put(id: string, header: Omit<SectionHeader, 'size'>, data: Uint8Array): void {
    const before = this.header(id)
    const size = data.byteLength
    for (let piece = pieceCount(size); piece < pieceCount(before?.size ?? 0); piece++) {
      this.#writes.set(pieceKey(id, piece), null)
    }
    if (!isInPieces(size)) {
      this.#writes.set(sectionKey(id), sectionValue({ ...header, size }, data))
      return
    }
    for (let piece = 0; piece < pieceCount(size); piece++) {
      const from = piece * PIECE_SIZE_BYTES
      // `slice` of a Buffer would be a view of the caller's bytes.
      const bytes = new Uint8Array(data.subarray(from, from + PIECE_SIZE_BYTES))
      this.#putPiece(id, piece, bytes)
    }
    this.#writes.set(sectionKey(id), sectionValue({ ...header, size }))
  }

  /** Changes bytes of a section that exists from `offset` on; a gap before them is zero. */
  write(id: string, data: Uint8Array, { offset, nowMs }: { offset: number; nowMs: number }): void {
    const header = this.header(id)
    if (header === null) throw new Error(`no section ${id}`)
    const size = Math.max(header.size, offset + data.byteLength)
    const next = { expiresAtMs: header.expiresAtMs, lastUpdateMs: nowMs }
    if (!isInPieces(header.size)) {
      const whole = new Uint8Array(size)
      whole.set(this.bytes(id, 0, header.size))
      whole.set(data, offset)
      this.put(id, next, whole)
      return
    }
    // The pieces that the section grows by, the gap included.
    const firstPiece = Math.floor(Math.min(offset, header.size) / PIECE_SIZE_BYTES)
    const lastPiece = Math.floor(Math.max(0, offset + data.byteLength - 1) / PIECE_SIZE_BYTES)
    for (let piece = firstPiece; piece <= lastPiece; piece++) {
      const start = piece * PIECE_SIZE_BYTES
      const bytes = this.#ownPiece(id, piece, Math.min(PIECE_SIZE_BYTES, size - start))
      const from = Math.max(0, start - offset)
      const part = data.subarray(from, Math.max(0, start + PIECE_SIZE_BYTES - offset))
      if (part.byteLength > 0) bytes.set(part, Math.max(0, offset - start))
    }
    this.#writes.set(sectionKey(id), sectionValue({ ...next, size }))
  }

  /** Changes when a section ends. */
  expire(id: string, expiresAtMs: number): void {
    const value = this.#get(sectionKey(id))
    if (value === null) return
    const header = { ...headerOf(value), expiresAtMs }
    this.#writes.set(sectionKey(id), sectionValue(header, inlineOf(value)))
  }

  delete(id: string): void {
    const header = this.header(id)
    if (header === null) return
    for (let piece = 0; piece < pieceCount(header.size); piece++) {
      this.#writes.set(pieceKey(id, piece), null)
    }
    this.#writes.set(sectionKey(id), null)
  }

  #get(key: string): Uint8Array | null {
    const drafted = this.#writes.get(key)
    return drafted === undefined ? this.#read(key) : drafted
  }

  /** A piece that may be changed, of this size at least. */
  #ownPiece(id: string, piece: number, size: number): Uint8Array {
    const present = this.#get(pieceKey(id, piece))
    if (present !== null && present.byteLength >= size && this.#own.has(present)) return present
    const bytes = new Uint8Array(Math.max(size, present?.byteLength ?? 0))
    if (present !== null) bytes.set(present)
    this.#putPiece(id, piece, bytes)
    return bytes
  }

  #putPiece(id: string, piece: number, bytes: Uint8Array): void {
    this.#own.add(bytes)
    this.#writes.set(pieceKey(id, piece), bytes)
  }
}
