import { expect, it } from 'vitest'
import { ContentParts, partsOf } from '../../../runtime/services/checkpoint/content-parts.ts'

const sections = (count: number): [string, Uint8Array][] =>
  Array.from({ length: count }, (_, n) => [`s${n}`, new Uint8Array(10)])
const last = { epoch: 3, sequence: 9, sections: sections(1), replies: [], acknowledged: [] }

it('cuts sections into parts of a size, in order, with a larger one alone', () => {
  const large: [string, Uint8Array] = ['large', new Uint8Array(500)]
  const all = [...sections(5), large, ...sections(2)]
  const parts = [...partsOf(all, 60)]
  expect(parts.map((part) => part.length)).toEqual([3, 3, 2])
  expect(parts.flat()).toEqual(all)
  expect([...partsOf([])]).toEqual([])
})

it('joins them when all came, in order, under one epoch', () => {
  const parts = new ContentParts()
  expect(parts.add(1, 0, sections(2))).toBe(true)
  expect(parts.add(1, 1, sections(3))).toBe(true)
  expect(parts.join(1, 2, last)?.sections).toHaveLength(6)
  // Nothing is left of them.
  expect(parts.join(1, 2, last)).toBeNull()
  expect(parts.join(1, 0, last)).toEqual(last)
})

it('takes none out of order, and joins no content with a part missing', () => {
  const parts = new ContentParts()
  expect(parts.add(1, 1, sections(1))).toBe(false)
  parts.add(1, 0, sections(1))
  expect(parts.add(1, 2, sections(1))).toBe(false)
  expect(parts.add(2, 1, sections(1))).toBe(false)
  expect(parts.join(1, 2, last)).toBeNull()
  parts.add(1, 0, sections(1))
  parts.add(2, 0, sections(1))
  expect(parts.join(1, 1, last)).toBeNull()
})
