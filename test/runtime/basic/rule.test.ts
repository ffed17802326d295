import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { isSdkError } from '../../../idl/index.ts'
import {
  appendRule,
  convertRule,
  duplicateRule,
  evaluateDouble,
  evaluateRule,
  localizeRule,
  packRule,
  RULE_FLAG,
  RuleExpression,
  unpackRule,
} from '../../../runtime/index.ts'

interface Plain {
  readonly mode: 'and' | 'or' | 'group'
  readonly anyBit: boolean
  readonly offset: number
  readonly mask: readonly number[]
  readonly value: readonly number[]
}

const word = fc.integer({ min: 0, max: 7 })
const plain = fc
  .record({
    mode: fc.constantFrom<Plain['mode']>('and', 'or', 'group'),
    anyBit: fc.boolean(),
    offset: fc.integer({ min: 0, max: 2 }),
    pairs: fc.array(fc.tuple(word, word), { minLength: 1, maxLength: 2 }),
  })
  .map(({ pairs, ...rest }) => ({
    ...rest,
    mask: pairs.map(([mask]) => mask),
    value: pairs.map(([, value]) => value),
  }))
const MODE_BITS = { and: RULE_FLAG.CHAIN_AND, or: 0, group: RULE_FLAG.GROUP_OR } as const

function ruleOf(elements: readonly Plain[]): RuleExpression {
  const made = elements.map(({ mode, anyBit, offset, mask, value }) => {
    const element = new RuleExpression(mask.length)
    const order = element.flags & (RULE_FLAG.LITTLE_END | RULE_FLAG.BIG_END)
    element.flags = order | MODE_BITS[mode] | (anyBit ? RULE_FLAG.NON_ZERO_MATCH : 0)
    element.offset = offset
    element.mask.set(mask)
    element.value.set(value)
    return element
  })
  for (const element of made.slice(1)) appendRule(made[0]!, element)
  return made[0]!
}

/** Written from the table of the reference, backwards and without a loop over links. */
function naive(elements: readonly Plain[], words: readonly number[]): boolean {
  const [first, ...rest] = elements
  if (first === undefined) return true
  const { mode, anyBit, offset, mask, value } = first
  const masked = mask.map((bits, i) => (words[offset + i] ?? 0) & bits)
  const isLong = words.length >= offset + mask.length
  const isTrue =
    isLong && (anyBit ? masked.some((bits) => bits > 0) : masked.every((b, i) => b === value[i]))
  if (mode === 'and') return isTrue && naive(rest, words)
  if (mode === 'or') return isTrue || (rest.length > 0 && naive(rest, words))
  if (!isTrue) return rest[0]?.mode === 'group' && naive(rest, words)
  const after = rest.findIndex((element) => element.mode !== 'group')
  return after < 0 || naive(rest.slice(after), words)
}

describe('rules', () => {
  const chain = fc.array(plain, { minLength: 1, maxLength: 6 })
  const words = fc.array(word, { maxLength: 5 })

  test('agree with a naive reading of the table, in either byte order and after packing', () => {
    fc.assert(
      fc.property(chain, words, (elements, data) => {
        const rule = ruleOf(elements)
        const array = Uint32Array.from(data)
        const expected = naive(elements, data)
        expect(evaluateRule(rule, array)).toBe(expected)
        expect(evaluateRule(unpackRule(packRule(rule)), array)).toBe(expected)
        const copy = duplicateRule(rule)
        convertRule(copy)
        expect(evaluateRule(copy, array)).toBe(expected)
        localizeRule(copy)
        expect(packRule(copy)).toEqual(packRule(rule))
      }),
      { numRuns: 2_000 },
    )
  })

  test('no rule is true, no data is false', () => {
    expect(evaluateRule(undefined, undefined)).toBe(true)
    expect(evaluateRule(new RuleExpression(1), undefined)).toBe(false)
  })

  test('damaged packed rules are refused, never misread', () => {
    fc.assert(
      fc.property(chain, fc.nat(200), fc.integer({ min: 0, max: 255 }), (elements, at, byte) => {
        const bytes = packRule(ruleOf(elements))
        for (const broken of [bytes.subarray(0, at), bytes.with(at % bytes.length, byte)]) {
          try {
            const rule = unpackRule(broken)
            expect(packRule(rule)).toEqual(broken)
          } catch (error) {
            expect(isSdkError(error, 'INVALID_BUFFER')).toBe(true)
          }
        }
      }),
    )
  })

  test.each([
    { name: 'agree under each other', a: [0xff, 0x12], b: [0x0f, 0x02], agree: true },
    { name: 'differ in a bit of both masks', a: [0xff, 0x12], b: [0x0f, 0x03], agree: false },
  ])('two rules $name', ({ a, b, agree }) => {
    const [left, right] = [a, b].map(([mask, value]) => {
      const element = new RuleExpression(1)
      element.mask[0] = mask!
      element.value[0] = value!
      return element
    })
    expect(evaluateDouble(left, right)).toBe(agree)
    appendRule(left!, new RuleExpression(1))
    expect(evaluateDouble(left, right)).toBe(false)
  })

  test('words outside an element, rings and wrong sizes are refused', () => {
    const rule = new RuleExpression(2)
    rule.offset = 3
    expect([3, 4].map((at) => rule.indexOf(at))).toEqual([0, 1])
    for (const at of [2, 5, 3.5]) {
      expect(() => rule.indexOf(at)).toThrow(
        expect.objectContaining({ code: 'OFFSET_OUT_OF_RANGE' }),
      )
    }
    expect(() => appendRule(rule, rule)).toThrow(/already/)
    for (const length of [0, 256]) expect(() => new RuleExpression(length)).toThrow(/1 to 255/)
  })
})
