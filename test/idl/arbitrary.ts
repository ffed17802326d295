import fc from 'fast-check'
import { z } from 'zod'

/** A schema together with an arbitrary of values that fit it exactly. */
export interface SchemaCase {
  readonly schema: z.ZodType
  readonly values: fc.Arbitrary<unknown>
}

const text = fc.string({ unit: 'binary', maxLength: 40 })
const finite = fc
  .double({ noNaN: true, noDefaultInfinity: true })
  .map((n) => (Object.is(n, -0) ? 0 : n))
const byteArrays = fc.uint8Array({ maxLength: 50 }).map((array) => new Uint8Array(array))
const dates = fc.date({ noInvalidDate: true })
const memberName = fc.stringMatching(/^[a-z][a-zA-Z0-9]{0,8}$/).filter((name) => name !== 'kind')

const leaves: readonly SchemaCase[] = [
  { schema: z.string(), values: text },
  { schema: z.number(), values: finite },
  { schema: z.int(), values: fc.maxSafeInteger() },
  { schema: z.boolean(), values: fc.boolean() },
  { schema: z.null(), values: fc.constant(null) },
  { schema: z.bigint(), values: fc.bigInt({ min: -(2n ** 90n), max: 2n ** 90n }) },
  { schema: z.date(), values: dates },
  { schema: z.instanceof(Uint8Array), values: byteArrays },
  { schema: z.literal('only'), values: fc.constant('only') },
  { schema: z.literal([1, 'a', true]), values: fc.constantFrom(1, 'a', true) },
  { schema: z.enum(['on', 'off']), values: fc.constantFrom('on', 'off') },
]

/** Schemas of every kind, nested, each with values. */
export const schemaCases: fc.Arbitrary<SchemaCase> = fc.letrec<{ any: SchemaCase }>((tie) => ({
  any: fc.oneof(
    { maxDepth: 3, withCrossShrink: true },
    fc.constantFrom(...leaves),
    tie('any').map(({ schema, values }) => ({
      schema: z.array(schema),
      values: fc.array(values, { maxLength: 5 }),
    })),
    tie('any').map(({ schema, values }) => ({
      schema: z.record(z.string(), schema),
      values: fc.dictionary(
        text.filter((key) => key !== '__proto__'),
        values,
        { maxKeys: 4, noNullPrototype: true },
      ),
    })),
    tie('any').map(({ schema, values }) => ({
      schema: schema.nullable(),
      values: fc.option(values, { nil: null }),
    })),
    fc.tuple(tie('any'), tie('any')).map(([a, b]) => ({
      schema: z.tuple([a.schema, b.schema]),
      values: fc.tuple(a.values, b.values),
    })),
    tie('any').map(({ schema, values }) => ({
      schema: z.map(z.string(), schema),
      values: fc.array(fc.tuple(text, values), { maxLength: 4 }).map((pairs) => new Map(pairs)),
    })),
    fc.uniqueArray(text).map((words) => ({
      schema: z.set(z.string()),
      values: fc.subarray(words).map((some) => new Set(some)),
    })),
    members(tie('any')).map((cases) => objectCase(cases, {})),
    fc.tuple(members(tie('any')), members(tie('any'))).map(([a, b]) => {
      const first = objectCase(a, { kind: 'first' })
      const second = objectCase(b, { kind: 'second' })
      return {
        schema: z.discriminatedUnion('kind', [
          first.schema as z.ZodObject,
          second.schema as z.ZodObject,
        ]),
        values: fc.oneof(first.values, second.values),
      }
    }),
  ),
})).any

interface Member {
  readonly name: string
  readonly optional: boolean
  readonly of: SchemaCase
}

function members(of: fc.Arbitrary<SchemaCase>): fc.Arbitrary<Member[]> {
  return fc.uniqueArray(fc.record({ name: memberName, optional: fc.boolean(), of }), {
    maxLength: 5,
    selector: (member) => member.name,
  })
}

function objectCase(list: readonly Member[], fixed: Record<string, string>): SchemaCase {
  const shape: Record<string, z.ZodType> = {}
  const values: Record<string, fc.Arbitrary<unknown>> = {}
  for (const [name, value] of Object.entries(fixed)) {
    shape[name] = z.literal(value)
    values[name] = fc.constant(value)
  }
  for (const { name, optional, of } of list) {
    shape[name] = optional ? of.schema.optional() : of.schema
    values[name] = of.values
  }
  const requiredKeys = Object.keys(shape).filter(
    (name) => !list.some((member) => member.name === name && member.optional),
  )
  return {
    schema: z.strictObject(shape),
    values: fc.record(values, { requiredKeys, noNullPrototype: true }),
  }
}
