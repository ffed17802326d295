/**
 * At-most-once on the callee's side, for one life of one process: what ran already is answered from here and not run
 * again. Keyed by (caller, message id). Core: time comes in as `nowMs`.
 *
 * I1 A message id below a caller's watermark is never run: the caller holds its reply or gave it up.
 * I2 An entry goes by acknowledgement or when its call's deadline is past by the grace, never earlier.
 * I3 A reply is kept before it is sent.
 * I4 A copy whose call an entry that went by age may have been about is never run: where the callee stood still, copies
 * lie unread in its sockets for longer than any grace.
 */

/** A finished call's answer. `rc` 0: `payload` is the output; else it is an encoded wire error. */
export interface KeptReply {
  readonly rc: number
  readonly payload: Uint8Array
  readonly epoch: number
}

/** What to do with an at-most-once request. */
export type DedupeVerdict =
  /** New: run it, then call `finish` or `forget`. */
  | { readonly kind: 'run' }
  /** A copy of it runs: answer `INUSE`. */
  | { readonly kind: 'inProgress' }
  /** It ran: send this again. */
  | { readonly kind: 'done'; readonly reply: KeptReply }
  /** Nobody waits for it any more: drop it. */
  | { readonly kind: 'acknowledged' }
  /** It may have run, and what it was answered is not known any more: answer `TIMEOUT`. */
  | { readonly kind: 'forgotten' }
  /** The table is full of what must not be forgotten: answer `TRY_AGAIN`. */
  | { readonly kind: 'full' }

/** Bounds of the table: at the first two a new call gets `TRY_AGAIN`. */
export interface DedupeLimits {
  /** Entries at most. @defaultValue 65_536 */
  readonly entryCountMax: number
  /** Bytes of kept replies at most. @defaultValue 64 MiB */
  readonly replyBytesMax: number
  /** Time that an entry stays after the deadline of its call. SAFplus RMD, section 5.4. @defaultValue 2_000 */
  readonly graceMs: number
  /** A caller that is silent for so long is forgotten with its watermark. @defaultValue 900_000 */
  readonly callerAgeMsMax: number
}

/** The defaults of {@link DedupeLimits}. */
export const DEFAULT_DEDUPE_LIMITS: DedupeLimits = {
  entryCountMax: 65_536,
  replyBytesMax: 64 * 1024 * 1024,
  graceMs: 2_000,
  callerAgeMsMax: 900_000,
}

/** A request as the table sees it. */
export interface DedupeRequest {
  readonly caller: string
  readonly messageId: number
  readonly acknowledgedBelow: number
  readonly deadlineMs: number
  /** Its caller says that an earlier copy may have run. */
  readonly isCopy: boolean
}

interface Entry {
  reply: KeptReply | null
  expiresMs: number
}

interface Caller {
  watermark: number
  /** Above every id whose entry went by age. */
  forgottenBelow: number
  touchedMs: number
  readonly entries: Map<number, Entry>
}

const RUN: DedupeVerdict = { kind: 'run' }
const IN_PROGRESS: DedupeVerdict = { kind: 'inProgress' }
const ACKNOWLEDGED: DedupeVerdict = { kind: 'acknowledged' }
const FORGOTTEN: DedupeVerdict = { kind: 'forgotten' }
const FULL: DedupeVerdict = { kind: 'full' }
const SWEEP_INTERVAL_MS = 2_000

export class DedupeTable {
  readonly #limits: DedupeLimits
  readonly #callers = new Map<string, Caller>()
  #entryCount = 0
  #replyBytes = 0
  #sweptMs = Number.NEGATIVE_INFINITY

  constructor(limits: Partial<DedupeLimits> = {}) {
    this.#limits = { ...DEFAULT_DEDUPE_LIMITS, ...limits }
  }

  get entryCount(): number {
    return this.#entryCount
  }

  get replyBytes(): number {
    return this.#replyBytes
  }

