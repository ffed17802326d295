import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { isSdkError } from '../../idl/index.ts'
import { destinationText, parseDestination, portRange } from '../../ioc/index.ts'
import { HEADER_SIZE_BYTES } from '../../ioc/frame.ts'
import {
  encodeGroupMessage,
  encodeGroups,
  isGroupName,
  trySplitGroupMessage,
  tryParseGroups,
} from '../../ioc/groups.ts'
import { laneOf } from '../../ioc/lane.ts'
import { completeLimits } from '../../ioc/limits.ts'
import { Outbox } from '../../ioc/outbox.ts'
import { makeFrameHeader, viewOf } from '../../ioc/frame.ts'

const names = fc.string({ minLength: 1, maxLength: 16, unit: 'grapheme' }).filter(isGroupName)

describe('destinations as text', () => {
  it.each([
    ['2:64', { kind: 'physical', address: { node: 2, port: 64 } }],
    ['@sequence', { kind: 'logical', name: 'sequence' }],
    ['#news', { kind: 'multicast', group: 'news' }],
    ['*:1', { kind: 'broadcast', port: 1 }],
    ['.:*', { kind: 'intranode' }],
  ])('%s reads as one and prints again', (text, destination) => {
    expect(parseDestination(text)).toEqual(destination)
    expect(destinationText(parseDestination(text))).toBe(text)
  })

  it.each(['', '2', '0:64', '2:0', '1024:1', '2:1024', '@', '#', '# a', `#${'x'.repeat(65)}`])(
    'refuses %j',
    (text) => expect(() => parseDestination(text)).toThrow(/is no destination: give 2:64/),
  )
  it.each(['*:0', '*:1024', '*:*', '.:1', '2:64 ', `@${'x'.repeat(255)}`, '*', '-1:5'])(
    'refuses %j, too, by code',
    (text) => {
      try {
        parseDestination(text)
        expect.unreachable()
      } catch (error) {
        expect(isSdkError(error, 'INVALID_PARAMETER')).toBe(true)
      }
    },
  )

  it.each([
    [0, undefined],
    [1, 'platform'],
    [63, 'platform'],
    [64, 'user'],
    [127, 'user'],
    [128, 'ephemeral'],
    [1023, 'ephemeral'],
    [1024, undefined],
    [1.5, undefined],
  ])('port %d is in range %s', (port, range) => expect(portRange(port)).toBe(range))
})

describe('groups on the wire', () => {
  it('reads back what was written', () => {
    fc.assert(
      fc.property(fc.uniqueArray(names, { maxLength: 64 }), (groups) => {
        const payload = encodeGroups(groups).subarray(HEADER_SIZE_BYTES)
        expect([...tryParseGroups(payload, 64)!]).toEqual(groups)
      }),
    )
    fc.assert(
      fc.property(names, fc.uint8Array({ maxLength: 50 }), (group, content) => {
        const message = encodeGroupMessage(group, content)
        expect(trySplitGroupMessage(message)).toEqual({ group, payload: content })
      }),
    )
  })

  it('takes no bytes for what they are not', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 40 }), (payload) => {
        for (const name of tryParseGroups(payload, 3) ?? []) expect(isGroupName(name)).toBe(true)
        const split = trySplitGroupMessage(payload)
        if (split !== undefined) expect(split.payload.length).toBeLessThan(payload.length)
      }),
    )
    expect(tryParseGroups(encodeGroups(['a', 'b']).subarray(HEADER_SIZE_BYTES), 1)).toBe(undefined)
    expect(trySplitGroupMessage(new Uint8Array(0))).toBe(undefined)
  })
})

describe('send queue', () => {
  it('gives out whole frames in order, however much at a time, while more come', () => {
    const steps = fc.array(
      fc.record({
        sizes: fc.array(fc.nat(3_000), { maxLength: 5 }),
        takeMax: fc.integer({ min: 1, max: 9_000 }),
        held: fc.boolean(),
      }),
      { minLength: 1, maxLength: 30 },
    )
    fc.assert(
      fc.property(steps, (list) => {
        const outbox = new Outbox()
        const taken: Uint8Array[] = []
        const sent: number[] = []
        let id = 0
        // As a connection does: the next write starts when the last one is finished.
        const release = (): void => {
          for (const [view, copy] of held.splice(0)) expect(Buffer.compare(view, copy)).toBe(0)
        }
        const take = (sizeMax: number, mayReuse: boolean): void => {
          release()
          const length = outbox.headLength(sizeMax)
          const head = outbox.head(length)
          taken.push(new Uint8Array(head))
          outbox.consume(length, mayReuse)
          if (!mayReuse) held.push([head, new Uint8Array(head)])
        }
        const held: [Uint8Array, Uint8Array][] = []
        for (const { sizes, takeMax, held: isHeld } of list) {
          for (const size of sizes) {
            id += 1
            const payload = new Uint8Array(size).fill(id)
            outbox.append({ ...makeFrameHeader(), messageId: id }, payload)
            sent.push(size)
          }
          if (outbox.length > 0) take(takeMax, !isHeld)
        }
        while (outbox.length > 0) take(1, true)
        const all = Buffer.concat(taken)
        let at = 0
        for (const [i, size] of sent.entries()) {
          expect(viewOf(all).getUint32(at)).toBe(HEADER_SIZE_BYTES + size)
          expect(all.readUInt32BE(at + 20)).toBe(i + 1)
          at += HEADER_SIZE_BYTES + size
        }
        expect(at).toBe(all.length)
      }),
    )
  })

  it('has a lane for each priority, and one for ordered calls whatever theirs', () => {
    const lanes = Array.from({ length: 17 }, (_, priority) => laneOf(0x10, priority))
    expect(lanes).toEqual([1, 0, 2, 1, 0, 0, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1])
    expect([0, 1, 2, 5].map((priority) => laneOf(0x17, priority))).toEqual([1, 1, 1, 1])
  })
})

describe('limits of a port', () => {
  it('completes them, the low watermark from the high one', () => {
    expect(completeLimits({ sendQueueBytesMax: 1_001 })).toMatchObject({
      sendQueueBytesLow: 501,
      groupCountMax: 64,
    })
  })

  it.each([
    [{ connectionCountMax: 0 }, /connectionCountMax is 0/],
    [{ helloTimeoutMs: 1.5 }, /helloTimeoutMs is 1.5/],
    [{ messageSizeBytesMax: 2 ** 32 }, /messageSizeBytesMax .* from 1 to 2147483647/],
    [{ frameSizeBytesMax: 100 }, /give 512 or more/],
    [{ sendQueueBytesMax: 10, sendQueueBytesLow: 11 }, /low watermark must not be above/],
    [{ conectionCountMax: 1 } as object, /conectionCountMax is no limit/],
  ])('refuses %j', (limits, message) => expect(() => completeLimits(limits)).toThrow(message))
})
