import { SdkError } from '../../../idl/index.ts'

/** Flags of an element. SAFplus, section 20.7. */
export const RULE_FLAG = {
  LITTLE_END: 0x01,
  BIG_END: 0x02,
  NON_ZERO_MATCH: 0x04,
  /** Says what the absence of NON_ZERO_MATCH means; changes nothing. */
  MATCH_EXACT: 0x08,
  CHAIN_AND: 0x10,
  GROUP_OR: 0x40,
} as const

const HOST_ORDER =
  new Uint8Array(new Uint32Array([1]).buffer)[0] === 1 ? RULE_FLAG.LITTLE_END : RULE_FLAG.BIG_END
const ORDER_BITS = RULE_FLAG.LITTLE_END | RULE_FLAG.BIG_END
const LENGTH_MAX = 0xff
const OFFSET_MAX = 0xffff

/**
 * One element of a rule: masks and values for some words of the data, and the next element. A rule is the first of
 * its
 * elements.
 */
export class RuleExpression {
  /** Masks and values, one word each: `mask[i]` is for word `offset + i` of the data. */
  readonly mask: Uint32Array
  readonly value: Uint32Array
  next: RuleExpression | undefined
  #flags: number = HOST_ORDER | RULE_FLAG.NON_ZERO_MATCH | RULE_FLAG.CHAIN_AND
  #offset = 0

  /** @param length - in words, 1 to 255. @throws SdkError INVALID_PARAMETER outside. */
  constructor(length: number) {
    if (!Number.isInteger(length) || length < 1 || length > LENGTH_MAX) {
      throw new SdkError('INVALID_PARAMETER', `an element has 1 to ${LENGTH_MAX} words`)
    }
    this.mask = new Uint32Array(length)
    this.value = new Uint32Array(length)
  }

  get length(): number {
    return this.mask.length
  }

  get flags(): number {
    return this.#flags
  }

  /** @throws SdkError INVALID_PARAMETER for no byte. */
  set flags(flags: number) {
    if (!Number.isInteger(flags) || flags < 0 || flags > 0xff) {
      throw new SdkError('INVALID_PARAMETER', `flags are one byte, not ${flags}`)
    }
    this.#flags = flags
  }

  /** Words before the first one that is looked at. */
  get offset(): number {
    return this.#offset
  }

  /** @throws SdkError OFFSET_OUT_OF_RANGE outside 0 to 65_535. */
  set offset(offset: number) {
    if (!Number.isInteger(offset) || offset < 0 || offset > OFFSET_MAX) {
      throw new SdkError('OFFSET_OUT_OF_RANGE', `an offset is 0 to ${OFFSET_MAX}, not ${offset}`)
    }
    this.#offset = offset
  }

  /**
   * Place of a word of the data in `mask` and `value`.
   * @param word - counted from the start of the data.
   * @throws SdkError OFFSET_OUT_OF_RANGE for a word that this element does not look at.
   */
  indexOf(word: number): number {
    const index = word - this.#offset
    if (Number.isInteger(index) && index >= 0 && index < this.length) return index
    const end = this.#offset + this.length - 1
    throw new SdkError('OFFSET_OUT_OF_RANGE', `word ${word} is outside ${this.#offset} to ${end}`)
  }
}

/**
 * Whether a rule is true of some data. No rule: true; no data: false.
 * Elements are looked at in order. CHAIN_AND: all up to the end or to the first that is no AND. Neither flag: OR,
 * the first
 * true one decides; failures before a CHAIN_AND element are forgotten. GROUP_OR: one true element of adjacent ones
 * is enough.
 */
export function evaluateRule(
  rule: RuleExpression | undefined,
  words: Uint32Array | undefined,
): boolean {
  let element = rule
  while (element !== undefined) {
    const isTrue = evaluateElement(element, words)
    const next: RuleExpression | undefined = element.next
    if (isGroup(element)) {
      if (isTrue) {
        element = afterGroup(next)
        if (element === undefined) return true
        continue
      }
      if (next === undefined || !isGroup(next)) return false
    } else if ((element.flags & RULE_FLAG.CHAIN_AND) !== 0) {
      if (!isTrue) return false
      if (next === undefined) return true
    } else {
      if (isTrue) return true
      if (next === undefined) return false
    }
    element = next
  }
  return true
}

