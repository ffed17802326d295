import { SdkError } from '../../../idl/index.ts'
import { EVENT_LIMITS } from './interface.ts'

/**
 * Events in the binary form in which they travel, one after the other. The publisher writes it, the subscriber reads
 * it; in between nodes look at the head alone and pass the bytes on.
 *
 * | at | bytes | what |
 * |---|---|---|
 * | 0 | 4 | length of the whole record |
 * | 4 | 1 | {@link RECORD_KIND} |
 * | 5 | 1 | priority, 0 (highest) to 3 |
 * | 6 | 2 | node of the publisher |
 * | 8 | 4 | channel |
 * | 12 | 2 | number of patterns |
 * | 14 | 2 | length of the publisher's name |
 * | 16 | 8 | counter of the publisher's node: with the node the event's id |
 * | 24 | 8 | sequence: events of one life of a node on one global channel, from 1 |
 * | 32 | 8 | publish time, milliseconds since 1970 |
 * | 40 | 8 | retention time, milliseconds |
 * | 48 | 8 | what is left of it, in a copy |
 * | 56 | 2 each | lengths of the patterns; then name (UTF-8), patterns, data |
 *
 * Numbers are big-endian, those of 8 bytes floating point with whole values.
 */
const AT = {
  length: 0,
  kind: 4,
  priority: 5,
  node: 6,
  channel: 8,
  patternCount: 12,
  nameLength: 14,
  counter: 16,
  sequence: 24,
  publishTimeMs: 32,
  retentionMs: 40,
  remainingMs: 48,
} as const
const HEAD_BYTES = 56
const PATTERN_LENGTH_BYTES = 2

export const RECORD_KIND = {
  event: 0,
  /** A retained event, for a node that was not there when it was published. */
  retained: 1,
  /** The last sequence of a channel: earlier events are not for this receiver. */
  mark: 2,
  /** Events that the receiver does not get: `sequence` says how many. */
  lost: 3,
} as const

/** What a publisher says of an event. */
export interface EventContent {
  /** 0 (highest) to 3. */
  readonly priority: number
  readonly retentionMs: number
  readonly publisherName: string
  readonly patterns: readonly Uint8Array[]
  readonly data: Uint8Array
}

/** What the publisher's node adds. */
export interface EventStamp {
  readonly node: number
  readonly channel: number
  readonly counter: number
  readonly sequence: number
  readonly publishTimeMs: number
}

/** Records that came in one message. */
export class Records {
  readonly bytes: Uint8Array
  readonly count: number
  readonly #view: DataView

  /** @throws SdkError MESSAGE_ERROR when the bytes are no records. */
  constructor(bytes: Uint8Array) {
    this.bytes = bytes
    this.#view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)
    let count = 0
    for (let at = 0; at < bytes.byteLength; at = this.after(at)) {
      this.#check(at)
      count += 1
    }
    this.count = count
  }

  /** Where the next record begins. */
  after(at: number): number {
    return at + this.#view.getUint32(at)
  }

  kind(at: number): number {
    return this.#view.getUint8(at + AT.kind)
  }

  priority(at: number): number {
    return this.#view.getUint8(at + AT.priority)
  }

  node(at: number): number {
    return this.#view.getUint16(at + AT.node)
  }

  channel(at: number): number {
    return this.#view.getUint32(at + AT.channel)
  }

  counter(at: number): number {
    return this.#view.getFloat64(at + AT.counter)
  }

  sequence(at: number): number {
    return this.#view.getFloat64(at + AT.sequence)
  }

  publishTimeMs(at: number): number {
    return this.#view.getFloat64(at + AT.publishTimeMs)
  }

  retentionMs(at: number): number {
    return this.#view.getFloat64(at + AT.retentionMs)
  }

  remainingMs(at: number): number {
    return this.#view.getFloat64(at + AT.remainingMs)
  }

  /** Views on the bytes. */
  patterns(at: number): Uint8Array[] {
    const patterns: Uint8Array[] = []
    let from = this.#nameAt(at) + this.#view.getUint16(at + AT.nameLength)
    for (let i = 0; i < this.#patternCount(at); i += 1) {
      const end = from + this.#patternLength(at, i)
      patterns.push(this.bytes.subarray(from, end))
      from = end
    }
    return patterns
  }

  publisherName(at: number): string {
    const from = this.#nameAt(at)
    return decoder.decode(
      this.bytes.subarray(from, from + this.#view.getUint16(at + AT.nameLength)),
    )
  }

  /** A view on the bytes. */
  data(at: number): Uint8Array {
    return this.bytes.subarray(this.#dataAt(at), this.after(at))
  }

  /** Fills in what the publisher's node knows. */
  stamp(at: number, stamp: EventStamp): void {
    const view = this.#view
    view.setUint8(at + AT.kind, RECORD_KIND.event)
    view.setUint16(at + AT.node, stamp.node)
    view.setUint32(at + AT.channel, stamp.channel)
    view.setFloat64(at + AT.counter, stamp.counter)
    view.setFloat64(at + AT.sequence, stamp.sequence)
    view.setFloat64(at + AT.publishTimeMs, stamp.publishTimeMs)
  }

  #nameAt(at: number): number {
    return at + HEAD_BYTES + PATTERN_LENGTH_BYTES * this.#patternCount(at)
  }

  #patternCount(at: number): number {
    return this.#view.getUint16(at + AT.patternCount)
  }

