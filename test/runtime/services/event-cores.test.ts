import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { ChannelContent } from '../../../runtime/services/event/channel-content.ts'
import { eventIdOf, partsOfEventId } from '../../../runtime/services/event/event-id.ts'
import { patternTest } from '../../../runtime/services/event/filter.ts'
import { Intake } from '../../../runtime/services/event/intake.ts'
import {
  EVENT_LIMITS,
  filterTypeSchema,
  type FilterType,
} from '../../../runtime/services/event/interface.ts'
import { Outbox } from '../../../runtime/services/event/outbox.ts'
import { RECORD_KIND, Records, RecordWriter } from '../../../runtime/services/event/record.ts'
import { RetainedEvents } from '../../../runtime/services/event/retained-events.ts'

const NOTHING = new Uint8Array()
const content = { priority: 3, retentionMs: 0, publisherName: '', patterns: [], data: NOTHING }

/** Events whose data is one byte each, with priorities. */
function events(...list: readonly (readonly [byte: number, priority?: number])[]): Records {
  const writer = new RecordWriter()
  for (const [byte, priority = 3] of list) {
    writer.event({ ...content, priority, data: Uint8Array.of(byte) })
  }
  return new Records(writer.take())
}

function each(records: Records): number[] {
  const starts: number[] = []
  for (let at = 0; at < records.bytes.length; at = records.after(at)) starts.push(at)
  return starts
}

describe('records', () => {
  const record = fc.record({
    priority: fc.integer({ min: 0, max: 3 }),
    retentionMs: fc.integer({ min: 0, max: EVENT_LIMITS.retentionMs }),
    publisherName: fc.string({ unit: 'grapheme', maxLength: 20 }),
    patterns: fc.array(fc.uint8Array({ maxLength: 20 }), { maxLength: 32 }),
    data: fc.uint8Array({ maxLength: 300 }),
  })

  it('are read as they were written, alone or in a row', () => {
    fc.assert(
      fc.property(fc.array(record, { maxLength: 20 }), (list) => {
        const writer = new RecordWriter()
        for (const one of list) writer.event(one)
        expect(writer.count).toBe(list.length)
        const records = new Records(writer.take())
        records.stamp({ node: 7, channel: 9, counter: 0, sequence: 1, publishTimeMs: 5 })
        const read = each(records).map((at, i) => {
          expect([records.node(at), records.channel(at), records.counter(at)]).toEqual([7, 9, i])
          expect([records.sequence(at), records.publishTimeMs(at)]).toEqual([i + 1, 5])
          return {
            priority: records.priority(at),
            retentionMs: records.retentionMs(at),
            publisherName: records.publisherName(at),
            patterns: records.patterns(at),
            data: records.data(at),
          }
        })
        expect(read).toEqual(list)
      }),
      { numRuns: 100 },
    )
  })

  it('are refused when a byte makes no sense, and never read beyond their end', () => {
    const writer = new RecordWriter()
    writer.event({ ...content, publisherName: 'name', patterns: [NOTHING, Uint8Array.of(1)] })
    const good = writer.take()
    fc.assert(
      fc.property(fc.nat(good.length - 1), fc.integer({ min: 0, max: 255 }), (at, byte) => {
        const bytes = good.slice()
        bytes[at] = byte
        try {
          const records = new Records(bytes)
          for (const start of each(records)) {
            const parts = [...records.patterns(start), records.data(start)]
            expect(parts.every((part) => part.byteOffset + part.length <= bytes.length)).toBe(true)
          }
        } catch (error) {
          expect((error as { code: string }).code).toBe('MESSAGE_ERROR')
        }
      }),
      { numRuns: 1_000 },
    )
    for (let length = 1; length < good.length; length += 1) {
      expect(() => new Records(good.subarray(0, length))).toThrow(/begins no event/)
    }
  })

  it('of which an id is made, and taken apart', () => {
    const counter = fc.integer({ min: 0, max: 2 ** 52 - 1 })
    fc.assert(
      fc.property(fc.integer({ min: 1, max: 1_023 }), counter, (node, number) => {
        const id = eventIdOf(node, number)
        expect(partsOfEventId(id)).toEqual({ node, counter: number })
        expect(BigInt.asUintN(64, id)).toBe(id)
      }),
    )
  })
})

