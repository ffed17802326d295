import type { Model, ServiceGroupModel } from '../model/model.ts'
import { groupOf, nodeOf } from './explain.ts'
import { planUnits } from './plan/plan-group.ts'
import { groupAdmin, unitReadiness } from './readiness.ts'
import { effectiveState, isSettled, isStuck, unitRole } from './roles.ts'
import type { EngineState, GroupState } from './state.ts'

/**
 * The invariants of the availability model (SAF AMF B.04.01 section 3.6) as code. Each message names the invariant.
 * I2, I3, I11 and I12 hold at every instant; the others where nothing is in flight. Not here: I13 and I14 compare two
 * states and are held by tests.
 */
export function checkInvariants(model: Model, state: EngineState): string[] {
  const broken: string[] = []
  for (const sg of model.serviceGroups.values()) {
    const group = groupOf(state, sg.name)
    checkAlways(sg, group, broken)
    // After a change of director the picture is complete when every node has joined or is proven gone.
    const isKnown = sg.serviceUnits.every((u) => {
      const { membership, recovery } = nodeOf(state, u.node)
      // A node that was told to end still holds what it held, until it is gone.
      return membership !== 'UNKNOWN' && recovery !== 'restart'
    })
    if (state.term > 0 && group.open && isKnown && isAtRest(state, group))
      checkSettled(state, sg, broken)
  }
  return broken
}

/** Nothing is in flight here, nor where a dependency leads. */
function isAtRest(state: EngineState, group: GroupState): boolean {
  const linked = state.index.linkedGroups.get(group.name) ?? []
  return isSettled(group) && linked.every((name) => isSettled(groupOf(state, name)))
}

function checkAlways(sg: ServiceGroupModel, group: GroupState, broken: string[]): void {
  for (const instance of sg.serviceInstances) {
    const holders = new Set<string>()
    for (const csi of instance.csis) {
      const known = group.csis.get(csi.name)
      for (const grant of known?.grants ?? []) {
        const unit = sg.serviceUnits.find((u) =>
          u.components.some((c) => c.name === grant.component),
        )
        holders.add(unit?.name ?? grant.component)
        if (grant.epoch > (known?.epoch ?? 0)) {
          broken.push(`I12 ${csi.name}: a grant is newer than the CSI's epoch`)
        }
      }
      checkMirrored(sg, group, csi.name, broken)
    }
    if (sg.redundancy !== 'N-way-active' && holders.size > 1) {
      broken.push(`I2 ${instance.name}: ${[...holders].join(' and ')} may be ACTIVE at once`)
    }
  }
}

/** I11: who holds ACTIVE has a grant; I3: one component a unit and CSI. */
function checkMirrored(
  sg: ServiceGroupModel,
  group: GroupState,
  csi: string,
  broken: string[],
): void {
  const grants = group.csis.get(csi)?.grants ?? []
  for (const unit of sg.serviceUnits) {
    const holders = unit.components.filter((component) =>
      group.components.get(component.name)?.assignments.has(csi),
    )
    if (holders.length > 1) {
      broken.push(`I3 ${csi}: ${holders.map((c) => c.name).join(' and ')} of ${unit.name} hold it`)
    }
    for (const { name } of holders) {
      const assignment = group.components.get(name)?.assignments.get(csi)
      const active = assignment?.haState === 'ACTIVE' || assignment?.pending?.to === 'ACTIVE'
      if (active && !grants.some((grant) => grant.component === name)) {
        broken.push(`I11 ${csi}: ${name} is ACTIVE without a grant`)
      }
    }
  }
}

function checkSettled(state: EngineState, sg: ServiceGroupModel, broken: string[]): void {
  const group = groupOf(state, sg.name)
  checkReadiness(state, sg, group, broken)
  checkLoads(sg, group, broken)
  for (const instance of sg.serviceInstances) {
    const roles = sg.serviceUnits.map((unit) => unitRole(group, unit, instance, 'effective'))
    const active = roles.filter((role) => role === 'ACTIVE' || role === 'QUIESCING').length
    const standby = roles.filter((role) => role === 'STANDBY').length
    if (standby > 0 && active === 0 && !isFrozen(group)) {
      broken.push(`I6 ${instance.name}: STANDBY without ACTIVE`)
    }
    const admin = group.instances.get(instance.name)?.admin
    if (admin === 'LOCKED' && active + standby > 0 && !isFrozen(group)) {
      broken.push(`I7 ${instance.name}: LOCKED and assigned`)
    }
  }
  checkStarvation(state, sg, broken)
}

