import {
  type ClientOf,
  type Interface,
  type MethodSpecs,
  type OneWayClientOf,
  versionNumber,
} from '../../idl/index.ts'
import type { NameResolver } from '../address.ts'
import { type Clock, systemClock } from '../clock.ts'
import type { Connection } from '../connection.ts'
import { invalidParameter } from '../errors.ts'
import { type FrameHeader, PROTOCOL } from '../frame.ts'
import type { Port } from '../port.ts'
import type { LinkFailure } from '../transport/transport.ts'
import { RmdClient } from './client.ts'
import { type DedupeLimits, DedupeTable } from './dedupe-table.ts'
import type { CallSpec } from './pending-call.ts'
import type {
  Destination,
  IncomingCall,
  PresenceEvent,
  Rmd,
  RmdCallOptions,
  RmdRawCallOptions,
} from './rmd.ts'
import { RETRY_COUNT_MAX } from './retry.ts'
import { RmdServer } from './server.ts'
import { type RmdCounters, RmdStatistics } from './statistics.ts'
import { parseTarget, type Target } from './target.ts'
import { checkTrace } from './trace.ts'
import { priorityNumber, requestFlags, requestProtocol } from './wire.ts'

/** Time-out of a call when nothing else is said. SAFplus RMD, section 5.1. */
export const DEFAULT_TIMEOUT_MS = 10_000
/** Longest time-out of a call. */
export const TIMEOUT_MS_MAX = 600_000

/** 26 bits of client id, 6 of service id. */
const FUNCTION_MAX = 0xffff_ffff

/** What {@link createRmd} is given. */
export interface RmdOptions {
  readonly port: Port
  /** Who is behind `@name`. Without it every name is unknown. */
  readonly names?: NameResolver
  readonly clock?: Clock
  /** Bounds of the at-most-once table. */
  readonly limits?: Partial<DedupeLimits>
  /**
   * Whether this program's table keeps at-most-once for a function. A floor above that keeps its own replies (across
   * failover) says false for those. @defaultValue true for all
   */
  readonly dedupe?: (functionNumber: number, interfaceVersion: number) => boolean
  /** A caller said, outside of any request, that it holds every reply below an id. */
  readonly onAcknowledged?: (caller: string, below: number) => void
}

/** Makes the calling and serving side over a port, and takes the port over: `close` closes it too. */
export function createRmd(options: RmdOptions): Rmd {
  return new PortRmd(options)
}

class PortRmd implements Rmd {
  readonly #port: Port
  readonly #client: RmdClient
  readonly #server: RmdServer
  readonly #statistics = new RmdStatistics()

