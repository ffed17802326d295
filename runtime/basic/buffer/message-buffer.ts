import { SdkError } from '../../../idl/index.ts'
import { ChunkPool, type BufferPoolOptions, type BufferStatistics, type Chunk } from './pool.ts'

/** The part of a chunk that belongs to a message. */
interface Segment {
  chunk: Chunk
  start: number
  end: number
}

/** From where an offset counts. */
export type SeekFrom = 'start' | 'current' | 'end'

/** Makes messages and counts their bytes. */
export class BufferPool {
  readonly #chunks: ChunkPool
  /** A message that was collected without `delete` gives its chunks back too. */
  readonly #forgotten = new FinalizationRegistry<Segment[]>((segments) => this.#release(segments))

  constructor(options: BufferPoolOptions = {}) {
    this.#chunks = new ChunkPool(options)
  }

  /** An empty message. */
  create(): MessageBuffer {
    return this.#made([])
  }

  /** An empty message with room for `bytes`. @throws SdkError NO_MEMORY; INVALID_PARAMETER below 0. */
  createAndAllocate(bytes: number): MessageBuffer {
    checkCount('size', bytes)
    const segments: Segment[] = []
    try {
      for (let left = bytes; left > 0;) {
        const chunk = this.#chunks.allocate(left)
        segments.push({ chunk, start: 0, end: 0 })
        left -= chunk.bytes.byteLength
      }
    } catch (error) {
      this.#release(segments)
      throw error
    }
    return this.#made(segments)
  }

  statistics(): BufferStatistics {
    return this.#chunks.statistics()
  }

  #made(segments: Segment[]): MessageBuffer {
    const copy = (of: readonly Segment[]): MessageBuffer => this.#made([...of])
    const message = new MessageBuffer(segments, this.#chunks, copy)
    this.#forgotten.register(message, segments)
    return message
  }

  #release(segments: Segment[]): void {
    for (const { chunk } of segments.splice(0)) this.#chunks.release(chunk)
  }
}

/**
 * An elastic message: a chain of chunks with an offset for reading and one for writing. SAFplus, section 20.1.
 * Reading past
 * the end gives what there is, writing past it extends. Every use after `delete` is refused with INVALID_HANDLE.
 *
 * I1 segments follow each other without gaps; empty ones stand only at the end.
 * I2 a chunk with several users is never written to.
 */
export class MessageBuffer {
  readonly #segments: Segment[]
  readonly #pool: ChunkPool
  readonly #make: (segments: readonly Segment[]) => MessageBuffer
  #length = 0
  #readOffset = 0
  #writeOffset = 0
  #deleted = false

  /** Messages come from a {@link BufferPool}. @internal */
  constructor(
    segments: Segment[],
    pool: ChunkPool,
    make: (segments: readonly Segment[]) => MessageBuffer,
  ) {
    this.#segments = segments
    this.#pool = pool
    this.#make = make
    this.#length = segments.reduce((sum, { start, end }) => sum + end - start, 0)
  }

  /** Bytes in the message. */
  get length(): number {
    this.#check()
    return this.#length
  }

  get readOffset(): number {
    this.#check()
    return this.#readOffset
  }

  get writeOffset(): number {
    this.#check()
    return this.#writeOffset
  }

  /** @throws SdkError INVALID_PARAMETER for a place outside the message; it stays where it was. */
  seekRead(offset: number, from: SeekFrom = 'start'): void {
    this.#readOffset = this.#sought(offset, from, this.#readOffset)
  }

  /** @throws SdkError INVALID_PARAMETER for a place outside the message; it stays where it was. */
  seekWrite(offset: number, from: SeekFrom = 'start'): void {
    this.#writeOffset = this.#sought(offset, from, this.#writeOffset)
  }

