import type { Draft } from './draft.ts'
import { isInSync } from './plan/plan-group.ts'
import { refuse, type Refusal } from './refusal.ts'
import { isSettled, unitRole } from './roles.ts'
import type { EntityClass, Swap } from './state.ts'

/** May the roles of a service instance change hands now? SAF AMF B.04.01 section 9 (SI swap). */
export function checkSwap(draft: Draft, kind: EntityClass, entity: string): Swap | Refusal {
  const instance = draft.model.serviceInstances.get(entity)
  if (kind !== 'serviceInstance' || !instance) {
    return refuse('NOT_SUPPORTED', `swap is for a service instance; ${entity} is none`)
  }
  const sg = draft.model.serviceGroups.get(instance.serviceGroup)
  const group = draft.peekGroup(instance.serviceGroup)
  if (!sg || sg.redundancy === 'N-way-active' || sg.redundancy === 'no-redundancy') {
    return refuse('NOT_SUPPORTED', `${entity} has no standby: its group is ${sg?.redundancy ?? ''}`)
  }
  if (group.instances.get(entity)?.admin !== 'UNLOCKED') {
    return refuse('BAD_OPERATION', `${entity} is not unlocked; unlock it first`)
  }
  if (!isSettled(group) || group.swap) {
    return refuse('TRY_AGAIN', `${sg.name} is still changing`)
  }
  const having = (role: string): string[] =>
    sg.serviceUnits
      .filter((unit) => unitRole(group, unit, instance, 'confirmed') === role)
      .map((unit) => unit.name)
  const from = having('ACTIVE')[0]
  const standby = having('STANDBY')
  const to = standby.find((name) => {
    const unit = sg.serviceUnits.find((each) => each.name === name)
    return unit !== undefined && isReplicaReady(draft, sg.name, unit.name)
  })
  if (from === undefined || standby.length === 0) {
    return refuse('BAD_OPERATION', `${entity} needs an active and a standby service unit to swap`)
  }
  if (to === undefined) return refuse('TRY_AGAIN', `${standby.join(', ')} is not in sync yet`)
  return { serviceInstance: entity, from, to }
}

/** The unit could be ACTIVE for everything that the group has assigned. */
function isReplicaReady(draft: Draft, groupName: string, unitName: string): boolean {
  const sg = draft.model.serviceGroups.get(groupName)
  const group = draft.peekGroup(groupName)
  const unit = sg?.serviceUnits.find((each) => each.name === unitName)
  if (!sg || !unit) return false
  return sg.serviceInstances.every(
    (instance) =>
      unitRole(group, unit, instance, 'confirmed') === null || isInSync(group, unit, instance),
  )
}
