import { describe, expect, test } from 'vitest'
import { z } from 'zod'
import {
  clBytes,
  ClInt32T,
  ClInt64T,
  ClUint32T,
  defineInterface,
  type InterfaceSpec,
  makeMethodCodec,
  type MethodSpecs,
} from '../../idl/index.ts'
import {
  buildInterfaces,
  compareInterfaces,
  describeInterface,
  interfaceDescriptionSchema,
  readIdl,
} from '../../idl/internal.ts'

type Change = Partial<InterfaceSpec<MethodSpecs>>
const tree: z.ZodType = z.lazy(() => z.strictObject({ value: z.int(), left: z.nullable(tree) }))
const next = {
  serviceId: 0,
  input: z.strictObject({ count: z.int().min(1).max(10), tag: z.string().max(5).optional() }),
  output: z.object({ first: z.int(), state: z.enum(['on', 'off']), tree }),
}

function released(change: Change = {}, method: Partial<typeof next> | null = {}) {
  const methods: MethodSpecs = method === null ? {} : { next: { ...next, ...method } }
  const spec = { name: 'S', clientId: 20, version: 'B.1.1', methods, ...change }
  return describeInterface(defineInterface(spec as InterfaceSpec<MethodSpecs>))
}

const input = (members: Record<string, z.ZodType>) => ({ input: z.strictObject(members) }) as never
const output = (members: Record<string, z.ZodType>) => ({ output: z.object(members) }) as never
const count = z.int().min(1).max(10)
const tag = z.string().max(5).optional()
const first = z.int()
const state = z.enum(['on', 'off'])

