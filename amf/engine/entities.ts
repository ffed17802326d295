import type { Model, ServiceUnitModel } from '../model/model.ts'
import type { EntityClass } from './state.ts'

/** What a name means. Names are unique over the whole model. */
export function classOf(model: Model, name: string): EntityClass | null {
  if (model.nodes.has(name)) return 'node'
  if (model.serviceGroups.has(name)) return 'serviceGroup'
  if (model.serviceUnits.has(name)) return 'serviceUnit'
  if (model.components.has(name)) return 'component'
  if (model.serviceInstances.has(name)) return 'serviceInstance'
  return model.csis.has(name) ? 'csi' : null
}

/** Service units that an operation on the entity is about. */
export function unitsInScope(model: Model, name: string): readonly ServiceUnitModel[] {
  const all = [...model.serviceUnits.values()]
  switch (classOf(model, name)) {
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
export function groupsInScope(model: Model, name: string): readonly string[] {
  const instance = model.serviceInstances.get(name)
  if (instance) return [instance.serviceGroup]
  return [...new Set(unitsInScope(model, name).map((unit) => unit.serviceGroup))]
}
