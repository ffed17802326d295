import type {
  CsiDescriptor,
  HaReadiness,
  HaState,
  Recovery,
  Transition,
} from '../../runtime/internal.ts'
import type { Model } from '../model/model.ts'
import type { ModelSource } from '../model/source.ts'

/**
 * The engine's contract: `step(model, state, event, nowMs) -> { state, commands }`, pure and synchronous.
 * Order of commands is the contract: every `persist` of a step is durable before the first other command of it leaves.
 * Every command may run twice (a new director repeats what was in flight) and carries what makes that harmless: an
 * epoch, an invocation, or the process life (`incarnation`) it is meant for.
 */

export type AdminState = 'UNLOCKED' | 'LOCKED' | 'LOCKED_INSTANTIATION' | 'SHUTTING_DOWN'
export type OperationalState = 'ENABLED' | 'DISABLED'
export type PresenceState =
  | 'UNINSTANTIATED'
  | 'INSTANTIATING'
  | 'INSTANTIATED'
  | 'TERMINATING'
  | 'RESTARTING'
  | 'INSTANTIATION_FAILED'
  | 'TERMINATION_FAILED'
export type ReadinessState = 'OUT_OF_SERVICE' | 'IN_SERVICE' | 'STOPPING'
export type AssignmentState = 'UNASSIGNED' | 'PARTIALLY_ASSIGNED' | 'FULLY_ASSIGNED'

export type AdminOperation =
  | 'lock'
  | 'unlock'
  | 'shutdown'
  | 'restart'
  | 'swap'
  | 'repair'
  | 'lock-instantiation'
  | 'unlock-instantiation'
  | 'adjust'
  | 'eam-start'
  | 'eam-stop'

/** What an agent knows to be true about one component of its node. */
export interface ComponentFacts {
  readonly component: string
  readonly presence: PresenceState
  readonly pid: number | null
  /** Grows with each launch by the same agent: answers and failures of an earlier life are told apart by it. */
  readonly incarnation: number
  readonly address: { readonly node: number; readonly port: number } | null
  /** The component of the same node that acts for it, for one that has no process of its own. */
  readonly mediator: string | null
  /** Assignments that the component confirmed, and those it was asked for and has not answered. */
  readonly assignments: readonly {
    readonly csi: string
    readonly haState: HaState
    readonly epoch: number
    readonly confirmed: boolean
    /** What a STANDBY was told of its place; null for any other role, or where nobody knows. */
    readonly told?: StandbyPlace | null
  }[]
  /** What it said of its HA readiness; `csi` null: for all CSIs without an entry of their own. */
  readonly haReadiness?: readonly { readonly csi: string | null; readonly state: HaReadiness }[]
  /** It answers late now. */
  readonly busy?: boolean
  /** Its external active monitor was started, and not stopped since. */
  readonly monitored?: boolean
}

/** Place of a STANDBY in the order of take-over, 1 the first, and whom it stands by for. */
export interface StandbyPlace {
  readonly standbyRank: number
  readonly activeComponent: string | null
}

