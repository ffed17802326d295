import type { CachedReply, CheckpointRecord } from './interface.ts'

/** What is known about a call by its key (caller, messageId). */
export type ReplyLookup =
  | { readonly kind: 'unknown' }
  | { readonly kind: 'done'; readonly reply: CachedReply }
  /** The caller said that it holds the reply: nobody waits for an answer any more. */
  | { readonly kind: 'acknowledged' }

export interface ReplyCacheLimits {
  /** A caller that says nothing for so long is forgotten. It must exceed the longest time-out of a call. */
  readonly callerIdleMs: number
  readonly callerCountMax: number
}

export const REPLY_CACHE_LIMITS: ReplyCacheLimits = {
  callerIdleMs: 1_200_000,
  callerCountMax: 65_536,
}

interface Entry {
  readonly reply: CachedReply
  readonly keptUntilMs: number
}

interface Caller {
  /** Ascending; what was dropped at the front is skipped by `head`. */
  ids: number[]
  head: number
  readonly entries: Map<number, Entry>
  below: number
  touchedMs: number
}

/**
 * Replies of calls that are committed, by (caller, messageId). What is in it follows from the records alone, so that
 * the component, its standby and every replica hold the same: entries go by a record's `acknowledged` and `expired`,
 * never by local time. Local time only says which entries the active *may* declare expired.
 *
 * It has no bound of its own on replies: the active refuses calls before there are too many.
 */
export class ReplyCache {
  readonly #limits: ReplyCacheLimits
  readonly #onChange: (caller: string, messageId: number) => void
  /** In order of last use. */
  readonly #callers = new Map<string, Caller>()
  #count = 0
  #sizeBytes = 0

  /** @param onChange - told of each key that a record added or removed (not of {@link replace}). */
  constructor(
    onChange: (caller: string, messageId: number) => void = () => undefined,
    limits: ReplyCacheLimits = REPLY_CACHE_LIMITS,
  ) {
    this.#onChange = onChange
    this.#limits = limits
  }

  get count(): number {
    return this.#count
  }

  get sizeBytes(): number {
    return this.#sizeBytes
  }

  lookup(caller: string, messageId: number): ReplyLookup {
    const known = this.#callers.get(caller)
    if (known === undefined) return { kind: 'unknown' }
    const entry = known.entries.get(messageId)
    if (entry !== undefined) return { kind: 'done', reply: entry.reply }
    return messageId < known.below ? { kind: 'acknowledged' } : { kind: 'unknown' }
  }

