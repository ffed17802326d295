import type { Logger } from 'pino'
import type { HandlersOf, Interface, MethodSpecs } from '../../idl/index.ts'
import type { Epoch, IocAddress, Rmd, RmdPriority } from '../../ioc/index.ts'
import type { CsiDescriptor, HaState, Recovery } from '../cpm/interface.ts'

/** What a component's callbacks and functions are given to work with. One per component process. */
export interface App {
  readonly name: string
  /** Name of the node this component runs on. */
  readonly node: string
  readonly address: IocAddress
  readonly log: Logger
  readonly cpm: CpmClient
  readonly eo: EoClient
  readonly rmd: Pick<Rmd, 'client' | 'call' | 'statistics'>
  readonly checkpoint: CheckpointClient
}

/** SAF AMF callbacks of a component. A callback that throws or rejects answers with an error: AMF recovers. */
export interface CpmCallbackTable {
  /** Called for each change of role. Resolving answers OK (for QUIESCING: quiescing is complete). */
  readonly csiSet: (haState: HaState, descriptor: CsiDescriptor) => void | Promise<void>
  readonly csiRemove: (csi: string) => void | Promise<void>
  readonly terminate: () => void | Promise<void>
  readonly healthCheck?: (key: string) => void | Promise<void>
}

/** `clCpm...` of the seed, component side. */
export interface CpmClient {
  initialize(callbacks: CpmCallbackTable): Promise<void>
  /** "Ready": AMF assigns nothing before it. */
  register(): Promise<void>
  unregister(): Promise<void>
  finalize(): Promise<void>
  errorReport(message: string, recovery?: Recovery, component?: string): Promise<void>
  haStateGet(csi: string): HaState | null
}

/** Where and under which role the functions of a table run. */
export interface ClientInstallOptions {
  /** The functions are those that the module at this URL exports, and run on worker threads. */
  readonly worker?: URL
  /**
   * The functions answer only while the component is ACTIVE for this CSI, and keep their at-most-once replies in its
   * checkpoint where one is open. null: they answer in every role. Left out: the CSI of the only open checkpoint, else
   * whatever CSI the component is ACTIVE for.
   */
  readonly csi?: string | null
}

export interface EoClient {
  /**
   * Installs the functions of an interface. `functions` is null where `options.worker` is given.
   * @throws SdkError ALREADY_EXIST when the client id is taken; INVALID_CLIENTID for a platform id; NO_SPACE beyond
   * `clEoConfig.userClients`; INVALID_PARAMETER when functions and methods do not match.
   */
  clientInstall<M extends MethodSpecs>(
    face: Interface<M>,
    functions: HandlersOf<M, Call> | null,
    options?: ClientInstallOptions,
  ): void
  clientUninstall<M extends MethodSpecs>(face: Interface<M>): void
  /** Sets who gets the custom actions of the management table; a second call replaces the first. */
  customActionRegister(action: (type: number, data: Uint8Array) => void | Promise<void>): void
}

/** Context of one call, second argument of every function. */
export interface Call {
  readonly source: IocAddress
  readonly caller: string
  readonly messageId: number
  readonly priority: RmdPriority
  /** On this process's monotonic clock (`performance.now()`). */
  readonly deadlineMs: number
  readonly epoch: Epoch
  /** Aborts when the deadline passes or the process drains. */
  readonly signal: AbortSignal
}

/** Hot-standby checkpoints of this component, one for each CSI that it opens. */
export interface CheckpointClient {
  /**
   * Opens the checkpoint of a CSI. Call it in `initialize`, before `register`: content arrives before the first csiSet
   * of that CSI. Functions installed with `{ csi }` keep their at-most-once replies in it.
   */
  open(csi: string, options?: CheckpointOptions): Checkpoint
}

export interface CheckpointOptions {
  /** At-most-once replies kept at most; a call beyond gets `TRY_AGAIN`. @defaultValue 65_536 */
  readonly replyCountMax?: number
  /** Bytes of all sections at most; a write beyond throws `NO_SPACE`. @defaultValue 32 MiB, also the most */
  readonly sizeBytesMax?: number
  /** On the standby: sections that changed, in the order of the active's commits. */
  readonly onUpdate?: (sections: ReadonlyMap<string, unknown>) => void
}

export interface Checkpoint {
  /** The view of one call: its writes and its reply commit as one record before the reply leaves. */
  in(call: Call): CheckpointView
  /** Committed content as this process knows it (on the standby: as replicated so far). */
  read(section: string): unknown
  sections(): readonly string[]
  /** A write outside any call (in csiSet, from a timer). Resolves when committed. */
  write(section: string, value: unknown): Promise<void>
}

export interface CheckpointView {
  /** Reads what this call, or an earlier one not committed yet, wrote; such a call then answers after the earlier. */
  read(section: string): unknown
  write(section: string, value: unknown): void
  delete(section: string): void
}
