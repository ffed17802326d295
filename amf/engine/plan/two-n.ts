import type { HaState } from '../../../runtime/internal.ts'
import {
  bestBy,
  type PlannedInstance,
  type Planner,
  type PlanInput,
  type PlanUnit,
} from './planner.ts'

/**
 * 2N: one unit ACTIVE for everything, one other STANDBY for everything. SAF AMF B.04.01 section 3.6.2.
 *
 * ACTIVE is, in this order: who may be ACTIVE for most service instances (replicas decide that: a unit that cannot
 * carry one of them gives way to one that carries all), the target of a swap, who is active already, who is standby,
 * who was just quiesced, and then the order of the units.
 */
export const planTwoN: Planner = (input) => {
  const active = chooseActive(input)
  const plan = new Map<string, PlannedInstance>()
  if (!active) return plan
  const standby = chooseStandby(input, active)
  for (const instance of input.instances) {
    if (!active.mayActivate(instance)) continue
    const standbys = standby?.mayStandby(instance) === true ? [standby.name] : []
    plan.set(instance.name, { active: [active.name], standby: standbys })
  }
  return plan
}

function chooseActive({ units, instances, swap, afresh }: PlanInput): PlanUnit | null {
  const able = units.filter((unit) => unit.inService && instances.some((i) => unit.mayActivate(i)))
  return bestBy(able, (unit) => [
    instances.filter((instance) => unit.mayActivate(instance)).length,
    unit.name === swap?.to ? 1 : 0,
    afresh ? 0 : standing(unit, ['QUIESCED', 'STANDBY', 'QUIESCING', 'ACTIVE']),
  ])
}

/**
 * Who may stand by for most, the old active one of a swap, who is standby already, who was active until now, then the
 * order of the units.
 */
function chooseStandby(
  { units, instances, swap, afresh }: PlanInput,
  active: PlanUnit,
): PlanUnit | null {
  const able = units.filter((unit) => unit.inService && unit !== active)
  return bestBy(able, (unit) => [
    instances.filter((instance) => unit.mayStandby(instance)).length,
    unit.name === swap?.from ? 1 : 0,
    afresh ? 0 : standing(unit, ['QUIESCING', 'ACTIVE', 'QUIESCED', 'STANDBY']),
  ])
}

/** Place of the unit's strongest role in `order`, from 1; 0 without any. */
function standing(unit: PlanUnit, order: readonly HaState[]): number {
  let best = 0
  for (const role of unit.roles.values()) best = Math.max(best, order.indexOf(role) + 1)
  return best
}
