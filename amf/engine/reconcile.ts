import type { ServiceGroupModel, ServiceUnitModel } from '../model/model.ts'
import { instanceAdmin, instanceReady, isServing, watchSponsors } from './dependencies.ts'
import { clearAlarm, raiseAlarm, updateComponentAlarms } from './alarms.ts'
import { withCause, type Draft } from './draft.ts'
import { awaitedUntilMs, executePlan } from './execute.ts'
import { clearFailure } from './facts.ts'
import { mediationView, updateMediation } from './mediation.ts'
import { planGroup } from './plan/plan-group.ts'
import { isActiveRole, type Plan } from './plan/planner.ts'
import { hasFailedPresence, isInstantiable, isRunning, updatePresence } from './presence.ts'
import { publishNames } from './publish.ts'
import {
  componentsOf,
  componentState,
  unitAdmin,
  unitReadiness,
  repairsItself,
} from './readiness.ts'
import { persistNode } from './records.ts'
import { beginNodeRecovery } from './recovery.ts'
import { updateReplicas } from './replicas.ts'
import { anyPending, holdsAnything, isSettled, unitRole } from './roles.ts'
import { notifyStateChanges } from './state-changes.ts'
import type { GroupState } from './state.ts'

/**
 * One service group from facts to the next commands. Called for each group that a step touched, as often as it was
 * touched: every call ends at a point where nothing more can be done before the next event.
 */
export function reconcileGroup(draft: Draft, sg: ServiceGroupModel): void {
  const group = draft.group(sg.name)
  draft.takeOffTouched(sg.name)
  updateMediation(draft, sg)
  const sponsorsDueMs = watchSponsors(draft, sg.name)
  openGroup(draft, sg, group)
  dropOverSwap(draft, sg, group)
  const plan = planGroup(draft, sg, group.adjusting)
  executePlan(draft, sg, plan)
  publishNames(draft, sg)
  updateReplicas(draft, sg, plan)
  const repaired = sg.serviceUnits.filter((unit) => maybeRepair(draft, sg, unit))
  const isNpiRestarting = (unit: ServiceUnitModel): boolean =>
    !unit.preInstantiable && group.units.get(unit.name)?.restart != null
  const restarting = sg.serviceUnits.filter(isNpiRestarting)
  updatePresence(draft, sg, plan)
  updateAlarms(draft, sg, group, plan)
  notifyStateChanges(draft, sg, group)
  updateAdjustment(draft, sg, group, plan)
  updateDeadline(draft, sg, group, sponsorsDueMs)
  draft.takeOffTouched(sg.name)
  // What needs no start to be in service may be assigned at once.
  const isReady = (unit: ServiceUnitModel): boolean =>
    unitReadiness(group, unit, draft.peekNode(unit.node)) === 'IN_SERVICE'
  if (repaired.some(isReady) || restarting.some((unit) => !isNpiRestarting(unit)))
    draft.touch(sg.name)
  wakeLinkedGroups(draft, sg)
}

/**
 * No assignment before the start-up wait is over, unless all that is wanted is up, or something is assigned
 * already.
 */
function openGroup(draft: Draft, sg: ServiceGroupModel, group: GroupState): void {
  if (group.open || draft.term === 0) return
  const wanted = sg.serviceUnits.filter((unit) => mayComeUp(draft, group, unit))
  const up = sg.serviceUnits.filter(
    (unit) => unitReadiness(group, unit, draft.peekNode(unit.node)) === 'IN_SERVICE',
  )
  const isComplete = up.length >= Math.min(sg.preferredInServiceSUs, wanted.length) && up.length > 0
  const isAssigned = [...group.components.values()].some((c) => c.assignments.size > 0)
  group.open = isComplete || isAssigned || draft.nowMs >= startupEndMs(draft)
}

function startupEndMs(draft: Draft): number {
  return draft.startedAtMs + draft.model.startupTimeoutMs
}

/** The unit may still get into service by itself: a node that has not joined yet counts. */
function mayComeUp(draft: Draft, group: GroupState, unit: ServiceUnitModel): boolean {
  const node = draft.peekNode(unit.node)
  if (unitAdmin(group, unit, node) !== 'UNLOCKED') return false
  if (node.membership !== 'MEMBER') return true
  return isInstantiable(draft, group, unit)
}

