import type { ServiceInstanceModel } from '../../model/model.ts'
import { byPreference, haveEqualRanks, leastBy, type Loads } from './loads.ts'
import type { PlanInput, PlanUnit } from './planner.ts'

/** What N-way and N-way active share: who takes one more active or standby assignment. */

/**
 * A unit for one more ACTIVE of the instance: from its ranked list; else, with distinct ranks, the first that has room;
 * with equal ranks an empty one, else the least loaded. No more units than preferred carry anything.
 */
export function chooseActive(
  input: PlanInput,
  loads: Loads,
  instance: ServiceInstanceModel,
): PlanUnit | undefined {
  const { group } = input
  const able = input.units.filter(
    (unit) =>
      unit.inService &&
      unit.mayActivate(instance) &&
      !loads.holds(instance, unit) &&
      loads.activeCount(unit) < group.maxActiveSIsPerSU &&
      mayCarry(input, loads, unit),
  )
  const ranked = byPreference(able, instance).find((unit) => instance.rankedSUs.includes(unit.name))
  if (ranked) return ranked
  if (!haveEqualRanks(input)) return able[0]
  return able.find((unit) => !loads.isAssigned(unit)) ?? leastBy(able, (u) => loads.activeCount(u))
}

export function chooseStandby(
  input: PlanInput,
  loads: Loads,
  instance: ServiceInstanceModel,
): PlanUnit | undefined {
  const able = input.units.filter(
    (unit) =>
      unit.inService &&
      unit.mayStandby(instance) &&
      !loads.holds(instance, unit) &&
      loads.standbyCount(unit) < input.group.maxStandbySIsPerSU &&
      mayCarry(input, loads, unit),
  )
  const ranked = byPreference(able, instance).find((unit) => instance.rankedSUs.includes(unit.name))
  if (ranked) return ranked
  return haveEqualRanks(input) ? leastBy(able, (unit) => loads.standbyCount(unit)) : able[0]
}

function mayCarry({ group, units }: PlanInput, loads: Loads, unit: PlanUnit): boolean {
  if (loads.isAssigned(unit)) return true
  return units.filter((other) => loads.isAssigned(other)).length < group.preferredAssignedSUs
}

/** The rank as it compares: 0 comes last. */
export function rankOf(instance: ServiceInstanceModel): number {
  return instance.rank === 0 ? Infinity : instance.rank
}

/**
 * Takes an active place from the least important instance that ranks strictly below, for one that found none; a unit
 * that stands by for it first.
 */
export function preempt(input: PlanInput, loads: Loads, wanting: ServiceInstanceModel): void {
  for (const victim of [...input.instances].reverse()) {
    if (rankOf(victim) <= rankOf(wanting)) return
    const unit = loads
      .activesOf(victim)
      .filter((each) => each.mayActivate(wanting) && !loads.activesOf(wanting).includes(each))[0]
    if (!unit) continue
    loads.drop(victim, unit)
    loads.drop(wanting, unit)
    loads.addActive(wanting, unit)
    return
  }
}
