import type { ComponentModel, Model, ServiceUnitModel } from '../model/model.ts'
import type { EntityClass } from './state.ts'

/** What a name means. Names are unique, but for cluster and applications: what shares a name with them comes first. */
export function classOf(model: Model, name: string): EntityClass | null {
  if (model.nodes.has(name)) return 'node'
  if (model.serviceGroups.has(name)) return 'serviceGroup'
  if (model.serviceUnits.has(name)) return 'serviceUnit'
  if (model.components.has(name)) return 'component'
  if (model.serviceInstances.has(name)) return 'serviceInstance'
  if (model.csis.has(name)) return 'csi'
  if (model.nodeGroups.has(name)) return 'nodeGroup'
  if (model.cluster === name) return 'cluster'
  return model.applications.has(name) ? 'application' : null
}

/** Is there an entity of that class and name? Cluster and applications may be hidden behind another one. */
export function isOfClass(model: Model, kind: EntityClass, name: string): boolean {
  if (kind === 'cluster') return model.cluster === name
  if (kind === 'application') return model.applications.has(name)
  return classOf(model, name) === kind
}

/** Service units that an operation on the entity is about. */
export function unitsInScope(
  model: Model,
  name: string,
  kind = classOf(model, name),
): readonly ServiceUnitModel[] {
  const all = [...model.serviceUnits.values()]
  switch (kind) {
    case 'cluster':
      return all
    case 'application':
      return all.filter((u) => model.serviceGroups.get(u.serviceGroup)?.application === name)
    case 'nodeGroup':
      return all.filter((u) => model.nodeGroups.get(name)?.nodes.includes(u.node) === true)
    case 'node':
      return all.filter((unit) => unit.node === name)
    case 'serviceGroup':
      return model.serviceGroups.get(name)?.serviceUnits ?? []
    case 'serviceUnit':
      return all.filter((unit) => unit.name === name)
    case 'component':
      return all.filter((unit) => unit.components.some((component) => component.name === name))
    default:
      return []
  }
}

/** Service groups that an operation on the entity is about. */
export function groupsInScope(
  model: Model,
  name: string,
  kind = classOf(model, name),
): readonly string[] {
  const instance = kind === 'serviceInstance' && model.serviceInstances.get(name)
  if (instance) return [instance.serviceGroup]
  return [...new Set(unitsInScope(model, name, kind).map((unit) => unit.serviceGroup))]
}

/** The scope's components, or the component itself. */
export function componentsInScope(
  model: Model,
  name: string,
  kind = classOf(model, name),
): readonly ComponentModel[] {
  const all = unitsInScope(model, name, kind).flatMap((unit) => unit.components)
  return kind === 'component' ? all.filter((component) => component.name === name) : all
}