  /** Asks what to do with a request; `run` enters it as running. */
  begin(request: DedupeRequest, nowMs: number): DedupeVerdict {
    this.#maybeSweep(nowMs)
    const caller = this.#caller(request.caller, nowMs)
    this.#acknowledge(caller, request.acknowledgedBelow)
    const expiresMs = request.deadlineMs + this.#limits.graceMs
    const entry = caller.entries.get(request.messageId)
    if (entry !== undefined) {
      entry.expiresMs = Math.max(entry.expiresMs, expiresMs)
      return entry.reply === null ? IN_PROGRESS : { kind: 'done', reply: entry.reply }
    }
    if (request.messageId < caller.watermark) return ACKNOWLEDGED
    if (request.isCopy && request.messageId < caller.forgottenBelow) return FORGOTTEN
    if (this.#isFull() && !this.#makeRoom(nowMs)) return FULL
    caller.entries.set(request.messageId, { reply: null, expiresMs })
    this.#entryCount += 1
    return RUN
  }

  /** The call ran: keeps its reply. Does nothing when nobody can ask for it any more. */
  finish(callerId: string, messageId: number, reply: KeptReply): void {
    const caller = this.#callers.get(callerId)
    const entry = caller?.entries.get(messageId)
    if (caller === undefined || entry === undefined || entry.reply !== null) return
    if (messageId < caller.watermark) {
      this.#remove(caller, messageId, entry)
      return
    }
    entry.reply = reply
    this.#replyBytes += reply.payload.length
  }

  /** The call did not run after all (it was refused): the next copy of it is new. */
  forget(callerId: string, messageId: number): void {
    const caller = this.#callers.get(callerId)
    const entry = caller?.entries.get(messageId)
    if (caller !== undefined && entry !== undefined && entry.reply === null) {
      this.#remove(caller, messageId, entry)
    }
  }

  /** The caller holds every reply with an id below `below`, or gave it up. */
  acknowledge(callerId: string, below: number, nowMs: number): void {
    const caller = this.#callers.get(callerId)
    if (caller === undefined) return
    caller.touchedMs = nowMs
    this.#acknowledge(caller, below)
  }

  /** Drops what is too old. Runs by itself every two seconds in which requests arrive. */
  sweep(nowMs: number): void {
    this.#sweptMs = nowMs
    for (const [id, caller] of this.#callers) {
      for (const [messageId, entry] of caller.entries) {
        if (entry.expiresMs > nowMs) continue
        this.#remove(caller, messageId, entry)
        caller.forgottenBelow = Math.max(caller.forgottenBelow, messageId + 1)
      }
      const silentMs = nowMs - caller.touchedMs
      if (caller.entries.size === 0 && silentMs >= this.#limits.callerAgeMsMax) {
        this.#callers.delete(id)
      }
    }
  }

  #caller(id: string, nowMs: number): Caller {
    let caller = this.#callers.get(id)
    if (caller === undefined) {
      caller = { watermark: 0, forgottenBelow: 0, touchedMs: nowMs, entries: new Map() }
      this.#callers.set(id, caller)
    }
    caller.touchedMs = nowMs
    return caller
  }

  #acknowledge(caller: Caller, below: number): void {
    if (below <= caller.watermark) return
    const { entries } = caller
    const from = caller.watermark
    caller.watermark = below
    if (entries.size === 0) return
    if (below - from > entries.size) {
      for (const [id, entry] of entries) if (id < below) this.#acknowledged(caller, id, entry)
      return
    }
    for (let id = from; id < below; id += 1) {
      const entry = entries.get(id)
      if (entry !== undefined) this.#acknowledged(caller, id, entry)
    }
  }

  /** One that still runs stays until it finishes or expires. */
  #acknowledged(caller: Caller, messageId: number, entry: Entry): void {
    if (entry.reply !== null) this.#remove(caller, messageId, entry)
  }

  #remove(caller: Caller, messageId: number, entry: Entry): void {
    caller.entries.delete(messageId)
    this.#entryCount -= 1
    this.#replyBytes -= entry.reply?.payload.length ?? 0
  }

  #isFull(): boolean {
    return (
      this.#entryCount >= this.#limits.entryCountMax ||
      this.#replyBytes >= this.#limits.replyBytesMax
    )
  }

  #makeRoom(nowMs: number): boolean {
    // A sweep at each refusal would be work that grows with the attack; the clock bounds it.
    if (nowMs - this.#sweptMs >= SWEEP_INTERVAL_MS / 20) this.sweep(nowMs)
    return !this.#isFull()
  }

  #maybeSweep(nowMs: number): void {
    if (nowMs - this.#sweptMs >= SWEEP_INTERVAL_MS) this.sweep(nowMs)
  }
}
