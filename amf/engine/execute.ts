import type { CsiDescriptor, HaState } from '../../runtime/internal.ts'
import type { ServiceGroupModel, ServiceInstanceModel } from '../model/model.ts'
import { dependantsLeaveFirst, instanceAdmin, instanceReady, isServing } from './dependencies.ts'
import { chain, withCause, type Draft } from './draft.ts'
import { grantActive, persistEndedGrants } from './grants.ts'
import { holdsContained } from './mediation.ts'
import { becomeActive, canBecomeActive, letGo, standBy } from './npi.ts'
import { attributesOf, describe } from './descriptor.ts'
import type { Plan } from './plan/planner.ts'
import { unitAdmin } from './readiness.ts'
import { anyPending, effectiveState, isStuck, takesCallbacks, unitRole } from './roles.ts'
import { hasCheckpoints, replicasOf } from './replicas.ts'
import { collectSlots, type Run, type Slot } from './slots.ts'
import {
  ANSWER_GRACE_MS,
  NO_NODE,
  type Assignment,
  type GroupState,
  type NodeState,
} from './state.ts'

/**
 * From wanted assignments to the next safe commands. SAF AMF B.04.01 sections 3.6 and 7; order of calls:
 *
 * 1. who has to let go is quiesced (dependants before sponsors), then removed once a successor serves;
 * 2. ACTIVE goes out when no one else may be ACTIVE for the instance and its sponsors are served;
 * 3. STANDBY goes out when no ACTIVE is on its way in the group and the instance is served.
 *
 * Each call emits what can be done now; the answers come back as events and lead here again.
 */
export function executePlan(draft: Draft, sg: ServiceGroupModel, plan: Plan): void {
  const slots = collectSlots(draft, sg, plan)
  const run: Run = { draft, sg, plan, slots, group: draft.group(sg.name) }
  for (const slot of [...slots].reverse()) takeAway(run, slot)
  if (!run.group.open) return
  // What is about to stop is given nothing before it is back.
  const staying = slots.filter(({ unit }) => run.group.units.get(unit.name)?.restart === null)
  for (const slot of staying) if (slot.wanted?.role === 'ACTIVE') maybeActivate(run, slot)
  if (standbysMustWait(run)) return
  for (const slot of staying) if (slot.wanted?.role === 'STANDBY') maybeStandby(run, slot)
}

// 1. Letting go

function takeAway(run: Run, slot: Slot): void {
  const { component, csi, wanted } = slot
  const assignment = component.assignments.get(csi.name)
  if (!assignment || wanted?.role === 'ACTIVE') return
  if (isForgotten(slot, assignment)) {
    component.assignments.delete(csi.name)
    return
  }
  if (!slot.model.preInstantiable) {
    letGo(run.draft, { ...slot, group: run.group }, assignment, () => {
      return !isDoomed(run, slot) && !mustWaitForDependants(run, slot)
    })
    return
  }
  if (!takesCallbacks(component) || isDoomed(run, slot)) return
  const { haState, pending } = assignment
  if (pending) {
    // An operator who locks during a shutdown does not wait for the work to run off.
    if (pending.to === 'QUIESCING' && !isGraceful(run, slot)) quiesce(run, slot, 'QUIESCED')
    return
  }
  if (haState === 'ACTIVE' || haState === 'QUIESCING') {
    if (!mustWaitForDependants(run, slot)) {
      quiesce(run, slot, isGraceful(run, slot) ? 'QUIESCING' : 'QUIESCED')
    }
  } else if (wanted === null && (haState === 'STANDBY' || !successorIsComing(run, slot))) {
    remove(run, slot)
  }
}

/** It waited for its process to come back, and is wanted no more: there is nothing to tell anybody. */
function isForgotten(slot: Slot, assignment: Assignment): boolean {
  return slot.wanted === null && assignment.haState === null && assignment.pending === null
}

/** It is about to be killed: asking it first would only take time. */
function isDoomed({ draft, group }: Run, { unit }: Slot): boolean {
  return group.units.get(unit.name)?.failover === true || isEnding(draft.peekNode(unit.node))
}

