import type { z } from 'zod'

interface SchemaDef {
  readonly type: string
  readonly shape?: Readonly<Record<string, z.core.$ZodType>>
  readonly valueType?: z.core.$ZodType
  readonly element?: z.core.$ZodType
  readonly innerType?: z.core.$ZodType
  readonly out?: z.core.$ZodType
}

/** Keys that the schema knows for the object at `path`; none when there is no object. */
export function knownKeysAt(schema: z.core.$ZodType, path: readonly PropertyKey[]): string[] {
  let at: z.core.$ZodType | undefined = unwrap(schema)
  for (const step of path) {
    const def: SchemaDef | undefined = at && defOf(at)
    at = def && unwrap(def.shape?.[String(step)] ?? def.valueType ?? def.element)
  }
  const def = at && defOf(at)
  return def?.shape ? Object.keys(def.shape) : []
}

function defOf(schema: z.core.$ZodType): SchemaDef {
  return schema._zod.def as unknown as SchemaDef
}

/** Steps through optional, nullable, default and preprocess wrappers. */
function unwrap(schema: z.core.$ZodType | undefined): z.core.$ZodType | undefined {
  let at = schema
  while (at) {
    const def: SchemaDef = defOf(at)
    const inner: z.core.$ZodType | undefined =
      def.innerType ?? (def.type === 'pipe' ? def.out : undefined)
    if (!inner) return at
    at = inner
  }
  return at
}