  /** Up to `count` bytes from the read offset on, which moves behind them. The bytes are the caller's. */
  read(count: number): Uint8Array {
    checkCount('number of bytes', count)
    const bytes = this.slice(this.#readOffset, Math.min(count, this.#length - this.#readOffset))
    this.#readOffset += bytes.byteLength
    return bytes
  }

  /**
   * Puts bytes at the write offset, which moves behind them. They are copied.
   * @throws SdkError NO_MEMORY; nothing changes.
   */
  write(bytes: Uint8Array): void {
    this.#check()
    const inside = Math.min(bytes.byteLength, this.#length - this.#writeOffset)
    // What may fail comes before the first byte is written.
    this.#unshareRange(this.#writeOffset, inside)
    const tail = bytes.subarray(inside)
    const rooms = this.#rooms()
    const room = rooms.reduce((sum, { chunk, end }) => sum + chunk.bytes.byteLength - end, 0)
    const added = this.#filled(tail.subarray(room))
    this.#overwrite(this.#writeOffset, bytes.subarray(0, inside))
    fill(rooms, tail)
    this.#segments.push(...added)
    this.#length += tail.byteLength
    this.#writeOffset += bytes.byteLength
  }

  /**
   * Puts bytes before the first one. Both offsets stay at the bytes that they were at. @throws SdkError NO_MEMORY.
   */
  prepend(bytes: Uint8Array): void {
    this.#check()
    this.#segments.unshift(...this.#filled(bytes))
    this.#length += bytes.byteLength
    this.#readOffset += bytes.byteLength
    this.#writeOffset += bytes.byteLength
  }

  /** Takes bytes off the front. @throws SdkError INVALID_PARAMETER when there are fewer; nothing changes. */
  trimHeader(count: number): void {
    this.#checkTrim(count)
    for (let left = count; left > 0;) {
      const first = this.#segments[0]!
      const taken = Math.min(left, first.end - first.start)
      first.start += taken
      left -= taken
      if (first.start === first.end) this.#drop(0)
    }
    this.#length -= count
    this.#readOffset = Math.max(0, this.#readOffset - count)
    this.#writeOffset = Math.max(0, this.#writeOffset - count)
  }

  /** Takes bytes off the end. @throws SdkError INVALID_PARAMETER when there are fewer; nothing changes. */
  trimTrailer(count: number): void {
    this.#checkTrim(count)
    for (let left = count; left > 0;) {
      const index = this.#lastFilled()
      const last = this.#segments[index]!
      const taken = Math.min(left, last.end - last.start)
      last.end -= taken
      left -= taken
      if (last.start === last.end) this.#drop(index)
    }
    this.#length -= count
    this.#readOffset = Math.min(this.#readOffset, this.#length)
    this.#writeOffset = Math.min(this.#writeOffset, this.#length)
  }

  /**
   * Takes over the chunks of another message at the end of this one, without a copy; the other one is deleted by it.
   * @throws SdkError INVALID_PARAMETER when either shares chunks with a clone, for itself, or for one of another
   * pool.
   */
  concatenate(other: MessageBuffer): void {
    this.#check()
    other.#check()
    if (other === this) throw new SdkError('INVALID_PARAMETER', 'a message to its own end')
    if (other.#pool !== this.#pool) {
      throw new SdkError('INVALID_PARAMETER', 'the messages are of two pools')
    }
    if (this.#isShared() || other.#isShared()) {
      throw new SdkError('INVALID_PARAMETER', 'a message that has clones cannot be concatenated')
    }
    const moved = other.#segments.splice(0)
    this.#segments.splice(
      this.#lastFilled() + 1,
      0,
      ...moved.filter(({ start, end }) => end > start),
    )
    for (const { chunk, start, end } of moved) if (end === start) this.#pool.release(chunk)
    this.#length += other.#length
    other.#deleted = true
  }

  /** A copy of its own bytes, with both offsets. @throws SdkError NO_MEMORY. */
  duplicate(): MessageBuffer {
    this.#check()
    return this.#likeThis(this.#filled(this.flatten()))
  }

  /** A message on the same chunks: whichever is written to first gets its own copy of what it changes. */
  clone(): MessageBuffer {
    this.#check()
    const shared = this.#segments.filter(({ start, end }) => end > start)
    for (const { chunk } of shared) chunk.users += 1
    return this.#likeThis(shared.map((segment) => ({ ...segment })))
  }

  /** A copy of up to `count` bytes from `offset` on; no offset moves. @throws SdkError INVALID_PARAMETER. */
  slice(offset: number, count: number): Uint8Array {
    this.#check()
    checkCount('offset', offset)
    checkCount('number of bytes', count)
    const bytes = new Uint8Array(Math.max(0, Math.min(count, this.#length - offset)))
    let done = 0
    for (const piece of this.#pieces(offset, bytes.byteLength)) {
      bytes.set(piece, done)
      done += piece.byteLength
    }
    return bytes
  }

  /** All bytes in one piece: a copy. */
  flatten(): Uint8Array {
    return this.slice(0, this.#length)
  }

  /** The bytes piece by piece, not copied: to be read only, and only until the message changes. */
  vectors(): readonly Uint8Array[] {
    this.#check()
    return [...this.#pieces(0, this.#length)]
  }

  /** Puts bytes at the end without a copy: from now on they belong to the message. @throws SdkError NO_MEMORY. */
  adopt(bytes: Uint8Array): void {
    this.#check()
    if (bytes.byteLength === 0) return
    const segment = { chunk: this.#pool.adopt(bytes), start: 0, end: bytes.byteLength }
    this.#segments.splice(this.#lastFilled() + 1, 0, segment)
    this.#length += bytes.byteLength
  }

  /** Internet checksum (RFC 1071) over `count` bytes from `start` on, as it stands in a packet. */
  checksum16(start: number, count: number): number {
    let sum = 0
    this.#checkedSlice(start, count).forEach((byte, i) => {
      sum += i % 2 === 0 ? byte * 256 : byte
    })
    while (sum > 0xffff) sum = (sum % 0x10000) + Math.floor(sum / 0x10000)
    return ~sum & 0xffff
  }

  /** The one's complement of the sum of big-endian words, the last one filled up with zeros. */
  checksum32(start: number, count: number): number {
    let sum = 0
    this.#checkedSlice(start, count).forEach((byte, i) => {
      sum += byte * 2 ** (24 - 8 * (i % 4))
      if (sum > 0xffffffff) sum = (sum % 0x100000000) + 1
    })
    return ~sum >>> 0
  }

  /** Gives back chunks that hold nothing. */
  shrink(): void {
    this.#check()
    while (this.#segments.length - 1 > this.#lastFilled()) this.#drop(this.#segments.length - 1)
  }

  /** Takes all bytes out; the message stays. */
  clear(): void {
    this.trimTrailer(this.length)
    this.shrink()
  }

  /** Gives everything back. */
  delete(): void {
    this.clear()
    this.#deleted = true
  }

  #likeThis(segments: readonly Segment[]): MessageBuffer {
    const made = this.#make(segments)
    made.#readOffset = this.#readOffset
    made.#writeOffset = this.#writeOffset
    return made
  }

  *#pieces(offset: number, count: number): Generator<Uint8Array> {
    for (const [{ chunk, start }, at, taken] of this.#touched(offset, count)) {
      yield chunk.bytes.subarray(start + at, start + at + taken)
    }
  }

  /** Segments that a range touches, each with the place where the range begins in it. */
  *#touched(offset: number, count: number): Generator<readonly [Segment, number, number]> {
    let skipped = offset
    let left = count
    for (const segment of this.#segments) {
      if (left === 0) return
      const size = segment.end - segment.start
      if (skipped >= size) {
        skipped -= size
        continue
      }
      const taken = Math.min(left, size - skipped)
      yield [segment, skipped, taken]
      skipped = 0
      left -= taken
    }
  }

  #unshareRange(offset: number, count: number): void {
    for (const [segment] of this.#touched(offset, count)) {
      if (segment.chunk.users > 1) this.#unshare(segment)
    }
  }

