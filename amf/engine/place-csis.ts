import type {
  ComponentModel,
  CsiModel,
  ServiceInstanceModel,
  ServiceUnitModel,
} from '../model/model.ts'
import { csiRank } from './roles.ts'
import type { GroupState } from './state.ts'

export interface RoleWish {
  readonly instance: ServiceInstanceModel
  readonly role: 'ACTIVE' | 'STANDBY'
}

/**
 * Spreads the CSIs of service instances over the components of a unit: a CSI stays where it is; else it goes to a
 * component without any that supports its type, else to one with room. An instance is placed whole or not at all.
 * SAF AMF B.04.01 section 3.5; OpenSAF's two passes.
 */
export function placeCsis(
  group: GroupState,
  unit: ServiceUnitModel,
  wishes: readonly RoleWish[],
): ReadonlyMap<string, string> {
  const placed = new Map<string, string>()
  const loads = new Map<string, Load>(unit.components.map((c) => [c.name, newLoad(c)]))
  for (const { instance, role } of wishes) keepPlaces(group, unit, instance, role, placed, loads)
  for (const { instance, role } of wishes) {
    const csis = instance.csis
      .filter((csi) => !placed.has(csi.name))
      .sort((a, b) => csiRank(instance, a) - csiRank(instance, b))
    const chosen: [CsiModel, Load][] = []
    for (const csi of csis) {
      const load = chooseComponent([...loads.values()], csi, role)
      if (!load) break
      addLoad(load, csi, role, 1)
      chosen.push([csi, load])
    }
    if (chosen.length === csis.length) {
      for (const [csi, load] of chosen) placed.set(csi.name, load.component.name)
    } else {
      for (const [csi, load] of chosen) addLoad(load, csi, role, -1)
      for (const csi of instance.csis) placed.delete(csi.name)
    }
  }
  return placed
}

interface Load {
  readonly component: ComponentModel
  total: number
  readonly byType: Map<string, number>
}

function newLoad(component: ComponentModel): Load {
  return { component, total: 0, byType: new Map() }
}

function addLoad(load: Load, csi: CsiModel, role: string, change: number): void {
  const key = `${role} ${csi.csType}`
  load.total += change
  load.byType.set(key, (load.byType.get(key) ?? 0) + change)
}

function keepPlaces(
  group: GroupState,
  unit: ServiceUnitModel,
  instance: ServiceInstanceModel,
  role: 'ACTIVE' | 'STANDBY',
  placed: Map<string, string>,
  loads: ReadonlyMap<string, Load>,
): void {
  for (const csi of instance.csis) {
    for (const component of unit.components) {
      const assignment = group.components.get(component.name)?.assignments.get(csi.name)
      const load = loads.get(component.name)
      if (!assignment || assignment.pending?.to === 'REMOVED' || !load) continue
      placed.set(csi.name, component.name)
      addLoad(load, csi, role, 1)
    }
  }
}

function chooseComponent(loads: readonly Load[], csi: CsiModel, role: string): Load | undefined {
  const fits = (load: Load): boolean => {
    const { csTypes, preInstantiable } = load.component
    if (!preInstantiable && load.total > 0) return false
    if (csTypes.length === 0) return true
    const support = csTypes.find((supported) => supported.csType === csi.csType)
    if (!support) return false
    const limit = role === 'ACTIVE' ? support.maxActive : support.maxStandby
    return (load.byType.get(`${role} ${csi.csType}`) ?? 0) < limit
  }
  return loads.find((load) => load.total === 0 && fits(load)) ?? loads.find(fits)
}

/** Could an otherwise empty unit carry the instance whole? */
export function couldCarry(
  unit: ServiceUnitModel,
  instance: ServiceInstanceModel,
  role: 'ACTIVE' | 'STANDBY',
): boolean {
  if (unit.components.every((c) => c.csTypes.length === 0 && c.preInstantiable)) return true
  const loads = unit.components.map(newLoad)
  return instance.csis.every((csi) => {
    const load = chooseComponent(loads, csi, role)
    if (load) addLoad(load, csi, role, 1)
    return load !== undefined
  })
}
