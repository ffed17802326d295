// Longer than usual: all that can befall a call changes the same few members.
import { decodeWireError, fromWireError, SdkError } from '../../idl/index.ts'
import type { NameEntry, NameResolver } from '../address.ts'
import type { Clock } from '../clock.ts'
import type { Connection } from '../connection.ts'
import type { SendOutcome } from '../connection-events.ts'
import type { ManyDestination } from '../destination-text.ts'
import { closedError } from '../errors.ts'
import { FLAG, type FrameHeader, makeFrameHeader, PROTOCOL } from '../frame.ts'
import type { Port } from '../port.ts'
import type { LinkFailure } from '../transport/transport.ts'
import { Acknowledger } from './acknowledger.ts'
import { CallTable } from './call-table.ts'
import * as failures from './call-failure.ts'
import { HeldCalls } from './held-calls.ts'
import { OrderedCalls } from './ordered-calls.ts'
import { type CallSpec, PendingCall } from './pending-call.ts'
import { isTriedAgainAfterLoss, isTriedAgainAfterRefusal, retryDelayMs } from './retry.ts'
import type { RmdStatistics } from './statistics.ts'
import { StreamReader } from './stream-reader.ts'
import type { NameTarget } from './target.ts'
import { encodeTraced } from './trace.ts'

/** Deadlines are looked at together, at most this often. */
const SWEEP_MS_MIN = 5
const NAME_COUNT_MAX = 10_000
/** A credit for which the send queue had no room is sent after so long. */
const CREDIT_AGAIN_MS = 5

export interface RmdClientSetup {
  readonly port: Port
  readonly names: NameResolver | null
  readonly clock: Clock
  readonly statistics: RmdStatistics
}

/**
 * The calling side: sends requests, matches replies, and decides with `retry.ts` what to do when none comes.
 *
 * I1 A call that is not finished is in the table with a `dueMs` not after its deadline: it ends by then, come what may.
 * I2 A reply counts only on the connection that carries the present copy of its call.
 */
