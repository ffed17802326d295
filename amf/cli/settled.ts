import type { ClusterStatus } from '../director/interface.ts'
import type { Model } from '../model/model.ts'

type InstanceStatus = ClusterStatus['serviceInstances'][number]

/** Administrative state of an entity, by name. */
export type AdminStateOf = (entity: string) => Promise<string | undefined>

/**
 * True when every service instance has all that it can have: it is FULLY_ASSIGNED, or what it lacks was taken away by
 * an operator (it, its service group, service units or their nodes are not UNLOCKED) and everybody else serves.
 */
export async function isAllAssigned(
  model: Model,
  status: ClusterStatus,
  adminStateOf: AdminStateOf,
): Promise<boolean> {
  if (status.director === null) return false
  for (const instance of status.serviceInstances) {
    if (instance.state === 'FULLY_ASSIGNED') continue
    if (!(await isBestPossible({ model, status, adminStateOf }, instance))) return false
  }
  return true
}

async function isBestPossible(
  {
    model,
    status,
    adminStateOf,
  }: { model: Model; status: ClusterStatus; adminStateOf: AdminStateOf },
  instance: InstanceStatus,
): Promise<boolean> {
  const known = model.serviceInstances.get(instance.name)
  const group = model.serviceGroups.get(known?.serviceGroup ?? '')
  if (known === undefined || group === undefined) return false
  const isLocked = async (entity: string): Promise<boolean> =>
    ((await adminStateOf(entity)) ?? 'UNLOCKED') !== 'UNLOCKED'
  if ((await isLocked(instance.name)) || (await isLocked(group.name))) return true
  let lockedCount = 0
  let readyCount = 0
  for (const unit of group.serviceUnits) {
    const { readiness } = status.serviceUnits.find((one) => one.name === unit.name) ?? {}
    if (readiness === 'IN_SERVICE') readyCount += 1
    else if ((await isLocked(unit.name)) || (await isLocked(unit.node))) lockedCount += 1
    else return false
  }
  const wanted = Math.min(readyCount, known.preferredActive + known.preferredStandby)
  const serving = instance.assignments.filter((one) => one.haState !== 'QUIESCED').length
  return lockedCount > 0 && serving >= wanted
}
