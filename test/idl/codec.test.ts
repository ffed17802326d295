import { describe, expect, test } from 'vitest'
import { z } from 'zod'
import { isSdkError, makeMethodCodec } from '../../idl/index.ts'

interface Tree {
  readonly name: string
  readonly children: readonly Tree[]
}
const tree: z.ZodType<Tree> = z.lazy(() =>
  z.strictObject({ name: z.string(), children: z.array(tree) }),
)

const bytes = z.instanceof(Uint8Array)
const choice = z.discriminatedUnion('kind', [
  z.strictObject({ kind: z.literal('a'), n: z.int() }),
  z.strictObject({ x: z.string().optional(), kind: z.enum(['b', 'c']) }),
])

describe('a value comes back as it was', () => {
  test.each<[string, z.ZodType, readonly unknown[]]>([
    ['text', z.string(), ['', 'plain', 'grüße \u{1f600}', 'x'.repeat(70_000)]],
    ['number', z.number(), [0, -1, 127, 128, 65_536, -40_000, 2 ** 40, 0.1, 1e300, -(2 ** 53) + 1]],
    ['int', z.int(), [Number.MAX_SAFE_INTEGER, Number.MIN_SAFE_INTEGER]],
    ['bigint', z.bigint(), [0n, -1n, 2n ** 63n - 1n, -(2n ** 63n), 2n ** 64n - 1n, 10n ** 400n]],
    ['boolean', z.boolean(), [true, false]],
    ['null', z.null(), [null]],
    ['void', z.void(), [undefined]],
    ['date', z.date(), [new Date(0), new Date(-1.5e12), new Date('2026-11-22T10:00:00.123Z')]],
    ['bytes', bytes, [new Uint8Array(0), Uint8Array.of(1, 2, 255), new Uint8Array(100_000)]],
    ['refined bytes', bytes.refine((b) => b.length < 9), [Uint8Array.of(1)]],
    ['literal', z.literal(['a', 1, true, null, 5n]), ['a', 1, true, null, 5n]],
    ['enum', z.enum(['on', 'off']), ['on', 'off']],
    ['array', z.array(z.int()), [[], [1, 2, 3]]],
    ['array of optional', z.array(z.int().optional()), [[1, undefined, 3, undefined]]],
    [
      'tuple',
      z.tuple([z.string(), bytes.nullable()]),
      [
        ['a', null],
        ['b', Uint8Array.of(9)],
      ],
    ],
    ['tuple with rest', z.tuple([z.string()], z.int()), [['a'], ['a', 1, 2]]],
    ['tuple, optional end', z.tuple([z.string(), z.int().optional()]), [['a'], ['a', 1]]],
    ['record', z.record(z.string(), z.int()), [{}, { a: 1, '2': 2, constructor: 3 }]],
    [
      'map',
      z.map(z.int(), z.string()),
      [
        new Map(),
        new Map([
          [1, 'a'],
          [2, 'b'],
        ]),
      ],
    ],
    ['set', z.set(z.string()), [new Set(), new Set(['a', 'b'])]],
    ['nullable', z.string().nullable(), [null, 'a']],
    ['nullish', z.string().nullish(), [null, undefined, 'a']],
    [
      'nullable optional nullable',
      z.string().nullable().optional().nullable(),
      [null, undefined, ''],
    ],
    [
      'union, told apart by type',
      z.union([z.string(), z.int(), bytes]),
      ['a', 1, Uint8Array.of(1)],
    ],
    ['union, tagged', z.union([z.date(), z.number()]), [new Date(5), 5]],
    [
      'union of objects',
      z.union([z.strictObject({ a: z.int() }), z.strictObject({ a: z.int(), b: z.int() })]),
      [{ a: 1 }, { a: 1, b: 2 }],
    ],
    ['discriminated union', choice, [{ kind: 'a', n: 1 }, { kind: 'b' }, { kind: 'c', x: 'y' }]],
    [
      'object',
      z.strictObject({ a: z.string().optional(), b: z.int(), c: bytes.optional(), d: z.unknown() }),
      [
        { b: 1, d: undefined },
        { a: 'x', b: 1, d: null },
        { b: 2, c: Uint8Array.of(1), d: { e: [1] } },
      ],
    ],
    ['recursive', tree, [{ name: 'a', children: [{ name: 'b', children: [] }] }]],
    [
      'unknown',
      z.unknown(),
      [
        undefined,
        null,
        1,
        'a',
        [1, [null]],
        { a: { b: Uint8Array.of(1) } },
        { constructor: 1 },
        7n,
      ],
    ],
  ])('%s', (_name, schema, values) => {
    const codec = makeMethodCodec('test', schema)
    for (const value of values) {
      const first = codec.encode(value as never)
      expect(codec.decode(first)).toStrictEqual(value)
      expect(Buffer.from(codec.encode(codec.decode(first) as never))).toEqual(Buffer.from(first))
    }
  })
})

test('an error of the decoder has a code', () => {
  const codec = makeMethodCodec('test', z.string())
  try {
    codec.decode(Uint8Array.of(0xc1))
    expect.unreachable()
  } catch (error) {
    expect(isSdkError(error, 'MESSAGE_ERROR')).toBe(true)
  }
})
