import type { IocAddress } from './address.ts'

/**
 * The frame: a header of fixed size, big-endian, then the payload. This file imports nothing at run time, so that a
 * watchdog thread can load it alone. Layout (offset, size, field):
 *
 * | 0 u32 length of the whole frame | 4 u8 version | 5 u8 protocol | 6 u8 priority | 7 u8 flags |
 * | 8 u16 + 10 u16 source node, port | 12 u16 + 14 u16 destination node, port | 16 u64 message id |
 * | 24 u32 function number | 28 u32 return code (replies) or time left in ms (requests) |
 * | 32 u64 epoch | 40 u64 acknowledged below | 48 u32 interface version |
 *
 * The 64-bit fields hold safe integers: the upper eleven bits are zero, anything else is malformed.
 */

/** Version of the layout; a frame of another version closes the connection. */
export const FRAME_VERSION = 1

/** Bytes before the payload. */
export const HEADER_SIZE_BYTES = 52

/** Protocol ids: first the IOC-internal ones, then those of RMD. SAFplus EO, section 3.9. */
export const PROTOCOL = {
  hello: 0x01,
  heartbeat: 0x02,
  goodbye: 0x03,
  /** The groups that the sender is a member of; replaces what it said before. */
  groups: 0x04,
  syncRequest: 0x10,
  syncReply: 0x11,
  asyncRequest: 0x12,
  asyncReply: 0x13,
  acknowledge: 0x16,
  ordered: 0x17,
  /** One item of a stream of replies; the stream ends with a reply. */
  streamItem: 0x1a,
  /** The caller of a stream takes bytes of items up to `acknowledgedBelow`, counted from its start. */
  streamCredit: 0x1b,
  /** The caller waits for a call no more. */
  cancel: 0x1c,
} as const

/** Protocol ids that programs use for messages of their own, beside RMD; 0xff is none. SAFplus EO, section 3.9. */
export const USER_PROTOCOL = { first: 0x80, last: 0xfe } as const

/** Bits of the flags byte. */
export const FLAG = {
  /** The callee runs the call at most once. */
  atMostOnce: 0x01,
  /** No reply is wanted. */
  oneWay: 0x02,
  /** One piece of a longer message: the payload starts with u32 total size and u32 offset. */
  fragment: 0x04,
  /** On an error reply: the callee did not run the call. */
  notRun: 0x08,
  /** Sent to a multicast group: the message starts with a u8 length and the group's name. */
  group: 0x10,
  /** On a request: the caller takes a stream of replies. */
  stream: 0x20,
  /** On a request: it carries a trace, see `rmd/trace.ts`. Only to peers whose hello says that they read it. */
  trace: 0x40,
  /** On an at-most-once request: an earlier copy may have run, so a callee that has forgotten it must not run this. */
  again: 0x80,
} as const

/** Bytes at the start of a fragment's payload: total size and offset, u32 each. */
export const FRAGMENT_PREFIX_BYTES = 8

/** Highest node and port number. SAFplus IOC, section 4.1. */
export const ADDRESS_NUMBER_MAX = 1023
/** Highest priority on the wire. SAFplus IOC, section 4.2. */
export const WIRE_PRIORITY_MAX = 16
/** Longest name in a hello, bytes of UTF-8. */
export const HELLO_NAME_BYTES_MAX = 255

const U32 = 0x1_0000_0000
const UPPER_MAX = 0x1f_ffff
const CALLER_DIGITS = 16
const MONITOR_BIT = 0x01
const GROUPS_BIT = 0x02
const TRACES_BIT = 0x04

/** The header's fields in a mutable object that is filled again and again: no allocation a frame. */
export interface FrameHeader {
  protocol: number
  priority: number
  flags: number
  sourceNode: number
  sourcePort: number
  destinationNode: number
  destinationPort: number
  messageId: number
  functionNumber: number
  /** A reply's return code; a request's time left in ms. */
  rcOrTimeoutMs: number
  epoch: number
  acknowledgedBelow: number
  /** 0: unspecified. */
  interfaceVersion: number
}

