import type { ClientOf, Interface, MethodSpecs, OneWayClientOf, SdkError } from '../../idl/index.ts'
import type { Epoch, IocAddress } from '../address.ts'
import type { RmdCounters } from './statistics.ts'

/**
 * Where a call goes: an address, its text `2:64`, `@name` (whoever is active for it), or a connected peer by its caller
 * id (the only way to reach a program that listens on no port). One-way calls, and only those, may go to many:
 * `#group`, `*:64` (that port of every node), `.:*` (every port of the own node); each receiver runs them once.
 */
export type Destination = IocAddress | string | { readonly caller: string }

/** Options of one call; a client's options are the defaults of its calls. */
export interface RmdCallOptions {
  /** The whole call lasts at most this long, retries included. 1 to 600_000. @defaultValue 10_000 */
  readonly timeoutMs?: number
  /**
   * For at-most-once calls: sent again, under the same id, when nothing came for so long; with `retries` the whole call
   * lasts at most `tryTimeoutMs * (retries + 1)` too. SAFplus RMD, section 5.4. @defaultValue 2 s, then 4, 8 ... 30 s;
   * with `retries`, `timeoutMs / (retries + 1)`
   */
  readonly tryTimeoutMs?: number
  /** Re-sends for want of an answer, 0 to 8; for at-most-once calls. SAFplus RMD, section 5.1. */
  readonly retries?: number
  /** The callee runs the call at most once, across its failover too when it keeps a replicated reply cache. */
  readonly atMostOnce?: boolean
  /** Sends with one priority of the job queue. @defaultValue 'default' */
  readonly priority?: RmdPriority
  /**
   * True: the call is for whoever is there now. It fails at once where it would wait for an active one, and is never
   * sent again.
   */
  readonly nonPersistent?: boolean
  /** Calls to one destination with `ordered` run one at a time, in the order they were made, whatever the priority. */
  readonly ordered?: boolean
  /**
   * Send and do not wait: resolves when handed to the transport. The method's output is dropped. To many: resolves when
   * every receiver was sent it, also when there is none; rejects with `TRY_AGAIN` and their addresses (`refused`) when
   * the send queues of some were full, and the others run it.
   */
  readonly oneWay?: boolean
  /** Gives the call up with `INTERRUPT`, and tells the callee; it may have run it. */
  readonly signal?: AbortSignal
  /** Epoch put on the request frame: set by components that hold a role. @defaultValue 0 */
  readonly epoch?: Epoch
  /**
   * Trace that the call belongs to: the text of a W3C `traceparent` (see `newTrace`), which its function finds as
   * `call.trace`. @defaultValue none
   */
  readonly trace?: string
}

/** Options of a call by number and bytes. */
export interface RmdRawCallOptions extends RmdCallOptions {
  /** Version of the interface that the bytes belong to, such as `B.1.1`. @defaultValue any */
  readonly version?: string
}

/**
 * Which job queue of the callee a call waits in, and which lane of the send queue: high, notification and reserved
 * leave first, low last. SAFplus IOC, section 4.2.
 */
export type RmdPriority = 'default' | 'high' | 'low' | 'ordered' | 'notification' | 'reserved'

/** A request that arrived. Exactly one of `reply` and `fail` is called, once; later calls are ignored. */
export interface IncomingCall {
  readonly source: IocAddress
  /** 16 hex digits: one life of one calling program. At-most-once is keyed on (caller, messageId). */
  readonly caller: string
  readonly messageId: number
  /** The caller has received every reply with an id below this one. */
  readonly acknowledgedBelow: number
  readonly functionNumber: number
  readonly priority: RmdPriority
  readonly atMostOnce: boolean
  readonly oneWay: boolean
  /** On the receiver's monotonic clock (`performance.now()`). */
  readonly deadlineMs: number
  /** Epoch of the caller's role, 0 when it has none. */
  readonly epoch: Epoch
  /** Version of the caller's interface as one number (see `versionNumber`); 0 or left out: unspecified. */
  readonly interfaceVersion?: number
  /** The caller's trace as W3C `traceparent` text. */
  readonly trace?: string | undefined
  /** Valid until `reply` or `fail`: copy what outlives it. */
  readonly payload: Uint8Array
  /** True when nothing that arrived with it is still to be handed over; false or left out: more may follow at once. */
  readonly isLast?: boolean
  /** Where items go before `reply` ends them, when the caller takes a stream. */
  readonly stream: ReplyStream | null
  /** Set by who keeps replies itself, before it answers a duplicate with what it kept: for the counters. */
  kept?: boolean
  /** @param epoch - the role epoch under which the reply was made; callers drop older ones than they have seen. */
  reply(payload: Uint8Array, epoch?: Epoch): void
  fail(error: SdkError, epoch?: Epoch): void
}

