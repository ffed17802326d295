import type { ServiceGroupModel } from '../model/model.ts'
import { chain, withCause, type Draft } from './draft.ts'

/**
 * Tells who is behind each logical name: in the same step as the grant, so that callers wait at the new active one
 * while it is being promoted. Without a holder the name stays known and leads nowhere.
 */
export function publishNames(draft: Draft, sg: ServiceGroupModel): void {
  if (draft.term === 0) return
  const group = draft.group(sg.name)
  for (const instance of sg.serviceInstances) {
    for (const csi of instance.csis) {
      const state = group.csis.get(csi.name)
      if (!state) continue
      const grant = state.grants.find((each) => each.address !== null) ?? null
      const holder = grant ? `${grant.component}@${String(grant.epoch)}` : ''
      if (state.published === holder) continue
      state.published = holder
      const now = grant
        ? `@${csi.logicalName} is ${grant.component}`
        : `nobody is @${csi.logicalName}`
      draft.send({
        kind: 'publishName',
        name: csi.logicalName,
        csi: csi.name,
        component: grant?.component ?? null,
        address: grant?.address ?? null,
        epoch: grant?.epoch ?? state.epoch,
        why: chain(withCause(group.causes, now)),
      })
    }
  }
}