/** A header with every field 0. */
export const makeFrameHeader = (): FrameHeader => ({
  protocol: 0,
  priority: 0,
  flags: 0,
  sourceNode: 0,
  sourcePort: 0,
  destinationNode: 0,
  destinationPort: 0,
  messageId: 0,
  functionNumber: 0,
  rcOrTimeoutMs: 0,
  epoch: 0,
  acknowledgedBelow: 0,
  interfaceVersion: 0,
})

/** A view for {@link writeHeader} and {@link readHeader}: four times as fast as single bytes. */
export const viewOf = (bytes: Uint8Array): DataView =>
  new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)

/** Writes the header of a frame with `payloadBytes` of payload at `at`. 64-bit fields must be safe integers. */
export function writeHeader(
  view: DataView,
  at: number,
  header: Readonly<FrameHeader>,
  payloadBytes: number,
): void {
  view.setUint32(at, HEADER_SIZE_BYTES + payloadBytes)
  const kind = (header.protocol << 16) | (header.priority << 8) | header.flags
  view.setUint32(at + 4, (FRAME_VERSION << 24) | kind)
  view.setUint32(at + 8, (header.sourceNode << 16) | header.sourcePort)
  view.setUint32(at + 12, (header.destinationNode << 16) | header.destinationPort)
  writeU64(view, at + 16, header.messageId)
  view.setUint32(at + 24, header.functionNumber)
  view.setUint32(at + 28, header.rcOrTimeoutMs)
  writeU64(view, at + 32, header.epoch)
  writeU64(view, at + 40, header.acknowledgedBelow)
  view.setUint32(at + 48, header.interfaceVersion)
}

/**
 * Reads the header at `at` into `header`.
 * @returns false when a field is out of range: the bytes are no frame of ours.
 */
export function readHeader(view: DataView, at: number, header: FrameHeader): boolean {
  const kind = view.getUint32(at + 4)
  header.protocol = (kind >>> 16) & 0xff
  header.priority = (kind >>> 8) & 0xff
  header.flags = kind & 0xff
  header.sourceNode = view.getUint16(at + 8)
  header.sourcePort = view.getUint16(at + 10)
  header.destinationNode = view.getUint16(at + 12)
  header.destinationPort = view.getUint16(at + 14)
  header.messageId = readU64(view, at + 16)
  header.functionNumber = view.getUint32(at + 24)
  header.rcOrTimeoutMs = view.getUint32(at + 28)
  header.epoch = readU64(view, at + 32)
  header.acknowledgedBelow = readU64(view, at + 40)
  header.interfaceVersion = view.getUint32(at + 48)
  return (
    header.priority <= WIRE_PRIORITY_MAX &&
    header.sourceNode <= ADDRESS_NUMBER_MAX &&
    header.sourcePort <= ADDRESS_NUMBER_MAX &&
    header.destinationNode <= ADDRESS_NUMBER_MAX &&
    header.destinationPort <= ADDRESS_NUMBER_MAX &&
    header.messageId >= 0 &&
    header.epoch >= 0 &&
    header.acknowledgedBelow >= 0
  )
}

/** The node that sent a frame, from its first bytes; undefined when they are too few. */
export const readSourceNode = (bytes: Uint8Array): number | undefined =>
  bytes.length < 10 ? undefined : viewOf(bytes).getUint16(8)

/** What a peer says about itself in its first frame. */
export interface Hello {
  /** Where it listens; `{ node: 0, port: 0 }` when nowhere. */
  readonly address: IocAddress
  /** 16 hex digits: one life of one program. */
  readonly caller: string
  readonly name: string
  /** True: the connection carries heartbeats only. It is no way to reach the sender and no presence. */
  readonly monitor?: boolean
  /** True: a frame with the sender's groups follows. False: it is in none, until it says otherwise. */
  readonly groupsFollow?: boolean
  /** True: the sender reads requests with {@link FLAG.trace}. Builds that do not know traces do not say so. */
  readonly readsTraces?: boolean
}

