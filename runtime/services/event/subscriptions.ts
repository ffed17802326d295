import { type PatternTest } from './filter.ts'
import type { Outbox } from './outbox.ts'
import type { Records } from './record.ts'

interface Filtered {
  readonly number: number
  readonly test: PatternTest
}

/** The subscriptions of one program on one channel. */
interface Subscriber {
  readonly outbox: Outbox
  /** Those that want every event. */
  all: readonly number[]
  filtered: readonly Filtered[]
}

/** Who of one node subscribes to what. A core: what is wanted goes into the outbox of its program. */
export class Subscriptions {
  readonly #channels = new Map<number, Map<string, Subscriber>>()

  add(
    channel: number,
    program: { readonly caller: string; readonly outbox: Outbox },
    { number, test }: { readonly number: number; readonly test: PatternTest | null },
  ): void {
    const known = this.#channels.get(channel)
    const subscribers = known ?? new Map<string, Subscriber>()
    if (known === undefined) this.#channels.set(channel, subscribers)
    const subscriber = subscribers.get(program.caller)
    const { outbox, all, filtered } = subscriber ?? {
      outbox: program.outbox,
      all: [],
      filtered: [],
    }
    subscribers.set(program.caller, {
      outbox,
      all: test === null ? [...all, number] : all,
      filtered: test === null ? filtered : [...filtered, { number, test }],
    })
  }

  remove(channel: number, caller: string, number: number): void {
    const subscribers = this.#channels.get(channel)
    const subscriber = subscribers?.get(caller)
    if (subscribers === undefined || subscriber === undefined) return
    subscriber.all = subscriber.all.filter((one) => one !== number)
    subscriber.filtered = subscriber.filtered.filter((one) => one.number !== number)
    if (subscriber.all.length + subscriber.filtered.length > 0) return
    subscribers.delete(caller)
    if (subscribers.size === 0) this.#channels.delete(channel)
  }

  /** Gives one event to everybody who wants it. */
  route(channel: number, records: Records, at: number): void {
    const subscribers = this.#channels.get(channel)
    if (subscribers === undefined) return
    let patterns: readonly Uint8Array[] | null = null
    for (const { outbox, all, filtered } of subscribers.values()) {
      let wanted = all
      if (filtered.length > 0) {
        patterns ??= records.patterns(at)
        wanted = [...all, ...matching(filtered, patterns)]
      }
      if (wanted.length > 0) outbox.push(records, at, wanted)
    }
  }

  /** Tells everybody on the channel that events are missing. */
  lose(channel: number, count: number): void {
    for (const { outbox, all, filtered } of this.#channels.get(channel)?.values() ?? []) {
      outbox.lose([...all, ...filtered.map(({ number }) => number)], channel, count)
    }
  }

  /** Programs with subscriptions on the channel. */
  callers(channel: number): Iterable<string> {
    return this.#channels.get(channel)?.keys() ?? []
  }
}

function matching(filtered: readonly Filtered[], patterns: readonly Uint8Array[]): number[] {
  return filtered.flatMap(({ number, test }) => (test(patterns) ? number : []))
}
