import { beginAdjust, checkAdjust } from './adjust.ts'
import { adminOf, checkAdminState, nextAdminState, setAdmin } from './admin-states.ts'
import type { AdminOperation, AdminResult, EngineEvent } from './contract.ts'
import type { Draft } from './draft.ts'
import { classOf, componentsInScope, groupsInScope, unitsInScope } from './entities.ts'
import { checkMonitoring } from './monitoring.ts'
import { componentState } from './readiness.ts'
import { repairUnit } from './reconcile.ts'
import { persistOperation } from './records.ts'
import { refuse, type Refusal } from './refusal.ts'
import { checkRepair, startAgain, startRepair } from './repair.ts'
import { checkRestart, livesOf } from './restart.ts'
import type { OperationState, Swap } from './state.ts'
import { checkSwap } from './swap.ts'

/** Finished operations remembered for a repeated question. */
const FINISHED_MAX = 64

/**
 * An operator asks: checked at once, recorded, turned into administrative state, and answered when its effect is
 * complete (`settleOperations`). The same id asked again is the same operation. SAF AMF B.04.01 section 9.
 */
export function adminRequested(draft: Draft, event: Extract<EngineEvent, { kind: 'admin' }>): void {
  const known = draft.operations.find((operation) => operation.id === event.id)
  if (known) {
    if (known.result) draft.answer(event.id, known.result, 'answered before')
    return
  }
  const accepted = accept(draft, event)
  if (!('id' in accepted)) {
    draft.answer(event.id, accepted, accepted.ok ? 'nothing to do' : accepted.message)
    return
  }
  draft.operations = [...draft.operations, accepted]
  persistOperation(draft, accepted)
  start(draft, accepted)
}

function accept(
  draft: Draft,
  { id, operation, entity }: Extract<EngineEvent, { kind: 'admin' }>,
): OperationState | AdminResult {
  const kind = classOf(draft.model, entity)
  if (kind === null) return refuse('NOT_EXIST', `there is no entity "${entity}" in the model`)
  const nothing = { lives: {}, swap: null, result: null, isRecovery: false }
  const base: OperationState = { id, operation, entity, kind, ...nothing }
  const waits = (): Refusal | null => conflict(draft, base) ?? tolerating(draft, base)
  switch (operation) {
    case 'restart':
      return (
        checkRestart(draft, base) ?? waits() ?? { ...base, lives: livesOf(draft, entity, kind) }
      )
    case 'swap': {
      const checked: Swap | Refusal = checkSwap(draft, kind, entity)
      if ('ok' in checked) return checked
      return waits() ?? { ...base, swap: checked }
    }
    case 'adjust':
      return checkAdjust(draft, base) ?? waits() ?? base
    case 'repair':
      return checkRepair(draft, kind, entity) ?? waits() ?? base
    case 'eam-start':
    case 'eam-stop':
      return (
        checkMonitoring(draft, base) ?? waits() ?? { ...base, lives: livesOf(draft, entity, kind) }
      )
    default:
      return checkAdminState(draft, base) ?? stillRunning(draft, base) ?? waits() ?? base
  }
}

/** unlock-instantiation needs everything in the scope to be gone. */
function stillRunning(draft: Draft, { operation, entity, kind }: OperationState): Refusal | null {
  if (operation !== 'unlock-instantiation') return null
  const left = componentsInScope(draft.model, entity, kind).find((model) => {
    const { presence } = componentState(draft.peekGroup(model.serviceGroup), model)
    return presence === 'TERMINATION_FAILED'
  })
  if (!left) return null
  return refuse('BAD_OPERATION', `${left.name} could not be stopped; repair ${left.serviceUnit}`)
}

const ASSIGNMENT_OPERATIONS: readonly AdminOperation[] = ['lock', 'unlock', 'shutdown']

/** lock, unlock and shutdown overtake each other; everything else waits for the pending operation. */
function conflict(draft: Draft, operation: OperationState): Refusal | null {
  for (const pending of draft.operations) {
    if (pending.result || !overlaps(draft, pending, operation)) continue
    const overtakes = [pending, operation].every((o) => ASSIGNMENT_OPERATIONS.includes(o.operation))
    if (overtakes && pending.entity === operation.entity) continue
    const message = `${pending.operation} of ${pending.entity} is not finished`
    return refuse('TRY_AGAIN', message)
  }
  return null
}

