import type { ClusterStatus } from '../director/interface.ts'
import type { Model, ServiceInstanceModel, ServiceUnitModel } from '../model/model.ts'
import { isRaised } from './alarms.ts'
import type { Notification } from './contract.ts'
import { instanceAdminOf, sponsorsMissing } from './explain-instance.ts'
import { groupStates, scopeStates } from './explain-scopes.ts'
import { classOf } from './entities.ts'
import { unitHaReadiness } from './ha-readiness.ts'
import {
  assignmentState,
  componentOperational,
  componentState,
  nodeOperational,
  unitOperational,
  unitPresence,
  unitReadiness,
} from './readiness.ts'
import { unitRole } from './roles.ts'
import {
  EXTERNAL,
  NO_NODE,
  type ComponentState,
  type EngineState,
  type GroupState,
  type NodeState,
} from './state.ts'

/** The engine's state in the words of operators. Reads only. */

/** Everything `holdfast status` shows. `director` says where the director runs; the engine knows only its term. */
export function clusterStatus(
  model: Model,
  state: EngineState,
  director: ClusterStatus['director'],
): ClusterStatus {
  return {
    cluster: model.cluster,
    director,
    scopes: [...state.scopes.values()].map(({ kind, name, admin }) => {
      return { kind, name, adminState: admin }
    }),
    nodes: state.nodes.map((node) => {
      return { name: node.name, state: nodeOperational(node), adminState: node.admin }
    }),
    serviceGroups: state.groups.map(({ name, admin }) => ({ name, adminState: admin })),
    serviceUnits: [...model.serviceUnits.values()].map((unit) => unitStatus(state, unit)),
    serviceInstances: [...model.serviceInstances.values()].map((instance) =>
      instanceStatus(model, state, instance),
    ),
    alarms: alarmsOf(model, state),
  }
}

export function groupOf(state: EngineState, name: string): GroupState {
  const group = state.groups[state.index.groupAt.get(name) ?? -1]
  if (!group) throw new Error(`no service group ${name}`)
  return group
}

export function nodeOf(state: EngineState, name: string): NodeState {
  if (name === NO_NODE) return EXTERNAL
  const node = state.nodes[state.index.nodeAt.get(name) ?? -1]
  if (!node) throw new Error(`no node ${name}`)
  return node
}

function unitStatus(
  state: EngineState,
  unit: ServiceUnitModel,
): ClusterStatus['serviceUnits'][number] {
  const group = groupOf(state, unit.serviceGroup)
  return {
    name: unit.name,
    node: unit.node,
    readiness: unitReadiness(group, unit, nodeOf(state, unit.node)),
    presence: unitPresence(group, unit),
    adminState: group.units.get(unit.name)?.admin ?? 'LOCKED',
    components: unit.components.map((component) => {
      const { pid, address } = componentState(group, component)
      return { name: component.name, pid, address: addressOf(address) }
    }),
  }
}

function instanceStatus(
  model: Model,
  state: EngineState,
  instance: ServiceInstanceModel,
): ClusterStatus['serviceInstances'][number] {
  const group = groupOf(state, instance.serviceGroup)
  const units = model.serviceGroups.get(instance.serviceGroup)?.serviceUnits ?? []
  return {
    name: instance.name,
    state: assignmentState(model, group, instance),
    adminState: group.instances.get(instance.name)?.admin ?? 'LOCKED',
    inSync: inSyncOf(group, instance),
    waitingFor: waitingFor(model, state, instance),
    assignments: units.flatMap((unit) => {
      const haState = unitRole(group, unit, instance, 'confirmed')
      if (!haState) return []
      const holders = unit.components.filter((component) =>
        instance.csis.some((csi) => componentState(group, component).assignments.has(csi.name)),
      )
      const components = holders.map((component) => {
        const { pid, address } = componentState(group, component)
        return { name: component.name, pid, address: addressOf(address) }
      })
      return [{ serviceUnit: unit.name, node: unit.node, haState, components }]
    }),
  }
}

function addressOf(address: ComponentState['address']): string | null {
  return address ? `${String(address.node)}:${String(address.port)}` : null
}

/** Nodes that hold everything of every CSI of the instance; null while nothing was written. */
function inSyncOf(group: GroupState, instance: ServiceInstanceModel): string[] | null {
  let common: string[] | null = null
  for (const csi of instance.csis) {
    const inSync = group.csis.get(csi.name)?.inSync ?? null
    if (inSync === null) continue
    common = common === null ? [...inSync] : common.filter((node) => inSync.includes(node))
  }
  return common
}

