import { getHeapStatistics } from 'node:v8'
import { SdkError } from '../../idl/index.ts'
import { crossings, MEMORY_LEVELS, type Crossing, type Level } from './watermark.ts'

/** Memory of this process as Node.js has it, in bytes. */
export interface HeapUse {
  readonly used: number
  /** What the garbage collector may grow to before the process ends. */
  readonly limit: number
  readonly resident: number
  /** Outside the JavaScript heap: buffers and native objects. */
  readonly external: number
}

/** Allocations counted by {@link Heap.allocate}, and the process's use. */
export interface HeapStatistics extends HeapUse {
  readonly current: number
  readonly peak: number
  readonly allocations: number
  readonly frees: number
  readonly failures: number
}

export interface HeapOptions {
  /** Bytes that may be allocated through this object. @defaultValue 1 GiB */
  readonly bytesMax?: number
}

const BYTES_MAX_DEFAULT = 1_024 * 1_024 * 1_024

/**
 * Accounting over Node.js's own memory: who allocates through it is counted and bounded. The garbage collector does
 * the rest;
 * there are no pools and nothing to shrink. SAFplus, section 20.2.
 */
export class Heap {
  readonly #bytesMax: number
  /** Bytes of each: memory that was transferred to another thread has none left. */
  readonly #live = new WeakMap<Uint8Array, number>()
  #current = 0
  #peak = 0
  #allocations = 0
  #frees = 0
  #failures = 0

  constructor({ bytesMax = BYTES_MAX_DEFAULT }: HeapOptions = {}) {
    this.#bytesMax = bytesMax
  }

  /** Bytes that count until `free`, all 0. @throws SdkError INVALID_PARAMETER; NO_MEMORY above the bound. */
  allocate(bytes: number): Uint8Array {
    if (!Number.isSafeInteger(bytes) || bytes < 1) {
      throw new SdkError('INVALID_PARAMETER', `${bytes} is no number of bytes to allocate`)
    }
    if (this.#current + bytes > this.#bytesMax) {
      this.#failures += 1
      throw new SdkError('NO_MEMORY', `${bytes} bytes more would pass the bound ${this.#bytesMax}`)
    }
    const memory = new Uint8Array(bytes)
    this.#live.set(memory, bytes)
    this.#current += bytes
    this.#peak = Math.max(this.#peak, this.#current)
    this.#allocations += 1
    return memory
  }

  /** The same content in another size; the old memory is freed. Without memory: allocate. */
  reallocate(memory: Uint8Array | null, bytes: number): Uint8Array {
    if (memory !== null) this.#liveBytes(memory)
    const made = this.allocate(bytes)
    if (memory !== null) {
      made.set(memory.subarray(0, bytes))
      this.free(memory)
    }
    return made
  }

  /**
   * Counts it out. null is ignored. @throws SdkError INVALID_PARAMETER for what is freed already, or not from here.
   */
  free(memory: Uint8Array | null): void {
    if (memory === null) return
    const bytes = this.#liveBytes(memory)
    this.#live.delete(memory)
    this.#current -= bytes
    this.#frees += 1
  }

  statistics(): HeapStatistics {
    return {
      ...heapUse(),
      current: this.#current,
      peak: this.#peak,
      allocations: this.#allocations,
      frees: this.#frees,
      failures: this.#failures,
    }
  }

  #liveBytes(memory: Uint8Array): number {
    const bytes = this.#live.get(memory)
    if (bytes !== undefined) return bytes
    throw new SdkError('INVALID_PARAMETER', 'this memory is freed, or was not allocated here')
  }
}

export interface HeapWatchOptions {
  readonly onCrossing: (crossing: Crossing) => void
  /** In percent of the heap's limit. @defaultValue 95/90, 65/60, 35/30 as in the original */
  readonly levels?: readonly Level[]
  /** @defaultValue 1_000 */
  readonly intervalMs?: number
  /** Where the figures come from. @defaultValue this process */
  readonly use?: () => Pick<HeapUse, 'used' | 'limit'>
}

/**
 * Looks at the heap of this thread from time to time and tells of marks passed. Ends when the function returned is
 * called.
 */
export function watchHeap(options: HeapWatchOptions): () => void {
  const { onCrossing, levels = MEMORY_LEVELS, intervalMs = 1_000, use = heapUse } = options
  let above: ReadonlySet<string> = new Set()
  const look = (): void => {
    const { used, limit } = use()
    const outcome = crossings(levels, above, (100 * used) / limit)
    above = outcome.above
    for (const crossing of outcome.news) onCrossing(crossing)
  }
  look()
  const timer = setInterval(look, intervalMs)
  timer.unref()
  return () => clearInterval(timer)
}

/** Memory of this process now. */
export function heapUse(): HeapUse {
  const { heapUsed: used, rss: resident, external } = process.memoryUsage()
  return { used, limit: getHeapStatistics().heap_size_limit, resident, external }
}
