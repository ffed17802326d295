import { expect, test } from 'vitest'
import { z } from 'zod'
import {
  encodeValue,
  encodeWireError,
  makeMethodCodec,
  SdkError,
  toWireError,
} from '../../idl/index.ts'

const hex = (bytes: Uint8Array): string => Buffer.from(bytes).toString('hex')

/** Recorded bytes: a change here is a change of the protocol, and older peers no longer understand. */
test.each<[string, z.ZodType, unknown, string]>([
  [
    'object',
    z.strictObject({ first: z.int(), last: z.int() }),
    { first: 1, last: 300 },
    '9201cd012c',
  ],
  ['large integer', z.int(), 2 ** 32, 'cb41f0000000000000'],
  ['optional in the middle', z.object({ a: z.int().optional(), b: z.int() }), { b: 1 }, '92c001'],
  ['optional at the end', z.object({ a: z.int(), b: z.int().optional() }), { a: 1 }, '9101'],
  ['nullish', z.object({ a: z.string().nullish() }), { a: null }, '9191c0'],
  ['enum', z.enum(['ACTIVE', 'STANDBY']), 'ACTIVE', 'a6414354495645'],
  ['record', z.record(z.string(), z.int()), { a: 1, b: 2 }, '94a16101a16202'],
  ['map', z.map(z.int(), z.boolean()), new Map([[7, true]]), '9207c3'],
  ['bytes', z.instanceof(Uint8Array), Uint8Array.of(1, 2), 'c4020102'],
  ['date', z.date(), new Date(1000), 'cd03e8'],
  ['bigint', z.bigint(), -1n, 'd3ffffffffffffffff'],
  ['large bigint', z.bigint(), 2n ** 64n, 'b43138343436373434303733373039353531363136'],
  ['unknown', z.unknown(), { a: [null] }, '9181a16191c0'],
  ['union by type', z.union([z.int(), z.string()]), 'a', 'a161'],
  ['union by number', z.union([z.int(), z.date()]), new Date(5), '920105'],
  [
    'discriminated union',
    z.discriminatedUnion('kind', [z.object({ n: z.int(), kind: z.literal('a') })]),
    { kind: 'a', n: 5 },
    '92a16105',
  ],
])('%s', (_name, schema, value, bytes) => {
  const codec = makeMethodCodec('golden', schema)
  expect(hex(codec.encode(value as never))).toBe(bytes)
  expect(codec.decode(Buffer.from(bytes, 'hex'))).toStrictEqual(value)
})

test('plain value', () => {
  expect(hex(encodeValue({ a: 1, b: undefined, c: ['x', 1.5] }))).toBe(
    '82a16101a16392a178cb3ff8000000000000',
  )
})

test('error', () => {
  const wire = toWireError(new SdkError('NO_OP', 'm', { context: { n: 1 } }), 'o')
  expect(hex(encodeWireError(wire))).toBe('95a54e4f5f4f50a16d81a16e01a16fc2')
})
