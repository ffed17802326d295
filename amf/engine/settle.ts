import type { ServiceUnitModel } from '../model/model.ts'
import { adminOf, finishOperation, setAdmin } from './admin.ts'
import type { AdminResult } from './contract.ts'
import type { Draft } from './draft.ts'
import { classOf, groupsInScope, unitsInScope } from './entities.ts'
import { awaitedUntilMs } from './execute.ts'
import { componentState } from './readiness.ts'
import { refuse } from './refusal.ts'
import { continueRepair } from './repair.ts'
import { continueRestart } from './restart.ts'
import { holdsAnything, holdsInstance, isSettled, unitRole } from './roles.ts'
import type { OperationState } from './state.ts'

/** Answers operations whose effect is complete, and takes the next step of those that have several. */
export function settleOperations(draft: Draft): void {
  finishShutdowns(draft)
  for (const operation of draft.operations) {
    if (operation.result) continue
    const result = resultOf(draft, operation)
    if (result) finishOperation(draft, operation, result)
  }
}

function resultOf(draft: Draft, operation: OperationState): AdminResult | null {
  const { entity } = operation
  switch (operation.operation) {
    case 'lock':
      return emptied(draft, entity)
    case 'shutdown': {
      const kind = classOf(draft.model, entity)
      const admin = kind && adminOf(draft, kind, entity)
      return admin === 'SHUTTING_DOWN' ? null : { ok: true }
    }
    case 'unlock':
    case 'unlock-instantiation':
      return groupsInScope(draft.model, entity).every((name) => isQuiet(draft, name))
        ? { ok: true }
        : null
    case 'lock-instantiation':
      return stopped(draft, entity)
    case 'restart':
      return continueRestart(draft, operation)
    case 'repair':
      return continueRepair(draft, operation)
    case 'swap':
      return swapped(draft, operation)
  }
}

/** Nothing is in flight, and nothing is still to be learned from nodes that a new director has not heard of. */
function isQuiet(draft: Draft, groupName: string): boolean {
  if (!isSettled(draft.peekGroup(groupName))) return false
  if (draft.nowMs >= awaitedUntilMs(draft)) return true
  const units = draft.model.serviceGroups.get(groupName)?.serviceUnits ?? []
  return units.every((unit) => draft.peekNode(unit.node).membership !== 'UNKNOWN')
}

function emptied(draft: Draft, entity: string): AdminResult | null {
  const frozen = unitsInScope(draft.model, entity).flatMap((unit) =>
    unit.components.filter((model) => {
      const component = componentState(draft.peekGroup(model.serviceGroup), model)
      return component.presence === 'TERMINATION_FAILED' && component.assignments.size > 0
    }),
  )
  if (frozen[0]) {
    const message = `${frozen[0].name} could not be stopped and keeps its assignments; repair it`
    return refuse('FAILED_OPERATION', message)
  }
  return holdsNothing(draft, entity) ? { ok: true } : null
}

/** Nothing in the scope is assigned. A node that is not heard of may still hold something. */
function holdsNothing(draft: Draft, entity: string): boolean {
  const instance = draft.model.serviceInstances.get(entity)
  if (instance) {
    const group = draft.peekGroup(instance.serviceGroup)
    const units = draft.model.serviceGroups.get(instance.serviceGroup)?.serviceUnits ?? []
    const granted = instance.csis.some((c) => (group.csis.get(c.name)?.grants.length ?? 0) > 0)
    return !granted && units.every((unit) => !holdsInstance(group, unit, instance))
  }
  return unitsInScope(draft.model, entity).every((unit) => {
    const group = draft.peekGroup(unit.serviceGroup)
    return !holdsAnything(group, unit) && !isGranted(draft, unit)
  })
}

function isGranted(draft: Draft, unit: ServiceUnitModel): boolean {
  const own = new Set(unit.components.map((component) => component.name))
  const { csis } = draft.peekGroup(unit.serviceGroup)
  return [...csis.values()].some((csi) => csi.grants.some((grant) => own.has(grant.component)))
}

/** SHUTTING_DOWN becomes LOCKED when the work has run off. SAF AMF B.04.01 section 9. */
function finishShutdowns(draft: Draft): void {
  for (const entity of shuttingDown(draft)) {
    const kind = classOf(draft.model, entity)
    if (kind && holdsNothing(draft, entity)) setAdmin(draft, kind, entity, 'LOCKED')
  }
}

/** Only what an operation shut down can be in that state, and its operation may long be answered. */
function shuttingDown(draft: Draft): string[] {
  const names = new Set(
    draft.operations.filter((o) => o.operation === 'shutdown').map((o) => o.entity),
  )
  return [...names].filter((name) => {
    const kind = classOf(draft.model, name)
    return kind !== null && adminOf(draft, kind, name) === 'SHUTTING_DOWN'
  })
}

function stopped(draft: Draft, entity: string): AdminResult | null {
  for (const unit of unitsInScope(draft.model, entity)) {
    const group = draft.peekGroup(unit.serviceGroup)
    for (const model of unit.components) {
      const { presence } = componentState(group, model)
      if (presence === 'TERMINATION_FAILED') {
        return refuse('FAILED_OPERATION', `${model.name} could not be stopped; repair it`)
      }
      if (presence !== 'UNINSTANTIATED' && presence !== 'INSTANTIATION_FAILED') return null
    }
  }
  return { ok: true }
}

/** Done when the new active one has confirmed and nothing is in flight: the old one stands by, if it can. */
function swapped(draft: Draft, operation: OperationState): AdminResult | null {
  const instance = draft.model.serviceInstances.get(operation.swap?.serviceInstance ?? '')
  const { swap } = operation
  if (!instance || !swap) return refuse('NOT_EXIST', `${operation.entity} is gone`)
  const group = draft.peekGroup(instance.serviceGroup)
  const to = draft.model.serviceUnits.get(swap.to)
  if (!isQuiet(draft, group.name)) return null
  // The swap is over; without it planning keeps whoever is active now.
  if (group.swap) draft.group(instance.serviceGroup).swap = null
  if (to && unitRole(group, to, instance, 'confirmed') === 'ACTIVE') return { ok: true }
  return refuse(
    'FAILED_OPERATION',
    `${swap.to} could not take over; ${swap.from} or another one serves`,
  )
}