/** A swap whose new active one cannot take over is given up: planning goes on without it. */
function dropOverSwap(draft: Draft, sg: ServiceGroupModel, group: GroupState): void {
  const { swap } = group
  if (!swap) return
  const to = sg.serviceUnits.find((unit) => unit.name === swap.to)
  if (to && draft.peekNode(to.node).membership === 'UNKNOWN') return
  if (to && unitReadiness(group, to, draft.peekNode(to.node)) === 'IN_SERVICE') return
  group.swap = null
}

/** A failed unit that holds nothing any more starts again. SAF AMF B.04.01 section 3.11.1.4. */
function maybeRepair(draft: Draft, sg: ServiceGroupModel, unit: ServiceUnitModel): boolean {
  const group = draft.group(sg.name)
  const state = group.units.get(unit.name)
  const components = componentsOf(group, unit)
  const isFailed = state?.failover === true || components.some((component) => component.failed)
  if (!state || !isFailed || !repairsItself(sg, unit)) return false
  if (draft.peekNode(unit.node).recovery !== null || components.some(hasFailedPresence)) {
    return false
  }
  if (holdsAnything(group, unit)) return false
  const isDown = (c: (typeof components)[number]): boolean => c.presence === 'UNINSTANTIATED'
  if (state.failover && !components.every(isDown)) return false
  if (components.some((component) => component.failed && component.work)) return false
  repairUnit(draft, group, unit)
  return true
}

/** Makes a failed unit usable again: what is down may start. */
export function repairUnit(draft: Draft, group: GroupState, unit: ServiceUnitModel): void {
  const state = group.units.get(unit.name)
  if (state) state.failover = false
  for (const model of unit.components) {
    const component = componentState(group, model)
    if (component.failed) {
      component.failed = false
      const sg = draft.model.serviceGroups.get(group.name)
      if (!repairsItself(sg, unit)) clearFailure(draft, model, component)
    }
  }
}

/** The alarm "nobody serves it", raised once and cleared once. SAF AMF B.04.01 section 11. */
function updateAlarms(draft: Draft, sg: ServiceGroupModel, group: GroupState, plan: Plan): void {
  updateComponentAlarms(draft, sg, group)
  for (const instance of sg.serviceInstances) {
    const grants = instance.csis.flatMap((csi) => group.csis.get(csi.name)?.grants ?? [])
    // What an earlier director granted may be over: its node has to say so.
    const served = grants.some(({ node }) => draft.peekNode(node).membership === 'MEMBER')
    // A component that restarts in place keeps its role; what an operator locked is no surprise to him.
    const kept = sg.serviceUnits.some((unit) =>
      isActiveRole(unitRole(group, unit, instance, 'effective') ?? undefined),
    )
    const wanted = instanceAdmin(group, instance) === 'UNLOCKED'
    // A failover on its way is no alarm yet; its callbacks have deadlines.
    const isComing = plan.has(instance.name) && anyPending(group)
    const isMissing = group.open && wanted && grants.length === 0 && !kept
    const { name: entity } = instance
    const news = {
      entity,
      alarm: 'UNASSIGNED',
      serviceInstance: entity,
      causes: group.causes,
    } as const
    if (isMissing && !isComing) raiseAlarm(draft, group, news)
    else if (served || kept || !wanted) clearAlarm(draft, group, 'assigned', news)
  }
}

/** Automatic adjustment: when the most preferred assignment was possible for the whole probation, it is made. */
function updateAdjustment(
  draft: Draft,
  sg: ServiceGroupModel,
  group: GroupState,
  plan: Plan,
): void {
  if (group.adjusting) {
    if (isSettled(group)) group.adjusting = false
    return
  }
  if (!sg.autoAdjust || !group.open) return
  const isPossible = isSettled(group) && !samePlan(plan, planGroup(draft, sg, true))
  if (!isPossible) group.adjustFromMs = null
  else group.adjustFromMs ??= draft.nowMs
}

/** The most preferred assignment is another one than the present. */
export function mayAdjust(draft: Draft, sg: ServiceGroupModel): boolean {
  return !samePlan(planGroup(draft, sg), planGroup(draft, sg, true))
}

/** Starts what {@link updateAdjustment} waited for. */
export function maybeAdjust(draft: Draft, sg: ServiceGroupModel): void {
  const { adjustFromMs } = draft.peekGroup(sg.name)
  if (adjustFromMs === null || draft.nowMs < adjustFromMs + sg.autoAdjustProbationMs) return
  startAdjusting(draft, sg.name, `automatic adjustment of ${sg.name} after its probation`)
}

