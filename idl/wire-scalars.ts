import { fitsInt64, plainFromWire, plainToWire, wellFormed } from './plain.ts'
import { SdkError } from './sdk-error.ts'
import { itself, mismatch, TYPE, type Wire } from './wire.ts'

/** Digits of a bigint at most: reading decimal text takes time that grows with its square. */
const BIGINT_DIGITS_MAX = 4_096

/** Nothing, as nil. */
export const VOID: Wire = {
  toWire: () => null,
  fromWire: (wire) => (wire === null ? undefined : wire),
  matches: (value) => value === undefined,
  types: TYPE.nil,
}

/** Text that has a UTF-8 form. */
export const TEXT: Wire = {
  toWire: (value) => wellFormed(value as string),
  fromWire: itself,
  matches: (value) => typeof value === 'string',
  types: TYPE.text,
}

/** A bigint: 64 bits natively, else decimal text. */
export const BIGINT: Wire = {
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

/** A date, as milliseconds since 1970. */
export const DATE: Wire = {
  toWire: (value) => (value as Date).getTime(),
  fromWire: (wire) => (typeof wire === 'number' ? new Date(wire) : wire),
  matches: (value) => value instanceof Date,
  types: TYPE.number,
}

/** Bytes; read as a copy. */
export const BYTES: Wire = {
  toWire: (value) => value,
  fromWire: (wire) => (wire instanceof Uint8Array ? new Uint8Array(wire) : wire),
  matches: (value) => value instanceof Uint8Array,
  types: TYPE.bytes,
}

/** A value without a schema, wrapped. */
export const PLAIN: Wire = {
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
export function missingWire(inner: Wire, missing: undefined | null): Wire {
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
