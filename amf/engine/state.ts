import type { CsiDescriptor, HaReadiness, HaState, Recovery } from '../../runtime/internal.ts'
import type { Model, NodeModel } from '../model/model.ts'
import type { Alarm } from './alarms.ts'
import type {
  AdminOperation,
  AdminResult,
  AdminState,
  Notification,
  PresenceState,
  StandbyPlace,
} from './contract.ts'
import { initialScopes, type Scopes, scopesOfGroup, scopesOfNode } from './scopes.ts'

/**
 * What the engine remembers: facts (what agents said), administrative states, and commands in flight. Readiness,
 * operational states of service units, assignment states and wanted assignments are derived from it, never stored.
 *
 * Copying: a state is a value. `step` copies the two outer arrays and, before it changes a group or node, that group or
 * node whole (see `Draft`). So a step costs what the groups that it touches cost, and an old state stays valid.
 */
export interface EngineState {
  /** Term of the director; 0 before `directorStarted`. */
  readonly term: number
  /** Grants made under this term: the low half of an epoch. */
  readonly grantCount: number
  /** Invocations handed out under this term. */
  readonly invocationCount: number
  readonly startedAtMs: number
  /** Cluster, applications and node groups. */
  readonly scopes: Scopes
  readonly nodes: readonly NodeState[]
  readonly groups: readonly GroupState[]
  /** Pending operations, and the last finished ones with their result: a repeated question gets the same answer. */
  readonly operations: readonly OperationState[]
  readonly index: StateIndex
}

/** Where things are. Made once from the model, shared by all states. */
export interface StateIndex {
  readonly nodeAt: ReadonlyMap<string, number>
  readonly groupAt: ReadonlyMap<string, number>
  /** Service groups with a service unit on the node. */
  readonly groupsOnNode: ReadonlyMap<string, readonly string[]>
  /** Service instances that depend on the key. */
  readonly dependants: ReadonlyMap<string, readonly string[]>
  /** Service groups tied to the key: by a dependency between service instances, or by proxies and containers. */
  readonly linkedGroups: ReadonlyMap<string, readonly string[]>
  /** Components that whoever is ACTIVE for the key, a CSI, acts for. */
  readonly mediated: ReadonlyMap<string, readonly string[]>
}

/** An entity above service groups or nodes: its administrative state holds for everything in it. */
export interface ScopeState {
  readonly kind: 'cluster' | 'application' | 'nodeGroup'
  readonly name: string
  readonly admin: AdminState
}
/** An answer may come this much later than the agent's own time-out before it counts as lost. */
export const ANSWER_GRACE_MS = 1_000

/** Stands for the node of an external unit, which is on none: it is always there. */
export const NO_NODE = ''

export interface NodeState {
  readonly name: string
  /** Node groups that it is in. */
  scopes: readonly ScopeState[]
  /** UNKNOWN: not heard of under this term; its components may still run and serve. */
  membership: 'UNKNOWN' | 'MEMBER' | 'GONE'
  admin: AdminState
  /** Out of use until it was restarted (or repaired by the operator). */
  disabled: boolean
  /**
   * `switchover`: its work moves away first; `failover`: everything on it is cleaned up, and it is not restarted;
   * `restart`: it was told to end itself.
   */
  recovery: NodeRecovery | null
  /** When a node that was told to end is told again. */
  deadlineMs: number | null
  failovers: Window
  history: readonly Notification[]
}

export type NodeRecovery = 'switchover' | 'failover' | 'restart'

/** Actions counted from the first one on; over after the model's window. */
export interface Window {
  readonly count: number
  readonly sinceMs: number
}
export const NO_WINDOW: Window = { count: 0, sinceMs: 0 }

