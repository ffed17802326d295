// Longer than usual: what arrives and what leaves on one connection share its state, its limits and its end.
import type { IocAddress } from './address.ts'
import type {
  ConnectionEvents,
  ConnectionFault,
  ConnectionSetup,
  SendOutcome,
} from './connection-events.ts'
import {
  FLAG,
  FRAGMENT_PREFIX_BYTES,
  type FrameHeader,
  HEADER_SIZE_BYTES,
  type Hello,
  makeFrameHeader,
  PROTOCOL,
  readHeader,
  tryParseHello,
  viewOf,
} from './frame.ts'
import { describeFault, FrameParser } from './frame-parser.ts'
import { tryParseGroups, trySplitGroupMessage } from './groups.ts'
import { Lane, laneOf, LANES } from './lane.ts'
import type { IocLimits } from './limits.ts'
import { Reassembler } from './reassembler.ts'
import type { ConnectionStatistics } from './statistics.ts'
import type { Link, LinkFailure } from './transport/transport.ts'

const PREFIX_SIZE = FRAGMENT_PREFIX_BYTES
/** Replies may pass the bound of the send queue by this factor before they are dropped. */
const REPLY_QUEUE_FACTOR = 2
/** Bytes of one write, and of one piece of a long message: how long another lane waits at most. */
const WRITE_SIZE_BYTES_MAX = 256 * 1024
/** Frames of one tick that leave before it ends; then twice as many, and so on: few writes, and the peer has work. */
const EARLY_FRAME_COUNT = 8
/** Function number of a goodbye: the port takes no more connections. */
const GOODBYE_NO_ROOM = 1
const SPECIAL_FLAGS = FLAG.fragment | FLAG.group

/**
 * One connection to a peer: its parser, its send queue, what the peer said in its hello.
 *
 * I1 The first frame in each direction is a hello; anything else closes the connection.
 * I2 At most one write of the link is unfinished; later frames collect in their lanes.
 * I3 What waits in one lane never passes its bound by more than one message.
 */
export class Connection {
  readonly dialed: IocAddress | null
  readonly sinceMs: number
  readonly #link: Link
  readonly #limits: IocLimits
  readonly #events: ConnectionEvents
  readonly #nowMs: () => number
  readonly #parser: FrameParser
  readonly #header = makeFrameHeader()
  readonly #lanes: readonly Lane[] = LANES.map((name) => new Lane(name))
  #reassembler: Reassembler | null = null
  #peer: Required<Hello> | null = null
  #linkOpen = false
  #closed = false
  #ending = false
  #flushScheduled = false
  /** Frames queued since the last write of this tick, and how many there may be. */
  #unwrittenCount = 0
  #unwrittenCountMax = EARLY_FRAME_COUNT
  /** The lane whose write is unfinished. */
  #writing: Lane | null = null
  /** What came before the end, where the link itself knows of nothing. */
  #why: LinkFailure | null = null
  #handedBytes = 0
  #pausedMs = 0
  #receivedMs = 0
  #framesIn = 0
  #bytesIn = 0
  #framesOut = 0
  #refusedCount = 0
  #queuedBytesHigh = 0

  /** The peer's groups; null while they are not known. */
  peerGroups: ReadonlySet<string> | null = null
  /** Place of the message that was sent last, in its lane: for {@link hasHanded}. */
  lastPlace = 0

  /** Highest `acknowledgedBelow` sent on this connection, and the highest id that is to be below it. For RMD. */
  acknowledgedBelow = 0
  acknowledgeOwed = 0