/** The same entity, or two groups with a node in common. */
function overlaps(draft: Draft, a: OperationState, b: OperationState): boolean {
  if (a.kind === b.kind && a.entity === b.entity) return true
  if (a.kind !== 'nodeGroup' || b.kind !== 'nodeGroup') return false
  const nodes = draft.model.nodeGroups.get(a.entity)?.nodes ?? []
  return draft.model.nodeGroups.get(b.entity)?.nodes.some((n) => nodes.includes(n)) === true
}

/**
 * While a dependant is tolerated without its sponsor, neither is touched: the operation would decide what the timer is
 * there to decide. SAF AMF B.04.01 section 3.8.1.1.
 */
function tolerating(draft: Draft, { entity, kind }: OperationState): Refusal | null {
  const scope = groupsInScope(draft.model, entity, kind)
  const near = new Set(scope.flatMap((name) => draft.index.linkedGroups.get(name) ?? []))
  for (const name of new Set([...scope, ...near])) {
    for (const { name: dependant, sponsorLostAtMs } of draft.peekGroup(name).instances.values()) {
      for (const sponsor of sponsorLostAtMs.keys()) {
        const group = draft.model.serviceInstances.get(sponsor)?.serviceGroup ?? ''
        if (kind === 'serviceInstance' && entity !== dependant && entity !== sponsor) continue
        if (!scope.includes(name) && !scope.includes(group)) continue
        return refuse('TRY_AGAIN', `${dependant} waits for ${sponsor} to be back`)
      }
    }
  }
  return null
}

function start(draft: Draft, operation: OperationState): void {
  const { entity, kind } = operation
  const cause = `operator: ${operation.operation} of ${entity}`
  for (const name of groupsInScope(draft.model, entity, kind)) draft.group(name).causes = [cause]
  switch (operation.operation) {
    case 'restart':
    case 'eam-start':
    case 'eam-stop':
      return
    case 'swap': {
      const instance = draft.model.serviceInstances.get(operation.swap?.serviceInstance ?? '')
      if (instance) draft.group(instance.serviceGroup).swap = operation.swap
      return
    }
    case 'adjust':
      return beginAdjust(draft, operation)
    case 'repair':
      return startRepair(draft, entity)
    default:
      break
  }
  interrupt(draft, operation)
  if (operation.operation === 'unlock-instantiation') startOver(draft, operation)
  const from = adminOf(draft, kind, entity)
  const to = from && nextAdminState(operation.operation, from)
  if (to) setAdmin(draft, kind, entity, to)
}

/** After a lock for instantiation a component that could not be started may be tried again. */
function startOver(draft: Draft, { entity, kind }: OperationState): void {
  const cause = `operator: unlock-instantiation of ${entity}`
  for (const unit of unitsInScope(draft.model, entity, kind)) {
    for (const model of unit.components) {
      const { presence } = componentState(draft.peekGroup(model.serviceGroup), model)
      if (presence === 'INSTANTIATION_FAILED') startAgain(draft, model, cause)
    }
    repairUnit(draft, draft.group(unit.serviceGroup), unit)
  }
}

function interrupt(draft: Draft, by: OperationState): void {
  for (const pending of draft.operations) {
    if (pending.result || pending.id === by.id) continue
    if (pending.kind !== by.kind || pending.entity !== by.entity) continue
    finishOperation(draft, pending, refuse('INTERRUPT', `overtaken by ${by.operation}`))
  }
}

/** Gives the answer, and keeps it for a while for a caller that asks again. */
export function finishOperation(
  draft: Draft,
  operation: OperationState,
  result: AdminResult,
): void {
  if (operation.isRecovery) {
    draft.operations = draft.operations.filter((each) => each.id !== operation.id)
    draft.persist(`operation/${operation.id}`, null, `${operation.operation} is finished`)
    return
  }
  const finished: OperationState = { ...operation, result }
  draft.operations = draft.operations.map((each) => (each.id === operation.id ? finished : each))
  persistOperation(draft, finished)
  const why = result.ok ? `${operation.operation} is finished` : result.message
  draft.answer(operation.id, result, why)
  const old = draft.operations.filter((each) => each.result !== null).slice(0, -FINISHED_MAX)
  for (const { id } of old) draft.persist(`operation/${id}`, null, 'answered long ago')
  if (old.length > 0) draft.operations = draft.operations.filter((each) => !old.includes(each))
}
