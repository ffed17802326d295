import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { BatchTail, type KeptBatch } from '../../../runtime/services/checkpoint/batch-tail.ts'
import { CommitPipeline } from '../../../runtime/services/checkpoint/commit-pipeline.ts'
import { CommitQueue } from '../../../runtime/services/checkpoint/commit-queue.ts'
import { contentHash } from '../../../runtime/services/checkpoint/content-hash.ts'
import { History, HISTORY_COUNT_MAX } from '../../../runtime/services/checkpoint/history.ts'
import type {
  CheckpointBatch,
  CheckpointRecord,
} from '../../../runtime/services/checkpoint/interface.ts'
import { ReplyCache } from '../../../runtime/services/checkpoint/reply-cache.ts'
import { Replica } from '../../../runtime/services/checkpoint/replica.ts'

const empty: CheckpointRecord = { writes: [], reply: null, acknowledged: [], expired: [] }

const reply = (caller: string, messageId: number, keepMs = 1_000) => ({
  caller,
  messageId,
  functionNumber: 1,
  rc: 0,
  payload: new Uint8Array([messageId & 0xff]),
  keepMs,
})

const batchOf = (epoch: number, firstSequence: number, count: number): CheckpointBatch => ({
  epoch,
  firstSequence,
  records: Array.from({ length: count }, (_, i) => ({
    ...empty,
    writes: [[`s${(firstSequence + i) % 3}`, new Uint8Array([epoch, firstSequence + i])]],
  })),
})

describe('history', () => {
  test.each([
    [0, 0],
    [1, 3],
    [4, 3],
    [5, 7],
    [99, 7],
  ])('the record %i is of epoch %i', (sequence, epoch) => {
    const history = new History([
      [3, 1],
      [7, 5],
    ])
    expect(history.epochAt(sequence)).toBe(epoch)
  })

  test('is bounded: what lies before is unknown', () => {
    const history = new History()
    for (let epoch = 1; epoch <= HISTORY_COUNT_MAX + 10; epoch++) history.note(epoch, epoch * 2)
    expect(history.toArray()).toHaveLength(HISTORY_COUNT_MAX)
    expect(history.epochAt(10)).toBe(0)
    expect(history.epochAt(50)).toBe(25)
    expect(history.note(HISTORY_COUNT_MAX + 10, 99_999)).toBe(false)
  })
})

