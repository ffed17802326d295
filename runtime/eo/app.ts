import type {
  ClientOf,
  HandlersOf,
  Interface,
  MethodSpecs,
  OneWayClientOf,
} from '../../idl/index.ts'
import type {
  Destination,
  Epoch,
  IocAddress,
  Port,
  Rmd,
  RmdCallOptions,
  RmdPriority,
  RmdRawCallOptions,
} from '../../ioc/index.ts'
import type {
  CsiDescriptor,
  HaReadiness,
  HaState,
  ProcessError,
  Recovery,
} from '../cpm/interface.ts'
import type { ProtectionGroupNotification, TrackFlag } from '../cpm/protection-group.ts'
import type { Libraries } from '../services/libraries.ts'
import type { NamedCheckpointClient } from '../services/named-checkpoint/client.ts'
import type { EoIdentity } from './my-eo.ts'

/** What a component's callbacks and functions are given to work with. One per component process. */
export interface App extends Libraries {
  /** Name of this component. */
  readonly component: string
  /** Name of the node this component runs on. */
  readonly node: string
  readonly address: IocAddress
  readonly cpm: CpmClient
  readonly eo: EoClient
  readonly rmd: AppRmd
  readonly checkpoint: CheckpointClient & NamedCheckpointClient
  /**
   * The EO's port: messages of the program's own protocols, the multicast groups whose one-way calls this component
   * gets, and who comes and goes.
   */
  readonly ioc: AppPort
}

/** What a component does with its port. */
export type AppPort = Pick<
  Port,
  | 'send'
  | 'onMessage'
  | 'onFlow'
  | 'joinGroup'
  | 'leaveGroup'
  | 'groups'
  | 'onPresence'
  | 'onNodePresence'
  | 'peers'
  | 'nodes'
>

/** Options of calls that a component makes. */
export interface AppCallOptions extends RmdCallOptions {
  /**
   * The call for which this one is made: it lasts no longer, is given up with it, and carries its trace. null: none, it
   * may outlast them all. A client made with null spares the component what it costs to know for whom calls are made:
   * see runtime/README.md, decision 16. @defaultValue the call whose function makes it, behind any `await` or timer
   */
  readonly within?: Call | null
}

/** Calls of a component; each carries the epoch of its role. */
export interface AppRmd extends Pick<Rmd, 'statistics'> {
  /** As {@link Rmd.client}. */
  client<M extends MethodSpecs>(
    face: Interface<M>,
    options: AppCallOptions & { readonly to: Destination; readonly oneWay: true },
  ): OneWayClientOf<M, AppCallOptions>
  client<M extends MethodSpecs>(
    face: Interface<M>,
    options: AppCallOptions & { readonly to: Destination },
  ): ClientOf<M, AppCallOptions>
  /** As {@link Rmd.call}. */
  call(
    to: Destination,
    functionNumber: number,
    payload: Uint8Array,
    options?: AppCallOptions & RmdRawCallOptions,
  ): Promise<Uint8Array>
}

/**
 * SAF AMF callbacks of a component. A callback that throws or rejects answers with an error: AMF recovers. The last
 * argument is the component that is meant: its own name, or, for a proxy or container, one that it acts for.
 */
export interface CpmCallbackTable extends CpmMediationCallbacks {
  /** Called for each change of role. Resolving answers OK (for QUIESCING: quiescing is complete). */
  readonly csiSet: (
    haState: HaState,
    descriptor: CsiDescriptor,
    component: string,
  ) => void | Promise<void>
  readonly csiRemove: (csi: string, component: string) => void | Promise<void>
  readonly terminate: (component: string) => void | Promise<void>
  /** AMF asks for it: the one of the model's `healthCheck` with an empty key, those that were started with theirs. */
  readonly healthCheck?: (key: string, component: string) => void | Promise<void>
  /** A protection group that is tracked with CHANGES or CHANGES_ONLY has changed. */
  readonly protectionGroupTrack?: (news: ProtectionGroupNotification) => void
}

/**
 * Further callbacks of a proxy or container: SAF AMF B.04.01 sections 7.10 and 7.11. Instantiate brings the component
 * up and registers it (`cpm.register({ component })`); clean-up resolves when nothing of it is left.
 */
export interface CpmMediationCallbacks {
  readonly proxiedComponentInstantiate?: (component: string) => void | Promise<void>
  readonly proxiedComponentCleanup?: (component: string) => void | Promise<void>
  readonly containedComponentInstantiate?: (component: string) => void | Promise<void>
  readonly containedComponentCleanup?: (component: string) => void | Promise<void>
}

