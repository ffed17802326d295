import { rcOfCode } from '../../../idl/index.ts'
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
  readonly #countMax: number
  readonly #replies = new ReplyCache()
  readonly #pending = new PendingCalls()
  #expiredAtMs = -Infinity

  constructor(countMax: number = CHECKPOINT_LIMITS.replyCountMax) {
    this.#countMax = countMax
  }

  /** Decides on a call with at-most-once, and notes that it runs when it may. */
  admit(key: CallKey): Admittance {
    const known = this.#replies.lookup(key.caller, key.messageId)
    if (known.kind === 'done') return known
    // Of an acknowledged one nobody waits for the answer any more: it is a straggler.
    if (known.kind === 'acknowledged' || this.#pending.has(key)) return { kind: 'inProgress' }
    const { count, sizeBytes } = this.#replies
    const isFull = count + this.#pending.count >= this.#countMax
    if (isFull || sizeBytes >= CHECKPOINT_LIMITS.replySizeBytesMax) {
      return { kind: 'full', count, sizeBytes }
    }
    if (key.acknowledgedBelow > this.#replies.acknowledgedBelow(key.caller)) {
      this.#pending.acknowledge(key.caller, key.acknowledgedBelow)
    }
    this.#pending.add(key)
    return { kind: 'run' }
  }

  /** The call is over: committed, failed or given up. */
  end(key: CallKey): void {
    this.#pending.remove(key)
  }

  /** The reply to keep for a call, null when none is. */
  replyOf(
    key: CallKey,
    reply: { readonly rc: number; readonly payload: Uint8Array },
    nowMs: number,
  ): CachedReply | null {
    // "Try again" is an invitation to run it: such an answer is not kept.
    if (!key.atMostOnce || reply.rc === TRY_AGAIN) return null
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
