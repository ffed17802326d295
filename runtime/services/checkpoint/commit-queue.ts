import type { CheckpointBatch, CheckpointRecord } from './interface.ts'

/** What a finished call commits. `record` null: nothing but the epoch is to be confirmed. */
export interface CommitItem<T> {
  readonly record: CheckpointRecord | null
  readonly token: T
}

/** One batch on its way. The same one is sent again, under the next `attempt`, until it is acknowledged. */
export interface OutgoingBatch<T> {
  readonly batch: CheckpointBatch
  readonly items: readonly CommitItem<T>[]
  /** Answers to an earlier attempt do not count. */
  attempt: number
  state: 'unsent' | 'sent' | 'acknowledged'
}

export interface CommitQueueLimits {
  /** Batches sent and not answered at most; what finishes meanwhile goes together into the next one. */
  readonly inFlightMax: number
  /** Records of one batch at most, unless one group is larger. */
  readonly batchCountMax: number
  readonly batchSizeBytesMax: number
}

export const COMMIT_QUEUE_LIMITS: CommitQueueLimits = {
  inFlightMax: 4,
  batchCountMax: 1_024,
  batchSizeBytesMax: 1_024 * 1_024,
}

const RETRY_BACKOFF_MS = { min: 5, max: 200 } as const

/**
 * The writer's side of a commit, pure: numbers records, joins them into batches, keeps batches in order, and sends
 * again from the first one that failed (go-back-n). A batch never changes once it was formed, so that one sequence
 * never means two records.
 */
export class CommitQueue<T> {
  readonly #limits: CommitQueueLimits
  #epoch = 0
  #nextSequence = 1
  #groups: (readonly CommitItem<T>[])[] = []
  #batches: OutgoingBatch<T>[] = []
  #inFlight = 0
  #failures = 0
  #retryAtMs = 0

  constructor(limits: CommitQueueLimits = COMMIT_QUEUE_LIMITS) {
    this.#limits = limits
  }

  /** True when nothing waits for a commit. */
  get isIdle(): boolean {
    return this.#groups.length === 0 && this.#batches.length === 0
  }

  /** Failures of the oldest batch in a row. */
  get failures(): number {
    return this.#failures
  }

  /** When a failed batch may be sent again; null when nothing waits for that. */
  get retryAtMs(): number | null {
    return this.#failures > 0 && this.#inFlight === 0 && !this.isIdle ? this.#retryAtMs : null
  }

  /** Starts under a grant, after the record `sequence`. What was queued before is gone. */
  start(epoch: number, sequence: number): void {
    this.takeAll()
    this.#epoch = epoch
    this.#nextSequence = sequence + 1
  }

  /** Queues what became final together: it stays together in one batch. */
  add(group: readonly CommitItem<T>[]): void {
    if (group.length > 0) this.#groups.push(group)
  }

  /** The next batch to send now, or undefined. The caller sends it and reports back with the attempt it had. */
  next(nowMs: number): OutgoingBatch<T> | undefined {
    if (this.#failures > 0 && nowMs < this.#retryAtMs) return undefined
    // After a failure one at a time, until one is through.
    const inFlightMax = this.#failures > 0 ? 1 : this.#limits.inFlightMax
    if (this.#inFlight >= inFlightMax) return undefined
    const outgoing = this.#batches.find((each) => each.state === 'unsent') ?? this.#form()
    if (outgoing === undefined) return undefined
    outgoing.state = 'sent'
    this.#inFlight++
    return outgoing
  }

  /** @returns the batches that are through by it, in order. */
  acknowledged(outgoing: OutgoingBatch<T>, attempt: number): OutgoingBatch<T>[] {
    if (outgoing.state !== 'sent' || outgoing.attempt !== attempt) return []
    outgoing.state = 'acknowledged'
    this.#inFlight--
    this.#failures = 0
    const through: OutgoingBatch<T>[] = []
    while (this.#batches[0]?.state === 'acknowledged') {
      const first = this.#batches.shift()
      if (first !== undefined) through.push(first)
    }
    return through
  }

  /** The batch, and each one after it, has to be sent again. @returns true when it was the oldest. */
  failed(outgoing: OutgoingBatch<T>, attempt: number, nowMs: number): boolean {
    if (outgoing.state !== 'sent' || outgoing.attempt !== attempt) return false
    const at = this.#batches.indexOf(outgoing)
    if (at < 0) return false
    for (const each of this.#batches.slice(at)) {
      if (each.state === 'sent') this.#inFlight--
      each.state = 'unsent'
      each.attempt++
    }
    const backoffMs = RETRY_BACKOFF_MS.min * 2 ** Math.min(this.#failures, 10)
    this.#failures++
    this.#retryAtMs = nowMs + Math.min(backoffMs, RETRY_BACKOFF_MS.max)
    return at === 0
  }

  /** Everything that waits, in order; nothing is left. */
  takeAll(): T[] {
    const items = [...this.#batches.flatMap((each) => each.items), ...this.#groups.flat()]
    this.#batches = []
    this.#groups = []
    this.#inFlight = 0
    this.#failures = 0
    return items.map((item) => item.token)
  }

  #form(): OutgoingBatch<T> | undefined {
    const items: CommitItem<T>[] = []
    let sizeBytes = 0
    let taken = 0
    for (const group of this.#groups) {
      const isFull =
        items.length + group.length > this.#limits.batchCountMax ||
        sizeBytes > this.#limits.batchSizeBytesMax
      if (taken > 0 && isFull) break
      items.push(...group)
      for (const item of group) sizeBytes += sizeOf(item.record)
      taken++
    }
    if (taken === 0) return undefined
    this.#groups.splice(0, taken)
    const records = items.flatMap((item) => (item.record === null ? [] : [item.record]))
    const batch = { epoch: this.#epoch, firstSequence: this.#nextSequence, records }
    this.#nextSequence += records.length
    const outgoing: OutgoingBatch<T> = { batch, items, attempt: 1, state: 'unsent' }
    this.#batches.push(outgoing)
    return outgoing
  }
}

function sizeOf(record: CheckpointRecord | null): number {
  if (record === null) return 0
  let sizeBytes = 64 + (record.reply?.payload.byteLength ?? 0)
  for (const [name, value] of record.writes) sizeBytes += name.length + (value?.byteLength ?? 0)
  return sizeBytes
}