export class RmdClient {
  readonly #port: Port
  readonly #names: NameResolver | null
  readonly #clock: Clock
  readonly #statistics: RmdStatistics
  readonly #table = new CallTable<PendingCall>()
  readonly #held = new HeldCalls()
  readonly #ordered = new OrderedCalls()
  #isReleasing = false
  readonly #nameTargets = new Map<string, NameTarget>()
  readonly #acknowledger: Acknowledger
  readonly #header: FrameHeader = makeFrameHeader()
  readonly #stopNames: (() => void) | null
  #namesReady = false
  #closed = false
  #armedForMs = Number.POSITIVE_INFINITY
  #cancelTimer: (() => void) | null = null
  #resolve: (value: unknown) => void = () => {}
  #reject: (error: Error) => void = () => {}
  /** One for all promises: a closure for each call is what the collector would feel. */
  readonly #executor = (
    resolve: (value: unknown) => void,
    reject: (error: Error) => void,
  ): void => {
    this.#resolve = resolve
    this.#reject = reject
  }

  constructor(setup: RmdClientSetup) {
    this.#port = setup.port
    this.#names = setup.names
    this.#clock = setup.clock
    this.#statistics = setup.statistics
    this.#acknowledger = new Acknowledger(setup, () => this.#table.watermark())
    this.#stopNames = setup.names?.onChange((entry) => this.#onName(entry)) ?? null
    const ready = (): void => this.#onNamesReady()
    setup.names?.ready.then(ready, ready)
  }

  get pendingCount(): number {
    return this.#table.size
  }

  /** The one object of a name. */
  nameTarget(name: string): NameTarget {
    const present = this.#nameTargets.get(name)
    if (present !== undefined) return present
    const target: NameTarget = { kind: 'name', name, text: `@${name}`, epochSeen: 0 }
    if (this.#nameTargets.size < NAME_COUNT_MAX) this.#nameTargets.set(name, target)
    return target
  }

  /** Makes a call. The promise always ends, by the deadline at the latest. */
  start(spec: CallSpec, payload: Uint8Array): Promise<unknown> {
    this.#statistics.nRmdCalls += 1
    if (spec.atMostOnce) this.#statistics.nAtmostOnceCalls += 1
    const refusal = this.#refusal(spec)
    if (refusal !== null) return Promise.reject(this.#counted(spec, refusal))
    const nowMs = this.#clock.nowMs()
    const id = this.#table.takeId()
    const promise = new Promise(this.#executor)
    const call = new PendingCall(id, spec, payload, nowMs, this.#resolve, this.#reject)
    this.#begin(call, nowMs)
    return promise
  }

  /** Makes a stream: a call that starts with the first item that is asked for. */
  stream(spec: CallSpec, payload: Uint8Array): StreamReader {
    let call: PendingCall | null = null
    return new StreamReader({
      start: (reader) => {
        this.#statistics.nRmdCalls += 1
        const refusal = this.#refusal(spec)
        if (refusal !== null) return reader.fail(this.#counted(spec, refusal))
        const nowMs = this.#clock.nowMs()
        const end = (): void => reader.finish()
        const fail = (error: Error): void => reader.fail(error)
        call = new PendingCall(this.#table.takeId(), spec, payload, nowMs, end, fail)
        call.reader = reader
        this.#begin(call, nowMs)
      },
      grant: (bytes) => {
        if (call !== null) this.#grant(call, bytes)
      },
      cancel: () => {
        if (call !== null && this.#table.get(call.id) === call) this.#giveUp(call)
      },
    })
  }

  onItem(connection: Connection, header: Readonly<FrameHeader>, payload: Uint8Array): void {
    const call = this.#table.get(header.messageId)
    const reader = call?.reader ?? null
    if (call === undefined || reader === null || call.connection !== connection) {
      this.#statistics.nBadReplies += 1
      return
    }
    const { decode } = call.spec
    if (!call.isFresh(header.epoch)) return this.#onStale(call)
    try {
      if (!reader.hasRoom) throw new SdkError('MESSAGE_ERROR', 'an item beyond the credit')
      reader.push(decode(payload), payload.length)
    } catch (error) {
      this.#statistics.nBadReplies += 1
      this.#tellCancelled(call)
      this.#fail(call, error as Error)
    }
  }

  onReply(connection: Connection, header: Readonly<FrameHeader>, payload: Uint8Array): void {
    const call = this.#table.get(header.messageId)
    if (call === undefined || call.connection !== connection || call.spec.oneWay) {
      this.#statistics.nBadReplies += 1
      return
    }
    this.#statistics.nRmdReplies += 1
    if (call.atMostOnce) this.#acknowledger.owe(connection, call.id)
    if (header.rcOrTimeoutMs !== 0) return this.#onRefusal(call, payload)
    if (!call.isFresh(header.epoch)) return this.#onStale(call)
    let value: unknown
    try {
      value = call.reader === null ? call.spec.decode(payload) : undefined
    } catch (error) {
      this.#statistics.nBadReplies += 1
      return this.#fail(call, error as Error)
    }
    this.#finish(call)
    call.resolve(value)
  }

  onLinkOpen(connection: Connection): void {
    for (const call of this.#table.values()) {
      if (!call.spec.oneWay || call.isHeld) continue
      if (call.connection === connection || call.hasAllLeft(connection)) this.#sent(call)
    }
  }

  /** From now on it is known what the peer reads. */
  onHello(connection: Connection): void {
    const nowMs = this.#clock.nowMs()
    for (const call of this.#held.take(connection)) {
      if (call.isHeld && call.connection === connection) this.#transmit(call, connection, nowMs)
    }
    this.#arm(nowMs)
  }

  onClose(connection: Connection, cause: LinkFailure | null): void {
    this.#held.take(connection)
    if (this.#table.size === 0) return
    const nowMs = this.#clock.nowMs()
    for (const call of this.#table.values()) {
      if (call.connection === connection) this.#onLoss(call, cause, nowMs)
      else if (call.hasAllLeft(connection)) this.#sent(call)
    }
    this.#arm(nowMs)
  }

  /** Fails what is pending and makes no more calls. */
  close(): void {
    if (this.#closed) return
    this.#closed = true
    this.#stopNames?.()
    this.#cancelTimer?.()
    for (const call of this.#table.values()) {
      call.lose()
      this.#fail(call, failures.givenUp(call.spec, call.mayHaveRun))
    }
    this.#acknowledger.close()
  }

  #refusal(spec: CallSpec): SdkError | null {
    if (this.#closed) return closedError('this RMD')
    if (spec.target.kind === 'many' && !spec.oneWay) return failures.onlyOneWay(spec)
    return spec.signal?.aborted === true ? failures.givenUp(spec, false) : null
  }

  #counted(spec: CallSpec, error: SdkError): SdkError {
    this.#statistics.nFailedCalls += 1
    if (spec.atMostOnce) this.#statistics.nFailedAtmostOnceCalls += 1
    return error
  }

  #begin(call: PendingCall, nowMs: number): void {
    const { signal } = call.spec
    this.#table.add(call)
    if (call.ordered) this.#ordered.begin(call)
    if (signal !== undefined) {
      call.onAbort = () => this.#giveUp(call)
      signal.addEventListener('abort', call.onAbort, { once: true })
    }
    this.#route(call, nowMs)
    this.#arm(nowMs)
  }

  /** Finds the connection for a call and sends it, or lets it wait, or fails it. */
  #route(call: PendingCall, nowMs: number): void {
    const { target } = call.spec
    if (target.kind === 'name') return this.#routeByName(call, target, nowMs)
    if (target.kind === 'address') return this.#sendTo(call, target.address, nowMs)
    if (target.kind === 'many') return this.#sendToMany(call, target.destination, nowMs)
    const connection = this.#port.connectionOf(target.caller)
    if (connection !== undefined) return this.#transmit(call, connection, nowMs)
    this.#fail(call, failures.unreachable(call, 'it is not connected'))
  }

  #routeByName(call: PendingCall, target: NameTarget, nowMs: number): void {
    if (call.isBound) {
      return this.#fail(call, failures.unreachable(call, 'it went away before it answered'))
    }
    const entry = this.#names?.lookup(target.name)
    if (entry === undefined) {
      if (this.#names !== null && !this.#namesReady) return this.#wait(call, call.deadlineMs)
      // A name that went while the call was under way may come back: its provider is started again.
      if (call.tries > 0 && call.persistent) return this.#wait(call, call.deadlineMs)
      if (target.epochSeen === 0) this.#nameTargets.delete(target.name)
      this.#fail(call, failures.nameNotFound(target.name))
      return
    }
    if (entry.epoch > target.epochSeen) target.epochSeen = entry.epoch
    if (entry.address === null) {
      if (call.persistent) this.#wait(call, call.deadlineMs)
      else this.#fail(call, failures.nobodyActive(call))
      return
    }
    call.epochSent = entry.epoch
    this.#sendTo(call, entry.address, nowMs)
  }

  #sendTo(call: PendingCall, address: { node: number; port: number }, nowMs: number): void {
    let connection: Connection
    try {
      connection = this.#port.connectionTo(address)
    } catch (error) {
      this.#fail(call, error as Error)
      return
    }
    this.#transmit(call, connection, nowMs)
  }

  /** Done when it has left for every receiver, or will not: its connection came to nothing. */
  #sendToMany(call: PendingCall, destination: ManyDestination, nowMs: number): void {
    try {
      const header = this.#filled(call, nowMs)
      const { payload, spec } = call
      const traced = spec.trace === undefined ? undefined : encodeTraced(spec.trace, payload)
      const { sent, refused } = this.#port.sendToMany(destination, header, payload, traced)
      call.tries += 1
      call.mayHaveRun = sent.length > 0
      if (refused.length > 0) throw failures.someFull(call, refused)
      call.opening = new Set(sent.filter(({ linkOpen }) => !linkOpen))
    } catch (error) {
      return this.#fail(call, error as Error)
    }
    if (call.opening.size === 0) this.#sent(call)
  }

  #sent(call: PendingCall): void {
    this.#finish(call)
    call.resolve(undefined)
  }

  /** The header of a call's request, but for its destination. */
  #filled({ spec, id, deadlineMs }: PendingCall, nowMs: number): FrameHeader {
    const header = this.#header
    header.protocol = spec.protocol
    header.flags = spec.flags
    header.priority = spec.priority
    header.sourceNode = this.#port.address.node
    header.sourcePort = this.#port.address.port
    header.messageId = id
    header.functionNumber = spec.functionNumber
    header.rcOrTimeoutMs = Math.max(1, Math.ceil(deadlineMs - nowMs))
    header.epoch = spec.epoch
    header.acknowledgedBelow = this.#table.watermark()
    header.interfaceVersion = spec.interfaceVersion
    return header
  }

  #transmit(call: PendingCall, connection: Connection, nowMs: number): void {
    const { spec } = call
    if (call.ordered && !this.#ordered.mayLeave(call, connection)) {
      return this.#wait(call, call.deadlineMs)
    }
    if (connection.peer === null && this.#held.mustWait(call, connection)) {
      return this.#hold(call, connection, nowMs)
    }
    const header = this.#filled(call, nowMs)
    const peer = connection.dialed ?? connection.peer?.address
    header.destinationNode = peer?.node ?? 0
    header.destinationPort = peer?.port ?? 0
    if (call.tries > 0) this.#statistics.nResendRequests += 1
    call.tries += 1
    if (call.atMostOnce && call.mayHaveRun) header.flags |= FLAG.again
    let content = call.payload
    if (spec.trace !== undefined && connection.peer?.readsTraces === true) {
      header.flags |= FLAG.trace
      content = encodeTraced(spec.trace, content)
    }
    const outcome = connection.send(header, content)
    if (outcome !== 'sent') return this.#onUnsent(call, outcome, nowMs)
    connection.acknowledgedBelow = header.acknowledgedBelow
    call.connection = connection
    call.mark = connection.lastPlace
    if (call.ordered) this.#release(call, nowMs)
    if (spec.oneWay && connection.linkOpen) return this.#sent(call)
    if (!call.atMostOnce || spec.nonPersistent) return this.#table.setDue(call, call.deadlineMs)
    this.#wait(call, nowMs + call.tryMs)
  }

  /** Waits for the peer's hello, which comes soon or never: then the connection closes. */
  #hold(call: PendingCall, connection: Connection, nowMs: number): void {
    if (!this.#held.hold(call, connection)) return this.#onUnsent(call, 'full', nowMs)
    this.#table.setDue(call, call.deadlineMs)
    if (call.ordered) this.#release(call, nowMs)
  }

  #onUnsent(call: PendingCall, outcome: 'full' | 'tooBig' | 'closed', nowMs: number): void {
    if (call.tries > 1) this.#statistics.nFailedResendRequests += 1
    if (outcome === 'tooBig') {
      this.#fail(call, failures.tooBig(call, this.#port.limits.messageSizeBytesMax))
    } else if (outcome === 'closed') {
      this.#fail(call, failures.unreachable(call, 'its connection is closing'))
    } else {
      const refusal = failures.queueFull(call, this.#port.limits.sendQueueBytesMax)
      this.#refuse(call, refusal, nowMs)
    }
  }

  #onRefusal(call: PendingCall, payload: Uint8Array): void {
    let error: SdkError
    try {
      error = fromWireError(decodeWireError(payload))
    } catch (cause) {
      this.#statistics.nBadReplies += 1
      return this.#fail(call, cause as Error)
    }
    // After INUSE the reply of an earlier copy comes where that copy was sent, and is waited for as after a send.
    if (error.code === 'TIMEOUT') this.#statistics.nCallTimeouts += 1
    const willCome = error.code === 'INUSE' && call.unansweredOn === call.connection
    if (!willCome) call.connection = null
    const nowMs = this.#clock.nowMs()
    this.#refuse(call, error, nowMs)
    this.#arm(nowMs)
  }

  #refuse(call: PendingCall, error: SdkError, nowMs: number): void {
    if (!isTriedAgainAfterRefusal(error.code, call)) {
      // This copy was refused, but an earlier one may have run.
      const options = { cause: error, context: error.context, mayHaveRun: true }
      const isUncertain = call.mayHaveRun && !error.mayHaveRun
      return this.#fail(
        call,
        isUncertain ? new SdkError(error.code, error.message, options) : error,
      )
    }
    if (error.code !== 'INUSE') call.refusal = error
    else call.mayHaveRun = true
    const delayMs = call.connection === null ? retryDelayMs(call.tries - 1, call.id) : call.tryMs
    this.#wait(call, nowMs + delayMs)
  }

  /** A reply under an epoch that is past: its writer held the role no more, so it proves nothing. */
  #onStale(call: PendingCall): void {
    this.#statistics.nBadReplies += 1
    call.mayHaveRun = true
    call.connection = null
    if (!isTriedAgainAfterLoss(call)) {
      this.#fail(call, failures.unreachable(call, 'it answered under a role that it holds no more'))
      return
    }
    const nowMs = this.#clock.nowMs()
    this.#wait(call, nowMs + retryDelayMs(call.tries - 1, call.id))
    this.#arm(nowMs)
  }

  #onLoss(call: PendingCall, cause: LinkFailure | null, nowMs: number): void {
    const wasOpen = call.connection?.handedBytes !== 0 && !call.isHeld
    const reached = call.lose()
    if (cause?.kind === 'busy' && !reached) return this.#refuse(call, failures.busy(call), nowMs)
    if (call.named && isTriedAgainAfterLoss(call)) {
      return this.#wait(call, nowMs + retryDelayMs(call.tries - 1, call.id))
    }
    // The peer went away before this call left: its successor may listen at the address by now.
    const isByAddress = call.spec.target.kind === 'address'
    if (!reached && wasOpen && isByAddress && call.persistent && !this.#closed) {
      return this.#route(call, nowMs)
    }
    const why = cause?.message ?? (reached ? 'it went away before it answered' : 'it went away')
    this.#fail(call, failures.unreachable(call, why))
  }

  #wait(call: PendingCall, untilMs: number): void {
    if (call.ordered && call.connection === null) this.#ordered.wait(call)
    this.#table.setDue(call, Math.min(call.deadlineMs, Math.ceil(untilMs)))
  }

  #onName(entry: NameEntry): void {
    if (this.#closed || this.#table.size === 0) return
    const nowMs = this.#clock.nowMs()
    for (const call of this.#table.values()) {
      const { target } = call.spec
      if (target.kind !== 'name' || target.name !== entry.name) continue
      if (entry.epoch > target.epochSeen) target.epochSeen = entry.epoch
      if (entry.address === null) continue
      if (call.connection === null) this.#route(call, nowMs)
      else if (call.atMostOnce && entry.epoch > call.epochSent) {
        call.lose()
        this.#route(call, nowMs)
      }
    }
    this.#arm(nowMs)
  }

  #onNamesReady(): void {
    this.#namesReady = true
    if (this.#closed) return
    const nowMs = this.#clock.nowMs()
    for (const call of this.#table.values()) {
      if (call.named && call.connection === null) this.#route(call, nowMs)
    }
    this.#arm(nowMs)
  }

  /** The caller waits no more, by its signal or by leaving its stream. */
  #giveUp(call: PendingCall): void {
    this.#tellCancelled(call)
    call.lose()
    this.#fail(call, failures.givenUp(call.spec, call.mayHaveRun))
  }

  /** Asks the callee to stop. One that does not hear it goes on until the deadline, which it knows. */
  #tellCancelled(call: PendingCall): void {
    if (call.connection === null || call.spec.oneWay) return
    this.#sendNote(PROTOCOL.cancel, call, 0)
  }

  #grant(call: PendingCall, bytes: number): void {
    if (call.connection === null || this.#table.get(call.id) !== call) return
    if (this.#sendNote(PROTOCOL.streamCredit, call, bytes) !== 'full') return
    // Without it the callee would wait for ever.
    this.#clock.after(CREDIT_AGAIN_MS, () => this.#grant(call, bytes))
  }

  #sendNote(protocol: number, call: PendingCall, acknowledgedBelow: number): SendOutcome {
    const header = makeFrameHeader()
    header.protocol = protocol
    // In the lane of the request, so that it does not come before it.
    header.priority = call.ordered ? 0 : call.spec.priority
    header.messageId = call.id
    header.functionNumber = call.spec.functionNumber
    header.acknowledgedBelow = acknowledgedBelow
    return call.connection?.sendReply(header, NO_BYTES) ?? 'closed'
  }

  /** An ordered call has left, or has ended: those that wait behind it go, up to the first that has to wait again. */
  #release(call: PendingCall, nowMs: number): void {
    this.#ordered.left(call)
    let next = this.#ordered.next(call)
    if (next === undefined || this.#isReleasing || this.#closed) return
    this.#isReleasing = true
    while (next !== undefined) {
      this.#route(next, nowMs)
      const after = this.#ordered.next(next)
      next = after === next ? undefined : after
    }
    this.#isReleasing = false
    this.#arm(nowMs)
  }

  #finish(call: PendingCall): void {
    this.#table.delete(call.id)
    call.connection = null
    if (call.onAbort !== null) call.spec.signal?.removeEventListener('abort', call.onAbort)
    if (!call.ordered) return
    this.#ordered.end(call)
    this.#release(call, this.#clock.nowMs())
  }

  #fail(call: PendingCall, error: Error): void {
    this.#statistics.nFailedCalls += 1
    if (call.atMostOnce) this.#statistics.nFailedAtmostOnceCalls += 1
    this.#finish(call)
    call.reject(error)
  }

  #arm(nowMs: number): void {
    const dueMs = this.#table.nextDueMs
    if (dueMs >= this.#armedForMs || dueMs === Number.POSITIVE_INFINITY) return
    this.#cancelTimer?.()
    this.#armedForMs = dueMs
    const delayMs = Math.max(SWEEP_MS_MIN, Math.ceil(dueMs - nowMs))
    this.#cancelTimer = this.#clock.after(delayMs, () => this.#sweep())
  }

  #sweep(): void {
    this.#armedForMs = Number.POSITIVE_INFINITY
    const nowMs = this.#clock.nowMs()
    for (const call of this.#table.takeDue(nowMs)) {
      // One before it may have let it go, or have ended it.
      if (call.dueMs > nowMs || this.#table.get(call.id) !== call) continue
      if (nowMs >= call.deadlineMs) this.#expire(call)
      else {
        const { connection } = call
        call.lose()
        if (call.isBound && connection !== null) this.#transmit(call, connection, nowMs)
        else this.#route(call, nowMs)
      }
    }
    this.#arm(nowMs)
  }

  #expire(call: PendingCall): void {
    const underWay = call.connection !== null
    call.lose()
    this.#statistics.nCallTimeouts += 1
    this.#fail(call, failures.expired(call, underWay, this.#namesReady))
  }
}

const NO_BYTES = new Uint8Array(0)
