import fc from 'fast-check'
import { expect, test } from 'vitest'
import { z } from 'zod'
import {
  decodeValue,
  encodeValue,
  isSdkError,
  makeMethodCodec,
  makeShapeCodec,
} from '../../idl/index.ts'
import { schemaCases } from './arbitrary.ts'

const withValue = schemaCases.chain(({ schema, values }) =>
  values.map((value) => ({ schema, value })),
)

test('any value of any schema comes back as it was, and encodes to the same bytes again', () => {
  fc.assert(
    fc.property(withValue, ({ schema, value }) => {
      const codec = makeMethodCodec('p', schema)
      const bytes = Uint8Array.from(codec.encode(value))
      const back = codec.decode(bytes)
      expect(back).toStrictEqual(value)
      expect(Uint8Array.from(codec.encode(back))).toEqual(bytes)
    }),
    { numRuns: 300 },
  )
})

test('a codec made from the wire form alone writes and reads the same bytes', () => {
  fc.assert(
    fc.property(withValue, ({ schema, value }) => {
      const codec = makeMethodCodec('p', schema)
      const shaped = makeShapeCodec('p', codec.shape)
      expect(Uint8Array.from(shaped.encode(value))).toEqual(Uint8Array.from(codec.encode(value)))
      expect(shaped.decode(codec.encode(value))).toStrictEqual(value)
    }),
    { numRuns: 150 },
  )
})

test('damaged bytes give a value of the schema or an error with a code, nothing else', () => {
  const damage = fc.record({ at: fc.nat(), byte: fc.nat(255), cut: fc.boolean() })
  fc.assert(
    fc.property(withValue, fc.array(damage, { minLength: 1, maxLength: 3 }), (pair, damages) => {
      const codec = makeMethodCodec('p', pair.schema)
      let bytes = Uint8Array.from(codec.encode(pair.value))
      for (const { at, byte, cut } of damages) {
        const where = at % (bytes.length + 1)
        if (cut) bytes = bytes.slice(0, where)
        else bytes[where] = byte
      }
      const back = outcome(() => codec.decode(bytes))
      if (back.ok) expect(pair.schema.safeParse(back.value).success).toBe(true)
      else expect(['MESSAGE_ERROR', 'INVALID_PARAMETER', 'TOO_BIG']).toContain(back.code)
    }),
    { numRuns: 500 },
  )
})

test('every byte of a message, changed to every value or cut off, is survived', () => {
  const schema = z.strictObject({
    a: z.string(),
    b: z.array(z.union([z.int(), z.record(z.string(), z.instanceof(Uint8Array))])),
    c: z.unknown(),
  })
  const codec = makeMethodCodec('p', schema)
  const bytes = Uint8Array.from(
    codec.encode({ a: 'text', b: [1, { k: Uint8Array.of(1) }], c: { deep: [null, 1.5] } }),
  )
  for (let at = 0; at < bytes.length; at += 1) {
    outcome(() => codec.decode(bytes.subarray(0, at)))
    for (let byte = 0; byte < 256; byte += 1) {
      const damaged = bytes.slice()
      damaged[at] = byte
      outcome(() => codec.decode(damaged))
    }
  }
})

test('random bytes give a value or an error with a code', () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 64 }), (bytes) => {
      const back = outcome(() => decodeValue(bytes))
      if (!back.ok) expect(['MESSAGE_ERROR', 'TOO_BIG']).toContain(back.code)
    }),
    { numRuns: 3_000 },
  )
})

test('plain values come back as they were', () => {
  const plain = fc.anything({
    key: fc.string({ unit: 'binary' }).filter((key) => key !== '__proto__'),
    values: [
      fc.string({ unit: 'binary' }),
      fc.boolean(),
      fc.constant(null),
      fc.double().map((n) => (Object.is(n, -0) ? 0 : n)),
      fc.bigInt({ min: -(2n ** 63n), max: 2n ** 64n - 1n }),
      fc.uint8Array().map((array) => new Uint8Array(array)),
    ],
    withNullPrototype: false,
  })
  fc.assert(
    fc.property(plain, (value) => {
      expect(decodeValue(encodeValue(value))).toStrictEqual(value)
    }),
    { numRuns: 500 },
  )
})

function outcome(
  run: () => unknown,
): { readonly ok: true; readonly value: unknown } | { readonly ok: false; readonly code: string } {
  try {
    return { ok: true, value: run() }
  } catch (error) {
    if (!isSdkError(error)) throw error
    return { ok: false, code: error.code }
  }
}
