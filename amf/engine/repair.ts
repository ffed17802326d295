import type { ComponentModel } from '../model/model.ts'
import type { AdminResult } from './contract.ts'
import type { Draft } from './draft.ts'
import { componentsInScope, unitsInScope } from './entities.ts'
import { clearFailure } from './facts.ts'
import { hasFailedPresence, setPresence, stop } from './presence.ts'
import { componentOperational, componentState, unitOperational } from './readiness.ts'
import { repairUnit } from './reconcile.ts'
import { persistNode } from './records.ts'
import { CLASS_WORDS, refuse, type Refusal } from './refusal.ts'
import { isSettled, waitsForProxy } from './roles.ts'
import type { EntityClass, OperationState } from './state.ts'

/** The operator says that a cause was removed: failed components start again, failed clean-ups are tried again. */

export function checkRepair(draft: Draft, kind: EntityClass, entity: string): Refusal | null {
  if (kind !== 'serviceUnit' && kind !== 'component' && kind !== 'node') {
    return refuse('NOT_SUPPORTED', `repair is not defined for ${CLASS_WORDS[kind]} ${entity}`)
  }
  const nodeIsDisabled = kind === 'node' && draft.peekNode(entity).disabled
  if (kind !== 'node') {
    const off = unitsInScope(draft.model, entity).find((u) => draft.peekNode(u.node).disabled)
    if (off) return refuse('BAD_OPERATION', `${off.node} is DISABLED; repair it first`)
  }
  const isFailed = (model: ComponentModel): boolean =>
    componentOperational(componentState(draft.peekGroup(model.serviceGroup), model)) === 'DISABLED'
  const components = componentsInScope(draft.model, entity)
  if (nodeIsDisabled || components.some(isFailed)) return null
  const units = unitsInScope(draft.model, entity)
  const unitIsFailed = units.some(
    (unit) => unitOperational(draft.peekGroup(unit.serviceGroup), unit) === 'DISABLED',
  )
  return unitIsFailed ? null : refuse('NO_OP', `${entity} is ENABLED: there is nothing to repair`)
}

export function startRepair(draft: Draft, entity: string): void {
  const cause = `operator: repair of ${entity}`
  if (draft.model.nodes.has(entity)) {
    const node = draft.node(entity)
    node.disabled = false
    node.recovery = null
    persistNode(draft, node, cause)
  }
  for (const model of componentsInScope(draft.model, entity)) {
    const group = draft.group(model.serviceGroup)
    group.causes = [cause]
    const component = componentState(group, model)
    if (component.presence === 'TERMINATION_FAILED') {
      stop(draft, group, model, { kind: 'cleanup', reason: `${model.name} is cleaned up again` })
    } else if (component.presence === 'INSTANTIATION_FAILED') {
      startAgain(draft, model, cause)
    }
  }
  for (const unit of unitsInScope(draft.model, entity)) {
    const group = draft.group(unit.serviceGroup)
    const failed = unit.components.some((model) => hasFailedPresence(componentState(group, model)))
    if (!failed) repairUnit(draft, group, unit)
  }
}

/** A component that was given up because it could not be started may be started again. */
export function startAgain(draft: Draft, model: ComponentModel, cause: string): void {
  const group = draft.group(model.serviceGroup)
  const component = componentState(group, model)
  clearFailure(draft, model, component)
  setPresence(draft, group, model, component, 'UNINSTANTIATED')
  group.causes = [cause]
}

export function continueRepair(draft: Draft, operation: OperationState): AdminResult | null {
  for (const model of componentsInScope(draft.model, operation.entity)) {
    const group = draft.peekGroup(model.serviceGroup)
    const component = componentState(group, model)
    if (hasFailedPresence(component) && (component.work === null || waitsForProxy(component))) {
      return refuse('REPAIR_PENDING', `${model.name} is ${component.presence} again`)
    }
    const isAtWork = component.work !== null && !waitsForProxy(component)
    if (!isSettled(group) || isAtWork) return null
  }
  return { ok: true }
}
