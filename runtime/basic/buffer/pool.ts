import { SdkError } from '../../../idl/index.ts'
import { crossings, type Crossing, type Level } from '../watermark.ts'

/** Sizes of chunks in bytes. SAFplus, section 20.1. */
export const CHUNK_BYTES = [1_024, 2_048, 4_096, 8_192, 32_768] as const
const LARGEST = CHUNK_BYTES[CHUNK_BYTES.length - 1]!

/** Bytes that one message or several clones of it stand on. */
export interface Chunk {
  readonly bytes: Uint8Array
  /** Messages that use it; it is written to only by its only user. */
  users: number
}

/** Bounds of a pool, and whom it tells before they are reached. */
export interface BufferPoolOptions {
  /** Bytes in chunks at most. @defaultValue 268_435_456 */
  readonly bytesMax?: number
  /** Marks in percent of `bytesMax`. @defaultValue none */
  readonly levels?: readonly Level[]
  readonly onCrossing?: (crossing: Crossing) => void
}

/** What a pool has given out. */
export interface BufferStatistics {
  readonly bytes: number
  readonly bytesPeak: number
  readonly bytesMax: number
  readonly allocations: number
  readonly frees: number
  /** Requests refused with NO_MEMORY. */
  readonly failures: number
  /** Chunks in use by their size; those of `adopt` count under their own size. */
  readonly chunks: ReadonlyMap<number, number>
}

const BYTES_MAX_DEFAULT = 256 * 1_024 * 1_024

/** Where messages get their chunks. The garbage collector keeps the bytes; the pool keeps the books and the bound. */
export class ChunkPool {
  readonly #options: Required<BufferPoolOptions>
  readonly #chunks = new Map<number, number>()
  #above: ReadonlySet<string> = new Set()
  #bytes = 0
  #bytesPeak = 0
  #allocations = 0
  #frees = 0
  #failures = 0

  constructor(options: BufferPoolOptions) {
    this.#options = { bytesMax: BYTES_MAX_DEFAULT, levels: [], onCrossing: () => {}, ...options }
  }

  /** A chunk for `wanted` bytes, or the largest there is. @throws SdkError NO_MEMORY above the bound. */
  allocate(wanted: number): Chunk {
    const bytes = CHUNK_BYTES.find((candidate) => candidate >= wanted) ?? LARGEST
    this.#reserve(bytes)
    return { bytes: new Uint8Array(bytes), users: 1 }
  }

  /** A chunk of bytes that are there already. @throws SdkError NO_MEMORY above the bound. */
  adopt(bytes: Uint8Array): Chunk {
    this.#reserve(bytes.byteLength)
    return { bytes, users: 1 }
  }

  /** One user less. */
  release(chunk: Chunk): void {
    chunk.users -= 1
    if (chunk.users > 0) return
    const { byteLength } = chunk.bytes
    this.#bytes -= byteLength
    this.#frees += 1
    this.#count(byteLength, -1)
    this.#tell()
  }

  statistics(): BufferStatistics {
    return {
      bytes: this.#bytes,
      bytesPeak: this.#bytesPeak,
      bytesMax: this.#options.bytesMax,
      allocations: this.#allocations,
      frees: this.#frees,
      failures: this.#failures,
      chunks: new Map(this.#chunks),
    }
  }

  #reserve(bytes: number): void {
    const { bytesMax } = this.#options
    if (this.#bytes + bytes > bytesMax) {
      this.#failures += 1
      throw new SdkError('NO_MEMORY', `${bytes} bytes more would pass the pool's ${bytesMax}`)
    }
    this.#bytes += bytes
    this.#bytesPeak = Math.max(this.#bytesPeak, this.#bytes)
    this.#allocations += 1
    this.#count(bytes, 1)
    this.#tell()
  }

  #count(bytes: number, by: number): void {
    const count = (this.#chunks.get(bytes) ?? 0) + by
    if (count === 0) this.#chunks.delete(bytes)
    else this.#chunks.set(bytes, count)
  }

  #tell(): void {
    const { levels, bytesMax, onCrossing } = this.#options
    if (levels.length === 0) return
    const { above, news } = crossings(levels, this.#above, (100 * this.#bytes) / bytesMax)
    this.#above = above
    for (const crossing of news) onCrossing(crossing)
  }
}
