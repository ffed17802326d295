import { pathText } from './shape.ts'

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

/** Msgpack types, as bits. */
export const TYPE = {
  nil: 1,
  boolean: 2,
  number: 4,
  text: 8,
  bytes: 16,
  array: 32,
  bigint: 64,
  map: 128,
}
/** For a part of which nothing is known. */
export const ALL_TYPES = 255

/** A part that msgpack writes as it is. */
export function same(types: number, matches: (value: unknown) => boolean): Wire {
  return { toWire: itself, fromWire: itself, matches, types }
}

/** The identity: its caller may leave the call out. */
export function itself(value: unknown): unknown {
  return value
}

/** Reads a part inside another one: a mismatch gets `key` put before its path. */
export function at(key: PropertyKey, wire: Wire, value: unknown): unknown {
  try {
    return wire.fromWire(value)
  } catch (error) {
    throw inside(key, error)
  }
}

/** Puts `key` before the path of a mismatch; gives the error back to be thrown. */
export function inside(key: PropertyKey, error: unknown): unknown {
  if (error instanceof WireMismatch) error.path.unshift(key)
  return error
}

/** True for an object with members, false for arrays, bytes, dates, maps and sets. */
export function isRecord(value: unknown): value is Record<string, unknown> {
  return (
    typeof value === 'object' &&
    value !== null &&
    !Array.isArray(value) &&
    !(value instanceof Map || value instanceof Set || value instanceof Date) &&
    !ArrayBuffer.isView(value)
  )
}

/** The msgpack type that a wire value has. */
export function typeOf(value: unknown): number {
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

/** Makes a mismatch to be thrown. */
export function mismatch(expected: string, wire: unknown): WireMismatch {
  const type = typeOf(wire)
  const got = Object.entries(TYPE).find(([, bit]) => bit === type)?.[0] ?? 'something else'
  return new WireMismatch(`expected ${expected}, got ${got}`)
}

/** `records[0]: expected an object, got text`. */
export function mismatchText(error: WireMismatch): string {
  return error.path.length === 0 ? error.message : `${pathText(error.path)}: ${error.message}`
}
