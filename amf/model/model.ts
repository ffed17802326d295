import type { Recovery } from '../../runtime/internal.ts'

/** Administrative state that an entity has before any operator changed it. */
export type InitialAdminState = 'UNLOCKED' | 'LOCKED' | 'LOCKED_INSTANTIATION'

/** The complete, validated model: every default filled in, every reference resolved, frozen. Made by `parseModel`. */
export interface Model {
  readonly cluster: string
  readonly adminState: InitialAdminState
  /** No assignment before it has passed since the first director, unless everything wanted is up earlier. */
  readonly startupTimeoutMs: number
  readonly timing: TimingModel
  readonly nodes: ReadonlyMap<string, NodeModel>
  readonly nodeGroups: ReadonlyMap<string, NodeGroupModel>
  /** Every application that is declared or that a service group names. */
  readonly applications: ReadonlyMap<string, ApplicationModel>
  readonly serviceGroups: ReadonlyMap<string, ServiceGroupModel>
  /** Indexes over all service groups. */
  readonly serviceUnits: ReadonlyMap<string, ServiceUnitModel>
  readonly components: ReadonlyMap<string, ComponentModel>
  readonly serviceInstances: ReadonlyMap<string, ServiceInstanceModel>
  readonly csis: ReadonlyMap<string, CsiModel>
  /** What `parseModel` found odd but allowed, each `path: what; remedy`. */
  readonly warnings: readonly string[]
}

/** Liveness and replication times of the whole cluster. */
export interface TimingModel {
  /** Leader's beat and agents' beats. */
  readonly beatMs: number
  /** Silence of a node process or leader after which it is fenced. */
  readonly nodeSilenceMs: number
  /** A write waits this long for a replica before it is removed from the in-sync set. */
  readonly replicaTimeoutMs: number
}

export interface NodeModel {
  readonly name: string
  /** 1 to 1023. Given, or by order of appearance. */
  readonly id: number
  readonly adminState: InitialAdminState
  readonly suFailoverWindowMs: number
  readonly suFailoverMax: number
  readonly autoRepair: boolean
  readonly failfastOnTerminationFailure: boolean
  readonly failfastOnInstantiationFailure: boolean
}

/** Nodes that operators handle together, and that service units may be placed on. */
export interface NodeGroupModel {
  readonly name: string
  readonly nodes: readonly string[]
}

export interface ApplicationModel {
  readonly name: string
  readonly adminState: InitialAdminState
}

export type RedundancyModel = '2N' | 'N+M' | 'N-way' | 'N-way-active' | 'no-redundancy'

export interface ServiceGroupModel {
  readonly name: string
  readonly application: string
  readonly redundancy: RedundancyModel
  readonly adminState: InitialAdminState
  readonly autoRepair: boolean
  readonly autoAdjust: boolean
  readonly autoAdjustProbationMs: number
  readonly preemption: boolean
  readonly preferredActiveSUs: number
  readonly preferredStandbySUs: number
  readonly preferredInServiceSUs: number
  readonly preferredAssignedSUs: number
  readonly maxActiveSIsPerSU: number
  readonly maxStandbySIsPerSU: number
  readonly componentRestartWindowMs: number
  readonly componentRestartMax: number
  readonly suRestartWindowMs: number
  readonly suRestartMax: number
  /** By (rank, name): rank 1 first, 0 last. */
  readonly serviceUnits: readonly ServiceUnitModel[]
  readonly serviceInstances: readonly ServiceInstanceModel[]
}

export interface ServiceUnitModel {
  readonly name: string
  readonly serviceGroup: string
  /** `''` for an external unit, which is on no node: its components are proxied. */
  readonly node: string
  readonly adminState: InitialAdminState
  /** 1 is preferred most; 0 comes last. */
  readonly rank: number
  /** Component failover takes the whole SU along. */
  readonly failover: boolean
  /** Set: failures of the unit are not repaired and restart no node; whoever upgrades it sees to it. */
  readonly maintenanceCampaign: string | null
  /** Any of its components is: the unit is instantiated before it is assigned anything. */
  readonly preInstantiable: boolean
  readonly components: readonly ComponentModel[]
}