  /** @pre The segments of the range are the message's own. */
  #overwrite(offset: number, bytes: Uint8Array): void {
    let done = 0
    for (const [{ chunk, start }, at, taken] of this.#touched(offset, bytes.byteLength)) {
      chunk.bytes.set(bytes.subarray(done, done + taken), start + at)
      done += taken
    }
  }

  #unshare(segment: Segment): void {
    const own = this.#pool.allocate(segment.chunk.bytes.byteLength)
    const bytes = segment.chunk.bytes.subarray(segment.start, segment.end)
    if (bytes.byteLength > own.bytes.byteLength) {
      // Adopted bytes may be longer than any chunk.
      this.#pool.release(own)
      // `slice` of a Buffer would be a view of the same bytes.
      const copy = this.#pool.adopt(new Uint8Array(bytes))
      this.#pool.release(segment.chunk)
      Object.assign(segment, { chunk: copy, start: 0, end: bytes.byteLength })
      return
    }
    own.bytes.set(bytes)
    this.#pool.release(segment.chunk)
    Object.assign(segment, { chunk: own, start: 0, end: bytes.byteLength })
  }

  /** Segments at the end that more bytes fit into, in their order. */
  #rooms(): readonly Segment[] {
    const from = Math.max(0, this.#lastFilled())
    return this.#segments.slice(from).filter(({ chunk }) => chunk.users === 1)
  }

  /** New chunks with these bytes; all or none. */
  #filled(bytes: Uint8Array): readonly Segment[] {
    const made: Segment[] = []
    try {
      for (let rest = bytes; rest.byteLength > 0;) {
        const chunk = this.#pool.allocate(rest.byteLength)
        const end = Math.min(rest.byteLength, chunk.bytes.byteLength)
        made.push({ chunk, start: 0, end })
        chunk.bytes.set(rest.subarray(0, end))
        rest = rest.subarray(end)
      }
    } catch (error) {
      for (const { chunk } of made) this.#pool.release(chunk)
      throw error
    }
    return made
  }

  #lastFilled(): number {
    return this.#segments.findLastIndex(({ start, end }) => end > start)
  }

  #isShared(): boolean {
    return this.#segments.some(({ chunk }) => chunk.users > 1)
  }

  #drop(index: number): void {
    const [dropped] = this.#segments.splice(index, 1)
    this.#pool.release(dropped!.chunk)
  }

  #checkedSlice(start: number, count: number): Uint8Array {
    const bytes = this.slice(start, count)
    if (bytes.byteLength === count) return bytes
    const message = `${count} bytes from ${start} on are more than the message's ${this.#length}`
    throw new SdkError('INVALID_PARAMETER', message)
  }

  #sought(offset: number, from: SeekFrom, current: number): number {
    this.#check()
    const base = { start: 0, current, end: this.#length }[from] as number | undefined
    const place = base === undefined ? Number.NaN : base + offset
    if (Number.isInteger(place) && place >= 0 && place <= this.#length) return place
    const message = `offset ${offset} from ${from} is outside a message of ${this.#length} bytes`
    throw new SdkError('INVALID_PARAMETER', message)
  }

  #checkTrim(count: number): void {
    this.#check()
    checkCount('number of bytes', count)
    if (count <= this.#length) return
    const message = `${count} bytes are more than the message's ${this.#length}`
    throw new SdkError('INVALID_PARAMETER', message)
  }

  #check(): void {
    if (this.#deleted) throw new SdkError('INVALID_HANDLE', 'the message is deleted')
  }
}

/** Puts as many bytes behind each segment as its chunk has room for. */
function fill(rooms: readonly Segment[], bytes: Uint8Array): void {
  let rest = bytes
  for (const segment of rooms) {
    const room = segment.chunk.bytes.subarray(segment.end)
    const part = rest.subarray(0, room.byteLength)
    room.set(part)
    segment.end += part.byteLength
    rest = rest.subarray(part.byteLength)
  }
}

function checkCount(what: string, count: number): void {
  if (Number.isSafeInteger(count) && count >= 0) return
  throw new SdkError(
    'INVALID_PARAMETER',
    `the ${what} is ${count}: a whole number from 0 is needed`,
  )
}
