import { wellFormed } from './plain.ts'
import { SdkError } from './sdk-error.ts'
import { at, inside, isRecord, itself, mismatch, TYPE, typeOf, type Wire } from './wire.ts'

/** An array of equal parts. */
export function arrayWire(item: Wire): Wire {
  return {
    toWire: (value) =>
      item.toWire === itself ? value : (value as unknown[]).map((element) => item.toWire(element)),
    fromWire: (wire) => elements(item, wire, 'an array'),
    matches: (value) => Array.isArray(value) && value.every((element) => item.matches(element)),
    types: TYPE.array,
  }
}

/** A set, as an array. */
export function setWire(item: Wire): Wire {
  return {
    toWire: (value) => Array.from(value as Set<unknown>, (element) => item.toWire(element)),
    fromWire: (wire) => new Set(elements(item, wire, 'a set')),
    matches: (value) =>
      value instanceof Set && [...value].every((element) => item.matches(element)),
    types: TYPE.array,
  }
}

/** A map, as an array of key, value, key, value, ... */
export function mapWire(key: Wire, value: Wire): Wire {
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

/** An object with keys that are not known before, like a map. */
export function recordWire(value: Wire): Wire {
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

/** An array of parts of their own. */
export function tupleWire(items: readonly Wire[], rest: Wire | null): Wire {
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

/** What an object is made of. */
export interface ObjectParts {
  readonly names: readonly string[]
  readonly wires: readonly Wire[]
  readonly optional: readonly boolean[]
  readonly strict: boolean
  /** The discriminator, when it is an option of a choice: written first. */
  readonly key: string | undefined
}

/** An object, as an array of its members in their order. */
export function objectWire({ names, wires, optional, strict, key }: ObjectParts): Wire {
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

/** An option of a choice that is no plain object: the discriminator and the value. */
export function pairWire(key: string, inner: Wire): Wire {
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

/** A discriminated union: the discriminator tells the option. */
export function choiceWire(key: string, byValue: ReadonlyMap<unknown, Wire>): Wire {
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

/** A union: told apart by msgpack type where that is possible, else by the number of the option. */
export function unionWire(options: readonly Wire[]): Wire {
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

/** True when the msgpack type of a value tells its option. */
export function disjoint(options: readonly Pick<Wire, 'types'>[]): boolean {
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
