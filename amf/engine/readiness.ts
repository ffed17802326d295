import type {
  ComponentModel,
  Model,
  ServiceGroupModel,
  ServiceInstanceModel,
  ServiceUnitModel,
} from '../model/model.ts'
import type {
  AdminState,
  AssignmentState,
  OperationalState,
  PresenceState,
  ReadinessState,
} from './contract.ts'
import { unitRole } from './roles.ts'
import type { ComponentState, GroupState, NodeState } from './state.ts'

/** Derived states: SAF AMF B.04.01 sections 3.2 and 3.3. Nothing here is stored. */

export function nodeOperational(node: NodeState): OperationalState {
  return node.membership === 'MEMBER' && !node.disabled && node.recovery === null
    ? 'ENABLED'
    : 'DISABLED'
}

/** The most restrictive of the administrative states. */
export function strictest(states: readonly AdminState[]): AdminState {
  for (const state of ['LOCKED_INSTANTIATION', 'LOCKED', 'SHUTTING_DOWN'] as const) {
    if (states.includes(state)) return state
  }
  return 'UNLOCKED'
}

/** With node groups, service group, application and cluster. */
export function unitAdmin(group: GroupState, unit: ServiceUnitModel, node: NodeState): AdminState {
  const own = group.units.get(unit.name)?.admin ?? 'LOCKED'
  return strictest([own, groupAdmin(group), nodeAdmin(node)])
}

export function groupAdmin({ admin, scopes }: GroupState): AdminState {
  return strictest([admin, ...scopes.map((scope) => scope.admin)])
}

export function nodeAdmin({ admin, scopes }: NodeState): AdminState {
  return strictest([admin, ...scopes.map((scope) => scope.admin)])
}

export function componentOperational(component: ComponentState): OperationalState {
  const { failed, presence } = component
  const broken = presence === 'INSTANTIATION_FAILED' || presence === 'TERMINATION_FAILED'
  return failed || broken ? 'DISABLED' : 'ENABLED'
}

export function componentsOf(group: GroupState, unit: ServiceUnitModel): ComponentState[] {
  return unit.components.map((component) => componentState(group, component))
}

export function componentState(group: GroupState, component: ComponentModel): ComponentState {
  const state = group.components.get(component.name)
  if (!state) throw new Error(`no component ${component.name} in ${group.name}`)
  return state
}

export function unitOperational(group: GroupState, unit: ServiceUnitModel): OperationalState {
  if (group.units.get(unit.name)?.failover === true) return 'DISABLED'
  const all = componentsOf(group, unit)
  return all.every((c) => componentOperational(c) === 'ENABLED') ? 'ENABLED' : 'DISABLED'
}

export function unitPresence(group: GroupState, unit: ServiceUnitModel): PresenceState {
  // SAF AMF B.04.01 section 3.2.1.2: what is not pre-instantiable comes and goes with its assignments.
  const counted = unit.components.filter((c) => c.preInstantiable || !unit.preInstantiable)
  const states = counted.map((model) => componentState(group, model).presence)
  for (const failed of ['TERMINATION_FAILED', 'INSTANTIATION_FAILED'] as const) {
    if (states.includes(failed)) return failed
  }
  if (states.every((state) => state === 'UNINSTANTIATED')) return 'UNINSTANTIATED'
  if (states.every((state) => state === 'RESTARTING')) return 'RESTARTING'
  const up = (state: PresenceState): boolean => state === 'INSTANTIATED' || state === 'RESTARTING'
  if (states.every(up)) return 'INSTANTIATED'
  if (states.includes('TERMINATING')) return 'TERMINATING'
  return 'INSTANTIATING'
}

export function unitReadiness(
  group: GroupState,
  unit: ServiceUnitModel,
  node: NodeState,
): ReadinessState {
  const admin = unitAdmin(group, unit, node)
  if (admin === 'LOCKED' || admin === 'LOCKED_INSTANTIATION') return 'OUT_OF_SERVICE'
  if (nodeOperational(node) === 'DISABLED') return 'OUT_OF_SERVICE'
  if (group.units.get(unit.name)?.restart === 'move') return 'OUT_OF_SERVICE'
  if (unitOperational(group, unit) === 'DISABLED') return 'OUT_OF_SERVICE'
  if (componentsOf(group, unit).some((component) => component.hostLeaving)) return 'OUT_OF_SERVICE'
  const presence = unit.preInstantiable ? unitPresence(group, unit) : 'INSTANTIATED'
  if (presence !== 'INSTANTIATED' && presence !== 'RESTARTING') return 'OUT_OF_SERVICE'
  return admin === 'SHUTTING_DOWN' ? 'STOPPING' : 'IN_SERVICE'
}

/** Not under a maintenance campaign: its failures are the campaign's. SAF AMF B.04.01 section 3.11.1.4.2. */
export function repairsItself(
  sg: Pick<ServiceGroupModel, 'autoRepair'> | undefined,
  unit: ServiceUnitModel,
): boolean {
  return sg?.autoRepair === true && unit.maintenanceCampaign === null
}

/** SAF AMF B.04.01, assignment state of a service instance; confirmed assignments count. */
export function assignmentState(
  model: Model,
  group: GroupState,
  instance: ServiceInstanceModel,
): AssignmentState {
  const sg = model.serviceGroups.get(group.name)
  if (!sg) throw new Error(`no service group ${group.name}`)
  let active = 0
  let standby = 0
  for (const unit of sg.serviceUnits) {
    const role = unitRole(group, unit, instance, 'confirmed')
    if (role === 'ACTIVE' || role === 'QUIESCING') active += 1
    else if (role === 'STANDBY') standby += 1
  }
  if (active === 0) return 'UNASSIGNED'
  const wantedActive =
    sg.redundancy === 'N-way-active' ? instance.preferredActive || sg.preferredAssignedSUs : 1
  const wantedStandby = wantedStandbys(sg.redundancy, instance)
  return active >= wantedActive && standby >= wantedStandby
    ? 'FULLY_ASSIGNED'
    : 'PARTIALLY_ASSIGNED'
}

function wantedStandbys(redundancy: string, instance: ServiceInstanceModel): number {
  if (redundancy === '2N' || redundancy === 'N+M') return 1
  return redundancy === 'N-way' ? instance.preferredStandby : 0
}
