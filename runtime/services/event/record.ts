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
  /** A retained event of a node that went away and may come back: for later subscribers only, until it does. */
  kept: 4,
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

/** Adjacent records of one message. */
export interface RecordRange {
  readonly start: number
  readonly end: number
  readonly count: number
  /** Of all of them; null: they differ. */
  readonly priority: number | null
}

/** Where the patterns of one record stand in the bytes of its message. Used again for the next record. */
export interface PatternSpans {
  readonly bytes: Uint8Array
  readonly count: number
  readonly starts: Readonly<Uint32Array>
  readonly ends: Readonly<Uint32Array>
}

/** Records that came in one message. */
export class Records {
  readonly bytes: Uint8Array
  /** All of them. */
  readonly whole: RecordRange
  /** How many of them have a retention time. */
  readonly retainedCount: number
  readonly #view: DataView
  #spans: { bytes: Uint8Array; count: number; starts: Uint32Array; ends: Uint32Array } | null = null

  /** @throws SdkError MESSAGE_ERROR when the bytes are no records. */
  constructor(bytes: Uint8Array) {
    this.bytes = bytes
    this.#view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)
    const end = bytes.byteLength
    let count = 0
    let retainedCount = 0
    let priority: number | null = null
    let isMixed = false
    for (let at = 0; at < end; at = this.after(at)) {
      this.#check(at)
      count += 1
      if (this.retentionMs(at) > 0) retainedCount += 1
      const own = this.priority(at)
      if (priority !== null && own !== priority) isMixed = true
      priority = own
    }
    this.whole = { start: 0, end, count, priority: isMixed ? null : priority }
    this.retainedCount = retainedCount
  }

  get count(): number {
    return this.whole.count
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

  /** One record. */
  one(at: number): RecordRange {
    return { start: at, end: this.after(at), count: 1, priority: this.priority(at) }
  }

  /**
   * The longest range from `at` of events of one channel with consecutive sequences and without a retention time; null
   * when the record there is none of these.
   */
  plainRange(at: number): RecordRange | null {
    if (!this.#isPlain(at)) return null
    const [channel, priority] = [this.channel(at), this.priority(at)]
    let sequence = this.sequence(at)
    let [count, isMixed, end] = [1, false, this.after(at)]
    while (end < this.bytes.byteLength && this.#isPlain(end)) {
      if (this.channel(end) !== channel || this.sequence(end) !== ++sequence) break
      if (this.priority(end) !== priority) isMixed = true
      count += 1
      end = this.after(end)
    }
    return { start: at, end, count, priority: isMixed ? null : priority }
  }

  /** The range without its first records. */
  without(range: RecordRange, count: number): RecordRange {
    let { start } = range
    for (let i = 0; i < count; i += 1) start = this.after(start)
    return { ...range, start, count: range.count - count }
  }

  /** Views on the bytes. */
  patterns(at: number): Uint8Array[] {
    const { bytes, count, starts, ends } = this.patternSpans(at)
    return Array.from({ length: count }, (_, i) => bytes.subarray(starts[i], ends[i]))
  }

  /** Valid until it is asked for those of another record. */
  patternSpans(at: number): PatternSpans {
    this.#spans ??= {
      bytes: this.bytes,
      count: 0,
      starts: new Uint32Array(EVENT_LIMITS.patternCount),
      ends: new Uint32Array(EVENT_LIMITS.patternCount),
    }
    const spans = this.#spans
    const count = this.#patternCount(at)
    spans.count = count
    let from = this.#nameAt(at) + this.#view.getUint16(at + AT.nameLength)
    for (let i = 0; i < count; i += 1) {
      spans.starts[i] = from
      from += this.#patternLength(at, i)
      spans.ends[i] = from
    }
    return spans
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

  /** Fills in what the publisher's node knows: of the first record, the others count on from there. */
  stamp({ node, channel, counter, sequence, publishTimeMs }: EventStamp): void {
    const view = this.#view
    const end = this.bytes.byteLength
    for (let at = 0, i = 0; at < end; at = this.after(at), i += 1) {
      view.setUint8(at + AT.kind, RECORD_KIND.event)
      view.setUint16(at + AT.node, node)
      view.setUint32(at + AT.channel, channel)
      view.setFloat64(at + AT.counter, counter + i)
      view.setFloat64(at + AT.sequence, sequence + i)
      view.setFloat64(at + AT.publishTimeMs, publishTimeMs)
    }
  }

  #isPlain(at: number): boolean {
    return this.kind(at) === RECORD_KIND.event && this.retentionMs(at) === 0
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

  /** Adds a copy of a retained event. @param kind - `retained` or `kept`. */
  retained(record: Uint8Array, remainingMs: number, kind: number): void {
    const at = this.#begin(kind, record.length)
    this.#bytes.set(record, at)
    this.#view.setUint8(at + AT.kind, kind)
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
    const view = this.#view
    for (let to = at; to < at + HEAD_BYTES; to += 8) view.setFloat64(to, 0)
    view.setUint32(at, length)
    view.setUint8(at + AT.kind, kind)
    this.#length += length
    this.#count += 1
    return at
  }
}

const encoder = new TextEncoder()
const decoder = new TextDecoder()