describe('replica', () => {
  function at(epoch: number, ...batches: CheckpointBatch[]): Replica {
    const replica = new Replica()
    for (const batch of batches) {
      replica.promise(batch.epoch)
      expect(replica.append(batch, batch.epoch, 0).kind).toBe('applied')
    }
    replica.promise(epoch)
    return replica
  }

  test.each<[string, CheckpointBatch, number, string]>([
    ['the next batch', batchOf(5, 7, 2), 5, 'applied'],
    ['an empty batch', batchOf(5, 7, 0), 5, 'held'],
    ['a batch that it has', batchOf(3, 4, 3), 5, 'held'],
    ['a batch whose end is new', { ...batchOf(5, 5, 3) }, 5, 'outOfSync'],
    ['a gap', batchOf(5, 8, 1), 5, 'outOfSync'],
    ['the same place by another epoch', batchOf(4, 4, 3), 5, 'outOfSync'],
    ['an older stream', batchOf(3, 7, 1), 4, 'staleEpoch'],
    ['a newer stream that was not opened', batchOf(6, 7, 1), 6, 'outOfSync'],
    ['records newer than their stream', batchOf(6, 7, 1), 5, 'staleEpoch'],
    ['older records in a newer stream', batchOf(3, 7, 1), 5, 'applied'],
    ['records older than the last', batchOf(2, 7, 1), 5, 'outOfSync'],
  ])('%s: %#', (_what, batch, under, kind) => {
    const replica = at(5, batchOf(3, 1, 3), batchOf(3, 4, 3))
    const before = contentHash(replica)
    expect(replica.append(batch, under, 0).kind).toBe(kind)
    if (kind !== 'applied') expect(contentHash(replica)).toBe(before)
  })

  test('takes only the new end of a batch of its own epoch', () => {
    const replica = at(3, batchOf(3, 1, 3))
    expect(replica.append(batchOf(3, 2, 4), 3, 0)).toMatchObject({
      kind: 'applied',
      batch: { firstSequence: 4 },
    })
    expect(contentHash(replica)).toBe(contentHash(at(3, batchOf(3, 1, 5))))
  })

  test('never promises an older epoch', () => {
    const replica = at(5)
    expect(replica.promise(4)).toBe(false)
    expect(replica.promise(5)).toBe(true)
    expect(replica.epoch).toBe(5)
  })

  test.each([
    [0, 0, true],
    [3, 3, true],
    [3, 4, false],
    [5, 4, true],
    [5, 6, false],
    [4, 2, false],
    [0, -1, false],
  ])('(%i, %i) is a prefix: %s', (lastEpoch, lastSequence, isPrefix) => {
    const replica = at(5, batchOf(3, 1, 3), batchOf(5, 4, 2))
    expect(replica.isPrefix(lastEpoch, lastSequence)).toBe(isPrefix)
  })

  test('whoever is a prefix by the rule becomes equal by the missing records', () => {
    const run = fc.array(fc.tuple(fc.integer({ min: 0, max: 2 }), fc.integer({ min: 1, max: 4 })))
    fc.assert(
      fc.property(run, run, fc.nat(20), (common, rest, cut) => {
        const primary = new Replica()
        const other = new Replica()
        const log: CheckpointBatch[] = []
        let epoch = 1
        const write = (steps: [number, number][], ...replicas: Replica[]): void => {
          for (const [later, count] of steps) {
            epoch += later
            const batch = batchOf(epoch, primary.sequence + 1, count)
            for (const replica of replicas) {
              replica.promise(epoch)
              replica.append(batch, epoch, 0)
            }
            log.push(batch)
          }
        }
        write(common, primary, other)
        write(rest, primary)
        // Something that only the other one has, made by an epoch that nobody else used.
        if (cut % 3 === 0) {
          const alone = batchOf(1_000 + cut, other.sequence + 1, 1)
          other.promise(alone.epoch)
          other.append(alone, alone.epoch, 0)
        }
        const isPrefix = primary.isPrefix(other.lastEpoch, other.sequence)
        expect(isPrefix).toBe(cut % 3 !== 0)
        if (!isPrefix) return
        other.promise(5_000)
        for (const batch of log) {
          if (batch.firstSequence > other.sequence) other.append(batch, 5_000, 0)
        }
        expect(contentHash(other)).toBe(contentHash(primary))
        expect(other.history).toEqual(primary.history)
      }),
    )
  })

  test('a snapshot replaces everything but the epoch', () => {
    const source = at(5, batchOf(3, 1, 3), batchOf(5, 4, 2))
    const copy = at(9, batchOf(8, 1, 20))
    copy.replace(source.snapshot(), source.history, 0)
    expect(contentHash(copy)).toBe(contentHash(source))
    expect(copy.epoch).toBe(9)
    expect(copy.sizeBytes).toBe(source.sizeBytes)
  })
})

describe('reply cache', () => {
  test('keeps until acknowledged or declared expired, whatever the time', () => {
    const cache = new ReplyCache()
    cache.apply({ ...empty, reply: reply('a', 3, 10) }, 0)
    cache.apply({ ...empty, reply: reply('a', 5, 10) }, 0)
    cache.apply({ ...empty, reply: reply('b', 4, 90) }, 0)
    expect(cache.expired(9, 10)).toEqual([])
    expect(cache.expired(10, 10)).toEqual([
      ['a', 3],
      ['a', 5],
    ])
    expect(cache.lookup('a', 3).kind).toBe('done')
    cache.apply({ ...empty, acknowledged: [['a', 4]] }, 1_000_000)
    expect(cache.lookup('a', 3).kind).toBe('acknowledged')
    expect(cache.lookup('a', 5).kind).toBe('done')
    expect(cache.lookup('a', 6).kind).toBe('unknown')
    cache.apply({ ...empty, expired: [['a', 5]] }, 1_000_000)
    expect(cache.lookup('a', 5).kind).toBe('unknown')
    expect(cache.count).toBe(1)
    expect(cache.sizeBytes).toBe(1)
  })

  test('forgets callers that are silent for long, or too many, but none whose reply it has', () => {
    const cache = new ReplyCache(() => undefined, { callerIdleMs: 100, callerCountMax: 3 })
    for (const name of ['a', 'b', 'c', 'd']) {
      cache.apply({ ...empty, acknowledged: [[name, 9]] }, 0)
    }
    expect(cache.lookup('a', 1).kind).toBe('unknown')
    expect(cache.lookup('d', 1).kind).toBe('acknowledged')
    cache.apply({ ...empty, reply: reply('b', 12) }, 50)
    for (let i = 0; i < 4; i++) cache.apply(empty, 120)
    expect(cache.lookup('c', 1).kind).toBe('unknown')
    expect(cache.lookup('b', 12).kind).toBe('done')
  })

  test('is a map by (caller, id) of which acknowledgements drop a beginning', () => {
    const caller = fc.constantFrom('a', 'b')
    const id = fc.integer({ min: 1, max: 40 })
    const step = fc.record({
      reply: fc.option(fc.tuple(caller, id)),
      acknowledged: fc.array(fc.tuple(caller, id), { maxLength: 2 }),
      expired: fc.array(fc.tuple(caller, id), { maxLength: 2 }),
    })
    fc.assert(
      fc.property(fc.array(step, { maxLength: 200 }), (steps) => {
        const cache = new ReplyCache()
        const model = new Map<string, number>()
        for (const each of steps) {
          for (const [name, below] of each.acknowledged) {
            for (const [key, known] of [...model]) {
              if (key.startsWith(name) && known < below) {
                // One that came again below the mark goes with the next mark that is higher.
                if (below > cache.acknowledgedBelow(name)) model.delete(key)
              }
            }
            cache.apply({ ...empty, acknowledged: [[name, below]] }, 0)
          }
          for (const [name, gone] of each.expired) model.delete(`${name}${gone}`)
          if (each.reply !== null) model.set(`${each.reply[0]}${each.reply[1]}`, each.reply[1])
          cache.apply(
            {
              ...empty,
              expired: each.expired,
              reply: each.reply === null ? null : reply(each.reply[0], each.reply[1]),
            },
            0,
          )
        }
        const kept = cache.replies().map((one) => `${one.caller}${one.messageId}`)
        expect(new Set(kept)).toEqual(new Set(model.keys()))
        expect(cache.count).toBe(model.size)
      }),
    )
  })
})

