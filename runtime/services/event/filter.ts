import { evaluateRule } from '../../basic/rule/expression.ts'
import { unpackRule } from '../../basic/rule/pack.ts'
import type { FilterType, SubscriptionFilter } from './interface.ts'
import type { PatternSpans } from './record.ts'

/** Whether an event with these patterns is wanted. */
export type PatternTest = (patterns: PatternSpans) => boolean

/** Whether the bytes from `start` to `end` are. */
type SpanTest = (bytes: Uint8Array, start: number, end: number) => boolean

/**
 * What tests the patterns of events for a subscription, made once for each; null when all events are wanted. Filter `i`
 * looks at pattern `i` alone, byte for byte, and all must match; an event with fewer patterns than there are filters
 * does not. SAFplus, section 15.
 * @throws SdkError INVALID_BUFFER for bytes that are no rule.
 */
export function patternTest(filter: SubscriptionFilter): PatternTest | null {
  if (filter.kind === 'rule') {
    const rule = unpackRule(filter.rule)
    return rule === undefined ? null : (patterns) => evaluateRule(rule, wordsOf(patterns))
  }
  const tests = filter.filters.map(({ type, pattern }) => MATCHES[type](pattern))
  if (tests.length === 0) return null
  return ({ bytes, count, starts, ends }) => {
    if (count < tests.length) return false
    for (let i = 0; i < tests.length; i += 1) {
      if (!tests[i]!(bytes, starts[i]!, ends[i]!)) return false
    }
    return true
  }
}

const MATCHES: { readonly [T in FilterType]: (wanted: Uint8Array) => SpanTest } = {
  PASS_ALL: () => () => true,
  EXACT: (wanted) => (bytes, start, end) =>
    end - start === wanted.length && hasAt(bytes, start, wanted),
  PREFIX: (wanted) => (bytes, start, end) =>
    end - start >= wanted.length && hasAt(bytes, start, wanted),
  SUFFIX: (wanted) => (bytes, start, end) =>
    end - start >= wanted.length && hasAt(bytes, end - wanted.length, wanted),
  /** The filter's bytes are a mask; an empty one is all ones. */
  NON_ZERO: (mask) => (bytes, start, end) => {
    for (let at = start; at < end; at += 1) {
      const bits = mask.length === 0 ? 0xff : (mask[at - start] ?? 0)
      if ((bytes[at]! & bits) !== 0) return true
    }
    return false
  },
}

/** There is room for it. */
function hasAt(bytes: Uint8Array, at: number, wanted: Uint8Array): boolean {
  for (let i = 0; i < wanted.length; i += 1) if (bytes[at + i] !== wanted[i]) return false
  return true
}

/** The patterns one after the other, each filled up with zeros to whole words, which are little-endian. */
function wordsOf({ bytes, count, starts, ends }: PatternSpans): Uint32Array {
  const wordCount = (i: number): number => Math.ceil((ends[i]! - starts[i]!) / 4)
  let length = 0
  for (let i = 0; i < count; i += 1) length += wordCount(i)
  const words = new Uint32Array(length)
  let to = 0
  for (let i = 0; i < count; i += 1) {
    for (let at = starts[i]!; at < ends[i]!; at += 1) {
      const offset = at - starts[i]!
      words[to + (offset >> 2)]! |= bytes[at]! << (8 * (offset & 3))
    }
    to += wordCount(i)
  }
  return words
}
