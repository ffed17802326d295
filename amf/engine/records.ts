import type { ComponentModel, Model } from '../model/model.ts'
import { ALARMS } from './alarms.ts'
import type { AdminState, PersistedRecord } from './contract.ts'
import type { Draft } from './draft.ts'
import { applyAdmin } from './admin-states.ts'
import { isOfClass } from './entities.ts'
import { CLASS_WORDS } from './refusal.ts'
import {
  NO_NODE,
  type CsiState,
  type EntityClass,
  type Grant,
  type NodeRecovery,
  type NodeState,
  type OperationState,
  type UnitState,
} from './state.ts'

/**
 * What outlives a director. Keys: `grant/CSI`, `insync/CSI`, `admin/CLASS/NAME`, `failed/COMPONENT`, `node/NODE`,
 * `proxied/COMPONENT`, `escalation/SU`, `node-escalation/NODE`, `operation/ID`, `alarm/ENTITY/ALARM`. Values are plain
 * data. A record of an entity that the model no longer has, or of a shape that is not understood, is left alone and not
 * used.
 */

export function persistNode(draft: Draft, node: NodeState, why: string): void {
  const { name, disabled, recovery } = node
  draft.persist(`node/${name}`, disabled ? { disabled, recovery } : null, why)
}

export function persistInSync(draft: Draft, csi: CsiState, why: string): void {
  draft.persist(`insync/${csi.name}`, csi.inSync, why)
}

export function persistEscalation(draft: Draft, unit: UnitState): void {
  const value = {
    componentRestarts: unit.componentRestarts.count,
    suRestarts: unit.suRestarts.count,
  }
  draft.persist(`escalation/${unit.name}`, value, `recoveries of ${unit.name} are counted`)
}

export function persistNodeEscalation(draft: Draft, node: NodeState): void {
  const value = { failovers: node.failovers.count }
  draft.persist(`node-escalation/${node.name}`, value, `failovers of ${node.name} are counted`)
}

export function persistOperation(draft: Draft, operation: OperationState): void {
  const { id, ...rest } = operation
  draft.persist(`operation/${id}`, rest, `${operation.operation} of ${operation.entity}`)
}

/** Reads the records of earlier directors into the draft. Windows go on from now: clocks of two hosts never mix. */
export function restoreRecords(draft: Draft, records: readonly PersistedRecord[]): void {
  for (const record of records) restoreRecord(draft, record)
  for (const { name } of draft.groups()) endDeadGrants(draft, name)
  restoreOrphans(draft)
}

function restoreRecord(draft: Draft, { key, value }: PersistedRecord): void {
  const slash = key.indexOf('/')
  const restore = RESTORE[key.slice(0, slash)]
  if (value !== null || key.startsWith('insync/')) restore?.(draft, key.slice(slash + 1), value)
}

/** No node will ever say that a grant of a proxied component is over: without a record that it lives, it is. */
function endDeadGrants(draft: Draft, groupName: string): void {
  const { components, csis } = draft.peekGroup(groupName)
  const isOver = ({ component, node }: Grant): boolean =>
    node === NO_NODE && components.get(component)?.orphaned !== true
  for (const { name, grants } of csis.values()) {
    if (!grants.some(isOver)) continue
    const csi = draft.group(groupName).csis.get(name)
    if (csi) csi.grants = grants.filter((grant) => !isOver(grant))
  }
}

/** A proxied component that lives may be ACTIVE for what was granted to it, and has what it had. */
function restoreOrphans(draft: Draft): void {
  for (const { name, components, csis } of draft.groups()) {
    const orphans = [...components.values()].filter((component) => component.orphaned)
    if (orphans.length === 0) continue
    const group = draft.group(name)
    for (const { name: csi, grants } of csis.values()) {
      for (const grant of grants) {
        const assignments = group.components.get(grant.component)?.assignments
        if (!orphans.some((orphan) => orphan.name === grant.component)) continue
        const rest = { pending: null, told: null, restore: null, again: true }
        assignments?.set(csi, { csi, haState: 'ACTIVE', ...rest })
      }
    }
  }
}

/** A CSI that comes back into the model finds who holds what was acknowledged, and the epochs that were used. */
export function restoreCsi(draft: Draft, csi: string, records: readonly PersistedRecord[]): void {
  const keys = [`grant/${csi}`, `insync/${csi}`]
  for (const record of records) if (keys.includes(record.key)) restoreRecord(draft, record)
  const state = csiOf(draft, csi)
  // It left when nobody held it; that a grant had ended is not recorded.
  if (state) state.grants = []
}

/** Forgets what was recorded of entities that left the model; what guards the data of a CSI stays. */
export function forgetRecords(
  draft: Draft,
  removed: readonly { readonly class: string; readonly name: string }[],
  records: readonly PersistedRecord[],
): void {
  const names = new Set(removed.map(({ name }) => name))
  const admins = new Set(removed.map(({ class: kind, name }) => `admin/${kind}/${name}`))
  for (const { key } of records) {
    const slash = key.indexOf('/')
    const kind = key.slice(0, slash)
    const isOver = kind === 'admin' ? admins.has(key) : names.has(key.slice(slash + 1))
    if (isOver && !KEPT_RECORDS.has(kind)) draft.persist(key, null, 'its entity left the model')
  }
}

const KEPT_RECORDS: ReadonlySet<string> = new Set(['grant', 'insync', 'operation'])

type Restore = (draft: Draft, name: string, value: unknown) => void

