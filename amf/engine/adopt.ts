import type { HaState } from '../../runtime/internal.ts'
import type { ComponentModel } from '../model/model.ts'
import type { ComponentFacts } from './contract.ts'
import type { Draft } from './draft.ts'
import { endGrant, persistGrants } from './grants.ts'
import { persistAlive } from './mediation-state.ts'
import { stop } from './presence.ts'
import { componentState } from './readiness.ts'
import {
  ANSWER_GRACE_MS,
  initialComponent,
  NO_NODE,
  type Assignment,
  type ComponentState,
  type GroupState,
} from './state.ts'

/** Invocation of what an earlier director asked for: its answer carries a number that nobody here knows. */
export const ADOPTED = 0

/** Takes over what the agent knows of one component. What serves goes on under the epoch that it has. */
export function adopt(
  draft: Draft,
  group: GroupState,
  model: ComponentModel,
  facts: ComponentFacts | null,
): void {
  const before = componentState(group, model)
  const component: ComponentState = {
    ...initialComponent(model.name),
    failed: before.failed,
    failedStarts: before.failedStarts,
    presence: facts?.presence ?? 'UNINSTANTIATED',
    incarnation: Math.max(facts?.incarnation ?? 0, before.incarnation),
    endedIncarnation: isOverIn(facts)
      ? Math.max(before.incarnation, facts?.incarnation ?? 0)
      : before.endedIncarnation,
    pid: facts?.pid ?? null,
    address: facts?.address ?? null,
    busy: facts?.busy === true,
    monitored: facts?.monitored === true,
    haReadiness: new Map(facts?.haReadiness?.map(({ csi, state }) => [csi, state])),
  }
  if (facts && model.mediation) {
    const running = facts.presence === 'INSTANTIATED' ? 'INSTANTIATED' : 'INSTANTIATING'
    persistAlive(draft, model, isOverIn(facts) ? null : running)
  }
  if (!facts && before.presence.endsWith('_FAILED')) component.presence = before.presence
  group.components.set(model.name, component)
  adoptPresence(draft, group, model, component)
  for (const fact of facts?.assignments ?? []) {
    if (!group.csis.has(fact.csi) || component.presence === 'UNINSTANTIATED') continue
    const assignment = adoptAssignment(draft, model, fact)
    if (component.presence !== 'TERMINATION_FAILED') component.assignments.set(fact.csi, assignment)
    // As at its failure: it keeps what it may be ACTIVE for.
    else if (!isOver(fact)) component.assignments.set(fact.csi, { ...assignment, pending: null })
  }
  for (const csi of group.csis.values()) adoptGrant(draft, group, model, component, csi.name, facts)
}

/** Whatever life was known of it is over. What could not be stopped may live: its end is still to be heard of. */
function isOverIn(facts: ComponentFacts | null): boolean {
  if (!facts) return true
  return facts.presence === 'UNINSTANTIATED' || facts.presence === 'INSTANTIATION_FAILED'
}

/** Life-cycle commands that another director gave go on; the agent will say how they end. */
function adoptPresence(
  draft: Draft,
  group: GroupState,
  model: ComponentModel,
  component: ComponentState,
): void {
  const { presence } = component
  const deadlineMs = draft.nowMs + model.terminateTimeoutMs + model.instantiate.timeoutMs
  if (presence === 'INSTANTIATING' || presence === 'RESTARTING') {
    component.presence = 'INSTANTIATING'
    const attemptsMs = model.instantiateAttemptsMax * model.instantiate.timeoutMs
    const endMs = deadlineMs + attemptsMs
    component.work = { kind: 'instantiate', deadlineMs: endMs, failure: null, descriptor: null }
  } else if (presence === 'TERMINATING') {
    component.work = { kind: 'terminate', deadlineMs, failure: null, descriptor: null }
  } else if (presence === 'TERMINATION_FAILED') component.failed = true
  if (component.presence === 'INSTANTIATED') component.failed = false
  group.components.set(model.name, component)
}