/**
 * Whether a pattern agrees with a filter: as many elements, as long ones, and in every word each side's value under
 * the
 * other's mask is the same.
 */
export function evaluateDouble(
  left: RuleExpression | undefined,
  right: RuleExpression | undefined,
): boolean {
  let a = left
  let b = right
  while (a !== undefined && b !== undefined) {
    if (a.length !== b.length) return false
    for (let i = 0; i < a.length; i += 1) {
      if ((a.mask[i]! & b.value[i]!) !== (b.mask[i]! & a.value[i]!)) return false
    }
    a = a.next
    b = b.next
  }
  return a === undefined && b === undefined
}

/** Puts `tail` at the end of a rule. @throws SdkError INVALID_PARAMETER when that would make a ring. */
export function appendRule(rule: RuleExpression, tail: RuleExpression): void {
  const ownElements = elementsOf(rule)
  if (elementsOf(tail).some((element) => ownElements.includes(element))) {
    throw new SdkError('INVALID_PARAMETER', 'the rule has this element already')
  }
  ownElements.at(-1)!.next = tail
}

/** A copy of every element. */
export function duplicateRule(rule: RuleExpression): RuleExpression {
  const copies = elementsOf(rule).map((element) => {
    const copy = new RuleExpression(element.length)
    copy.flags = element.flags
    copy.offset = element.offset
    copy.mask.set(element.mask)
    copy.value.set(element.value)
    return copy
  })
  copies.forEach((copy, i) => (copy.next = copies[i + 1]))
  return copies[0]!
}

/** Turns masks and values of every element over to the other byte order, and says so in the flags. */
export function convertRule(rule: RuleExpression): void {
  for (const element of elementsOf(rule)) {
    element.mask.forEach((word, i) => (element.mask[i] = swapped(word)))
    element.value.forEach((word, i) => (element.value[i] = swapped(word)))
    element.flags ^= ORDER_BITS
  }
}

/** Turns elements that are stored in the other byte order over to this machine's. */
export function localizeRule(rule: RuleExpression): void {
  for (const element of elementsOf(rule)) {
    if (!isForeign(element)) continue
    const { next } = element
    element.next = undefined
    convertRule(element)
    element.next = next
  }
}

/** Elements of a rule, the first first. */
export function elementsOf(rule: RuleExpression | undefined): readonly RuleExpression[] {
  const elements: RuleExpression[] = []
  for (let at = rule; at !== undefined; at = at.next) elements.push(at)
  return elements
}

function evaluateElement(element: RuleExpression, words: Uint32Array | undefined): boolean {
  const { offset, length, mask, value } = element
  if (words === undefined || words.length < offset + length) return false
  const foreign = isForeign(element)
  const anyBit = (element.flags & RULE_FLAG.NON_ZERO_MATCH) !== 0
  for (let i = 0; i < length; i += 1) {
    const word = words[offset + i]!
    const masked = ((foreign ? swapped(word) : word) & mask[i]!) >>> 0
    if (anyBit && masked !== 0) return true
    if (!anyBit && masked !== value[i]) return false
  }
  return !anyBit
}

function isGroup(element: RuleExpression): boolean {
  return (element.flags & RULE_FLAG.GROUP_OR) !== 0
}

function afterGroup(element: RuleExpression | undefined): RuleExpression | undefined {
  let at = element
  while (at !== undefined && isGroup(at)) at = at.next
  return at
}

function isForeign(element: RuleExpression): boolean {
  const order = element.flags & ORDER_BITS
  return order !== 0 && order !== HOST_ORDER
}

function swapped(word: number): number {
  const middle = ((word & 0xff00) << 8) | ((word >>> 8) & 0xff00)
  return ((word << 24) | middle | (word >>> 24)) >>> 0
}
