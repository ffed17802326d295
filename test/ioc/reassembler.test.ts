import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { makeFrameHeader, viewOf } from '../../ioc/frame.ts'
import { Reassembler } from '../../ioc/reassembler.ts'

const LIMITS = { messageSizeBytesMax: 1_000, partialCountMax: 2, partialAgeMsMax: 5_000 }
const header = (messageId: number): ReturnType<typeof makeFrameHeader> => ({
  ...makeFrameHeader(),
  protocol: 0x10,
  messageId,
})

function fragment(total: number, offset: number, piece: Uint8Array): Uint8Array {
  const body = new Uint8Array(8 + piece.length)
  viewOf(body).setUint32(0, total)
  viewOf(body).setUint32(4, offset)
  body.set(piece, 8)
  return body
}

const bytes = (length: number): Uint8Array => new Uint8Array(length).map((_, i) => i + 1)

describe('reassembler', () => {
  it('puts together what was cut anywhere, also when two messages alternate', () => {
    fc.assert(
      fc.property(
        fc.uint8Array({ minLength: 1, maxLength: 200 }),
        fc.integer({ min: 1, max: 50 }),
        (message, size) => {
          const whole = new Reassembler(LIMITS)
          for (let at = 0; at < message.length; at += size) {
            const body = fragment(message.length, at, message.subarray(at, at + size))
            const last = at + size >= message.length
            for (const id of [1, 2]) {
              const outcome = whole.add(header(id), body, 0)
              expect(outcome).toEqual(
                last ? { kind: 'complete', payload: message } : { kind: 'incomplete' },
              )
            }
          }
          expect(whole.partialCount).toBe(0)
        },
      ),
    )
  })

  it.each([
    ['without content', new Uint8Array(8)],
    ['of a message above the limit', fragment(1_001, 0, bytes(5))],
    ['beyond the end of its message', fragment(4, 0, bytes(5))],
  ])('refuses a fragment %s', (_name, body) => {
    expect(new Reassembler(LIMITS).add(header(1), body, 0).kind).toBe('fault')
  })

  it('refuses a gap, another total, and too many at a time', () => {
    const whole = new Reassembler(LIMITS)
    whole.add(header(1), fragment(10, 0, bytes(3)), 0)
    expect(whole.add(header(1), fragment(10, 4, bytes(3)), 0).kind).toBe('fault')
    whole.add(header(1), fragment(10, 0, bytes(3)), 0)
    expect(whole.add(header(1), fragment(11, 3, bytes(3)), 0).kind).toBe('fault')
    whole.add(header(2), fragment(10, 0, bytes(3)), 0)
    whole.add(header(3), fragment(10, 0, bytes(3)), 0)
    expect(whole.add(header(4), fragment(10, 0, bytes(3)), 0).kind).toBe('fault')
  })

  it('bounds what all incomplete messages hold together', () => {
    const whole = new Reassembler({ ...LIMITS, partialCountMax: 10 })
    // One in each lane of the sender.
    for (const id of [1, 2, 3]) whole.add(header(id), fragment(1_000, 0, bytes(990)), 0)
    expect(whole.add(header(4), fragment(1_000, 0, bytes(40)), 0).kind).toBe('fault')
    expect(whole.add(header(1), fragment(1_000, 990, bytes(10)), 0).kind).toBe('complete')
    expect(whole.add(header(5), fragment(1_000, 0, bytes(30)), 0).kind).toBe('incomplete')
  })

  it('does not keep the chunk that a piece lay in', () => {
    const whole = new Reassembler(LIMITS)
    const body = Buffer.from(fragment(4, 0, bytes(2)))
    whole.add(header(1), body, 0)
    body.fill(0)
    const rest = whole.add(header(1), fragment(4, 2, bytes(2)), 0)
    expect(rest).toEqual({ kind: 'complete', payload: new Uint8Array([1, 2, 1, 2]) })
  })

  it('tells of a message whose rest does not come, and counts no time in which nobody could read', () => {
    const whole = new Reassembler(LIMITS)
    whole.add(header(1), fragment(10, 0, bytes(3)), 1_000)
    expect(whole.hasStale(5_999, 0)).toBe(false)
    expect(whole.hasStale(15_999, 10_000)).toBe(false)
    expect(whole.hasStale(16_001, 2)).toBe(false)
    expect(whole.hasStale(16_003, 0)).toBe(true)
    expect(whole.add(header(1), fragment(10, 3, bytes(7)), 16_004).kind).toBe('complete')
    expect(whole.hasStale(99_000, 0)).toBe(false)
  })

  it('refuses a message that has no beginning', () => {
    expect(new Reassembler(LIMITS).add(header(1), fragment(10, 3, bytes(3)), 0).kind).toBe('fault')
  })
})
