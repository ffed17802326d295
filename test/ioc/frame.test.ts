import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import {
  encodeHeartbeat,
  encodeHello,
  type FrameHeader,
  FRAME_VERSION,
  HEADER_SIZE_BYTES,
  makeFrameHeader,
  PROTOCOL,
  readHeader,
  tryParseHello,
  viewOf,
  writeHeader,
} from '../../ioc/frame.ts'
import { describeFault, type FrameFault, FrameParser } from '../../ioc/frame-parser.ts'

const u16 = fc.integer({ min: 0, max: 1023 })
const u32 = fc.integer({ min: 0, max: 0xffff_ffff })
const safe = fc.oneof(
  fc.integer({ min: 0, max: Number.MAX_SAFE_INTEGER }),
  fc.constantFrom(0, 2 ** 32 - 1, 2 ** 32, 2 ** 32 + 1, Number.MAX_SAFE_INTEGER),
)
const headers: fc.Arbitrary<FrameHeader> = fc.record({
  protocol: fc.integer({ min: 0, max: 255 }),
  priority: fc.integer({ min: 0, max: 16 }),
  flags: fc.integer({ min: 0, max: 255 }),
  sourceNode: u16,
  sourcePort: u16,
  destinationNode: u16,
  destinationPort: u16,
  messageId: safe,
  functionNumber: u32,
  rcOrTimeoutMs: u32,
  epoch: safe,
  acknowledgedBelow: safe,
  interfaceVersion: u32,
})
const messages = fc.array(
  fc.record({ header: headers, payload: fc.uint8Array({ maxLength: 40 }) }),
  { minLength: 1, maxLength: 6 },
)

type Message = { header: FrameHeader; payload: Uint8Array }

function encode(list: readonly Message[]): Uint8Array {
  const frames = list.map(({ header, payload }) => {
    const bytes = new Uint8Array(HEADER_SIZE_BYTES + payload.length)
    writeHeader(viewOf(bytes), 0, header, payload.length)
    bytes.set(payload, HEADER_SIZE_BYTES)
    return bytes
  })
  return new Uint8Array(Buffer.concat(frames))
}

/** Parses chunks and gives what came out. */
function parse(chunks: readonly Uint8Array[], sizeMax = 1_000): [Message[], FrameFault | null] {
  const found: Message[] = []
  let fault: FrameFault | null = null
  const parser = new FrameParser(sizeMax, (bytes, view, start, end) => {
    const header = makeFrameHeader()
    if (!readHeader(view, start, header)) return false
    found.push({ header, payload: bytes.slice(start + HEADER_SIZE_BYTES, end) })
    return true
  })
  for (const chunk of chunks) fault ??= parser.push(chunk)
  return [found, fault]
}

describe('frame header', () => {
  it('reads back what was written', () => {
    fc.assert(
      fc.property(headers, fc.integer({ min: 0, max: 30 }), (header, at) => {
        const bytes = new Uint8Array(at + HEADER_SIZE_BYTES)
        writeHeader(viewOf(bytes), at, header, 0)
        const back = makeFrameHeader()
        expect(readHeader(viewOf(bytes), at, back)).toBe(true)
        expect(back).toEqual(header)
      }),
    )
  })

  it('lies on the wire as documented', () => {
    const header = makeFrameHeader()
    Object.assign(header, {
      protocol: PROTOCOL.syncRequest,
      priority: 2,
      flags: 1,
      sourceNode: 0x0102,
      sourcePort: 0x0304,
      destinationNode: 0x0203,
      destinationPort: 0x0105,
      messageId: 2 ** 32 * 6 + 7,
      functionNumber: 20 * 64 + 1,
      rcOrTimeoutMs: 10_000,
      epoch: 2 ** 32 + 9,
      acknowledgedBelow: 8,
      interfaceVersion: 0x01020304,
    })
    const bytes = Buffer.alloc(HEADER_SIZE_BYTES)
    writeHeader(viewOf(bytes), 0, header, 3)
    expect(bytes.toString('hex')).toBe(
      '00000037' + // 52 + 3
        '01100201' +
        '0102' +
        '0304' +
        '0203' +
        '0105' +
        '0000000600000007' +
        '00000501' +
        '00002710' +
        '0000000100000009' +
        '0000000000000008' +
        '01020304',
    )
  })

  it.each([-1, 1.5, 2 ** 53, Number.NaN])('refuses to write %d as a 64-bit field', (epoch) => {
    const bytes = new Uint8Array(HEADER_SIZE_BYTES)
    expect(() => writeHeader(viewOf(bytes), 0, { ...makeFrameHeader(), epoch }, 0)).toThrow(
      RangeError,
    )
  })

  it.each([
    ['priority', 6, 17],
    ['source node', 8, 0x04],
    ['source port', 10, 0xff],
    ['destination node', 12, 0x04],
    ['destination port', 14, 0x04],
    ['message id', 16, 0x80],
    ['epoch', 32, 0x01],
    ['acknowledged below', 41, 0x20],
  ])('refuses a %s out of range', (_name, at, value) => {
    const bytes = new Uint8Array(HEADER_SIZE_BYTES)
    writeHeader(viewOf(bytes), 0, makeFrameHeader(), 0)
    bytes[at] = value
    expect(readHeader(viewOf(bytes), 0, makeFrameHeader())).toBe(false)
  })
})

