import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { BufferPool, type Crossing, type MessageBuffer } from '../../../runtime/index.ts'

const text = (message: MessageBuffer): string => Buffer.from(message.flatten()).toString()
const bytesOf = (value: string): Uint8Array => Uint8Array.from(Buffer.from(value))
const refused = (code: string): unknown => expect.objectContaining({ code })

const piece = fc.integer({ min: 0, max: 3_000 })
const step = fc.oneof(
  fc.tuple(
    fc.constantFrom('write', 'prepend', 'trimHeader', 'trimTrailer', 'read', 'adopt'),
    piece,
  ),
  fc.tuple(fc.constantFrom('seekRead', 'seekWrite', 'clone', 'concatenate'), piece),
)

describe('buffer', () => {
  test('agrees with plain bytes, and clones stay as they were', () => {
    fc.assert(
      fc.property(fc.array(step, { maxLength: 40 }), (script) => {
        const pool = new BufferPool()
        const message = pool.create()
        const clones: { message: MessageBuffer; bytes: Buffer }[] = []
        let model = Buffer.alloc(0)
        let [read, write, fill] = [0, 0, 0]
        const content = (size: number): Uint8Array => new Uint8Array(size).fill((fill += 1))
        for (const [what, size] of script) {
          const some = Math.min(size, model.length)
          if (what === 'write') {
            const bytes = content(size)
            message.write(bytes)
            model = Buffer.concat([model.subarray(0, write), bytes, model.subarray(write + size)])
            write += size
          } else if (what === 'prepend') {
            const bytes = content(size)
            message.prepend(bytes)
            model = Buffer.concat([bytes, model])
            read += size
            write += size
          } else if (what === 'trimHeader') {
            message.trimHeader(some)
            model = model.subarray(some)
            read = Math.max(0, read - some)
            write = Math.max(0, write - some)
          } else if (what === 'trimTrailer') {
            message.trimTrailer(some)
            model = model.subarray(0, model.length - some)
            read = Math.min(read, model.length)
            write = Math.min(write, model.length)
          } else if (what === 'read') {
            const got = message.read(size)
            expect(Buffer.compare(got, model.subarray(read, read + size))).toBe(0)
            read += got.length
          } else if (what === 'adopt') {
            const bytes = content(size)
            message.adopt(bytes)
            model = Buffer.concat([model, bytes])
          } else if (what === 'seekRead') message.seekRead((read = some))
          else if (what === 'seekWrite') message.seekWrite((write = some))
          else if (what === 'clone') clones.push({ message: message.clone(), bytes: model })
          else {
            const other = pool.create()
            const bytes = content(size)
            other.write(bytes)
            if (clones.length > 0) {
              for (const clone of clones.splice(0)) {
                expect(Buffer.compare(clone.message.flatten(), clone.bytes)).toBe(0)
                clone.message.delete()
              }
            }
            message.concatenate(other)
            model = Buffer.concat([model, bytes])
          }
          expect([message.length, message.readOffset, message.writeOffset]).toEqual([
            model.length,
            read,
            write,
          ])
        }
        expect(Buffer.compare(message.flatten(), model)).toBe(0)
        expect(Buffer.compare(Buffer.concat(message.vectors()), model)).toBe(0)
        for (const { message: clone, bytes } of clones) {
          expect(Buffer.compare(clone.flatten(), bytes)).toBe(0)
          clone.delete()
        }
        message.delete()
        expect(pool.statistics()).toMatchObject({ bytes: 0, chunks: new Map() })
      }),
      { numRuns: 150 },
    )
  })

  test('a refused operation leaves the message as it was', () => {
    const pool = new BufferPool({ bytesMax: 4_096 })
    const message = pool.create()
    message.write(bytesOf('hello'))
    const clone = message.clone()
    expect(() => message.trimHeader(6)).toThrow(refused('INVALID_PARAMETER'))
    expect(() => message.seekRead(1, 'end')).toThrow(refused('INVALID_PARAMETER'))
    expect(() => message.concatenate(clone)).toThrow(refused('INVALID_PARAMETER'))
    expect(() => message.write(new Uint8Array(9_000))).toThrow(refused('NO_MEMORY'))
    expect(text(message)).toBe('hello')
    clone.seekWrite(0)
    clone.write(bytesOf('J'))
    expect([text(message), text(clone)]).toEqual(['hello', 'Jello'])
    message.delete()
    expect(() => message.read(1)).toThrow(refused('INVALID_HANDLE'))
    expect(pool.statistics().failures).toBeGreaterThan(0)
  })

  test('room that was asked for is used, and given back by shrink', () => {
    const pool = new BufferPool()
    const message = pool.createAndAllocate(5_000)
    const { bytes } = pool.statistics()
    message.write(new Uint8Array(5_000))
    expect(pool.statistics().bytes).toBe(bytes)
    message.trimTrailer(5_000)
    message.shrink()
    expect(pool.statistics().bytes).toBe(0)
  })

  test('what memory does not reach for is not begun', () => {
    const pool = new BufferPool({ bytesMax: 40_000 })
    for (let i = 0; i < 3; i += 1) {
      expect(() => pool.createAndAllocate(70_000)).toThrow(refused('NO_MEMORY'))
    }
    expect(pool.statistics()).toMatchObject({ bytes: 0, failures: 3 })
    const message = pool.create()
    message.write(bytesOf('abc'))
    const clone = message.clone()
    message.seekWrite(1)
    expect(() => message.write(new Uint8Array(70_000))).toThrow(refused('NO_MEMORY'))
    expect([text(message), message.writeOffset, message.length]).toEqual(['abc', 1, 3])
    message.write(bytesOf('xyz'))
    expect([text(message), text(clone)]).toEqual(['axyz', 'abc'])
    for (const each of [message, clone]) each.delete()
    expect(pool.statistics().bytes).toBe(0)
  })

  test('a clone of adopted bytes that no chunk holds has bytes of its own', () => {
    const message = new BufferPool().create()
    message.adopt(Buffer.alloc(40_000, 'a'))
    const clone = message.clone()
    message.write(bytesOf('b'))
    expect([text(message)[0], text(clone)[0]]).toEqual(['b', 'a'])
  })

  test('checksums of a known packet', () => {
    const message = new BufferPool().create()
    // The header of RFC 1071's method as it is in any text on IPv4: its checksum is b861.
    message.write(Buffer.from('4500007300004000401100 00c0a80001c0a800c7'.replace(' ', ''), 'hex'))
    expect(message.checksum16(0, 20)).toBe(0xb861)
    expect(message.checksum32(0, 4)).toBe(~0x45000073 >>> 0)
    expect(() => message.checksum16(1, 20)).toThrow(refused('INVALID_PARAMETER'))
  })

  test('marks are told once, with hysteresis', () => {
    const told: string[] = []
    const onCrossing = ({ level, type }: Crossing): void => void told.push(`${level} ${type}`)
    const levels = [{ name: 'half', highPercent: 50, lowPercent: 25 }]
    const pool = new BufferPool({ bytesMax: 4_096, levels, onCrossing })
    const messages = [1, 2, 3].map(() => {
      const message = pool.create()
      message.write(new Uint8Array(1))
      return message
    })
    expect(told).toEqual(['half HIGH'])
    messages[0]!.delete()
    expect(told).toEqual(['half HIGH'])
    messages[1]!.delete()
    expect(told).toEqual(['half HIGH', 'half LOW'])
  })
})