export interface GroupState {
  readonly name: string
  /** The cluster, and its application. */
  scopes: readonly ScopeState[]
  admin: AdminState
  /** The start-up wait is over: service instances may be assigned. */
  open: boolean
  units: Map<string, UnitState>
  components: Map<string, ComponentState>
  instances: Map<string, InstanceState>
  csis: Map<string, CsiState>
  /** A planned swap: `to` takes over from `from`. */
  swap: Swap | null
  /** Stable since then, with an adjustment possible: for the automatic adjustment after its probation. */
  adjustFromMs: number | null
  /** Going to the most preferred assignment. */
  adjusting: boolean
  /** The chain of causes of what happens now, the first cause first. */
  causes: readonly string[]
  /** Alarms that are raised now, by entity. */
  alarms: ReadonlyMap<string, readonly Alarm[]>
  /** Derived states as they were told last under this director, by kind and entity. */
  told: ReadonlyMap<string, string>
  /** Last notifications by entity name. */
  history: Map<string, readonly Notification[]>
  /** When something of this group is due; null: nothing is. */
  deadlineMs: number | null
}

export interface Swap {
  readonly serviceInstance: string
  readonly from: string
  readonly to: string
}

export interface UnitState {
  readonly name: string
  admin: AdminState
  /**
   * `move`: it gives up its assignments, because it cannot be restarted in place. `down`: all its components are being
   * stopped, assignments wait for their return. `held`: the same, and it stays down until it is let go.
   */
  restart: 'move' | 'down' | 'held' | null
  /** Every component is being cleaned up; ends with the repair. */
  failover: boolean
  componentRestarts: Window
  suRestarts: Window
}

export interface ComponentState {
  readonly name: string
  presence: PresenceState
  /** Life of the process that the facts below are about; 0: none was seen. */
  incarnation: number
  /** The last life that is known to be over: nothing that it said counts any more. */
  endedIncarnation: number
  pid: number | null
  address: { readonly node: number; readonly port: number } | null
  /** Failed with a recovery wider than a restart; until it is repaired its service unit is DISABLED. */
  failed: boolean
  /** Lives that ended before they registered, in a row. */
  failedStarts: number
  work: Work | null
  busy: boolean
  /** Its agent started its external active monitor. */
  monitored: boolean
  /** What the agent was asked to make of it; null: nothing that is not answered. */
  monitorAsked: boolean | null
  /** By CSI; null: all others. What is not here is READY_FOR_ASSIGNMENT. */
  haReadiness: ReadonlyMap<string | null, HaReadiness>
  assignments: Map<string, Assignment>
  /** Its proxy or container now; null: nobody, or it needs nobody. */
  mediator: Mediator | null
  /** A proxied one that may live and that nobody has registered since its last proxy was lost: it hears nothing. */
  orphaned: boolean
  /** A contained one whose container is on its way out: it has to go first. */
  hostLeaving: boolean
}

/** Who acts for a component that has a mediation. */
export interface Mediator {
  readonly component: string
  readonly node: string
  /** Life of the mediator's own process. */
  readonly incarnation: number
  /** Number of the life that the component has, or is to have, under this mediator. */
  readonly life: number
}

/** A life-cycle command that the agent has not finished. */
export interface Work {
  readonly kind: 'instantiate' | 'terminate' | 'cleanup'
  readonly deadlineMs: number
  /** What ordered it: treated as a failure with this recovery when it is done. */
  readonly failure: { readonly recovery: Recovery; readonly cause: string } | null
  /** What a component that is not pre-instantiable is instantiated for; null for all others. */
  readonly descriptor: CsiDescriptor | null
}

/** One CSI on one component. */
export interface Assignment {
  readonly csi: string
  /** Confirmed by the component. */
  haState: HaState | null
  pending: Pending | null
  /** What a STANDBY was told of its place; null: not standby, or its agent does not know. */
  told: StandbyPlace | null
  /** To be given again when the restarting component is back. */
  restore: HaState | null
  /** To be told once more: a new proxy acts for the component. */
  again: boolean
}

export interface Pending {
  readonly to: HaState | 'REMOVED'
  readonly invocation: number
  readonly deadlineMs: number
  readonly causes: readonly string[]
}

