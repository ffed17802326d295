import type { SdkError } from '../../idl/index.ts'
import type { Epoch } from '../address.ts'
import type { Connection } from '../connection.ts'
import { laneOf } from '../lane.ts'
import type { TableCall } from './call-table.ts'
import { askAgainMs, type TriedCall } from './retry.ts'
import type { StreamReader } from './stream-reader.ts'
import type { Target } from './target.ts'

/** What calls of one method with the same options have in common. */
export interface CallSpec {
  readonly target: Target
  readonly functionNumber: number
  readonly protocol: number
  readonly flags: number
  readonly priority: number
  readonly interfaceVersion: number
  readonly atMostOnce: boolean
  readonly ordered: boolean
  readonly oneWay: boolean
  readonly epoch: Epoch
  readonly timeoutMs: number
  /** Time after which an at-most-once call is asked for again; 0: as `retry.ts` says. */
  readonly tryTimeoutMs: number
  readonly nonPersistent: boolean
  readonly trace: string | undefined
  readonly signal: AbortSignal | undefined
  /** Reads the output of a reply. */
  readonly decode: (payload: Uint8Array) => unknown
}

/** The place of a copy that waits for the peer's hello: it has surely not left. */
export const HELD = Number.POSITIVE_INFINITY

/**
 * One call that waits for its end.
 *
 * I1 `connection` is set exactly while a copy of the call is under way on it; `mark` is that copy's place in its
 * lane, or {@link HELD}.
 */
export class PendingCall implements TableCall, TriedCall {
  readonly id: number
  readonly spec: CallSpec
  readonly payload: Uint8Array
  /** Whole milliseconds: small integers live in the object, fractions in objects of their own. */
  readonly deadlineMs: number
  readonly resolve: (value: unknown) => void
  readonly reject: (error: Error) => void
  dueMs: number
  connection: Connection | null = null
  mark = 0
  /** Where the first copy went that got no answer. */
  unansweredOn: Connection | null = null
  /** Epoch of the name's entry to which the present copy was sent. */
  epochSent: Epoch = 0
  tries = 0
  mayHaveRun = false
  /** The last refusal that made the call wait: what it ends with when nothing better comes. */
  refusal: SdkError | null = null
  onAbort: (() => void) | null = null
  /** Connections on which a one-way call to many waits to leave; null for a call to one. */
  opening: Set<Connection> | null = null
  /** Who takes the items, when the call is a stream. */
  reader: StreamReader | null = null

  constructor(
    id: number,
    spec: CallSpec,
    payload: Uint8Array,
    nowMs: number,
    resolve: (value: unknown) => void,
    reject: (error: Error) => void,
  ) {
    this.id = id
    this.spec = spec
    this.payload = payload
    this.deadlineMs = Math.ceil(nowMs + spec.timeoutMs)
    this.dueMs = this.deadlineMs
    this.resolve = resolve
    this.reject = reject
  }

  /** Whether its copy waits for the hello of the peer on the other end of `connection`. */
  get isHeld(): boolean {
    return this.mark === HELD && this.connection !== null
  }

  get atMostOnce(): boolean {
    return this.spec.atMostOnce
  }

  get named(): boolean {
    return this.spec.target.kind === 'name'
  }

  get persistent(): boolean {
    return !this.spec.nonPersistent && this.reader?.begun !== true
  }

  /** It may have run where a name without epochs led: whoever comes next there knows nothing of it. */
  get isBound(): boolean {
    return this.named && this.mayHaveRun && this.epochSent === 0
  }

  get ordered(): boolean {
    return this.spec.ordered
  }

  /** Time without an answer after which an at-most-once call is sent again. */
  get tryMs(): number {
    const { tryTimeoutMs } = this.spec
    return tryTimeoutMs === 0 ? askAgainMs(this.tries - 1) : tryTimeoutMs
  }

  /** False for an answer under an epoch that is past. A name without epochs takes any. */
  isFresh(epochOfAnswer: number): boolean {
    const { target } = this.spec
    if (target.kind !== 'name' || this.epochSent === 0) return true
    const epoch = epochOfAnswer || this.epochSent
    if (epoch < target.epochSeen) return false
    target.epochSeen = epoch
    return true
  }

  /** A connection that a call to many waited for is open, or gone. @returns whether it was the last. */
  hasAllLeft(connection: Connection): boolean {
    const { opening } = this
    return opening !== null && opening.delete(connection) && opening.size === 0
  }

  /**
   * The copy under way, if any, is waited for no more. @returns whether it may reach the callee: it has left, or its
   * connection lives and will still send it.
   */
  lose(): boolean {
    const { connection } = this
    if (connection === null) return false
    const { protocol, priority } = this.spec
    const isQueued = connection.usable && this.mark !== HELD
    const reached = isQueued || connection.hasHanded(laneOf(protocol, priority), this.mark)
    if (reached) {
      this.mayHaveRun = true
      this.unansweredOn ??= connection
    }
    this.connection = null
    return reached
  }
}
