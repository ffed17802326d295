import type { ServiceInstanceModel } from '../../model/model.ts'
import { leastBy, Loads } from './loads.ts'
import { isActiveRole, type Planner, type PlanInput, type PlanUnit } from './planner.ts'

/**
 * N+M: N units carry only active, M only standby assignments. SAF AMF B.04.01 section 3.6.3. How many units are used
 * comes from the reduction levels; what is active stays; a lost active goes to its standby's unit, which gives up what
 * it stood by for otherwise.
 */
export const planNPlusM: Planner = (given) => {
  const input = given.afresh ? forgetRoles(given) : given
  const { active: activeUnits, standby: standbyUnits } = reduction(input)
  const loads = new Loads()
  if (!input.afresh) keepActives(input, loads)
  const unplaced = input.instances.filter((i) => loads.activesOf(i).length === 0)
  if (unplaced.length === input.instances.length && !hasStandbys(input)) {
    spreadActives(input, loads, activeUnits)
  } else if (unplaced.length > 0) {
    promote(input, loads, unplaced)
    for (const instance of unplaced) {
      if (loads.activesOf(instance).length === 0) addActive(input, loads, instance, activeUnits)
    }
  }
  placeStandbys(input, loads, standbyUnits)
  return loads.plan(input)
}

/** The most preferred assignment hangs on nothing that moves while it is made: else it would never be reached. */
function forgetRoles(input: PlanInput): PlanInput {
  return { ...input, units: input.units.map((unit) => ({ ...unit, roles: new Map() })) }
}

/** Reduction levels I to VI. */
export function reduction({ group, units, instances }: PlanInput): {
  readonly active: number
  readonly standby: number
} {
  const s = units.filter((unit) => unit.inService).length
  const n = group.preferredActiveSUs
  const m = group.preferredStandbySUs
  const leastActive = Math.ceil(instances.length / group.maxActiveSIsPerSU)
  const leastStandby = m === 0 ? 0 : Math.ceil(instances.length / group.maxStandbySIsPerSU)
  if (s >= n + m) return { active: n, standby: m }
  if (s >= n + leastStandby) return { active: n, standby: s - n }
  if (s >= leastActive + leastStandby) return { active: s - leastStandby, standby: leastStandby }
  if (s >= leastActive) return { active: leastActive, standby: s - leastActive }
  return { active: s, standby: 0 }
}

function keepActives(input: PlanInput, loads: Loads): void {
  const { swap, units } = input
  const to = units.find((unit) => unit.name === swap?.to)
  for (const instance of input.instances) {
    const holder = units.find((unit) => isActiveRole(unit.roles.get(instance.name)))
    const from = units.find((unit) => unit.roles.get(instance.name) === 'QUIESCED')
    // A swap takes everything of the old active unit to its partner.
    const moves = to !== undefined && (holder ?? from)?.name === swap?.from
    const unit = moves ? to : holder
    if (unit?.inService && unit.mayActivate(instance)) loads.addActive(instance, unit)
  }
}

function hasStandbys({ units, instances, afresh }: PlanInput): boolean {
  if (afresh) return false
  return units.some((unit) => unit.inService && instances.some((i) => unit.roles.has(i.name)))
}

/** The first assignment: blocks of nearly the same size over the first units. */
function spreadActives(input: PlanInput, loads: Loads, count: number): void {
  const able = input.units.filter((unit) => unit.inService).slice(0, count)
  let at = 0
  let taken = 0
  for (const [index, instance] of input.instances.entries()) {
    const left = input.instances.length - index + taken
    const block = Math.ceil(left / Math.max(1, able.length - at))
    const limit = Math.min(block, input.group.maxActiveSIsPerSU)
    if (taken >= limit) {
      at += 1
      taken = 0
    }
    const unit = able[at]
    if (unit?.mayActivate(instance)) {
      loads.addActive(instance, unit)
      taken += 1
    } else addActive(input, loads, instance, count)
  }
}