/** Plain words on why nobody is ACTIVE for the instance; null while somebody is. */
function waitingFor(
  model: Model,
  state: EngineState,
  instance: ServiceInstanceModel,
): string | null {
  const group = groupOf(state, instance.serviceGroup)
  const units = model.serviceGroups.get(instance.serviceGroup)?.serviceUnits ?? []
  const role = (unit: ServiceUnitModel): string | null =>
    unitRole(group, unit, instance, 'confirmed')
  if (units.some((unit) => role(unit) === 'ACTIVE' || role(unit) === 'QUIESCING')) return null
  const admin = instanceAdminOf(group, instance)
  if (admin !== 'UNLOCKED') return `an operator: ${instance.name} is ${admin}`
  const sponsors = sponsorsMissing(model, state, instance)
  if (sponsors.length > 0) return `its sponsor ${sponsors.join(', ')}`
  const grant = instance.csis.flatMap((csi) => group.csis.get(csi.name)?.grants ?? [])[0]
  if (grant) return waitingForHolder(state, group, grant)
  const inSync = inSyncOf(group, instance)
  const ready = units.filter(
    (unit) => unitReadiness(group, unit, nodeOf(state, unit.node)) === 'IN_SERVICE',
  )
  const holding = ready.filter((unit) => inSync === null || inSync.includes(unit.node))
  const able = holding.filter(
    (unit) => !unitHaReadiness(group, unit, instance).startsWith('NOT_READY'),
  )
  if (able.length > 0) {
    return group.open ? `${able[0]?.name ?? ''} to take over` : 'the start-up wait to end'
  }
  const unready = holding.map((u) => `${u.name} is ${unitHaReadiness(group, u, instance)}`)
  if (unready.length > 0) return `a component that is ready: ${unready.join(', ')}`
  if (inSync !== null) {
    const holders = units.filter((unit) => inSync.includes(unit.node))
    const names = holders.map((unit) => `${unit.name} on ${unit.node}`).join(' or ')
    return `${names || inSync.join(' or ')}: only there is everything that was acknowledged`
  }
  const up = units.map((unit) => `${unit.name} (${reasonOut(state, group, unit)})`)
  return `a service unit in service: ${up.join(', ')}`
}

function waitingForHolder(
  state: EngineState,
  group: GroupState,
  grant: GroupState['csis'] extends Map<string, infer C> ? GrantOf<C> : never,
): string {
  const component = group.components.get(grant.component)
  const node = nodeOf(state, grant.node)
  if (node.membership === 'UNKNOWN') {
    return `${grant.node} to join or to be proven gone: ${grant.component} there may still be ACTIVE`
  }
  if (component?.presence === 'TERMINATION_FAILED') {
    return `the repair of ${grant.component}: it could not be stopped and may still be ACTIVE`
  }
  if (component?.orphaned === true) {
    return `a proxy for ${grant.component}, which may still be ACTIVE`
  }
  return component?.work ? `${grant.component} to be gone` : `${grant.component} to confirm`
}

type GrantOf<C> = C extends { readonly grants: readonly (infer G)[] } ? G : never

/** Why a unit is not in service, in a few words. */
function reasonOut(state: EngineState, group: GroupState, unit: ServiceUnitModel): string {
  const node = nodeOf(state, unit.node)
  if (node.membership !== 'MEMBER') return `${unit.node} is not there`
  if (nodeOperational(node) === 'DISABLED') return `${unit.node} is DISABLED`
  for (const [name, admin] of [
    [unit.node, node.admin],
    ...node.scopes.map((scope) => [scope.name, scope.admin] as const),
    [group.name, group.admin],
    ...group.scopes.map((scope) => [scope.name, scope.admin] as const),
    [unit.name, group.units.get(unit.name)?.admin ?? 'LOCKED'],
  ] as const) {
    if (admin !== 'UNLOCKED') return `${name} is ${admin}`
  }
  const presence = unitPresence(group, unit)
  if (presence !== 'INSTANTIATED' && unit.preInstantiable) return presence
  return unitOperational(group, unit)
}

function alarmsOf(model: Model, state: EngineState): ClusterStatus['alarms'] {
  const alarms: { entity: string; text: string }[] = []
  for (const group of state.groups) {
    for (const component of group.components.values()) {
      for (const text of group.alarms.get(component.name) ?? []) {
        alarms.push({ entity: component.name, text })
      }
    }
    for (const instance of group.instances.values()) {
      const instanceModel = model.serviceInstances.get(instance.name)
      if (!isRaised(group, instance.name, 'UNASSIGNED') || !instanceModel) continue
      const waits = waitingFor(model, state, instanceModel)
      alarms.push({ entity: instance.name, text: `UNASSIGNED: waits for ${waits ?? 'nothing'}` })
    }
  }
  return alarms
}

/** Every state of one entity; null when the model has no such name. */
export function stateOf(
  model: Model,
  state: EngineState,
  entity: string,
): { entity: string; class: string; states: Record<string, string> } | null {
  const kind = classOf(model, entity)
  if (!kind) return null
  return { entity, class: kind, states: statesOf(model, state, entity) }
}