export type EngineEvent =
  /** A director took office under `term` with the records that `persist` wrote. The first event of a state. */
  | {
      readonly kind: 'directorStarted'
      readonly term: number
      readonly records: readonly PersistedRecord[]
    }
  /** An agent is connected and told the truth about its node. */
  | {
      readonly kind: 'nodeJoined'
      readonly node: string
      readonly facts: readonly ComponentFacts[]
    }
  /** The node process and every component of it are proven gone. */
  | { readonly kind: 'nodeGone'; readonly node: string; readonly cause: string }
  | {
      readonly kind: 'componentRegistered'
      readonly component: string
      readonly incarnation: number
      /** Null where the agent knows of no process. */
      readonly pid: number | null
      /** Null where nothing can be called. */
      readonly address: { readonly node: number; readonly port: number } | null
    }
  /** All attempts of the agent failed; nothing of the component is left. */
  | { readonly kind: 'instantiationFailed'; readonly component: string; readonly cause: string }
  /**
   * The component failed and nothing of its process is left (the agent killed it if need be and saw its exit).
   * `recovery`: what the detector recommends.
   */
  | {
      readonly kind: 'componentFailed'
      readonly component: string
      readonly incarnation: number
      readonly recovery: Recovery
      readonly cause: string
    }
  /** The agent restarted a component by itself while there was no director (or on its own authority). */
  | {
      readonly kind: 'componentTerminated'
      readonly component: string
      readonly incarnation: number
    }
  | { readonly kind: 'cleanupFailed'; readonly component: string; readonly cause: string }
  /** Answer to `csiSet`; for QUIESCING `complete` says that quiescing is complete (the CSI is QUIESCED then). */
  | {
      readonly kind: 'csiSetDone'
      readonly component: string
      readonly incarnation: number
      readonly csi: string
      readonly haState: HaState
      readonly invocation: number
      readonly complete: boolean
    }
  | {
      readonly kind: 'csiRemoveDone'
      readonly component: string
      readonly incarnation: number
      readonly csi: string
      readonly invocation: number
    }
  /** An operator asks. Answered by one `answer` command with the same id, when finished. */
  | {
      readonly kind: 'admin'
      readonly id: string
      readonly operation: AdminOperation
      readonly entity: string
    }
  /** A primary replica asks to change the in-sync set of a CSI. Answered by `answer`. */
  | {
      readonly kind: 'inSyncChange'
      readonly id: string
      readonly csi: string
      readonly epoch: number
      readonly node: string
      readonly inSync: boolean
    }
  /** busy raised or cleared by an agent: an alarm, never a recovery. */
  | {
      readonly kind: 'busy'
      readonly component: string
      readonly busy: boolean
      readonly delayMs: number
      /** What is late, where the delay does not say it. */
      readonly why?: string | undefined
    }
  /** External active monitoring of a component began or ended. */
  | {
      readonly kind: 'monitoring'
      readonly component: string
      readonly incarnation: number
      readonly monitored: boolean
    }
  /** A component says how far it is able to take a CSI; null: all of its CSIs. */
  | {
      readonly kind: 'haReadiness'
      readonly component: string
      readonly incarnation: number
      readonly csi: string | null
      readonly state: HaReadiness
    }
  /**
   * An operator's new model, checked against the running one. Refused whole, or taken whole: then the state that the
   * step gives belongs to the new model, and `useModel` is the first command. Answered in the same step. `records`:
   * what is recorded, for CSIs that come back and for entities that go.
   */
  | {
      readonly kind: 'modelChange'
      readonly id: string
      readonly model: Model
      readonly source: ModelSource
      readonly records: readonly PersistedRecord[]
    }
  | { readonly kind: 'tick' }

export interface PersistedRecord {
  readonly key: string
  /** Plain data; null deletes. */
  readonly value: unknown
}

/** Who is to act for a component that has no process of its own, and under which number its life goes on. */
export interface MediationOrder {
  readonly mediator: string
  readonly incarnation: number
  /** It lives already, with these assignments: its new proxy only registers it. Null: it is to be instantiated. */
  readonly kept:
    readonly { readonly csi: string; readonly haState: HaState; readonly epoch: number }[] | null
}

