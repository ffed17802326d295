import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { CallTable } from '../../ioc/rmd/call-table.ts'
import {
  askAgainMs,
  isTriedAgainAfterLoss,
  isTriedAgainAfterRefusal,
  retryDelayMs,
} from '../../ioc/rmd/retry.ts'
import { priorityNumber, priorityOf } from '../../ioc/rmd/wire.ts'
import { versionNumber } from '../../idl/index.ts'

interface Call {
  readonly id: number
  readonly atMostOnce: boolean
  dueMs: number
}

function filled(dues: readonly (readonly [dueMs: number, atMostOnce: boolean])[]): CallTable<Call> {
  const table = new CallTable<Call>()
  for (const [dueMs, atMostOnce] of dues) table.add({ id: table.takeId(), atMostOnce, dueMs })
  return table
}

describe('table of pending calls', () => {
  it('has the lowest pending at-most-once id as its watermark', () => {
    const table = filled([
      [1, false],
      [1, true],
      [1, false],
      [1, true],
    ])
    expect(table.watermark()).toBe(2)
    table.delete(4)
    expect(table.watermark()).toBe(2)
    table.delete(2)
    expect(table.watermark()).toBe(5)
    expect(table.size).toBe(2)
  })

  it('never takes the watermark back or past a pending at-most-once call', () => {
    const steps = fc.array(fc.tuple(fc.boolean(), fc.nat(20)), { maxLength: 60 })
    fc.assert(
      fc.property(steps, (list) => {
        const table = new CallTable<Call>()
        let last = 0
        for (const [atMostOnce, index] of list) {
          table.add({ id: table.takeId(), atMostOnce, dueMs: 0 })
          const pending = [...table.values()]
          table.delete(pending[index % pending.length]!.id)
          const watermark = table.watermark()
          expect(watermark).toBeGreaterThanOrEqual(last)
          for (const call of table.values()) {
            if (call.atMostOnce) expect(call.id).toBeGreaterThanOrEqual(watermark)
          }
          last = watermark
        }
      }),
    )
  })

  it('keeps calls that stay pending while thousands come and go', () => {
    const table = new CallTable<Call>()
    const model = new Map<number, Call>()
    for (let i = 0; i < 30_000; i += 1) {
      const call = { id: table.takeId(), atMostOnce: i % 2 === 0, dueMs: i }
      table.add(call)
      model.set(call.id, call)
      if (i % 3 === 0) continue
      expect(table.delete(call.id)).toBe(true)
      model.delete(call.id)
      if (i % 5 !== 0) continue
      const [oldest] = model.keys()
      expect(table.delete(oldest!)).toBe(true)
      expect(table.delete(oldest!)).toBe(false)
      expect(table.get(oldest!)).toBe(undefined)
      model.delete(oldest!)
    }
    expect(table.size).toBe(model.size)
    expect([...table.values()]).toEqual([...model.values()])
    for (const [id, call] of model) expect(table.get(id)).toBe(call)
    expect(table.watermark()).toBe([...model.values()].find((call) => call.atMostOnce)!.id)
    expect(table.takeDue(20_000).at(-1)!.dueMs).toBeLessThanOrEqual(20_000)
    expect(table.nextDueMs).toBe([...model.values()].find((call) => call.dueMs > 20_000)!.dueMs)
  })

  it('gives what is due, oldest first, and knows when to look again', () => {
    const table = filled([
      [30, false],
      [10, true],
      [20, false],
      [10, false],
    ])
    expect(table.nextDueMs).toBe(10)
    expect(table.takeDue(9)).toEqual([])
    expect(table.takeDue(20).map((call) => call.id)).toEqual([2, 3, 4])
    expect(table.nextDueMs).toBe(30)
    table.setDue(table.get(1)!, 25)
    expect(table.nextDueMs).toBe(25)
    for (const id of [1, 2, 3, 4]) table.delete(id)
    expect(table.nextDueMs).toBe(Number.POSITIVE_INFINITY)
    expect(table.delete(1)).toBe(false)
  })

  it('misses no call, whatever its due time', () => {
    const dues = fc.array(fc.tuple(fc.nat(50), fc.boolean()), { minLength: 1, maxLength: 30 })
    fc.assert(
      fc.property(dues, (list) => {
        const table = filled(list)
        const expired: number[] = []
        while (table.size > 0) {
          const nowMs = table.nextDueMs
          for (const call of table.takeDue(nowMs)) {
            expect(call.dueMs).toBe(nowMs)
            expired.push(call.dueMs)
            table.delete(call.id)
          }
        }
        expect(expired).toEqual(list.map(([dueMs]) => dueMs).sort((a, b) => a - b))
      }),
    )
  })
})

describe('when a call is made again', () => {
  const plain = {
    named: false,
    atMostOnce: false,
    ordered: false,
    persistent: true,
    mayHaveRun: false,
  }
  it.each([
    [{ ...plain }, false],
    [{ ...plain, atMostOnce: true }, false],
    [{ ...plain, named: true }, true],
    [{ ...plain, named: true, mayHaveRun: true }, false],
    [{ ...plain, named: true, mayHaveRun: true, atMostOnce: true }, true],
    [{ ...plain, named: true, atMostOnce: true, persistent: false }, false],
  ])('after the loss of %j: %s', (call, again) => {
    expect(isTriedAgainAfterLoss(call)).toBe(again)
  })

  it.each([
    ['NOT_ACTIVE', { ...plain, named: true }, true],
    ['NOT_ACTIVE', { ...plain, atMostOnce: true }, false],
    ['INUSE', { ...plain, atMostOnce: true }, true],
    ['INUSE', { ...plain, named: true }, false],
    ['TRY_AGAIN', { ...plain, atMostOnce: true }, true],
    ['TRY_AGAIN', { ...plain, atMostOnce: true, ordered: true }, false],
    ['TRY_AGAIN', { ...plain, named: true }, false],
    ['NOT_ACTIVE', { ...plain, named: true, persistent: false }, false],
    ['INUSE', { ...plain, atMostOnce: true, persistent: false }, false],
    ['QUEUE_OVERFLOW', { ...plain, named: true, atMostOnce: true }, false],
  ])('after %s to %j: %s', (code, call, again) => {
    expect(isTriedAgainAfterRefusal(code, call)).toBe(again)
  })

  it('waits longer each time, up to a bound', () => {
    expect([0, 1, 2, 99].map((tries) => retryDelayMs(tries, 8))).toEqual([10, 20, 40, 250])
    expect([0, 1, 99].map(askAgainMs)).toEqual([2_000, 4_000, 30_000])
  })
})

describe('numbers on the wire', () => {
  it('gives each priority its number, and serves those of users as default', () => {
    const names = ['default', 'high', 'low', 'ordered', 'notification', 'reserved'] as const
    expect(names.map(priorityNumber)).toEqual([0, 1, 2, 3, 4, 5])
    expect(names.map((_, i) => priorityOf(i))).toEqual(names)
    expect(priorityOf(16)).toBe('default')
  })

  it('orders versions', () => {
    const versions = ['A.9.9', 'B.1.1', 'B.1.2', 'B.2.0', 'C.0.0'].map(versionNumber)
    expect(versions).toEqual([...versions].sort((a, b) => a - b))
    expect(versionNumber('1.2.3')).toBe(0)
  })
})
