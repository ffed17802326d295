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
  const able = input.units.filter((unit) => unit.inService)
  if (!input.afresh) keepHolders(input.instances, able, holder)
  const kept = new Set(holder.keys())
  const nobody: ReadonlySet<string> = new Set()
  for (const instance of input.instances) {
    if (holder.has(instance.name)) continue
    const unit = able.find((u) => isFree(holder, u) && u.mayActivate(instance))
    if (unit) holder.set(instance.name, unit)
    else if (makeRoom(input, able, holder, { wanting: instance, staying: kept })) continue
    else if (makeRoom(input, able, holder, { wanting: instance, staying: nobody })) continue
    else if (input.group.preemption) preempt(input, instance, holder)
  }
  const plan = new Map<string, PlannedInstance>()
  for (const [name, unit] of holder) plan.set(name, { active: [unit.name], standby: [] })
  return plan
}

function keepHolders(
  instances: readonly ServiceInstanceModel[],
  able: readonly PlanUnit[],
  holder: Map<string, PlanUnit>,
): void {
  for (const instance of instances) {
    const holds = (unit: PlanUnit): boolean => isActiveRole(unit.roles.get(instance.name))
    const quiesced = (unit: PlanUnit): boolean => unit.roles.get(instance.name) === 'QUIESCED'
    const may = (unit: PlanUnit): boolean => isFree(holder, unit) && unit.mayActivate(instance)
    const unit = able.find((u) => holds(u) && may(u)) ?? able.find((u) => quiesced(u) && may(u))
    if (unit) holder.set(instance.name, unit)
  }
}

/**
 * Replicas may leave an instance only units that others hold. One of them moves on when it can be served elsewhere,
 * others behind it likewise: the augmenting path of a bipartite matching, shortest first by the order of units.
 * `staying` do not move. Asked first with all that are served: else a sponsor that serves would make room for
 * dependants that wait for it, and again from wherever it came to.
 */
function makeRoom(
  { instances }: PlanInput,
  able: readonly PlanUnit[],
  holder: Map<string, PlanUnit>,
  { wanting, staying }: { wanting: ServiceInstanceModel; staying: ReadonlySet<string> },
): boolean {
  const seen = new Set<PlanUnit>()
  const place = (instance: ServiceInstanceModel): boolean => {
    for (const unit of able) {
      if (seen.has(unit) || !unit.mayActivate(instance)) continue
      seen.add(unit)
      const present = instances.find((other) => holder.get(other.name) === unit)
      if (present && (staying.has(present.name) || !place(present))) continue
      holder.set(instance.name, unit)
      return true
    }
    return false
  }
  return place(wanting)
}

function isFree(holder: ReadonlyMap<string, PlanUnit>, unit: PlanUnit): boolean {
  return ![...holder.values()].includes(unit)
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
