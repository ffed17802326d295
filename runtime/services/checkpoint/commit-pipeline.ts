import type { CheckpointBatch } from './interface.ts'

/** A batch that the ACTIVE component handed over and that is not acknowledged yet. `T` stands for a waiting caller. */
export interface PipelineEntry<T> {
  /** Grows by one with each entry: answers of secondaries name it. */
  readonly index: number
  readonly batch: CheckpointBatch
  readonly payload: Uint8Array
  readonly arrivedMs: number
  /** Who waits for it: the same batch may be asked for again. */
  waiting: { readonly token: T; readonly deadlineMs: number }[]
}

/** What to do with a batch that arrived. */
export type Admission<T> =
  | { readonly kind: 'queued'; readonly entry: PipelineEntry<T> }
  | { readonly kind: 'joined' }
  /** All of it was acknowledged before. */
  | { readonly kind: 'held' }
  | { readonly kind: 'full' }
  | { readonly kind: 'outOfSync'; readonly expectedSequence: number }

export interface PipelineLimits {
  /** Batches waiting at most; one more gets TRY_AGAIN. */
  readonly countMax: number
  readonly sizeBytesMax: number
}

export const PIPELINE_LIMITS: PipelineLimits = { countMax: 1_024, sizeBytesMax: 64 * 1_024 * 1_024 }

/** Batches in order of their sequence, from the hand-over until every in-sync replica holds them. */
export class CommitPipeline<T> {
  readonly #limits: PipelineLimits
  #entries: PipelineEntry<T>[] = []
  #nextIndex = 1
  #sizeBytes = 0
  /** Last record of all entries that came; 0 when they were given up. */
  #queuedSequence = 0

  constructor(limits: PipelineLimits = PIPELINE_LIMITS) {
    this.#limits = limits
  }

  get entries(): readonly PipelineEntry<T>[] {
    return this.#entries
  }

  get head(): PipelineEntry<T> | undefined {
    return this.#entries[0]
  }

  /** Index of the entry that left last. */
  get leftIndex(): number {
    return (this.head?.index ?? this.#nextIndex) - 1
  }

  /**
   * @param appliedSequence - last record of the primary's own replica.
   * @param isHeld - says whether the own replica holds the record (epoch, sequence).
   */
  admit(
    request: {
      readonly batch: CheckpointBatch
      readonly payload: Uint8Array
      readonly token: T
      readonly deadlineMs: number
    },
    appliedSequence: number,
    isHeld: (epoch: number, sequence: number) => boolean,
    nowMs: number,
  ): Admission<T> {
    const { batch, payload } = request
    const expectedSequence = Math.max(appliedSequence, this.#queuedSequence) + 1
    if (batch.firstSequence > expectedSequence) return { kind: 'outOfSync', expectedSequence }
    // A confirmation by a writer that does not know what a former one committed: what it read may be old.
    const isBehind =
      batch.records.length === 0 &&
      batch.firstSequence <= appliedSequence &&
      !isHeld(batch.epoch, batch.firstSequence)
    if (isBehind) return { kind: 'outOfSync', expectedSequence }
    const waiter = { token: request.token, deadlineMs: request.deadlineMs }
    if (batch.records.length > 0 && batch.firstSequence < expectedSequence) {
      const last = lastSequenceOf(batch)
      if (last <= appliedSequence && isHeld(batch.epoch, last)) return { kind: 'held' }
      const same = this.#entries.find((entry) => isSame(entry.batch, batch))
      if (same === undefined) return { kind: 'outOfSync', expectedSequence }
      same.waiting.push(waiter)
      return { kind: 'joined' }
    }
    if (this.#entries.length >= this.#limits.countMax) return { kind: 'full' }
    const sizeBytes = this.#sizeBytes + payload.byteLength
    if (this.#entries.length > 0 && sizeBytes > this.#limits.sizeBytesMax) return { kind: 'full' }
    this.#sizeBytes = sizeBytes
    const entry = { index: this.#nextIndex++, batch, payload, arrivedMs: nowMs, waiting: [waiter] }
    this.#entries.push(entry)
    this.#queuedSequence = Math.max(this.#queuedSequence, lastSequenceOf(batch))
    return { kind: 'queued', entry }
  }

  /** The head leaves: every in-sync replica holds it. */
  shift(): PipelineEntry<T> | undefined {
    const entry = this.#entries.shift()
    if (entry !== undefined) this.#sizeBytes -= entry.payload.byteLength
    return entry
  }

  /** Callers whose deadline has passed: they are no longer waited with, the batch stays. */
  takeLate(nowMs: number): T[] {
    const late: T[] = []
    for (const entry of this.#entries) {
      if (!entry.waiting.some((each) => each.deadlineMs <= nowMs)) continue
      for (const each of entry.waiting) if (each.deadlineMs <= nowMs) late.push(each.token)
      entry.waiting = entry.waiting.filter((each) => each.deadlineMs > nowMs)
    }
    return late
  }

  /** Everything that waits, in order; the pipeline is empty then. */
  takeAll(): PipelineEntry<T>[] {
    const all = this.#entries
    this.#entries = []
    this.#sizeBytes = 0
    this.#queuedSequence = 0
    return all
  }
}

/** Sequence of the last record of a batch; of an empty one, the sequence before it. */
export function lastSequenceOf(batch: CheckpointBatch): number {
  return batch.firstSequence + batch.records.length - 1
}

function isSame(a: CheckpointBatch, b: CheckpointBatch): boolean {
  return (
    a.epoch === b.epoch &&
    a.firstSequence === b.firstSequence &&
    a.records.length === b.records.length
  )
}
