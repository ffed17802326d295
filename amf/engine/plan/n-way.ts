import type { ServiceInstanceModel } from '../../model/model.ts'
import { Loads } from './loads.ts'
import { isActiveRole, type Planner, type PlanInput, type PlanUnit } from './planner.ts'
import { chooseActive, chooseStandby, preempt } from './spread.ts'

/**
 * N-way: one active and several standbys for each instance; a unit may be active for one and standby for others. SAF
 * AMF B.04.01 section 3.6.4. Who is active or standby stays so; a lost active goes to the first standby with room.
 */
export const planNWay: Planner = (input) => {
  const loads = new Loads()
  if (!input.afresh) for (const instance of input.instances) keepActive(input, loads, instance)
  for (const instance of input.instances) {
    if (loads.activesOf(instance).length > 0) continue
    const unit = successor(input, loads, instance) ?? chooseActive(input, loads, instance)
    if (unit) loads.addActive(instance, unit)
  }
  if (input.group.preemption) {
    for (const instance of input.instances) {
      if (loads.activesOf(instance).length === 0) preempt(input, loads, instance)
    }
  }
  const served = input.instances.filter((instance) => loads.activesOf(instance).length > 0)
  if (!input.afresh) for (const instance of served) keepStandbys(input, loads, instance)
  for (const instance of served) {
    while (loads.standbysOf(instance).length < instance.preferredStandby) {
      const unit = chooseStandby(input, loads, instance)
      if (!unit) break
      loads.addStandby(instance, unit)
    }
  }
  return loads.plan(input)
}

function keepActive(input: PlanInput, loads: Loads, instance: ServiceInstanceModel): void {
  const { swap, units } = input
  const target = swap?.serviceInstance === instance.name ? swap.to : null
  const canServe = (unit: PlanUnit): boolean => unit.inService && unit.mayActivate(instance)
  // While the one that is to take over cannot (its node is not heard of), the present one goes on.
  const unit =
    units.find((each) => each.name === target && canServe(each)) ??
    units.find((each) => isActiveRole(each.roles.get(instance.name)))
  if (unit && canServe(unit)) loads.addActive(instance, unit)
}

/** The first standby with room, in the order that they were told; else who was only just quiesced. */
function successor(
  input: PlanInput,
  loads: Loads,
  instance: ServiceInstanceModel,
): PlanUnit | undefined {
  if (input.afresh) return undefined
  const hasRoom = (unit: PlanUnit): boolean =>
    unit.inService &&
    unit.mayActivate(instance) &&
    loads.activeCount(unit) < input.group.maxActiveSIsPerSU
  const standby = standbysInOrder(input, instance).find(hasRoom)
  const quiesced = (unit: PlanUnit): boolean => unit.roles.get(instance.name) === 'QUIESCED'
  return standby ?? input.units.find((unit) => quiesced(unit) && hasRoom(unit))
}

function standbysInOrder(input: PlanInput, instance: ServiceInstanceModel): PlanUnit[] {
  const rank = (unit: PlanUnit): number => unit.standbyRanks.get(instance.name) ?? Infinity
  return input.units
    .filter((unit) => unit.roles.get(instance.name) === 'STANDBY')
    .sort((a, b) => (rank(a) === rank(b) ? 0 : rank(a) - rank(b)))
}

/** Those of now in their order. In a swap the old active one takes the place of the one that takes over. */
function keepStandbys(input: PlanInput, loads: Loads, instance: ServiceInstanceModel): void {
  const { swap } = input
  const isSwapped = swap?.serviceInstance === instance.name
  const old = isSwapped ? input.units.find((unit) => unit.name === swap.from) : undefined
  const present = standbysInOrder(input, instance)
  const order = old ? [old, ...present.filter((unit) => unit !== old)] : present
  for (const unit of order) {
    const isFull = loads.standbysOf(instance).length >= instance.preferredStandby
    const hasRoom = loads.standbyCount(unit) < input.group.maxStandbySIsPerSU
    if (isFull || !hasRoom || !unit.inService || !unit.mayStandby(instance)) continue
    if (!loads.holds(instance, unit)) loads.addStandby(instance, unit)
  }
}