  constructor(setup: ConnectionSetup) {
    this.#link = setup.link
    this.#limits = setup.limits
    this.#events = setup.events
    this.#nowMs = setup.nowMs
    this.dialed = setup.dialed
    this.sinceMs = setup.nowMs()
    this.#parser = new FrameParser(setup.limits.frameSizeBytesMax, this.#onFrame)
    // In the lane that leaves first: nothing may overtake it.
    const first = this.#lanes[0]!
    first.outbox.appendRaw(setup.hello)
    first.acceptedBytes = setup.hello.length
    setup.link.start({
      onOpen: () => {
        this.#linkOpen = true
        this.#flush()
        this.#events.onLinkOpen(this)
      },
      onData: (chunk) => {
        this.#receivedMs = this.#nowMs()
        this.#bytesIn += chunk.length
        if (!this.usable) return
        const fault = this.#parser.push(chunk)
        if (fault !== null) this.fail(fault)
      },
      onWritten: () => {
        this.#onWritten()
      },
      onClose: (cause) => {
        this.#closed = true
        this.#events.onClose(this, cause ?? this.#why ?? this.#closedEarly())
        for (const lane of this.#lanes) this.#resume(lane)
      },
    })
  }

  /** A listener that ends a connection before its hello does not want this side. */
  #closedEarly(): LinkFailure | null {
    const { dialed } = this
    if (dialed === null || this.#peer !== null || !this.#linkOpen || this.#ending) return null
    const at = `${dialed.node}:${dialed.port}`
    return {
      kind: 'broken',
      message: `${at} ended the connection before its hello: its log says why`,
    }
  }

  /** When the chunk that is being read arrived: one look at the clock for all its frames. */
  get receivedMs(): number {
    return this.#receivedMs
  }

  /** Whether more came with the message that is being handed on, and is handed on next. */
  get hasMore(): boolean {
    return this.#parser.hasMore
  }

  /** What the peer said; null before its hello. */
  get peer(): Required<Hello> | null {
    return this.#peer
  }

  /** Connected on the transport's level. */
  get linkOpen(): boolean {
    return this.#linkOpen && !this.#closed
  }

  /** False once it is closed or closing: nothing more can be sent. */
  get usable(): boolean {
    return !this.#closed && !this.#ending
  }

  /** Bytes that wait or are on their way into the transport. */
  get queuedBytes(): number {
    let bytes = 0
    for (const lane of this.#lanes) bytes += lane.queuedBytes
    return bytes
  }

  /** Bytes given to the transport. */
  get handedBytes(): number {
    return this.#handedBytes
  }

  /** Whether a message, by its lane and its place there, may have reached the peer. */
  hasHanded(lane: number, place: number): boolean {
    return this.#lanes[lane]!.handedBytes >= place
  }

  /** Counters since the connection was made. */
  statistics(): ConnectionStatistics {
    return {
      framesIn: this.#framesIn,
      bytesIn: this.#bytesIn,
      framesOut: this.#framesOut,
      bytesOut: this.#handedBytes,
      refusedCount: this.#refusedCount,
      queuedBytes: this.queuedBytes,
      queuedBytesHigh: this.#queuedBytesHigh,
    }
  }

  /**
   * Queues one message. What is queued in one tick leaves in few writes: when 8, 16, 32... more frames wait, and at its
   * end. So the peer works on the first ones while this side makes the others.
   */
  send(header: FrameHeader, payload: Uint8Array): SendOutcome {
    return this.#send(header, payload, false)
  }

  /** As {@link send}, with more room in the queue: a reply that is dropped costs more than a request refused. */
  sendReply(header: FrameHeader, payload: Uint8Array): SendOutcome {
    return this.#send(header, payload, true)
  }

  /** Queues a whole control frame, ahead of messages. A peer that lets too many of them wait is given up. */
  sendControl(frame: Uint8Array): void {
    if (!this.usable) return
    const lane = this.#lanes[0]!
    if (lane.queuedBytes > this.#limits.sendQueueBytesMax * REPLY_QUEUE_FACTOR) {
      this.destroy()
      return
    }
    lane.outbox.appendRaw(frame)
    lane.acceptedBytes += frame.length
    this.#framesOut += 1
    this.#scheduleFlush()
  }

  /**
   * Closes an accepted connection for which there is no room, and says so: hello and a goodbye with the reason leave as
   * soon as the link is open. Nothing that arrives is looked at.
   */
  turnAway(): void {
    this.#appendGoodbye(GOODBYE_NO_ROOM)
    this.#ending = true
  }

  /** Closes because of what the peer did. */
  fail(fault: ConnectionFault): void {
    if (!this.usable) return
    this.#ending = true
    const message = `the connection was closed: ${describeConnectionFault(fault)}`
    this.#why = { kind: 'broken', message }
    this.#events.onFault(this, fault)
    this.#link.destroy()
  }

  /** Orderly close: what is queued leaves, then a goodbye. */
  end(): void {
    if (!this.usable) return
    if (!this.#linkOpen) {
      this.destroy()
      return
    }
    this.#appendGoodbye(0)
    this.#ending = true
    this.#flush()
  }

  /** The last frame of the last lane that has any: it overtakes nothing. */
  #appendGoodbye(reason: number): void {
    const header = makeFrameHeader()
    header.protocol = PROTOCOL.goodbye
    header.functionNumber = reason
    const last = this.#lanes.findLast((lane) => lane.outbox.length > 0) ?? this.#lanes.at(-1)!
    last.outbox.append(header, NO_BYTES)
  }

  /** Closes at once. */
  destroy(): void {
    this.#ending = true
    this.#link.destroy()
  }

  /**
   * Closes for an incomplete message that grew too old, and for a stranger that says no hello. One to whom this side
   * has connected may be busy for as long as its callers wait.
   * @param pausedMs - for which this process stood still since the last sweep: nobody else is to blame for that.
   */
  sweep(nowMs: number, pausedMs: number): void {
    const { helloTimeoutMs, partialAgeMsMax } = this.#limits
    this.#pausedMs += pausedMs
    if (this.#reassembler?.hasStale(nowMs, pausedMs) === true) {
      const detail = `the rest of a long message did not come for ${partialAgeMsMax} ms`
      this.fail({ kind: 'fragment', detail })
    }
    if (this.#peer !== null || this.dialed !== null) return
    if (nowMs - this.sinceMs - this.#pausedMs <= helloTimeoutMs) return
    this.fail({ kind: 'noHello', detail: `no hello in ${helloTimeoutMs} ms` })
  }

  #send(header: FrameHeader, payload: Uint8Array, isReply: boolean): SendOutcome {
    if (this.#closed || this.#ending) return 'closed'
    if (payload.length > this.#limits.messageSizeBytesMax) return 'tooBig'
    const lane = this.#lanes[laneOf(header.protocol, header.priority)]!
    const size = HEADER_SIZE_BYTES + payload.length
    const { outbox } = lane
    const before = outbox.length
    const queued = before + lane.inFlightBytes + size
    if (!this.#hasRoom(lane, queued, size, isReply)) return this.#refuse(lane)
    if (size <= this.#limits.frameSizeBytesMax) {
      outbox.append(header, payload)
      this.#framesOut += 1
    } else this.#appendFragments(lane, header, payload)
    lane.acceptedBytes += outbox.length - before
    this.lastPlace = lane.acceptedBytes
    if (queued > this.#queuedBytesHigh) this.#queuedBytesHigh = queued
    this.#scheduleFlush()
    return 'sent'
  }

  #scheduleFlush(): void {
    if (!this.#flushScheduled) {
      this.#flushScheduled = true
      this.#unwrittenCount = 1
      this.#unwrittenCountMax = EARLY_FRAME_COUNT
      process.nextTick(this.#onTick)
      return
    }
    this.#unwrittenCount += 1
    if (this.#unwrittenCount < this.#unwrittenCountMax) return
    this.#unwrittenCount = 0
    this.#unwrittenCountMax *= 2
    this.#flush()
  }

  #hasRoom(lane: Lane, queued: number, size: number, isReply: boolean): boolean {
    const { sendQueueBytesMax } = this.#limits
    if (isReply) return queued === size || queued <= sendQueueBytesMax * REPLY_QUEUE_FACTOR
    return !lane.blocked && (queued === size || queued <= sendQueueBytesMax)
  }

  #refuse(lane: Lane): 'full' {
    this.#refusedCount += 1
    if (!lane.blocked) {
      lane.blocked = true
      this.#events.onFlow(this, lane.name, 'blocked')
    }
    return 'full'
  }

  #appendFragments(lane: Lane, header: FrameHeader, payload: Uint8Array): void {
    const frameSizeBytes = Math.min(this.#limits.frameSizeBytesMax, WRITE_SIZE_BYTES_MAX)
    const pieceMax = frameSizeBytes - HEADER_SIZE_BYTES - PREFIX_SIZE
    const flags = header.flags
    header.flags = flags | FLAG.fragment
    for (let offset = 0; offset < payload.length; offset += pieceMax) {
      const prefix = new Uint8Array(PREFIX_SIZE)
      const view = viewOf(prefix)
      view.setUint32(0, payload.length)
      view.setUint32(4, offset)
      lane.outbox.appendPrefixed(header, prefix, payload.subarray(offset, offset + pieceMax))
      this.#framesOut += 1
    }
    header.flags = flags
  }

  readonly #onTick = (): void => {
    this.#flushScheduled = false
    this.#flush()
  }

  #onWritten(): void {
    const lane = this.#writing
    if (lane === null) return
    this.#writing = null
    lane.inFlightBytes = 0
    this.#maybeResume(lane)
    this.#flush()
  }

  /** Hands over what waits, lane by lane, a write at a time, as long as the transport takes it. */
  #flush(): void {
    if (!this.#linkOpen) return
    for (const lane of this.#lanes) {
      const { outbox } = lane
      while (outbox.length > 0) {
        if (this.#closed || this.#writing !== null) return
        const length = outbox.headLength(WRITE_SIZE_BYTES_MAX)
        lane.handedBytes += length
        this.#handedBytes += length
        const done = this.#link.write(outbox.head(length))
        outbox.consume(length, done)
        if (done) this.#maybeResume(lane)
        else {
          this.#writing = lane
          lane.inFlightBytes = length
        }
      }
    }
    if (this.#ending && !this.#closed && this.#writing === null) this.#link.end()
  }

  #maybeResume(lane: Lane): void {
    if (this.#ending || lane.queuedBytes > this.#limits.sendQueueBytesLow) return
    this.#resume(lane)
  }

  /** Tells who waits for room: also when the connection is gone, for the next send connects anew or says why not. */
  #resume(lane: Lane): void {
    if (!lane.blocked) return
    lane.blocked = false
    this.#events.onFlow(this, lane.name, 'resumed')
  }

  readonly #onFrame = (bytes: Uint8Array, view: DataView, start: number, end: number): boolean => {
    const header = this.#header
    if (!readHeader(view, start, header)) {
      this.fail({ kind: 'malformed', detail: 'a header field is out of range' })
      return false
    }
    const at = start + HEADER_SIZE_BYTES
    // A plain view: `subarray` of a Buffer makes a Buffer, at twice the cost.
    const payload = new Uint8Array(bytes.buffer, bytes.byteOffset + at, end - at)
    this.#framesIn += 1
    if (this.#peer === null) return this.#onFirstFrame(payload)
    if ((header.flags & SPECIAL_FLAGS) !== 0) return this.#onSpecial(payload)
    if (header.protocol > PROTOCOL.groups) this.#events.onMessage(this, header, payload)
    else this.#onControl(payload)
    return this.usable
  }

  #onControl(payload: Uint8Array): void {
    const header = this.#header
    if (header.protocol === PROTOCOL.heartbeat) this.#onHeartbeat(header)
    else if (header.protocol === PROTOCOL.hello) {
      this.fail({ kind: 'malformed', detail: 'a second hello' })
    } else if (header.protocol === PROTOCOL.goodbye && header.functionNumber === GOODBYE_NO_ROOM) {
      const { node, port } = this.#peer!.address
      const message = `${node}:${port} has as many connections as it takes`
      this.#why = { kind: 'busy', message }
    } else if (header.protocol === PROTOCOL.groups) {
      const groups = tryParseGroups(payload, this.#limits.groupCountMax)
      if (groups !== undefined) this.peerGroups = groups
      else this.fail({ kind: 'malformed', detail: 'a list of groups that is none, or too long' })
    }
  }

  #onFirstFrame(payload: Uint8Array): boolean {
    const hello =
      this.#header.protocol === PROTOCOL.hello ? tryParseHello(this.#header, payload) : undefined
    if (hello === undefined) {
      this.fail({ kind: 'noHello', detail: 'the first frame is no hello' })
      return false
    }
    const { dialed } = this
    if (dialed !== null && !sameAddress(dialed, hello.address)) {
      const found = `${hello.address.node}:${hello.address.port}`
      this.fail({ kind: 'wrongPeer', detail: `${dialed.node}:${dialed.port} says it is ${found}` })
      return false
    }
    if (this.#link.vouchesFor?.(hello.address.node) === false) {
      const detail = `its certificate does not name node ${hello.address.node}`
      this.fail({ kind: 'wrongNode', detail })
      return false
    }
    this.#peer = hello
    if (!hello.groupsFollow) this.peerGroups = NO_GROUPS
    this.#events.onHello(this)
    return this.usable
  }

  /** A piece of a long message, or a message to a group, or both. */
  #onSpecial(body: Uint8Array): boolean {
    const header = this.#header
    let payload = body
    if ((header.flags & FLAG.fragment) !== 0) {
      this.#reassembler ??= new Reassembler(this.#limits)
      const outcome = this.#reassembler.add(header, body, this.#nowMs())
      if (outcome.kind === 'incomplete') return true
      if (outcome.kind === 'fault') {
        this.fail({ kind: 'fragment', detail: outcome.reason })
        return false
      }
      payload = outcome.payload
      header.flags &= ~FLAG.fragment
    }
    if (header.protocol <= PROTOCOL.groups) {
      this.fail({ kind: 'malformed', detail: 'a control frame with flags of a message' })
    } else if ((header.flags & FLAG.group) === 0) this.#events.onMessage(this, header, payload)
    else this.#onGroupMessage(payload)
    return this.usable
  }

  #onGroupMessage(payload: Uint8Array): void {
    const split = trySplitGroupMessage(payload)
    if (split === undefined) {
      this.fail({ kind: 'malformed', detail: 'a message to a group without its name' })
      return
    }
    const message = { header: this.#header, payload: split.payload }
    this.#events.onGroupMessage(this, split.group, message)
  }

  #onHeartbeat(header: FrameHeader): void {
    if (this.#link.vouchesFor?.(header.sourceNode) === false) {
      const detail = `a beat of node ${header.sourceNode}, which its certificate does not name`
      this.fail({ kind: 'wrongNode', detail })
      return
    }
    this.#events.onHeartbeat(this, {
      source: { node: header.sourceNode, port: header.sourcePort },
      beat: header.messageId,
      stampAgeMs: header.functionNumber,
    })
  }
}

/** One English phrase for a log line. */
export function describeConnectionFault(fault: ConnectionFault): string {
  return 'detail' in fault ? fault.detail : describeFault(fault)
}

const NO_BYTES = new Uint8Array(0)
const NO_GROUPS: ReadonlySet<string> = new Set()

const sameAddress = (a: IocAddress, b: IocAddress): boolean =>
  a.node === b.node && a.port === b.port