describe('filters', () => {
  /** As the reference says it, in texts of bytes. */
  const NAIVE: Readonly<Record<FilterType, (pattern: string, wanted: string) => boolean>> = {
    PASS_ALL: () => true,
    EXACT: (pattern, wanted) => pattern === wanted,
    PREFIX: (pattern, wanted) => pattern.startsWith(wanted),
    SUFFIX: (pattern, wanted) => pattern.endsWith(wanted),
    NON_ZERO: (pattern, mask) =>
      [...pattern].some((one, i) => {
        const bits = mask === '' ? 255 : i < mask.length ? mask.charCodeAt(i) : 0
        return (one.charCodeAt(0) & bits) !== 0
      }),
  }
  const bytes = (text: string): Uint8Array => Uint8Array.from(text, (one) => one.charCodeAt(0))
  // Few different bytes, so that patterns meet their filters.
  const text = fc.string({ unit: fc.constantFrom('\0', '\u0001', 'a', 'b'), maxLength: 6 })

  it('match as a naive matcher does', () => {
    const filter = fc.record({ type: fc.constantFrom(...filterTypeSchema.options), pattern: text })
    let matched = 0
    fc.assert(
      fc.property(
        fc.array(filter, { maxLength: 3 }),
        fc.array(text, { maxLength: 4 }),
        (filters, patterns) => {
          const expected =
            patterns.length >= filters.length &&
            filters.every(({ type, pattern }, i) => NAIVE[type](patterns[i] ?? '', pattern))
          const wire = filters.map(({ type, pattern }) => ({ type, pattern: bytes(pattern) }))
          const test = patternTest({ kind: 'patterns', filters: wire })
          const writer = new RecordWriter()
          writer.event({ ...content, patterns: patterns.map(bytes) })
          const spans = new Records(writer.take()).patternSpans(0)
          expect(test === null || test(spans)).toBe(expected)
          if (expected && filters.length > 0) matched += 1
        },
      ),
      { numRuns: 3_000 },
    )
    expect(matched).toBeGreaterThan(100)
  })
})