/** Everything on the node is killed, with it or without it. */
function isEnding({ recovery }: NodeState): boolean {
  return recovery === 'restart' || recovery === 'failover'
}

function isGraceful({ draft, group }: Run, { unit, instance }: Slot): boolean {
  const admins = [unitAdmin(group, unit, draft.peekNode(unit.node)), instanceAdmin(group, instance)]
  const strict = admins.some((admin) => admin === 'LOCKED' || admin === 'LOCKED_INSTANTIATION')
  return !strict && admins.includes('SHUTTING_DOWN')
}

/** Dependants let go first: CSIs inside the unit, then service instances on the same way out. */
function mustWaitForDependants(run: Run, slot: Slot): boolean {
  const { draft, group, slots } = run
  if (holdsContained(draft, slot.component.name, slot.csi.name)) return true
  const inside = slots.some(
    (other) =>
      other.unit === slot.unit &&
      other.instance === slot.instance &&
      other.csi.dependsOn.includes(slot.csi.name) &&
      stillServes(group, other),
  )
  if (inside) return true
  return dependantsLeaveFirst(draft, slot.instance, (dependant) => {
    if (dependant.serviceGroup !== group.name) {
      return !instanceReady(draft, draft.peekGroup(dependant.serviceGroup), dependant)
    }
    return slots.some(
      (other) =>
        other.instance === dependant &&
        other.unit === slot.unit &&
        other.wanted?.role !== 'ACTIVE' &&
        stillServes(group, other),
    )
  })
}

function stillServes(group: GroupState, { component, csi }: Slot): boolean {
  const grants = group.csis.get(csi.name)?.grants ?? []
  return takesCallbacks(component) && grants.some((grant) => grant.component === component.name)
}

/** The quiesced one stays at hand until the new active one has confirmed. */
function successorIsComing({ plan, sg, group }: Run, { instance, unit }: Slot): boolean {
  const planned = plan.get(instance.name)?.active ?? []
  return planned.some((name) => {
    const other = sg.serviceUnits.find((candidate) => candidate.name === name)
    if (!other || other === unit) return false
    return unitRole(group, other, instance, 'confirmed') !== 'ACTIVE'
  })
}

function quiesce(run: Run, slot: Slot, to: 'QUIESCED' | 'QUIESCING'): void {
  const { quiescingTimeoutMs, csiSetTimeoutMs } = slot.model
  const timeoutMs = csiSetTimeoutMs + (to === 'QUIESCING' ? quiescingTimeoutMs : 0)
  const reason =
    slot.wanted === null
      ? `${slot.unit.name} has to give up ${slot.instance.name}`
      : `${slot.unit.name} hands ${slot.instance.name} over`
  sendSet(run, slot, { to, flags: 'TARGET_ONE', timeoutMs, reason })
}

function remove({ draft, group }: Run, slot: Slot): void {
  const { component, csi, unit, model, instance } = slot
  const assignment = component.assignments.get(csi.name)
  if (!assignment) return
  const causes = withCause(group.causes, `${unit.name} is not wanted for ${instance.name}`)
  const invocation = draft.nextInvocation()
  const deadlineMs = draft.nowMs + model.csiRemoveTimeoutMs + ANSWER_GRACE_MS
  assignment.pending = { to: 'REMOVED', invocation, deadlineMs, causes }
  draft.send({
    kind: 'csiRemove',
    node: component.mediator?.node ?? unit.node,
    component: component.name,
    incarnation: component.incarnation,
    invocation,
    csi: csi.name,
    why: chain(causes),
  })
}

// 2. Taking over

