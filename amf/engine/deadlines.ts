import type { ComponentModel } from '../model/model.ts'
import { chain, withCause, type Draft } from './draft.ts'
import { instantiate, stop } from './presence.ts'
import { componentState } from './readiness.ts'
import { orderNodeRestart } from './recovery.ts'
import { maybeAdjust } from './reconcile.ts'
import type { EngineState, GroupState } from './state.ts'

/** When the next `tick` is due; null: only an event can change anything. */
export function nextDeadlineMs(state: EngineState): number | null {
  let next = Infinity
  for (const group of state.groups) {
    if (group.deadlineMs !== null && group.deadlineMs < next) next = group.deadlineMs
  }
  for (const { deadlineMs } of state.nodes) {
    if (deadlineMs !== null && deadlineMs < next) next = deadlineMs
  }
  return next === Infinity ? null : next
}

/** Handles what is due: lost answers become failures, lost orders are given again, waits end. */
export function tick(draft: Draft): void {
  for (const { name, deadlineMs, recovery } of draft.nodes()) {
    if (deadlineMs === null || deadlineMs > draft.nowMs) continue
    if (recovery === 'restart') orderNodeRestart(draft, name, `${name} has not ended yet`)
    else draft.node(name).deadlineMs = null
  }
  for (const { name, deadlineMs } of draft.groups()) {
    if (deadlineMs === null || deadlineMs > draft.nowMs) continue
    const group = draft.group(name)
    const sg = draft.model.serviceGroups.get(name)
    if (!sg) continue
    for (const unit of sg.serviceUnits) {
      for (const model of unit.components) expire(draft, group, model)
    }
    maybeAdjust(draft, sg)
  }
}

function expire(draft: Draft, group: GroupState, model: ComponentModel): void {
  const component = componentState(group, model)
  const { work } = component
  if (work) {
    if (work.deadlineMs > draft.nowMs) return
    const isKnown = model.preInstantiable || work.descriptor !== null
    // What its new proxy does not register in time is in no state to go on.
    if (work.kind === 'instantiate' && isKnown && !component.orphaned) {
      instantiate(draft, group, model, component, work.descriptor)
    } else {
      const failure = work.failure ? { failure: work.failure } : {}
      const reason = `${model.name} did not stop in time`
      stop(draft, group, model, { kind: 'cleanup', reason, ...failure })
    }
    return
  }
  const late = [...component.assignments.values()].find(
    ({ pending }) => pending !== null && pending.deadlineMs <= draft.nowMs,
  )
  if (!late?.pending || component.presence === 'TERMINATION_FAILED') return
  const cause = `${model.name} did not answer ${late.pending.to} for ${late.csi} in time`
  group.causes = withCause([cause], `${model.name} is cleaned up`)
  const failure = { recovery: 'noRecommendation', cause } as const
  stop(draft, group, model, { kind: 'cleanup', reason: chain([cause]), failure })
}
