import type { z } from 'zod'
import { SdkError } from './sdk-error.ts'
import { pathText, type LiteralValue, type MemberShape, type Shape } from './shape.ts'

/**
 * Derives the wire form of a zod 4 schema.
 * @param place - how messages call the schema, for example `Sequence.next input`.
 * @throws {SdkError} INVALID_PARAMETER when a part of the schema has no wire form; the message has its path.
 */
export function shapeOf(place: string, schema: z.ZodType): Shape {
  return new ShapeReader(place).read(schema, [])
}

/** What is read of zod's schema internals: the documented `_zod.def`, without its types, since any kind may come. */
interface SchemaDef {
  readonly type: string
  readonly [key: string]: unknown
}

type Path = readonly PropertyKey[]
/** Schemas inside each other at most, those that only wrap another one included: bounds the stack. */
const NESTING_MAX = 512
type Reader = (reader: ShapeReader, def: SchemaDef, path: Path, schema: unknown) => Shape

class ShapeReader {
  readonly place: string
  readonly #open = new Map<unknown, { readonly name: string; used: boolean }>()

  constructor(place: string) {
    this.place = place
  }

  read(schema: unknown, path: Path): Shape {
    const def = defOf(schema)
    if (def === undefined) this.refuse(path, 'it is no zod 4 schema')
    const around = this.#open.get(schema)
    if (around !== undefined) {
      around.used = true
      return { kind: 'ref', name: around.name }
    }
    const reader = READERS[def.type]
    if (reader === undefined) this.refuse(path, REMEDY[def.type] ?? `${def.type} has no wire form`)
    if (this.#open.size >= NESTING_MAX) {
      this.refuse(path, `more than ${NESTING_MAX} schemas are inside each other`)
    }
    const entry = { name: `r${this.#open.size}:${pathText(path)}`, used: false }
    this.#open.set(schema, entry)
    const shape = reader(this, def, path, schema)
    this.#open.delete(schema)
    return entry.used ? { kind: 'recursive', name: entry.name, inner: shape } : shape
  }

  refuse(path: Path, why: string): never {
    const where = path.length === 0 ? this.place : `${this.place}: ${pathText(path)}`
    throw new SdkError('INVALID_PARAMETER', `${where}: ${why}`, {
      context: { place: this.place, path: pathText(path) },
    })
  }
}

const scalar =
  (kind: 'null' | 'void' | 'boolean' | 'number' | 'string' | 'bigint' | 'date' | 'plain'): Reader =>
  () => ({ kind })

const wrapped: Reader = (reader, def, path) => reader.read(def['innerType'], path)

const READERS: Readonly<Record<string, Reader>> = {
  string: scalar('string'),
  template_literal: scalar('string'),
  number: scalar('number'),
  int: scalar('number'),
  nan: scalar('number'),
  bigint: scalar('bigint'),
  boolean: scalar('boolean'),
  date: scalar('date'),
  null: scalar('null'),
  void: scalar('void'),
  undefined: scalar('void'),
  unknown: scalar('plain'),
  any: scalar('plain'),
  default: wrapped,
  prefault: wrapped,
  catch: wrapped,
  readonly: wrapped,
  nonoptional: wrapped,
  optional: (reader, def, path) => {
    const inner = reader.read(def['innerType'], path)
    return inner.kind === 'optional' ? inner : { kind: 'optional', inner }
  },
  nullable: (reader, def, path) => {
    const inner = reader.read(def['innerType'], path)
    return inner.kind === 'nullable' ? inner : { kind: 'nullable', inner }
  },
  lazy: (reader, def, path) => reader.read((def['getter'] as () => unknown)(), path),
  literal: (reader, def, path) => literal(reader, def['values'] as readonly unknown[], path),
  enum: (reader, _def, path, schema) => {
    const values = (schema as { _zod: { values: ReadonlySet<unknown> } })._zod.values
    return literal(reader, [...values], path)
  },
  array: (reader, def, path) => ({
    kind: 'array',
    item: reader.read(def['element'], [...path, '[]']),
  }),
  set: (reader, def, path) => ({
    kind: 'set',
    item: reader.read(def['valueType'], [...path, '[]']),
  }),
  map: (reader, def, path) => ({
    kind: 'map',
    key: reader.read(def['keyType'], [...path, '[key]']),
    value: reader.read(def['valueType'], [...path, '[value]']),
  }),
  record: (reader, def, path) => {
    const keyType = defOf(def['keyType'])?.type
    if (keyType === 'symbol') reader.refuse(path, 'symbols have no wire form')
    return { kind: 'record', value: reader.read(def['valueType'], [...path, '[value]']) }
  },
  tuple: (reader, def, path) => ({
    kind: 'tuple',
    items: (def['items'] as readonly unknown[]).map((item, i) => reader.read(item, [...path, i])),
    rest: def['rest'] == null ? null : reader.read(def['rest'], [...path, '[]']),
  }),
  object: readObject,
  union: (reader, def, path) =>
    typeof def['discriminator'] === 'string'
      ? readChoice(reader, def, path)
      : {
          kind: 'union',
          options: (def['options'] as readonly unknown[]).map((option, i) =>
            reader.read(option, [...path, `(option ${i})`]),
          ),
        },
  custom: (reader, def, path) => {
    if (!acceptsBytesOnly(def['fn'])) {
      reader.refuse(path, 'a custom type has no wire form, except z.instanceof(Uint8Array)')
    }
    return { kind: 'bytes' }
  },
}

