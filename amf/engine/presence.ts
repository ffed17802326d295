import type { CsiDescriptor, Recovery } from '../../runtime/internal.ts'
import type { ComponentModel, ServiceGroupModel, ServiceUnitModel } from '../model/model.ts'
import type { PresenceState } from './contract.ts'
import { chain, withCause, type Draft } from './draft.ts'
import { mediationOrder, persistAlive, renewLife } from './mediation-state.ts'
import { componentsOf, componentState, nodeOperational, unitAdmin } from './readiness.ts'
import type { Plan } from './plan/planner.ts'
import { anyPending, holdsAnything, unitRole } from './roles.ts'
import {
  ANSWER_GRACE_MS,
  type ComponentState,
  type GroupState,
  type UnitState,
  type Work,
} from './state.ts'

/**
 * Which processes should run, and the next life-cycle commands. SAF AMF B.04.01 sections 3.2.2.1 and 4: levels go up
 * one after the other and down in reverse; a unit is emptied before it is stopped in good order.
 */
export function updatePresence(draft: Draft, sg: ServiceGroupModel, plan: Plan): void {
  const group = draft.group(sg.name)
  const wantedUp = unitsToRun(draft, sg, group)
  // A process start costs the machine dearly just when a standby is being promoted: it waits for that.
  const promoting = isPromoting(sg, group, plan)
  for (const unit of sg.serviceUnits) {
    const state = group.units.get(unit.name)
    if (!state || draft.peekNode(unit.node).membership !== 'MEMBER') continue
    tidyUnassigned(draft, group, unit)
    if (goesDown(state)) restartDown(draft, group, unit, state)
    if (state.failover) stopAll(draft, group, unit, `SU failover of ${unit.name}`)
    else if (draft.peekNode(unit.node).recovery === 'failover') {
      stopAll(draft, group, unit, `node failover of ${unit.node}`)
    } else if (wantedUp.has(unit)) {
      if (!promoting && !goesDown(state)) startNextLevel(draft, group, unit)
    } else if (mustStop(draft, group, unit) && !holdsAnything(group, unit)) {
      stopNextLevel(draft, group, unit)
    }
  }
}

function goesDown({ restart }: UnitState): boolean {
  return restart === 'down' || restart === 'held'
}

/** A planned ACTIVE is not there yet, and something on its way to it is in flight. */
function isPromoting(sg: ServiceGroupModel, group: GroupState, plan: Plan): boolean {
  if (!anyPending(group)) return false
  return sg.serviceInstances.some((instance) => {
    const active = plan.get(instance.name)?.active ?? []
    return sg.serviceUnits.some(
      (unit) =>
        active.includes(unit.name) && unitRole(group, unit, instance, 'confirmed') !== 'ACTIVE',
    )
  })
}

/** The preferred number of units, those that run already first, then by order. SAF AMF B.04.01 section 3.6.1. */
function unitsToRun(
  draft: Draft,
  sg: ServiceGroupModel,
  group: GroupState,
): ReadonlySet<ServiceUnitModel> {
  const able = sg.serviceUnits.filter((unit) => isInstantiable(draft, group, unit))
  const running = able.filter((unit) =>
    componentsOf(group, unit).some((component) => component.presence !== 'UNINSTANTIATED'),
  )
  const rest = able.filter((unit) => !running.includes(unit))
  return new Set([
    ...running,
    ...rest.slice(0, Math.max(0, sg.preferredInServiceSUs - running.length)),
  ])
}

export function isInstantiable(draft: Draft, group: GroupState, unit: ServiceUnitModel): boolean {
  const node = draft.peekNode(unit.node)
  if (nodeOperational(node) === 'DISABLED') return false
  if (unitAdmin(group, unit, node) === 'LOCKED_INSTANTIATION') return false
  return !componentsOf(group, unit).some((c) => hasFailedPresence(c) || c.hostLeaving)
}

export function hasFailedPresence({ presence }: ComponentState): boolean {
  return presence === 'INSTANTIATION_FAILED' || presence === 'TERMINATION_FAILED'
}