/** The callee's end of a stream of replies. `reply` (its payload is not looked at) and `fail` end it. */
export interface ReplyStream {
  /**
   * Sends one item. False: the caller has no room for another one; wait for {@link ready}, and send nothing before.
   * Does nothing once the stream is over.
   * @throws SdkError TOO_BIG above the largest message.
   */
  send(payload: Uint8Array, epoch?: Epoch): boolean
  /** Resolves when there is room for an item, or the stream is over. */
  ready(): Promise<void>
  /** True once it was ended, given up by the caller, or the caller is gone. */
  readonly isOver: boolean
  /** Called once when it is over. */
  onOver: (() => void) | null
}

/** The calling and the serving side of Remote Method Dispatch over one port. */
export interface Rmd {
  readonly address: IocAddress
  /** 16 hex digits that name this life of this program. */
  readonly caller: string
  /**
   * A typed client: a function for each method of an interface. Input and output are checked at both ends.
   * @param options - of all its calls, beneath those that a call is given.
   * @throws SdkError INVALID_PARAMETER for a destination that is none, or an option out of its range. Each call rejects
   * with what `ioc/README.md`, "What happens to a call", lists, or with the error of the callee, its code, message and
   * context kept; `mayHaveRun` says whether it may have run.
   */
  client<M extends MethodSpecs>(
    face: Interface<M>,
    options: RmdCallOptions & { readonly to: Destination; readonly oneWay: true },
  ): OneWayClientOf<M, RmdCallOptions>
  client<M extends MethodSpecs>(
    face: Interface<M>,
    options: RmdCallOptions & { readonly to: Destination },
  ): ClientOf<M, RmdCallOptions>
  /**
   * One call by number and bytes: what typed clients are made of. Resolves with the output's bytes, none for a one-way
   * call. @throws SdkError INVALID_PARAMETER for a number that is no u32 or a payload that is no Uint8Array; else as
   * the calls of a {@link client}.
   */
  call(
    to: Destination,
    functionNumber: number,
    payload: Uint8Array,
    options?: RmdRawCallOptions,
  ): Promise<Uint8Array>
  /** As {@link call}, for a function that answers with a stream. It is made when the first item is asked for. */
  stream(
    to: Destination,
    functionNumber: number,
    payload: Uint8Array,
    options?: RmdRawCallOptions,
  ): AsyncIterableIterator<Uint8Array>
  /**
   * Sets who receives incoming calls. Replies never pass through it.
   * @param cancelled - told that a caller waits for a call no more.
   */
  serve(
    dispatch: (call: IncomingCall) => void,
    cancelled?: (caller: string, messageId: number) => void,
  ): void
  /** Calls back when a peer that was connected goes away, and when one arrives. */
  onPresence(listener: (event: PresenceEvent) => void): () => void
  /** The 21 counters of SAFplus RMD, section 5.6, in their order. */
  statistics(): RmdCounters
  /** Calls made and not finished: 0 means drained. */
  readonly pendingCount: number
  /** Fails pending calls with INTERRUPT and closes the port. Idempotent, ends within about a second. */
  close(): Promise<void>
}

/** A peer program that is connected from now on, or no more: its pending calls have ended by then. */
export interface PresenceEvent {
  readonly kind: 'arrival' | 'death'
  readonly address: IocAddress
  readonly caller: string
  /** The name that the peer gave in its hello. */
  readonly name: string
}
