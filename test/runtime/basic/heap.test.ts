import { expect, test } from 'vitest'
import { Heap, heapUse, watchHeap } from '../../../runtime/index.ts'

const refused = (code: string): unknown => expect.objectContaining({ code })

test('allocations are counted and bounded', () => {
  const heap = new Heap({ bytesMax: 100 })
  const memory = heap.allocate(60)
  memory[0] = 7
  expect(() => heap.allocate(41)).toThrow(refused('NO_MEMORY'))
  const smaller = heap.reallocate(memory, 40)
  expect(smaller[0]).toBe(7)
  expect(() => heap.free(memory)).toThrow(refused('INVALID_PARAMETER'))
  heap.free(null)
  heap.free(smaller)
  const { current, peak, allocations, frees, failures } = heap.statistics()
  expect({ current, peak, allocations, frees, failures }).toEqual({
    current: 0,
    peak: 100,
    allocations: 2,
    frees: 2,
    failures: 1,
  })
  expect(() => heap.allocate(0)).toThrow(refused('INVALID_PARAMETER'))
})

test('marks of the heap are told as they are passed', async () => {
  const script = [10, 40, 33, 96, 96, 92, 80, 29]
  const told: string[] = []
  await new Promise<void>((resolve) => {
    let looks = 0
    const stop = watchHeap({
      intervalMs: 1,
      use: () => ({ used: script[Math.min(looks++, script.length - 1)]!, limit: 100 }),
      onCrossing: ({ level, type, percent }) => {
        told.push(`${level} ${type} ${percent}`)
        if (percent !== 29 || level !== 'low') return
        stop()
        resolve()
      },
    })
  })
  expect(told).toEqual([
    'low HIGH 40',
    'high HIGH 96',
    'medium HIGH 96',
    'high LOW 80',
    'medium LOW 29',
    'low LOW 29',
  ])
  const { used, limit } = heapUse()
  expect(limit).toBeGreaterThan(used)
})

test('memory that went to another thread is counted out as what it was', () => {
  const heap = new Heap()
  const memory = heap.allocate(100)
  structuredClone(memory, { transfer: [memory.buffer as ArrayBuffer] })
  heap.free(memory)
  expect(heap.statistics()).toMatchObject({ current: 0, frees: 1 })
})
