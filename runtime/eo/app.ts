import type { Logger } from 'pino'
import type { HandlersOf, Interface, MethodSpecs } from '../../idl/index.ts'
import type { Epoch, IocAddress, Rmd, RmdPriority } from '../../ioc/index.ts'
import type { CsiDescriptor, HaState, Recovery } from '../cpm/interface.ts'
import type { Libraries } from '../services/libraries.ts'

/** What a component's callbacks and functions are given to work with. One per component process. */
export interface App extends Libraries {
  /** Name of this component. */
  readonly component: string
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
  /** Given to each function of the table as `call.data`; does not cross to workers. */
  readonly data?: unknown
}

export interface EoClient {
  /**
   * Installs the functions of an interface. `functions` is null where `options.worker` is given. Several versions of an
   * interface stand side by side; the same version again covers the earlier table until it is uninstalled.
   * @throws SdkError ALREADY_EXIST when the client id belongs to another interface; INVALID_CLIENTID for a platform id; NO_SPACE beyond
   * `clEoConfig.userClients`; INVALID_PARAMETER when functions and methods do not match.
   */
  clientInstall<M extends MethodSpecs>(
    face: Interface<M>,
    functions: HandlersOf<M, Call> | null,
    options?: ClientInstallOptions,
  ): void
  /**
   * Removes the latest table of an interface and version: what it covered answers again.
   * @throws SdkError NOT_EXIST when it is not installed.
   */
  clientUninstall<M extends MethodSpecs>(face: Interface<M>): void
  /** Changes what later calls find as `call.data`. @throws SdkError NOT_EXIST when the table is not installed. */
  clientDataSet<M extends MethodSpecs>(face: Interface<M>, data: unknown): void
  /** @throws SdkError NOT_EXIST when the table is not installed. */
  clientDataGet<M extends MethodSpecs>(face: Interface<M>): unknown
  /**
   * Hands every function installed for one method to `visit`, the latest first, until it returns false: how a function
   * reaches those that it covers. Functions on workers are left out.
   * @throws SdkError FUNC_NOT_REGISTERED when there is none.
   */
  walk<M extends MethodSpecs, K extends keyof M & string>(
    face: Interface<M>,
    method: K,
    visit: (run: HandlersOf<M, Call>[K]) => boolean | void,
  ): void
  /**
   * Whether a function answers to a number, in any version.
   * @throws SdkError INVALID_CLIENTID or FUNC_NOT_REGISTERED, what a caller would get.
   */
  serviceValidate(functionNumber: number): void
  /** Keeps a value under a key, 4,096 keys at most. @throws SdkError NO_SPACE beyond; OUT_OF_RANGE for no u32. */
  privateDataSet(key: number, value: unknown): void
  /** @throws SdkError NOT_EXIST when nothing was set. */
  privateDataGet(key: number): unknown
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
  /** What the table was installed with, or `clientDataSet` since. */
  readonly data?: unknown
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