function maybeActivate(run: Run, slot: Slot): void {
  const { component, csi } = slot
  const assignment = component.assignments.get(csi.name)
  if (!canTake(run, slot)) return
  if (assignment?.pending && assignment.pending.to !== 'QUIESCING') return
  if (assignment?.haState === 'ACTIVE' && !assignment.pending && !assignment.again) return
  if (someoneElseMayBeActive(run, slot) || isHeldElsewhere(run, slot)) return
  if (!sponsorsServe(run, slot)) return
  if (mustDropFirst(run, slot) || isFull(run, slot, 'ACTIVE')) return
  const fresh = assignment?.haState == null && !assignment?.pending
  sendSet(run, slot, {
    to: 'ACTIVE',
    flags: fresh || assignment?.again === true ? 'ADD_ONE' : 'TARGET_ONE',
    timeoutMs: slot.model.csiSetTimeoutMs,
    reason: activeReason(run, slot),
  })
}

function canTake({ group }: Run, slot: Slot): boolean {
  const { model, component } = slot
  return model.preInstantiable ? takesCallbacks(component) : canBecomeActive({ ...slot, group })
}

/** I2, for the whole service instance: its CSIs move together. */
function someoneElseMayBeActive(
  { group, sg }: Run,
  { instance, unit, component, csi }: Slot,
): boolean {
  const own = new Set(unit.components.map((c) => c.name))
  return instance.csis.some((each) =>
    (group.csis.get(each.name)?.grants ?? []).some((grant) => {
      if (each === csi && grant.component !== component.name && own.has(grant.component))
        return true
      return sg.redundancy !== 'N-way-active' && !own.has(grant.component)
    }),
  )
}

/** I10: what cannot be asked to hand over keeps a group of 2N where it is. */
function isHeldElsewhere({ sg, slots, group }: Run, { unit }: Slot): boolean {
  if (sg.redundancy !== '2N') return false
  return slots.some(
    (other) =>
      other.unit !== unit &&
      isStuck(other.component) &&
      group.csis.get(other.csi.name)?.grants.some((g) => g.component === other.component.name),
  )
}

function sponsorsServe({ draft, group, slots }: Run, { instance, csi, unit }: Slot): boolean {
  const csisServe = csi.dependsOn.every((name) =>
    slots.some(
      (other) =>
        other.csi.name === name &&
        other.unit === unit &&
        other.component.assignments.get(name)?.haState === 'ACTIVE' &&
        !other.component.assignments.get(name)?.pending,
    ),
  )
  if (!csisServe) return false
  return instance.dependsOn.every(({ serviceInstance }) => {
    const sponsor = draft.model.serviceInstances.get(serviceInstance)
    if (!sponsor) return false
    if (sponsor.serviceGroup !== group.name) return true
    return isServing(draft, sponsor) && !isLeaving(slots, sponsor)
  })
}

/** The one that serves the instance now is on its way out: a dependant waits for the next one. */
function isLeaving(slots: readonly Slot[], instance: ServiceInstanceModel): boolean {
  return slots.some(
    (slot) =>
      slot.instance === instance &&
      slot.wanted?.role !== 'ACTIVE' &&
      slot.component.assignments.get(slot.csi.name)?.haState === 'ACTIVE',
  )
}

/** I4: in 2N and N+M a unit stops standing by before it becomes ACTIVE. */
function mustDropFirst({ sg, slots }: Run, { unit }: Slot): boolean {
  if (sg.redundancy !== '2N' && sg.redundancy !== 'N+M') return false
  return slots.some(
    (other) =>
      other.unit === unit &&
      other.wanted?.role !== 'ACTIVE' &&
      standsBy(other.component.assignments.get(other.csi.name)),
  )
}

function standsBy(assignment: Assignment | undefined): boolean {
  return assignment?.haState === 'STANDBY' || assignment?.pending?.to === 'STANDBY'
}

/** I5: the unit still holds as many others as it may. */
function isFull(
  { sg, slots, group }: Run,
  { unit, instance }: Slot,
  role: 'ACTIVE' | 'STANDBY',
): boolean {
  if (sg.redundancy === '2N') return false
  const limit = role === 'STANDBY' ? sg.maxStandbySIsPerSU : activeLimit(sg)
  const holds = (other: Slot): boolean => {
    if (role === 'STANDBY') return standsBy(other.component.assignments.get(other.csi.name))
    const grants = group.csis.get(other.csi.name)?.grants ?? []
    return grants.some((grant) => grant.component === other.component.name)
  }
  const others = slots.filter((o) => o.unit === unit && o.instance !== instance && holds(o))
  return new Set(others.map((other) => other.instance)).size >= limit
}

