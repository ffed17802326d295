import { SdkError } from './sdk-error.ts'
import { pathText, type Shape } from './shape.ts'

/**
 * Reads a value of a shape from JSON, as people type it: bytes are base64 text, dates are ISO text, bigints are decimal
 * text or integers, sets are arrays, maps are arrays of pairs. Members that the shape does not know stay as they are:
 * the codec refuses them.
 * @throws {SdkError} INVALID_PARAMETER with the path of what does not fit.
 */
export function valueFromJson(shape: Shape, json: unknown): unknown {
  return new JsonReader().read(shape, json, [])
}

/** The inverse of {@link valueFromJson}. Numbers that JSON does not have become null. */
export function valueToJson(value: unknown): unknown {
  if (value === undefined) return null
  if (typeof value === 'bigint') return String(value)
  if (typeof value !== 'object' || value === null) return value
  if (value instanceof Uint8Array) return Buffer.from(value).toString('base64')
  if (value instanceof Date) return value.toISOString()
  if (value instanceof Map) return Array.from(value, (pair) => pair.map(valueToJson))
  if (Array.isArray(value) || value instanceof Set) return Array.from(value, valueToJson)
  return Object.fromEntries(
    Object.entries(value)
      .filter(([, member]) => member !== undefined)
      .map(([key, member]) => [key, valueToJson(member)]),
  )
}

type Path = readonly PropertyKey[]

class JsonReader {
  readonly #around = new Map<string, Shape>()

  read(shape: Shape, json: unknown, path: Path): unknown {
    switch (shape.kind) {
      case 'void':
        return json === null ? undefined : json
      case 'bigint':
        return this.#bigint(json, path)
      case 'date':
        return this.#date(json, path)
      case 'bytes':
        return this.#bytes(json, path)
      case 'array':
        return this.#items(shape.item, json, path)
      case 'set':
        return new Set(this.#items(shape.item, json, path))
      case 'map':
        return this.#map(shape.key, shape.value, json, path)
      case 'record':
        return mapMembers(json, path, (key, value) => this.read(shape.value, value, [...path, key]))
      case 'tuple':
        return arrayOf(json, path).map((element, i) => {
          const item = shape.items[i] ?? shape.rest
          return item === null ? element : this.read(item, element, [...path, i])
        })
      case 'object':
        return mapMembers(json, path, (key, value) => {
          const member = shape.members.find((it) => it.name === key)
          return member === undefined ? value : this.read(member.shape, value, [...path, key])
        })
      case 'optional':
        return json === undefined ? undefined : this.read(shape.inner, json, path)
      case 'nullable':
        return json === null ? null : this.read(shape.inner, json, path)
      case 'union':
        return this.#union(shape.options, json, path)
      case 'choice': {
        const tag = isMembers(json) ? json[shape.key] : undefined
        const option = shape.options.find((it) => (it.values as readonly unknown[]).includes(tag))
        if (option === undefined) throw refused([...path, shape.key], 'is not known')
        return this.read(option.shape, json, path)
      }
      case 'recursive':
        this.#around.set(shape.name, shape.inner)
        return this.read(shape.inner, json, path)
      case 'ref':
        return this.read(this.#around.get(shape.name) as Shape, json, path)
      case 'literal':
      case 'plain':
      case 'null':
      case 'boolean':
      case 'number':
      case 'string':
        return checked(shape, json, path)
    }
  }

  #items(item: Shape, json: unknown, path: Path): unknown[] {
    return arrayOf(json, path).map((element, i) => this.read(item, element, [...path, i]))
  }

  #map(key: Shape, value: Shape, json: unknown, path: Path): Map<unknown, unknown> {
    return new Map(
      arrayOf(json, path).map((pair, i): [unknown, unknown] => {
        const [k, v] = arrayOf(pair, [...path, i])
        return [this.read(key, k, [...path, i, 0]), this.read(value, v, [...path, i, 1])]
      }),
    )
  }

  #union(options: readonly Shape[], json: unknown, path: Path): unknown {
    for (const option of options) {
      try {
        return this.read(option, json, path)
      } catch {
        // Another option may fit.
      }
    }
    throw refused(path, 'fits no option of the union')
  }

  #bigint(json: unknown, path: Path): bigint {
    if (typeof json === 'number' && Number.isSafeInteger(json)) return BigInt(json)
    if (typeof json === 'string' && /^-?\d{1,4096}$/.test(json)) return BigInt(json)
    throw refused(path, 'must be an integer as text')
  }

  #date(json: unknown, path: Path): Date {
    const date = typeof json === 'string' ? new Date(json) : undefined
    if (date !== undefined && !Number.isNaN(date.getTime())) return date
    throw refused(path, 'must be a date such as 2026-11-22T10:00:00Z')
  }

  #bytes(json: unknown, path: Path): Uint8Array {
    if (typeof json === 'string' && /^[A-Za-z0-9+/]*={0,2}$/.test(json)) {
      return new Uint8Array(Buffer.from(json, 'base64'))
    }
    throw refused(path, 'must be base64 text')
  }
}

function checked(shape: Shape, json: unknown, path: Path): unknown {
  const fits =
    shape.kind === 'plain' ||
    (shape.kind === 'null' && json === null) ||
    (shape.kind === 'literal' && (shape.values as readonly unknown[]).includes(json)) ||
    shape.kind === typeof json
  if (fits) return json
  const wanted = shape.kind === 'literal' ? `one of ${shape.values.join(', ')}` : shape.kind
  throw refused(path, `must be ${wanted}`)
}

function isMembers(json: unknown): json is Record<string, unknown> {
  return typeof json === 'object' && json !== null && !Array.isArray(json)
}

function mapMembers(
  json: unknown,
  path: Path,
  read: (key: string, value: unknown) => unknown,
): Record<string, unknown> {
  if (!isMembers(json)) throw refused(path, 'must be an object')
  return Object.fromEntries(Object.entries(json).map(([key, value]) => [key, read(key, value)]))
}

function arrayOf(json: unknown, path: Path): readonly unknown[] {
  if (Array.isArray(json)) return json
  throw refused(path, 'must be an array')
}

function refused(path: Path, why: string): SdkError {
  const at = pathText(path)
  return new SdkError('INVALID_PARAMETER', `${at === '' ? 'the value' : at}: ${why}`, {
    context: { path: at },
  })
}
