import type { ProtectionGroup } from '../../runtime/internal.ts'
import type { Model } from '../model/model.ts'
import { haReadinessOf } from './ha-readiness.ts'
import type { EngineState } from './state.ts'

/** Members of a protection group as they travel. */
export type GroupMembers = ProtectionGroup['members']

/**
 * Who has the CSI: components that confirmed a role for it, in the order of the model. I12: a group is what the
 * assignments imply, and stored nowhere. null when the model has no such CSI, and as long as a new director has not
 * heard of every node: a group without what is only unknown yet would tell of losses that never were.
 */
export function protectionGroup(
  model: Model,
  state: EngineState,
  csi: string,
): GroupMembers | null {
  const instance = model.serviceInstances.get(model.csis.get(csi)?.serviceInstance ?? '')
  const sg = model.serviceGroups.get(instance?.serviceGroup ?? '')
  const group = sg && state.groups[state.index.groupAt.get(sg.name) ?? -1]
  if (!sg || !group) return null
  const members: GroupMembers = []
  let standbys = 0
  for (const unit of sg.serviceUnits) {
    const node = state.nodes[state.index.nodeAt.get(unit.node) ?? -1]
    if (node?.membership === 'UNKNOWN') return null
    for (const { name } of unit.components) {
      const component = group.components.get(name)
      const assignment = component?.assignments.get(csi)
      if (!component || !assignment || assignment.haState === null) continue
      const { haState, told } = assignment
      if (haState === 'STANDBY') standbys += 1
      // What an earlier director told of ranks is not known here: the order of preference stands in for it.
      const rank = haState === 'STANDBY' ? (told?.standbyRank ?? standbys) : 0
      const haReadiness = haReadinessOf(component, csi)
      members.push({ component: name, haState, haReadiness, rank })
    }
  }
  return members
}
