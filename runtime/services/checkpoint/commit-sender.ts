import { isSdkError, SdkError } from '../../../idl/index.ts'
import { CHECKPOINT_LIMITS } from './checkpoint-limits.ts'
import { CommitQueue, type CommitItem, type OutgoingBatch } from './commit-queue.ts'
import type { CheckpointBatch } from './interface.ts'

export interface CommitSenderOptions<T> {
  readonly csi: string
  readonly clock: () => number
  /** Sends a batch to the replica of the own node. */
  readonly send: (batch: CheckpointBatch) => Promise<unknown>
  /** Batches that every in-sync replica holds, in order. */
  readonly onCommitted: (items: readonly CommitItem<T>[]) => void
  /** The role is gone, or the replica cannot go on with this process. */
  readonly onFenced: (error: SdkError) => void
  /** Something waits for time to pass: `flush` is wanted again. */
  readonly onWaiting: () => void
}

/** Groups that leave before the tick ends: the replicas work on them while this side makes the others. */
const EARLY_GROUP_COUNT = 16

/** Refusals that another try does not heal. */
const HOPELESS: ReadonlySet<string> = new Set([
  'OUT_OF_SYNC',
  'NO_SPACE',
  'INVALID_PARAMETER',
  'MESSAGE_ERROR',
  'TOO_BIG',
  'LIBRARY',
  'UNSPECIFIED',
  'HANDLER_FAILED',
])

/** Sends what a {@link CommitQueue} says and feeds the answers back: the last calls of one tick share a batch. */
export class CommitSender<T> {
  readonly #options: CommitSenderOptions<T>
  readonly #queue = new CommitQueue<T>()
  #isFlushScheduled = false
  /** Groups that were added since the last flush. */
  #unsentCount = 0

  constructor(options: CommitSenderOptions<T>) {
    this.#options = options
  }

  /** True when nothing waits for a commit. */
  get isIdle(): boolean {
    return this.#queue.isIdle
  }

  start(epoch: number, sequence: number): void {
    this.#queue.start(epoch, sequence)
  }

  /** Commits a group as one. */
  add(group: readonly CommitItem<T>[]): void {
    this.#queue.add(group)
    this.#unsentCount += 1
    if (this.#unsentCount >= EARLY_GROUP_COUNT) this.flush()
    if (this.#isFlushScheduled) return
    this.#isFlushScheduled = true
    process.nextTick(() => {
      this.#isFlushScheduled = false
      this.flush()
    })
  }

  /** Sends what may be sent now. */
  flush(): void {
    this.#unsentCount = 0
    const nowMs = this.#options.clock()
    for (let next = this.#queue.next(nowMs); next !== undefined; next = this.#queue.next(nowMs)) {
      this.#send(next)
    }
  }

  /** Forgets everything that waits; answers to it are not counted any more. */
  drop(): void {
    this.#queue.takeAll()
  }

  #send(outgoing: OutgoingBatch<T>): void {
    const { attempt } = outgoing
    this.#options.send(outgoing.batch).then(
      () => {
        for (const { items } of this.#queue.acknowledged(outgoing, attempt)) {
          this.#options.onCommitted(items)
        }
        this.flush()
      },
      (error: unknown) => this.#refused(outgoing, attempt, error),
    )
  }

  #refused(outgoing: OutgoingBatch<T>, attempt: number, error: unknown): void {
    if (isSdkError(error, 'STALE_EPOCH')) {
      if (outgoing.state === 'sent' && outgoing.attempt === attempt) this.#options.onFenced(error)
      return
    }
    const { csi, clock, onFenced, onWaiting } = this.#options
    const code = isSdkError(error) ? error.code : 'UNSPECIFIED'
    const isOldest = this.#queue.failed(outgoing, attempt, clock())
    const isHopeless =
      HOPELESS.has(code) && this.#queue.failures > CHECKPOINT_LIMITS.refusalCountMax
    if (!isOldest || !isHopeless) {
      onWaiting()
      return
    }
    const why = error instanceof Error ? error.message : String(error)
    const message = `checkpoint ${csi}: the replica refuses to go on: ${why}`
    onFenced(new SdkError('STALE_EPOCH', message, { cause: error, context: { csi, code } }))
  }
}
