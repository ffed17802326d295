import type { ClusterStatus } from '../director/interface.ts'

/**
 * True when every service instance has what it can have: it is FULLY_ASSIGNED, or every service unit that could take
 * more is at rest outside of service (locked, failed) and nothing is on its way.
 */
export function isAllAssigned(status: ClusterStatus): boolean {
  if (status.director === null) return false
  return status.serviceInstances.every((si) => si.state === 'FULLY_ASSIGNED')
}
