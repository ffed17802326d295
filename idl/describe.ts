import { z } from 'zod'
import type { Interface } from './interface.ts'
import { SdkError } from './sdk-error.ts'
import { isTagged, isWrapped } from './wire-form.ts'

/**
 * An interface as plain data that survives JSON: what a compatibility check compares, and what a project keeps of its
 * last release.
 */
export interface InterfaceDescription {
  readonly name: string
  readonly clientId: number
  readonly version: string
  readonly methods: Readonly<Record<string, MethodDescription>>
}

export interface MethodDescription {
  readonly serviceId: number
  /** The version in which it got its present form, where the author says so. */
  readonly since?: string | undefined
  /** It answers with a stream. */
  readonly stream?: boolean | undefined
  readonly input: TypeDescription
  readonly output: TypeDescription
}

/** Bounds of a number, or of a length. Those of bigint are their decimal text. */
export interface Bounds {
  readonly min?: number | string | undefined
  readonly max?: number | string | undefined
}

export type TypeDescription =
  | { readonly kind: 'number'; readonly integer: boolean; readonly bounds: Bounds }
  | { readonly kind: 'bigint' | 'string' | 'bytes'; readonly bounds: Bounds }
  | { readonly kind: 'boolean' | 'null' | 'void' | 'date' | 'plain' }
  | { readonly kind: 'literal'; readonly values: readonly string[] }
  | { readonly kind: 'array' | 'set'; readonly item: TypeDescription; readonly bounds: Bounds }
  | {
      readonly kind: 'tuple'
      readonly items: readonly TypeDescription[]
      readonly rest?: TypeDescription | undefined
    }
  | { readonly kind: 'map'; readonly key: TypeDescription; readonly value: TypeDescription }
  /** `wrapped`: on the wire, because the inner value may be nil itself. */
  | {
      readonly kind: 'optional' | 'nullable'
      readonly inner: TypeDescription
      readonly wrapped?: boolean | undefined
    }
  /** `key`: the member that tells the option. `tagged`: the option's number goes on the wire. */
  | {
      readonly kind: 'union'
      readonly options: readonly TypeDescription[]
      readonly key?: string | undefined
      readonly tagged?: boolean | undefined
    }
  | { readonly kind: 'object'; readonly strict: boolean; readonly members: readonly Member[] }
  /** The type around it at that depth, counted from the outside: types may contain themselves. */
  | { readonly kind: 'ref'; readonly depth: number }

export interface Member {
  readonly name: string
  readonly type: TypeDescription
}

/** Describes an interface. */
export function describeInterface(face: Interface): InterfaceDescription {
  const methods: Record<string, MethodDescription> = {}
  for (const [name, { serviceId, since, stream }] of Object.entries(face.methods)) {
    const spec = face.spec[name]
    if (spec === undefined) continue
    methods[name] = {
      serviceId,
      ...(since === null ? {} : { since }),
      ...(stream ? { stream } : {}),
      input: describe(spec.input, OUTSIDE),
      output: describe(spec.output, OUTSIDE),
    }
  }
  const { name, clientId, version } = face
  return { name, clientId, version, methods }
}

type Def = Readonly<Record<string, unknown>> & { readonly type: string }

/** The schemas around one, each with the depth of the type that it is written for. */
interface Open {
  readonly around: ReadonlyMap<unknown, number>
  readonly depth: number
}
const OUTSIDE: Open = { around: new Map(), depth: 0 }

function defOf(schema: unknown): Def {
  const def = (schema as { _zod?: { def?: Def } } | null)?._zod?.def
  if (def !== undefined) return def
  throw new SdkError('INVALID_PARAMETER', 'a part of the interface is no zod schema')
}