describe('frame parser', () => {
  it('finds the same frames however the stream is cut', () => {
    fc.assert(
      fc.property(messages, fc.array(fc.nat(), { maxLength: 8 }), (list, cuts) => {
        const bytes = encode(list)
        const at = [0, ...cuts.map((cut) => cut % (bytes.length + 1)), bytes.length]
        at.sort((a, b) => a - b)
        const chunks = at.slice(1).map((end, i) => bytes.slice(at[i], end))
        expect(parse(chunks)).toEqual([list, null])
      }),
    )
  })

  it('finds them at every single cut and byte by byte', () => {
    const payload = new Uint8Array([1, 2, 3])
    const list = [1, 2, 3].map((messageId) => ({
      header: { ...makeFrameHeader(), messageId },
      payload,
    }))
    const bytes = encode(list)
    for (let cut = 0; cut <= bytes.length; cut += 1) {
      expect(parse([bytes.slice(0, cut), bytes.slice(cut)])).toEqual([list, null])
    }
    expect(parse([...bytes].map((byte) => new Uint8Array([byte])))).toEqual([list, null])
  })

  it('hands frames on without copying when they lie in one chunk', () => {
    const bytes = encode([{ header: makeFrameHeader(), payload: new Uint8Array(9) }])
    const seen: Uint8Array[] = []
    new FrameParser(1_000, (chunk) => seen.push(chunk) > 0).push(bytes)
    expect(seen).toEqual([bytes])
    expect(seen[0]).toBe(bytes)
  })

  it('survives any flipped byte: other frames, a fault, or waiting for more', () => {
    const list = [1, 2, 3].map((messageId) => ({
      header: { ...makeFrameHeader(), messageId },
      payload: new Uint8Array(5),
    }))
    const bytes = encode(list)
    fc.assert(
      fc.property(fc.nat(bytes.length - 1), fc.integer({ min: 1, max: 255 }), (at, flip) => {
        const broken = bytes.slice()
        broken[at]! ^= flip
        const [found, fault] = parse([broken])
        expect(found.length).toBeLessThanOrEqual(3)
        if (fault !== null) expect(describeFault(fault)).not.toBe('')
      }),
    )
  })

  it.each([
    ['shorter than a header', [0, 0, 0, 51, 1], { kind: 'tooShort', sizeBytes: 51 }],
    [
      'longer than the limit',
      [0, 0, 3, 233, 1],
      { kind: 'tooLarge', sizeBytes: 1_001, sizeBytesMax: 1_000 },
    ],
    ['of another version', [0, 0, 0, 60, 2], { kind: 'wrongVersion', version: 2 }],
    ['of text', [...Buffer.from('GET / HTTP/1.1')], { kind: 'tooLarge' }],
  ])('refuses bytes %s, in one chunk and byte by byte', (_name, bytes, fault) => {
    expect(parse([new Uint8Array(bytes)])[1]).toMatchObject(fault)
    expect(parse(bytes.map((byte) => new Uint8Array([byte])))[1]).toMatchObject(fault)
  })

  it('tells of each frame whether more of its chunk is behind it', () => {
    const frame = encode([{ header: makeFrameHeader(), payload: new Uint8Array(3) }])
    const chunks = (...cuts: number[]): boolean[] => {
      const seen: boolean[] = []
      const parser: FrameParser = new FrameParser(1_000, () => seen.push(parser.hasMore) > 0)
      const bytes = Buffer.concat([frame, frame, frame])
      ;[...cuts, bytes.length].reduce((from, to) => (parser.push(bytes.subarray(from, to)), to), 0)
      return seen
    }
    const { length } = frame
    expect(chunks()).toEqual([true, true, false])
    expect(chunks(length)).toEqual([false, true, false])
    expect(chunks(length + 1, length * 2)).toEqual([true, false, false])
    expect(chunks(3, length + 9, length * 2)).toEqual([true, false, false])
    expect(chunks(1, length - 1, length + 1)).toEqual([true, true, false])
  })

  it('ignores everything after a fault or after the sink said stop', () => {
    const good = encode([{ header: makeFrameHeader(), payload: new Uint8Array(1) }])
    const [found] = parse([new Uint8Array([0, 0, 0, 1, FRAME_VERSION]), good])
    expect(found).toEqual([])
    let calls = 0
    const parser = new FrameParser(1_000, () => {
      calls += 1
      return false
    })
    parser.push(Buffer.concat([good, good]))
    parser.push(good)
    expect(calls).toBe(1)
    expect(parser.pendingBytes).toBe(0)
  })
})

