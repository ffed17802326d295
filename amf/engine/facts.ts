import type { HaState } from '../../runtime/internal.ts'
import type { ComponentModel } from '../model/model.ts'
import { ADOPTED } from './adopt.ts'
import { raiseAlarm } from './alarms.ts'
import type { EngineEvent, PresenceState } from './contract.ts'
import { chain, withCause, type Draft } from './draft.ts'
import { endGrant, persistGrants } from './grants.ts'
import { persistAlive } from './mediation-state.ts'
import { endInOrder, notifyRole } from './npi.ts'
import { setPresence } from './presence.ts'
import { componentState, repairsItself } from './readiness.ts'
import { beginNodeRecovery, loseProcess, recoverComponent } from './recovery.ts'
import type { Assignment, ComponentState, GroupState, Pending } from './state.ts'

/** What agents report, taken over into the state. Reports of an earlier life of a process change nothing. */

type Event<K extends EngineEvent['kind']> = Extract<EngineEvent, { kind: K }>

interface Place {
  readonly model: ComponentModel
  readonly group: GroupState
  readonly component: ComponentState
}

/** The component's place in the draft; null for a component that the model does not have. */
function placeOf(draft: Draft, name: string): Place | null {
  const model = draft.model.components.get(name)
  if (!model) return null
  const group = draft.group(model.serviceGroup)
  return { model, group, component: componentState(group, model) }
}

export function componentRegistered(draft: Draft, event: Event<'componentRegistered'>): void {
  const place = placeOf(draft, event.component)
  if (!place) return
  const { model, group, component } = place
  const { mediator } = component
  if (draft.peekNode(mediator?.node ?? model.node).membership !== 'MEMBER') return
  if (model.mediation && mediator?.life !== event.incarnation) return
  if (component.orphaned) return adopted(place, event)
  if (isOldLife(component, event.incarnation)) return
  const isNewLife = event.incarnation > component.incarnation
  if (isNewLife && isAlive(component)) {
    // Its agent restarted it by itself: whatever the life before held is over.
    group.causes = [`${model.name} was restarted by its agent`]
    loseProcess(draft, group, model, 'RESTARTING')
  }
  if (!isNewLife && component.presence === 'INSTANTIATED') return
  component.incarnation = event.incarnation
  component.pid = event.pid
  component.address = event.address
  component.failedStarts = 0
  if (component.work?.kind === 'instantiate' || component.work === null) component.work = null
  setPresence(draft, group, model, component, 'INSTANTIATED')
  if (model.mediation) persistAlive(draft, model, 'INSTANTIATED')
  if (!model.preInstantiable) confirmInstantiated(draft, place, event)
}

/** Its new proxy has registered a component that lived on; what it was told before is said again. */
function adopted({ component }: Place, event: Event<'componentRegistered'>): void {
  if (component.presence !== 'INSTANTIATED' || component.work?.kind !== 'instantiate') return
  component.incarnation = event.incarnation
  component.address = event.address
  component.work = null
  component.orphaned = false
}

/** To run and to be ACTIVE are one thing for a component that is not pre-instantiable. */
function confirmInstantiated(
  draft: Draft,
  place: Place,
  { incarnation, address }: Event<'componentRegistered'>,
): void {
  const { model, group, component } = place
  for (const assignment of component.assignments.values()) {
    const { csi, pending } = assignment
    if (pending?.to !== 'ACTIVE') continue
    assignment.pending = null
    const state = group.csis.get(csi)
    if (state) {
      state.grants = state.grants.map((grant) =>
        grant.component === model.name ? { ...grant, incarnation, address } : grant,
      )
      persistGrants(draft, state, `${model.name} runs`)
    }
    confirm(draft, place, assignment, 'ACTIVE', pending.causes)
  }
}

function isOldLife(component: ComponentState, incarnation: number): boolean {
  return incarnation < component.incarnation || incarnation <= component.endedIncarnation
}

function isAlive({ presence, work }: ComponentState): boolean {
  if (presence === 'RESTARTING') return work?.kind === 'terminate' || work?.kind === 'cleanup'
  return presence === 'INSTANTIATED' || presence === 'TERMINATING'
}

