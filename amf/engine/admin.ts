import type { AdminOperation, AdminResult, AdminState, EngineEvent } from './contract.ts'
import type { Draft } from './draft.ts'
import { classOf, groupsInScope } from './entities.ts'
import { persistAdmin, persistOperation } from './records.ts'
import { CLASS_WORDS, refuse, type Refusal } from './refusal.ts'
import { checkRepair, startRepair } from './repair.ts'
import { checkRestart, livesOf } from './restart.ts'
import type { EntityClass, OperationState, Swap } from './state.ts'
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
  const base: OperationState = { id, operation, entity, lives: {}, swap: null, result: null }
  switch (operation) {
    case 'restart': {
      const refusal = checkRestart(draft, kind, entity) ?? conflict(draft, base)
      return refusal ?? { ...base, lives: livesOf(draft, entity) }
    }
    case 'swap': {
      const checked: Swap | Refusal = checkSwap(draft, kind, entity)
      if ('ok' in checked) return checked
      return conflict(draft, base) ?? { ...base, swap: checked }
    }
    case 'repair':
      return checkRepair(draft, kind, entity) ?? conflict(draft, base) ?? base
    default:
      return checkAdminState(draft, kind, base) ?? conflict(draft, base) ?? base
  }
}

/** SAF AMF B.04.01, administrative state transitions. `null`: allowed. */
const TRANSITIONS: Readonly<
  Record<
    Exclude<AdminOperation, 'restart' | 'swap' | 'repair'>,
    Readonly<Record<AdminState, AdminState | 'NO_OP' | 'BAD_OPERATION'>>
  >
> = {
  unlock: {
    UNLOCKED: 'NO_OP',
    LOCKED: 'UNLOCKED',
    LOCKED_INSTANTIATION: 'BAD_OPERATION',
    SHUTTING_DOWN: 'UNLOCKED',
  },
  lock: {
    UNLOCKED: 'LOCKED',
    LOCKED: 'NO_OP',
    LOCKED_INSTANTIATION: 'BAD_OPERATION',
    SHUTTING_DOWN: 'LOCKED',
  },
  shutdown: {
    UNLOCKED: 'SHUTTING_DOWN',
    LOCKED: 'BAD_OPERATION',
    LOCKED_INSTANTIATION: 'BAD_OPERATION',
    SHUTTING_DOWN: 'NO_OP',
  },
  'lock-instantiation': {
    UNLOCKED: 'BAD_OPERATION',
    LOCKED: 'LOCKED_INSTANTIATION',
    LOCKED_INSTANTIATION: 'NO_OP',
    SHUTTING_DOWN: 'BAD_OPERATION',
  },
  'unlock-instantiation': {
    UNLOCKED: 'BAD_OPERATION',
    LOCKED: 'NO_OP',
    LOCKED_INSTANTIATION: 'LOCKED',
    SHUTTING_DOWN: 'BAD_OPERATION',
  },
}

function nextAdminState(
  operation: AdminOperation,
  from: AdminState,
): AdminState | 'NO_OP' | 'BAD_OPERATION' {
  if (operation === 'restart' || operation === 'swap' || operation === 'repair') return from
  return TRANSITIONS[operation][from]
}

function checkAdminState(
  draft: Draft,
  kind: EntityClass,
  { operation, entity }: OperationState,
): Refusal | null {
  const from = adminOf(draft, kind, entity)
  const ofInstance = operation.endsWith('instantiation') && kind === 'serviceInstance'
  if (from === null || ofInstance) {
    return refuse('NOT_SUPPORTED', `${operation} is not defined for ${CLASS_WORDS[kind]} ${entity}`)
  }
  const to = nextAdminState(operation, from)
  if (to === 'NO_OP') return refuse('NO_OP', `${entity} is ${from} already`)
  if (to !== 'BAD_OPERATION') return null
  return refuse('BAD_OPERATION', `${entity} is ${from}: ${REMEDY[operation] ?? 'not possible now'}`)
}

const REMEDY: Readonly<Partial<Record<AdminOperation, string>>> = {
  unlock: 'unlock-instantiation first',
  lock: 'unlock-instantiation first',
  shutdown: 'there is nothing to shut down',
  'lock-instantiation': 'lock it first',
  'unlock-instantiation': 'it is not locked for instantiation',
}

