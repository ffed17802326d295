import type { HaState } from '../../../runtime/internal.ts'
import type {
  RedundancyModel,
  ServiceGroupModel,
  ServiceInstanceModel,
  ServiceUnitModel,
} from '../../model/model.ts'
import type { Draft } from '../draft.ts'
import { instanceReady } from '../dependencies.ts'
import { unitHaReadiness } from '../ha-readiness.ts'
import { couldCarry } from '../place-csis.ts'
import { unitReadiness } from '../readiness.ts'
import { sponsorsFirst, unitRole } from '../roles.ts'
import type { EngineState, GroupState, NodeState } from '../state.ts'
import { planNPlusM } from './n-plus-m.ts'
import { planNWayActive } from './n-way-active.ts'
import { planNWay } from './n-way.ts'
import { planNoRedundancy } from './no-redundancy.ts'
import { isActiveRole, type Plan, type Planner, type PlanUnit } from './planner.ts'
import { planTwoN } from './two-n.ts'

const PLANNERS: Readonly<Record<RedundancyModel, Planner>> = {
  '2N': planTwoN,
  'N+M': planNPlusM,
  'N-way': planNWay,
  'N-way-active': planNWayActive,
  'no-redundancy': planNoRedundancy,
}

/**
 * Wanted assignments of one service group. Units that say they are degraded become ACTIVE only where the others cannot
 * serve as much without them.
 */
export function planGroup(draft: Draft, sg: ServiceGroupModel, afresh = false): Plan {
  const group = draft.peekGroup(sg.name)
  const units = sg.serviceUnits.map((unit) => planUnit(group, sg, unit, draft.peekNode(unit.node)))
  const plan = planWith(draft, sg, units, afresh)
  if (!sg.serviceInstances.some((i) => units.some((unit) => unit.isDegraded(i)))) return plan
  const better = units.map((unit) => ({
    ...unit,
    mayActivate: (i: ServiceInstanceModel) =>
      unit.mayActivate(i) && (!unit.isDegraded(i) || keepsDegraded(sg, unit, i)),
  }))
  const strict = planWith(draft, sg, better, afresh)
  return servesAsMuch(sg, strict, plan) ? strict : plan
}

/** Without standbys a move is an outage, and takes dependants along that then leave room to move back. */
function keepsDegraded(
  { redundancy }: ServiceGroupModel,
  unit: PlanUnit,
  { name }: ServiceInstanceModel,
): boolean {
  return redundancy === 'no-redundancy' && isActiveRole(unit.roles.get(name))
}

/** Compared by the most important instance that they serve differently. */
function servesAsMuch(sg: ServiceGroupModel, strict: Plan, plan: Plan): boolean {
  for (const { name } of sg.serviceInstances) {
    const more = (strict.get(name)?.active.length ?? 0) - (plan.get(name)?.active.length ?? 0)
    if (more !== 0) return more > 0
  }
  return true
}

/** A dependant is planned only beside a planned sponsor. */
function planWith(
  draft: Draft,
  sg: ServiceGroupModel,
  units: readonly PlanUnit[],
  afresh: boolean,
): Plan {
  const group = draft.peekGroup(sg.name)
  const planner = PLANNERS[sg.redundancy]
  let instances = sponsorsFirst(sg.serviceInstances).filter((i) => instanceReady(draft, group, i))
  for (;;) {
    if (instances.length === 0) return new Map()
    const plan = planner({ group: sg, units, instances, swap: group.swap, afresh })
    const carried = instances.filter((instance) => hasSponsors(sg, plan, instance))
    if (carried.length === instances.length) return plan
    instances = carried
  }
}

function hasSponsors(sg: ServiceGroupModel, plan: Plan, instance: ServiceInstanceModel): boolean {
  return instance.dependsOn.every(
    ({ serviceInstance: sponsor }) =>
      plan.has(sponsor) || !sg.serviceInstances.some(({ name }) => name === sponsor),
  )
}

/** The units of a group as a planner sees them. */
export function planUnits(state: EngineState, sg: ServiceGroupModel): readonly PlanUnit[] {
  const group = state.groups[state.index.groupAt.get(sg.name) ?? -1]
  return sg.serviceUnits.flatMap((unit) => {
    const node = state.nodes[state.index.nodeAt.get(unit.node) ?? -1]
    return group && node ? [planUnit(group, sg, unit, node)] : []
  })
}

function planUnit(
  group: GroupState,
  sg: ServiceGroupModel,
  unit: ServiceUnitModel,
  node: NodeState,
): PlanUnit {
  const roles = new Map<string, HaState>()
  // Nothing new can be asked of a unit while nobody acts for one of its components.
  const isDeaf = unit.components.some((model) => {
    const state = group.components.get(model.name)
    const needsProxy = !model.preInstantiable && model.mediation !== null
    return state?.orphaned === true || (needsProxy && state?.mediator == null)
  })
  const standbyRanks = new Map<string, number>()
  for (const instance of sg.serviceInstances) {
    const role = unitRole(group, unit, instance, 'effective')
    if (role) roles.set(instance.name, role)
    const rank = toldRank(group, unit, instance)
    if (rank !== null) standbyRanks.set(instance.name, rank)
  }
  return {
    name: unit.name,
    inService: unitReadiness(group, unit, node) === 'IN_SERVICE',
    roles,
    standbyRanks,
    mayActivate: (instance) =>
      (!isDeaf || isActiveRole(roles.get(instance.name))) &&
      // Several actives have no common checkpoint with one writer: replicas decide nothing there.
      (sg.redundancy === 'N-way-active' || isInSync(group, unit, instance)) &&
      couldCarry(unit, instance, 'ACTIVE') &&
      !unitHaReadiness(group, unit, instance).startsWith('NOT_READY'),
    mayStandby: (instance) =>
      (!isDeaf || roles.get(instance.name) === 'STANDBY') &&
      couldCarry(unit, instance, 'STANDBY') &&
      unitHaReadiness(group, unit, instance) !== 'NOT_READY_FOR_ASSIGNMENT',
    isDegraded: (instance) =>
      unitHaReadiness(group, unit, instance) === 'READY_FOR_ACTIVE_DEGRADED',
  }
}

function toldRank(
  group: GroupState,
  unit: ServiceUnitModel,
  instance: ServiceInstanceModel,
): number | null {
  for (const { name } of unit.components) {
    const assignments = group.components.get(name)?.assignments
    for (const csi of instance.csis) {
      const told = assignments?.get(csi.name)?.told
      if (told) return told.standbyRank
    }
  }
  return null
}

/** The node's replica of each CSI holds everything that was ever acknowledged. */
export function isInSync(
  group: GroupState,
  unit: ServiceUnitModel,
  instance: ServiceInstanceModel,
): boolean {
  return instance.csis.every((csi) => {
    const inSync = group.csis.get(csi.name)?.inSync ?? null
    return inSync === null || inSync.includes(unit.node)
  })
}
