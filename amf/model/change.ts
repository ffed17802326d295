import type { Model, ServiceGroupModel, ServiceInstanceModel, ServiceUnitModel } from './model.ts'
import { pathText, type Problem } from './problem.ts'

/** What changes from one model to another, and what no change may do whatever the cluster's state is. A core. */

export type ChangedClass =
  | 'node'
  | 'nodeGroup'
  | 'application'
  | 'serviceGroup'
  | 'serviceUnit'
  | 'component'
  | 'serviceInstance'
  | 'csi'

export interface ChangedEntity {
  readonly class: ChangedClass
  readonly name: string
  /** Where it is in the text of the model. */
  readonly path: readonly string[]
  /** Own keys that differ; empty for an entity that was added or removed. */
  readonly keys: readonly string[]
}

/** Each list in the order of the model's text: outer entities before inner ones. */
export interface ModelChange {
  readonly added: readonly ChangedEntity[]
  readonly removed: readonly ChangedEntity[]
  /** Also an entity that moved under another parent. */
  readonly modified: readonly ChangedEntity[]
  /** Keys of the cluster itself that differ. */
  readonly cluster: readonly string[]
}

type Entity = Readonly<Record<string, unknown>>

/** Parts of an entity that are entities themselves. */
const INNER: ReadonlySet<string> = new Set([
  'serviceUnits',
  'components',
  'serviceInstances',
  'csis',
])

/** Compares two models entity by entity. Names tell who is who: they are unique in a model. */
export function compareModels(before: Model, after: Model): ModelChange {
  const added: ChangedEntity[] = []
  const removed: ChangedEntity[] = []
  const modified: ChangedEntity[] = []
  const old = entitiesOf(before)
  const now = entitiesOf(after)
  for (const [key, { ref }] of old) if (!now.has(key)) removed.push(ref)
  for (const [key, { ref, entity }] of now) {
    const known = old.get(key)
    if (known === undefined) added.push(ref)
    else {
      const keys = differingKeys(known.entity, entity)
      if (keys.length > 0) modified.push({ ...ref, keys })
    }
  }
  return { added, removed, modified, cluster: clusterKeys(before, after) }
}

/** True when the two models mean the same. */
export function isNoChange(change: ModelChange): boolean {
  const { added, removed, modified, cluster } = change
  return added.length + removed.length + modified.length + cluster.length === 0
}

/** Service groups of the new model in which, or in whose parts, anything differs. */
export function changedGroups(change: ModelChange, before: Model, after: Model): Set<string> {
  const groups = new Set<string>()
  for (const { class: kind, name } of [...change.added, ...change.modified, ...change.removed]) {
    for (const model of [before, after]) {
      const group = groupOfEntity(model, kind, name)
      if (group !== undefined && after.serviceGroups.has(group)) groups.add(group)
    }
  }
  return groups
}

/** What is refused whatever the state of the cluster is, each problem with its remedy. */
export function fixedProblems(change: ModelChange, before: Model, after: Model): Problem[] {
  const problems: Problem[] = []
  if (before.cluster !== after.cluster) {
    const message = `the running cluster is "${before.cluster}"; bring another one up in a run directory of its own`
    problems.push({ path: ['cluster'], message })
  }
  if (change.cluster.includes('timing')) problems.push(...timingProblems(before, after))
  const idOwners = new Map([...before.nodes.values()].map(({ id, name }) => [id, name]))
  for (const { class: kind, name, path } of change.added) {
    const owner = kind === 'node' ? idOwners.get(after.nodes.get(name)?.id ?? 0) : undefined
    if (owner === undefined) continue
    const message = `its number was that of ${owner}, whose process may still run; give another id, or remove ${owner} in a change before`
    problems.push({ path: [...path, 'id'], message })
  }
  for (const { class: kind, name, path, keys } of change.modified) {
    if (kind === 'node' && keys.includes('id')) {
      const was = String(before.nodes.get(name)?.id)
      const message = `a node keeps its number; write id: ${was}, or add new nodes at the end of the list`
      problems.push({ path: [...path, 'id'], message })
    }
    if (kind === 'serviceGroup' && keys.includes('redundancy')) {
      const message =
        'fixed for the life of the group; add a group of another name and remove this one'
      problems.push({ path: [...path, 'redundancy'], message })
    }
  }
  return problems
}

/** Nodes take new times at their next start, so for a while old and new ones live together. */
function timingProblems({ timing: a }: Model, { timing: b }: Model): Problem[] {
  const fits = a.beatMs * 3 <= b.nodeSilenceMs && b.beatMs * 3 <= a.nodeSilenceMs
  if (fits) return []
  const message =
    'nodes with the old and the new times would take each other for dead; ' +
    'change beatMs and nodeSilenceMs in smaller steps, restarting the nodes between'
  return [{ path: ['timing'], message }]
}