/** Locked for instantiation, its container leaves, or one component failed for good: the others have no purpose. */
function mustStop(draft: Draft, group: GroupState, unit: ServiceUnitModel): boolean {
  const node = draft.peekNode(unit.node)
  if (unitAdmin(group, unit, node) === 'LOCKED_INSTANTIATION') return true
  return componentsOf(group, unit).some(
    (c) => c.presence === 'INSTANTIATION_FAILED' || c.hostLeaving,
  )
}

function startNextLevel(draft: Draft, group: GroupState, unit: ServiceUnitModel): void {
  const missing = unit.components.filter(
    (model) => model.preInstantiable && componentState(group, model).presence !== 'INSTANTIATED',
  )
  const level = Math.min(...missing.map((model) => model.instantiationLevel))
  for (const model of missing) {
    const component = componentState(group, model)
    const idle = component.presence === 'UNINSTANTIATED' || component.presence === 'RESTARTING'
    if (model.instantiationLevel !== level || !idle) continue
    if (component.work || component.failed || !isWithinReach(model, component)) continue
    instantiate(draft, group, model, component)
  }
}

/** It has a process of its own, or somebody acts for it. */
export function isWithinReach(model: ComponentModel, component: ComponentState): boolean {
  return !model.mediation || (component.mediator !== null && !component.hostLeaving)
}

/** What is not pre-instantiable runs with an assignment only: without one it stops, and does not come back. */
function tidyUnassigned(draft: Draft, group: GroupState, unit: ServiceUnitModel): void {
  for (const model of unit.components) {
    const component = componentState(group, model)
    if (model.preInstantiable || component.assignments.size > 0 || component.work) continue
    if (component.presence === 'RESTARTING') {
      setPresence(draft, group, model, component, 'UNINSTANTIATED')
    } else if (component.presence === 'INSTANTIATED') {
      stop(draft, group, model, { kind: 'terminate', reason: `${model.name} has no assignment` })
    }
  }
}

export function instantiate(
  draft: Draft,
  group: GroupState,
  model: ComponentModel,
  component: ComponentState,
  descriptor: CsiDescriptor | null = null,
): void {
  const deadlineMs = draft.nowMs + instantiateMs(model) + ANSWER_GRACE_MS
  if (component.work?.kind !== 'instantiate') renewLife(draft, component)
  component.work = { kind: 'instantiate', deadlineMs, failure: null, descriptor }
  if (component.presence !== 'RESTARTING') {
    setPresence(draft, group, model, component, 'INSTANTIATING')
  }
  if (model.mediation) persistAlive(draft, model, 'INSTANTIATING')
  const why = chain(withCause(group.causes, `${model.name} is to run`))
  const node = component.mediator?.node ?? model.node
  const mediation = mediationOrder(component, null)
  draft.send({ kind: 'instantiate', node, component: model.name, mediation, descriptor, why })
}

/** All attempts of the agent, the clean-up after each included. */
export function instantiateMs(model: ComponentModel): number {
  const { timeoutMs } = model.instantiate
  const monitorMs = (model.amStart?.timeoutMs ?? 0) * model.amStartAttemptsMax
  const endMs = Math.max(model.terminateTimeoutMs, cleanupMs(model))
  const attemptMs = timeoutMs + model.instantiateDelayMs + endMs
  return model.instantiateAttemptsMax * attemptMs + monitorMs
}

/** From the highest level down, each level when the one above is gone. */
function stopNextLevel(draft: Draft, group: GroupState, unit: ServiceUnitModel): void {
  const running = unit.components.filter((model) => isRunning(componentState(group, model)))
  const level = Math.max(...running.map((model) => model.instantiationLevel))
  for (const model of running) {
    const component = componentState(group, model)
    if (model.instantiationLevel !== level || component.work) continue
    if (component.presence === 'INSTANTIATED') {
      stop(draft, group, model, { kind: 'terminate', reason: `${unit.name} is to stop` })
    } else if (component.presence === 'RESTARTING') {
      // It was on its way back, and is not wanted any more.
      setPresence(draft, group, model, component, 'UNINSTANTIATED')
    }
  }
}

