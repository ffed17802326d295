import { SdkError, type Shape } from '../../idl/index.ts'

/**
 * Reads JSON as a value of a wire form: what JSON cannot say is written as text or lists. Bytes are base64, a bigint
 * is decimal text, a date is ISO text, a set is a list, a map a list of pairs. What does not fit is passed on as it is:
 * the codec refuses it.
 */
export function fromJson(shape: Shape, value: unknown): unknown {
  switch (shape.kind) {
    case 'bytes':
      return typeof value === 'string' ? new Uint8Array(Buffer.from(value, 'base64')) : value
    case 'bigint':
      return typeof value === 'string' || typeof value === 'number' ? toBigInt(value) : value
    case 'date':
      return typeof value === 'string' ? new Date(value) : value
    case 'void':
      return value === null ? undefined : value
    case 'array':
      return Array.isArray(value) ? value.map((item) => fromJson(shape.item, item)) : value
    case 'set':
      return Array.isArray(value) ? new Set(value.map((item) => fromJson(shape.item, item))) : value
    case 'tuple':
      return Array.isArray(value) ? tupleFromJson(shape, value) : value
    case 'map':
      return Array.isArray(value) ? mapFromJson(shape, value) : value
    case 'record':
      return mapMembers(value, () => shape.value)
    case 'object':
      return mapMembers(value, (name) => shape.members.find((one) => one.name === name)?.shape)
    case 'choice':
      return choiceFromJson(shape, value)
    case 'optional':
    case 'nullable':
      return value === null && shape.kind === 'nullable' ? null : fromJson(shape.inner, value)
    default:
      return value
  }
}

/** Writes any decoded value as plain JSON data, the inverse of {@link fromJson}. */
export function toJson(value: unknown): unknown {
  if (value === undefined) return null
  if (typeof value === 'bigint') return value.toString()
  if (value instanceof Uint8Array) return Buffer.from(value).toString('base64')
  if (value instanceof Date) return value.toISOString()
  if (value instanceof Set) return [...value].map(toJson)
  if (value instanceof Map) return [...value].map((pair) => pair.map(toJson))
  if (Array.isArray(value)) return value.map(toJson)
  if (typeof value !== 'object' || value === null) return value
  return Object.fromEntries(
    Object.entries(value)
      .filter(([, member]) => member !== undefined)
      .map(([name, member]) => [name, toJson(member)]),
  )
}

function toBigInt(value: string | number): bigint {
  try {
    return BigInt(value)
  } catch (cause) {
    throw new SdkError('INVALID_PARAMETER', `"${value}" is no whole number`, { cause })
  }
}

function tupleFromJson(shape: Extract<Shape, { kind: 'tuple' }>, value: readonly unknown[]) {
  return value.map((item, index) => {
    const itemShape = shape.items[index] ?? shape.rest
    return itemShape === null ? item : fromJson(itemShape, item)
  })
}

function mapFromJson(shape: Extract<Shape, { kind: 'map' }>, value: readonly unknown[]) {
  const pairs = value.filter((pair): pair is [unknown, unknown] => Array.isArray(pair))
  return new Map(pairs.map(([k, v]) => [fromJson(shape.key, k), fromJson(shape.value, v)]))
}

function choiceFromJson(shape: Extract<Shape, { kind: 'choice' }>, value: unknown): unknown {
  if (typeof value !== 'object' || value === null) return value
  const tag: unknown = (value as Record<string, unknown>)[shape.key]
  const option = shape.options.find((one) => one.values.some((known) => known === tag))
  return option === undefined ? value : fromJson(option.shape, value)
}

function mapMembers(value: unknown, shapeOf: (name: string) => Shape | undefined): unknown {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) return value
  return Object.fromEntries(
    Object.entries(value).map(([name, member]) => {
      const shape = shapeOf(name)
      return [name, shape === undefined ? member : fromJson(shape, member)]
    }),
  )
}
