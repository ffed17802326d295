import { evaluateRule } from '../../basic/rule/expression.ts'
import { unpackRule } from '../../basic/rule/pack.ts'
import type { FilterType, SubscriptionFilter } from './interface.ts'

/** Whether an event with these patterns is wanted. */
export type PatternTest = (patterns: readonly Uint8Array[]) => boolean

/**
 * What tests the patterns of events for a subscription; null when all are wanted. Filter `i` looks at pattern `i`
 * alone, byte for byte, and all must match; an event with fewer patterns than there are filters does not. SAFplus,
 * section 15.
 * @throws SdkError INVALID_BUFFER for bytes that are no rule.
 */
export function patternTest(filter: SubscriptionFilter): PatternTest | null {
  if (filter.kind === 'rule') {
    const rule = unpackRule(filter.rule)
    return rule === undefined ? null : (patterns) => evaluateRule(rule, wordsOf(patterns))
  }
  const { filters } = filter
  if (filters.length === 0) return null
  return (patterns) =>
    patterns.length >= filters.length &&
    filters.every(({ type, pattern }, i) => MATCHES[type](patterns[i] ?? NOTHING, pattern))
}

const NOTHING = new Uint8Array()

const MATCHES: {
  readonly [T in FilterType]: (pattern: Uint8Array, wanted: Uint8Array) => boolean
} = {
  PASS_ALL: () => true,
  EXACT: (pattern, wanted) => pattern.length === wanted.length && hasAt(pattern, 0, wanted),
  PREFIX: (pattern, wanted) => hasAt(pattern, 0, wanted),
  SUFFIX: (pattern, wanted) => hasAt(pattern, pattern.length - wanted.length, wanted),
  /** The filter's bytes are a mask; an empty one is all ones. */
  NON_ZERO: (pattern, mask) =>
    pattern.some((byte, i) => (byte & (mask.length === 0 ? 0xff : (mask[i] ?? 0))) !== 0),
}

function hasAt(pattern: Uint8Array, at: number, wanted: Uint8Array): boolean {
  if (at < 0 || at + wanted.length > pattern.length) return false
  for (let i = 0; i < wanted.length; i += 1) if (pattern[at + i] !== wanted[i]) return false
  return true
}

/** The patterns one after the other, each filled up with zeros to whole words, which are little-endian. */
function wordsOf(patterns: readonly Uint8Array[]): Uint32Array {
  const lengths = patterns.map(({ length }) => Math.ceil(length / 4))
  const words = new Uint32Array(lengths.reduce((sum, length) => sum + length, 0))
  let at = 0
  for (const [i, pattern] of patterns.entries()) {
    for (const [offset, byte] of pattern.entries()) {
      words[at + (offset >> 2)]! |= byte << (8 * (offset & 3))
    }
    at += lengths[i] ?? 0
  }
  return words
}