/** Standbys of the lost actives take over as long as there are not enough active units. */
function promote(input: PlanInput, loads: Loads, unplaced: readonly ServiceInstanceModel[]): void {
  for (const instance of unplaced) {
    const partner = input.units.find(
      (unit) => unit.inService && unit.roles.get(instance.name) === 'STANDBY',
    )
    if (!partner?.mayActivate(instance)) continue
    const others = input.units.filter((unit) => unit !== partner && loads.activeCount(unit) > 0)
    const hasRoom = loads.activeCount(partner) < input.group.maxActiveSIsPerSU
    if (others.length < input.group.preferredActiveSUs && hasRoom) {
      loads.addActive(instance, partner)
    }
  }
}

/**
 * The least loaded active unit; a new one while there are fewer than wanted. When only replicas on a standby unit hold
 * what was acknowledged, that unit becomes active too, more than preferred: service goes before the number of units.
 */
function addActive(
  input: PlanInput,
  loads: Loads,
  instance: ServiceInstanceModel,
  wantedUnits: number,
): void {
  const able = input.units.filter((unit) => unit.inService && unit.mayActivate(instance))
  const active = input.units.filter((unit) => loads.activeCount(unit) > 0)
  const quiesced = able.find((unit) => unit.roles.get(instance.name) === 'QUIESCED')
  const fresh = able.filter((unit) => loads.activeCount(unit) === 0)
  const empty = fresh.find((unit) => unit.roles.size === 0) ?? quiesced
  const open = empty ?? fresh[0]
  const hasRoom = (unit: PlanUnit): boolean =>
    loads.activeCount(unit) < input.group.maxActiveSIsPerSU
  const least = leastBy(
    able.filter((unit) => active.includes(unit) && hasRoom(unit)),
    (unit) => loads.activeCount(unit),
  )
  const isApart = !active.some((unit) => unit.mayActivate(instance))
  const mayOpen = isApart || active.length < input.group.preferredActiveSUs
  const unit =
    active.length < wantedUnits && empty ? empty : (least ?? (mayOpen ? open : undefined))
  if (unit) loads.addActive(instance, unit)
}

function placeStandbys(input: PlanInput, loads: Loads, count: number): void {
  const { group, swap } = input
  const free = input.units.filter((unit) => unit.inService && loads.activeCount(unit) === 0)
  const served = input.instances.filter((i) => loads.activesOf(i).length > 0)
  const hasRoom = (unit: PlanUnit): boolean => loads.standbyCount(unit) < group.maxStandbySIsPerSU
  for (const instance of input.afresh ? [] : served) {
    const swapped = loads.activesOf(instance)[0]?.name === swap?.to
    const unit =
      (swapped ? free.find((each) => each.name === swap?.from) : undefined) ??
      free.find((each) => each.roles.get(instance.name) === 'STANDBY')
    if (unit && hasRoom(unit) && unit.mayStandby(instance)) loads.addStandby(instance, unit)
  }
  const lacking = served.filter((instance) => loads.standbysOf(instance).length === 0)
  if (lacking.length === served.length) return spreadStandbys(input, loads, free.slice(0, count))
  for (const instance of lacking) {
    const able = free.filter((unit) => unit.mayStandby(instance) && hasRoom(unit))
    const open = able.find((unit) => loads.standbyCount(unit) === 0)
    const used = free.filter((unit) => loads.standbyCount(unit) > 0)
    const least = leastBy(
      able.filter((unit) => loads.standbyCount(unit) > 0),
      (unit) => loads.standbyCount(unit),
    )
    const unit = used.length < count && open ? open : least
    if (unit) loads.addStandby(instance, unit)
  }
}

function spreadStandbys(input: PlanInput, loads: Loads, units: readonly PlanUnit[]): void {
  const served = input.instances.filter((i) => loads.activesOf(i).length > 0)
  let at = 0
  let taken = 0
  for (const [index, instance] of served.entries()) {
    const left = served.length - index + taken
    const block = Math.ceil(left / Math.max(1, units.length - at))
    if (taken >= Math.min(block, input.group.maxStandbySIsPerSU)) {
      at += 1
      taken = 0
    }
    const unit = units[at]
    if (!unit?.mayStandby(instance)) continue
    loads.addStandby(instance, unit)
    taken += 1
  }
}
