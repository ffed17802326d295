import type { ComponentModel, ServiceGroupModel } from '../model/model.ts'
import type { MediationOrder } from './contract.ts'
import { withCause, type Draft } from './draft.ts'
import { mediationOrder } from './mediation-state.ts'
import { notifyRole } from './npi.ts'
import { instantiateMs, stop } from './presence.ts'
import { componentState, unitReadiness } from './readiness.ts'
import { loseProcess } from './recovery.ts'
import { effectiveState } from './roles.ts'
import { ANSWER_GRACE_MS, type ComponentState, type GroupState, type Mediator } from './state.ts'

/**
 * Components that others act for. SAF AMF B.04.01 sections 3.4 and 5: whoever is ACTIVE for the proxy CSI is the proxy,
 * whoever is ACTIVE for the container CSI on the component's node is the container.
 *
 * A proxied component lives on without its proxy and keeps its roles; the next proxy registers it, or cleans it up when
 * it was in the middle of something. A contained one is gone when its container's process is, and goes before its
 * container lets go.
 */
export function updateMediation(draft: Draft, sg: ServiceGroupModel): void {
  for (const unit of sg.serviceUnits) {
    for (const model of unit.components) {
      if (!model.mediation) continue
      const group = draft.group(sg.name)
      const component = componentState(group, model)
      if (model.mediation.kind === 'contained') followContainer(draft, group, model, component)
      else followProxy(draft, group, model, component)
    }
  }
}

/** The component that acts for this one now, as far as its confirmed roles say. */
function findMediator(draft: Draft, model: ComponentModel): Omit<Mediator, 'life'> | null {
  const csi = draft.model.csis.get(model.mediation?.csi ?? '')
  const instance = csi && draft.model.serviceInstances.get(csi.serviceInstance)
  const sg = instance && draft.model.serviceGroups.get(instance.serviceGroup)
  if (!csi || !sg) return null
  const group = draft.peekGroup(sg.name)
  for (const unit of sg.serviceUnits) {
    if (model.mediation?.kind === 'contained' && unit.node !== model.node) continue
    if (draft.peekNode(unit.node).membership !== 'MEMBER') continue
    for (const { name } of unit.components) {
      const state = group.components.get(name)
      const assignment = state?.assignments.get(csi.name)
      if (!state || assignment?.haState !== 'ACTIVE' || state.presence !== 'INSTANTIATED') continue
      if (state.work || (assignment.pending && assignment.pending.to !== 'ACTIVE')) continue
      return { component: name, node: unit.node, incarnation: state.incarnation }
    }
  }
  return null
}

function followProxy(
  draft: Draft,
  group: GroupState,
  model: ComponentModel,
  component: ComponentState,
): void {
  const proxy = findMediator(draft, model)
  const { mediator } = component
  if (mediator && isSame(mediator, proxy)) return
  if (mediator) loseProxy(draft, group, model, component, mediator)
  if (!proxy) return
  component.mediator = { ...proxy, life: draft.nextInvocation() }
  if (!component.orphaned) return
  group.causes = [`${proxy.component} is the new proxy of ${model.name}`]
  if (component.presence === 'INSTANTIATED' && !component.work) adoptOrphan(draft, model, component)
  else {
    const reason = `${model.name} is cleaned up by its new proxy`
    const failure = component.work?.failure
    stop(draft, group, model, { kind: 'cleanup', reason, ...(failure ? { failure } : {}) })
  }
}

function isSame(mediator: Mediator, other: Omit<Mediator, 'life'> | null): boolean {
  const { component, incarnation } = mediator
  return other?.component === component && other.incarnation === incarnation
}

/** What it was told last may have been done or not: it counts as done, and is said again to the next proxy. */
function loseProxy(
  draft: Draft,
  group: GroupState,
  model: ComponentModel,
  component: ComponentState,
  mediator: Mediator,
): void {
  component.mediator = null
  const { presence, work } = component
  if (presence === 'UNINSTANTIATED' || presence.endsWith('_FAILED')) return
  if (presence === 'RESTARTING' && !work) return
  group.causes = withCause(group.causes, `${model.name} has lost its proxy ${mediator.component}`)
  if (presence !== 'INSTANTIATED') {
    const failure = work?.failure ? { failure: work.failure } : {}
    const reason = `${model.name} lost its proxy while it was ${presence}`
    stop(draft, group, model, { kind: 'cleanup', reason, ...failure })
    return
  }
  component.work = null
  for (const assignment of [...component.assignments.values()]) {
    // After a restart it waits to be given again: nobody was told anything.
    if (assignment.haState === null && assignment.pending === null) continue
    const state = effectiveState(assignment)
    if (assignment.pending?.to === 'REMOVED') {
      notifyRole(draft, group, model, assignment, 'NONE')
      component.assignments.delete(assignment.csi)
    } else if (state === 'ACTIVE' || state === 'STANDBY') {
      notifyRole(draft, group, model, assignment, state)
      assignment.haState = state
    }
    assignment.pending = null
    assignment.again = true
  }
  component.orphaned = true
}

