import { History, type EpochHistory } from './history.ts'
import type { CheckpointBatch, CheckpointRecord, CheckpointSnapshot } from './interface.ts'
import { ReplyCache } from './reply-cache.ts'

/** What {@link Replica.append} did with a batch. */
export type AppendOutcome =
  /** `batch` is what was new of it. */
  | { readonly kind: 'applied'; readonly batch: CheckpointBatch }
  /** Everything in it is held already, or it was empty: nothing changed. */
  | { readonly kind: 'held' }
  | { readonly kind: 'staleEpoch'; readonly epoch: number }
  /** A record before it is missing, or the records held at its place are others. */
  | { readonly kind: 'outOfSync'; readonly sequence: number }

export interface ReplicaStatus {
  readonly epoch: number
  readonly sequence: number
  readonly lastEpoch: number
  readonly sectionCount: number
  readonly replyCount: number
}

/**
 * Content of one CSI's checkpoint on one node: the result of records 1 to `sequence`, applied in order.
 *
 * I1 `epoch` (the newest one heard of) never goes down, and nothing is applied under an older one.
 * I2 Two replicas whose histories have the same epoch at one sequence have the same content at that sequence.
 */
export class Replica {
  readonly sections = new Map<string, Uint8Array>()
  readonly replies: ReplyCache
  #history = new History()
  #epoch = 0
  #sequence = 0
  #sizeBytes = 0

  /** @param onReplyChange - told of each cached reply that an {@link append} added or removed. */
  constructor(onReplyChange?: (caller: string, messageId: number) => void) {
    this.replies = new ReplyCache(onReplyChange)
  }

  /** Newest epoch heard of: everything under an older one is refused. */
  get epoch(): number {
    return this.#epoch
  }

  /** Number of the last record, 0 when there is none. */
  get sequence(): number {
    return this.#sequence
  }

  /** Epoch that made the last record. */
  get lastEpoch(): number {
    return this.#history.lastEpoch
  }

  /** Bytes of all sections. */
  get sizeBytes(): number {
    return this.#sizeBytes
  }

  get history(): EpochHistory {
    return this.#history.toArray()
  }

  /**
   * Refuses everything under an epoch older than this one from now on. @returns false when a newer one was heard
   * of.
   */
  promise(epoch: number): boolean {
    if (epoch < this.#epoch) return false
    this.#epoch = epoch
    return true
  }

  /**
   * Says what {@link append} would do, and changes nothing: the shell makes the batch durable in between.
   * @param under - epoch of the stream that carries the batch; the batch's own may be older (catching up).
   */
  examine(batch: CheckpointBatch, under: number): AppendOutcome {
    if (under < this.#epoch || batch.epoch > under) {
      return { kind: 'staleEpoch', epoch: this.#epoch }
    }
    const gap: AppendOutcome = { kind: 'outOfSync', sequence: this.#sequence }
    if (under > this.#epoch || batch.firstSequence > this.#sequence + 1) return gap
    const held = this.#sequence - batch.firstSequence + 1
    if (held > 0 && batch.records.length > 0) {
      const last = Math.min(this.#sequence, batch.firstSequence + batch.records.length - 1)
      if (this.#history.epochAt(batch.firstSequence) !== batch.epoch) return gap
      if (this.#history.epochAt(last) !== batch.epoch) return gap
    }
    if (held >= batch.records.length) return { kind: 'held' }
    if (batch.epoch < this.lastEpoch) return gap
    const rest = held <= 0 ? batch : withoutFirst(batch, held)
    return { kind: 'applied', batch: rest }
  }

  /** Applies a batch in order, whole or not at all. */
  append(batch: CheckpointBatch, under: number, nowMs: number): AppendOutcome {
    const outcome = this.examine(batch, under)
    if (outcome.kind === 'applied') this.#apply(outcome.batch, nowMs)
    return outcome
  }

  /** True when a replica that ends with (lastEpoch, lastSequence) holds a beginning of this one. */
  isPrefix(lastEpoch: number, lastSequence: number): boolean {
    if (lastSequence === 0) return true
    if (lastSequence < 0 || lastSequence > this.#sequence) return false
    const known = this.#history.epochAt(lastSequence)
    return known !== 0 && known === lastEpoch
  }

  snapshot(): CheckpointSnapshot {
    return {
      epoch: this.lastEpoch,
      sequence: this.#sequence,
      sections: [...this.sections],
      replies: this.replies.replies(),
      acknowledged: this.replies.acknowledged(),
    }
  }

  /** Forgets everything but the epoch and takes the content of another replica. */
  replace(snapshot: CheckpointSnapshot, history: EpochHistory, nowMs: number): void {
    this.sections.clear()
    this.#sizeBytes = 0
    for (const [section, value] of snapshot.sections) this.#set(section, value)
    this.replies.replace(snapshot.replies, snapshot.acknowledged, nowMs)
    this.#history = new History(history)
    this.#sequence = snapshot.sequence
  }

  status(): ReplicaStatus {
    return {
      epoch: this.#epoch,
      sequence: this.#sequence,
      lastEpoch: this.lastEpoch,
      sectionCount: this.sections.size,
      replyCount: this.replies.count,
    }
  }

  #apply(batch: CheckpointBatch, nowMs: number): void {
    this.#history.note(batch.epoch, batch.firstSequence)
    for (const record of batch.records) this.#applyRecord(record, nowMs)
    this.#sequence += batch.records.length
  }

  #applyRecord(record: CheckpointRecord, nowMs: number): void {
    for (const [section, value] of record.writes) this.#set(section, value)
    this.replies.apply(record, nowMs)
  }

  #set(section: string, value: Uint8Array | null): void {
    const former = this.sections.get(section)
    if (former !== undefined) this.#sizeBytes -= former.byteLength + section.length
    if (value === null) {
      this.sections.delete(section)
      return
    }
    this.sections.set(section, value)
    this.#sizeBytes += value.byteLength + section.length
  }
}

function withoutFirst(batch: CheckpointBatch, count: number): CheckpointBatch {
  return {
    epoch: batch.epoch,
    firstSequence: batch.firstSequence + count,
    records: batch.records.slice(count),
  }
}