function activeLimit(sg: ServiceGroupModel): number {
  return sg.redundancy === 'no-redundancy' ? 1 : sg.maxActiveSIsPerSU
}

function activeReason({ group, sg }: Run, { unit, instance, csi }: Slot): string {
  const state = group.csis.get(csi.name)
  const sync = state?.inSync == null ? '' : ' and is in sync'
  if (group.swap?.to === unit.name) return `${unit.name} takes over by a planned swap`
  if (unitRole(group, unit, instance, 'effective') === 'STANDBY') {
    return `${unit.name} is the standby${sync}`
  }
  return sg.serviceUnits.length === 1
    ? `${unit.name} is the only service unit`
    : `${unit.name} has the next rank${sync}`
}

// 3. Standing by

/** Standbys follow when every ACTIVE that is on its way has arrived, and every node has said what it holds. */
function standbysMustWait({ draft, sg, group }: Run): boolean {
  if (anyPending(group, 'ACTIVE')) return true
  return sg.serviceUnits.some((unit) => {
    const { membership } = draft.peekNode(unit.node)
    return membership === 'UNKNOWN' && isAwaited(draft)
  })
}

/** Under a new director nodes have this long to tell what they hold, before others are asked to stand by. */
function isAwaited(draft: Draft): boolean {
  return draft.nowMs < awaitedUntilMs(draft)
}

export function awaitedUntilMs(draft: Draft): number {
  return draft.startedAtMs + 2 * draft.model.timing.nodeSilenceMs
}

function maybeStandby(run: Run, slot: Slot): void {
  const { component, csi, instance, wanted } = slot
  const assignment = component.assignments.get(csi.name)
  if (!canTake(run, slot) || assignment?.pending) return
  if (assignment?.haState === 'ACTIVE') return
  const isTold = assignment?.haState === 'STANDBY' && !assignment.again
  if (isTold && !isToldWrong(run, slot, assignment)) return
  if (!isServedAsPlanned(run, instance) || !standbySponsorsStand(run, slot)) return
  if (holdsActiveElsewhere(run, slot) || isFull(run, slot, 'STANDBY')) return
  if (formerStandbyStays(run, slot)) return
  const rank = wanted?.standbyRank ?? 1
  sendSet(run, slot, {
    to: 'STANDBY',
    flags: assignment?.haState == null || assignment.again ? 'ADD_ONE' : 'TARGET_ONE',
    timeoutMs: slot.model.csiSetTimeoutMs,
    reason: `${slot.unit.name} is number ${String(rank)} to take over`,
  })
}

/**
 * Its place in the order of take-over, or the one it stands by for, is not what it was told any more. Elsewhere than
 * in N-way an instance has one standby, which is told nothing twice.
 */
function isToldWrong({ sg, group }: Run, { csi, wanted }: Slot, { told }: Assignment): boolean {
  if (!told || sg.redundancy !== 'N-way') return false
  const active = group.csis.get(csi.name)?.grants[0]?.component ?? null
  return told.standbyRank !== (wanted?.standbyRank ?? 1) || told.activeComponent !== active
}

function isServedAsPlanned({ plan, sg, group }: Run, instance: ServiceInstanceModel): boolean {
  const active = plan.get(instance.name)?.active ?? []
  return (
    active.length > 0 &&
    active.every((name) => {
      const unit = sg.serviceUnits.find((candidate) => candidate.name === name)
      return unit !== undefined && unitRole(group, unit, instance, 'confirmed') === 'ACTIVE'
    })
  )
}

function standbySponsorsStand({ slots }: Run, { unit, csi, instance }: Slot): boolean {
  return slots.every((other) => {
    const sponsorCsi = other.instance === instance && csi.dependsOn.includes(other.csi.name)
    const sponsorInstance = instance.dependsOn.some(
      (d) => d.serviceInstance === other.instance.name,
    )
    if (other.unit !== unit || !(sponsorCsi || sponsorInstance)) return true
    if (other.wanted?.role !== 'STANDBY') return true
    return other.component.assignments.get(other.csi.name)?.haState === 'STANDBY'
  })
}

