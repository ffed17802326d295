import { SdkError } from '../../../idl/index.ts'
import { elementsOf, RuleExpression } from './expression.ts'

const WORD_BYTES = 4
/** Flags, length and offset. */
const HEADER_WORDS = 3

/** Bytes that {@link packRule} makes of a rule. */
export function packedBytes(rule: RuleExpression | undefined): number {
  if (rule === undefined) return WORD_BYTES
  const words = elementsOf(rule).map(({ length }) => HEADER_WORDS + 2 * length)
  return WORD_BYTES * words.reduce((sum, count) => sum + count, 1)
}

/**
 * A rule as bytes, all words big-endian: number of elements; for each flags, length, offset, then mask and value in
 * turn.
 * SAFplus, section 20.7.
 */
export function packRule(rule: RuleExpression | undefined): Uint8Array {
  const bytes = new Uint8Array(packedBytes(rule))
  const view = new DataView(bytes.buffer)
  const elements = rule === undefined ? [] : elementsOf(rule)
  const words = elements.flatMap(({ flags, length, offset, mask, value }) => [
    flags,
    length,
    offset,
    ...[...mask].flatMap((word, i) => [word, value[i]!]),
  ])
  const all = [elements.length, ...words]
  all.forEach((word, i) => view.setUint32(i * WORD_BYTES, word))
  return bytes
}

/** The rule of packed bytes. @throws SdkError INVALID_BUFFER naming the byte where they make no sense. */
export function unpackRule(bytes: Uint8Array): RuleExpression | undefined {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)
  let at = 0
  const word = (max: number): number => {
    if (at + WORD_BYTES > bytes.byteLength) throw broken(`it ends at byte ${bytes.byteLength}`)
    const value = view.getUint32(at)
    if (value > max) throw broken(`byte ${at} says ${value}, at most ${max} is possible`)
    at += WORD_BYTES
    return value
  }
  const count = word(Math.floor(bytes.byteLength / (HEADER_WORDS * WORD_BYTES)))
  const elements = Array.from({ length: count }, () => {
    const flags = word(0xff)
    const length = word(0xff)
    if (length === 0) throw broken(`byte ${at - WORD_BYTES}: an element has at least 1 word`)
    const element = new RuleExpression(length)
    element.flags = flags
    element.offset = word(0xffff)
    for (let i = 0; i < length; i += 1) {
      element.mask[i] = word(0xffffffff)
      element.value[i] = word(0xffffffff)
    }
    return element
  })
  if (at !== bytes.byteLength) throw broken(`nothing is expected after byte ${at}`)
  elements.forEach((element, i) => (element.next = elements[i + 1]))
  return elements[0]
}

/** A rule for people, a line each element. */
export function ruleText(rule: RuleExpression): string {
  const hex = (word: number): string => `0x${word.toString(16)}`
  return elementsOf(rule)
    .map(({ flags, offset, mask, value }) => {
      const words = [...mask].map((word, i) => `${hex(word)}=${hex(value[i]!)}`)
      return `flags ${hex(flags)}, offset ${offset}: ${words.join(' ')}`
    })
    .join('\n')
}

function broken(why: string): SdkError {
  return new SdkError('INVALID_BUFFER', `these bytes are no packed rule: ${why}`)
}