/** A whole hello frame. Longer names than {@link HELLO_NAME_BYTES_MAX} are cut. */
export function encodeHello(hello: Hello): Uint8Array {
  const name = new TextEncoder().encode(hello.name).subarray(0, HELLO_NAME_BYTES_MAX)
  const size = CALLER_DIGITS + 1 + name.length
  const bytes = new Uint8Array(HEADER_SIZE_BYTES + size)
  const header = makeFrameHeader()
  header.protocol = PROTOCOL.hello
  header.sourceNode = hello.address.node
  header.sourcePort = hello.address.port
  writeHeader(viewOf(bytes), 0, header, size)
  for (let i = 0; i < CALLER_DIGITS; i += 1) {
    bytes[HEADER_SIZE_BYTES + i] = hello.caller.charCodeAt(i)
  }
  bytes[HEADER_SIZE_BYTES + CALLER_DIGITS] =
    (hello.monitor === true ? MONITOR_BIT : 0) |
    (hello.groupsFollow === true ? GROUPS_BIT : 0) |
    (hello.readsTraces === true ? TRACES_BIT : 0)
  bytes.set(name, HEADER_SIZE_BYTES + CALLER_DIGITS + 1)
  return bytes
}

/** Reads a hello's payload; undefined when it has not the shape of one. */
export function tryParseHello(
  header: Readonly<FrameHeader>,
  payload: Uint8Array,
): Required<Hello> | undefined {
  if (payload.length < CALLER_DIGITS + 1) return undefined
  if (payload.length > CALLER_DIGITS + 1 + HELLO_NAME_BYTES_MAX) return undefined
  const decoder = new TextDecoder()
  const caller = decoder.decode(payload.subarray(0, CALLER_DIGITS))
  if (!/^[0-9a-f]{16}$/.test(caller)) return undefined
  if ((header.sourceNode === 0) !== (header.sourcePort === 0)) return undefined
  return {
    address: { node: header.sourceNode, port: header.sourcePort },
    caller,
    name: decoder.decode(payload.subarray(CALLER_DIGITS + 1)),
    monitor: (payload[CALLER_DIGITS]! & MONITOR_BIT) !== 0,
    groupsFollow: (payload[CALLER_DIGITS]! & GROUPS_BIT) !== 0,
    readsTraces: (payload[CALLER_DIGITS]! & TRACES_BIT) !== 0,
  }
}

/** One beat of a watchdog; see docs/architecture.md, "Liveness". */
export interface Heartbeat {
  /** Address of the component that the watchdog belongs to. */
  readonly source: IocAddress
  /** Number of the beat, from 1. */
  readonly beat: number
  /** Age of the judged thread's progress stamp in ms, cut at 2^32 - 1. */
  readonly stampAgeMs: number
}

/** A whole heartbeat frame. */
export function encodeHeartbeat(heartbeat: Heartbeat): Uint8Array {
  const bytes = new Uint8Array(HEADER_SIZE_BYTES)
  const header = makeFrameHeader()
  header.protocol = PROTOCOL.heartbeat
  header.sourceNode = heartbeat.source.node
  header.sourcePort = heartbeat.source.port
  header.messageId = heartbeat.beat
  header.functionNumber = Math.min(U32 - 1, Math.max(0, Math.floor(heartbeat.stampAgeMs)))
  writeHeader(viewOf(bytes), 0, header, 0)
  return bytes
}

/** -1 when the number is not a safe integer. */
function readU64(view: DataView, at: number): number {
  const upper = view.getUint32(at)
  return upper > UPPER_MAX ? -1 : upper * U32 + view.getUint32(at + 4)
}

function writeU64(view: DataView, at: number, value: number): void {
  if (!Number.isSafeInteger(value) || value < 0)
    throw new RangeError(`not a safe integer: ${value}`)
  view.setUint32(at, value / U32)
  view.setUint32(at + 4, value)
}
