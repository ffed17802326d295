import type { z } from 'zod'
import { clusterSchema, COMPONENT_DEFAULTS } from './schema.ts'

/** One key of `cluster.yaml`. */
export interface KeyReference {
  /** `serviceGroups.NAME.redundancy`; `NAME` stands for a name that the author chooses, `[]` for a list's element. */
  readonly path: string
  readonly type: string
  /** As JSON; `required` when it must be given; empty when it may be left out and has no fixed default. */
  readonly default: string
}

/** Every key that a model may have, from the schema itself: what `amf/model/README.md` prints. */
export function schemaReference(): readonly KeyReference[] {
  const keys: KeyReference[] = []
  walk(clusterSchema, '', keys)
  return keys
}

/** {@link schemaReference} as a Markdown table. */
export function schemaReferenceTable(): string {
  const rows = schemaReference().map(
    (key) => `| \`${key.path}\` | ${key.type.replaceAll('|', '\\|')} | ${key.default} |`,
  )
  return ['| Key | Type | Default |', '|---|---|---|', ...rows].join('\n')
}

interface Def {
  readonly type: string
  readonly shape?: Readonly<Record<string, z.core.$ZodType>>
  readonly valueType?: z.core.$ZodType
  readonly element?: z.core.$ZodType
  readonly innerType?: z.core.$ZodType
  readonly out?: z.core.$ZodType
  readonly entries?: Readonly<Record<string, string>>
  readonly options?: readonly z.core.$ZodType[]
  readonly defaultValue?: unknown
}

function defOf(schema: z.core.$ZodType): Def {
  return schema._zod.def as unknown as Def
}

interface Unwrapped {
  readonly schema: z.core.$ZodType
  readonly optional: boolean
  readonly nullable: boolean
  readonly defaultValue: unknown
}

function unwrap(outer: z.core.$ZodType): Unwrapped {
  let schema = outer
  const found = { optional: false, nullable: false, defaultValue: undefined as unknown }
  for (;;) {
    const def = defOf(schema)
    if (def.type === 'optional') found.optional = true
    if (def.type === 'nullable') found.nullable = true
    if (def.type === 'default' || def.type === 'prefault') found.defaultValue = def.defaultValue
    const inner = def.innerType ?? (def.type === 'pipe' ? def.out : undefined)
    if (!inner) return { schema, ...found }
    schema = inner
  }
}

function walk(schema: z.core.$ZodType, path: string, keys: KeyReference[]): void {
  for (const [name, outer] of Object.entries(defOf(schema).shape ?? {})) {
    const inner = unwrap(outer)
    const at = path === '' ? name : `${path}.${name}`
    keys.push({ path: at, type: typeText(inner), default: defaultText(name, at, inner) })
    const def = defOf(inner.schema)
    const element = def.type === 'array' && def.element ? unwrap(def.element).schema : null
    const value = def.type === 'record' && def.valueType ? unwrap(def.valueType).schema : null
    if (def.shape) walk(inner.schema, at, keys)
    else if (element && defOf(element).shape) walk(element, `${at}[]`, keys)
    else if (value && defOf(value).shape) walk(value, `${at}.NAME`, keys)
  }
}

function typeText({ schema, nullable }: Unwrapped): string {
  const def = defOf(schema)
  const text = plainType(def)
  return nullable ? `${text} or null` : text
}

function plainType(def: Def): string {
  switch (def.type) {
    case 'object':
      return 'object'
    case 'record':
      return def.valueType && defOf(unwrap(def.valueType).schema).shape
        ? 'map of NAME to object'
        : 'map of NAME to value'
    case 'array':
      return `list of ${def.element ? typeText(unwrap(def.element)) : 'values'}`
    case 'enum':
      return Object.values(def.entries ?? {}).join(' | ')
    case 'union':
      return (def.options ?? []).map((option) => typeText(unwrap(option))).join(' or ')
    case 'number':
      return 'integer'
    case 'string':
      return 'text'
    default:
      return def.type
  }
}

/** Components and their types share keys: a key left out there has the default that the type did not say. */
function defaultText(name: string, path: string, inner: Unwrapped): string {
  if (inner.defaultValue !== undefined) return `\`${JSON.stringify(inner.defaultValue)}\``
  const isComponent = path.startsWith('componentTypes.') || path.includes('.components.')
  const known = Object.entries(COMPONENT_DEFAULTS).find(([key]) => key === name)
  if (isComponent && known) return `\`${JSON.stringify(known[1])}\``
  return inner.optional ? '' : 'required'
}
