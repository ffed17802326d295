import type { ServiceInstanceModel } from '../model/model.ts'
import type { Draft } from './draft.ts'
import { groupAdmin, strictest, unitReadiness } from './readiness.ts'
import { unitRole } from './roles.ts'
import type { GroupState } from './state.ts'

/** Dependencies between service instances. SAF AMF B.04.01 section 3.8.1.1. */

/** May the instance be assigned now, as far as its own state and its sponsors go? */
export function instanceReady(
  draft: Draft,
  group: GroupState,
  instance: ServiceInstanceModel,
): boolean {
  if (instance.csis.length === 0 || instanceAdmin(group, instance) !== 'UNLOCKED') return false
  return instance.dependsOn.every(({ serviceInstance, toleranceMs }) => {
    const sponsor = draft.model.serviceInstances.get(serviceInstance)
    if (!sponsor) return false
    const sponsorGroup = draft.peekGroup(sponsor.serviceGroup)
    if (instanceAdmin(sponsorGroup, sponsor) !== 'UNLOCKED') return false
    if (sponsor.serviceGroup === group.name) return instanceReady(draft, group, sponsor)
    if (isServing(draft, sponsor)) return true
    return isTolerated(draft, group, instance, serviceInstance, toleranceMs)
  })
}

/** Administrative state of an instance with its group's. */
export function instanceAdmin(group: GroupState, instance: ServiceInstanceModel): string {
  return strictest([group.instances.get(instance.name)?.admin ?? 'LOCKED', groupAdmin(group)])
}

/** A unit has confirmed ACTIVE (or is still finishing its work) for the instance. */
export function isServing(draft: Draft, instance: ServiceInstanceModel): boolean {
  const group = draft.peekGroup(instance.serviceGroup)
  const sg = draft.model.serviceGroups.get(instance.serviceGroup)
  return (sg?.serviceUnits ?? []).some((unit) => {
    const role = unitRole(group, unit, instance, 'confirmed')
    if (role !== 'ACTIVE' && role !== 'QUIESCING') return false
    return unitReadiness(group, unit, draft.peekNode(unit.node)) !== 'OUT_OF_SERVICE'
  })
}

function isTolerated(
  draft: Draft,
  group: GroupState,
  instance: ServiceInstanceModel,
  sponsor: string,
  toleranceMs: number,
): boolean {
  const lostAtMs = group.instances.get(instance.name)?.sponsorLostAtMs.get(sponsor)
  return lostAtMs !== undefined && draft.nowMs < lostAtMs + toleranceMs
}

/** Starts and stops the tolerance timers of a group's assigned instances. Gives the next time one is over. */
export function watchSponsors(draft: Draft, groupName: string): number | null {
  const sg = draft.model.serviceGroups.get(groupName)
  let dueMs: number | null = null
  for (const instance of sg?.serviceInstances ?? []) {
    if (instance.dependsOn.length === 0) continue
    for (const { serviceInstance: name, toleranceMs } of instance.dependsOn) {
      const sponsor = draft.model.serviceInstances.get(name)
      if (!sponsor || sponsor.serviceGroup === groupName) continue
      const lostAtMs = updateTimer(draft, groupName, instance, sponsor)
      if (lostAtMs === null || draft.nowMs >= lostAtMs + toleranceMs) continue
      dueMs = Math.min(dueMs ?? Infinity, lostAtMs + toleranceMs)
    }
  }
  return dueMs
}

function updateTimer(
  draft: Draft,
  groupName: string,
  instance: ServiceInstanceModel,
  sponsor: ServiceInstanceModel,
): number | null {
  const known = draft.peekGroup(groupName).instances.get(instance.name)
  const lostAtMs = known?.sponsorLostAtMs.get(sponsor.name) ?? null
  const watching = isServing(draft, instance) && !isServing(draft, sponsor)
  if (watching === (lostAtMs !== null)) return lostAtMs
  const state = draft.group(groupName).instances.get(instance.name)
  if (!state) return null
  const timers = new Map(state.sponsorLostAtMs)
  if (watching) timers.set(sponsor.name, draft.nowMs)
  else timers.delete(sponsor.name)
  state.sponsorLostAtMs = timers
  return watching ? draft.nowMs : null
}

/** A dependant that has to go is still ACTIVE somewhere: its sponsor must not be quiesced before it. */
export function dependantsLeaveFirst(
  draft: Draft,
  sponsor: ServiceInstanceModel,
  leaves: (dependant: ServiceInstanceModel) => boolean,
): boolean {
  for (const name of draft.index.dependants.get(sponsor.name) ?? []) {
    const dependant = draft.model.serviceInstances.get(name)
    if (!dependant) continue
    const group = draft.peekGroup(dependant.serviceGroup)
    const granted = dependant.csis.some((csi) => (group.csis.get(csi.name)?.grants.length ?? 0) > 0)
    if (granted && leaves(dependant)) return true
  }
  return false
}