/**
 * Who drives the component. SAF AMF B.04.01 section 5. `saAware`: it registers and gets callbacks (a proxy is one too).
 * `container`: the same, and contained components live in it. `nonSaAware`: any program, by its commands. `proxied`,
 * `contained`: another component gets the callbacks for it; see {@link MediationModel}.
 */
export type ComponentCategory = 'saAware' | 'nonSaAware' | 'proxied' | 'container' | 'contained'

/**
 * Who acts for a component that has no process of its own: whoever is ACTIVE for the CSI. A proxied one lives on
 * without its proxy; a contained one is on its container's node and dies with it.
 */
export interface MediationModel {
  readonly kind: 'proxied' | 'contained'
  readonly csi: string
}

export interface CommandModel {
  readonly argv: readonly string[]
  readonly timeoutMs: number
}

export interface ComponentModel {
  readonly name: string
  readonly type: string
  readonly serviceUnit: string
  readonly serviceGroup: string
  readonly node: string
  readonly category: ComponentCategory
  /** Null for one that has a process, or commands, of its own. */
  readonly mediation: MediationModel | null
  /** May exist without an ACTIVE assignment. Else to be ACTIVE is to run, and it has one CSI at most. */
  readonly preInstantiable: boolean
  /**
   * What to launch: absolute program and arguments (for `run:` modules: node, the CLI, `component`, the file). Empty
   * for a component with a mediation.
   */
  readonly instantiate: CommandModel
  /** The launched process is the component. Else it is a command, after whose exit 0 the component runs. */
  readonly foreground: boolean
  /** Absolute path; the process whose pid is in it is watched once the component is instantiated. */
  readonly pidFile: string | null
  readonly terminate: CommandModel | null
  readonly cleanup: CommandModel | null
  /** Starts and stops an external active monitor. SAF AMF B.04.01 sections 4.8 and 4.9. */
  readonly amStart: CommandModel | null
  readonly amStop: CommandModel | null
  readonly amStartAttemptsMax: number
  readonly amStopAttemptsMax: number
  readonly workingDir: string
  readonly env: Readonly<Record<string, string>>
  readonly instantiationLevel: number
  /** The first `instantiateWithoutDelayMax` follow each other at once, each other one after the delay. */
  readonly instantiateAttemptsMax: number
  readonly instantiateWithoutDelayMax: number
  readonly instantiateDelayMs: number
  readonly terminateTimeoutMs: number
  readonly csiSetTimeoutMs: number
  readonly csiRemoveTimeoutMs: number
  readonly quiescingTimeoutMs: number
  /** By callback, or by a command whose exit 0 says that all is well (null: by callback). */
  readonly healthCheck: {
    readonly command: readonly string[] | null
    readonly periodMs: number
    readonly timeoutMs: number
  } | null
  /** Health checks that the component may start by their keys. */
  readonly healthChecks: ReadonlyMap<
    string,
    { readonly periodMs: number; readonly maxDurationMs: number }
  >
  /** No progress stamp for this long: hung. Watchdog silent for this long: frozen. */
  readonly hungMs: number
  /** A stamp or answer later than this raises the busy alarm. */
  readonly busyMs: number
  /** The busy alarm is cleared when nothing was late for so long. */
  readonly busyHoldMs: number
  readonly recovery: Recovery
  readonly disableRestart: boolean
  /** CS types it supports, with limits. An empty list: any CSI. */
  readonly csTypes: readonly {
    readonly csType: string
    readonly maxActive: number
    readonly maxStandby: number
  }[]
}

export interface ServiceInstanceModel {
  readonly name: string
  readonly serviceGroup: string
  /** `LOCKED_INSTANTIATION` does not exist for a service instance. */
  readonly adminState: 'UNLOCKED' | 'LOCKED'
  readonly rank: number
  readonly preferredActive: number
  readonly preferredStandby: number
  readonly rankedSUs: readonly string[]
  readonly dependsOn: readonly { readonly serviceInstance: string; readonly toleranceMs: number }[]
  readonly csis: readonly CsiModel[]
}

export interface CsiModel {
  readonly name: string
  readonly serviceInstance: string
  readonly csType: string
  /** What `@name` resolves to: default the CSI's own name. */
  readonly logicalName: string
  readonly attributes: Readonly<Record<string, readonly string[]>>
  readonly dependsOn: readonly string[]
}
