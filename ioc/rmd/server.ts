import { encodeWireError, isSdkError, SdkError, toWireError } from '../../idl/index.ts'
import type { Epoch, IocAddress } from '../address.ts'
import type { Clock } from '../clock.ts'
import type { Connection } from '../connection.ts'
import { FLAG, type FrameHeader, makeFrameHeader, PROTOCOL } from '../frame.ts'
import type { Port } from '../port.ts'
import type { DedupeTable, KeptReply } from './dedupe-table.ts'
import type { IncomingCall, RmdPriority } from './rmd.ts'
import type { RmdStatistics } from './statistics.ts'
import { StreamWriter } from './stream-writer.ts'
import { trySplitTraced } from './trace.ts'
import { priorityOf } from './wire.ts'

/** Time-outs of callers are cut to this. */
const TIMEOUT_MS_MAX = 600_000
/** An item for which the send queue had no room is sent after so long. */
const SEND_AGAIN_MS = 5

export interface RmdServerSetup {
  readonly port: Port
  readonly clock: Clock
  readonly statistics: RmdStatistics
  readonly table: DedupeTable
  /** Whether the table keeps at-most-once for a function; false where the floor above does. */
  readonly isDeduped: (functionNumber: number, interfaceVersion: number) => boolean
  readonly onAcknowledged: ((caller: string, below: number) => void) | null
}

/** The serving side: makes an {@link IncomingCall} of each request and sends what it is answered with. */
export class RmdServer {
  readonly #setup: RmdServerSetup
  readonly #header = makeFrameHeader()
  #dispatch: ((call: IncomingCall) => void) | null = null
  #cancelled: ((caller: string, messageId: number) => void) | null = null
  /** Streams that are not over, by message id. */
  readonly #streams = new Map<Connection, Map<number, StreamWriter>>()

  constructor(setup: RmdServerSetup) {
    this.#setup = setup
  }

  serve(
    dispatch: (call: IncomingCall) => void,
    cancelled: ((caller: string, messageId: number) => void) | null,
  ): void {
    this.#dispatch = dispatch
    this.#cancelled = cancelled
  }

  onRequest(connection: Connection, header: Readonly<FrameHeader>, payload: Uint8Array): void {
    const { statistics, isDeduped } = this.#setup
    statistics.nRmdRequests += 1
    const nowMs = connection.receivedMs
    const call = new Request(this, connection, header, payload, nowMs)
    if ((header.flags & FLAG.trace) !== 0 && !call.takeTrace()) {
      call.fail(new SdkError('MESSAGE_ERROR', 'a request with the flag of a trace and no trace'))
      return
    }
    if (call.atMostOnce && isDeduped(call.functionNumber, call.interfaceVersion)) {
      if (!this.#admit(call, nowMs)) return
    }
    if ((header.flags & FLAG.stream) !== 0) call.stream = this.#openStream(call)
    if (this.#dispatch === null) {
      const message = `${this.#setup.port.name} serves no functions`
      call.fail(new SdkError('FUNC_NOT_REGISTERED', message))
      return
    }
    try {
      this.#dispatch(call)
    } catch (error) {
      call.fail(error as SdkError)
    }
  }

  /** The caller of a stream has room for more. */
  onCredit(connection: Connection, header: Readonly<FrameHeader>): void {
    this.#streams.get(connection)?.get(header.messageId)?.credit(header.acknowledgedBelow)
  }

  /** The caller of a call waits no more. */
  onCancel(connection: Connection, header: Readonly<FrameHeader>): void {
    this.#streams.get(connection)?.get(header.messageId)?.end()
    const caller = connection.peer?.caller
    if (caller !== undefined) this.#cancelled?.(caller, header.messageId)
  }

  onClose(connection: Connection): void {
    const streams = this.#streams.get(connection)
    this.#streams.delete(connection)
    for (const stream of streams?.values() ?? []) stream.end()
  }

  onAcknowledge(connection: Connection, header: Readonly<FrameHeader>): void {
    const { statistics, table, onAcknowledged } = this.#setup
    const caller = connection.peer?.caller
    // Ids start at 1: it says nothing.
    if (caller === undefined || header.acknowledgedBelow === 0) {
      statistics.nFailedAtmostOnceAcksRecvd += 1
      return
    }
    statistics.nAtmostOnceAcksRecvd += 1
    table.acknowledge(caller, header.acknowledgedBelow, connection.receivedMs)
    onAcknowledged?.(caller, header.acknowledgedBelow)
  }

  /** Sends the answer of a request, and keeps it first where the table is asked to. */
  answer(call: Request, rc: number, payload: Uint8Array, epoch: Epoch, notRun: boolean): void {
    if (call.deduped) {
      const { table } = this.#setup
      if (notRun) table.forget(call.caller, call.messageId)
      else {
        const kept = { rc, payload: new Uint8Array(payload), epoch }
        table.finish(call.caller, call.messageId, kept)
      }
    }
    if (call.stream !== null) this.#closeStream(call, call.stream)
    if (call.oneWay) return
    if (call.kept) return this.#resend(call, { rc, payload, epoch })
    const { statistics } = this.#setup
    if (this.#send(call, rc, payload, epoch, notRun)) statistics.nReplySend += 1
    else statistics.nFailedReplySend += 1
  }

  /** Counts what refusals of the floors above say of their requests. */
  onRefused(call: Request, code: string): void {
    const { statistics } = this.#setup
    if (code === 'INUSE' && call.atMostOnce) statistics.nDupRequests += 1
    if (BAD_REQUEST_CODES.has(code)) statistics.nBadRequests += 1
  }

  #openStream(call: Request): StreamWriter {
    const { clock, port } = this.#setup
    const streams = this.#streams.get(call.connection) ?? new Map<number, StreamWriter>()
    this.#streams.set(call.connection, streams)
    const writer = new StreamWriter({
      itemBytesMax: port.limits.messageSizeBytesMax,
      send: (payload, epoch) => {
        const header = this.#replyHeader(call, PROTOCOL.streamItem)
        header.epoch = epoch
        return call.connection.send(header, payload)
      },
      later: (retry) => void clock.after(SEND_AGAIN_MS, retry),
      tooBig: (bytes) => tooBig('an item', bytes, port.limits.messageSizeBytesMax),
    })
    // An id that is taken can only come from a caller that breaks the protocol: its first stream gets no more credit.
    streams.set(call.messageId, writer)
    return writer
  }

  #closeStream(call: Request, stream: StreamWriter): void {
    const streams = this.#streams.get(call.connection)
    streams?.delete(call.messageId)
    if (streams?.size === 0) this.#streams.delete(call.connection)
    stream.end()
  }

