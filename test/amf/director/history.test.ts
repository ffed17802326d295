import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest'
import { History, TELL_AFTER_MS } from '../../../amf/director/history.ts'
import type { Notification } from '../../../amf/engine/contract.ts'

beforeEach(() => void vi.useFakeTimers())
afterEach(() => void vi.useRealTimers())

const news = (entity: string): Notification => ({
  kind: 'presence',
  entity,
  from: null,
  to: 'INSTANTIATED',
  causes: [],
  atMs: 0,
})

function history(): { readonly history: History; readonly told: number[][] } {
  const told: number[][] = []
  return { history: new History((records) => void told.push(records.map(({ id }) => id))), told }
}

describe('notifications', () => {
  it('of several steps reach a reader that waits in one answer, a moment later', async () => {
    const { history: kept, told } = history()
    let answer: readonly string[] | null = null
    void Promise.resolve(kept.read(0, 10_000)).then((records) => {
      answer = records.map(({ entity }) => entity)
    })
    kept.add(news('c1'))
    await vi.advanceTimersByTimeAsync(TELL_AFTER_MS - 1)
    kept.add(news('c2'))
    expect([answer, told]).toEqual([null, []])
    await vi.advanceTimersByTimeAsync(1)
    expect([answer, told]).toEqual([['c1', 'c2'], [[1, 2]]])
    kept.add(news('c3'))
    await vi.advanceTimersByTimeAsync(TELL_AFTER_MS)
    expect(told).toEqual([[1, 2], [3]])
  })

  it('that are there already are answered at once', () => {
    const { history: kept } = history()
    kept.add(news('c1'))
    expect(kept.read(0, 10_000)).toMatchObject([{ id: 1, entity: 'c1' }])
  })

  it('that were not told yet are told at the end, once', async () => {
    const { history: kept, told } = history()
    const waiting = kept.read(0, 10_000)
    kept.add(news('c1'))
    kept.close()
    expect(await waiting).toMatchObject([{ id: 1 }])
    await vi.advanceTimersByTimeAsync(TELL_AFTER_MS * 2)
    expect(told).toEqual([[1]])
  })
})