describe('tail of batches', () => {
  const kept = (firstSequence: number, count: number): KeptBatch => {
    const lastSequence = firstSequence + count - 1
    return { epoch: 1, firstSequence, lastSequence, payload: new Uint8Array(100) }
  }

  test('gives what follows a sequence, in parts, until it is too old', () => {
    const tail = new BatchTail({ countMax: 4, sizeBytesMax: 1_000 })
    for (let i = 0; i < 6; i++) {
      tail.push(kept(i * 10 + 1, 10))
    }
    expect(tail.after(60, 1)).toBeUndefined()
    expect(tail.after(50, 1_000)).toHaveLength(1)
    expect(tail.after(20, 1_000)).toHaveLength(4)
    expect(tail.after(20, 150)).toHaveLength(2)
    expect(tail.after(10, 1_000)).toBeUndefined()
    expect(tail.after(25, 1_000)).toBeUndefined()
  })

  test('keeps one batch however large', () => {
    const tail = new BatchTail({ countMax: 4, sizeBytesMax: 10 })
    tail.push(kept(1, 1))
    tail.push(kept(2, 1))
    expect(tail.after(1, 1_000)).toHaveLength(1)
    expect(tail.after(0, 1_000)).toBeUndefined()
  })
})

describe('pipeline of the primary', () => {
  const held = (): boolean => true
  const ask = (
    pipeline: CommitPipeline<string>,
    batch: CheckpointBatch,
    token = 't',
    applied = 0,
  ) =>
    pipeline.admit({ batch, payload: new Uint8Array(10), token, deadlineMs: 5 }, applied, held, 0)

  test('takes batches in order, joins repeats, knows what was applied', () => {
    const pipeline = new CommitPipeline<string>()
    expect(ask(pipeline, batchOf(1, 2, 1)).kind).toBe('outOfSync')
    expect(ask(pipeline, batchOf(1, 1, 2), 'a').kind).toBe('queued')
    expect(ask(pipeline, batchOf(1, 1, 2), 'b').kind).toBe('joined')
    expect(ask(pipeline, batchOf(1, 1, 3)).kind).toBe('outOfSync')
    expect(ask(pipeline, batchOf(1, 3, 1)).kind).toBe('queued')
    expect(ask(pipeline, batchOf(1, 4, 0)).kind).toBe('queued')
    expect(ask(pipeline, batchOf(1, 4, 1)).kind).toBe('queued')
    expect(pipeline.shift()?.waiting.map(({ token }) => token)).toEqual(['a', 'b'])
    expect(ask(pipeline, batchOf(1, 1, 2), 'c', 2).kind).toBe('held')
    expect(ask(pipeline, batchOf(1, 1, 0), 'c', 2).kind).toBe('queued')
    expect(ask(pipeline, batchOf(1, 5, 1), 'c', 2).kind).toBe('queued')
  })

  test('refuses the confirmation of a writer that does not know what is there', () => {
    const pipeline = new CommitPipeline<string>()
    const confirm = (firstSequence: number, epochHeld: number) =>
      pipeline.admit(
        {
          batch: batchOf(2, firstSequence, 0),
          payload: new Uint8Array(),
          token: 't',
          deadlineMs: 5,
        },
        7,
        (epoch) => epoch === epochHeld,
        0,
      ).kind
    expect(confirm(7, 1)).toBe('outOfSync')
    expect(confirm(7, 2)).toBe('queued')
    expect(confirm(8, 1)).toBe('queued')
  })

  test('is bounded by count and by size; late askers leave, their batch stays', () => {
    const pipeline = new CommitPipeline<string>({ countMax: 3, sizeBytesMax: 25 })
    expect(ask(pipeline, batchOf(1, 1, 1), 'a').kind).toBe('queued')
    expect(ask(pipeline, batchOf(1, 2, 1), 'b').kind).toBe('queued')
    expect(ask(pipeline, batchOf(1, 3, 1), 'c').kind).toBe('full')
    expect(pipeline.takeLate(4)).toEqual([])
    expect(pipeline.takeLate(5)).toEqual(['a', 'b'])
    expect(pipeline.entries).toHaveLength(2)
    expect(pipeline.takeAll()).toHaveLength(2)
    expect(ask(pipeline, batchOf(1, 1, 1)).kind).toBe('queued')
  })
})