export function componentFailed(draft: Draft, event: Event<'componentFailed'>): void {
  const place = placeOf(draft, event.component)
  if (!place || isOldLife(place.component, event.incarnation)) return
  const { model, group, component } = place
  if (component.work?.kind === 'terminate' || component.work?.kind === 'cleanup') {
    stopped(draft, place, event.incarnation)
    return
  }
  if (component.presence === 'INSTANTIATED') {
    component.incarnation = event.incarnation
    recoverComponent(draft, model, event)
    return
  }
  if (component.presence === 'INSTANTIATING' || component.presence === 'RESTARTING') {
    startFailed(draft, place, event)
  } else if (component.presence === 'TERMINATION_FAILED') {
    // At last it is proven gone.
    group.causes = [event.cause]
    loseProcess(draft, group, model, 'UNINSTANTIATED')
    component.failed = true
  }
}

/** A life that ended before it registered. The agent counts its own attempts; this bounds what gets past them. */
function startFailed(draft: Draft, place: Place, event: Event<'componentFailed'>): void {
  const { model, group, component } = place
  component.incarnation = event.incarnation
  component.endedIncarnation = event.incarnation
  component.work = null
  component.failedStarts += 1
  if (component.failedStarts < model.instantiateAttemptsMax) {
    if (!model.preInstantiable || component.assignments.size > 0) {
      return loseProcess(draft, group, model, orRestarting(component.presence))
    }
    if (component.presence === 'INSTANTIATING') component.presence = 'UNINSTANTIATED'
    return
  }
  instantiationFailed(draft, {
    kind: 'instantiationFailed',
    component: model.name,
    cause: event.cause,
  })
  group.causes = [event.cause, `${model.name} cannot be started`]
}

export function instantiationFailed(draft: Draft, event: Event<'instantiationFailed'>): void {
  const place = placeOf(draft, event.component)
  if (!place) return
  const { model, group, component } = place
  if (component.presence === 'INSTANTIATED' || component.presence === 'UNINSTANTIATED') return
  group.causes = [event.cause, `${model.name} cannot be started`]
  loseProcess(draft, group, model, 'INSTANTIATION_FAILED')
  component.failedStarts = 0
  const why = chain(group.causes)
  draft.persist(`failed/${model.name}`, { presence: 'INSTANTIATION_FAILED' }, why)
  maybeFailfast(draft, model, 'failfastOnInstantiationFailure')
}

export function cleanupFailed(draft: Draft, event: Event<'cleanupFailed'>): void {
  const place = placeOf(draft, event.component)
  if (!place || place.component.presence === 'UNINSTANTIATED') return
  const { model, group, component } = place
  group.causes = [event.cause, `${model.name} cannot be stopped: what it holds stays with it`]
  component.work = null
  component.failed = true
  for (const assignment of [...component.assignments.values()])
    keepGranted(draft, place, assignment)
  setPresence(draft, group, model, component, 'TERMINATION_FAILED')
  draft.persist(`failed/${model.name}`, { presence: 'TERMINATION_FAILED' }, chain(group.causes))
  maybeFailfast(draft, model, 'failfastOnTerminationFailure')
}

/**
 * No answer will come. What it may be ACTIVE for stays so and blocks others; what else it held harms nobody, and others
 * take it over.
 */
function keepGranted(draft: Draft, { model, group, component }: Place, held: Assignment): void {
  if (held.pending?.to === 'ACTIVE') held.haState = 'ACTIVE'
  held.pending = null
  const grants = group.csis.get(held.csi)?.grants ?? []
  if (grants.some((grant) => grant.component === model.name)) return
  notifyRole(draft, group, model, held, 'NONE')
  component.assignments.delete(held.csi)
}

/** SAF AMF B.04.01 sections 4.6 and 4.8: the node is restarted where the model allows it. */
function maybeFailfast(
  draft: Draft,
  model: ComponentModel,
  option: 'failfastOnInstantiationFailure' | 'failfastOnTerminationFailure',
): void {
  const node = draft.model.nodes.get(model.node)
  const sg = draft.model.serviceGroups.get(model.serviceGroup)
  const unit = draft.model.serviceUnits.get(model.serviceUnit)
  if (node?.[option] !== true || !node.autoRepair || !unit || !repairsItself(sg, unit)) return
  const { causes } = draft.group(model.serviceGroup)
  beginNodeRecovery(
    draft,
    model.node,
    'restart',
    withCause(causes, `node failfast of ${model.node}`),
  )
}

export function componentTerminated(draft: Draft, event: Event<'componentTerminated'>): void {
  const place = placeOf(draft, event.component)
  if (!place || isOldLife(place.component, event.incarnation)) return
  stopped(draft, place, event.incarnation)
}