export function startAdjusting(draft: Draft, name: string, cause: string): void {
  const group = draft.group(name)
  group.adjustFromMs = null
  group.adjusting = true
  group.causes = [cause]
}

function samePlan(a: Plan, b: Plan): boolean {
  const same = (x: readonly string[] = [], y: readonly string[] = []): boolean =>
    x.length === y.length && x.every((name) => y.includes(name))
  for (const name of new Set([...a.keys(), ...b.keys()])) {
    if (!same(a.get(name)?.active, b.get(name)?.active)) return false
    if (!same(a.get(name)?.standby, b.get(name)?.standby)) return false
  }
  return true
}

/** The earliest time at which something of the group is due without an event. */
function updateDeadline(
  draft: Draft,
  sg: ServiceGroupModel,
  group: GroupState,
  sponsorsDueMs: number | null,
): void {
  const due: number[] = []
  for (const component of group.components.values()) {
    if (component.work) {
      // What ends its process ends its callbacks too: their deadlines are of no interest any more.
      due.push(component.work.deadlineMs)
      continue
    }
    for (const { pending } of component.assignments.values()) {
      if (pending) due.push(pending.deadlineMs)
    }
  }
  if (draft.term > 0 && !group.open) due.push(startupEndMs(draft))
  if (sponsorsDueMs !== null) due.push(sponsorsDueMs)
  if (group.adjustFromMs !== null) due.push(group.adjustFromMs + sg.autoAdjustProbationMs)
  const isUnknown = (unit: ServiceUnitModel): boolean =>
    draft.peekNode(unit.node).membership === 'UNKNOWN'
  if (draft.nowMs < awaitedUntilMs(draft) && sg.serviceUnits.some(isUnknown)) {
    due.push(awaitedUntilMs(draft))
  }
  group.deadlineMs = due.length === 0 ? null : Math.min(...due)
}

/** Groups tied by a dependency plan again when this one changed, and once in any case. */
function wakeLinkedGroups(draft: Draft, sg: ServiceGroupModel): void {
  const linked = draft.index.linkedGroups.get(sg.name)
  if (!linked) return
  const seen = dependencyView(draft, sg)
  if (draft.lastSeen(sg.name) === seen) return
  draft.remember(sg.name, seen)
  for (const other of linked) draft.touch(other)
}

/** What other groups can see of this one. */
function dependencyView(draft: Draft, sg: ServiceGroupModel): string {
  const group = draft.peekGroup(sg.name)
  const instances = sg.serviceInstances.map((instance) => [
    instanceReady(draft, group, instance),
    isServing(draft, instance),
    instance.csis.map((csi) => group.csis.get(csi.name)?.grants.length),
  ])
  return JSON.stringify([instances, mediationView(draft, sg)])
}

/**
 * A switchover ends when the node holds nothing, a failover when nothing on it runs. Then the node is restarted where
 * the model allows it, else it stays out of use. SAF AMF B.04.01 section 3.11.1.4.
 */
export function finishNodeRecoveries(draft: Draft): void {
  for (const node of draft.nodes()) {
    if (node.recovery !== 'switchover' && node.recovery !== 'failover') continue
    // A new director first hears what the node holds.
    if (node.membership === 'UNKNOWN') continue
    const units = (draft.index.groupsOnNode.get(node.name) ?? []).flatMap((name) => {
      const all = draft.model.serviceGroups.get(name)?.serviceUnits ?? []
      return all.filter((unit) => unit.node === node.name)
    })
    const isOver = (unit: ServiceUnitModel): boolean => {
      const group = draft.peekGroup(unit.serviceGroup)
      if (node.recovery === 'switchover') return !holdsAnything(group, unit)
      return componentsOf(group, unit).every((c) => !isRunning(c) || hasFailedPresence(c))
    }
    if (!units.every(isOver)) continue
    const mayRestart = draft.model.nodes.get(node.name)?.autoRepair === true
    const campaign = units.some((unit) => unit.maintenanceCampaign !== null)
    if (node.recovery === 'switchover' && mayRestart && !campaign) {
      const causes = withCause([`node switchover of ${node.name}`], 'its work has moved away')
      beginNodeRecovery(draft, node.name, 'restart', causes)
    } else endNodeRecovery(draft, node.name)
  }
}

function endNodeRecovery(draft: Draft, name: string): void {
  const node = draft.node(name)
  node.recovery = null
  persistNode(draft, node, `${name} waits for its repair`)
  for (const group of draft.index.groupsOnNode.get(name) ?? []) draft.touch(group)
}
