import type { IocAddress } from './address.ts'
import {
  FLAG,
  FRAGMENT_PREFIX_BYTES,
  type FrameHeader,
  type Heartbeat,
  HEADER_SIZE_BYTES,
  type Hello,
  makeFrameHeader,
  PROTOCOL,
  readHeader,
  tryParseHello,
  viewOf,
} from './frame.ts'
import { describeFault, type FrameFault, FrameParser } from './frame-parser.ts'
import type { IocLimits } from './limits.ts'
import { Outbox } from './outbox.ts'
import { Reassembler } from './reassembler.ts'
import type { Link, LinkFailure } from './transport/transport.ts'

/** Outcome of a send. `full`: the bound of the send queue. `tooBig`: above the largest message. */
export type SendOutcome = 'sent' | 'full' | 'tooBig' | 'closed'

/** Why a connection was closed by this side. */
export type ConnectionFault =
  | FrameFault
  | { readonly kind: 'malformed' | 'noHello' | 'fragment' | 'wrongPeer'; readonly detail: string }

/** What a port is told by its connections. */
export interface ConnectionEvents {
  onHello(connection: Connection): void
  /** One whole message. The payload may be kept; the header is filled again at the next one. */
  onMessage(connection: Connection, header: Readonly<FrameHeader>, payload: Uint8Array): void
  onHeartbeat(connection: Connection, heartbeat: Heartbeat): void
  onFault(connection: Connection, fault: ConnectionFault): void
  onLinkOpen(connection: Connection): void
  onClose(connection: Connection, cause: LinkFailure | null): void
}

/** What a connection is made with. */
export interface ConnectionSetup {
  readonly link: Link
  readonly limits: IocLimits
  readonly events: ConnectionEvents
  /** This side's hello, encoded. It is the first frame that leaves. */
  readonly hello: Uint8Array
  /** Where this side connects to; null on an accepted connection. */
  readonly dialed: IocAddress | null
  readonly nowMs: () => number
}

const PREFIX_SIZE = FRAGMENT_PREFIX_BYTES
/** Replies may pass the bound of the send queue by this factor before they are dropped. */
const REPLY_QUEUE_FACTOR = 2