export interface InstanceState {
  readonly name: string
  admin: AdminState
  /** Sponsors that lost their last active one, and when. */
  sponsorLostAtMs: ReadonlyMap<string, number>
}

export interface CsiState {
  readonly name: string
  /** Of the last grant ever made; 0: none. */
  epoch: number
  /** Who may be ACTIVE at this moment: granted and not yet proven to be over. */
  grants: readonly Grant[]
  /** Nodes whose replica holds everything acknowledged; null: nothing was ever written. */
  inSync: readonly string[] | null
  /** Who was ACTIVE before, for the descriptor of the next one. */
  previous: { readonly component: string; readonly transition: 'QUIESCED' | 'NOT_QUIESCED' } | null
  /** Nodes that the active one was told to keep replicas on. */
  replicas: readonly string[]
  /** What `publishName` said last under this term: `component@epoch`. */
  published: string | null
}

export interface Grant {
  readonly component: string
  readonly node: string
  /** 0: recorded by an earlier director and not resolved yet. */
  readonly incarnation: number
  readonly epoch: number
  readonly address: { readonly node: number; readonly port: number } | null
}

export type EntityClass =
  | ScopeState['kind']
  | 'node'
  | 'serviceGroup'
  | 'serviceUnit'
  | 'component'
  | 'serviceInstance'
  | 'csi'

export interface OperationState {
  readonly id: string
  readonly operation: AdminOperation
  readonly entity: string
  readonly kind: EntityClass
  /** Process lives at the start (restart); the term that it was begun under (adjust). */
  readonly lives: Readonly<Record<string, number>>
  readonly swap: Swap | null
  readonly result: AdminResult | null
  /** A recovery that outlives the director: nobody waits for its answer. */
  readonly isRecovery: boolean
}

/** {@link NO_NODE} as a node: nothing ever happens to it. */
export const EXTERNAL: NodeState = Object.freeze({
  name: NO_NODE,
  membership: 'MEMBER',
  admin: 'UNLOCKED',
  disabled: false,
  recovery: null,
  deadlineMs: null,
  failovers: NO_WINDOW,
  scopes: [],
  history: [],
})

/** The state before any director: nothing is known of any node. */
export function initialState(model: Model): EngineState {
  const scopes = initialScopes(model)
  return {
    term: 0,
    grantCount: 0,
    invocationCount: 0,
    startedAtMs: 0,
    scopes,
    nodes: [...model.nodes.values()].map((node) => initialNode(model, node, scopes, 'UNKNOWN')),
    groups: [...model.serviceGroups.keys()].map((name) => initialGroup(model, name, scopes)),
    operations: [],
    index: buildIndex(model),
  }
}

export function initialNode(
  model: Model,
  node: NodeModel,
  scopes: Scopes,
  membership: NodeState['membership'],
): NodeState {
  return {
    name: node.name,
    scopes: scopesOfNode(model, scopes, node.name),
    membership,
    admin: node.adminState,
    disabled: false,
    recovery: null,
    deadlineMs: null,
    failovers: NO_WINDOW,
    history: [],
  }
}

export function initialGroup(model: Model, name: string, scopes: Scopes): GroupState {
  const group = model.serviceGroups.get(name)
  if (!group) throw new Error(`no service group ${name} in the model`)
  const units = group.serviceUnits
  const csis = group.serviceInstances.flatMap((instance) => instance.csis)
  return {
    name,
    scopes: scopesOfGroup(model, scopes, name),
    admin: group.adminState,
    open: false,
    units: new Map(units.map((unit) => [unit.name, initialUnit(unit.name, unit.adminState)])),
    components: new Map(
      units.flatMap((unit) => unit.components).map(({ name: c }) => [c, initialComponent(c)]),
    ),
    instances: new Map(
      group.serviceInstances.map((instance) => [
        instance.name,
        {
          name: instance.name,
          admin: instance.adminState,
          sponsorLostAtMs: new Map(),
        },
      ]),
    ),
    csis: new Map(csis.map((csi) => [csi.name, initialCsi(csi.name)])),
    swap: null,
    adjustFromMs: null,
    adjusting: false,
    causes: [],
    alarms: new Map(),
    told: new Map(),
    history: new Map(),
    deadlineMs: null,
  }
}

