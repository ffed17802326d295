import type { AdminResult, EngineEvent } from './contract.ts'
import type { Draft } from './draft.ts'
import { persistInSync } from './records.ts'
import { refuse } from './refusal.ts'

/**
 * A primary replica asks to change who is in sync. Only the present grant may: a request under an older epoch comes
 * from a primary that is over. The answer leaves after the change is durable. The primary's own node always stays.
 */
export function inSyncChange(
  draft: Draft,
  event: Extract<EngineEvent, { kind: 'inSyncChange' }>,
): void {
  const result = change(draft, event)
  const verb = event.inSync ? 'joins' : 'leaves'
  draft.answer(event.id, result, `${event.node} ${verb} the in-sync set of ${event.csi}`)
}

function change(
  draft: Draft,
  { csi: name, epoch, node, inSync }: Extract<EngineEvent, { kind: 'inSyncChange' }>,
): AdminResult {
  const instanceName = draft.model.csis.get(name)?.serviceInstance ?? ''
  const instance = draft.model.serviceInstances.get(instanceName)
  if (!instance) return refuse('NOT_EXIST', `there is no CSI "${name}" in the model`)
  if (!draft.model.nodes.has(node)) return refuse('NOT_EXIST', `there is no node "${node}"`)
  const known = draft.peekGroup(instance.serviceGroup).csis.get(name)
  const holder = known?.grants.find((grant) => grant.epoch === epoch)
  if (known?.epoch !== epoch || !holder) {
    const now = String(known?.epoch ?? 0)
    return refuse('STALE_EPOCH', `${name} is under epoch ${now}, not ${String(epoch)}`)
  }
  if (!inSync && node === holder.node) {
    return refuse(
      'BAD_OPERATION',
      `${node} holds the primary replica of ${name}: it cannot be removed`,
    )
  }
  // Before the first write nobody had to have anything: from now on the primary does.
  const before = known.inSync ?? [holder.node]
  const after = inSync
    ? [...new Set([...before, node])]
    : before.filter((member) => member !== node)
  if (known.inSync !== null && after.length === before.length) return { ok: true }
  const group = draft.group(instance.serviceGroup)
  const csi = group.csis.get(name)
  if (!csi) return refuse('NOT_EXIST', `there is no CSI "${name}"`)
  csi.inSync = after
  const reason = `${node} ${inSync ? 'caught up with' : 'fell behind'} ${holder.component}`
  persistInSync(draft, csi, reason)
  draft.notify(group, {
    kind: 'inSync',
    entity: name,
    from: before.join(', '),
    to: after.join(', '),
    serviceInstance: instance.name,
    epoch,
    causes: [reason],
  })
  return { ok: true }
}
