import type { CsiDescriptor, HaState } from '../../runtime/internal.ts'
import type { ComponentModel } from '../model/model.ts'
import type { Draft } from './draft.ts'
import { endGrant } from './grants.ts'
import { instantiate, isWithinReach, stop } from './presence.ts'
import type { Assignment, ComponentState, GroupState } from './state.ts'

/**
 * Components that are not pre-instantiable. SAF AMF B.04.01 sections 3.2.1.1 and 5: to be given ACTIVE is to be
 * instantiated, to lose it is to be terminated, and to stand by is to be ready for that: nothing runs and nobody is
 * told.
 */
interface Holder {
  readonly group: GroupState
  readonly model: ComponentModel
  readonly component: ComponentState
}

/** It can be instantiated now. */
export function canBecomeActive({ group, model, component }: Holder): boolean {
  const { presence, work, failed, orphaned } = component
  if (work || failed || orphaned || !isWithinReach(model, component)) return false
  if (group.units.get(model.serviceUnit)?.failover === true) return false
  return presence === 'UNINSTANTIATED' || presence === 'RESTARTING'
}

/** Its assignment is on its way with the order to instantiate it; the answer to that confirms it. */
export function becomeActive(draft: Draft, holder: Holder, descriptor: CsiDescriptor): void {
  const { group, model, component } = holder
  const assignment = component.assignments.get(descriptor.csi)
  instantiate(draft, group, model, component, descriptor)
  if (assignment?.pending && component.work) {
    assignment.pending = { ...assignment.pending, deadlineMs: component.work.deadlineMs }
  }
}

/** Gives a standby up, or terminates what is ACTIVE. `mayStop`: nothing else has to let go first. */
export function letGo(
  draft: Draft,
  { group, model, component }: Holder,
  assignment: Assignment,
  mayStop: () => boolean,
): void {
  if (assignment.pending || component.work) return
  if (component.presence === 'INSTANTIATED') {
    if (component.orphaned || !mayStop()) return
    const reason = `${model.serviceUnit} has to give up ${assignment.csi}`
    stop(draft, group, model, { kind: 'terminate', reason })
    return
  }
  if (component.presence === 'TERMINATION_FAILED') return
  component.assignments.delete(assignment.csi)
  if (assignment.haState) notifyRole(draft, group, model, assignment, 'NONE')
}

/** Nothing runs and nobody is told. */
export function standBy(draft: Draft, { group, model }: Holder, assignment: Assignment): void {
  notifyRole(draft, group, model, assignment, 'STANDBY')
  assignment.haState = 'STANDBY'
  assignment.pending = null
}

/** It was terminated in good order: the next active one may know. */
export function endInOrder(group: GroupState, model: ComponentModel, held: Iterable<string>): void {
  for (const csi of held) endGrant(group, csi, model.name, 'QUIESCED')
}

export function notifyRole(
  draft: Draft,
  group: GroupState,
  model: ComponentModel,
  assignment: Assignment,
  to: HaState | 'NONE',
): void {
  if (assignment.haState === to) return
  const serviceInstance = draft.model.csis.get(assignment.csi)?.serviceInstance
  draft.notify(group, {
    kind: 'haState',
    entity: model.name,
    from: assignment.haState,
    to,
    serviceUnit: model.serviceUnit,
    ...(serviceInstance === undefined ? {} : { serviceInstance }),
    causes: group.causes,
  })
}
