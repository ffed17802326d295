import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { type DedupeRequest, DedupeTable } from '../../ioc/rmd/dedupe-table.ts'

const request = (messageId: number, extra: Partial<DedupeRequest> = {}): DedupeRequest => ({
  caller: 'a',
  messageId,
  acknowledgedBelow: 0,
  deadlineMs: 1_000,
  isCopy: false,
  ...extra,
})
const reply = (size = 1): { rc: number; payload: Uint8Array; epoch: number } => ({
  rc: 0,
  payload: new Uint8Array(size).fill(size),
  epoch: 4,
})

describe('table of at-most-once calls', () => {
  it('runs a call once, says that it runs, then answers from memory', () => {
    const table = new DedupeTable()
    expect(table.begin(request(1), 0)).toEqual({ kind: 'run' })
    expect(table.begin(request(1), 1)).toEqual({ kind: 'inProgress' })
    table.finish('a', 1, reply(3))
    table.finish('a', 1, reply(9))
    expect(table.begin(request(1), 2)).toEqual({ kind: 'done', reply: reply(3) })
    expect([table.entryCount, table.replyBytes]).toEqual([1, 3])
  })

  it('keeps callers apart', () => {
    const table = new DedupeTable()
    table.begin(request(1), 0)
    expect(table.begin(request(1, { caller: 'b' }), 0)).toEqual({ kind: 'run' })
    table.finish('nobody', 1, reply())
    table.forget('nobody', 1)
    table.acknowledge('nobody', 9, 0)
    expect(table.entryCount).toBe(2)
  })

  it('never runs a copy of what it forgot by age, and runs what came late for the first time', () => {
    const table = new DedupeTable()
    table.begin(request(5), 0)
    table.finish('a', 5, reply())
    table.begin(request(6), 0)
    table.sweep(3_000)
    expect(table.entryCount).toBe(0)
    const late = { deadlineMs: 9_000, isCopy: true }
    for (const id of [5, 6]) {
      expect(table.begin(request(id, late), 3_000)).toEqual({ kind: 'forgotten' })
    }
    expect(table.begin(request(4, { deadlineMs: 9_000 }), 3_000)).toEqual({ kind: 'run' })
    expect(table.begin(request(7, late), 3_000)).toEqual({ kind: 'run' })
    expect(table.begin(request(5, { ...late, caller: 'b' }), 3_000)).toEqual({ kind: 'run' })
  })

  it('forgets what was refused', () => {
    const table = new DedupeTable()
    table.begin(request(1), 0)
    table.forget('a', 1)
    expect(table.begin(request(1), 0)).toEqual({ kind: 'run' })
    table.finish('a', 1, reply())
    table.forget('a', 1)
    expect(table.begin(request(1), 0).kind).toBe('done')
  })

  it('drops acknowledged replies and never runs what is below the watermark', () => {
    const table = new DedupeTable()
    for (const id of [1, 2, 3]) {
      table.begin(request(id), 0)
      table.finish('a', id, reply())
    }
    table.begin(request(9, { acknowledgedBelow: 3 }), 0)
    expect(table.entryCount).toBe(2)
    expect(table.begin(request(2), 0)).toEqual({ kind: 'acknowledged' })
    expect(table.begin(request(3), 0).kind).toBe('done')
    table.acknowledge('a', 1_000_000, 0)
    expect(table.begin(request(3), 0)).toEqual({ kind: 'acknowledged' })
    expect(table.begin(request(9), 0)).toEqual({ kind: 'inProgress' })
  })

  it('lets a call that the caller gave up finish, and keeps nothing of it', () => {
    const table = new DedupeTable()
    table.begin(request(1), 0)
    table.begin(request(4), 0)
    table.acknowledge('a', 5, 0)
    for (const id of [1, 4]) {
      expect(table.begin(request(id), 0)).toEqual({ kind: 'inProgress' })
      table.finish('a', id, reply())
    }
    expect([table.entryCount, table.replyBytes]).toEqual([0, 0])
  })

  it('keeps an entry until the grace after the last deadline of its call', () => {
    const table = new DedupeTable({ graceMs: 100 })
    table.begin(request(1, { deadlineMs: 1_000 }), 0)
    table.finish('a', 1, reply())
    table.begin(request(1, { deadlineMs: 2_000 }), 900)
    table.sweep(2_099)
    expect(table.entryCount).toBe(1)
    table.sweep(2_100)
    expect([table.entryCount, table.replyBytes]).toEqual([0, 0])
  })

  it('sweeps by itself as requests arrive', () => {
    const table = new DedupeTable({ graceMs: 0 })
    table.begin(request(1, { deadlineMs: 10 }), 0)
    table.begin(request(2, { deadlineMs: 99_999 }), 5_000)
    expect(table.entryCount).toBe(1)
  })

  it('forgets a silent caller with its watermark only after the caller age', () => {
    const table = new DedupeTable({ callerAgeMsMax: 1_000, graceMs: 0 })
    table.begin(request(1, { deadlineMs: 0, acknowledgedBelow: 50 }), 0)
    table.sweep(999)
    expect(table.begin(request(1), 999)).toEqual({ kind: 'acknowledged' })
    table.sweep(1_999)
    expect(table.begin(request(1), 2_000)).toEqual({ kind: 'run' })
  })

  it.each([
    ['count', { entryCountMax: 2 }, 1],
    ['bytes', { replyBytesMax: 20 }, 10],
  ])('refuses above its bound of %s, and makes room of what expired', (_name, limits, size) => {
    const table = new DedupeTable({ ...limits, graceMs: 0 })
    for (const id of [1, 2]) {
      table.begin(request(id, { deadlineMs: 100 }), 0)
      table.finish('a', id, reply(size))
    }
    expect(table.begin(request(3), 50)).toEqual({ kind: 'full' })
    expect(table.begin(request(2), 50).kind).toBe('done')
    expect(table.begin(request(3), 200)).toEqual({ kind: 'run' })
  })

  it('agrees with a naive model: no call runs twice while it may be asked for', () => {
    const commands = fc.array(
      fc.record({
        kind: fc.constantFrom('begin', 'finish', 'forget', 'acknowledge'),
        id: fc.integer({ min: 1, max: 8 }),
        below: fc.integer({ min: 0, max: 9 }),
      }),
      { maxLength: 60 },
    )
    fc.assert(
      fc.property(commands, (list) => {
        const table = new DedupeTable()
        const running = new Set<number>()
        const done = new Set<number>()
        let watermark = 0
        for (const { kind, id, below } of list) {
          if (kind === 'begin') {
            const verdict = table.begin(request(id), 0).kind
            const wanted = running.has(id)
              ? 'inProgress'
              : id < watermark
                ? 'acknowledged'
                : done.has(id)
                  ? 'done'
                  : 'run'
            expect(verdict).toBe(wanted)
            if (verdict === 'run') running.add(id)
          } else if (kind === 'finish') {
            if (running.delete(id)) done.add(id)
            table.finish('a', id, reply())
          } else if (kind === 'forget') {
            running.delete(id)
            table.forget('a', id)
          } else if (running.size + done.size > 0 || watermark > 0) {
            watermark = Math.max(watermark, below)
            table.acknowledge('a', below, 0)
          }
          const kept = [...done].filter((one) => one >= watermark).length
          expect(table.entryCount).toBe(running.size + kept)
        }
      }),
    )
  })
})