/**
 * One connection to a peer: its parser, its send queue, what the peer said in its hello.
 *
 * I1 The first frame in each direction is a hello; anything else closes the connection.
 * I2 At most one write of the link is unfinished; later frames collect in the outbox.
 * I3 `queuedBytes` never passes the bound by more than one message.
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
  readonly #outbox = new Outbox()
  #reassembler: Reassembler | null = null
  #peer: Required<Hello> | null = null
  #linkOpen = false
  #closed = false
  #ending = false
  #flushScheduled = false
  #inFlightBytes = 0
  #acceptedBytes = 0
  #handedBytes = 0
  #receivedMs = 0

  /** Highest `acknowledgedBelow` sent on this connection, and whether it brought at-most-once replies. For RMD. */
  acknowledgedBelow = 0
  acknowledgeOwed = false

  constructor(setup: ConnectionSetup) {
    this.#link = setup.link
    this.#limits = setup.limits
    this.#events = setup.events
    this.#nowMs = setup.nowMs
    this.dialed = setup.dialed
    this.sinceMs = setup.nowMs()
    this.#parser = new FrameParser(setup.limits.frameSizeBytesMax, this.#onFrame)
    this.#outbox.appendRaw(setup.hello)
    this.#acceptedBytes = setup.hello.length
    setup.link.start({
      onOpen: () => {
        this.#linkOpen = true
        this.#flush()
        this.#events.onLinkOpen(this)
      },
      onData: (chunk) => {
        this.#receivedMs = this.#nowMs()
        const fault = this.#parser.push(chunk)
        if (fault !== null) this.fail(fault)
      },
      onWritten: () => {
        this.#inFlightBytes = 0
        this.#flush()
      },
      onClose: (cause) => {
        this.#closed = true
        this.#events.onClose(this, cause)
      },
    })
  }

  /** When the chunk that is being read arrived: one look at the clock for all its frames. */
  get receivedMs(): number {
    return this.#receivedMs
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
    return this.#outbox.length + this.#inFlightBytes
  }

  /** Bytes of every frame taken so far: a frame's place in the stream is this value after its send. */
  get acceptedBytes(): number {
    return this.#acceptedBytes
  }

  /** Bytes given to the transport. A frame whose place is beyond it has surely not reached the peer. */
  get handedBytes(): number {
    return this.#handedBytes
  }

  /** Queues one message. Everything queued in one tick leaves in one write. */
  send(header: FrameHeader, payload: Uint8Array): SendOutcome {
    return this.#send(header, payload, this.#limits.sendQueueBytesMax)
  }

  /** As {@link send}, with more room in the queue: a reply that is dropped costs more than a request refused. */
  sendReply(header: FrameHeader, payload: Uint8Array): SendOutcome {
    return this.#send(header, payload, this.#limits.sendQueueBytesMax * REPLY_QUEUE_FACTOR)
  }

  /** Closes because of what the peer did. */
  fail(fault: ConnectionFault): void {
    if (!this.usable) return
    this.#ending = true
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
    const header = makeFrameHeader()
    header.protocol = PROTOCOL.goodbye
    this.#outbox.append(header, NO_BYTES)
    this.#ending = true
    this.#flush()
    if (this.#inFlightBytes === 0) this.#link.end()
  }

  /** Closes at once. */
  destroy(): void {
    this.#ending = true
    this.#link.destroy()
  }

  /** Drops incomplete messages that grew too old, and a peer that says no hello. */
  sweep(nowMs: number): void {
    this.#reassembler?.sweep(nowMs)
    if (this.#peer === null && nowMs - this.sinceMs > this.#limits.helloTimeoutMs) {
      this.fail({ kind: 'noHello', detail: `no hello in ${this.#limits.helloTimeoutMs} ms` })
    }
  }

  #send(header: FrameHeader, payload: Uint8Array, queueBytesMax: number): SendOutcome {
    if (this.#closed || this.#ending) return 'closed'
    const size = HEADER_SIZE_BYTES + payload.length
    const queued = this.#outbox.length + this.#inFlightBytes
    if (queued > 0 && queued + size > queueBytesMax) return 'full'
    const before = this.#outbox.length
    if (size <= this.#limits.frameSizeBytesMax) this.#outbox.append(header, payload)
    else if (payload.length > this.#limits.messageSizeBytesMax) return 'tooBig'
    else this.#appendFragments(header, payload)
    this.#acceptedBytes += this.#outbox.length - before
    if (!this.#flushScheduled) {
      this.#flushScheduled = true
      process.nextTick(this.#onTick)
    }
    return 'sent'
  }

  #appendFragments(header: FrameHeader, payload: Uint8Array): void {
    const pieceMax = this.#limits.frameSizeBytesMax - HEADER_SIZE_BYTES - PREFIX_SIZE
    const flags = header.flags
    header.flags = flags | FLAG.fragment
    for (let offset = 0; offset < payload.length; offset += pieceMax) {
      const prefix = new Uint8Array(PREFIX_SIZE)
      const view = viewOf(prefix)
      view.setUint32(0, payload.length)
      view.setUint32(4, offset)
      this.#outbox.appendPrefixed(header, prefix, payload.subarray(offset, offset + pieceMax))
    }
    header.flags = flags
  }

  readonly #onTick = (): void => {
    this.#flushScheduled = false
    this.#flush()
  }

  #flush(): void {
    if (!this.#linkOpen || this.#closed || this.#inFlightBytes > 0) return
    const length = this.#outbox.length
    if (length > 0) {
      this.#handedBytes += length
      const done = this.#link.write(this.#outbox.view())
      if (!done) this.#inFlightBytes = length
      this.#outbox.clear(done)
    }
    if (this.#ending && this.#inFlightBytes === 0) this.#link.end()
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
    if (this.#peer === null) return this.#onFirstFrame(payload)
    if ((header.flags & FLAG.fragment) !== 0) return this.#onFragment(payload)
    if (header.protocol > PROTOCOL.goodbye) this.#events.onMessage(this, header, payload)
    else if (header.protocol === PROTOCOL.heartbeat) this.#onHeartbeat(header)
    else if (header.protocol === PROTOCOL.hello) {
      this.fail({ kind: 'malformed', detail: 'a second hello' })
    }
    return this.usable
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
    this.#peer = hello
    this.#events.onHello(this)
    return this.usable
  }

  #onFragment(body: Uint8Array): boolean {
    this.#reassembler ??= new Reassembler(this.#limits)
    const outcome = this.#reassembler.add(this.#header, body, this.#nowMs())
    if (outcome.kind === 'fault') {
      this.fail({ kind: 'fragment', detail: outcome.reason })
    } else if (outcome.kind === 'complete') {
      this.#header.flags &= ~FLAG.fragment
      this.#events.onMessage(this, this.#header, outcome.payload)
    }
    return this.usable
  }

  #onHeartbeat(header: FrameHeader): void {
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

const sameAddress = (a: IocAddress, b: IocAddress): boolean =>
  a.node === b.node && a.port === b.port