const REMEDY: Readonly<Record<string, string>> = {
  transform: 'a transform has no wire form: convert in the function instead',
  pipe: 'a pipe or transform has no wire form: convert in the function instead',
  intersection: 'an intersection has no wire form: use .extend() to make one object',
  file: 'a file has no wire form: send its bytes as z.instanceof(Uint8Array)',
}

function readObject(reader: ShapeReader, def: SchemaDef, path: Path): Shape {
  const catchall = defOf(def['catchall'])?.type
  if (catchall !== undefined && catchall !== 'never') {
    reader.refuse(path, 'an object with unknown keys has no wire form: put them into a z.record')
  }
  const members: MemberShape[] = []
  for (const [name, member] of Object.entries(def['shape'] as Record<string, unknown>)) {
    if (name === '__proto__') reader.refuse(path, 'a member cannot be called __proto__')
    const optional = (member as { _zod?: { optout?: string } })._zod?.optout === 'optional'
    members.push({ name, shape: reader.read(member, [...path, name]), optional })
  }
  return { kind: 'object', members, strict: catchall === 'never' }
}

function readChoice(reader: ShapeReader, def: SchemaDef, path: Path): Shape {
  const key = def['discriminator'] as string
  if (def['unionFallback'] === true) {
    reader.refuse(path, 'unionFallback has no wire form: use z.union')
  }
  const options = (def['options'] as readonly unknown[]).map((option) => {
    const known = (option as { _zod: { propValues?: Record<string, ReadonlySet<unknown>> } })._zod
    const values = [...(known.propValues?.[key] ?? [])]
    const at = [...path, `(${key} ${values.map(String).join('|')})`]
    return { values: literal(reader, values, at).values, shape: reader.read(option, at) }
  })
  return { kind: 'choice', key, options }
}

function literal(
  reader: ShapeReader,
  values: readonly unknown[],
  path: Path,
): Extract<Shape, { kind: 'literal' }> {
  for (const value of values) {
    if (value === undefined) reader.refuse(path, 'undefined is no literal: use .optional()')
    if (typeof value === 'symbol') reader.refuse(path, 'symbols have no wire form')
    if (typeof value === 'bigint' && BigInt.asIntN(64, value) !== value) {
      reader.refuse(path, 'a bigint literal must fit into 64 bits')
    }
  }
  return { kind: 'literal', values: values as readonly LiteralValue[] }
}

function defOf(schema: unknown): SchemaDef | undefined {
  if (typeof schema !== 'object' || schema === null) return undefined
  return (schema as { _zod?: { def?: SchemaDef } })._zod?.def
}

/** zod keeps no mark of the class through `.refine()`: ask the predicate itself. */
function acceptsBytesOnly(predicate: unknown): boolean {
  if (typeof predicate !== 'function') return false
  try {
    return (
      predicate(new Uint8Array(0)) === true &&
      [null, undefined, {}, [], '', 0, true, new Uint16Array(0)].every((it) => !predicate(it))
    )
  } catch {
    return false
  }
}
