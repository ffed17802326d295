import type { AdminOperation, AdminState } from './contract.ts'
import type { Draft } from './draft.ts'
import { groupsInScope } from './entities.ts'
import { CLASS_WORDS, refuse, type Refusal } from './refusal.ts'
import { scopeOf, setScopeAdmin } from './scopes.ts'
import type { EntityClass, OperationState } from './state.ts'

/** Administrative states of every class, and which operation leads where. SAF AMF B.04.01 section 9. */

type StateOperation = 'unlock' | 'lock' | 'shutdown' | 'lock-instantiation' | 'unlock-instantiation'

const TRANSITIONS: Readonly<
  Record<StateOperation, Readonly<Record<AdminState, AdminState | 'NO_OP' | 'BAD_OPERATION'>>>
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

const REMEDY: Readonly<Record<StateOperation, string>> = {
  unlock: 'unlock-instantiation first',
  lock: 'unlock-instantiation first',
  shutdown: 'there is nothing to shut down',
  'lock-instantiation': 'lock it first',
  'unlock-instantiation': 'it is not locked for instantiation',
}

export function isStateOperation(operation: AdminOperation): operation is StateOperation {
  return operation in TRANSITIONS
}

/** Where the operation leads from here; null: nowhere. */
export function nextAdminState(operation: AdminOperation, from: AdminState): AdminState | null {
  if (!isStateOperation(operation)) return null
  const to = TRANSITIONS[operation][from]
  return to === 'NO_OP' || to === 'BAD_OPERATION' ? null : to
}

export function checkAdminState(
  draft: Draft,
  { operation, entity, kind }: OperationState,
): Refusal | null {
  const from = adminOf(draft, kind, entity)
  const ofInstance = operation.endsWith('instantiation') && kind === 'serviceInstance'
  if (from === null || ofInstance || !isStateOperation(operation)) {
    return refuse('NOT_SUPPORTED', `${operation} is not defined for ${CLASS_WORDS[kind]} ${entity}`)
  }
  const to = TRANSITIONS[operation][from]
  if (to === 'NO_OP') return refuse('NO_OP', `${entity} is ${from} already`)
  if (to !== 'BAD_OPERATION') return null
  return refuse('BAD_OPERATION', `${entity} is ${from}: ${REMEDY[operation]}`)
}

/** null: entities of this class have no administrative state. */
export function adminOf(draft: Draft, kind: EntityClass, name: string): AdminState | null {
  const { model } = draft
  switch (kind) {
    case 'cluster':
    case 'application':
    case 'nodeGroup':
      return scopeOf(draft.scopes, kind, name)?.admin ?? null
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

/** Changes the state, makes it durable and tells of it. */
export function setAdmin(draft: Draft, kind: EntityClass, name: string, to: AdminState): void {
  const from = adminOf(draft, kind, name)
  if (from === null || from === to) return
  applyAdmin(draft, kind, name, to)
  draft.persist(`admin/${kind}/${name}`, to, `${name} is ${to}`)
  const groups = groupsInScope(draft.model, name, kind)
  const own = groups[0]
  const hasGroup = own !== undefined && OF_ONE_GROUP.has(kind)
  draft.notify(hasGroup ? draft.group(own) : null, {
    kind: 'administrative',
    entity: name,
    from,
    to,
    causes: own === undefined ? [] : draft.group(own).causes,
  })
}

const OF_ONE_GROUP: ReadonlySet<EntityClass> = new Set([
  'serviceGroup',
  'serviceUnit',
  'serviceInstance',
])

/** Only the state: for a record of an earlier director too. */
export function applyAdmin(draft: Draft, kind: EntityClass, name: string, to: AdminState): void {
  if (kind === 'cluster' || kind === 'application' || kind === 'nodeGroup') {
    setScopeAdmin(draft, kind, name, to)
    return
  }
  if (kind === 'node') draft.node(name).admin = to
  for (const groupName of groupsInScope(draft.model, name, kind)) {
    const group = draft.group(groupName)
    if (kind === 'serviceGroup') group.admin = to
    const holder =
      kind === 'serviceUnit'
        ? group.units.get(name)
        : kind === 'serviceInstance'
          ? group.instances.get(name)
          : undefined
    if (holder) holder.admin = to
  }
}
