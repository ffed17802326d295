import type { ServiceGroupModel } from '../model/model.ts'
import type { Draft } from './draft.ts'
import { assignmentState, unitOperational, unitPresence } from './readiness.ts'
import type { GroupState } from './state.ts'

/**
 * Tells of changes in derived states: operational and presence state of service units, assignment state of service
 * instances. SAF AMF B.04.01 section 11. What is seen first under a director is no change, and what depends on nodes
 * that are not heard of yet is not looked at.
 */
export function notifyStateChanges(draft: Draft, sg: ServiceGroupModel, group: GroupState): void {
  const told = new Map(group.told)
  const tell: Tell = (kind, entity, to, about) => {
    const key = `${kind} ${entity}`
    const from = told.get(key)
    if (from === to) return
    told.set(key, to)
    if (from === undefined) return
    // They follow from what "why" tells of already: told, and not kept.
    draft.notify(null, { kind, entity, from, to, ...about, causes: group.causes })
  }
  let isKnown = true
  for (const unit of sg.serviceUnits) {
    if (draft.peekNode(unit.node).membership === 'UNKNOWN') {
      isKnown = false
      continue
    }
    const about = { serviceUnit: unit.name }
    tell('operational', unit.name, unitOperational(group, unit), about)
    const presence = unitPresence(group, unit)
    // The others are on the way to one of these, and not told of.
    if (!presence.endsWith('ING') || presence === 'RESTARTING') {
      tell('presence', unit.name, presence, about)
    }
  }
  if (isKnown) {
    for (const instance of sg.serviceInstances) {
      const about = { serviceInstance: instance.name }
      tell('assignment', instance.name, assignmentState(draft.model, group, instance), about)
    }
  }
  group.told = told
}

type Tell = (
  kind: 'operational' | 'presence' | 'assignment',
  entity: string,
  to: string,
  about: { readonly serviceUnit?: string; readonly serviceInstance?: string },
) => void