describe('what waits for a receiver', () => {
  const ALL = [1]
  const outbox = (countMax: number, byPriority = true): Outbox =>
    new Outbox({ countMax, bytesMax: 1_000_000, byPriority })
  const dataOf = (bytes: Uint8Array): string[] => {
    const records = new Records(bytes)
    return each(records).map((at) =>
      records.kind(at) === RECORD_KIND.lost
        ? `-${records.sequence(at)}`
        : String(records.data(at)[0]),
    )
  }

  it('goes by priority, in runs for the same subscriptions', () => {
    const box = outbox(100)
    const records = events([1], [2, 0], [3], [4], [5, 0])
    const equal = [1]
    for (const [i, at] of each(records).entries()) {
      box.push(records, records.one(at), i === 3 ? [1, 2] : i === 4 ? equal : ALL)
    }
    const batch = box.take()
    expect(dataOf(batch?.records ?? NOTHING)).toEqual(['2', '5', '1', '3', '4'])
    expect(batch?.runs.map(({ count, subscriptions }) => [count, ...subscriptions])).toEqual([
      [1, 1],
      [1, 1],
      [1, 1],
      [1, 1],
      [1, 1, 2],
    ])
    expect(box.take()).toBeNull()
    const joined = outbox(100, false)
    for (const at of each(records)) joined.push(records, records.one(at), ALL)
    expect(joined.take()?.runs).toEqual([{ count: 5, subscriptions: [1] }])
  })

  it('drops the oldest of the lowest priority, and says how many for whom', () => {
    const box = outbox(3)
    const records = events([1], [2, 0], [3], [4], [5])
    const [a = 0, b = 0, c = 0, d = 0, e = 0] = each(records)
    box.push(records, records.one(a), [1, 2])
    for (const at of [b, c, d, e]) box.push(records, records.one(at), [2])
    expect(box.count).toBe(3)
    expect(box.lostCount).toBe(2)
    const batch = box.take()
    expect(batch?.runs.map(({ subscriptions }) => [...subscriptions])).toEqual([[1], [2], [2], [2]])
    expect(dataOf(batch?.records ?? NOTHING)).toEqual(['-1', '-2', '2', '4', '5'])
  })

  it('keeps what must not be lost, and tells who waits', () => {
    const box = outbox(2, false)
    const records = events([1], [2], [3], [4])
    const [a = 0, b = 0, c = 0, d = 0] = each(records)
    const told: string[] = []
    box.push(records, records.one(a), [], { isNeeded: true })
    box.push(records, records.one(b), [], { onEnd: (isTaken) => told.push(`b ${isTaken}`) })
    box.push(records, records.one(c), [], { onEnd: (isTaken) => told.push(`c ${isTaken}`) })
    expect(told).toEqual(['b false'])
    const batch = box.take()
    expect(dataOf(batch?.records ?? NOTHING)).toEqual(['1', '3'])
    batch?.end(true)
    expect(told).toEqual(['b false', 'c true'])
    box.push(records, records.one(d), [], { onEnd: (isTaken) => told.push(`d ${isTaken}`) })
    box.clear(false)
    expect(told.at(-1)).toBe('d false')
    expect(box.isEmpty).toBe(true)
  })

  it('goes in messages of a bounded size, in order, however much came at once', () => {
    const writer = new RecordWriter()
    const size = (i: number): number => (i === 3 ? 200_000 : 1_000 + i)
    for (let i = 0; i < 400; i += 1) {
      writer.event({ ...content, priority: i % 2, data: new Uint8Array(size(i)).fill(i) })
    }
    const records = new Records(writer.take())
    const box = new Outbox({ countMax: 1_000, bytesMax: 10_000_000, byPriority: true })
    box.push(records, records.whole, ALL)
    const seen: number[] = []
    for (let batch = box.take(); batch !== null; batch = box.take()) {
      const taken = new Records(batch.records)
      expect(taken.count === 1 || batch.records.length <= 128 * 1_024).toBe(true)
      expect(batch.runs.reduce((sum, { count }) => sum + count, 0)).toBe(taken.count)
      for (const at of each(taken)) seen.push(taken.data(at).length)
    }
    const sizes = Array.from({ length: 400 }, (_, i) => size(i))
    expect(seen).toEqual([
      ...sizes.filter((_, i) => i % 2 === 0),
      ...sizes.filter((_, i) => i % 2 === 1),
    ])
    expect([box.count, box.isEmpty]).toEqual([0, true])
  })

  it('loses nothing that it does not count, whatever is pushed and taken', () => {
    const step = fc.oneof(
      fc.record({
        push: fc.integer({ min: 0, max: 3 }),
        to: fc.subarray([1, 2, 3], { minLength: 1 }),
      }),
      fc.constant('take' as const),
      fc.constant('new message' as const),
    )
    fc.assert(
      fc.property(fc.array(step, { maxLength: 120 }), fc.boolean(), (steps, byPriority) => {
        const box = outbox(8, byPriority)
        const pushed = new Map<number, number[]>([1, 2, 3].map((one) => [one, []]))
        const got = new Map<number, { seen: number[]; lost: number }>(
          [1, 2, 3].map((one) => [one, { seen: [], lost: 0 }]),
        )
        const take = (): void => {
          const batch = box.take()
          if (batch === null) return
          const records = new Records(batch.records)
          const starts = each(records)
          for (const { count, subscriptions } of batch.runs) {
            for (const at of starts.splice(0, count)) {
              for (const one of subscriptions) {
                const mine = got.get(one)!
                if (records.kind(at) === RECORD_KIND.lost) mine.lost += records.sequence(at)
                else mine.seen.push(records.data(at)[0]!)
              }
            }
          }
        }
        let next = 0
        let message = events(...Array.from({ length: 120 }, (_, i) => [i, i % 4] as const))
        for (const one of steps) {
          if (one === 'take') take()
          else if (one === 'new message') message = new Records(message.bytes.slice())
          else {
            box.push(message, message.one(each(message)[next]!), one.to)
            for (const to of one.to) pushed.get(to)?.push(next)
            next += 1
          }
          expect(box.count).toBeLessThanOrEqual(8)
        }
        while (!box.isEmpty) take()
        for (const [one, { seen, lost }] of got) {
          const all = pushed.get(one) ?? []
          expect(seen.length + lost).toBe(all.length)
          expect(new Set(seen).size).toBe(seen.length)
          const lanes = byPriority ? [0, 1, 2, 3] : [-1]
          for (const lane of lanes) {
            const mine = seen.filter((each) => lane === -1 || each % 4 === lane)
            expect(mine).toEqual(mine.toSorted((a, b) => a - b))
          }
        }
      }),
      { numRuns: 300 },
    )
  })
})

describe('what comes from another node', () => {
  const from = { node: 1, life: 'a' }

  it('is new once; what is missing after a mark is counted', () => {
    const intake = new Intake()
    expect(intake.events(from, 5, 3, 1)).toEqual({ known: 0, lost: 0 })
    expect(intake.events(from, 5, 7, 1)).toEqual({ known: 0, lost: 0 })
    expect(intake.mark(from, 5, 9)).toBe(0)
    expect(intake.events(from, 5, 9, 1)).toEqual({ known: 1, lost: 0 })
    expect(intake.events(from, 5, 10, 1)).toEqual({ known: 0, lost: 0 })
    expect(intake.events(from, 5, 14, 1)).toEqual({ known: 0, lost: 3 })
    expect(intake.mark(from, 5, 20)).toBe(6)
    expect(intake.mark(from, 5, 18)).toBe(0)
    expect(intake.events(from, 5, 21, 1)).toEqual({ known: 0, lost: 0 })
    intake.interestEnded(5)
    expect(intake.events(from, 5, 30, 1)).toEqual({ known: 0, lost: 0 })
    expect(intake.mark(from, 5, 40)).toBe(0)
    expect(intake.events({ node: 1, life: 'b' }, 5, 1, 1)).toEqual({ known: 0, lost: 0 })
    intake.keepChannels(() => false)
    expect(intake.mark({ node: 1, life: 'b' }, 5, 4)).toBe(0)
  })
})