function initialUnit(name: string, admin: AdminState): UnitState {
  const windows = { componentRestarts: NO_WINDOW, suRestarts: NO_WINDOW }
  return { name, admin, restart: null, failover: false, ...windows }
}

/** Of HA readiness: able to do everything. */
export const NOTHING_SAID: ReadonlyMap<string | null, HaReadiness> = new Map()

export function initialComponent(name: string): ComponentState {
  return {
    name,
    presence: 'UNINSTANTIATED',
    incarnation: 0,
    endedIncarnation: 0,
    pid: null,
    address: null,
    failed: false,
    failedStarts: 0,
    work: null,
    busy: false,
    monitored: false,
    monitorAsked: null,
    haReadiness: NOTHING_SAID,
    assignments: new Map(),
    mediator: null,
    orphaned: false,
    hostLeaving: false,
  }
}

function initialCsi(name: string): CsiState {
  const rest = { inSync: null, previous: null, replicas: [], published: null }
  return { name, epoch: 0, grants: [], ...rest }
}

/** A copy that shares nothing that a step changes. */
export function cloneGroup(group: GroupState): GroupState {
  return {
    ...group,
    units: mapCopy(group.units, (unit) => ({ ...unit })),
    components: mapCopy(group.components, (component) => ({
      ...component,
      assignments: mapCopy(component.assignments, (assignment) => ({ ...assignment })),
    })),
    instances: mapCopy(group.instances, (instance) => ({ ...instance })),
    csis: mapCopy(group.csis, (csi) => ({ ...csi })),
    history: new Map(group.history),
  }
}

function mapCopy<T>(map: ReadonlyMap<string, T>, copy: (value: T) => T): Map<string, T> {
  const result = new Map<string, T>()
  for (const [key, value] of map) result.set(key, copy(value))
  return result
}

export function buildIndex(model: Model): StateIndex {
  const groupsOnNode = new Map<string, string[]>()
  const dependants = new Map<string, string[]>()
  const linkedGroups = new Map<string, string[]>()
  const mediated = new Map<string, string[]>()
  const add = (map: Map<string, string[]>, key: string, value: string): void => {
    const list = map.get(key)
    if (!list) map.set(key, [value])
    else if (!list.includes(value)) list.push(value)
  }
  const link = (one: string, other: string | undefined): void => {
    if (other === undefined || other === one) return
    add(linkedGroups, other, one)
    add(linkedGroups, one, other)
  }
  const groupOfCsi = (csi: string): string | undefined =>
    model.serviceInstances.get(model.csis.get(csi)?.serviceInstance ?? '')?.serviceGroup
  for (const { name, serviceGroup, mediation } of model.components.values()) {
    if (!mediation) continue
    add(mediated, mediation.csi, name)
    link(serviceGroup, groupOfCsi(mediation.csi))
  }
  for (const group of model.serviceGroups.values()) {
    for (const unit of group.serviceUnits) add(groupsOnNode, unit.node, group.name)
    for (const instance of group.serviceInstances) {
      for (const { serviceInstance: sponsor } of instance.dependsOn) {
        add(dependants, sponsor, instance.name)
        link(group.name, model.serviceInstances.get(sponsor)?.serviceGroup)
      }
    }
  }
  return {
    nodeAt: new Map([...model.nodes.keys()].map((name, at) => [name, at])),
    groupAt: new Map([...model.serviceGroups.keys()].map((name, at) => [name, at])),
    groupsOnNode,
    dependants,
    linkedGroups,
    mediated,
  }
}
