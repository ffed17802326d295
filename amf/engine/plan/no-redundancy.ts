import type { ServiceInstanceModel } from '../../model/model.ts'
import {
  isActiveRole,
  type PlannedInstance,
  type Planner,
  type PlanInput,
  type PlanUnit,
} from './planner.ts'

/**
 * No redundancy: each service instance on a unit of its own, no standby. SAF AMF B.04.01 section 3.6.6. With
 * pre-emption a more important instance takes the unit of the least important one.
 */
export const planNoRedundancy: Planner = (input) => {
  const holder = new Map<string, PlanUnit>()
  const taken = new Set<PlanUnit>()
  const take = (instance: ServiceInstanceModel, unit: PlanUnit): void => {
    holder.set(instance.name, unit)
    taken.add(unit)
  }
  const able = input.units.filter((unit) => unit.inService)
  if (!input.afresh) keepHolders(input.instances, able, taken, take)
  for (const instance of input.instances) {
    if (holder.has(instance.name)) continue
    const unit = able.find((u) => !taken.has(u) && u.mayActivate(instance))
    if (unit) take(instance, unit)
    else if (input.group.preemption) preempt(input, instance, holder)
  }
  const plan = new Map<string, PlannedInstance>()
  for (const [name, unit] of holder) plan.set(name, { active: [unit.name], standby: [] })
  return plan
}

function keepHolders(
  instances: readonly ServiceInstanceModel[],
  able: readonly PlanUnit[],
  taken: ReadonlySet<PlanUnit>,
  take: (instance: ServiceInstanceModel, unit: PlanUnit) => void,
): void {
  for (const instance of instances) {
    const holds = (unit: PlanUnit): boolean => isActiveRole(unit.roles.get(instance.name))
    const quiesced = (unit: PlanUnit): boolean => unit.roles.get(instance.name) === 'QUIESCED'
    const may = (unit: PlanUnit): boolean => !taken.has(unit) && unit.mayActivate(instance)
    const unit = able.find((u) => holds(u) && may(u)) ?? able.find((u) => quiesced(u) && may(u))
    if (unit) take(instance, unit)
  }
}

/** Takes the unit of the least important instance that ranks strictly below. */
function preempt(
  { instances }: PlanInput,
  instance: ServiceInstanceModel,
  holder: Map<string, PlanUnit>,
): void {
  for (const victim of [...instances].reverse()) {
    if (victim === instance) return
    const unit = holder.get(victim.name)
    if (!unit?.mayActivate(instance)) continue
    if (effectiveRank(victim.rank) <= effectiveRank(instance.rank)) return
    holder.delete(victim.name)
    holder.set(instance.name, unit)
    return
  }
}

function effectiveRank(rank: number): number {
  return rank === 0 ? Infinity : rank
}
