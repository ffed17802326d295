import type { Model, ServiceInstanceModel } from '../model/model.ts'
import type { AdminState } from './contract.ts'
import { groupAdmin, strictest } from './readiness.ts'
import { unitRole } from './roles.ts'
import type { EngineState, GroupState } from './state.ts'

/** The instance's administrative state with its group's. */
export function instanceAdminOf(group: GroupState, instance: ServiceInstanceModel): AdminState {
  return strictest([group.instances.get(instance.name)?.admin ?? 'LOCKED', groupAdmin(group)])
}

/** Sponsors that nobody serves now. */
export function sponsorsMissing(
  model: Model,
  state: EngineState,
  instance: ServiceInstanceModel,
): string[] {
  return instance.dependsOn.flatMap(({ serviceInstance: name }) => {
    const sponsor = model.serviceInstances.get(name)
    const group = sponsor && state.groups[state.index.groupAt.get(sponsor.serviceGroup) ?? -1]
    const units = sponsor && model.serviceGroups.get(sponsor.serviceGroup)?.serviceUnits
    const isServed = units?.some(
      (unit) => group && unitRole(group, unit, sponsor, 'confirmed') === 'ACTIVE',
    )
    return isServed === true ? [] : [name]
  })
}
