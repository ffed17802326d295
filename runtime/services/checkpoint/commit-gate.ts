import type { Logger } from 'pino'
import type { HandlersOf } from '../../../idl/index.ts'
import type { Epoch, IocAddress, Rmd } from '../../../ioc/index.ts'
import type { Call, CheckpointClient } from '../../eo/app.ts'
import type { CachedReply, CheckpointPush } from './interface.ts'

/**
 * What the EO and the component side of the checkpoint agree on. The EO owns calls: when they arrive, run and are
 * answered. The checkpoint owns what they change: which call may run, what is committed, when a reply may leave.
 *
 * Order of one call: `begin` when it arrives (before it is queued, so that a copy of it is seen), the handler, then
 * `finish` with the reply to send, which leaves when `finish` resolves. A call that ends without an answer of its
 * handler (dropped from the queue, its worker died, the process drains) is given up with `abort`. After `begin` said
 * `run`, exactly one of `finish` and `abort` follows.
 */
export interface CommitGate {
  /**
   * Asks whether a call may run now.
   *
   * `run`: it is new. `inProgress`: the same call runs already, or its commit is under way; the caller gets INUSE and
   * asks again. A cached reply: the call ran and is committed; this is what to send. A promise of one: it ran under a
   * former active, and may be told as soon as every replica is known to hold it; it rejects when the role goes first.
   * @throws SdkError NOT_ACTIVE when the role is not held; TRY_AGAIN when the reply cache is full. Surely not run.
   */
  begin(call: Call, key: CallKey): BeginVerdict
  /**
   * Commits what the call wrote together with its reply, after every earlier call whose uncommitted writes it saw.
   * `rc` 0: `payload` is the encoded output. Otherwise `payload` is the encoded wire error, the call's writes are
   * dropped, and only the reply is kept.
   *
   * Resolves when the reply may leave, with the epoch that it carries.
   * @throws SdkError STALE_EPOCH when the role is gone: nothing leaves and the process ends. TOO_BIG when the reply is
   * too large to be kept: the call's writes are dropped and the error is its reply. Any other error: nothing was
   * committed unless it says `mayHaveRun`, and the caller gets that error.
   */
  finish(
    call: Call,
    reply: { readonly rc: number; readonly payload: Uint8Array },
  ): Promise<{
    readonly epoch: Epoch
  }>
  /** Forgets the call and its writes. Calls that read them fail in their own `finish`. Harmless when unknown. */
  abort(call: Call): void
}

/** Answer of {@link CommitGate.begin}. */
export type BeginVerdict = 'run' | 'inProgress' | CachedReply | Promise<CachedReply>

/** What `begin` needs to know of a request. */
export interface CallKey {
  readonly caller: string
  readonly messageId: number
  /** The caller holds every reply with an id below this one. */
  readonly acknowledgedBelow: number
  readonly functionNumber: number
  /** False: no reply is kept for it. */
  readonly atMostOnce: boolean
  /** On this process's monotonic clock. */
  readonly deadlineMs: number
  /** The function may answer without confirming the epoch when it wrote nothing. */
  readonly staleReads: boolean
}

/**
 * The component side of the checkpoint service as the EO drives it. Made by `createCheckpointClient` in
 * `client.ts`.
 */
export interface CheckpointService {
  /** What `app.checkpoint` is. */
  readonly client: CheckpointClient
  /** Functions of the agent's pushes. The EO runs them on arrival, in order, before any later callback. */
  readonly pushHandlers: HandlersOf<(typeof CheckpointPush)['spec'], unknown>
  /** CSIs whose checkpoint this component opened. */
  opened(): readonly string[]
  /** The gate of a CSI's checkpoint; undefined when the component did not open it. */
  gate(csi: string): CommitGate | undefined
  /** Fetches the content of every opened checkpoint and subscribes. The EO awaits it before `register`. */
  attach(): Promise<void>
  /** The role of a CSI, before the component's csiSet callback runs. `epoch` counts for ACTIVE only. */
  roleChanged(
    csi: string,
    role: 'ACTIVE' | 'STANDBY' | 'QUIESCING' | 'QUIESCED' | null,
    epoch: Epoch,
  ): Promise<void>
  /** Resolves when nothing of the CSI waits for a commit any more. */
  drained(csi: string): Promise<void>
  /** A caller said, outside of any call, that it holds every reply below an id: none of these is kept for it. */
  acknowledged(caller: string, below: number): void
  /**
   * Gives up what is pending and detaches. NOT_ACTIVE for what surely is not committed; for what may be, INUSE (at
   * most once: the next active knows) or NOT_ACTIVE that says `mayHaveRun`.
   */
  close(): Promise<void>
}

/** What `createCheckpointClient` is given. */
export interface CheckpointServiceOptions {
  readonly rmd: Rmd
  /** The agent of the own node, where the replica is. */
  readonly agent: IocAddress
  readonly log: Logger
  /** A commit was refused for its epoch: the role is gone. The EO writes the crash record and ends the process. */
  readonly onFenced: (csi: string, error: Error) => void
}

/** Shape of the factory that `client.ts` exports under the name `createCheckpointClient`. */
export type CreateCheckpointClient = (options: CheckpointServiceOptions) => CheckpointService
