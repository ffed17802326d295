import type { HaReadiness } from '../../runtime/internal.ts'
import type { ServiceInstanceModel, ServiceUnitModel } from '../model/model.ts'
import type { EngineEvent } from './contract.ts'
import { withCause, type Draft } from './draft.ts'
import { componentState } from './readiness.ts'
import type { ComponentState, GroupState } from './state.ts'

/** How far components say they are able to take a CSI. SAF AMF B.04.01, HA readiness state. */

const WORST_LAST: readonly HaReadiness[] = [
  'READY_FOR_ASSIGNMENT',
  'READY_FOR_ACTIVE_DEGRADED',
  'NOT_READY_FOR_ACTIVE',
  'NOT_READY_FOR_ASSIGNMENT',
]

export function haReadinessOf({ haReadiness }: ComponentState, csi: string): HaReadiness {
  return haReadiness.get(csi) ?? haReadiness.get(null) ?? 'READY_FOR_ASSIGNMENT'
}

/**
 * The unit's state for a service instance: the worst of those who have its CSIs; for a CSI that nobody of the unit has,
 * of those who could get it.
 */
export function unitHaReadiness(
  group: GroupState,
  unit: ServiceUnitModel,
  instance: ServiceInstanceModel,
): HaReadiness {
  const components = unit.components.map((model) => ({
    model,
    state: componentState(group, model),
  }))
  if (components.every(({ state }) => state.haReadiness.size === 0)) return 'READY_FOR_ASSIGNMENT'
  let worst = 0
  for (const csi of instance.csis) {
    const holders = components.filter(({ state }) => state.assignments.has(csi.name))
    const able = components.filter(
      ({ model: { csTypes } }) =>
        csTypes.length === 0 || csTypes.some(({ csType }) => csType === csi.csType),
    )
    for (const { state } of holders.length > 0 ? holders : able) {
      worst = Math.max(worst, WORST_LAST.indexOf(haReadinessOf(state, csi.name)))
    }
  }
  return WORST_LAST[worst] ?? 'READY_FOR_ASSIGNMENT'
}

/** Taken over; the plan that follows moves what has to move. Told of each unit and instance that it changes. */
export function haReadinessChanged(
  draft: Draft,
  event: Extract<EngineEvent, { kind: 'haReadiness' }>,
): void {
  const model = draft.model.components.get(event.component)
  const unit = draft.model.serviceUnits.get(model?.serviceUnit ?? '')
  if (!model || !unit) return
  const group = draft.group(model.serviceGroup)
  const component = componentState(group, model)
  if (event.incarnation !== component.incarnation || component.presence !== 'INSTANTIATED') return
  const instances = draft.model.serviceGroups.get(group.name)?.serviceInstances ?? []
  const before = instances.map((instance) => unitHaReadiness(group, unit, instance))
  const next = new Map(event.csi === null ? [] : component.haReadiness)
  component.haReadiness = next.set(event.csi, event.state)
  const about = event.csi === null ? 'all its CSIs' : event.csi
  const causes = [`${model.name} is ${event.state} for ${about}`]
  for (const [at, instance] of instances.entries()) {
    const to = unitHaReadiness(group, unit, instance)
    const from = before[at] ?? null
    if (from === to) continue
    draft.notify(group, {
      kind: 'haReadiness',
      entity: unit.name,
      from,
      to,
      serviceUnit: unit.name,
      serviceInstance: instance.name,
      causes,
    })
    group.causes = withCause(causes, `${unit.name} is ${to} for ${instance.name}`)
  }
}