function statesOf(model: Model, state: EngineState, entity: string): Record<string, string> {
  const unit = model.serviceUnits.get(entity)
  const component = model.components.get(entity)
  const instance = model.serviceInstances.get(entity)
  const csi = model.csis.get(entity)
  const kind = classOf(model, entity)
  if (kind === 'cluster' || kind === 'application' || kind === 'nodeGroup') {
    return scopeStates(model, state, kind, entity)
  }
  if (model.nodes.has(entity)) {
    const node = nodeOf(state, entity)
    return {
      administrative: node.admin,
      operational: nodeOperational(node),
      membership: node.membership,
    }
  }
  if (model.serviceGroups.has(entity)) {
    return groupStates(model, groupOf(state, entity))
  }
  if (unit) return unitStates(model, state, unit)
  if (component) {
    const group = groupOf(state, component.serviceGroup)
    return componentStates(
      group,
      componentState(group, component),
      component.serviceUnit,
      model,
      state,
    )
  }
  if (instance) {
    const group = groupOf(state, instance.serviceGroup)
    return {
      administrative: group.instances.get(instance.name)?.admin ?? 'LOCKED',
      assignment: assignmentState(model, group, instance),
      ...haStates(model, group, instance),
    }
  }
  return csi ? csiStates(model, state, csi.name, csi.serviceInstance) : {}
}

function unitStates(
  model: Model,
  state: EngineState,
  unit: ServiceUnitModel,
): Record<string, string> {
  const group = groupOf(state, unit.serviceGroup)
  const states: Record<string, string> = {
    administrative: group.units.get(unit.name)?.admin ?? 'LOCKED',
    operational: unitOperational(group, unit),
    presence: unitPresence(group, unit),
    readiness: unitReadiness(group, unit, nodeOf(state, unit.node)),
  }
  for (const instance of model.serviceGroups.get(unit.serviceGroup)?.serviceInstances ?? []) {
    const role = unitRole(group, unit, instance, 'confirmed')
    if (role) states[`ha ${instance.name}`] = role
  }
  return states
}

function componentStates(
  group: GroupState,
  component: ComponentState,
  unitName: string,
  model: Model,
  state: EngineState,
): Record<string, string> {
  const unit = model.serviceUnits.get(unitName)
  const enabled = componentOperational(component) === 'ENABLED'
  const readiness =
    unit && enabled ? unitReadiness(group, unit, nodeOf(state, unit.node)) : 'OUT_OF_SERVICE'
  const states: Record<string, string> = {
    operational: componentOperational(component),
    presence: component.presence,
    readiness,
    ...mediationStates(model, component),
  }
  for (const { csi, haState } of component.assignments.values()) {
    if (haState) states[`ha ${csi}`] = haState
  }
  for (const [csi, haReadiness] of component.haReadiness) {
    states[csi === null ? 'haReadiness' : `haReadiness ${csi}`] = haReadiness
  }
  return states
}

/** Proxy status of a proxied component, and who acts for one that has no process of its own. */
function mediationStates(model: Model, component: ComponentState): Record<string, string> {
  const mediation = model.components.get(component.name)?.mediation
  if (!mediation) return {}
  const { mediator, orphaned } = component
  const by = mediator && !orphaned ? { [BY[mediation.kind]]: mediator.component } : {}
  if (mediation.kind === 'contained') return by
  return { proxyStatus: mediator && !orphaned ? 'PROXIED' : 'UNPROXIED', ...by }
}

const BY = { proxied: 'proxy', contained: 'container' } as const

function haStates(
  model: Model,
  group: GroupState,
  instance: ServiceInstanceModel,
): Record<string, string> {
  const states: Record<string, string> = {}
  for (const unit of model.serviceGroups.get(group.name)?.serviceUnits ?? []) {
    const role = unitRole(group, unit, instance, 'confirmed')
    if (role) states[`ha ${unit.name}`] = role
  }
  return states
}

function csiStates(
  model: Model,
  state: EngineState,
  csi: string,
  instanceName: string,
): Record<string, string> {
  const instance = model.serviceInstances.get(instanceName)
  const group = instance && groupOf(state, instance.serviceGroup)
  const known = group?.csis.get(csi)
  if (!group || !known) return {}
  const states: Record<string, string> = {
    epoch: String(known.epoch),
    inSync: known.inSync?.join(', ') ?? 'nothing written yet',
  }
  for (const component of group.components.values()) {
    const haState = component.assignments.get(csi)?.haState
    if (haState) states[`ha ${component.name}`] = haState
  }
  return states
}

/** The entity's last notifications, the newest first; null when the model has no such name. */
export function whyOf(
  model: Model,
  state: EngineState,
  entity: string,
): readonly Notification[] | null {
  const kind = classOf(model, entity)
  if (!kind) return null
  if (kind === 'node') return [...nodeOf(state, entity).history].reverse()
  const found = state.groups.flatMap((group) => group.history.get(entity) ?? [])
  return [...found].reverse()
}