function describe(schema: unknown, open: Open): TypeDescription {
  const { depth } = open
  const around = open.around.get(schema)
  if (around !== undefined) return { kind: 'ref', depth: around }
  const def = defOf(schema)
  const here = new Map(open.around).set(schema, depth)
  const inside: Open = { around: here, depth: depth + 1 }
  const inner = (): TypeDescription => describe(def['innerType'], inside)
  switch (def.type) {
    case 'number':
    case 'int':
      return { kind: 'number', ...numberOf(def) }
    case 'bigint':
    case 'string':
      return { kind: def.type, bounds: boundsOf(def) }
    case 'boolean':
    case 'null':
    case 'date':
      return { kind: def.type }
    case 'void':
    case 'undefined':
      return { kind: 'void' }
    case 'literal':
      return { kind: 'literal', values: (def['values'] as unknown[]).map(text) }
    case 'enum': {
      const values = (schema as { _zod: { values: ReadonlySet<unknown> } })._zod.values
      return { kind: 'literal', values: [...values].map(text) }
    }
    case 'array':
    case 'set': {
      const item = def.type === 'array' ? def['element'] : def['valueType']
      return { kind: def.type, item: describe(item, inside), bounds: boundsOf(def) }
    }
    case 'tuple': {
      const items = (def['items'] as unknown[]).map((item) => describe(item, inside))
      const rest = def['rest'] == null ? {} : { rest: describe(def['rest'], inside) }
      return { kind: 'tuple', items, ...rest }
    }
    case 'map':
    case 'record': {
      const [key, value] = [describe(def['keyType'], inside), describe(def['valueType'], inside)]
      return { kind: 'map', key, value }
    }
    case 'object':
      return objectOf(def, inside)
    case 'union': {
      const options = (def['options'] as unknown[]).map((option) => describe(option, inside))
      const key = def['discriminator']
      if (typeof key === 'string') return { kind: 'union', options, key }
      return { kind: 'union', options, ...(isTagged(schema) ? { tagged: true } : {}) }
    }
    case 'default':
    case 'prefault':
      return { kind: 'optional', inner: inner() }
    case 'optional':
    case 'nullable':
      return { kind: def.type, inner: inner(), ...(isWrapped(schema) ? { wrapped: true } : {}) }
    case 'lazy':
      // A lazy schema is only a way to write its inner one.
      return describe((def['getter'] as () => unknown)(), { around: here, depth })
    case 'readonly':
    case 'catch':
    case 'nonoptional':
      return describe(def['innerType'], open)
    case 'custom':
      return { kind: 'bytes', bounds: boundsOf(def) }
    default:
      return { kind: 'plain' }
  }
}

function objectOf(def: Def, open: Open): TypeDescription {
  const shape = def['shape'] as Record<string, unknown>
  const members = Object.entries(shape).map(([name, schema]) => ({
    name,
    type: describe(schema, open),
  }))
  const catchall = def['catchall']
  const strict = catchall !== undefined && defOf(catchall).type === 'never'
  return { kind: 'object', strict, members }
}

function numberOf(def: Def): { integer: boolean; bounds: Bounds } {
  const formats = [def['format'], ...rulesOf(def).map(({ format }) => format)]
  const integer = formats.some((format) => typeof format === 'string' && format.includes('int'))
  return { integer, bounds: boundsOf(def) }
}

type Rule = Readonly<Record<string, unknown>>

function rulesOf(def: Def): Rule[] {
  const checks = (def['checks'] as readonly { _zod: { def: Rule } }[] | undefined) ?? []
  return checks.map((check) => check._zod.def)
}

/** Ranges that formats of numbers stand for. */
const FORMATS: Readonly<Record<string, readonly [number | bigint, number | bigint]>> = {
  int32: [-(2 ** 31), 2 ** 31 - 1],
  uint32: [0, 2 ** 32 - 1],
  int64: [-(2n ** 63n), 2n ** 63n - 1n],
  uint64: [0n, 2n ** 64n - 1n],
}

