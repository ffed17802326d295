/** A batch in its wire form, ready to be sent again; its values would be in memory twice otherwise. */
export interface KeptBatch {
  readonly epoch: number
  readonly firstSequence: number
  readonly lastSequence: number
  readonly payload: Uint8Array
}

export interface BatchTailLimits {
  readonly countMax: number
  readonly sizeBytesMax: number
}

export const BATCH_TAIL_LIMITS: BatchTailLimits = {
  countMax: 8_192,
  sizeBytesMax: 16 * 1_024 * 1_024,
}

/** The newest batches of a checkpoint, for replicas that were away shortly. At the bound the oldest go. */
export class BatchTail {
  readonly #limits: BatchTailLimits
  /** Those before the head are let go. */
  #batches: (KeptBatch | undefined)[] = []
  #head = 0
  #sizeBytes = 0

  constructor(limits: BatchTailLimits = BATCH_TAIL_LIMITS) {
    this.#limits = limits
  }

  push(kept: KeptBatch): void {
    this.#batches.push(kept)
    this.#sizeBytes += kept.payload.byteLength
    while (this.#count() > 1 && this.#isOverLimit()) this.#dropOldest()
    if (this.#head > 1_024 && this.#head * 2 > this.#batches.length) {
      this.#batches = this.#batches.slice(this.#head)
      this.#head = 0
    }
  }

  /**
   * The batches from the record after `sequence` on, up to about `sizeBytesMax` bytes (one at least).
   * @returns undefined when they are not all here any more, or `sequence` lies inside a batch.
   */
  after(sequence: number, sizeBytesMax: number): readonly KeptBatch[] | undefined {
    let at = this.#indexOf(sequence + 1)
    if (at === undefined) return undefined
    const found: KeptBatch[] = []
    for (let bytes = 0; at < this.#batches.length && bytes < sizeBytesMax; at++) {
      const kept = this.#batches[at]
      if (kept === undefined) break
      found.push(kept)
      bytes += kept.payload.byteLength
    }
    return found
  }

  clear(): void {
    this.#batches = []
    this.#head = 0
    this.#sizeBytes = 0
  }

  /** Binary search: first sequences ascend. */
  #indexOf(firstSequence: number): number | undefined {
    let low = this.#head
    let high = this.#batches.length
    while (low < high) {
      const middle = (low + high) >>> 1
      if ((this.#batches[middle]?.firstSequence ?? 0) < firstSequence) low = middle + 1
      else high = middle
    }
    return this.#batches[low]?.firstSequence === firstSequence ? low : undefined
  }

  #count(): number {
    return this.#batches.length - this.#head
  }

  #isOverLimit(): boolean {
    return this.#count() > this.#limits.countMax || this.#sizeBytes > this.#limits.sizeBytesMax
  }

  #dropOldest(): void {
    this.#sizeBytes -= this.#batches[this.#head]?.payload.byteLength ?? 0
    // The array is cut now and then; what it held may be large.
    this.#batches[this.#head] = undefined
    this.#head++
  }
}