describe('queue of the writer', () => {
  const limits = { inFlightMax: 2, batchCountMax: 3, batchSizeBytesMax: 1_000_000 }
  const item = (token: number) => ({ record: empty, token })

  test('a group stays in one batch, and reads ride along', () => {
    const queue = new CommitQueue<number>(limits)
    queue.start(7, 10)
    queue.add([item(1)])
    queue.add([item(2), item(3), item(4)])
    queue.add([{ record: null, token: 5 }])
    const first = queue.next(0)
    expect(first?.batch).toMatchObject({ epoch: 7, firstSequence: 11 })
    expect(first?.items.map(({ token }) => token)).toEqual([1])
    const second = queue.next(0)
    expect(second?.batch).toMatchObject({ firstSequence: 12 })
    expect(second?.batch.records).toHaveLength(3)
    expect(queue.next(0)).toBeUndefined()
    if (first === undefined || second === undefined) throw new Error('two batches were expected')
    expect(queue.acknowledged(second, 1)).toEqual([])
    expect(queue.acknowledged(first, 1)).toEqual([first, second])
    expect(queue.next(0)?.batch).toEqual({ epoch: 7, firstSequence: 15, records: [] })
  })

  test('whatever fails and in which order answers come, each record is through once, in order', () => {
    const step = fc.oneof(
      fc.constant('add' as const),
      fc.constant('next' as const),
      fc.record({ answer: fc.boolean(), which: fc.nat(5) }),
    )
    fc.assert(
      fc.property(fc.array(step, { maxLength: 120 }), (steps) => {
        const queue = new CommitQueue<number>(limits)
        queue.start(1, 0)
        let added = 0
        let nowMs = 0
        const through: number[] = []
        const sent: { outgoing: NonNullable<ReturnType<typeof queue.next>>; attempt: number }[] = []
        /** The replica: takes a batch only when everything before it is there. */
        let stored = 0
        const send = (): void => {
          const outgoing = queue.next(nowMs)
          if (outgoing !== undefined) sent.push({ outgoing, attempt: outgoing.attempt })
        }
        const answer = (isGood: boolean, at: number): void => {
          const [one] = sent.splice(at, 1)
          if (one === undefined) return
          const { firstSequence, records } = one.outgoing.batch
          if (isGood && firstSequence <= stored + 1) {
            stored = Math.max(stored, firstSequence + records.length - 1)
            for (const done of queue.acknowledged(one.outgoing, one.attempt)) {
              through.push(...done.items.map(({ token }) => token))
            }
          } else queue.failed(one.outgoing, one.attempt, nowMs)
        }
        for (const each of steps) {
          nowMs += 50
          if (each === 'add') queue.add([item(++added)])
          else if (each === 'next') send()
          else answer(each.answer, each.which % Math.max(1, sent.length))
        }
        for (let i = 0; i < 500 && !queue.isIdle; i++) {
          nowMs += 500
          send()
          answer(true, 0)
        }
        expect(queue.isIdle).toBe(true)
        expect(through).toEqual(Array.from({ length: added }, (_, i) => i + 1))
        expect(stored).toBe(added)
      }),
    )
  })
})