export type EngineCommand =
  | { readonly kind: 'persist'; readonly record: PersistedRecord; readonly why: string }
  | {
      readonly kind: 'instantiate'
      readonly node: string
      readonly component: string
      /** Who acts for a component without a process; it goes to that one's node. */
      readonly mediation: MediationOrder | null
      /** What a component that is not pre-instantiable is ACTIVE for as soon as it runs; null for all others. */
      readonly descriptor: CsiDescriptor | null
      readonly why: string
    }
  /** Orderly: terminate callback, then cleanup when late. Ends with `componentTerminated` or `cleanupFailed`. */
  | {
      readonly kind: 'terminate'
      readonly node: string
      readonly component: string
      readonly incarnation: number
      readonly why: string
    }
  /** Abrupt: SIGKILL. Ends with `componentTerminated` or `cleanupFailed`. */
  | {
      readonly kind: 'cleanup'
      readonly node: string
      readonly component: string
      readonly incarnation: number
      readonly mediation: MediationOrder | null
      readonly why: string
    }
  | {
      readonly kind: 'csiSet'
      readonly node: string
      readonly component: string
      readonly incarnation: number
      readonly invocation: number
      readonly haState: HaState
      readonly descriptor: CsiDescriptor
      /**
       * ACTIVE only: nodes that should hold replicas of the CSI's checkpoint, its own among them, and those recorded
       * as in sync. None: the CSI has no checkpoint.
       */
      readonly replicas: readonly string[]
      readonly inSync: readonly string[] | null
      readonly why: string
    }
  | {
      readonly kind: 'csiRemove'
      readonly node: string
      readonly component: string
      readonly incarnation: number
      readonly invocation: number
      readonly csi: string
      readonly why: string
    }
  /** External active monitoring of a component is to begin or end. Ends with `monitoring`, or the component fails. */
  | {
      readonly kind: 'monitor'
      readonly node: string
      readonly component: string
      readonly incarnation: number
      readonly monitored: boolean
      readonly why: string
    }
  /** The set of nodes that should hold replicas changed while the active one stays. Sent to its agent. */
  | {
      readonly kind: 'setReplicas'
      readonly node: string
      readonly csi: string
      readonly epoch: number
      readonly replicas: readonly string[]
      readonly inSync: readonly string[] | null
      readonly why: string
    }
  /**
   * Who is behind `name` changed. Sent to every agent. Published with the csiSet(ACTIVE) itself, so that callers
   * park.
   */
  | {
      readonly kind: 'publishName'
      readonly name: string
      readonly csi: string
      readonly component: string | null
      readonly address: { readonly node: number; readonly port: number } | null
      readonly epoch: number
      readonly why: string
    }
  /** Node failover or failfast: end the node process and everything of it; it comes back through its supervisor. */
  | { readonly kind: 'restartNode'; readonly node: string; readonly why: string }
  /**
   * From here on this is the model: every later step gets it. Durable, as all that a step persists, before anything
   * follows from it; agents have it before the next command reaches them.
   */
  | {
      readonly kind: 'useModel'
      readonly model: Model
      readonly source: ModelSource
      readonly why: string
    }
  | {
      readonly kind: 'answer'
      readonly id: string
      readonly result: AdminResult
      readonly why: string
    }
  | { readonly kind: 'notify'; readonly notification: Notification; readonly why: string }

export type AdminResult =
  | { readonly ok: true }
  | {
      readonly ok: false
      /** The standard's word. */
      readonly code:
        | 'NO_OP'
        | 'BAD_OPERATION'
        | 'TRY_AGAIN'
        | 'NOT_EXIST'
        | 'NOT_SUPPORTED'
        | 'INTERRUPT'
        | 'FAILED_OPERATION'
        | 'REPAIR_PENDING'
        | 'STALE_EPOCH'
      readonly message: string
    }

/** One thing that changed, with the chain of causes that led to it, the first cause first. */
export interface Notification {
  readonly kind:
    | 'haState'
    | 'haReadiness'
    | 'presence'
    | 'readiness'
    | 'operational'
    | 'administrative'
    | 'assignment'
    | 'alarmRaised'
    | 'alarmCleared'
    | 'recovery'
    | 'node'
    | 'inSync'
  readonly entity: string
  /** Minor id of the notification class, where SAF AMF B.04.01 section 11 has one. */
  readonly minorId?: number
  readonly from: string | null
  readonly to: string
  /** Of a recovery: what was recommended; `to` is what is done. */
  readonly recommended?: Recovery
  readonly serviceInstance?: string
  readonly serviceUnit?: string
  readonly epoch?: number
  readonly transition?: Transition
  readonly causes: readonly string[]
  readonly atMs: number
}

export type Step<State> = (
  model: Model,
  state: State,
  event: EngineEvent,
  nowMs: number,
) => { readonly state: State; readonly commands: readonly EngineCommand[] }
