import { isSaAware } from '../model/category.ts'
import type {
  ComponentModel,
  ServiceGroupModel,
  ServiceInstanceModel,
  ServiceUnitModel,
} from '../model/model.ts'
import { chain, withCause, type Draft } from './draft.ts'
import type { Plan } from './plan/planner.ts'

/**
 * A checkpoint has one writer: several actives of one CSI have none. What others than SA-aware components do with their
 * data is their own affair.
 */
export function hasCheckpoints(sg: ServiceGroupModel, component: ComponentModel): boolean {
  return sg.redundancy !== 'N-way-active' && isSaAware(component)
}

/**
 * Nodes that should hold replicas of an instance's checkpoints: the active one's, those of its standbys, and further
 * nodes of the group (in unit order) until there are two. A replica lives in the node process, so a node counts while
 * it is a member, whatever its components do. Where replicas keep the instances of a 2N group apart, the nodes that
 * alone hold another instance's data as well: one unit can carry all of them only after they caught up.
 */
export function replicasOf(
  draft: Draft,
  sg: ServiceGroupModel,
  plan: Plan,
  instance: ServiceInstanceModel,
  active: ServiceUnitModel,
): readonly string[] {
  const standbys = plan.get(instance.name)?.standby ?? []
  const wanted = new Set([active.node])
  for (const name of standbys) {
    const unit = sg.serviceUnits.find((candidate) => candidate.name === name)
    if (unit) wanted.add(unit.node)
  }
  for (const unit of sg.serviceUnits) {
    if (wanted.size >= 2) break
    if (draft.peekNode(unit.node).membership === 'MEMBER') wanted.add(unit.node)
  }
  for (const node of sg.redundancy === '2N' ? nodesApart(draft, sg, active) : []) wanted.add(node)
  return [...wanted].filter(
    (node) => node === active.node || draft.peekNode(node).membership === 'MEMBER',
  )
}

/** Nodes of units that are in sync for what the active one's node is not. */
function nodesApart(
  draft: Draft,
  sg: ServiceGroupModel,
  active: ServiceUnitModel,
): readonly string[] {
  const nodes = new Set(sg.serviceUnits.map((unit) => unit.node))
  return [...draft.peekGroup(sg.name).csis.values()].flatMap(({ inSync }) =>
    inSync === null || inSync.includes(active.node) ? [] : inSync.filter((node) => nodes.has(node)),
  )
}

/** Tells the active one when its replicas are to be elsewhere. */
export function updateReplicas(draft: Draft, sg: ServiceGroupModel, plan: Plan): void {
  const group = draft.group(sg.name)
  for (const instance of sg.serviceInstances) {
    for (const csi of instance.csis) {
      const state = group.csis.get(csi.name)
      const grant = state?.grants[0]
      if (!state || !grant) continue
      const unit = sg.serviceUnits.find((u) => u.components.some((c) => c.name === grant.component))
      const component = group.components.get(grant.component)
      const assignment = component?.assignments.get(csi.name)
      if (!unit || assignment?.haState !== 'ACTIVE' || assignment.pending) continue
      if (draft.peekNode(unit.node).membership !== 'MEMBER') continue
      const holder = draft.model.components.get(grant.component)
      if (!holder || !hasCheckpoints(sg, holder)) continue
      const replicas = replicasOf(draft, sg, plan, instance, unit)
      if (sameMembers(replicas, state.replicas)) continue
      state.replicas = replicas
      const why = chain(withCause(group.causes, `replicas of ${csi.name}: ${replicas.join(', ')}`))
      const { epoch, inSync } = { epoch: grant.epoch, inSync: state.inSync }
      draft.send({
        kind: 'setReplicas',
        node: unit.node,
        csi: csi.name,
        epoch,
        replicas,
        inSync,
        why,
      })
    }
  }
}

function sameMembers(a: readonly string[], b: readonly string[]): boolean {
  return a.length === b.length && a.every((name) => b.includes(name))
}