/** Whom `cpm.register` and `cpm.unregister` are about. */
export interface CpmRegisterOptions {
  /**
   * A component that this one acts for: in its instantiate callback, and, for a proxied one that lived on under another
   * proxy, in csiSet(ACTIVE) of the proxy CSI. @defaultValue this component
   */
  readonly component?: string
}

/** A process whose end is to be an error of the component. */
export interface MonitorRequest {
  readonly pid: number
  /** Levels of descendants that are monitored too. -1: all. @defaultValue 0 */
  readonly descendants?: number
  /** Which ends are errors. @defaultValue all */
  readonly errors?: readonly ProcessError[]
  /** What is to be done then. @defaultValue `noRecommendation`: as the model says */
  readonly recovery?: Recovery
}

/** `clCpm...` of the seed, component side. */
export interface CpmClient {
  initialize(callbacks: CpmCallbackTable): Promise<void>
  /**
   * "Ready": AMF assigns nothing before it.
   * @throws SdkError BAD_OPERATION for a component that this one is not ACTIVE proxy or container of.
   */
  register(options?: CpmRegisterOptions): Promise<void>
  /**
   * Gives up the roles of this component, or of one that it acts for, unasked: AMF has it cleaned up and recovers it.
   * @throws SdkError BAD_OPERATION when it is not registered, or for a component that this one does not act for now.
   */
  unregister(options?: CpmRegisterOptions): Promise<void>
  finalize(): Promise<void>
  /**
   * Says that a component does not work: AMF ends it and recovers, never by less than `recovery`.
   * @param causes - what led to it, the first cause first; at most 5.
   */
  errorReport(
    message: string,
    recovery?: Recovery,
    component?: string,
    causes?: readonly string[],
  ): Promise<void>
  /**
   * Says that a component works again that AMF holds for failed, and that nobody repairs by itself: the same as an
   * operator's repair of it. @throws SdkError NOT_EXIST; NO_OP when it is ENABLED; TRY_AGAIN without a director.
   */
  errorClear(component?: string): Promise<void>
  haStateGet(csi: string): HaState | null
  /**
   * Says how far this component is able to take a CSI, or all of them, whatever was said before. AMF moves what has to
   * move. It counts until the process ends. SAF AMF B.04.01, saAmfHAReadinessStateSet.
   * @throws SdkError NOT_EXIST for a CSI that this component cannot have.
   */
  haReadinessStateSet(request: {
    /** `all`: every CSI. */
    readonly csi: string
    readonly state: HaReadiness
  }): Promise<void>
  /**
   * Begins a health check of the model's `healthChecks`. `AMF_INVOKED`: the callback `healthCheck` is called once a
   * period and has to return within the maximum duration. `COMPONENT_INVOKED`: the component calls `healthCheckConfirm`
   * at least once a period. A check that fails ends the component, with `recovery`.
   * @throws SdkError NOT_EXIST for a key that the model lacks; ALREADY_EXIST when it was started; NOT_INITIALIZED when
   * there is no callback; OP_NOT_PERMITTED for `clusterReset` and `applicationRestart`.
   */
  healthCheckStart(request: {
    readonly key: string
    readonly invocation: 'AMF_INVOKED' | 'COMPONENT_INVOKED'
    readonly recovery?: Recovery
  }): Promise<void>
  /**
   * The component is well; with `error` it is not, and the check has failed.
   * @throws SdkError NOT_EXIST when no such check was started, or AMF invokes it.
   */
  healthCheckConfirm(request: { readonly key: string; readonly error?: string }): Promise<void>
  /** @throws SdkError NOT_EXIST when no such check was started. */
  healthCheckStop(request: { readonly key: string }): Promise<void>
  /**
   * Monitors a process of this machine: looked at once a second. How it ended can be told only while it is a zombie;
   * one that is simply gone counts as every error asked for. A second call for the same process adds to the first.
   * @throws SdkError NOT_EXIST when there is no such process; NO_SPACE; OP_NOT_PERMITTED as {@link healthCheckStart}.
   */
  pmStart(request: MonitorRequest): Promise<void>
  /**
   * Stops monitoring these errors (all by default) of a process; `scope` `PROCESS` leaves its descendants monitored,
   * `ALL` means every process that this component has monitored.
   * @throws SdkError NOT_EXIST when it is not monitored.
   */
  pmStop(request: {
    readonly pid: number
    readonly scope?: 'PROCESS' | 'PROCESS_AND_DESCENDANTS' | 'ALL'
    readonly errors?: readonly ProcessError[]
  }): Promise<void>
  /**
   * Who has a CSI. With `CURRENT` the answer is the whole group as it is now; `CHANGES` and `CHANGES_ONLY` call the
   * callback `protectionGroupTrack` from then on, whatever becomes of directors. null without CURRENT.
   * @throws SdkError BAD_FLAG; NOT_EXIST for an unknown CSI; NOT_INITIALIZED without the callback; TRY_AGAIN while no
   * director knows.
   */
  protectionGroupTrack(request: {
    readonly csi: string
    readonly flags: TrackFlag | readonly TrackFlag[]
  }): Promise<ProtectionGroupNotification | null>
  /** @throws SdkError NOT_EXIST when the CSI is not tracked. */
  protectionGroupTrackStop(request: { readonly csi: string }): Promise<void>
}

