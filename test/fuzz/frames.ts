import {
  encodeHeartbeat,
  encodeHello,
  FLAG,
  HEADER_SIZE_BYTES,
  makeFrameHeader,
  viewOf,
  writeHeader,
} from '../../ioc/internal.ts'
import { encodeGroupMessage, encodeGroups } from '../../ioc/groups.ts'

/** A generator of numbers from one seed (xorshift): the same seed gives the same run. */
export class Chance {
  #state: number

  constructor(seed: number) {
    this.#state = seed | 0 || 1
  }

  /** 0 to `below - 1`. */
  under(below: number): number {
    let x = this.#state
    x ^= x << 13
    x ^= x >>> 17
    x ^= x << 5
    this.#state = x
    return (x >>> 0) % below
  }
}

export const HELLO = encodeHello({
  address: { node: 2, port: 100 },
  caller: '00000000000000aa',
  name: 'fuzz',
})

/** Without those that end a connection by themselves: mutations make enough of them. */
const PROTOCOLS = [0x10, 0x11, 0x12, 0x13, 0x16, 0x17, 0x80, 0x81, 0x0f, 0xff]
const LONG_MESSAGE_BYTES = 1_000
/** Bytes of the header in which most values are legal: protocol, flags, low ends of ids and numbers. */
const LIVELY_BYTES = [
  5, 7, 9, 11, 13, 15, 21, 22, 23, 24, 26, 27, 28, 30, 31, 38, 39, 46, 47, 48, 51,
]

/** Well-formed frames of every kind: what mutations start from. */
export function seedFrames(chance: Chance): Uint8Array[] {
  const frames = [
    encodeGroups([]),
    encodeGroups(['news', 'weather']),
    encodeHeartbeat({ source: { node: 2, port: 100 }, beat: 3, stampAgeMs: 9 }),
  ]
  for (const protocol of PROTOCOLS) {
    for (const flags of [0, FLAG.atMostOnce, FLAG.oneWay, FLAG.notRun, FLAG.trace]) {
      frames.push(frame(chance, protocol, flags, bytes(chance, chance.under(60))))
    }
    const grouped = encodeGroupMessage('news', bytes(chance, chance.under(40)))
    frames.push(frame(chance, protocol, FLAG.group, grouped))
  }
  for (const flags of [FLAG.fragment, FLAG.fragment | FLAG.group]) {
    for (let id = 1; id <= 4; id += 1) frames.push(...pieces(chance, flags, id))
  }
  return frames
}

/** Copies a frame to `at`, most of the time with something wrong in it. @returns its new length. */
export function mutateInto(
  target: Uint8Array,
  at: number,
  source: Uint8Array,
  chance: Chance,
): number {
  target.set(source, at)
  const kind = chance.under(1_000)
  if (kind < 400) return source.length // as it is: state must build up too
  if (kind < 402) return chance.under(source.length + 1) // cut short: framing is lost
  if (kind < 404) {
    target[at + chance.under(5)] = chance.under(256) // length or version
    return source.length
  }
  if (kind < 410) {
    target[at + 5 + chance.under(47)]! ^= 1 << chance.under(8) // anywhere in the header
    return source.length
  }
  const flips = 1 + chance.under(3)
  for (let i = 0; i < flips; i += 1) {
    const inPayload = source.length > 52 && kind >= 500
    const offset = inPayload
      ? 52 + chance.under(source.length - 52)
      : LIVELY_BYTES[chance.under(LIVELY_BYTES.length)]!
    target[at + offset]! ^= 1 << chance.under(8)
  }
  return source.length
}

function pieces(chance: Chance, flags: number, messageId: number): Uint8Array[] {
  const message = encodeGroupMessage('news', bytes(chance, LONG_MESSAGE_BYTES))
  const found: Uint8Array[] = []
  for (let offset = 0; offset < message.length; offset += 250) {
    const piece = message.subarray(offset, offset + 250)
    const body = new Uint8Array(8 + piece.length)
    viewOf(body).setUint32(0, message.length)
    viewOf(body).setUint32(4, offset)
    body.set(piece, 8)
    found.push(frame(chance, 0x80, flags, body, messageId))
  }
  return found
}

function frame(
  chance: Chance,
  protocol: number,
  flags: number,
  payload: Uint8Array,
  messageId = 1 + chance.under(1_000),
): Uint8Array {
  const whole = new Uint8Array(HEADER_SIZE_BYTES + payload.length)
  const header = { ...makeFrameHeader(), protocol, flags, messageId }
  header.priority = chance.under(17)
  header.sourceNode = 2
  header.sourcePort = 100
  header.rcOrTimeoutMs = chance.under(10_000)
  header.functionNumber = 20 * 64 + chance.under(64)
  header.acknowledgedBelow = chance.under(1_000)
  writeHeader(viewOf(whole), 0, header, payload.length)
  whole.set(payload, HEADER_SIZE_BYTES)
  return whole
}

const bytes = (chance: Chance, length: number): Uint8Array =>
  new Uint8Array(length).map(() => chance.under(256))
