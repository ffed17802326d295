import { describe, expect, expectTypeOf, test } from 'vitest'
import { z } from 'zod'
import {
  type ClientOf,
  defineInterface,
  type HandlersOf,
  makeMethodCodec,
  makeShapeCodec,
  type OneWayClientOf,
  SERVICE_ID_MAX,
  shapeSchema,
  type Shape,
  USER_CLIENT_ID_MIN,
  valueFromJson,
  valueToJson,
} from '../../idl/index.ts'
import type { Rmd, RmdCallOptions } from '../../ioc/index.ts'

const Sequence = defineInterface({
  name: 'Sequence',
  clientId: USER_CLIENT_ID_MIN,
  version: 'B.1.1',
  methods: {
    next: {
      serviceId: 0,
      input: z.strictObject({ count: z.int().min(1).default(1) }),
      output: z.strictObject({ first: z.int(), last: z.int() }),
    },
    reset: { serviceId: 63, input: z.void(), output: z.void(), staleReads: true },
  },
})

describe('defineInterface', () => {
  test('gives each method its function number and codecs', () => {
    expect(Sequence.methods.next.functionNumber).toBe(20 * 64)
    expect(Sequence.methods.reset.functionNumber).toBe(20 * 64 + 63)
    expect(Sequence.methods.next.staleReads).toBe(false)
    expect(Sequence.methods.reset.staleReads).toBe(true)
    const { input } = Sequence.methods.next
    expect(input.decode(input.encode({}))).toStrictEqual({ count: 1 })
  })

  const good = { name: 'I', clientId: 20, version: 'B.1.1' }
  const method = { serviceId: 0, input: z.void(), output: z.void() }
  test.each<[string, Parameters<typeof defineInterface>[0], string]>([
    ['name', { ...good, name: 'a b', methods: {} }, 'interface "a b"'],
    ['version', { ...good, version: '1.0', methods: {} }, 'I.version'],
    ['client id', { ...good, clientId: -1, methods: {} }, 'I.clientId'],
    ['client id, not whole', { ...good, clientId: 1.5, methods: {} }, 'I.clientId'],
    ['client id, too large', { ...good, clientId: 2 ** 26, methods: {} }, 'I.clientId'],
    [
      'service id',
      { ...good, methods: { m: { ...method, serviceId: SERVICE_ID_MAX + 1 } } },
      'I.m.serviceId',
    ],
    [
      'service id twice',
      { ...good, methods: { m: method, n: method } },
      'I.n.serviceId: 0 is taken by m',
    ],
    ['method name', { ...good, methods: { 'm-m': method } }, 'I.m-m: the name'],
  ])('refuses a bad %s and names the place', (_name, spec, message) => {
    expect(() => defineInterface(spec)).toThrow(message)
  })
})

test('types follow from the schemas', () => {
  type Methods = (typeof Sequence)['spec']
  type Handlers = HandlersOf<Methods, { readonly epoch: number }>
  type Client = ClientOf<Methods, { readonly timeoutMs?: number }>

  expectTypeOf<Parameters<Handlers['next']>[0]>().toEqualTypeOf<{ count: number }>()
  expectTypeOf<Parameters<Handlers['next']>[1]>().toEqualTypeOf<{ readonly epoch: number }>()
  expectTypeOf<ReturnType<Handlers['next']>>().toEqualTypeOf<
    { first: number; last: number } | Promise<{ first: number; last: number }>
  >()
  expectTypeOf<Parameters<Client['next']>[0]>().toEqualTypeOf<{ count?: number | undefined }>()
  expectTypeOf<ReturnType<Client['next']>>().resolves.toEqualTypeOf<{
    first: number
    last: number
  }>()
  expectTypeOf<Client>().not.toHaveProperty('other')
  expectTypeOf(Sequence.methods.next.output.decode).returns.toEqualTypeOf<{
    first: number
    last: number
  }>()
})

test('what does not fit an interface does not compile', () => {
  const Feed = defineInterface({
    name: 'Feed',
    clientId: 21,
    version: 'B.1.1',
    methods: {
      items: { serviceId: 0, input: z.void(), output: z.int(), stream: true },
      size: { serviceId: 1, input: z.strictObject({ of: z.string() }), output: z.int() },
    },
  })
  type Methods = (typeof Feed)['spec']
  type Options = { readonly timeoutMs?: number; readonly oneWay?: boolean }
  type Client = ClientOf<Methods, Options>
  expectTypeOf<ReturnType<Client['items']>>().toEqualTypeOf<AsyncIterableIterator<number>>()

  type Functions = HandlersOf<Methods, string>
  expectTypeOf<keyof Functions>().toEqualTypeOf<'items' | 'size'>()
  expectTypeOf<{
    items: () => number[]
    size: (input: { of: string }, call: string) => Promise<number>
  }>().toExtend<Functions>()
  // One is missing, gives another result, no stream, takes another argument.
  expectTypeOf<{ items: () => number[] }>().not.toExtend<Functions>()
  expectTypeOf<{ items: () => number[]; size: () => string }>().not.toExtend<Functions>()
  expectTypeOf<{ items: () => number; size: () => number }>().not.toExtend<Functions>()
  type OtherInput = { items: () => number[]; size: (input: { of: number }) => number }
  expectTypeOf<OtherInput>().not.toExtend<Functions>()

  expectTypeOf<keyof Client>().toEqualTypeOf<'items' | 'size'>()
  type Size = [input: { of: string }, options?: Options | undefined]
  expectTypeOf<Parameters<Client['size']>>().toEqualTypeOf<Size>()
  for (const wrong of [[{ of: 1 }], [], [{ of: 'x' }, { timeoutMs: 'x' }]] as const) {
    expectTypeOf(wrong).not.toExtend<Readonly<Size>>()
  }
  expectTypeOf<ReturnType<Client['size']>>().toEqualTypeOf<Promise<number>>()

  // One-way calls give nothing, and there is no stream to wait for.
  type OneWay = OneWayClientOf<Methods, Options>
  expectTypeOf<keyof OneWay>().toEqualTypeOf<'size'>()
  expectTypeOf<Parameters<OneWay['size']>>().toEqualTypeOf<Size>()
  expectTypeOf<ReturnType<OneWay['size']>>().toEqualTypeOf<Promise<void>>()
  const made = (rmd: Rmd): unknown => {
    const options = { to: '@feed' }
    expectTypeOf(rmd.client(Feed, options)).toEqualTypeOf<ClientOf<Methods, RmdCallOptions>>()
    const oneWay = rmd.client(Feed, { ...options, oneWay: true })
    expectTypeOf(oneWay).toEqualTypeOf<OneWayClientOf<Methods, RmdCallOptions>>()
    return oneWay
  }
  expect(made).toBeTypeOf('function')
})