  constructor(options: RmdOptions) {
    const { port, clock = systemClock } = options
    this.#port = port
    const statistics = this.#statistics
    this.#client = new RmdClient({ port, names: options.names ?? null, clock, statistics })
    this.#server = new RmdServer({
      port,
      clock,
      statistics,
      table: new DedupeTable(options.limits),
      isDeduped: options.dedupe ?? (() => true),
      onAcknowledged: options.onAcknowledged ?? null,
    })
    port.attach({
      onMessage: (connection, header, payload) => this.#onMessage(connection, header, payload),
      onLinkOpen: (connection) => this.#client.onLinkOpen(connection),
      onHello: (connection) => this.#client.onHello(connection),
      onClose: (connection: Connection, cause: LinkFailure | null) => {
        this.#client.onClose(connection, cause)
        this.#server.onClose(connection)
      },
    })
  }

  get address(): Port['address'] {
    return this.#port.address
  }

  get caller(): string {
    return this.#port.caller
  }

  get pendingCount(): number {
    return this.#client.pendingCount
  }

  client<M extends MethodSpecs>(
    face: Interface<M>,
    options: RmdCallOptions & { readonly to: Destination; readonly oneWay: true },
  ): OneWayClientOf<M, RmdCallOptions>
  client<M extends MethodSpecs>(
    face: Interface<M>,
    options: RmdCallOptions & { readonly to: Destination },
  ): ClientOf<M, RmdCallOptions>
  client(face: Interface, options: RmdCallOptions & { readonly to: Destination }): object {
    const target = this.#target(options.to)
    const methods: Record<string, (input: unknown, extra?: RmdCallOptions) => unknown> = {}
    const defaults = checkOptions(options)
    for (const method of Object.values(face.methods)) {
      const { input, output, functionNumber, stream } = method
      const version = versionNumber(method.since ?? face.version)
      const decode = (payload: Uint8Array): unknown => output.decode(payload)
      const base = { target, functionNumber, version, stream, decode }
      const usual = specOf(base, defaults)
      const spec = (extra: RmdCallOptions | undefined): CallSpec =>
        extra === undefined ? usual : specOf(base, checkOptions(joined(options, extra)))
      methods[method.name] = stream
        ? (value, extra) => this.#client.stream(spec(extra), input.encode(value))
        : (value, extra) => {
            try {
              return this.#client.start(spec(extra), input.encode(value))
            } catch (error) {
              return Promise.reject(error)
            }
          }
    }
    return Object.freeze(methods)
  }

  async call(
    to: Destination,
    functionNumber: number,
    payload: Uint8Array,
    options: RmdRawCallOptions = {},
  ): Promise<Uint8Array> {
    const spec = this.#rawSpec(to, functionNumber, false, options)
    checkRaw(functionNumber, payload)
    const output = (await this.#client.start(spec, payload)) as Uint8Array | undefined
    return output ?? NO_BYTES
  }

  stream(
    to: Destination,
    functionNumber: number,
    payload: Uint8Array,
    options: RmdRawCallOptions = {},
  ): AsyncIterableIterator<Uint8Array> {
    const spec = this.#rawSpec(to, functionNumber, true, options)
    checkRaw(functionNumber, payload)
    return this.#client.stream(spec, payload) as AsyncIterableIterator<Uint8Array>
  }

  serve(
    dispatch: (call: IncomingCall) => void,
    cancelled?: (caller: string, messageId: number) => void,
  ): void {
    this.#server.serve(dispatch, cancelled ?? null)
  }

  onPresence(listener: (event: PresenceEvent) => void): () => void {
    return this.#port.onPresence(listener)
  }

  statistics(): RmdCounters {
    return { ...this.#statistics }
  }

  close(): Promise<void> {
    this.#client.close()
    return this.#port.close()
  }

  #rawSpec(
    to: Destination,
    functionNumber: number,
    stream: boolean,
    options: RmdRawCallOptions,
  ): CallSpec {
    const target = this.#target(to)
    const version = checkVersion(options.version)
    const base = { target, functionNumber, version, stream, decode: copied }
    return specOf(base, checkOptions(options))
  }

  #target(to: Destination): Target {
    return parseTarget(to, (name) => this.#client.nameTarget(name))
  }

  #onMessage(connection: Connection, header: Readonly<FrameHeader>, payload: Uint8Array): boolean {
    switch (header.protocol) {
      case PROTOCOL.syncReply:
      case PROTOCOL.asyncReply:
        this.#client.onReply(connection, header, payload)
        return true
      case PROTOCOL.syncRequest:
      case PROTOCOL.asyncRequest:
      case PROTOCOL.ordered:
        this.#server.onRequest(connection, header, payload)
        return true
      case PROTOCOL.streamItem:
        this.#client.onItem(connection, header, payload)
        return true
      case PROTOCOL.streamCredit:
        this.#server.onCredit(connection, header)
        return true
      case PROTOCOL.cancel:
        this.#server.onCancel(connection, header)
        return true
      case PROTOCOL.acknowledge:
        this.#server.onAcknowledge(connection, header)
        return true
      default:
        return false
    }
  }
}

const NO_BYTES = new Uint8Array(0)

/** The payload lies in the chunk that was read; whoever keeps it would keep the chunk. */
const copied = (payload: Uint8Array): Uint8Array => new Uint8Array(payload)

interface CallBase {
  readonly target: Target
  readonly functionNumber: number
  readonly version: number
  readonly stream: boolean
  readonly decode: (payload: Uint8Array) => unknown
}

interface CheckedOptions {
  readonly timeoutMs: number
  readonly tryTimeoutMs: number
  readonly priority: number
  readonly atMostOnce: boolean
  readonly nonPersistent: boolean
  readonly ordered: boolean
  readonly oneWay: boolean
  readonly epoch: number
  readonly trace: string | undefined
  readonly signal: AbortSignal | undefined
}

function specOf(base: CallBase, options: CheckedOptions): CallSpec {
  const { stream } = base
  const oneWay = options.oneWay && !stream
  // One-way calls and streams are sent once and never again: that is at most once already.
  const atMostOnce = options.atMostOnce && !oneWay && !stream
  const kind = stream ? 'stream' : oneWay ? 'oneWay' : 'call'
  return {
    target: base.target,
    functionNumber: base.functionNumber,
    protocol: requestProtocol(oneWay, options.ordered),
    flags: requestFlags(kind, atMostOnce),
    priority: options.priority,
    interfaceVersion: base.version,
    atMostOnce,
    ordered: options.ordered,
    oneWay,
    epoch: options.epoch,
    timeoutMs: options.timeoutMs,
    tryTimeoutMs: options.tryTimeoutMs,
    nonPersistent: options.nonPersistent,
    trace: options.trace,
    signal: options.signal,
    decode: base.decode,
  }
}

