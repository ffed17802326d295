import { describe, expect, test } from 'vitest'
import { z } from 'zod'
import { defineInterface, type InterfaceSpec, type MethodSpecs } from '../../idl/index.ts'
import {
  compareInterfaces,
  describeInterface,
  interfaceDescriptionSchema,
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
