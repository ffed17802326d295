import type { ServiceInstanceModel } from '../../model/model.ts'
import { haveEqualRanks, leastBy, Loads } from './loads.ts'
import { isActiveRole, type Planner, type PlanInput, type PlanUnit } from './planner.ts'
import { chooseActive } from './spread.ts'

/**
 * N-way active: several actives for each instance, no standby. SAF AMF B.04.01 section 3.6.5. Greedy by the importance
 * of instances; an adjustment of equal units moves one instance after the other from the most to the least loaded.
 */
export const planNWayActive: Planner = (input) => {
  const loads = new Loads()
  const fromScratch = input.afresh && !haveEqualRanks(input)
  for (const instance of input.instances) {
    for (const unit of fromScratch ? [] : input.units) {
      const isActive = isActiveRole(unit.roles.get(instance.name))
      const isWanted = loads.activesOf(instance).length < wantedActives(input, instance)
      if (isActive && isWanted && unit.inService && unit.mayActivate(instance)) {
        loads.addActive(instance, unit)
      }
    }
  }
  for (const instance of input.instances) {
    while (loads.activesOf(instance).length < wantedActives(input, instance)) {
      const unit = chooseActive(input, loads, instance)
      if (!unit) break
      loads.addActive(instance, unit)
    }
  }
  if (input.afresh && !fromScratch) level(input, loads)
  return loads.plan(input)
}

function wantedActives({ group }: PlanInput, instance: ServiceInstanceModel): number {
  return instance.preferredActive === 0 ? group.preferredAssignedSUs : instance.preferredActive
}

/** The least important movable instance goes from the most to the least loaded unit while they differ by over one. */
function level(input: PlanInput, loads: Loads): void {
  const able = input.units.filter((unit) => unit.inService)
  const limit = input.instances.length * able.length
  for (let moves = 0; moves < limit; moves += 1) {
    const most = leastBy(able, (unit) => -loads.activeCount(unit))
    const least = leastBy(able, (unit) => loads.activeCount(unit))
    if (!most || !least || loads.activeCount(most) - loads.activeCount(least) <= 1) return
    const movable = [...input.instances].reverse().find((i) => canMove(loads, i, most, least))
    if (!movable) return
    loads.drop(movable, most)
    loads.addActive(movable, least)
  }
}

function canMove(
  loads: Loads,
  instance: ServiceInstanceModel,
  from: PlanUnit,
  to: PlanUnit,
): boolean {
  const actives = loads.activesOf(instance)
  return actives.includes(from) && !actives.includes(to) && to.mayActivate(instance)
}