/** What an earlier director asked for goes on: its answer is awaited here. */
function adoptAssignment(draft: Draft, model: ComponentModel, fact: AssignmentFact): Assignment {
  const { csi, haState, confirmed } = fact
  const inFlight = !confirmed || haState === 'QUIESCING'
  const rest = { told: fact.told ?? null, restore: null, again: false }
  if (!inFlight) return { csi, haState, pending: null, ...rest }
  const quiescingMs = haState === 'QUIESCING' ? model.quiescingTimeoutMs : 0
  const deadlineMs = draft.nowMs + model.csiSetTimeoutMs + quiescingMs + ANSWER_GRACE_MS
  const causes = ['a new director continues what was in flight']
  const pending = { to: haState, invocation: ADOPTED, deadlineMs, causes }
  // Only what is ACTIVE is quiesced, and it is until it says otherwise.
  const wasActive = haState === 'QUIESCED' || haState === 'QUIESCING'
  const before = wasActive ? 'ACTIVE' : null
  return { csi, haState: confirmed ? haState : before, pending, ...rest }
}

type AssignmentFact = ComponentFacts['assignments'][number]

/** The record of a grant, and what the agent says about its holder, become one truth. */
function adoptGrant(
  draft: Draft,
  group: GroupState,
  model: ComponentModel,
  component: ComponentState,
  csiName: string,
  facts: ComponentFacts | null,
): void {
  const csi = group.csis.get(csiName)
  const assignment = component.assignments.get(csiName)
  const fact = facts?.assignments.find((each) => each.csi === csiName)
  if (!csi) return
  const recorded = csi.grants.find((grant) => grant.component === model.name)
  if (recorded && component.presence === 'TERMINATION_FAILED') {
    // Whatever its agent still knows of it: it could not be stopped, and may be ACTIVE.
    const frozen = {
      csi: csiName,
      haState: 'ACTIVE',
      pending: null,
      told: null,
      restore: null,
      again: false,
    } as const
    component.assignments.set(csiName, frozen)
    return
  }
  if (!fact || !assignment || isOver(fact)) {
    if (recorded) endGrant(group, csiName, model.name, lastTransition(fact?.haState))
    return
  }
  const { incarnation, address } = component
  const epoch = fact.epoch > 0 ? fact.epoch : (recorded?.epoch ?? 0)
  const node = model.mediation?.kind === 'proxied' ? NO_NODE : model.node
  const grant = { component: model.name, node, incarnation, epoch, address }
  csi.grants = [...csi.grants.filter((other) => other.component !== model.name), grant]
  if (epoch > csi.epoch) {
    csi.epoch = epoch
    persistGrants(draft, csi, `${model.name} holds ${csiName}`)
  } else if (epoch < csi.epoch && !recorded) {
    fence(draft, group, model, csiName)
  } else if (recorded && epoch < recorded.epoch && fact.haState === 'ACTIVE') {
    // Its newer grant never reached it: it is given once more.
    component.assignments.set(csiName, { ...assignment, haState: null, pending: null })
  }
}

function isOver({ haState, confirmed }: AssignmentFact): boolean {
  return haState === 'STANDBY' || (haState === 'QUIESCED' && confirmed)
}

function lastTransition(haState: HaState | undefined): 'QUIESCED' | 'NOT_QUIESCED' {
  return haState === 'QUIESCED' ? 'QUIESCED' : 'NOT_QUIESCED'
}

/** ACTIVE under a grant that is over: it ends before anything else is decided about the CSI. */
function fence(draft: Draft, group: GroupState, model: ComponentModel, csiName: string): void {
  if (componentState(group, model).work) return
  const cause = `${model.name} holds ${csiName} under a grant that is over`
  stop(draft, group, model, {
    kind: 'cleanup',
    reason: cause,
    failure: { recovery: 'componentFailover', cause },
  })
}