/** What the checks of a schema say about its size: the strictest of them. */
function boundsOf(def: Def): Bounds {
  const mins: (number | bigint)[] = []
  const maxs: (number | bigint)[] = []
  for (const rule of [def, ...rulesOf(def)]) {
    const range = FORMATS[String(rule['format'])]
    if (range !== undefined) {
      mins.push(range[0])
      maxs.push(range[1])
    }
    const value = rule['value'] ?? rule['minimum'] ?? rule['maximum'] ?? rule['length']
    if (typeof value !== 'number' && typeof value !== 'bigint') continue
    const kind = String(rule['check'])
    const isBoth = kind === 'length_equals' || kind === 'size_equals'
    if (isBoth || /^(greater_than|min_)/.test(kind)) mins.push(included(rule, value, 1))
    if (isBoth || /^(less_than|max_)/.test(kind)) maxs.push(included(rule, value, -1))
  }
  const plain = (value: number | bigint | undefined): number | string | undefined =>
    typeof value === 'bigint' ? String(value) : value
  const highest = mins.reduce<number | bigint | undefined>(
    (max, value) => (max === undefined || value > max ? value : max),
    undefined,
  )
  const lowest = maxs.reduce<number | bigint | undefined>(
    (min, value) => (min === undefined || value < min ? value : min),
    undefined,
  )
  return strip({ min: plain(highest), max: plain(lowest) })
}

/** The last whole number inside a bound that is outside itself. */
function included(rule: Rule, value: number | bigint, step: 1 | -1): number | bigint {
  if (rule['inclusive'] !== false) return value
  return typeof value === 'bigint' ? value + BigInt(step) : value + step
}

function strip({ min, max }: Bounds): Bounds {
  return { ...(min === undefined ? {} : { min }), ...(max === undefined ? {} : { max }) }
}

/** A value of an enumeration; texts and numbers stay apart. */
function text(value: unknown): string {
  return typeof value === 'bigint' ? `${value}n` : JSON.stringify(value)
}

const bounds = z.strictObject({
  min: z.union([z.number(), z.string()]).optional(),
  max: z.union([z.number(), z.string()]).optional(),
})

const typeSchema: z.ZodType<TypeDescription> = z.lazy(() =>
  z.discriminatedUnion('kind', [
    z.strictObject({ kind: z.literal('number'), integer: z.boolean(), bounds }),
    z.strictObject({ kind: z.enum(['bigint', 'string']), bounds }),
    // Descriptions of earlier releases of this SDK have no bounds here.
    z.strictObject({ kind: z.literal('bytes'), bounds: bounds.default({}) }),
    z.strictObject({ kind: z.enum(['boolean', 'null', 'void', 'date', 'plain']) }),
    z.strictObject({ kind: z.literal('literal'), values: z.array(z.string()) }),
    z.strictObject({ kind: z.enum(['array', 'set']), item: typeSchema, bounds }),
    z.strictObject({
      kind: z.literal('tuple'),
      items: z.array(typeSchema),
      rest: typeSchema.optional(),
    }),
    z.strictObject({ kind: z.literal('map'), key: typeSchema, value: typeSchema }),
    z.strictObject({
      kind: z.enum(['optional', 'nullable']),
      inner: typeSchema,
      wrapped: z.boolean().optional(),
    }),
    z.strictObject({
      kind: z.literal('union'),
      options: z.array(typeSchema),
      key: z.string().optional(),
      tagged: z.boolean().optional(),
    }),
    z.strictObject({
      kind: z.literal('object'),
      strict: z.boolean(),
      members: z.array(z.strictObject({ name: z.string(), type: typeSchema })),
    }),
    z.strictObject({ kind: z.literal('ref'), depth: z.int() }),
  ]),
)

/** Checks a description that comes from a file. */
export const interfaceDescriptionSchema: z.ZodType<InterfaceDescription> = z.strictObject({
  name: z.string(),
  clientId: z.int(),
  version: z.string(),
  methods: z.record(
    z.string(),
    z.strictObject({
      serviceId: z.int(),
      since: z.string().optional(),
      stream: z.boolean().optional(),
      input: typeSchema,
      output: typeSchema,
    }),
  ),
})
