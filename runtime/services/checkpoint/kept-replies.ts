import { rcOfCode, SdkError } from '../../../idl/index.ts'
import type { CheckpointOptions } from '../../eo/app.ts'
import { CHECKPOINT_LIMITS } from './checkpoint-limits.ts'
import type { CallKey } from './commit-gate.ts'
import type { CachedReply, CheckpointRecord, CheckpointSnapshot } from './interface.ts'
import { PendingCalls } from './pending-calls.ts'
import { ReplyCache } from './reply-cache.ts'

/** What is to become of a call that arrives. `full`: no further reply can be kept now. */
export type Admittance =
  | { readonly kind: 'run' }
  | { readonly kind: 'inProgress' }
  | { readonly kind: 'done'; readonly reply: CachedReply }
  | { readonly kind: 'full'; readonly count: number; readonly sizeBytes: number }

/** How often it is looked for replies that may go by age, at most. */
const EXPIRY_PERIOD_MS = 1_000
const EXPIRED_COUNT_MAX = 1_024

/** At-most-once on the component's side: calls that run, replies that are kept, and when these may go. Pure. */
export class KeptReplies {
  readonly #csi: string
  readonly #countMax: number
  readonly #sizeBytesMax: number
  readonly #replies = new ReplyCache()
  readonly #pending = new PendingCalls()
  /** Of replies whose commit is under way. */
  #underWayBytes = 0
  #expiredAtMs = -Infinity

  constructor(
    csi: string,
    options: Pick<CheckpointOptions, 'replyCountMax' | 'replySizeBytesMax'> = {},
  ) {
    this.#csi = csi
    this.#countMax = options.replyCountMax ?? CHECKPOINT_LIMITS.replyCountMax
    this.#sizeBytesMax = options.replySizeBytesMax ?? CHECKPOINT_LIMITS.replySizeBytesMax
  }

  /** Decides on a call with at-most-once, and notes that it runs when it may. */
  admit(key: CallKey): Admittance {
    const known = this.#replies.lookup(key.caller, key.messageId)
    if (known.kind === 'done') return known
    // Of an acknowledged one nobody waits for the answer any more: it is a straggler.
    if (known.kind === 'acknowledged' || this.#pending.has(key)) return { kind: 'inProgress' }
    const { count, sizeBytes } = this.#replies
    const isFull = count + this.#pending.count >= this.#countMax
    if (isFull || sizeBytes + this.#underWayBytes >= CHECKPOINT_LIMITS.repliesSizeBytesMax) {
      return { kind: 'full', count, sizeBytes }
    }
    this.#acknowledge(key.caller, key.acknowledgedBelow)
    this.#pending.add(key)
    return { kind: 'run' }
  }

  /** The call is over: committed, failed or given up. @param reply - what {@link replyOf} gave for it. */
  end(key: CallKey, reply: CachedReply | null): void {
    this.#pending.remove(key)
    this.#underWayBytes -= reply?.payload.byteLength ?? 0
  }

  /** A caller holds every reply below an id. @returns true when there is anything to forget by that. */
  acknowledged(caller: string, below: number): boolean {
    return this.#replies.holds(caller) && this.#acknowledge(caller, below)
  }

  #acknowledge(caller: string, below: number): boolean {
    if (below <= this.#replies.acknowledgedBelow(caller)) return false
    this.#pending.acknowledge(caller, below)
    return true
  }

  /** Why an answer cannot be kept; undefined when it can. */
  refusalOf(key: CallKey, { payload }: { readonly payload: Uint8Array }): SdkError | undefined {
    const { byteLength } = payload
    if (!key.atMostOnce) return undefined
    if (byteLength > this.#sizeBytesMax) {
      return new SdkError(
        'TOO_BIG',
        `checkpoint ${this.#csi}: a reply of ${byteLength} bytes is too large to be kept for at-most-once, which ` +
          `takes ${this.#sizeBytesMax}; nothing of the call was committed; answer in parts, or call without atMostOnce`,
        { context: { bytes: byteLength, bytesMax: this.#sizeBytesMax } },
      )
    }
    const sizeBytes = this.#replies.sizeBytes + this.#underWayBytes + byteLength
    if (sizeBytes <= CHECKPOINT_LIMITS.repliesSizeBytesMax) return undefined
    return new SdkError(
      'TRY_AGAIN',
      `checkpoint ${this.#csi}: kept replies would have ${sizeBytes} bytes; nothing of the call was committed`,
    )
  }

  /** The reply to keep for a call, null when none is. It counts as under way until {@link end}. */
  replyOf(
    key: CallKey,
    reply: { readonly rc: number; readonly payload: Uint8Array },
    nowMs: number,
  ): CachedReply | null {
    // "Try again" is an invitation to run it: such an answer is not kept.
    if (!key.atMostOnce || reply.rc === TRY_AGAIN) return null
    this.#underWayBytes += reply.payload.byteLength
    const leftMs = Math.max(0, Math.ceil(key.deadlineMs - nowMs))
    return {
      caller: key.caller,
      messageId: key.messageId,
      functionNumber: key.functionNumber,
      rc: reply.rc,
      payload: reply.payload,
      keepMs: leftMs + CHECKPOINT_LIMITS.keepMarginMs,
    }
  }

  /** True while an acknowledgement waits for a record. */
  get hasNews(): boolean {
    return this.#pending.hasAcknowledged
  }

  /** What a new record has to say about replies of others. */
  takeNews(nowMs: number): Pick<CheckpointRecord, 'acknowledged' | 'expired'> {
    return { acknowledged: this.#pending.takeAcknowledged(), expired: this.takeExpired(nowMs) }
  }

  /** Replies whose time has passed; looks once a second at most, so that nothing is said twice. */
  takeExpired(nowMs: number): [string, number][] {
    if (nowMs - this.#expiredAtMs < EXPIRY_PERIOD_MS || this.#replies.count === 0) return []
    this.#expiredAtMs = nowMs
    return this.#replies.expired(nowMs, EXPIRED_COUNT_MAX)
  }

  /** A record is committed, here or by another one. */
  apply(record: CheckpointRecord, nowMs: number): void {
    this.#replies.apply(record, nowMs)
  }

  replace(snapshot: CheckpointSnapshot, nowMs: number): void {
    this.#replies.replace(snapshot.replies, snapshot.acknowledged, nowMs)
    this.#pending.clear()
  }
}

const TRY_AGAIN = rcOfCode('TRY_AGAIN')
