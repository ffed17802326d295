import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { Accounting } from '../../samples/sequence/accounting.ts'
import { Ranges } from '../../samples/sequence/ranges.ts'

/** The same thing done with a plain set of numbers. */
function naive(parts: readonly (readonly [number, number])[]) {
  const set = new Set<number>()
  const already = parts.map(([first, last]) => {
    let count = 0
    for (let n = first; n <= last; n += 1) {
      if (set.has(n)) count += 1
      set.add(n)
    }
    return count
  })
  return { already, set }
}

const part = fc
  .tuple(fc.integer({ min: 1, max: 60 }), fc.integer({ min: 1, max: 8 }))
  .map(([first, count]) => [first, first + count - 1] as const)

describe('Ranges', () => {
  it('agrees with a set of numbers for any additions', () => {
    fc.assert(
      fc.property(fc.array(part, { maxLength: 40 }), (parts) => {
        const ranges = new Ranges()
        const already = parts.map(([first, last]) => ranges.add(first, last))
        const expected = naive(parts)
        expect(already).toEqual(expected.already)
        expect(ranges.count).toBe(expected.set.size)
        const sorted = [...expected.set].toSorted((a, b) => a - b)
        expect(ranges.lowest).toBe(sorted[0])
        expect(ranges.highest).toBe(sorted.at(-1))
        const missing = ranges
          .gaps(1_000)
          .flatMap(([a, b]) => Array.from({ length: b - a + 1 }, (_, i) => a + i))
        const between = Array.from(
          { length: (sorted.at(-1) ?? 0) - (sorted[0] ?? 1) + 1 },
          (_, i) => (sorted[0] ?? 1) + i,
        )
        expect(missing).toEqual(between.filter((n) => !expected.set.has(n)))
      }),
    )
  })

  it('stays one range when numbers come in order or nearly so', () => {
    const ranges = new Ranges()
    for (let block = 0; block < 1_000; block += 1)
      for (const offset of [2, 0, 3, 1]) ranges.add(block * 4 + offset, block * 4 + offset)
    expect(ranges.rangeCount).toBe(1)
    expect(ranges.count).toBe(4_000)
  })
})

describe('Accounting', () => {
  it.each([
    { parts: [], account: { drawn: 0, failed: 0, lost: 0, duplicated: 0 } },
    {
      parts: [
        [5, 7],
        [8, 8],
      ],
      account: { drawn: 4, failed: 0, lost: 0, duplicated: 0 },
    },
    {
      parts: [
        [1, 1],
        [4, 5],
      ],
      account: { drawn: 3, failed: 0, lost: 2, duplicated: 0 },
    },
    {
      parts: [
        [1, 3],
        [3, 4],
      ],
      account: { drawn: 5, failed: 0, lost: 0, duplicated: 1 },
    },
    {
      parts: [
        [1, 3],
        [1, 3],
        [9, 9],
      ],
      account: { drawn: 7, failed: 0, lost: 5, duplicated: 3 },
    },
  ])('keeps the books of $parts', ({ parts, account }) => {
    const books = new Accounting()
    for (const [first = 0, last = 0] of parts) books.answered(first, last)
    expect(books.account).toEqual(account)
  })

  it('counts failed calls apart', () => {
    const books = new Accounting()
    books.answered(1, 1)
    books.callFailed()
    expect(books.account).toEqual({ drawn: 1, failed: 1, lost: 0, duplicated: 0 })
  })
})
