/** First sequence of each epoch that made a record, ascending: `[epoch, firstSequence]`. */
export type EpochHistory = readonly (readonly [epoch: number, firstSequence: number])[]

/** Epochs kept at most. What lies before is unknown: a replica that ends there is replaced whole. */
export const HISTORY_COUNT_MAX = 1_024

/**
 * Which epoch made which record. One epoch has one writer, so two replicas that have the same epoch at one sequence
 * have the same records up to it (the log matching rule).
 */
export class History {
  #entries: [number, number][]

  constructor(entries: EpochHistory = []) {
    this.#entries = entries.slice(-HISTORY_COUNT_MAX).map(([epoch, first]) => [epoch, first])
  }

  /** Epoch of the last record, 0 when there is none. */
  get lastEpoch(): number {
    return this.#entries.at(-1)?.[0] ?? 0
  }

  /** Epoch that made the record `sequence`; 0 when it is not known. Only meaningful up to the last sequence. */
  epochAt(sequence: number): number {
    for (let i = this.#entries.length - 1; i >= 0; i--) {
      const entry = this.#entries[i]
      if (entry !== undefined && entry[1] <= sequence) return entry[0]
    }
    return 0
  }

  /**
   * Notes that `epoch` made the record `sequence`, the next one.
   * @returns true when the epoch is new here, so that the history must be stored again.
   */
  note(epoch: number, sequence: number): boolean {
    if (this.lastEpoch === epoch) return false
    this.#entries.push([epoch, sequence])
    if (this.#entries.length > HISTORY_COUNT_MAX) this.#entries.shift()
    return true
  }

  toArray(): [number, number][] {
    return this.#entries.map(([epoch, first]) => [epoch, first])
  }
}
