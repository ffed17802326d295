import type { AdminResult } from './contract.ts'
import type { Draft } from './draft.ts'
import { groupAdmin } from './readiness.ts'
import { mayAdjust, startAdjusting } from './reconcile.ts'
import { CLASS_WORDS, refuse, type Refusal } from './refusal.ts'
import { isSettled } from './roles.ts'
import type { OperationState } from './state.ts'

/** The operator wants the most preferred assignment now. SAF AMF B.04.01 section 9 (SG adjust). */

export function checkAdjust(draft: Draft, { kind, entity }: OperationState): Refusal | null {
  const sg = draft.model.serviceGroups.get(entity)
  if (kind !== 'serviceGroup' || !sg) {
    return refuse('NOT_SUPPORTED', `adjust is for a service group, not a ${CLASS_WORDS[kind]}`)
  }
  const group = draft.peekGroup(entity)
  if (groupAdmin(group) !== 'UNLOCKED') {
    return refuse('BAD_OPERATION', `${entity} is ${groupAdmin(group)}; unlock it first`)
  }
  if (!isSettled(group) || group.swap || group.adjusting || !group.open) {
    return refuse('TRY_AGAIN', `${entity} is still changing`)
  }
  if (mayAdjust(draft, sg)) return null
  return refuse('NO_OP', `${entity} has its most preferred assignment`)
}

/**
 * Done when the group has come to rest. Under a new director it is begun again when every node has said what it holds:
 * planning afresh before would move what may not be moved.
 */
export function continueAdjust(
  draft: Draft,
  operation: OperationState,
  isQuiet: boolean,
): AdminResult | null {
  const sg = draft.model.serviceGroups.get(operation.entity)
  if (!sg) return refuse('NOT_EXIST', `${operation.entity} is gone`)
  if (!isQuiet || draft.peekGroup(sg.name).adjusting) return null
  const wasBegun = operation.lives[BEGUN] === draft.term
  if (wasBegun || !mayAdjust(draft, sg)) return { ok: true }
  beginAdjust(draft, operation)
  return null
}

const BEGUN = 'term'

export function beginAdjust(draft: Draft, operation: OperationState): void {
  startAdjusting(draft, operation.entity, `operator: adjust of ${operation.entity}`)
  const begun = { ...operation, lives: { [BEGUN]: draft.term } }
  draft.operations = draft.operations.map((each) => (each.id === operation.id ? begun : each))
}