/** An ordered stop has ended: nothing of the process is left. */
function stopped(draft: Draft, place: Place, incarnation: number): void {
  const { model, group, component } = place
  const { work, presence } = component
  component.incarnation = incarnation
  if (work?.failure) {
    component.presence = 'INSTANTIATED'
    component.work = null
    recoverComponent(draft, model, work.failure)
    return
  }
  if (presence === 'TERMINATION_FAILED') clearFailure(draft, model, component)
  if (work?.kind === 'instantiate') return
  if (!model.preInstantiable && work?.kind === 'terminate') {
    endInOrder(group, model, component.assignments.keys())
  }
  loseProcess(draft, group, model, orRestarting(presence))
}

function orRestarting(presence: PresenceState): 'RESTARTING' | 'UNINSTANTIATED' {
  return presence === 'RESTARTING' ? 'RESTARTING' : 'UNINSTANTIATED'
}

/** Forgets that the component failed for good. */
export function clearFailure(draft: Draft, model: ComponentModel, component: ComponentState): void {
  component.failed = false
  component.failedStarts = 0
  draft.persist(`failed/${model.name}`, null, `${model.name} is repaired`)
}

export function csiSetDone(draft: Draft, event: Event<'csiSetDone'>): void {
  const place = placeOf(draft, event.component)
  const assignment = place?.component.assignments.get(event.csi)
  if (!place || !assignment || event.incarnation !== place.component.incarnation) return
  const { pending } = assignment
  if (!pending || !isAnswerTo(pending, event.invocation)) return
  if (pending.invocation === ADOPTED && pending.to !== event.haState) return
  const { model } = place
  if (pending.to === 'QUIESCING' && !event.complete) {
    const deadlineMs = draft.nowMs + model.quiescingTimeoutMs
    assignment.pending = { ...pending, deadlineMs }
    confirm(draft, place, assignment, 'QUIESCING')
    return
  }
  const state = pending.to === 'QUIESCING' ? 'QUIESCED' : pending.to
  if (state === 'REMOVED') return
  assignment.pending = null
  if (state === 'QUIESCED') endGrant(place.group, event.csi, model.name, 'QUIESCED')
  confirm(draft, place, assignment, state, pending.causes)
}

function isAnswerTo(pending: Pending, invocation: number): boolean {
  return pending.invocation === ADOPTED || pending.invocation === invocation
}

function confirm(
  draft: Draft,
  { model, group }: Place,
  assignment: Assignment,
  to: HaState,
  causes: readonly string[] = assignment.pending?.causes ?? group.causes,
): void {
  const from = assignment.haState
  if (from === to) return
  assignment.haState = to
  const csi = group.csis.get(assignment.csi)
  const serviceInstance = draft.model.csis.get(assignment.csi)?.serviceInstance
  draft.notify(group, {
    kind: 'haState',
    entity: model.name,
    from,
    to,
    serviceUnit: model.serviceUnit,
    ...(serviceInstance === undefined ? {} : { serviceInstance }),
    ...(csi ? { epoch: csi.epoch } : {}),
    ...(to === 'ACTIVE' && csi?.previous ? { transition: csi.previous.transition } : {}),
    causes,
  })
}

export function csiRemoveDone(draft: Draft, event: Event<'csiRemoveDone'>): void {
  const place = placeOf(draft, event.component)
  const assignment = place?.component.assignments.get(event.csi)
  if (!place || !assignment || event.incarnation !== place.component.incarnation) return
  const { pending, haState } = assignment
  // Without anything pending it is the answer to an earlier director: the CSI is gone all the same.
  if (pending && (pending.to !== 'REMOVED' || pending.invocation !== event.invocation)) return
  const { model, group, component } = place
  component.assignments.delete(event.csi)
  endGrant(group, event.csi, model.name, 'QUIESCED')
  const csi = group.csis.get(event.csi)
  if (csi && csi.grants.length === 0 && csi.previous?.component === model.name) csi.previous = null
  const serviceInstance = draft.model.csis.get(event.csi)?.serviceInstance
  draft.notify(group, {
    kind: 'haState',
    entity: model.name,
    from: haState,
    to: 'NONE',
    serviceUnit: model.serviceUnit,
    ...(serviceInstance === undefined ? {} : { serviceInstance }),
    causes: pending?.causes ?? group.causes,
  })
}

export function busy(draft: Draft, event: Event<'busy'>): void {
  const place = placeOf(draft, event.component)
  if (!place || place.component.busy === event.busy) return
  const { model, group, component } = place
  component.busy = event.busy
  if (!event.busy) return
  const { name: entity, serviceUnit } = model
  const late = `${entity} answers ${String(Math.round(event.delayMs))} ms late`
  const causes = [event.why === undefined ? late : `${entity}: ${event.why}`]
  raiseAlarm(draft, group, { entity, alarm: 'busy', serviceUnit, causes })
}
