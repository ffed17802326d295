import { fitsInt64, plainFromWire, plainToWire, wellFormed } from './plain.ts'
import { SdkError } from './sdk-error.ts'
import { pathText, type Shape } from './shape.ts'

/** Converts between values and what msgpack writes for them, as {@link Shape} lays down. */
export interface Wire {
  /** @throws {SdkError} INVALID_PARAMETER when no wire form fits; values that fit the schema always have one. */
  toWire(value: unknown): unknown
  /** Checks structure only; what is inside is left to the schema. @throws {WireMismatch} */
  fromWire(wire: unknown): unknown
  /** True when `value` has this structure: chooses the option of a union. */
  matches(value: unknown): boolean
  /** Msgpack types that may come out of `toWire`: a set of {@link TYPE} bits. */
  readonly types: number
}

/** The bytes have another structure than the shape. The codec turns it into an error for the caller. */
export class WireMismatch extends Error {
  readonly path: PropertyKey[] = []
}

const TYPE = { nil: 1, boolean: 2, number: 4, text: 8, bytes: 16, array: 32, bigint: 64, map: 128 }
const ALL_TYPES = 255
/** Digits of a bigint at most: reading decimal text takes time that grows with its square. */
const BIGINT_DIGITS_MAX = 4_096

/** Compiles a shape. */
export function wireOf(shape: Shape): Wire {
  return new Compiler().compile(shape)
}

class Compiler {
  readonly #around = new Map<string, { wire: Wire | undefined }>()

  compile(shape: Shape): Wire {
    switch (shape.kind) {
      case 'null':
        return same(TYPE.nil, (value) => value === null)
      case 'void':
        return {
          toWire: () => null,
          fromWire: (wire) => (wire === null ? undefined : wire),
          matches: (value) => value === undefined,
          types: TYPE.nil,
        }
      case 'boolean':
        return same(TYPE.boolean, (value) => typeof value === 'boolean')
      case 'number':
        return same(TYPE.number, (value) => typeof value === 'number')
      case 'string':
        return {
          toWire: (value) => wellFormed(value as string),
          fromWire: itself,
          matches: (value) => typeof value === 'string',
          types: TYPE.text,
        }
      case 'bigint':
        return BIGINT
      case 'date':
        return DATE
      case 'bytes':
        return BYTES
      case 'plain':
        return PLAIN
      case 'literal':
        return same(
          shape.values.reduce<number>((types, value) => types | typeOf(value), 0),
          (value) => (shape.values as readonly unknown[]).includes(value),
        )
      case 'array':
        return arrayWire(this.compile(shape.item))
      case 'set':
        return setWire(this.compile(shape.item))
      case 'map':
        return mapWire(this.compile(shape.key), this.compile(shape.value))
      case 'record':
        return recordWire(this.compile(shape.value))
      case 'tuple':
        return tupleWire(
          shape.items.map((item) => this.compile(item)),
          shape.rest === null ? null : this.compile(shape.rest),
        )
      case 'object':
        return this.#object(shape, undefined)
      case 'optional':
        // These two have a form for undefined already.
        return shape.inner.kind === 'plain' || shape.inner.kind === 'void'
          ? this.compile(shape.inner)
          : missingWire(this.compile(shape.inner), undefined)
      case 'nullable':
        return missingWire(this.compile(shape.inner), null)
      case 'union':
        return unionWire(shape.options.map((option) => this.compile(option)))
      case 'choice':
        return this.#choice(shape)
      case 'recursive':
        return this.#recursive(shape.name, shape.inner)
      case 'ref':
        return this.#ref(shape.name)
    }
  }

  #object(shape: ObjectShape, key: string | undefined): Wire {
    const members = shape.members.filter((member) => member.name !== key)
    const wires = members.map((member) => this.compile(member.shape))
    return objectWire({
      names: members.map((member) => member.name),
      wires,
      optional: members.map((member) => member.optional),
      strict: shape.strict,
      key,
    })
  }

  #choice(shape: Extract<Shape, { kind: 'choice' }>): Wire {
    const byValue = new Map<unknown, Wire>()
    for (const option of shape.options) {
      const wire =
        option.shape.kind === 'object'
          ? this.#object(option.shape, shape.key)
          : pairWire(shape.key, this.compile(option.shape))
      for (const value of option.values) byValue.set(value, wire)
    }
    return choiceWire(shape.key, byValue)
  }

  #recursive(name: string, inner: Shape): Wire {
    const entry: { wire: Wire | undefined } = { wire: undefined }
    this.#around.set(name, entry)
    const wire = this.compile(inner)
    entry.wire = wire
    return wire
  }

  #ref(name: string): Wire {
    const entry = this.#around.get(name)
    if (entry === undefined) {
      throw new SdkError('INVALID_PARAMETER', `the shape has no recursive part called ${name}`)
    }
    const wire = (): Wire => entry.wire as Wire
    return {
      toWire: (value) => wire().toWire(value),
      fromWire: (w) => wire().fromWire(w),
      matches: (value) => wire().matches(value),
      // What it is made of is not known yet: count on everything.
      types: ALL_TYPES,
    }
  }
}