describe('retained events', () => {
  const event = (counter: number, expiresMs: number, bytes = 100) => ({
    channel: 1,
    node: 2,
    counter,
    life: null,
    expiresMs,
    record: new Uint8Array(bytes),
  })

  it('are kept once, until their time, and do not come back', () => {
    const kept = new RetainedEvents()
    expect(kept.add(event(1, 100), true)).toBe(true)
    expect(kept.add(event(1, 100), true)).toBe(false)
    expect(kept.add(event(2, 50), true)).toBe(true)
    expect(kept.of(1, 60).map(({ counter }) => counter)).toEqual([1])
    kept.sweep(60)
    expect(kept.add(event(2, 500), true)).toBe(false)
    kept.clear(event(1, 0), 60)
    expect(kept.has(event(1, 0))).toBe(false)
    expect(kept.add(event(1, 500), true)).toBe(false)
    expect(kept.isEmpty).toBe(false)
    kept.sweep(70_000)
    expect(kept.isEmpty).toBe(true)
    expect(kept.add(event(1, 80_000), true)).toBe(true)
    kept.deleteChannel(1)
    expect(kept.all(0)).toEqual([])
  })

  it('have bounds', () => {
    const kept = new RetainedEvents()
    const half = EVENT_LIMITS.retainedBytes / 2
    expect(kept.add(event(1, 9, half), true)).toBe(true)
    expect(kept.add(event(2, 9, half), true)).toBe(true)
    expect(kept.hasRoom(1)).toBe(false)
    // What other nodes published meanwhile is kept all the same, up to as much again.
    expect(kept.add(event(3, 9, half), true)).toBe(true)
    expect(kept.add(event(4, 9, half), true)).toBe(true)
    expect(kept.add(event(5, 9, 1), true)).toBe(false)
  })
})

describe('channels', () => {
  const opener = (life: string, eo: string, open: number, isSubscriber = true) => {
    return { life, eo, open, isSubscriber }
  }

  it('have interest while a life subscribes, and end unlinked with the last opener', () => {
    const channels = new ChannelContent(1)
    const first = opener('l1', 'e1', 1)
    const id = channels.apply({ kind: 'open', name: 'c', create: true, opener: first })
    channels.apply({ kind: 'open', name: 'c', create: false, opener: first })
    channels.apply({ kind: 'open', name: 'c', create: true, opener: opener('l1', 'e2', 1) })
    channels.apply({ kind: 'open', name: 'c', create: true, opener: opener('l2', 'e3', 1, false) })
    const wanted = { kind: 'interest', channel: id, life: 'l1', isWanted: true }
    expect(channels.takeEffects()).toEqual([wanted])
    expect([channels.interestOf('l1'), channels.interestOf('l2')]).toEqual([[id], []])
    channels.apply({ kind: 'close', eo: 'e1', open: 1 })
    expect(channels.takeEffects()).toEqual([])
    channels.apply({ kind: 'unlink', name: 'c' })
    channels.keepNodes(new Set(['l2']))
    expect(channels.takeEffects()).toEqual([{ ...wanted, isWanted: false }])
    const copy = new ChannelContent(1)
    copy.restore(channels.snapshot())
    expect(copy.snapshot()).toEqual(channels.snapshot())
    copy.apply({ kind: 'ended', eo: 'e3' })
    expect(copy.takeEffects()).toEqual([{ kind: 'deleted', channel: id }])
    expect(copy.has(id)).toBe(false)
    const again = opener('l3', 'e4', 1)
    copy.apply({ kind: 'reopen', channel: id, name: 'c', opener: again })
    expect(copy.has(id)).toBe(true)
    expect(copy.apply({ kind: 'open', name: 'c', create: true, opener: again })).toBe(id + 1)
  })

  it('have a bound', () => {
    const channels = new ChannelContent(1)
    const make = (i: number): number =>
      channels.apply({ kind: 'open', name: `c${i}`, create: true, opener: opener('l', 'e', i) })
    for (let i = 0; i < EVENT_LIMITS.channelCount; i += 1) make(i)
    expect(() => make(EVENT_LIMITS.channelCount)).toThrow(/unlink some/)
  })
})
