import * as fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { makeMethodCodec } from '../../../idl/index.ts'
import {
  Checkpoint,
  CheckpointPush,
  CheckpointReplica,
} from '../../../runtime/services/checkpoint/interface.ts'

const { commit } = Checkpoint.methods
const { append } = CheckpointReplica.methods
const { spec } = CheckpointReplica
const general = makeMethodCodec('append', spec.append.input)
const generalOutput = makeMethodCodec('append', spec.append.output)

const name = fc.oneof(
  fc.string({ maxLength: 5 }),
  fc.string({ maxLength: 300 }),
  fc.string({ unit: 'grapheme', maxLength: 10 }),
  fc.constantFrom('', 's', 's1', '1s', 'x'.repeat(31), 'x'.repeat(32), 'x'.repeat(255)),
)
const integer = fc.oneof(
  fc.nat(300),
  fc.constantFrom(0x7f, 0x80, 0xff, 0x100, 0xffff, 0x1_0000, 0xffff_ffff, 0x1_0000_0000),
  fc.maxSafeNat(),
  fc.maxSafeInteger(),
)
const bytes = fc.oneof(
  fc.uint8Array({ maxLength: 40 }),
  fc.constantFrom(255, 256).map((length) => new Uint8Array(length).fill(7)),
)
const keys = fc.array(fc.tuple(name, integer), { maxLength: 3 })
const reply = fc.record({
  caller: name,
  messageId: integer,
  functionNumber: integer,
  rc: integer,
  payload: bytes,
  keepMs: integer,
})
const record = fc.record({
  writes: fc.array(fc.tuple(name, fc.option(bytes)), { maxLength: 4 }),
  reply: fc.option(reply),
  acknowledged: keys,
  expired: keys,
})
const batch = fc.record({
  epoch: integer,
  firstSequence: integer,
  records: fc.array(record, { maxLength: 4 }),
})
const input = fc.record({ csi: name, batch, under: integer }, { requiredKeys: ['csi', 'batch'] })

/** What a codec makes of bytes: the value, or the code of its error. */
function outcome(decode: (bytes: Uint8Array) => unknown, given: Uint8Array): unknown {
  try {
    return decode(given)
  } catch (error) {
    return (error as { code?: string }).code
  }
}

describe('the codec of batches', () => {
  test('writes the bytes of the general codec, and reads them back', () => {
    fc.assert(
      fc.property(input, (value) => {
        const encoded = append.input.encode(value)
        expect(Buffer.compare(encoded, general.encode(value))).toBe(0)
        expect(append.input.decode(encoded)).toStrictEqual(general.decode(encoded))
      }),
      { numRuns: 100 },
    )
  })

  test('knows long lists and values', () => {
    const value = new Uint8Array(0x1_0000).fill(7)
    for (const count of [15, 16, 0x1_0000]) {
      const writes = Array.from({ length: count }, (_, i): [string, null] => [`s${i}`, null])
      const records = [{ writes: [...writes, ['v', value]], ...NOTHING }]
      const one = { csi: 'c', batch: { epoch: 1, firstSequence: 1, records: records as never } }
      const encoded = append.input.encode(one)
      expect(Buffer.compare(encoded, general.encode(one))).toBe(0)
      const again = append.input.encode(append.input.decode(encoded))
      expect(Buffer.compare(encoded, again)).toBe(0)
    }
  })

  test('makes the same of bytes that are cut or changed', () => {
    const change = fc.tuple(fc.nat(400), fc.integer({ min: 0, max: 255 }))
    fc.assert(
      fc.property(input, fc.nat(400), change, (value, cut, [at, byte]) => {
        const encoded = new Uint8Array(append.input.encode(value))
        const shorter = encoded.subarray(0, encoded.length - (cut % encoded.length) - 1)
        const changed = new Uint8Array(encoded)
        changed[at % changed.length] = byte
        for (const given of [shorter, changed]) {
          expect(outcome(append.input.decode, given)).toStrictEqual(outcome(general.decode, given))
        }
      }),
      { numRuns: 150 },
    )
  })

  test('gives values that share no memory with the bytes, whatever holds these', () => {
    const value = new Uint8Array(1_000).fill(1)
    const records = [{ writes: [['s', value]], ...NOTHING }]
    const one = { csi: 'c', batch: { epoch: 1, firstSequence: 1, records: records as never } }
    for (const holder of [Buffer, Uint8Array]) {
      const encoded = holder.from(commit.input.encode(one))
      const read = commit.input.decode(encoded)
      encoded.fill(0)
      expect(read).toStrictEqual(one)
    }
  })

  test('tells names apart that have the same length and ends', () => {
    const names = Array.from({ length: 5_000 }, (_, i) => `a${String(i).padStart(4, '0')}z`)
    const writes = names.map((each): [string, null] => [each, null])
    const records = [{ writes, ...NOTHING }]
    const one = { csi: 'c', batch: { epoch: 1, firstSequence: 1, records } }
    const { decode, encode } = CheckpointPush.methods.applied.input
    for (let round = 0; round < 2; round++) expect(decode(encode(one))).toStrictEqual(one)
  })

  test('refuses what the general codec refuses', () => {
    const wrong = { csi: 'c', batch: { epoch: 0.5, firstSequence: 1, records: [] } }
    expect(() => append.input.encode(wrong)).toThrow('CheckpointReplica.append input: batch.epoch')
    expect(() => append.input.decode(general.encode({ ...wrong, batch: BATCH }))).not.toThrow()
    expect(() => append.input.decode(new Uint8Array([0x92, 0xa1]))).toThrow('append input')
  })

  test('writes and reads answers as the general codec does', () => {
    fc.assert(
      fc.property(integer, (sequence) => {
        const encoded = append.output.encode({ sequence })
        expect(Buffer.compare(encoded, generalOutput.encode({ sequence }))).toBe(0)
        expect(append.output.decode(encoded)).toStrictEqual({ sequence })
      }),
    )
    expect(() => append.output.decode(new Uint8Array([0x91]))).toThrow('append output')
  })
})

const NOTHING = { reply: null, acknowledged: [], expired: [] }
const BATCH = { epoch: 1, firstSequence: 1, records: [] }