  #patternLength(at: number, i: number): number {
    return this.#view.getUint16(at + HEAD_BYTES + PATTERN_LENGTH_BYTES * i)
  }

  #dataAt(at: number): number {
    let from = this.#nameAt(at) + this.#view.getUint16(at + AT.nameLength)
    for (let i = 0; i < this.#patternCount(at); i += 1) from += this.#patternLength(at, i)
    return from
  }

  #check(at: number): void {
    const room = this.bytes.byteLength - at
    const length = room < HEAD_BYTES ? 0 : this.#view.getUint32(at)
    const fits =
      length >= HEAD_BYTES &&
      length <= room &&
      this.#patternCount(at) <= EVENT_LIMITS.patternCount &&
      this.#nameAt(at) <= at + length &&
      this.#dataAt(at) <= at + length &&
      at + length - this.#dataAt(at) <= EVENT_LIMITS.dataBytes &&
      this.priority(at) <= PRIORITY_LOWEST &&
      Number.isSafeInteger(this.counter(at)) &&
      Number.isSafeInteger(this.sequence(at)) &&
      this.retentionMs(at) >= 0 &&
      this.retentionMs(at) <= EVENT_LIMITS.retentionMs
    if (!fits) throw new SdkError('MESSAGE_ERROR', `byte ${at} begins no event`)
  }
}

/** Events of this priority are delivered last. */
export const PRIORITY_LOWEST = 3

/** Writes records one after the other. */
export class RecordWriter {
  #bytes = new Uint8Array(16_384)
  #view = new DataView(this.#bytes.buffer)
  #length = 0
  #count = 0
  #name = { text: '', bytes: new Uint8Array() }

  get count(): number {
    return this.#count
  }

  get length(): number {
    return this.#length
  }

  /** Adds an event; its node fills in the rest. */
  event({ priority, retentionMs, publisherName, patterns, data }: EventContent): void {
    const name = this.#nameBytes(publisherName)
    const lengths = PATTERN_LENGTH_BYTES * patterns.length
    let body = name.length + data.length
    for (const { length } of patterns) body += length
    const at = this.#begin(RECORD_KIND.event, HEAD_BYTES + lengths + body)
    const view = this.#view
    view.setUint8(at + AT.priority, priority)
    view.setUint16(at + AT.patternCount, patterns.length)
    view.setUint16(at + AT.nameLength, name.length)
    view.setFloat64(at + AT.retentionMs, retentionMs)
    let to = at + HEAD_BYTES
    for (const { length } of patterns) {
      view.setUint16(to, length)
      to += PATTERN_LENGTH_BYTES
    }
    to = this.#put(name, to)
    for (const pattern of patterns) to = this.#put(pattern, to)
    this.#put(data, to)
  }

  mark(channel: number, sequence: number): void {
    this.#bare(RECORD_KIND.mark, channel, sequence)
  }

  lost(channel: number, count: number): void {
    this.#bare(RECORD_KIND.lost, channel, count)
  }

  /** Adds a copy of a retained event. */
  retained(record: Uint8Array, remainingMs: number): void {
    const at = this.#begin(RECORD_KIND.retained, record.length)
    this.#bytes.set(record, at)
    this.#view.setUint8(at + AT.kind, RECORD_KIND.retained)
    this.#view.setFloat64(at + AT.remainingMs, remainingMs)
  }

  /** What was written since it was last asked. */
  take(): Uint8Array {
    const taken = this.#bytes.slice(0, this.#length)
    this.#length = 0
    this.#count = 0
    return taken
  }

  /** A publisher seldom has more than one. */
  #nameBytes(name: string): Uint8Array {
    if (name !== this.#name.text) this.#name = { text: name, bytes: encoder.encode(name) }
    return this.#name.bytes
  }

  #put(part: Uint8Array, to: number): number {
    if (part.length > 0) this.#bytes.set(part, to)
    return to + part.length
  }

  #bare(kind: number, channel: number, sequence: number): void {
    const at = this.#begin(kind, HEAD_BYTES)
    this.#view.setUint32(at + AT.channel, channel)
    this.#view.setFloat64(at + AT.sequence, sequence)
  }

  /** @returns where the record begins; its head is all zeros but length and kind. */
  #begin(kind: number, length: number): number {
    const at = this.#length
    if (at + length > this.#bytes.length) {
      const larger = new Uint8Array(2 * (at + length))
      larger.set(this.#bytes.subarray(0, at))
      this.#bytes = larger
      this.#view = new DataView(larger.buffer)
    }
    this.#bytes.fill(0, at, at + HEAD_BYTES)
    this.#view.setUint32(at, length)
    this.#view.setUint8(at + AT.kind, kind)
    this.#length += length
    this.#count += 1
    return at
  }
}

const encoder = new TextEncoder()
const decoder = new TextDecoder()
