import { z } from 'zod'
import type { Interface } from './interface.ts'
import { SdkError } from './sdk-error.ts'

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
  | { readonly kind: 'bigint' | 'string'; readonly bounds: Bounds }
  | { readonly kind: 'boolean' | 'null' | 'void' | 'date' | 'bytes' | 'plain' }
  | { readonly kind: 'literal'; readonly values: readonly string[] }
  | { readonly kind: 'array' | 'set'; readonly item: TypeDescription; readonly bounds: Bounds }
  | { readonly kind: 'tuple'; readonly items: readonly TypeDescription[] }
  | { readonly kind: 'map'; readonly key: TypeDescription; readonly value: TypeDescription }
  | { readonly kind: 'optional' | 'nullable'; readonly inner: TypeDescription }
  | { readonly kind: 'union'; readonly options: readonly TypeDescription[] }
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
  for (const [name, { serviceId }] of Object.entries(face.methods)) {
    const spec = face.spec[name]
    if (spec === undefined) continue
    methods[name] = {
      serviceId,
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
    case 'tuple':
      return {
        kind: 'tuple',
        items: (def['items'] as unknown[]).map((item) => describe(item, inside)),
      }
    case 'map':
    case 'record': {
      const [key, value] = [describe(def['keyType'], inside), describe(def['valueType'], inside)]
      return { kind: 'map', key, value }
    }
    case 'object':
      return objectOf(def, inside)
    case 'union':
      return {
        kind: 'union',
        options: (def['options'] as unknown[]).map((option) => describe(option, inside)),
      }
    case 'optional':
    case 'default':
    case 'prefault':
      return { kind: 'optional', inner: inner() }
    case 'nullable':
      return { kind: 'nullable', inner: inner() }
    case 'lazy':
      // A lazy schema is only a way to write its inner one.
      return describe((def['getter'] as () => unknown)(), { around: here, depth })
    case 'readonly':
    case 'catch':
    case 'nonoptional':
      return describe(def['innerType'], open)
    case 'custom':
      return { kind: 'bytes' }
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

/** What the checks of a schema say about its size. */
function boundsOf(def: Def): Bounds {
  let min: number | bigint | undefined
  let max: number | bigint | undefined
  for (const rule of rulesOf(def)) {
    const value = rule['value'] ?? rule['minimum'] ?? rule['maximum'] ?? rule['length']
    if (typeof value !== 'number' && typeof value !== 'bigint') continue
    const kind = String(rule['check'])
    const isBoth = kind === 'length_equals' || kind === 'size_equals'
    if (isBoth || /^(greater_than|min_)/.test(kind)) min = value
    if (isBoth || /^(less_than|max_)/.test(kind)) max = value
  }
  const plain = (value: number | bigint | undefined): number | string | undefined =>
    typeof value === 'bigint' ? String(value) : value
  return strip({ min: plain(min), max: plain(max) })
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
    z.strictObject({ kind: z.enum(['boolean', 'null', 'void', 'date', 'bytes', 'plain']) }),
    z.strictObject({ kind: z.literal('literal'), values: z.array(z.string()) }),
    z.strictObject({ kind: z.enum(['array', 'set']), item: typeSchema, bounds }),
    z.strictObject({ kind: z.literal('tuple'), items: z.array(typeSchema) }),
    z.strictObject({ kind: z.literal('map'), key: typeSchema, value: typeSchema }),
    z.strictObject({ kind: z.enum(['optional', 'nullable']), inner: typeSchema }),
    z.strictObject({ kind: z.literal('union'), options: z.array(typeSchema) }),
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
    z.strictObject({ serviceId: z.int(), input: typeSchema, output: typeSchema }),
  ),
})