  /** @returns true when the call is to be run. Otherwise it was answered or dropped. */
  #admit(call: Request, nowMs: number): boolean {
    const { statistics, table } = this.#setup
    const verdict = table.begin(call, nowMs)
    switch (verdict.kind) {
      case 'run':
        call.deduped = true
        return true
      case 'inProgress':
        call.fail(new SdkError('INUSE', 'the same call still runs'))
        return false
      case 'done':
        this.#resend(call, verdict.reply)
        return false
      case 'acknowledged':
        statistics.nDupRequests += 1
        return false
      case 'forgotten':
        statistics.nDupRequests += 1
        call.fail(new SdkError('TIMEOUT', 'an earlier copy may have run, and its time is over'))
        return false
      case 'full':
        call.fail(new SdkError('TRY_AGAIN', 'the table of at-most-once calls is full'))
        return false
    }
  }

  #resend(call: Request, reply: KeptReply): void {
    const { statistics } = this.#setup
    statistics.nDupRequests += 1
    const sent = this.#send(call, reply.rc, reply.payload, reply.epoch, false)
    if (sent) statistics.nResendReplies += 1
    else statistics.nFailedResendReplies += 1
  }

  #send(call: Request, rc: number, payload: Uint8Array, epoch: Epoch, notRun: boolean): boolean {
    const { port } = this.#setup
    const protocol = call.isAsync ? PROTOCOL.asyncReply : PROTOCOL.syncReply
    const header = this.#replyHeader(call, protocol)
    header.flags = notRun ? FLAG.notRun : 0
    header.rcOrTimeoutMs = rc
    header.epoch = epoch
    const outcome = call.connection.sendReply(header, payload)
    if (outcome === 'tooBig') return this.#sendTooBig(call, payload.length, epoch)
    if (outcome === 'full') {
      const fields = { peer: call.connection.peer?.name, queuedBytes: call.connection.queuedBytes }
      port.log.warn('replyDropped', fields, 'reply dropped: the caller does not read its replies')
    }
    return outcome === 'sent'
  }

  #replyHeader(call: Request, protocol: number): FrameHeader {
    const { address } = this.#setup.port
    const header = this.#header
    header.protocol = protocol
    // In the lane of its request: an urgent call is answered urgently.
    header.priority = call.wirePriority
    header.flags = 0
    header.sourceNode = address.node
    header.sourcePort = address.port
    header.destinationNode = call.source.node
    header.destinationPort = call.source.port
    header.messageId = call.messageId
    header.functionNumber = call.functionNumber
    header.rcOrTimeoutMs = 0
    return header
  }

  #sendTooBig(call: Request, bytes: number, epoch: Epoch): boolean {
    const bytesMax = this.#setup.port.limits.messageSizeBytesMax
    const error = tooBig('a reply', bytes, bytesMax)
    return this.#send(call, error.rc, this.encodeError(error), epoch, false)
  }

  encodeError(error: SdkError): Uint8Array {
    return encodeWireError(toWireError(error, this.#setup.port.name))
  }
}

class Request implements IncomingCall {
  readonly messageId: number
  readonly acknowledgedBelow: number
  readonly functionNumber: number
  readonly deadlineMs: number
  readonly epoch: Epoch
  readonly interfaceVersion: number
  readonly isLast: boolean
  payload: Uint8Array
  trace: string | undefined = undefined
  readonly connection: Connection
  /** The table of the server waits for this call's answer. */
  deduped = false
  kept = false
  stream: StreamWriter | null = null
  readonly #server: RmdServer
  readonly #protocol: number
  readonly #flags: number
  /** As the request carried it. */
  readonly wirePriority: number
  #answered = false

  constructor(
    server: RmdServer,
    connection: Connection,
    header: Readonly<FrameHeader>,
    payload: Uint8Array,
    nowMs: number,
  ) {
    this.#server = server
    this.#protocol = header.protocol
    this.#flags = header.flags
    this.wirePriority = header.priority
    this.connection = connection
    this.messageId = header.messageId
    this.acknowledgedBelow = header.acknowledgedBelow
    this.functionNumber = header.functionNumber
    this.deadlineMs = Math.floor(nowMs + Math.min(header.rcOrTimeoutMs, TIMEOUT_MS_MAX))
    this.epoch = header.epoch
    this.interfaceVersion = header.interfaceVersion
    this.isLast = !connection.hasMore
    this.payload = payload
  }

  /** Takes the trace off the payload. @returns false when there is none. */
  takeTrace(): boolean {
    const split = trySplitTraced(this.payload)
    if (split === undefined) return false
    this.trace = split.trace
    this.payload = split.payload
    return true
  }

  get source(): IocAddress {
    return this.connection.peer!.address
  }

  get caller(): string {
    return this.connection.peer!.caller
  }

  get priority(): RmdPriority {
    return this.#protocol === PROTOCOL.ordered ? 'ordered' : priorityOf(this.wirePriority)
  }

  get oneWay(): boolean {
    return (this.#flags & FLAG.oneWay) !== 0
  }

  get atMostOnce(): boolean {
    return (this.#flags & FLAG.atMostOnce) !== 0 && !this.oneWay
  }

  get isCopy(): boolean {
    return (this.#flags & FLAG.again) !== 0
  }

  get isAsync(): boolean {
    return this.#protocol !== PROTOCOL.syncRequest
  }

  reply(payload: Uint8Array, epoch: Epoch = 0): void {
    if (this.#answered) return
    this.#answered = true
    const answer = (): void => this.#server.answer(this, 0, payload, epoch, false)
    if (this.stream === null) answer()
    else this.stream.endWith(answer)
  }

  fail(error: SdkError, epoch: Epoch = 0): void {
    if (this.#answered) return
    this.#answered = true
    const sound = toSdkError(error)
    this.#server.onRefused(this, sound.code)
    this.#server.answer(this, sound.rc, this.#server.encodeError(sound), epoch, isRefusal(sound))
  }
}

/** Answers to a request that names no function here, or is none. */
const BAD_REQUEST_CODES: ReadonlySet<string> = new Set([
  'FUNC_NOT_REGISTERED',
  'INVALID_CLIENTID',
  'VERSION_MISMATCH',
  'MESSAGE_ERROR',
])

const tooBig = (what: string, bytes: number, bytesMax: number): SdkError =>
  new SdkError('TOO_BIG', `${what} of ${bytes} bytes is above ${bytesMax}`, {
    context: { bytes, bytesMax },
    mayHaveRun: true,
  })

/** What a handler threw may be anything; see `toWireError` for the same rule. */
function toSdkError(error: unknown): SdkError {
  if (isSdkError(error)) return error
  const cause = error instanceof Error ? error : new Error(String(error))
  return new SdkError('HANDLER_FAILED', `${cause.name}: ${cause.message}`, { cause })
}

/** The call did not run, or this copy of it did not: it may come again. */
const isRefusal = (error: SdkError): boolean => error.retryable || error.code === 'INUSE'