interface Found {
  readonly ref: ChangedEntity
  readonly entity: Entity
}

function entitiesOf(model: Model): Map<string, Found> {
  const found = new Map<string, Found>()
  const add = (kind: ChangedClass, path: readonly string[], entity: { name: string }): void => {
    const ref = { class: kind, name: entity.name, path, keys: [] }
    found.set(`${kind} ${entity.name}`, { ref, entity: entity as unknown as Entity })
  }
  for (const node of model.nodes.values()) add('node', ['nodes', node.name], node)
  for (const group of model.nodeGroups.values()) add('nodeGroup', ['nodeGroups', group.name], group)
  for (const one of model.applications.values()) add('application', ['applications', one.name], one)
  for (const group of model.serviceGroups.values()) {
    const path = ['serviceGroups', group.name]
    add('serviceGroup', path, group)
    addUnits(group, path, add)
    addInstances(group, path, add)
  }
  return found
}

type Add = (kind: ChangedClass, path: readonly string[], entity: { name: string }) => void

function addUnits({ serviceUnits }: ServiceGroupModel, path: readonly string[], add: Add): void {
  for (const unit of serviceUnits) {
    const unitPath = [...path, 'serviceUnits', unit.name]
    add('serviceUnit', unitPath, unit)
    for (const component of unit.components) {
      add('component', [...unitPath, 'components', component.name], component)
    }
  }
}

function addInstances(
  { serviceInstances }: ServiceGroupModel,
  path: readonly string[],
  add: Add,
): void {
  for (const instance of serviceInstances) {
    const instancePath = [...path, 'serviceInstances', instance.name]
    add('serviceInstance', instancePath, instance)
    for (const csi of instance.csis) add('csi', [...instancePath, 'csis', csi.name], csi)
  }
}

function differingKeys(before: Entity, after: Entity): string[] {
  const keys = new Set([...Object.keys(before), ...Object.keys(after)])
  return [...keys].filter((key) => !INNER.has(key) && !sameValue(before[key], after[key]))
}

/** Keys of the model that are the cluster's own: everything but entities, their indexes and the warnings. */
function clusterKeys(before: Model, after: Model): string[] {
  const isOwn = (value: unknown): boolean => !(value instanceof Map)
  const a = before as unknown as Entity
  const b = after as unknown as Entity
  const keys = new Set([...Object.keys(a), ...Object.keys(b)])
  return [...keys].filter(
    (key) => key !== 'warnings' && isOwn(a[key]) && isOwn(b[key]) && !sameValue(a[key], b[key]),
  )
}

/** Equal as plain data. Keys that are undefined count as absent. */
export function sameValue(a: unknown, b: unknown): boolean {
  if (a === b) return true
  if (typeof a !== 'object' || typeof b !== 'object' || a === null || b === null) return false
  if (Array.isArray(a) !== Array.isArray(b)) return false
  const keys = new Set([...Object.keys(a), ...Object.keys(b)])
  return [...keys].every((key) => sameValue((a as Entity)[key], (b as Entity)[key]))
}

export function groupOfEntity(model: Model, kind: ChangedClass, name: string): string | undefined {
  switch (kind) {
    case 'node':
    case 'nodeGroup':
    case 'application':
      return undefined
    case 'serviceGroup':
      return model.serviceGroups.get(name)?.name
    case 'serviceUnit':
      return model.serviceUnits.get(name)?.serviceGroup
    case 'component':
      return model.components.get(name)?.serviceGroup
    case 'serviceInstance':
      return model.serviceInstances.get(name)?.serviceGroup
    case 'csi':
      return instanceOfCsi(model, name)?.serviceGroup
  }
}

export function instanceOfCsi(model: Model, csi: string): ServiceInstanceModel | undefined {
  return model.serviceInstances.get(model.csis.get(csi)?.serviceInstance ?? '')
}

export function unitOfComponent(model: Model, component: string): ServiceUnitModel | undefined {
  return model.serviceUnits.get(model.components.get(component)?.serviceUnit ?? '')
}

/** One line a changed entity: `+ serviceGroups.sg.serviceUnits.su3`, `~ nodes.n1: autoRepair`. */
export function changeLines({ added, removed, modified, cluster }: ModelChange): string[] {
  return [
    ...cluster.map((key) => `~ ${key}`),
    ...added.map(({ path }) => `+ ${pathText(path)}`),
    ...removed.map(({ path }) => `- ${pathText(path)}`),
    ...modified.map(({ path, keys }) => `~ ${pathText(path)}: ${keys.join(', ')}`),
  ]
}