  /** True when a reply of the caller is kept. */
  holds(caller: string): boolean {
    return (this.#callers.get(caller)?.entries.size ?? 0) > 0
  }

  /** The id below which a caller is known to hold every reply. */
  acknowledgedBelow(caller: string): number {
    return this.#callers.get(caller)?.below ?? 0
  }

  /** Takes over what a committed record says about replies. */
  apply(record: CheckpointRecord, nowMs: number): void {
    for (const [caller, below] of record.acknowledged) this.#acknowledge(caller, below, nowMs)
    for (const [caller, id] of record.expired) this.#remove(caller, id)
    if (record.reply !== null) {
      this.#add(record.reply, nowMs)
      this.#onChange(record.reply.caller, record.reply.messageId)
    }
    this.#forgetIdle(nowMs)
  }

  /** Up to `countMax` keys whose time has passed, for the `expired` of a record. Looks at every entry. */
  expired(nowMs: number, countMax: number): [string, number][] {
    const keys: [string, number][] = []
    for (const [name, caller] of this.#callers) {
      for (const [id, entry] of caller.entries) {
        if (entry.keptUntilMs <= nowMs) keys.push([name, id])
        if (keys.length >= countMax) return keys
      }
    }
    return keys
  }

  /** All replies: callers by name, ids ascending, so that equal caches give equal lists. */
  replies(): CachedReply[] {
    const all: CachedReply[] = []
    for (const name of [...this.#callers.keys()].sort()) {
      const caller = this.#callers.get(name)
      if (caller === undefined) continue
      for (const id of [...caller.entries.keys()].sort((a, b) => a - b)) {
        const entry = caller.entries.get(id)
        if (entry !== undefined) all.push(entry.reply)
      }
    }
    return all
  }

  acknowledged(): [string, number][] {
    const all: [string, number][] = []
    for (const [name, caller] of this.#callers) if (caller.below > 0) all.push([name, caller.below])
    return all
  }

  /**
   * Starts again with the content of a snapshot. Time to be kept counts from now: longer than needed, never
   * shorter.
   */
  replace(
    replies: readonly CachedReply[],
    acknowledged: readonly (readonly [string, number])[],
    nowMs: number,
  ): void {
    this.#callers.clear()
    this.#count = 0
    this.#sizeBytes = 0
    for (const [caller, below] of acknowledged) this.#acknowledge(caller, below, nowMs)
    for (const reply of replies) this.#add(reply, nowMs)
  }

  #caller(name: string, nowMs: number): Caller {
    let caller = this.#callers.get(name)
    if (caller === undefined) {
      caller = { ids: [], head: 0, entries: new Map(), below: 0, touchedMs: nowMs }
    } else if (nowMs - caller.touchedMs < this.#limits.callerIdleMs / 16) {
      return caller
    } else {
      this.#callers.delete(name)
      caller.touchedMs = nowMs
    }
    this.#callers.set(name, caller)
    return caller
  }

  #add(reply: CachedReply, nowMs: number): void {
    const caller = this.#caller(reply.caller, nowMs)
    const former = caller.entries.get(reply.messageId)
    if (former === undefined) {
      insertAscending(caller, reply.messageId)
      this.#count++
    } else {
      this.#sizeBytes -= former.reply.payload.byteLength
    }
    caller.entries.set(reply.messageId, { reply, keptUntilMs: nowMs + reply.keepMs })
    this.#sizeBytes += reply.payload.byteLength
  }

  #remove(name: string, messageId: number): void {
    const caller = this.#callers.get(name)
    const entry = caller?.entries.get(messageId)
    if (caller === undefined || entry === undefined) return
    caller.entries.delete(messageId)
    this.#count--
    this.#sizeBytes -= entry.reply.payload.byteLength
    this.#onChange(name, messageId)
  }

  #acknowledge(name: string, below: number, nowMs: number): void {
    const caller = this.#caller(name, nowMs)
    if (below <= caller.below) return
    caller.below = below
    while (caller.head < caller.ids.length) {
      const id = caller.ids[caller.head]
      if (id === undefined || id >= below) break
      this.#remove(name, id)
      caller.head++
    }
    if (caller.head > 64 && caller.head * 2 > caller.ids.length) {
      caller.ids = caller.ids.slice(caller.head)
      caller.head = 0
    }
  }

  /** Looks at the two callers silent for longest: who is idle, or beyond the bound, and has no reply here, goes. */
  #forgetIdle(nowMs: number): void {
    for (let i = 0; i < 2; i++) {
      const oldest = this.#callers.entries().next().value
      if (oldest === undefined) return
      const [name, caller] = oldest
      const tooMany = this.#callers.size > this.#limits.callerCountMax
      if (!tooMany && nowMs - caller.touchedMs <= this.#limits.callerIdleMs) return
      this.#callers.delete(name)
      if (caller.entries.size > 0) this.#callers.set(name, caller)
    }
  }
}

/** Ids come nearly in order: the search starts at the end. */
function insertAscending(caller: Caller, id: number): void {
  let at = caller.ids.length
  while (at > caller.head && (caller.ids[at - 1] ?? 0) > id) at--
  if (at === caller.ids.length) caller.ids.push(id)
  else caller.ids.splice(at, 0, id)
}
