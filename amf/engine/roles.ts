import type { HaState } from '../../runtime/internal.ts'
import type { CsiModel, ServiceInstanceModel, ServiceUnitModel } from '../model/model.ts'
import type { Assignment, ComponentState, GroupState } from './state.ts'

/** From component and CSI to service unit and service instance. */

const STRENGTH: readonly HaState[] = ['STANDBY', 'QUIESCED', 'QUIESCING', 'ACTIVE']

/** What the assignment is or is about to be; null when it is going away. */
export function effectiveState(assignment: Assignment): HaState | null {
  if (assignment.pending) {
    return assignment.pending.to === 'REMOVED' ? null : assignment.pending.to
  }
  return assignment.haState ?? assignment.restore
}

/**
 * Role of a service unit for a service instance. `effective`: the strongest of what its components hold or were asked
 * for. `confirmed`: what all CSIs have confirmed (the weakest), null while one is missing.
 */
export function unitRole(
  group: GroupState,
  unit: ServiceUnitModel,
  instance: ServiceInstanceModel,
  view: 'effective' | 'confirmed',
): HaState | null {
  let found = 0
  let at: number | null = null
  for (const component of unit.components) {
    const state = group.components.get(component.name)
    if (!state || state.assignments.size === 0) continue
    for (const csi of instance.csis) {
      const assignment = state.assignments.get(csi.name)
      if (!assignment) continue
      const ha = view === 'effective' ? effectiveState(assignment) : assignment.haState
      if (ha === null) continue
      found += 1
      const strength = STRENGTH.indexOf(ha)
      const better = view === 'effective' ? strength > (at ?? -1) : strength < (at ?? 9)
      if (better) at = strength
    }
  }
  if (at === null || (view === 'confirmed' && found < instance.csis.length)) return null
  return STRENGTH[at] ?? null
}

/** True while any component of the unit holds, gets, loses or waits for any CSI. */
export function holdsAnything(group: GroupState, unit: ServiceUnitModel): boolean {
  return unit.components.some((c) => (group.components.get(c.name)?.assignments.size ?? 0) > 0)
}

export function holdsInstance(
  group: GroupState,
  unit: ServiceUnitModel,
  instance: ServiceInstanceModel,
): boolean {
  return unit.components.some((component) => {
    const assignments = group.components.get(component.name)?.assignments
    return instance.csis.some((csi) => assignments?.has(csi.name) === true)
  })
}

/** The component can be given and relieved of CSIs now. */
export function takesCallbacks(component: ComponentState): boolean {
  return component.presence === 'INSTANTIATED' && component.work === null && !component.orphaned
}

/** Nothing can be asked of it: a repair, or its next proxy, is what it waits for. */
export function isStuck({ presence, orphaned }: ComponentState): boolean {
  return presence === 'TERMINATION_FAILED' || orphaned
}

/** A command about a CSI of this group is in flight. */
export function anyPending(group: GroupState, to?: HaState | 'REMOVED'): boolean {
  for (const component of group.components.values()) {
    for (const { pending } of component.assignments.values()) {
      if (pending && (to === undefined || pending.to === to)) return true
    }
  }
  return false
}

/** Nobody could do now what it waits for: its next proxy will, whenever there is one. */
export function waitsForProxy({ orphaned, mediator }: ComponentState): boolean {
  return orphaned && mediator === null
}

/** Nothing is in flight: what is there stays until something happens. */
export function isSettled(group: GroupState): boolean {
  if (anyPending(group)) return false
  for (const component of group.components.values()) {
    const { work, presence } = component
    if (waitsForProxy(component)) continue
    if (work && presence !== 'TERMINATION_FAILED') return false
    if (presence === 'RESTARTING' || presence === 'INSTANTIATING') return false
  }
  for (const unit of group.units.values()) if (unit.restart !== null) return false
  return true
}

/** 1 + the longest chain of sponsor CSIs. Sponsors come first. */
export function csiRank(instance: ServiceInstanceModel, csi: CsiModel): number {
  const sponsors = csi.dependsOn.flatMap((name) => instance.csis.filter((c) => c.name === name))
  return 1 + Math.max(0, ...sponsors.map((sponsor) => csiRank(instance, sponsor)))
}

/** Sponsors before dependants, otherwise in the order of the model (rank, name). */
export function sponsorsFirst(
  instances: readonly ServiceInstanceModel[],
): readonly ServiceInstanceModel[] {
  if (instances.every((instance) => instance.dependsOn.length === 0)) return instances
  const byName = new Map(instances.map((instance) => [instance.name, instance]))
  const ordered = new Set<ServiceInstanceModel>()
  const visit = (instance: ServiceInstanceModel): void => {
    if (ordered.has(instance)) return
    for (const { serviceInstance } of instance.dependsOn) {
      const sponsor = byName.get(serviceInstance)
      if (sponsor) visit(sponsor)
    }
    ordered.add(instance)
  }
  for (const instance of instances) visit(instance)
  return [...ordered]
}