describe('hello and heartbeat', () => {
  it('reads back a hello', () => {
    const hello = { address: { node: 3, port: 130 }, caller: '0123456789abcdef', name: 'séquence' }
    const bytes = encodeHello(hello)
    const header = makeFrameHeader()
    readHeader(viewOf(bytes), 0, header)
    expect(header.protocol).toBe(PROTOCOL.hello)
    const payload = bytes.subarray(HEADER_SIZE_BYTES)
    expect(tryParseHello(header, payload)).toEqual({
      ...hello,
      monitor: false,
      groupsFollow: false,
      readsTraces: false,
    })
    const monitor = encodeHello({ ...hello, monitor: true, readsTraces: true }).subarray(
      HEADER_SIZE_BYTES,
    )
    expect(tryParseHello(header, monitor)).toEqual({
      ...hello,
      monitor: true,
      groupsFollow: false,
      readsTraces: true,
    })
  })

  it.each([
    ['too short', new Uint8Array(16)],
    ['too long', new Uint8Array(16 + 1 + 256).fill(0x61)],
    ['with a caller id that is not hexadecimal', new Uint8Array(20).fill(0x7a)],
  ])('refuses a hello that is %s', (_name, payload) => {
    expect(tryParseHello(makeFrameHeader(), payload)).toBe(undefined)
  })

  it('refuses an address with a node and no port', () => {
    const payload = new Uint8Array(17).fill(0x61)
    expect(tryParseHello(makeFrameHeader(), payload)).toBeDefined()
    expect(tryParseHello({ ...makeFrameHeader(), sourceNode: 1 }, payload)).toBe(undefined)
  })

  it('cuts a name that is too long', () => {
    const caller = '0123456789abcdef'
    const address = { node: 0, port: 0 }
    const bytes = encodeHello({ address, caller, name: 'n'.repeat(1_000) })
    expect(bytes.length).toBe(HEADER_SIZE_BYTES + 17 + 255)
  })

  it('carries beat and stamp age, cut to its field', () => {
    const header = makeFrameHeader()
    readHeader(
      viewOf(encodeHeartbeat({ source: { node: 2, port: 70 }, beat: 5, stampAgeMs: 12.9 })),
      0,
      header,
    )
    expect(header).toMatchObject({ protocol: 2, sourceNode: 2, sourcePort: 70, messageId: 5 })
    expect(header.functionNumber).toBe(12)
    const old = encodeHeartbeat({ source: { node: 2, port: 70 }, beat: 6, stampAgeMs: 2 ** 40 })
    readHeader(viewOf(old), 0, header)
    expect(header.functionNumber).toBe(2 ** 32 - 1)
  })
})