/** Options as they are looked at: one that is undefined was not given. */
type Given = { readonly [K in keyof RmdCallOptions]?: RmdCallOptions[K] | undefined }

/** Options of a client under those of one call. Without a spread: see `checkOptions`. */
function joined(a: RmdCallOptions, b: RmdCallOptions): Given {
  return {
    timeoutMs: b.timeoutMs ?? a.timeoutMs,
    tryTimeoutMs: b.tryTimeoutMs ?? a.tryTimeoutMs,
    retries: b.retries ?? a.retries,
    atMostOnce: b.atMostOnce ?? a.atMostOnce,
    nonPersistent: b.nonPersistent ?? a.nonPersistent,
    priority: b.priority ?? a.priority,
    ordered: b.ordered ?? a.ordered,
    oneWay: b.oneWay ?? a.oneWay,
    signal: b.signal ?? a.signal,
    epoch: b.epoch ?? a.epoch,
    trace: b.trace ?? a.trace,
  }
}

function checkOptions(options: Given): CheckedOptions {
  const { timeoutMs = DEFAULT_TIMEOUT_MS, priority = 'default', epoch = 0, signal } = options
  const { ordered = false, oneWay = false, atMostOnce = false, nonPersistent = false } = options
  checkTime('timeoutMs', timeoutMs)
  checkTrace(options.trace)
  if (!Number.isSafeInteger(epoch) || epoch < 0) {
    throw invalidParameter(`epoch is ${epoch}: give a safe integer, 0 for none`)
  }
  if (signal !== undefined && typeof signal.addEventListener !== 'function') {
    throw invalidParameter('signal is no AbortSignal: give that of an AbortController')
  }
  const number = priorityNumber(priority)
  if (number < 0) throw invalidParameter(`${JSON.stringify(priority)} is no priority`)
  // Without a spread: objects made by one are slow to read, five times the cost of a whole call.
  const tries = triesOf(options, timeoutMs)
  return {
    timeoutMs: tries.timeoutMs,
    tryTimeoutMs: tries.tryTimeoutMs,
    priority: number,
    atMostOnce,
    nonPersistent,
    ordered,
    oneWay,
    epoch,
    trace: options.trace,
    signal,
  }
}

/** The whole time of a call, and that of one try: 0 when nothing is said. */
function triesOf(
  { retries, tryTimeoutMs, atMostOnce, nonPersistent }: Given,
  timeoutMs: number,
): { readonly timeoutMs: number; readonly tryTimeoutMs: number } {
  if (retries === undefined && tryTimeoutMs === undefined) return { timeoutMs, tryTimeoutMs: 0 }
  if (atMostOnce !== true || nonPersistent === true) {
    throw invalidParameter(
      'retries and tryTimeoutMs are for at-most-once calls that are not nonPersistent: others are never sent again',
    )
  }
  if (tryTimeoutMs !== undefined) checkTime('tryTimeoutMs', tryTimeoutMs)
  if (retries === undefined) return { timeoutMs, tryTimeoutMs: tryTimeoutMs ?? 0 }
  if (!Number.isInteger(retries) || retries < 0 || retries > RETRY_COUNT_MAX) {
    throw invalidParameter(`retries is ${retries}: give 0 to ${RETRY_COUNT_MAX}`)
  }
  const tryMs = tryTimeoutMs ?? timeoutMs / (retries + 1)
  return { timeoutMs: Math.min(timeoutMs, tryMs * (retries + 1)), tryTimeoutMs: tryMs }
}

function checkTime(name: string, ms: number): void {
  if (typeof ms === 'number' && ms >= 1 && ms <= TIMEOUT_MS_MAX) return
  throw invalidParameter(`${name} is ${ms}: give 1 to ${TIMEOUT_MS_MAX}`)
}

function checkRaw(functionNumber: number, payload: Uint8Array): void {
  if (!Number.isInteger(functionNumber) || functionNumber < 0 || functionNumber > FUNCTION_MAX) {
    throw invalidParameter(`function number is ${functionNumber}: give 0 to ${FUNCTION_MAX}`)
  }
  if (!(payload instanceof Uint8Array)) throw invalidParameter('payload: give a Uint8Array')
}

function checkVersion(text: string | undefined): number {
  const version = text === undefined ? 0 : versionNumber(text)
  if (version !== 0 || text === undefined) return version
  throw invalidParameter(`version is ${JSON.stringify(text.slice(0, 40))}: give one like B.1.1`)
}
