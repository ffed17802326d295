import { isUtf8 } from 'node:buffer'
import { SdkError } from './sdk-error.ts'

/** Arrays and maps inside each other at most, in bytes that are read and in values that are written. */
export const VALUE_DEPTH_MAX = 128
/** Values (members, elements, keys) in one message at most: bounds the memory that a few bytes can ask for. */
export const VALUE_COUNT_MAX = 4_194_304

/**
 * Checks that `bytes` are exactly one msgpack value of the kinds that the codec uses, before anything is
 * allocated for it: every length and count fits into the bytes that are left, nesting and number of values are
 * bounded, text is UTF-8, keys of maps are text, there are no extension types and nothing follows.
 * @throws {SdkError} MESSAGE_ERROR when it is not; TOO_BIG when it passes {@link VALUE_DEPTH_MAX} or
 * {@link VALUE_COUNT_MAX}.
 */
export function scan(bytes: Uint8Array): void {
  const end = bytes.length
  // One open container a level: how many values are still to come in it, and whether the next one is a key.
  const open: Level[] = []
  let position = 0
  let count = 0
  let left = 1
  let keys = false
  for (;;) {
    while (left === 0) {
      const outer = open.pop()
      if (outer === undefined) {
        if (position !== end) throw broken(`${end - position} bytes follow the value`)
        return
      }
      left = outer.left
      keys = outer.keys
    }
    if (position >= end) throw broken('the bytes end early')
    if (++count > VALUE_COUNT_MAX) throw tooBig(`more than ${VALUE_COUNT_MAX} values`)
    const head = bytes[position] as number
    const isKey = keys && (left & 1) === 0
    left -= 1
    if (isKey) {
      position = skipKey(bytes, position, head)
      continue
    }
    const kind = KINDS[head] as number
    if (kind < KIND_ARRAY) {
      position = kind < KIND_STRING ? position + kind : skipLong(bytes, position, head, kind)
      if (position > end) throw broken('a value passes the end')
      continue
    }
    const header = headerLength(head)
    const items = containerCount(bytes, position, head, header)
    position += header
    const values = kind === KIND_MAP ? items * 2 : items
    if (values > end - position) throw broken(`${items} elements in ${end - position} bytes`)
    if (open.length >= VALUE_DEPTH_MAX) throw tooBig(`deeper than ${VALUE_DEPTH_MAX} levels`)
    open.push({ left, keys })
    left = values
    keys = kind === KIND_MAP
  }
}

interface Level {
  readonly left: number
  readonly keys: boolean
}

// What each first byte starts. Below KIND_STRING the number is the whole length of the value.
const KIND_STRING = 16
const KIND_BYTES = 17
const KIND_ARRAY = 18
const KIND_MAP = 19
const KIND_REFUSED = 20
const KINDS = kindTable()

function kindTable(): Uint8Array {
  const kinds = new Uint8Array(256).fill(KIND_REFUSED)
  kinds.fill(1, 0x00, 0x80)
  kinds.fill(KIND_MAP, 0x80, 0x90)
  kinds.fill(KIND_ARRAY, 0x90, 0xa0)
  kinds.fill(KIND_STRING, 0xa0, 0xc0)
  kinds.fill(1, 0xe0, 0x100)
  kinds.set([1, KIND_REFUSED, 1, 1, KIND_BYTES, KIND_BYTES, KIND_BYTES], 0xc0)
  kinds.set([5, 9, 2, 3, 5, 9, 2, 3, 5, 9], 0xca)
  kinds.set([KIND_STRING, KIND_STRING, KIND_STRING, KIND_ARRAY, KIND_ARRAY], 0xd9)
  kinds.set([KIND_MAP, KIND_MAP], 0xde)
  return kinds
}

function skipLong(bytes: Uint8Array, position: number, head: number, kind: number): number {
  const header = head < 0xc0 ? 1 : headerLength(head)
  const length = head < 0xc0 ? head & 0x1f : unsigned(bytes, position + 1, header - 1)
  const start = position + header
  const stop = start + length
  if (stop > bytes.length) throw broken(`a length of ${length} passes the end`)
  if (kind === KIND_STRING) checkText(bytes, start, stop)
  return stop
}

function skipKey(bytes: Uint8Array, position: number, head: number): number {
  if (KINDS[head] !== KIND_STRING) throw broken('a key of a map is no text')
  const stop = skipLong(bytes, position, head, KIND_STRING)
  const start = position + (head < 0xc0 ? 1 : headerLength(head))
  if (stop - start === PROTO.length && PROTO.every((byte, i) => bytes[start + i] === byte)) {
    throw broken('a key is __proto__')
  }
  return stop
}

const PROTO = Uint8Array.from('__proto__', (char) => char.charCodeAt(0))

function checkText(bytes: Uint8Array, start: number, stop: number): void {
  // Short text is nearly always ASCII and cheaper to look at than to hand over.
  if (stop - start <= 32) {
    let i = start
    while (i < stop && (bytes[i] as number) < 0x80) i += 1
    if (i === stop) return
  }
  if (!isUtf8(bytes.subarray(start, stop))) throw broken('text is not UTF-8')
}

function headerLength(head: number): number {
  switch (head) {
    case 0xc4:
    case 0xd9:
      return 2
    case 0xc5:
    case 0xda:
    case 0xdc:
    case 0xde:
      return 3
    case 0xc6:
    case 0xdb:
    case 0xdd:
    case 0xdf:
      return 5
    default:
      return 1
  }
}

function containerCount(bytes: Uint8Array, position: number, head: number, header: number): number {
  if (head >= 0x80 && head < 0xa0) return head & 0x0f
  if (header === 1) throw broken(`byte 0x${head.toString(16)} starts nothing that is known`)
  return unsigned(bytes, position + 1, header - 1)
}

function unsigned(bytes: Uint8Array, position: number, length: number): number {
  if (position + length > bytes.length) throw broken('the bytes end early')
  let value = 0
  for (let i = 0; i < length; i += 1) value = value * 256 + (bytes[position + i] as number)
  return value
}

function broken(why: string): SdkError {
  return new SdkError('MESSAGE_ERROR', `not the bytes of a value: ${why}`)
}

function tooBig(why: string): SdkError {
  return new SdkError('TOO_BIG', `the value is too big: ${why}`)
}