type ObjectShape = Extract<Shape, { kind: 'object' }>

function same(types: number, matches: (value: unknown) => boolean): Wire {
  return { toWire: itself, fromWire: itself, matches, types }
}

function itself(value: unknown): unknown {
  return value
}

const BIGINT: Wire = {
  toWire(value) {
    if (fitsInt64(value as bigint)) return value
    const text = String(value)
    if (text.length > BIGINT_DIGITS_MAX) {
      throw new SdkError('TOO_BIG', `a bigint has more than ${BIGINT_DIGITS_MAX} digits`)
    }
    return text
  },
  fromWire(wire) {
    if (typeof wire !== 'string') return wire
    if (wire.length > BIGINT_DIGITS_MAX || !/^-?[1-9][0-9]*$/.test(wire)) {
      throw mismatch('a bigint', wire)
    }
    return BigInt(wire)
  },
  matches: (value) => typeof value === 'bigint',
  types: TYPE.bigint | TYPE.text,
}

const DATE: Wire = {
  toWire: (value) => (value as Date).getTime(),
  fromWire: (wire) => (typeof wire === 'number' ? new Date(wire) : wire),
  matches: (value) => value instanceof Date,
  types: TYPE.number,
}

const BYTES: Wire = {
  toWire: (value) => value,
  fromWire: (wire) => (wire instanceof Uint8Array ? new Uint8Array(wire) : wire),
  matches: (value) => value instanceof Uint8Array,
  types: TYPE.bytes,
}

const PLAIN: Wire = {
  toWire: (value) => (value === undefined ? null : [plainToWire(value)]),
  fromWire(wire) {
    if (wire === null) return undefined
    if (!Array.isArray(wire) || wire.length !== 1) throw mismatch('a wrapped value', wire)
    return plainFromWire(wire[0])
  },
  matches: () => true,
  types: TYPE.nil | TYPE.array,
}

/** `optional` and `nullable`: nil for the missing value; wrapped where the inner value may be nil too. */
function missingWire(inner: Wire, missing: undefined | null): Wire {
  const matches = (value: unknown): boolean => value === missing || inner.matches(value)
  if ((inner.types & TYPE.nil) === 0) {
    return {
      toWire: (value) => (value === missing ? null : inner.toWire(value)),
      fromWire: (wire) => (wire === null ? missing : inner.fromWire(wire)),
      matches,
      types: inner.types | TYPE.nil,
    }
  }
  return {
    toWire: (value) => (value === missing ? null : [inner.toWire(value)]),
    fromWire(wire) {
      if (wire === null) return missing
      if (!Array.isArray(wire) || wire.length !== 1) throw mismatch('a wrapped value', wire)
      return inner.fromWire(wire[0])
    },
    matches,
    types: TYPE.array | TYPE.nil,
  }
}

function arrayWire(item: Wire): Wire {
  return {
    toWire: (value) =>
      item.toWire === itself ? value : (value as unknown[]).map((element) => item.toWire(element)),
    fromWire: (wire) => elements(item, wire, 'an array'),
    matches: (value) => Array.isArray(value) && value.every((element) => item.matches(element)),
    types: TYPE.array,
  }
}

function setWire(item: Wire): Wire {
  return {
    toWire: (value) => Array.from(value as Set<unknown>, (element) => item.toWire(element)),
    fromWire: (wire) => new Set(elements(item, wire, 'a set')),
    matches: (value) =>
      value instanceof Set && [...value].every((element) => item.matches(element)),
    types: TYPE.array,
  }
}