/** Nothing but a registration is asked of the new proxy; without one in time it cleans the component up. */
function adoptOrphan(draft: Draft, model: ComponentModel, component: ComponentState): void {
  const { mediator } = component
  if (!mediator) return
  const deadlineMs = draft.nowMs + instantiateMs(model) + ANSWER_GRACE_MS
  component.work = { kind: 'instantiate', deadlineMs, failure: null, descriptor: null }
  const kept: NonNullable<MediationOrder['kept']> = [...component.assignments.values()].flatMap(
    ({ csi, haState }) => (haState ? [{ csi, haState, epoch: epochOf(draft, model, csi) }] : []),
  )
  draft.send({
    kind: 'instantiate',
    node: mediator.node,
    component: model.name,
    mediation: mediationOrder(component, kept),
    descriptor: null,
    why: `${model.name} lives; ${mediator.component} is its new proxy`,
  })
}

function epochOf(draft: Draft, model: ComponentModel, csi: string): number {
  return draft.peekGroup(model.serviceGroup).csis.get(csi)?.epoch ?? 0
}

function followContainer(
  draft: Draft,
  group: GroupState,
  model: ComponentModel,
  component: ComponentState,
): void {
  const container = findMediator(draft, model)
  const { mediator } = component
  if (mediator && isSame(mediator, container)) {
    component.hostLeaving = isLeaving(draft, mediator.component)
    return
  }
  if (mediator && isAlive(draft, mediator)) {
    // It lost its role and lives: what it contains is cleaned up through it.
    component.hostLeaving = true
    if (component.presence === 'INSTANTIATED' && !component.work) {
      const reason = `${mediator.component} is its container no more`
      stop(draft, group, model, { kind: 'cleanup', reason })
    }
    if (component.presence !== 'UNINSTANTIATED') return
  } else if (mediator && component.presence !== 'UNINSTANTIATED') {
    const cause = `the container ${mediator.component} is gone with ${model.name} in it`
    group.causes = withCause(group.causes, cause)
    loseProcess(draft, group, model, 'UNINSTANTIATED')
  }
  component.hostLeaving = container !== null && isLeaving(draft, container.component)
  component.mediator = container && { ...container, life: 0 }
}

/** The process that it was registered by is still there. */
function isAlive(draft: Draft, mediator: Mediator): boolean {
  const model = draft.model.components.get(mediator.component)
  if (!model || draft.peekNode(mediator.node).membership !== 'MEMBER') return false
  const state = componentState(draft.peekGroup(model.serviceGroup), model)
  return state.presence !== 'UNINSTANTIATED' && state.endedIncarnation < mediator.incarnation
}

function isLeaving(draft: Draft, container: string): boolean {
  const model = draft.model.components.get(container)
  const unit = model && draft.model.serviceUnits.get(model.serviceUnit)
  if (!unit) return true
  const group = draft.peekGroup(unit.serviceGroup)
  return unitReadiness(group, unit, draft.peekNode(unit.node)) !== 'IN_SERVICE'
}

/** Components inside a container that have to go before it gives up the CSI. */
export function holdsContained(draft: Draft, container: string, csi: string): boolean {
  if (!draft.index.mediated.has(csi) || !isLeaving(draft, container)) return false
  return (draft.index.mediated.get(csi) ?? []).some((name) => {
    const model = draft.model.components.get(name)
    if (model?.mediation?.kind !== 'contained') return false
    const { mediator, presence } = componentState(draft.peekGroup(model.serviceGroup), model)
    const runs = presence === 'INSTANTIATED' || presence === 'TERMINATING'
    return mediator?.component === container && runs
  })
}

/** What groups tied by proxies and containers can see of this one. */
export function mediationView(draft: Draft, sg: ServiceGroupModel): readonly unknown[] {
  const group = draft.peekGroup(sg.name)
  const mediators = sg.serviceInstances
    .flatMap((instance) => instance.csis)
    .filter((csi) => draft.index.mediated.has(csi.name))
    .map((csi) =>
      [...group.components.values()].flatMap(({ name, incarnation, assignments, work }) => {
        const assignment = assignments.get(csi.name)
        if (!assignment) return []
        return [name, incarnation, assignment.haState, assignment.pending?.to, work?.kind]
      }),
    )
  if (mediators.length > 0) {
    const readiness = sg.serviceUnits.map((unit) =>
      unitReadiness(group, unit, draft.peekNode(unit.node)),
    )
    return [mediators, readiness]
  }
  const contained = sg.serviceUnits.flatMap((unit) =>
    unit.components.filter((model) => model.mediation?.kind === 'contained'),
  )
  return contained.map((model) => componentState(group, model).presence)
}
