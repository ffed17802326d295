import type { ServiceUnitModel } from '../model/model.ts'
import { continueAdjust } from './adjust.ts'
import { finishOperation } from './admin.ts'
import { adminOf, setAdmin } from './admin-states.ts'
import type { AdminResult } from './contract.ts'
import type { Draft } from './draft.ts'
import { componentsInScope, groupsInScope, isOfClass, unitsInScope } from './entities.ts'
import { awaitedUntilMs } from './execute.ts'
import { continueMonitoring } from './monitoring.ts'
import { hasFailedPresence } from './presence.ts'
import { componentState } from './readiness.ts'
import { refuse } from './refusal.ts'
import { continueRepair } from './repair.ts'
import { continueRestart, repairPending } from './restart.ts'
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
  const { entity, kind } = operation
  if (!isOfClass(draft.model, kind, entity)) return refuse('NOT_EXIST', `${entity} is gone`)
  switch (operation.operation) {
    case 'lock':
      return emptied(draft, operation)
    case 'shutdown': {
      const frozen = frozenIn(draft, operation)
      if (frozen) return frozen
      return adminOf(draft, kind, entity) === 'SHUTTING_DOWN' ? null : { ok: true }
    }
    case 'unlock':
    case 'unlock-instantiation':
      if (!isOutOfUse(draft, operation) && !allQuiet(draft, operation)) return null
      return brokenIn(draft, operation) ?? { ok: true }
    case 'lock-instantiation':
      return stopped(draft, operation)
    case 'restart':
      return continueRestart(draft, operation)
    case 'repair':
      return continueRepair(draft, operation)
    case 'adjust':
      return continueAdjust(draft, operation, allQuiet(draft, operation))
    case 'eam-start':
    case 'eam-stop':
      return continueMonitoring(draft, operation)
    case 'swap':
      return swapped(draft, operation)
  }
}

/** A node that waits for its repair: nothing follows from unlocking it, and the repair must not wait for that. */
function isOutOfUse(draft: Draft, { entity, kind }: OperationState): boolean {
  if (kind !== 'node') return false
  const { disabled, recovery } = draft.peekNode(entity)
  return disabled && recovery !== 'restart'
}

function allQuiet(draft: Draft, { entity, kind }: OperationState): boolean {
  return groupsInScope(draft.model, entity, kind).every((name) => isQuiet(draft, name))
}

/** Carried out as far as possible, but a component of the scope did not start. */
function brokenIn(draft: Draft, { entity, kind }: OperationState): AdminResult | null {
  const broken = componentsInScope(draft.model, entity, kind).find((model) =>
    hasFailedPresence(componentState(draft.peekGroup(model.serviceGroup), model)),
  )
  return broken ? repairPending(draft, broken) : null
}

/** Nothing is in flight, and nothing is still to be learned from nodes that a new director has not heard of. */
function isQuiet(draft: Draft, groupName: string): boolean {
  return isSettled(draft.peekGroup(groupName)) && isHeard(draft, groupName)
}

/** Every node of the group has told a new director what it holds, or had its time. */
function isHeard(draft: Draft, groupName: string): boolean {
  if (draft.nowMs >= awaitedUntilMs(draft)) return true
  const units = draft.model.serviceGroups.get(groupName)?.serviceUnits ?? []
  return units.every((unit) => draft.peekNode(unit.node).membership !== 'UNKNOWN')
}

function emptied(draft: Draft, operation: OperationState): AdminResult | null {
  return frozenIn(draft, operation) ?? (holdsNothing(draft, operation) ? { ok: true } : null)
}

/** What could not be stopped keeps what it holds: there is nothing to wait for before it is repaired. */
function frozenIn(draft: Draft, { entity, kind }: OperationState): AdminResult | null {
  const frozen = componentsInScope(draft.model, entity, kind).find((model) => {
    const component = componentState(draft.peekGroup(model.serviceGroup), model)
    return component.presence === 'TERMINATION_FAILED' && component.assignments.size > 0
  })
  if (!frozen) return null
  const message = `${frozen.name} could not be stopped and keeps its assignments; repair it`
  return refuse('REPAIR_PENDING', message)
}

/** Nothing in the scope is assigned. A node that is not heard of may still hold something. */
function holdsNothing(draft: Draft, { entity, kind }: Scope): boolean {
  const instance = kind === 'serviceInstance' && draft.model.serviceInstances.get(entity)
  if (instance) {
    if (!isHeard(draft, instance.serviceGroup)) return false
    const group = draft.peekGroup(instance.serviceGroup)
    const units = draft.model.serviceGroups.get(instance.serviceGroup)?.serviceUnits ?? []
    const granted = instance.csis.some((c) => (group.csis.get(c.name)?.grants.length ?? 0) > 0)
    return !granted && units.every((unit) => !holdsInstance(group, unit, instance))
  }
  return unitsInScope(draft.model, entity, kind).every((unit) => {
    const group = draft.peekGroup(unit.serviceGroup)
    if (draft.peekNode(unit.node).membership === 'UNKNOWN' && !isHeard(draft, group.name)) {
      return false
    }
    return !holdsAnything(group, unit) && !isGranted(draft, unit)
  })
}

type Scope = Pick<OperationState, 'entity' | 'kind'>

function isGranted(draft: Draft, unit: ServiceUnitModel): boolean {
  const own = new Set(unit.components.map((component) => component.name))
  const { csis } = draft.peekGroup(unit.serviceGroup)
  return [...csis.values()].some((csi) => csi.grants.some((grant) => own.has(grant.component)))
}

/** SHUTTING_DOWN becomes LOCKED when the work has run off. SAF AMF B.04.01 section 9. */
function finishShutdowns(draft: Draft): void {
  // Only what an operation shut down can be in that state, and its operation may long be answered.
  for (const operation of draft.operations) {
    const { entity, kind } = operation
    if (operation.operation !== 'shutdown' || !isOfClass(draft.model, kind, entity)) continue
    if (adminOf(draft, kind, entity) !== 'SHUTTING_DOWN') continue
    if (holdsNothing(draft, operation)) setAdmin(draft, kind, entity, 'LOCKED')
  }
}

function stopped(draft: Draft, { entity, kind }: Scope): AdminResult | null {
  for (const unit of unitsInScope(draft.model, entity, kind)) {
    const group = draft.peekGroup(unit.serviceGroup)
    if (draft.peekNode(unit.node).membership === 'UNKNOWN' && !isHeard(draft, group.name)) {
      return null
    }
    for (const model of unit.components) {
      const { presence } = componentState(group, model)
      if (presence === 'TERMINATION_FAILED') {
        return repairPending(draft, model)
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
  const broken = [swap.from, swap.to]
    .flatMap((name) => draft.model.serviceUnits.get(name)?.components ?? [])
    .find((model) => hasFailedPresence(componentState(group, model)))
  if (broken) return repairPending(draft, broken)
  return refuse(
    'FAILED_OPERATION',
    `${swap.to} could not take over; ${swap.from} or another one serves`,
  )
}