function mapWire(key: Wire, value: Wire): Wire {
  return {
    toWire(map) {
      const wire: unknown[] = []
      for (const [k, v] of map as Map<unknown, unknown>) wire.push(key.toWire(k), value.toWire(v))
      return wire
    },
    fromWire(wire) {
      const pairs = pairsOf(wire, 'a map')
      const map = new Map<unknown, unknown>()
      for (let i = 0; i < pairs.length; i += 2) {
        map.set(at(i, key, pairs[i]), at(i + 1, value, pairs[i + 1]))
      }
      return map
    },
    matches: (map) =>
      map instanceof Map && [...map].every(([k, v]) => key.matches(k) && value.matches(v)),
    types: TYPE.array,
  }
}

function recordWire(value: Wire): Wire {
  return {
    toWire(record) {
      const wire: unknown[] = []
      for (const [k, v] of Object.entries(record as Record<string, unknown>)) {
        wire.push(wellFormed(k), value.toWire(v))
      }
      return wire
    },
    fromWire(wire) {
      const pairs = pairsOf(wire, 'a record')
      const record: Record<string, unknown> = {}
      for (let i = 0; i < pairs.length; i += 2) {
        const key = pairs[i]
        if (typeof key !== 'string' || key === '__proto__') throw mismatch('a key', key)
        record[key] = at(key, value, pairs[i + 1])
      }
      return record
    },
    matches: (record) => isRecord(record) && Object.values(record).every((v) => value.matches(v)),
    types: TYPE.array,
  }
}

function tupleWire(items: readonly Wire[], rest: Wire | null): Wire {
  const wireAt = (i: number): Wire | null => items[i] ?? rest
  return {
    toWire: (value) => (value as unknown[]).map((element, i) => wireAt(i)?.toWire(element)),
    fromWire(wire) {
      if (!Array.isArray(wire)) throw mismatch('a tuple', wire)
      return wire.map((element, i) => {
        const item = wireAt(i)
        if (item === null) throw mismatch(`at most ${items.length} elements`, wire)
        return at(i, item, element)
      })
    },
    matches: (value) =>
      Array.isArray(value) &&
      (rest !== null || value.length <= items.length) &&
      value.every((element, i) => wireAt(i)?.matches(element)) &&
      items.slice(value.length).every((item) => item.matches(undefined)),
    types: TYPE.array,
  }
}

interface ObjectParts {
  readonly names: readonly string[]
  readonly wires: readonly Wire[]
  readonly optional: readonly boolean[]
  readonly strict: boolean
  /** The discriminator, when it is an option of a choice: written first. */
  readonly key: string | undefined
}

function objectWire({ names, wires, optional, strict, key }: ObjectParts): Wire {
  const first = key === undefined ? 0 : 1
  const length = first + names.length
  // Most members are their own wire form: no call for those.
  const writers = wires.map(({ toWire }) => (toWire === itself ? undefined : toWire))
  const readers = wires.map(({ fromWire }) => (fromWire === itself ? undefined : fromWire))
  // Only optional members at the end may be cut.
  let fixed = names.length
  while (fixed > 0 && optional[fixed - 1] === true) fixed -= 1
  return {
    toWire(value) {
      const record = value as Record<string, unknown>
      const wire: unknown[] = key === undefined ? [] : [record[key]]
      let count = names.length
      while (count > fixed && record[names[count - 1] as string] === undefined) count -= 1
      for (let i = 0; i < count; i += 1) {
        const member = record[names[i] as string]
        const to = writers[i]
        wire.push(to === undefined ? member : to(member))
      }
      return wire
    },
    fromWire(wire) {
      if (!Array.isArray(wire)) throw mismatch('an object', wire)
      if (strict && wire.length > length) throw mismatch(`at most ${length} members`, wire)
      const count = Math.min(wire.length, length) - first
      const record: Record<string, unknown> = key === undefined ? {} : { [key]: wire[0] }
      let i = 0
      try {
        for (; i < count; i += 1) {
          const from = readers[i]
          const member: unknown = from === undefined ? wire[i + first] : from(wire[i + first])
          if (member !== undefined || optional[i] === false) record[names[i] as string] = member
        }
      } catch (error) {
        throw inside(names[i] as string, error)
      }
      return record
    },
    matches: (value) =>
      isRecord(value) &&
      names.every((name, i) => wires[i]?.matches(value[name])) &&
      Object.keys(value).every((name) => name === key || names.includes(name)),
    types: TYPE.array,
  }
}

function pairWire(key: string, inner: Wire): Wire {
  return {
    toWire: (value) => [(value as Record<string, unknown>)[key], inner.toWire(value)],
    fromWire(wire) {
      if (!Array.isArray(wire) || wire.length !== 2) throw mismatch('a pair', wire)
      return inner.fromWire(wire[1])
    },
    matches: inner.matches,
    types: TYPE.array,
  }
}

