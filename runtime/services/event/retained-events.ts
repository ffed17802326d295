import { EVENT_LIMITS } from './interface.ts'

/** An event that is kept for later subscribers. */
export interface RetainedEvent {
  readonly channel: number
  /** Of its publisher; with the counter its id. */
  readonly node: number
  readonly counter: number
  /** Of the node process that published it, as far as known. */
  readonly life: string | null
  readonly expiresMs: number
  readonly record: Uint8Array
}

/** A node keeps so many times the bound: publishers of several nodes may pass it together. */
const SLACK = 2
/** How long events are remembered that are kept no more: so long a copy of one may still be on its way. */
const GONE_MS = 60_000
const GONE_COUNT_MAX = 4_096

/**
 * Retained events of one node: those of all global channels, or those of its local ones. A core.
 *
 * I1 An event is kept at most once, and never again after it expired or was cleared.
 */
export class RetainedEvents {
  readonly #channels = new Map<number, Map<string, RetainedEvent>>()
  readonly #goneMs = new Map<string, number>()
  /** Those that subscribers of this node were not given. */
  readonly #unheard = new Set<string>()
  #count = 0
  #bytes = 0

  /** Nothing is kept or remembered: there is nothing to sweep. */
  get isEmpty(): boolean {
    return this.#count === 0 && this.#goneMs.size === 0
  }

  /** May another one of so many bytes be published? */
  hasRoom(bytes: number): boolean {
    return this.#fits(bytes, 1)
  }

  #fits(bytes: number, times: number): boolean {
    const { retainedCount, retainedBytes } = EVENT_LIMITS
    return this.#count < times * retainedCount && this.#bytes + bytes <= times * retainedBytes
  }

  /**
   * @param isHeard - false: it is for later subscribers, until {@link takeUnheard}.
   * @returns false when it is known or was, or there is no room.
   */
  add(event: RetainedEvent, isHeard: boolean): boolean {
    if (this.knows(event) || !this.#fits(event.record.length, SLACK)) return false
    const known = this.#channels.get(event.channel)
    const kept = known ?? new Map<string, RetainedEvent>()
    if (known === undefined) this.#channels.set(event.channel, kept)
    kept.set(keyOf(event), event)
    if (!isHeard) this.#unheard.add(keyOf(event))
    this.#count += 1
    this.#bytes += event.record.length
    return true
  }

  /** True once, when it is kept and subscribers were not given it: they are now. */
  takeUnheard(event: { readonly node: number; readonly counter: number }): boolean {
    return this.#unheard.delete(keyOf(event))
  }

  /** It is kept, or was. */
  knows(event: {
    readonly channel: number
    readonly node: number
    readonly counter: number
  }): boolean {
    return this.has(event) || this.#goneMs.has(keyOf(event))
  }

  /** It is kept. */
  has(event: {
    readonly channel: number
    readonly node: number
    readonly counter: number
  }): boolean {
    return this.#channels.get(event.channel)?.has(keyOf(event)) ?? false
  }

  /** Those of a channel that have not expired, in the order in which they came. */
  of(channel: number, nowMs: number): RetainedEvent[] {
    const kept = [...(this.#channels.get(channel)?.values() ?? [])]
    return kept.filter(({ expiresMs }) => expiresMs > nowMs)
  }

  /** All that have not expired. */
  all(nowMs: number): RetainedEvent[] {
    return [...this.#channels.keys()].flatMap((channel) => this.of(channel, nowMs))
  }

  /** Somebody has cleared the retention time of an event. */
  clear(
    event: { readonly channel: number; readonly node: number; readonly counter: number },
    nowMs: number,
  ): void {
    const key = keyOf(event)
    this.#drop(event.channel, key)
    this.#remember(key, nowMs)
  }

  deleteChannel(channel: number): void {
    for (const key of [...(this.#channels.get(channel)?.keys() ?? [])]) this.#drop(channel, key)
  }

  channels(): number[] {
    return [...this.#channels.keys()]
  }

  /** Lets go of what has expired. */
  sweep(nowMs: number): void {
    for (const [channel, kept] of this.#channels) {
      for (const [key, { expiresMs }] of kept) {
        if (expiresMs > nowMs) continue
        this.#drop(channel, key)
        this.#remember(key, nowMs)
      }
    }
    for (const [key, untilMs] of this.#goneMs) {
      if (untilMs <= nowMs) this.#goneMs.delete(key)
    }
  }

  #remember(key: string, nowMs: number): void {
    this.#goneMs.set(key, nowMs + GONE_MS)
    for (const oldest of this.#goneMs.keys()) {
      if (this.#goneMs.size <= GONE_COUNT_MAX) break
      this.#goneMs.delete(oldest)
    }
  }

  #drop(channel: number, key: string): void {
    const kept = this.#channels.get(channel)
    const event = kept?.get(key)
    if (kept === undefined || event === undefined) return
    kept.delete(key)
    this.#unheard.delete(key)
    if (kept.size === 0) this.#channels.delete(channel)
    this.#count -= 1
    this.#bytes -= event.record.length
  }
}

function keyOf({ node, counter }: { readonly node: number; readonly counter: number }): string {
  return `${node} ${counter}`
}
