import type { CsiDescriptor, HaState } from '../../runtime/internal.ts'
import type { CsiModel } from '../model/model.ts'
import type { ComponentState, GroupState } from './state.ts'

/** What a component is told about one CSI. SAF AMF B.04.01, CSI descriptor. */

export function attributesOf(csi: CsiModel): Record<string, string[]> {
  return Object.fromEntries(Object.entries(csi.attributes).map(([key, list]) => [key, [...list]]))
}

interface Described {
  readonly csi: CsiModel
  readonly component: ComponentState
  readonly wanted: { readonly standbyRank: number } | null
}

/** The descriptor before the epoch is known. */
export function describe(
  group: GroupState,
  { csi, component, wanted }: Described,
  request: { readonly to: HaState; readonly flags: CsiDescriptor['flags'] },
): Omit<CsiDescriptor, 'epoch' | 'attributes'> {
  const state = group.csis.get(csi.name)
  const base = { csi: csi.name, flags: request.flags, haState: request.to }
  const none = { transition: null, activeComponent: null, standbyRank: 0 }
  if (request.to === 'STANDBY') {
    const active = state?.grants[0]?.component ?? null
    return { ...base, ...none, activeComponent: active, standbyRank: wanted?.standbyRank ?? 1 }
  }
  if (request.to !== 'ACTIVE') return { ...base, ...none }
  if (component.assignments.get(csi.name)?.again === true) {
    // Its new proxy learns that it was ACTIVE all the time.
    return { ...base, ...none, transition: 'STILL_ACTIVE', activeComponent: component.name }
  }
  const others = (state?.grants ?? []).filter((grant) => grant.component !== component.name)
  const other = others[0]
  if (other) {
    return { ...base, ...none, transition: 'STILL_ACTIVE', activeComponent: other.component }
  }
  const previous = state?.previous ?? null
  if (previous === null || previous.component === component.name) {
    return { ...base, ...none, transition: 'NEW_ASSIGN' }
  }
  return { ...base, ...none, transition: previous.transition, activeComponent: previous.component }
}