function choiceWire(key: string, byValue: ReadonlyMap<unknown, Wire>): Wire {
  return {
    toWire(value) {
      const tag = (value as Record<string, unknown>)[key]
      const option = byValue.get(tag)
      if (option === undefined) {
        throw new SdkError('INVALID_PARAMETER', `${key}: ${String(tag)} is not known`)
      }
      return option.toWire(value)
    },
    fromWire(wire) {
      if (!Array.isArray(wire)) throw mismatch('an object', wire)
      const option = byValue.get(wire[0])
      if (option === undefined) throw mismatch(`a known ${key}`, wire[0])
      return option.fromWire(wire)
    },
    matches: (value) => isRecord(value) && (byValue.get(value[key])?.matches(value) ?? false),
    types: TYPE.array,
  }
}

function unionWire(options: readonly Wire[]): Wire {
  const matches = (value: unknown): boolean => options.some((option) => option.matches(value))
  const chosen = (value: unknown): number => {
    const index = options.findIndex((option) => option.matches(value))
    if (index < 0) throw new SdkError('INVALID_PARAMETER', 'no option of the union fits')
    return index
  }
  const types = options.reduce((all, option) => all | option.types, 0)
  if (disjoint(options)) {
    return {
      toWire: (value) => (options[chosen(value)] as Wire).toWire(value),
      fromWire(wire) {
        const option = options.find((it) => (it.types & typeOf(wire)) !== 0)
        if (option === undefined) throw mismatch('an option of the union', wire)
        return option.fromWire(wire)
      },
      matches,
      types,
    }
  }
  return {
    toWire(value) {
      const index = chosen(value)
      return [index, (options[index] as Wire).toWire(value)]
    },
    fromWire(wire) {
      const option =
        Array.isArray(wire) && wire.length === 2 ? options[wire[0] as number] : undefined
      if (option === undefined) throw mismatch('an option of the union', wire)
      return option.fromWire((wire as unknown[])[1])
    },
    matches,
    types: TYPE.array,
  }
}

function disjoint(options: readonly Wire[]): boolean {
  let seen = 0
  for (const { types } of options) {
    if ((seen & types) !== 0) return false
    seen |= types
  }
  return true
}

function elements(item: Wire, wire: unknown, what: string): unknown[] {
  if (!Array.isArray(wire)) throw mismatch(what, wire)
  if (item.fromWire === itself) return wire
  const out: unknown[] = []
  let i = 0
  try {
    for (; i < wire.length; i += 1) out.push(item.fromWire(wire[i]))
  } catch (error) {
    throw inside(i, error)
  }
  return out
}

function pairsOf(wire: unknown, what: string): readonly unknown[] {
  if (!Array.isArray(wire) || wire.length % 2 !== 0) throw mismatch(`${what} of pairs`, wire)
  return wire
}

function at(key: PropertyKey, wire: Wire, value: unknown): unknown {
  try {
    return wire.fromWire(value)
  } catch (error) {
    throw inside(key, error)
  }
}

function inside(key: PropertyKey, error: unknown): unknown {
  if (error instanceof WireMismatch) error.path.unshift(key)
  return error
}

function isRecord(value: unknown): value is Record<string, unknown> {
  return (
    typeof value === 'object' &&
    value !== null &&
    !Array.isArray(value) &&
    !(value instanceof Map || value instanceof Set || value instanceof Date) &&
    !ArrayBuffer.isView(value)
  )
}

function typeOf(value: unknown): number {
  if (value === null || value === undefined) return TYPE.nil
  switch (typeof value) {
    case 'boolean':
      return TYPE.boolean
    case 'number':
      return TYPE.number
    case 'string':
      return TYPE.text
    case 'bigint':
      return TYPE.bigint
    default:
      if (Array.isArray(value)) return TYPE.array
      return value instanceof Uint8Array ? TYPE.bytes : TYPE.map
  }
}

function mismatch(expected: string, wire: unknown): WireMismatch {
  const type = typeOf(wire)
  const got = Object.entries(TYPE).find(([, bit]) => bit === type)?.[0] ?? 'something else'
  return new WireMismatch(`expected ${expected}, got ${got}`)
}

/** `records[0]: expected an object, got text`. */
export function mismatchText(error: WireMismatch): string {
  return error.path.length === 0 ? error.message : `${pathText(error.path)}: ${error.message}`
}
