import { Packr } from 'msgpackr'
import { describe, expect, test } from 'vitest'
import { z } from 'zod'
import {
  decodeValue,
  defineInterface,
  encodeValue,
  isSdkError,
  makeMethodCodec,
  type SdkError,
  VALUE_DEPTH_MAX,
} from '../../idl/index.ts'

function errorOf(run: () => unknown): SdkError {
  try {
    run()
  } catch (error) {
    if (isSdkError(error)) return error
    throw error
  }
  throw new Error('nothing was thrown')
}

const bytesOf = (wire: unknown): Uint8Array => new Packr({ useRecords: false }).pack(wire)

describe('a schema without a wire form is refused where the interface is defined', () => {
  test.each<[string, z.ZodType, string]>([
    ['transform', z.string().transform(Number), 'T.m input: a.b: a pipe or transform'],
    ['preprocess', z.preprocess(Number, z.number()), 'T.m input: a.b: a pipe or transform'],
    ['intersection', z.intersection(z.object({}), z.object({})), 'a.b: an intersection'],
    ['loose object', z.looseObject({}), 'a.b: an object with unknown keys'],
    ['catchall', z.object({}).catchall(z.int()), 'a.b: an object with unknown keys'],
    ['symbol', z.symbol(), 'a.b: symbol has no wire form'],
    ['never', z.never(), 'a.b: never has no wire form'],
    ['custom', z.custom<string>(() => true), 'a.b: a custom type'],
    ['another class', z.instanceof(Map), 'a.b: a custom type'],
    ['Buffer', z.instanceof(Buffer), 'a.b: a custom type'],
    ['inside containers', z.array(z.map(z.string(), z.symbol())), 'a.b.[].[value]: symbol'],
    ['in a tuple', z.tuple([z.int(), z.symbol()]), 'a.b[1]: symbol'],
    ['not zod', {} as z.ZodType, 'a.b: it is no zod 4 schema'],
  ])('%s', (_name, schema, message) => {
    const input = z.object({ a: z.object({ b: z.int() }) })
    const bad = input.extend({ a: z.object({ b: schema }) })
    const error = errorOf(() =>
      defineInterface({
        name: 'T',
        clientId: 20,
        version: 'B.1.1',
        methods: { m: { serviceId: 0, input: bad, output: z.void() } },
      }),
    )
    expect(error.code).toBe('INVALID_PARAMETER')
    expect(error.message).toContain(message)
  })
})

describe('a value that does not fit is refused with its path', () => {
  const codec = makeMethodCodec(
    'S.next input',
    z.strictObject({ list: z.array(z.strictObject({ n: z.int().max(9) })), o: z.unknown() }),
  )
  test.each<[string, unknown, string]>([
    ['wrong type', { list: [{ n: 'x' }], o: 1 }, 'S.next input: list[0].n: '],
    ['out of bounds', { list: [{ n: 1 }, { n: 10 }], o: 1 }, 'S.next input: list[1].n: '],
    ['unknown key', { list: [], o: 1, extra: 1 }, 'S.next input: '],
    ['a function inside', { list: [], o: { f: () => 1 } }, 'S.next input: f: function'],
    ['a class instance inside', { list: [], o: [new Map()] }, '[0]: Map is no plain object'],
    ['undefined in a list', { list: [], o: [undefined] }, '[0]: undefined has no wire form'],
    ['half a surrogate pair', { list: [], o: 'a\ud800' }, 'half of a surrogate pair'],
    ['a large bigint', { list: [], o: 2n ** 64n }, 'a bigint must fit'],
    ['own __proto__', { list: [], o: JSON.parse('{"__proto__":1}') as unknown }, '__proto__'],
  ])('%s', (_name, value, message) => {
    for (let uses = 0; uses < 300; uses += 1) {
      const error = errorOf(() => codec.encode(value as never))
      expect(error.code).toBe('INVALID_PARAMETER')
      expect(error.message).toContain(message)
    }
  })

  test('a value that contains itself', () => {
    const loop: unknown[] = []
    loop.push(loop)
    expect(errorOf(() => encodeValue(loop)).code).toBe('TOO_BIG')
    const list: z.ZodType = z.lazy(() => z.array(list))
    expect(errorOf(() => makeMethodCodec('x', list).encode(loop)).code).toBe('TOO_BIG')
  })

  test('a missing value', () => {
    expect(errorOf(() => encodeValue(undefined)).code).toBe('INVALID_PARAMETER')
  })
})

