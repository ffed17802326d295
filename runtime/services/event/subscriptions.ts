import { type PatternTest } from './filter.ts'
import type { Outbox } from './outbox.ts'
import type { PatternSpans, RecordRange, Records } from './record.ts'

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
  /** Who wanted the last event that filters looked at: `all`, then those whose filters match. */
  last: readonly number[]
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
    const { all = [], filtered = [] } = subscriber ?? {}
    const wantAll = test === null ? [...all, number] : all
    subscribers.set(program.caller, {
      outbox: program.outbox,
      all: wantAll,
      filtered: test === null ? filtered : [...filtered, { number, test }],
      last: wantAll,
    })
  }

  remove(channel: number, caller: string, number: number): void {
    const subscribers = this.#channels.get(channel)
    const subscriber = subscribers?.get(caller)
    if (subscribers === undefined || subscriber === undefined) return
    subscriber.all = subscriber.all.filter((one) => one !== number)
    subscriber.filtered = subscriber.filtered.filter((one) => one.number !== number)
    subscriber.last = subscriber.all
    if (subscriber.all.length + subscriber.filtered.length > 0) return
    subscribers.delete(caller)
    if (subscribers.size === 0) this.#channels.delete(channel)
  }

  /** Gives events to everybody who wants them. */
  route(channel: number, records: Records, range: RecordRange): void {
    let filtering = 0
    for (const subscriber of this.#channels.get(channel)?.values() ?? []) {
      if (subscriber.filtered.length > 0) filtering += 1
      else subscriber.outbox.push(records, range, subscriber.all)
    }
    if (filtering === 0) return
    for (let at = range.start; at < range.end; at = records.after(at)) {
      this.#filter(channel, records, records.one(at))
    }
  }

  /** Gives one event to those that look at its patterns, and want it. */
  #filter(channel: number, records: Records, event: RecordRange): void {
    const patterns = records.patternSpans(event.start)
    for (const subscriber of this.#channels.get(channel)?.values() ?? []) {
      if (subscriber.filtered.length === 0) continue
      const wanted = wantedBy(subscriber, patterns)
      if (wanted.length > 0) subscriber.outbox.push(records, event, wanted)
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

/** The same list again as long as the same subscriptions want one event after the other. */
function wantedBy(subscriber: Subscriber, patterns: PatternSpans): readonly number[] {
  const { all, filtered, last } = subscriber
  let count = all.length
  let other: number[] | null = null
  for (const { number, test } of filtered) {
    if (!test(patterns)) continue
    if (other === null && last[count] !== number) other = last.slice(0, count)
    other?.push(number)
    count += 1
  }
  if (other === null && count < last.length) other = last.slice(0, count)
  if (other !== null) subscriber.last = other
  return subscriber.last
}
