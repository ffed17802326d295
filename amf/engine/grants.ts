import type { Draft } from './draft.ts'
import type { ComponentState, CsiState, Grant, GroupState } from './state.ts'

/**
 * Who may be ACTIVE. A grant is recorded before the component hears of it and ends only when the component confirmed
 * QUIESCED or removed, or is proven gone. As long as one exists nobody else is granted (I2).
 */

/** Records a new grant with a new epoch. The record is durable before any command of the step leaves. */
export function grantActive(
  draft: Draft,
  csi: CsiState,
  component: ComponentState,
  node: string,
  why: string,
): number {
  const epoch = draft.nextEpoch()
  const grant: Grant = {
    component: component.name,
    node,
    incarnation: component.incarnation,
    epoch,
    address: component.address,
  }
  csi.epoch = epoch
  csi.grants = [...csi.grants.filter((other) => other.component !== component.name), grant]
  persistGrants(draft, csi, why)
  return epoch
}

/**
 * The grants of an instance end together in the records too, when its next one is made: a new director would count what
 * is over, for one of its CSIs, beside what was granted for another.
 */
export function persistEndedGrants(draft: Draft, csis: readonly CsiState[], why: string): void {
  for (const csi of csis) {
    if (csi.epoch > 0 && csi.grants.length === 0) persistGrants(draft, csi, why)
  }
}

export function persistGrants(draft: Draft, csi: CsiState, why: string): void {
  draft.persist(`grant/${csi.name}`, { epoch: csi.epoch, grants: csi.grants }, why)
}

/**
 * Ends the component's grant of one CSI. Not recorded before the next grant of the instance: until then a new director
 * learns it from the agents.
 */
export function endGrant(
  group: GroupState,
  csiName: string,
  component: string,
  transition: 'QUIESCED' | 'NOT_QUIESCED',
): void {
  const csi = group.csis.get(csiName)
  if (!csi?.grants.some((grant) => grant.component === component)) return
  csi.grants = csi.grants.filter((grant) => grant.component !== component)
  csi.previous = { component, transition }
}
