import { describe, expect, it } from 'vitest'
import { z } from 'zod'
import { makeMethodCodec } from '../../idl/index.ts'
import { fromJson, toJson } from '../../amf/cli/json-value.ts'

describe('JSON for values that JSON cannot say', () => {
  const cases: [string, z.ZodType, unknown, unknown][] = [
    ['bytes', z.instanceof(Uint8Array), 'AQID', new Uint8Array([1, 2, 3])],
    ['bigint', z.bigint(), '12345678901234567890', 12345678901234567890n],
    ['date', z.date(), '2026-01-02T03:04:05.000Z', new Date('2026-01-02T03:04:05Z')],
    ['set', z.set(z.bigint()), ['1', '2'], new Set([1n, 2n])],
    [
      'map',
      z.map(z.string(), z.date()),
      [['a', '2026-01-02T00:00:00.000Z']],
      new Map([['a', new Date('2026-01-02')]]),
    ],
    ['array', z.array(z.bigint()), ['7'], [7n]],
    ['tuple', z.tuple([z.string(), z.bigint()]), ['x', '7'], ['x', 7n]],
    ['record', z.record(z.string(), z.bigint()), { a: '1' }, { a: 1n }],
    ['object', z.strictObject({ a: z.bigint(), b: z.string().optional() }), { a: '1' }, { a: 1n }],
    ['nullable', z.nullable(z.bigint()), null, null],
    [
      'choice',
      z.discriminatedUnion('kind', [
        z.strictObject({ kind: z.literal('n'), n: z.bigint() }),
        z.strictObject({ kind: z.literal('s'), n: z.string() }),
      ]),
      { kind: 'n', n: '5' },
      { kind: 'n', n: 5n },
    ],
  ]

  it.each(cases)('%s goes both ways', (place, schema, json, value) => {
    const codec = makeMethodCodec(place, schema)
    expect(fromJson(codec.shape, json)).toEqual(value)
    expect(toJson(codec.decode(codec.encode(fromJson(codec.shape, json))))).toEqual(json)
  })

  it('passes on what does not fit, for the codec to refuse', () => {
    const codec = makeMethodCodec('x', z.strictObject({ a: z.array(z.int()) }))
    for (const json of [5, null, [], { a: 3 }, { a: ['x'] }]) {
      expect(fromJson(codec.shape, json)).toEqual(json)
      expect(() => codec.encode(fromJson(codec.shape, json) as never)).toThrow()
    }
  })

  it('names a bigint that is none', () => {
    expect(() => fromJson({ kind: 'bigint' }, 'seven')).toThrow('"seven" is no whole number')
  })
})