/** Where and under which role the functions of a table run. */
export interface ClientInstallOptions {
  /**
   * The module at this URL exports the functions that are not given to `clientInstall`; they run on worker threads,
   * which import nothing else of the component.
   */
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

/** Function tables, their data and private data of the Execution Object: `clEo...` of the seed. */
export interface EoClient {
  /**
   * Installs the functions of an interface. With `options.worker`, those that are left out of `functions` (all: null)
   * are the worker module's. Several versions of an interface stand side by side; the same version again covers the
   * earlier table until it is uninstalled.
   * @throws SdkError ALREADY_EXIST when the client id belongs to another interface; INVALID_CLIENTID for a platform id;
   * NO_SPACE beyond `clEoConfig.userClients`; INVALID_PARAMETER when functions and methods do not match.
   */
  clientInstall<M extends MethodSpecs>(
    face: Interface<M>,
    functions: HandlersOf<M, Call>,
    options?: ClientInstallOptions,
  ): void
  clientInstall<M extends MethodSpecs>(
    face: Interface<M>,
    functions: Partial<HandlersOf<M, Call>> | null,
    options: ClientInstallOptions & { readonly worker: URL },
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

/**
 * Context of one call, second argument of every function, on the EO's thread and on workers. Calls that the function
 * makes end with it: deadline, signal and trace are handed on, as `within` of {@link AppCallOptions} says.
 */
export interface Call {
  /** The Execution Object that runs it: the `App` on the EO's thread, who it is on a worker. */
  readonly eo: EoIdentity
  readonly source: IocAddress
  readonly caller: string
  readonly messageId: number
  readonly priority: RmdPriority
  /** On this process's monotonic clock (`performance.now()`). */
  readonly deadlineMs: number
  readonly epoch: Epoch
  /**
   * Trace that the caller gave, as W3C `traceparent` text. `app.log` writes it as `trace` into each line that the
   * function logs, and errors that it throws are logged with it.
   */
  readonly trace?: string | undefined
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

/** Bounds and wishes of one CSI's checkpoint. */
export interface CheckpointOptions {
  /** At-most-once replies kept at most; a call beyond gets `TRY_AGAIN`. @defaultValue 65_536 */
  readonly replyCountMax?: number
  /**
   * Bytes of one at-most-once reply; a call whose reply is larger gets `TOO_BIG` and leaves no writes.
   * @defaultValue 4 MiB, also the most
   */
  readonly replySizeBytesMax?: number
  /** Bytes of all sections at most; a write beyond throws `NO_SPACE`. @defaultValue 32 MiB, also the most */
  readonly sizeBytesMax?: number
  /**
   * A write counts when it is on the disk of every node in sync, so that it outlives a loss of power too. Each batch
   * then waits for the disks. Once said of a CSI it stays so. @defaultValue false: writes outlive every process
   */
  readonly durable?: boolean
  /** On the standby: sections that changed, in the order of the active's commits. */
  readonly onUpdate?: (sections: ReadonlyMap<string, unknown>) => void
}

/** Hot-standby state of one CSI: sections by name, values as msgpack carries them. */
export interface Checkpoint {
  /** The view of one call: its writes and its reply commit as one record before the reply leaves. */
  in(call: Call): CheckpointView
  /** Committed content as this process knows it (on the standby: as replicated so far). */
  read(section: string): unknown
  sections(): readonly string[]
  /** A write outside any call (in csiSet, from a timer). Resolves when committed. */
  write(section: string, value: unknown): Promise<void>
}

/** Sections as one call sees them; what it writes is committed with its reply, or dropped with its error. */
export interface CheckpointView {
  /** Reads what this call, or an earlier one not committed yet, wrote; such a call then answers after the earlier. */
  read(section: string): unknown
  write(section: string, value: unknown): void
  delete(section: string): void
}