/** A component that could not be stopped keeps what it holds, and others wait for it. */
function isFrozen(group: GroupState): boolean {
  return [...group.components.values()].some(isStuck)
}

/** I1: what a unit's readiness does not allow, it does not hold. */
function checkReadiness(
  state: EngineState,
  sg: ServiceGroupModel,
  group: GroupState,
  broken: string[],
): void {
  for (const unit of sg.serviceUnits) {
    const readiness = unitReadiness(group, unit, nodeOf(state, unit.node))
    if (readiness === 'IN_SERVICE') continue
    for (const { name } of unit.components) {
      const component = group.components.get(name)
      if (!component || isStuck(component)) continue
      for (const assignment of component.assignments.values()) {
        const role = effectiveState(assignment)
        if (role === 'ACTIVE' || role === 'STANDBY') {
          broken.push(`I1 ${unit.name} is ${readiness} and holds ${role} for ${assignment.csi}`)
        }
      }
    }
  }
}

/** I4, I5 and I10. */
function checkLoads(sg: ServiceGroupModel, group: GroupState, broken: string[]): void {
  const actives = new Set<string>()
  const standbys = new Set<string>()
  for (const unit of sg.serviceUnits) {
    const roles = sg.serviceInstances.map((i) => unitRole(group, unit, i, 'effective'))
    const active = roles.filter((role) => role === 'ACTIVE').length
    const standby = roles.filter((role) => role === 'STANDBY').length
    if (active > 0) actives.add(unit.name)
    if (standby > 0) standbys.add(unit.name)
    const separate = sg.redundancy === '2N' || sg.redundancy === 'N+M'
    if (separate && active > 0 && standby > 0) {
      broken.push(`I4 ${unit.name}: ACTIVE and STANDBY together`)
    }
    if (sg.redundancy === '2N') continue
    const limit = sg.redundancy === 'no-redundancy' ? 1 : sg.maxActiveSIsPerSU
    if (active > limit) broken.push(`I5 ${unit.name}: ${String(active)} active instances`)
    if (standby > sg.maxStandbySIsPerSU) {
      broken.push(`I5 ${unit.name}: ${String(standby)} standby instances`)
    }
  }
  if (sg.redundancy !== '2N') return
  if (actives.size > 1) broken.push(`I10 ${sg.name}: ${[...actives].join(' and ')} are ACTIVE`)
  if (standbys.size > 1) broken.push(`I10 ${sg.name}: ${[...standbys].join(' and ')} are STANDBY`)
}

/** I8 and I9: what the planner would assign to free units is assigned. */
function checkStarvation(state: EngineState, sg: ServiceGroupModel, broken: string[]): void {
  const group = groupOf(state, sg.name)
  if (isFrozen(group)) return
  const units = planUnits(state, sg)
  for (const instance of sg.serviceInstances) {
    if (group.instances.get(instance.name)?.admin !== 'UNLOCKED') continue
    if (groupAdmin(group) !== 'UNLOCKED' || instance.dependsOn.length > 0) continue
    const holds = (role: string): boolean =>
      sg.serviceUnits.some((unit) => unitRole(group, unit, instance, 'confirmed') === role)
    const granted = instance.csis.some((csi) => (group.csis.get(csi.name)?.grants.length ?? 0) > 0)
    const free = units.filter((unit) => unit.inService && unit.roles.size === 0)
    // I10 goes first: while replicas keep the instances of a 2N group apart, one of them has to wait.
    const isApart =
      sg.redundancy === '2N' && [...group.csis.values()].some((c) => c.grants.length > 0)
    if (!granted && !isApart && free.some((unit) => unit.mayActivate(instance))) {
      broken.push(`I8 ${instance.name}: nobody is ACTIVE, and ${free[0]?.name ?? ''} is free`)
    }
    // And while only some instances may be stood by for on one unit, the others go without.
    const isSplit = units.some((unit) => [...unit.roles.values()].includes('STANDBY'))
    const lacksStandby = sg.redundancy === '2N' && holds('ACTIVE') && !holds('STANDBY')
    const needsStandby = lacksStandby && !isSplit
    if (needsStandby && free.some((unit) => unit.mayStandby(instance))) {
      broken.push(`I9 ${instance.name}: nobody is STANDBY, and ${free[0]?.name ?? ''} is free`)
    }
  }
}