describe('bytes of another shape', () => {
  const codec = makeMethodCodec(
    'S.m input',
    z.strictObject({ a: z.int(), b: z.array(z.strictObject({ c: z.string() })) }),
  )
  test.each<[string, unknown, string]>([
    ['no object', 7, 'S.m input: expected an object, got number'],
    ['a member missing', [1], 'S.m input: b: '],
    ['a member too many', [1, [], 3], 'S.m input: expected at most 2 members'],
    ['wrong inside', [1, [['x'], 'y']], 'S.m input: b[1]: expected an object, got text'],
    ['wrong scalar', [1, [[5]]], 'S.m input: b[0].c: '],
    ['a map where an array belongs', { a: 1 }, 'S.m input: expected an object, got map'],
  ])('%s', (_name, wire, message) => {
    const error = errorOf(() => codec.decode(bytesOf(wire)))
    expect(error.code).toBe('INVALID_PARAMETER')
    expect(error.message).toContain(message)
  })
})

describe('bytes that are no value are refused before anything is allocated for them', () => {
  test.each<[string, readonly number[]]>([
    ['nothing', []],
    ['bytes after the value', [0x01, 0x02]],
    ['never used', [0xc1]],
    ['extension', [0xd4, 0x00, 0x00]],
    ['record definition', [0xd4, 0x72, 0x40, 0x91, 0xa1, 0x61, 0x01]],
    ['timestamp', [0xd6, 0xff, 0, 0, 0, 0]],
    ['array of 4 billion', [0xdd, 0xff, 0xff, 0xff, 0xff]],
    ['map of 4 billion', [0xdf, 0xff, 0xff, 0xff, 0xff, 0xa1, 0x61]],
    ['text of 4 GB', [0xdb, 0xff, 0xff, 0xff, 0xff, 0x61]],
    ['bin of 4 GB', [0xc6, 0xff, 0xff, 0xff, 0xff, 0x61]],
    ['length cut off', [0xdc, 0x00]],
    ['number cut off', [0xcb, 0, 0, 0]],
    ['key is a number', [0x81, 0x01, 0x01]],
    ['key __proto__', [0x81, 0xa9, ...Buffer.from('__proto__'), 0x80]],
    ['key __proto__, long form', [0x81, 0xd9, 9, ...Buffer.from('__proto__'), 0x80]],
    ['text that is not UTF-8', [0xa2, 0xc3, 0x28]],
    ['long text that is not UTF-8', [0xd9, 40, ...Array.from({ length: 40 }, () => 0xff)]],
  ])('%s', (_name, bytes) => {
    expect(errorOf(() => decodeValue(Uint8Array.from(bytes))).code).toBe('MESSAGE_ERROR')
  })

  test('more levels than can be', () => {
    const deep = new Uint8Array(1_000_000).fill(0x91)
    expect(errorOf(() => decodeValue(deep)).code).toBe('TOO_BIG')
  })

  test('as many levels as can be', () => {
    const deep = new Uint8Array(VALUE_DEPTH_MAX + 1).fill(0x91)
    deep[VALUE_DEPTH_MAX] = 0xc0
    expect(decodeValue(deep)).toBeInstanceOf(Array)
  })

  test('more values than can be', () => {
    const many = new Uint8Array(5_000_005).fill(0x01)
    many.set([0xdd, 0x00, 0x4c, 0x4b, 0x40])
    expect(errorOf(() => decodeValue(many)).code).toBe('TOO_BIG')
  })

  test('a key of a record is not the prototype', () => {
    const codec = makeMethodCodec('x', z.record(z.string(), z.int()))
    const error = errorOf(() => codec.decode(bytesOf(['__proto__', 1])))
    expect(error.code).toBe('INVALID_PARAMETER')
  })
})

describe('forward rules', () => {
  const v1 = makeMethodCodec('v1', z.object({ a: z.int() }))
  const v2 = makeMethodCodec(
    'v2',
    z.object({ a: z.int(), b: z.string().optional(), c: z.int().default(7) }),
  )
  test('optional members and defaults at the end may be missing', () => {
    expect(v2.decode(v1.encode({ a: 1 }))).toStrictEqual({ a: 1, c: 7 })
  })
  test('members that are not known are ignored by an object that is not strict', () => {
    expect(v1.decode(v2.encode({ a: 1, b: 'x' }))).toStrictEqual({ a: 1 })
  })
})

test('decoded bytes share no memory with the message', () => {
  const codec = makeMethodCodec('x', z.strictObject({ data: z.instanceof(Uint8Array) }))
  for (const size of [10, 10_000]) {
    const message = Uint8Array.from(codec.encode({ data: new Uint8Array(size).fill(5) }))
    const first = codec.decode(message)
    message.fill(0)
    codec.decode(codec.encode({ data: new Uint8Array(size).fill(9) }))
    expect(first.data.every((byte) => byte === 5)).toBe(true)
    expect(first.data.buffer.byteLength).toBe(size)
    expect(Object.keys(message)).not.toContain('dataView')
  }
})