describe('two releases of an interface', () => {
  test('nothing differs', () => expect(compareInterfaces([released()], [released()])).toEqual([]))

  test.each<[string, Parameters<typeof released>, boolean, RegExp]>([
    ['a higher major', [{ version: 'B.2.1' }], false, /B\.1\.1 and is B\.2\.1/],
    ['another release', [{ version: 'C.1.1' }], true, /releases do not serve/],
    ['another client id', [{ clientId: 21 }], true, /client id was 20/],
    ['a method less', [{}, null], true, /S\.next: the method is gone/],
    ['another service id', [{}, { serviceId: 3 }], true, /service id was 0/],
    ['a wider input', [{}, input({ count: z.int().min(0), tag })], false, /range was 1 to 10/],
    ['a narrower input', [{}, input({ count: z.int().min(2).max(10), tag })], true, /input\.count/],
    ['a shorter text', [{}, input({ count, tag: z.string().max(4).optional() })], true, /tag/],
    ['an input that must be there', [{}, input({ count, tag: z.string().max(5) })], true, /tag/],
    ['another type', [{}, input({ count: z.string(), tag })], true, /was number and is string/],
    ['members in another order', [{}, input({ tag, count })], true, /was member 1 and is member 2/],
    ['a member less', [{}, input({ count })], true, /tag: the member is gone/],
    ['a new optional member', [{}, input({ count, tag, more: z.int().optional() })], false, /more/],
    ['a new mandatory member', [{}, input({ count, tag, more: z.int() })], true, /must be there/],
    [
      'one value more to get',
      [{}, output({ first, state: z.enum(['on', 'off', 'x']), tree })],
      true,
      /"x" is a value/,
    ],
    ['one value less to get', [{}, output({ first, state: z.enum(['on']), tree })], false, /"off"/],
    ['fractions to get', [{}, output({ first: z.number(), state, tree })], true, /fractions/],
    ['null to get', [{}, output({ first: first.nullable(), state, tree })], true, /null now/],
    ['a new member to get', [{}, output({ first, state, tree, more: z.int() })], false, /more/],
  ])('%s', (_name, change, breaking, text) => {
    const differences = compareInterfaces([released()], [released(...change)])
    expect(differences.map((difference) => difference.breaking)).toContain(breaking)
    if (!breaking) expect(differences.some((difference) => difference.breaking)).toBe(false)
    expect(differences.map(({ path, text: said }) => `${path}: ${said}`).join('\n')).toMatch(text)
  })

  const text = z.string()
  const on = z.strictObject({ kind: z.literal('on'), at: z.int() })
  const off = z.strictObject({ kind: z.literal('off') })
  const both = z.discriminatedUnion('kind', [on, off])
  /** Whether an input, and an output, that changes like this breaks callers; undefined: no difference is told. */
  test.each<[string, z.ZodType, z.ZodType, boolean | undefined, boolean | undefined, RegExp?]>([
    ['nothing', text, z.string(), undefined, undefined],
    [
      'bytes of another length',
      clBytes({ length: 4 }),
      clBytes({ length: 5 }),
      true,
      true,
      /4 to 4/,
    ],
    [
      'more bytes',
      clBytes({ max: 4 }),
      clBytes({ max: 5 }),
      false,
      true,
      /any to 4 and is any to 5/,
    ],
    ['fewer elements', z.array(text).max(5), z.array(text).max(4), true, false],
    ['an array of another length', z.array(text).length(2), z.array(text).length(3), true, true],
    ['an integer of 32 bits to any', z.int32(), z.int(), false, true, /-2147483648 to/],
    ['unsigned to signed', ClUint32T, ClInt32T, true, true],
    ['64 bits to 63', z.uint64(), ClInt64T, true, true],
    ['more than 0 to any', z.int().positive(), z.int(), false, true, /was 1 to/],
    ['the strictest rule', z.int().min(1).min(5), z.int().min(5).min(1), undefined, undefined],
    ['may be missing', text, text.optional(), false, true],
    ['may be null', text, text.nullable(), false, true],
    [
      'null too, where it may be missing',
      text.optional(),
      text.nullish(),
      true,
      true,
      /bytes differ/,
    ],
    [
      'missing too, where it may be null',
      text.nullable(),
      text.nullish(),
      true,
      true,
      /bytes differ/,
    ],
    ['null becomes missing', text.nullable(), text.optional(), true, true],
    [
      'an option more, told by its type',
      z.union([text, z.int()]),
      z.union([text, z.int(), z.null()]),
      false,
      true,
    ],
    [
      'an option that looks like another',
      z.union([text, z.int()]),
      z.union([text, z.int(), z.iso.date()]),
      true,
      true,
      /bytes differ/,
    ],
    ['a union of another kind', z.union([on, off]), both, true, true, /told apart otherwise/],
    [
      'options in another order',
      both,
      z.discriminatedUnion('kind', [off, on]),
      undefined,
      undefined,
    ],
    [
      'an option more, told by a member',
      z.discriminatedUnion('kind', [on]),
      both,
      false,
      true,
      /kind "off" is an option now/,
    ],
    [
      'an option less',
      both,
      z.discriminatedUnion('kind', [on]),
      true,
      false,
      /kind "off" is no option any more/,
    ],
    [
      'inside an option',
      both,
      z.discriminatedUnion('kind', [z.strictObject({ kind: z.literal('on'), at: text }), off]),
      true,
      true,
      /v\("on"\)\.at/,
    ],
    ['items after a tuple', z.tuple([text]), z.tuple([text], z.int()), false, true],
    ['other items after a tuple', z.tuple([text], z.int()), z.tuple([text], text), true, true],
    [
      'a member more, unknown ones refused',
      z.strictObject({}),
      z.object({ a: text.optional() }),
      false,
      true,
    ],
    ['a member more, unknown ones ignored', z.object({}), z.strictObject({ a: text }), true, false],
    ['another key of a map', z.map(z.int(), text), z.map(text, text), true, true, /\[key\]/],
    ['a set for an array', z.array(text), z.set(text), true, true],
    [
      'an enumeration gets a number',
      z.enum({ A: 1 }),
      z.enum({ A: 1, B: -2 }),
      false,
      true,
      /-2 is a value now/,
    ],
  ])('%s', (_name, was, is, breaksInput, breaksOutput, why = /./) => {
    const breaks = (side: 'input' | 'output'): boolean | undefined => {
      const other = side === 'input' ? 'output' : 'input'
      const face = (v: z.ZodType) => {
        const method = { [side]: z.strictObject({ v }), [other]: z.void() } as never
        return JSON.parse(JSON.stringify(released({}, method))) as ReturnType<typeof released>
      }
      const found = compareInterfaces([face(was)], [face(is)])
      if (found.length === 0) return undefined
      expect(found.map(({ path, text: said }) => `${path}: ${said}`).join('\n')).toMatch(why)
      return found.some(({ breaking }) => breaking)
    }
    expect([breaks('input'), breaks('output')]).toEqual([breaksInput, breaksOutput])
  })

  test('bytes that differ are those that the other release refuses', () => {
    for (const [was, is] of [
      [text.optional(), text.nullish()],
      [z.union([text, z.int()]), z.union([text, z.int(), z.iso.date()])],
    ] as const) {
      const [old, now] = [makeMethodCodec('old', was), makeMethodCodec('new', is)]
      expect(() => now.decode(old.encode('x'))).toThrow()
      expect(() => old.decode(now.encode('x'))).toThrow()
    }
  })

  test('an answer becomes a stream, a method refuses older callers', () => {
    const changed = released({ version: 'B.3.1' }, { stream: true } as never)
    const differences = compareInterfaces([released()], [changed])
    expect(differences.map(({ text: said }) => said)).toContain('it answers with a stream now')
    const later = released({ version: 'B.3.1' }, { since: 'B.2.1' } as never)
    expect(compareInterfaces([released()], [later]).filter(({ breaking }) => breaking)).toEqual([
      {
        breaking: true,
        path: 'S.next',
        text: 'callers of B.1.1 are refused: it has its present form since B.2.1',
      },
    ])
  })

  test('of versions side by side the one counts that serves the caller', () => {
    const file = (...operations: [version: string, type: string][]) => {
      const group = operations.map(
        ([version, type]) =>
          `<Operation name="o" version="${version}"><Argument name="a" type="${type}" ParameterType="CL_IN"/></Operation>`,
      )
      const xml = `<IDLSpecs><Port name="p" ID="21"><Group name="g">${group.join('')}</Group></Port></IDLSpecs>`
      const read = readIdl([{ file: 'p.xml', text: xml }])
      if ('problems' in read) throw new Error(JSON.stringify(read.problems))
      return buildInterfaces(read.idl).map(describeInterface)
    }
    const breaking = (...[was, is]: ReturnType<typeof file>[]) =>
      compareInterfaces(was!, is!).flatMap((it) => (it.breaking ? [`${it.path}: ${it.text}`] : []))
    const four: [string, string] = ['4.0.0', 'ClUint32T']
    const five: [string, string] = ['5.1.0', 'ClUint64T']
    expect(breaking(file(four), file(four, five))).toEqual([])
    expect(breaking(file(four, five), file(four, five, ['6.0.0', 'ClStringT']))).toEqual([])
    expect(breaking(file(four), file(five))).toEqual([
      'p.o: callers of B.4.0 are refused: it has its present form since B.5.1',
    ])
    const changed = file(['4.0.0', 'ClUint16T'], five)
    expect(breaking(file(four, five), changed)).toEqual([
      'p_4_0_0.o input.a: the range was 0 to 4294967295 and is 0 to 65535',
    ])
  })

  test('a description survives JSON', () => {
    const again: unknown = JSON.parse(JSON.stringify(released()))
    expect(interfaceDescriptionSchema.parse(again)).toEqual(released())
  })

  test('an interface less, one more', () => {
    const other = { ...released(), name: 'T' }
    expect(compareInterfaces([released()], [other]).map(({ breaking }) => breaking)).toEqual([
      true,
      false,
    ])
  })
})
