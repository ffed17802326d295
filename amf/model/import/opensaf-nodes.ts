import { compact } from './draft.ts'
import type { ImmObject } from './imm-objects.ts'
import { ADMIN_STATES, NS_PER_MS, type OpenSafContext } from './opensaf-context.ts'

/** Adds every node that the files have or mention. */
export function addNodes(context: OpenSafContext): void {
  const { objects, draft, nodes } = context
  for (const [dn, name] of nodes) {
    const node = objects.get(dn, 'SaAmfNode')
    draft.text.nodes[name] = {}
    if (!node) {
      const mention = mentionOf(context, dn)
      mention?.source.note(null, `node ${name} is in none of the files; it has every default`)
      continue
    }
    const { source } = node
    draft.from(['nodes', name], source)
    draft.text.nodes[name] = compact({
      adminState: source.choice('saAmfNodeAdminState', ADMIN_STATES),
      suFailoverMax: source.int('saAmfNodeSuFailoverMax'),
      suFailoverWindowMs: source.ms('saAmfNodeSuFailOverProb', { perMs: NS_PER_MS, min: 1 }),
      autoRepair: source.flag('saAmfNodeAutoRepair'),
      failfastOnTerminationFailure: source.flag('saAmfNodeFailfastOnTerminationFailure'),
      failfastOnInstantiationFailure: source.flag('saAmfNodeFailfastOnInstantiationFailure'),
    })
    source.without('an AMF node is its own cluster member', ['saAmfNodeClmNode'])
    source.without('capacities are not used in placement', ['saAmfNodeCapacity'])
  }
}

function mentionOf({ objects }: OpenSafContext, dn: string): ImmObject | undefined {
  return (
    objects.ofClass('SaAmfNodeSwBundle').find(({ name }) => name.parent === dn) ??
    objects
      .ofClass('SaAmfSU')
      .find(({ source }) => source.all('saAmfSUHostNodeOrNodeGroup').includes(dn)) ??
    objects
      .ofClass('SaAmfNodeGroup')
      .find(({ source }) => source.all('saAmfNGNodeList').includes(dn))
  )
}

/** Adds the node groups that service units are placed on, and those that operators may want to handle together. */
export function addNodeGroups(context: OpenSafContext): void {
  const { objects, draft, nodeGroups, nodes } = context
  for (const [dn, name] of nodeGroups) {
    const group = objects.get(dn, 'SaAmfNodeGroup')
    if (!group) {
      draft.text.nodeGroups[name] = Object.keys(draft.text.nodes)
      continue
    }
    const { source } = group
    const members = source.all('saAmfNGNodeList').flatMap((member) => nodes.get(member) ?? [])
    if (members.length === 0) source.error('saAmfNGNodeList', 'the node group has no node')
    draft.text.nodeGroups[name] = members
    draft.from(['nodeGroups', name], source)
    if ((source.choice('saAmfNGAdminState', ADMIN_STATES) ?? 'UNLOCKED') !== 'UNLOCKED') {
      source.note('saAmfNGAdminState', 'node groups have no state of their own; lock the nodes')
    }
  }
}

/** `node` or `nodeGroup`, as an attribute that may name either says it. */
export function placementOf(
  { objects, nodes, nodeGroups }: OpenSafContext,
  { source }: ImmObject,
  attribute: string,
): { node?: string; nodeGroup?: string } {
  const host = source.text(attribute)
  if (host === undefined) return {}
  const node = nodes.get(host)
  if (node !== undefined) return { node }
  const nodeGroup = nodeGroups.get(host)
  if (nodeGroup === undefined) {
    const is = objects.get(host)?.className
    const what = is === undefined ? 'names neither' : `is a ${is}, neither`
    source.error(attribute, `${host} ${what} a node nor a node group`)
    return {}
  }
  if (!objects.get(host)) {
    source.note(attribute, `${host} is in none of the files; it stands for every node`)
  }
  return { nodeGroup }
}