export function isRunning({ presence }: ComponentState): boolean {
  return presence !== 'UNINSTANTIATED' && presence !== 'INSTANTIATION_FAILED'
}

function stopAll(draft: Draft, group: GroupState, unit: ServiceUnitModel, reason: string): void {
  for (const model of unit.components) {
    const component = componentState(group, model)
    if (component.work || component.presence !== 'INSTANTIATED') continue
    stop(draft, group, model, { kind: 'cleanup', reason })
  }
}

/** All of a restarting unit goes down, the highest level first; then it comes up again as any other. */
function restartDown(
  draft: Draft,
  group: GroupState,
  unit: ServiceUnitModel,
  state: UnitState,
): void {
  const isUp = (model: ComponentModel): boolean => {
    const component = componentState(group, model)
    return component.work !== null || component.presence === 'INSTANTIATED'
  }
  const up = unit.components.filter(isUp)
  if (up.length === 0) {
    if (state.restart === 'down') state.restart = null
    return
  }
  const level = Math.max(...up.map((model) => model.instantiationLevel))
  for (const model of up) {
    const component = componentState(group, model)
    if (model.instantiationLevel !== level || component.work) continue
    restartComponent(draft, group, model, `restart of ${unit.name}`)
  }
}

/** Orderly stop after which the component starts again with the assignments that it has. */
export function restartComponent(
  draft: Draft,
  group: GroupState,
  model: ComponentModel,
  reason: string,
): void {
  stop(draft, group, model, { kind: 'terminate', reason, presence: 'RESTARTING' })
}

interface StopOrder {
  readonly kind: 'terminate' | 'cleanup'
  readonly reason: string
  readonly presence?: PresenceState
  readonly failure?: { readonly recovery: Recovery; readonly cause: string }
}

/** Time that a SIGKILL and the wait for the exit may take. */
const CLEANUP_MS = 5_000

export function stop(
  draft: Draft,
  group: GroupState,
  model: ComponentModel,
  order: StopOrder,
): void {
  const component = componentState(group, model)
  const isReached = !model.mediation || component.mediator !== null
  // Without anybody who could do it, it waits for the next one, who cleans up first.
  const kind = isReached ? order.kind : 'cleanup'
  const commandMs = kind === 'terminate' ? terminateMs(model) : 0
  const dueMs = draft.nowMs + commandMs + cleanupMs(model) + ANSWER_GRACE_MS
  const deadlineMs = isReached ? dueMs : Infinity
  const work: Work = { kind, deadlineMs, failure: order.failure ?? null, descriptor: null }
  component.work = work
  const keeps = component.presence === 'RESTARTING' || component.presence === 'TERMINATION_FAILED'
  const presence = order.presence ?? (keeps ? component.presence : 'TERMINATING')
  setPresence(draft, group, model, component, presence)
  if (!isReached) {
    component.orphaned = true
    return
  }
  const { mediator } = component
  const to = {
    node: mediator?.node ?? model.node,
    component: model.name,
    incarnation: mediator?.life ?? component.incarnation,
    why: chain(withCause(group.causes, order.reason)),
  }
  if (kind === 'terminate') draft.send({ kind, ...to })
  else draft.send({ kind, ...to, mediation: mediationOrder(component, null) })
}

function terminateMs(model: ComponentModel): number {
  const monitorMs = (model.amStop?.timeoutMs ?? 0) * model.amStopAttemptsMax
  return (model.terminate?.timeoutMs ?? model.terminateTimeoutMs) + monitorMs
}

function cleanupMs(model: ComponentModel): number {
  return model.cleanup?.timeoutMs ?? (model.mediation ? model.terminateTimeoutMs : CLEANUP_MS)
}

export function setPresence(
  draft: Draft,
  group: GroupState,
  model: ComponentModel,
  component: ComponentState,
  presence: PresenceState,
): void {
  if (component.presence === presence) return
  const from = component.presence
  component.presence = presence
  draft.notify(group, {
    kind: 'presence',
    entity: model.name,
    from,
    to: presence,
    serviceUnit: model.serviceUnit,
    causes: group.causes,
  })
}
