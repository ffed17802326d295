import * as fc from 'fast-check'
import { expect, test } from 'vitest'
import { makeMethodCodec } from '../../../idl/index.ts'
import { NamedCheckpoint } from '../../../runtime/services/named-checkpoint/interface.ts'

const { perform } = NamedCheckpoint.methods
const { spec } = NamedCheckpoint
const input = makeMethodCodec('perform', spec.perform.input)
const output = makeMethodCodec('perform', spec.perform.output)

const text = fc.oneof(
  fc.string({ maxLength: 40 }),
  fc.string({ unit: 'grapheme', maxLength: 5 }),
  fc.constantFrom('', 'x'.repeat(255), 'x'.repeat(256)),
)
const data = fc.uint8Array({ maxLength: 300 })
const overwrite = fc.record({
  kind: fc.constant('overwrite' as const),
  elements: fc.array(fc.record({ id: text, data }), { maxLength: 20 }),
})
const other = fc.oneof(
  fc.record({ kind: fc.constant('delete' as const), id: text }),
  fc.constant({ kind: 'synchronize' as const }),
)
const request = fc.record({
  id: text,
  epoch: fc.maxSafeNat(),
  operation: fc.oneof({ arbitrary: overwrite, weight: 5 }, other),
})

/** What a codec makes of bytes: the value, or the code of its error. */
function outcome(decode: (bytes: Uint8Array) => unknown, given: Uint8Array): unknown {
  try {
    return decode(given)
  } catch (error) {
    return (error as { code?: string }).code
  }
}

test('requests have the bytes of the general codec, and mean the same cut and changed', () => {
  const change = fc.tuple(fc.nat(400), fc.integer({ min: 0, max: 255 }))
  fc.assert(
    fc.property(request, fc.nat(400), change, (value, cut, [at, byte]) => {
      const encoded = new Uint8Array(perform.input.encode(value))
      expect(Buffer.compare(encoded, input.encode(value))).toBe(0)
      const shorter = encoded.subarray(0, encoded.length - (cut % encoded.length) - 1)
      const changed = new Uint8Array(encoded)
      changed[at % changed.length] = byte
      for (const given of [encoded, shorter, changed]) {
        expect(outcome(perform.input.decode, given)).toStrictEqual(outcome(input.decode, given))
      }
    }),
    { numRuns: 150 },
  )
})

test('answers have the bytes of the general codec', () => {
  for (const result of [
    { kind: 'done' as const },
    { kind: 'created' as const, id: 'done' },
    { kind: 'partial' as const, error: new Uint8Array(3) },
  ]) {
    const encoded = perform.output.encode(result)
    expect(Buffer.compare(encoded, output.encode(result))).toBe(0)
    expect(perform.output.decode(encoded)).toStrictEqual(output.decode(encoded))
  }
  const changed = new Uint8Array(perform.output.encode({ kind: 'done' }))
  changed[3] = 0x6e
  expect(outcome(perform.output.decode, changed)).toBe(outcome(output.decode, changed))
})
