import type {
  ComponentModel,
  CsiModel,
  ServiceGroupModel,
  ServiceInstanceModel,
  ServiceUnitModel,
} from '../model/model.ts'
import type { Draft } from './draft.ts'
import { placeCsis, type RoleWish } from './place-csis.ts'
import type { Plan } from './plan/planner.ts'
import { componentState } from './readiness.ts'
import { csiRank, sponsorsFirst } from './roles.ts'
import type { ComponentState, GroupState } from './state.ts'

/** From a plan for service units to CSIs on components. */

/** What one call of the executor works on. */
export interface Run {
  readonly draft: Draft
  readonly sg: ServiceGroupModel
  readonly plan: Plan
  /** Sponsors before dependants. */
  readonly slots: readonly Slot[]
  readonly group: GroupState
}

/** One CSI on one component: what is and what is wanted. */
export interface Slot {
  readonly unit: ServiceUnitModel
  readonly model: ComponentModel
  readonly component: ComponentState
  readonly instance: ServiceInstanceModel
  readonly csi: CsiModel
  readonly wanted: { readonly role: 'ACTIVE' | 'STANDBY'; readonly standbyRank: number } | null
}

/** Every CSI of a component of the group that has it or is to have it. */
export function collectSlots(draft: Draft, sg: ServiceGroupModel, plan: Plan): Slot[] {
  const group = draft.group(sg.name)
  const order = sponsorsFirst(sg.serviceInstances)
  const slots: Slot[] = []
  const placeOf = new Map(
    sg.serviceUnits.map((u) => [u, placeCsis(group, u, wishesOf(u, order, plan))]),
  )
  for (const instance of order) {
    const planned = plan.get(instance.name)
    const csis = [...instance.csis].sort((a, b) => csiRank(instance, a) - csiRank(instance, b))
    for (const csi of csis) {
      for (const [unit, places] of placeOf) {
        for (const model of unit.components) {
          const component = componentState(group, model)
          const here = places.get(csi.name) === model.name
          if (!here && !component.assignments.has(csi.name)) continue
          const wanted = here ? wishOf(planned, unit) : null
          slots.push({ unit, model, component, instance, csi, wanted })
        }
      }
    }
  }
  return slots
}

function wishesOf(
  unit: ServiceUnitModel,
  order: readonly ServiceInstanceModel[],
  plan: Plan,
): RoleWish[] {
  return order.flatMap((instance) => {
    const wish = wishOf(plan.get(instance.name), unit)
    return wish ? [{ instance, role: wish.role }] : []
  })
}

function wishOf(
  planned: { readonly active: readonly string[]; readonly standby: readonly string[] } | undefined,
  unit: ServiceUnitModel,
): Slot['wanted'] {
  if (planned?.active.includes(unit.name) === true) return { role: 'ACTIVE', standbyRank: 0 }
  const at = planned?.standby.indexOf(unit.name) ?? -1
  return at < 0 ? null : { role: 'STANDBY', standbyRank: at + 1 }
}