describe('a shape as data', () => {
  interface Tree {
    readonly name: string
    readonly kids: readonly Tree[]
  }
  const tree: z.ZodType<Tree> = z.lazy(() =>
    z.strictObject({ name: z.string(), kids: z.array(tree) }),
  )
  const Wide = defineInterface({
    name: 'Wide',
    clientId: 30,
    version: 'C.2.0',
    methods: {
      all: {
        serviceId: 5,
        input: z.strictObject({
          when: z.date(),
          data: z.instanceof(Uint8Array),
          big: z.bigint(),
          tags: z.set(z.string()),
          table: z.map(z.int(), z.date()),
          by: z.record(z.string(), z.bigint()),
          pair: z.tuple([z.int(), z.instanceof(Uint8Array).nullable()]),
          one: z.discriminatedUnion('kind', [
            z.strictObject({ kind: z.literal('a'), at: z.date() }),
            z.strictObject({ kind: z.literal('b') }),
          ]),
          either: z.union([z.int(), z.array(z.enum(['x', 'y']))]),
          tree,
          any: z.unknown(),
          maybe: z.string().optional(),
        }),
        output: z.void(),
      },
    },
  })
  const json = {
    when: '2026-11-22T10:00:00.000Z',
    data: 'AQID',
    big: '123456789012345678901234567890',
    tags: ['a', 'b'],
    table: [[1, '2026-11-22T10:00:00.000Z']],
    by: { k: '5' },
    pair: [7, null],
    one: { kind: 'a', at: '1970-01-01T00:00:00.000Z' },
    either: ['x', 'y'],
    tree: { name: 'r', kids: [{ name: 's', kids: [] }] },
    any: { free: [1, 'x'] },
  }

  test('travels, and makes a codec without the schema', () => {
    const travelling = makeMethodCodec('d', shapeSchema)
    const shape = travelling.decode(travelling.encode(Wide.methods.all.input.shape))
    expect(shape).toStrictEqual(Wide.methods.all.input.shape)
    const bytes = makeShapeCodec('Wide.all input', shape).encode(valueFromJson(shape, json))
    const received = Wide.methods.all.input.decode(bytes)
    expect(received.table).toEqual(new Map([[1, new Date(json.when)]]))
    expect(valueToJson(received)).toStrictEqual(json)
  })

  test.each<[string, unknown, string]>([
    ['bytes', { ...json, data: '?' }, 'data: must be base64'],
    ['date', { ...json, when: 'soon' }, 'when: must be a date'],
    ['bigint', { ...json, big: 1.5 }, 'big: must be an integer'],
    ['list', { ...json, tags: {} }, 'tags: must be an array'],
    ['object', { ...json, tree: 1 }, 'tree: must be an object'],
    ['kind', { ...json, one: { kind: 'z' } }, 'one.kind: is not known'],
    ['union', { ...json, either: ['z'] }, 'either: fits no option'],
    ['inside', { ...json, tree: { name: 'r', kids: [{ name: 5 }] } }, 'tree.kids[0].name: must be'],
  ])('says where JSON does not fit: %s', (_name, bad, message) => {
    expect(() => valueFromJson(Wide.methods.all.input.shape, bad)).toThrow(message)
  })

  test.each<[string, unknown, string]>([
    ['an unknown kind', { kind: 'array', item: { kind: 'nothing' } }, 'x shape: item.kind'],
    ['no shape', null, 'x shape: '],
    ['a reference to nothing', { kind: 'ref', name: 'nobody' }, 'no recursive part called nobody'],
  ])('from a peer is checked: %s', (_name, shape, message) => {
    expect(() => makeShapeCodec('x', shape as Shape)).toThrow(message)
  })

  test('that only contains itself fits nothing, and ends', () => {
    const inner: Shape = { kind: 'ref', name: 'a' }
    const codec = makeShapeCodec('x', { kind: 'recursive', name: 'a', inner })
    expect(() => codec.encode(1)).toThrow('x: the value nests too deep')
    expect(() => codec.decode(Uint8Array.of(1))).toThrow('x: the value nests too deep')
  })
})