const RESTORE: Readonly<Record<string, Restore>> = {
  grant: (draft, name, value) => {
    const csi = csiOf(draft, name)
    if (!csi || !isRecord(value)) return
    csi.epoch = numberOf(value['epoch'])
    csi.grants = listOf(value['grants']).flatMap((grant) => grantOf(draft.model, grant))
  },
  insync: (draft, name, value) => {
    const csi = csiOf(draft, name)
    if (csi)
      csi.inSync = Array.isArray(value) ? value.filter((node) => typeof node === 'string') : null
  },
  admin: (draft, name, value) => {
    const [kind = '', entity = ''] = name.split('/')
    const admin = ADMIN_STATES.find((state) => state === value)
    const known = CLASSES.find((each) => each === kind)
    if (admin && known && isOfClass(draft.model, known, entity)) {
      applyAdmin(draft, known, entity, admin)
    }
  },
  failed: (draft, name, value) => {
    const model = draft.model.components.get(name)
    const component = model && draft.group(model.serviceGroup).components.get(name)
    if (!component || !isRecord(value)) return
    component.failed = true
    const { presence } = value
    if (presence === 'INSTANTIATION_FAILED' || presence === 'TERMINATION_FAILED') {
      component.presence = presence
    }
  },
  // It lives until a proxy says otherwise; what it may be ACTIVE for is in the grants.
  proxied: (draft, name, value) => {
    const model = draft.model.components.get(name)
    const component = model && draft.group(model.serviceGroup).components.get(name)
    if (model?.mediation?.kind !== 'proxied' || !component || !isRecord(value)) return
    component.orphaned = true
    const isWhole = value['presence'] === 'INSTANTIATED'
    component.presence = isWhole ? 'INSTANTIATED' : 'TERMINATING'
    if (isWhole) return
    // It was being instantiated, or stopped: the next proxy cleans it up before anything else.
    const rest = { deadlineMs: Infinity, failure: null, descriptor: null }
    component.work = { kind: 'cleanup', ...rest }
  },
  node: (draft, name, value) => {
    if (!draft.model.nodes.has(name) || !isRecord(value)) return
    const node = draft.node(name)
    node.disabled = value['disabled'] === true
    node.recovery = NODE_RECOVERIES.find((kind) => kind === value['recovery']) ?? null
  },
  escalation: (draft, name, value) => {
    const unit = draft.model.serviceUnits.get(name)
    const state = unit && draft.group(unit.serviceGroup).units.get(name)
    if (!state || !isRecord(value)) return
    const sinceMs = draft.nowMs
    state.componentRestarts = { count: numberOf(value['componentRestarts']), sinceMs }
    state.suRestarts = { count: numberOf(value['suRestarts']), sinceMs }
  },
  'node-escalation': (draft, name, value) => {
    if (!draft.model.nodes.has(name) || !isRecord(value)) return
    draft.node(name).failovers = { count: numberOf(value['failovers']), sinceMs: draft.nowMs }
  },
  alarm: (draft, name, value) => {
    const [entity = '', word] = name.split('/')
    const alarm = ALARMS.find((each) => each === word)
    const serviceGroup =
      draft.model.components.get(entity)?.serviceGroup ??
      draft.model.serviceInstances.get(entity)?.serviceGroup
    if (value !== true || alarm === undefined || serviceGroup === undefined) return
    const group = draft.group(serviceGroup)
    group.alarms = new Map(group.alarms).set(entity, [...(group.alarms.get(entity) ?? []), alarm])
  },
  operation: (draft, id, value) => {
    if (!isRecord(value)) return
    const operation = { ...value, id } as unknown as OperationState
    if (typeof operation.entity !== 'string' || typeof operation.operation !== 'string') return
    if (!CLASSES.includes(operation.kind)) return
    draft.operations = [...draft.operations, operation]
    const swapped =
      operation.swap && draft.model.serviceInstances.get(operation.swap.serviceInstance)
    if (swapped && !operation.result) draft.group(swapped.serviceGroup).swap = operation.swap
  },
}

const ADMIN_STATES: readonly AdminState[] = [
  'UNLOCKED',
  'LOCKED',
  'LOCKED_INSTANTIATION',
  'SHUTTING_DOWN',
]

const CLASSES = Object.keys(CLASS_WORDS) as EntityClass[]

const NODE_RECOVERIES: readonly NodeRecovery[] = ['switchover', 'failover', 'restart']

function csiOf(draft: Draft, name: string): CsiState | undefined {
  const csi = draft.model.csis.get(name)
  const instance = csi && draft.model.serviceInstances.get(csi.serviceInstance)
  return instance && draft.group(instance.serviceGroup).csis.get(name)
}

/** A grant of an earlier director: its holder may still serve until its node says otherwise or is gone. */
function grantOf(model: Model, value: unknown): Grant[] {
  if (!isRecord(value) || typeof value['component'] !== 'string') return []
  const component = model.components.get(value['component'])
  if (!component) return []
  const address = value['address']
  return [
    {
      component: component.name,
      node: nodeOfGrant(model, component, value['node']),
      incarnation: numberOf(value['incarnation']),
      epoch: numberOf(value['epoch']),
      address: isRecord(address)
        ? { node: numberOf(address['node']), port: numberOf(address['port']) }
        : null,
    },
  ]
}

/** A proxied component's grant is on no node. */
function nodeOfGrant(model: Model, component: ComponentModel, node: unknown): string {
  if (component.mediation?.kind === 'proxied') return NO_NODE
  return typeof node === 'string' && model.nodes.has(node) ? node : component.node
}

function isRecord(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}

function listOf(value: unknown): readonly unknown[] {
  return Array.isArray(value) ? value : []
}

function numberOf(value: unknown): number {
  return typeof value === 'number' && Number.isSafeInteger(value) ? value : 0
}