const ASSIGNMENT_OPERATIONS: readonly AdminOperation[] = ['lock', 'unlock', 'shutdown']

/** lock, unlock and shutdown overtake each other; everything else waits for the pending operation. */
function conflict(draft: Draft, operation: OperationState): Refusal | null {
  for (const pending of draft.operations) {
    if (pending.result || pending.entity !== operation.entity) continue
    const overtakes = [pending, operation].every((o) => ASSIGNMENT_OPERATIONS.includes(o.operation))
    if (overtakes) continue
    const message = `${pending.operation} of ${pending.entity} is not finished`
    return refuse('TRY_AGAIN', message)
  }
  return null
}

function start(draft: Draft, operation: OperationState): void {
  const { entity } = operation
  const cause = `operator: ${operation.operation} of ${entity}`
  for (const name of groupsInScope(draft.model, entity)) draft.group(name).causes = [cause]
  if (operation.swap) {
    const instance = draft.model.serviceInstances.get(operation.swap.serviceInstance)
    if (instance) draft.group(instance.serviceGroup).swap = operation.swap
    return
  }
  if (operation.operation === 'restart') return
  if (operation.operation === 'repair') {
    startRepair(draft, entity)
    return
  }
  const kind = classOf(draft.model, entity)
  const from = kind && adminOf(draft, kind, entity)
  if (!kind || !from) return
  interrupt(draft, operation)
  const to = nextAdminState(operation.operation, from)
  if (to !== 'NO_OP' && to !== 'BAD_OPERATION') setAdmin(draft, kind, entity, to)
}

function interrupt(draft: Draft, by: OperationState): void {
  for (const pending of draft.operations) {
    if (pending.result || pending.id === by.id || pending.entity !== by.entity) continue
    finishOperation(draft, pending, refuse('INTERRUPT', `overtaken by ${by.operation}`))
  }
}

export function finishOperation(
  draft: Draft,
  operation: OperationState,
  result: AdminResult,
): void {
  const finished: OperationState = { ...operation, result }
  draft.operations = draft.operations.map((each) => (each.id === operation.id ? finished : each))
  persistOperation(draft, finished)
  draft.answer(
    operation.id,
    result,
    result.ok ? `${operation.operation} is finished` : result.message,
  )
  const old = draft.operations.filter((each) => each.result !== null).slice(0, -FINISHED_MAX)
  for (const { id } of old) draft.persist(`operation/${id}`, null, 'answered long ago')
  if (old.length > 0) draft.operations = draft.operations.filter((each) => !old.includes(each))
}

export function adminOf(draft: Draft, kind: EntityClass, name: string): AdminState | null {
  const { model } = draft
  switch (kind) {
    case 'node':
      return draft.peekNode(name).admin
    case 'serviceGroup':
      return draft.peekGroup(name).admin
    case 'serviceUnit': {
      const group = model.serviceUnits.get(name)?.serviceGroup ?? ''
      return draft.peekGroup(group).units.get(name)?.admin ?? null
    }
    case 'serviceInstance': {
      const group = model.serviceInstances.get(name)?.serviceGroup ?? ''
      return draft.peekGroup(group).instances.get(name)?.admin ?? null
    }
    default:
      return null
  }
}

export function setAdmin(draft: Draft, kind: EntityClass, name: string, to: AdminState): void {
  const from = adminOf(draft, kind, name)
  if (from === null || from === to) return
  const groups = groupsInScope(draft.model, name)
  if (kind === 'node') draft.node(name).admin = to
  for (const groupName of groups) {
    const group = draft.group(groupName)
    const holder = group.units.get(name) ?? group.instances.get(name)
    if (kind === 'serviceGroup') group.admin = to
    else if (holder) holder.admin = to
  }
  persistAdmin(draft, kind, name, to)
  const first = groups[0]
  draft.notify(first === undefined || kind === 'node' ? null : draft.group(first), {
    kind: 'administrative',
    entity: name,
    from,
    to,
    causes: first === undefined ? [] : draft.group(first).causes,
  })
}
