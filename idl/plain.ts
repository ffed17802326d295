import { VALUE_DEPTH_MAX } from './scan.ts'
import { SdkError } from './sdk-error.ts'
import { pathText } from './shape.ts'

type Path = PropertyKey[]

/**
 * Prepares a value without a schema for the wire: null, boolean, number, text, 64-bit bigint, Uint8Array, arrays and
 * plain objects of these. Members that are undefined are left out. Copies only where something is left out.
 * @throws {SdkError} INVALID_PARAMETER with the path of what has no wire form; TOO_BIG when it nests too deep.
 */
export function plainToWire(value: unknown): unknown {
  return toWire(value, [])
}

/** The inverse of {@link plainToWire}: gives byte strings as copies. Changes `wire` in place. */
export function plainFromWire(wire: unknown): unknown {
  if (typeof wire !== 'object' || wire === null) return wire
  if (wire instanceof Uint8Array) return new Uint8Array(wire)
  if (Array.isArray(wire)) {
    for (let i = 0; i < wire.length; i += 1) wire[i] = plainFromWire(wire[i])
    return wire
  }
  const members = wire as Record<string, unknown>
  for (const key of Object.keys(members)) members[key] = plainFromWire(members[key])
  return members
}

function toWire(value: unknown, path: Path): unknown {
  switch (typeof value) {
    case 'boolean':
    case 'number':
      return value
    case 'string':
      return wellFormed(value, path)
    case 'bigint':
      if (fitsInt64(value)) return value
      throw refused(path, 'a bigint must fit into 64 bits')
    case 'object':
      break
    default:
      throw refused(path, `${typeof value} has no wire form`)
  }
  if (value === null || value instanceof Uint8Array) return value
  if (path.length > VALUE_DEPTH_MAX) {
    throw new SdkError('TOO_BIG', `the value nests deeper than ${VALUE_DEPTH_MAX} levels`)
  }
  return Array.isArray(value) ? arrayToWire(value, path) : objectToWire(value, path)
}

function arrayToWire(value: readonly unknown[], path: Path): unknown {
  for (let i = 0; i < value.length; i += 1) {
    const element = within(value[i], path, i)
    if (element === value[i]) continue
    const copy = value.slice(0, i)
    copy.push(element)
    for (let j = i + 1; j < value.length; j += 1) copy.push(within(value[j], path, j))
    return copy
  }
  return value
}

function objectToWire(value: object, path: Path): unknown {
  const prototype: unknown = Object.getPrototypeOf(value)
  if (prototype !== Object.prototype && prototype !== null) {
    const name = value.constructor?.name ?? 'this object'
    throw refused(path, `${name} is no plain object and has no wire form`)
  }
  const members = value as Record<string, unknown>
  const wire: Record<string, unknown> = {}
  let same = prototype !== null
  for (const key of Object.keys(members)) {
    if (key === '__proto__') throw refused(path, 'a member cannot be called __proto__')
    wellFormed(key, path)
    const member = members[key]
    const memberWire = member === undefined ? undefined : within(member, path, key)
    if (memberWire !== member || member === undefined) same = false
    if (memberWire !== undefined) wire[key] = memberWire
  }
  return same ? value : wire
}

function within(value: unknown, path: Path, key: PropertyKey): unknown {
  if (typeof value === 'number') return value
  path.push(key)
  const wire = toWire(value, path)
  path.pop()
  return wire
}

/** Text with half of a surrogate pair has no UTF-8 form and would come back changed. */
export function wellFormed(text: string, path: readonly PropertyKey[] = []): string {
  if ((text as string & { isWellFormed(): boolean }).isWellFormed()) return text
  throw refused(path, 'the text has half of a surrogate pair and no UTF-8 form')
}

/** True when msgpack can hold it as int64 or uint64. */
export function fitsInt64(value: bigint): boolean {
  return BigInt.asIntN(64, value) === value || BigInt.asUintN(64, value) === value
}

function refused(path: readonly PropertyKey[], why: string): SdkError {
  const at = pathText(path)
  return new SdkError('INVALID_PARAMETER', at === '' ? why : `${at}: ${why}`, {
    context: { path: at },
  })
}