/** I4, the other way round. */
function holdsActiveElsewhere({ sg, slots }: Run, { unit }: Slot): boolean {
  if (sg.redundancy !== '2N' && sg.redundancy !== 'N+M') return false
  return slots.some((other) => {
    const assignment = other.component.assignments.get(other.csi.name)
    if (other.unit !== unit || !assignment) return false
    return assignment.haState === 'ACTIVE' || assignment.haState === 'QUIESCING'
  })
}

/** I10: who stood by until now, and cannot be told yet that it does not any more, goes first. */
function formerStandbyStays(run: Run, { unit, instance }: Slot): boolean {
  const { redundancy } = run.sg
  if (redundancy !== '2N' && redundancy !== 'N+M') return false
  return run.slots.some((other) => {
    if (other.unit === unit || other.wanted?.role === 'STANDBY') return false
    if (redundancy === 'N+M' && other.instance !== instance) return false
    const { work, assignments } = other.component
    const isGoing = work?.kind === 'terminate' || work?.kind === 'cleanup' || isDoomed(run, other)
    const assignment = assignments.get(other.csi.name)
    return !isGoing && assignment !== undefined && effectiveState(assignment) === 'STANDBY'
  })
}

// Sending

interface SetRequest {
  readonly to: HaState
  readonly flags: CsiDescriptor['flags']
  readonly timeoutMs: number
  readonly reason: string
}

function sendSet(run: Run, slot: Slot, request: SetRequest): void {
  const { draft, group } = run
  const { component, csi, unit } = slot
  const state = group.csis.get(csi.name)
  if (!state) return
  const causes = withCause(group.causes, request.reason)
  const why = chain(causes)
  const { to, flags } = request
  const descriptor = describe(group, slot, request)
  // A proxied component is not gone with any node: its grant is on none.
  const home = slot.model.mediation?.kind === 'proxied' ? NO_NODE : unit.node
  const epoch = to === 'ACTIVE' ? grantActive(draft, state, component, home, why) : state.epoch
  if (to === 'ACTIVE' && slot.instance.csis.length > 1) {
    const all = slot.instance.csis.flatMap(({ name }) => group.csis.get(name) ?? [])
    persistEndedGrants(draft, all, why)
  }
  const assignment = component.assignments.get(csi.name) ?? newAssignment(csi.name)
  const invocation = draft.nextInvocation()
  const deadlineMs = draft.nowMs + request.timeoutMs + ANSWER_GRACE_MS
  assignment.pending = { to, invocation, deadlineMs, causes }
  assignment.restore = null
  assignment.again = false
  const { standbyRank, activeComponent } = descriptor
  assignment.told = to === 'STANDBY' ? { standbyRank, activeComponent } : null
  component.assignments.set(csi.name, assignment)
  const holder = { ...slot, group }
  const given = { ...descriptor, epoch, attributes: flags === 'ADD_ONE' ? attributesOf(csi) : {} }
  if (!slot.model.preInstantiable) {
    if (to === 'STANDBY') standBy(draft, holder, assignment)
    else becomeActive(draft, holder, { ...given, flags: 'ADD_ONE', attributes: attributesOf(csi) })
    return
  }
  const replicates = to === 'ACTIVE' && hasCheckpoints(run.sg, slot.model)
  if (replicates) state.replicas = replicasOf(draft, run.sg, run.plan, slot.instance, unit)
  draft.send({
    kind: 'csiSet',
    node: component.mediator?.node ?? unit.node,
    component: component.name,
    incarnation: component.incarnation,
    invocation,
    haState: to,
    descriptor: given,
    replicas: replicates ? state.replicas : [],
    inSync: replicates ? state.inSync : null,
    why,
  })
}

function newAssignment(csi: string): Assignment {
  return { csi, haState: null, pending: null, told: null, restore: null, again: false }
}
