import type { ComponentModel } from '../model/model.ts'
import { adopt } from './adopt.ts'
import { touchClusterReset } from './alarms.ts'
import type { ComponentFacts, EngineEvent } from './contract.ts'
import type { Draft } from './draft.ts'
import { clearFailure } from './facts.ts'
import { endGrant } from './grants.ts'
import { componentState } from './readiness.ts'
import { persistNode } from './records.ts'
import { loseProcess, orderNodeRestart } from './recovery.ts'
import { initialComponent, type GroupState, type NodeState } from './state.ts'

/** Nodes come and go. */

type Event<K extends EngineEvent['kind']> = Extract<EngineEvent, { kind: K }>

export function nodeGone(draft: Draft, event: Event<'nodeGone'>): void {
  const { node: name, cause } = event
  if (!draft.model.nodes.has(name)) return
  const node = draft.node(name)
  const from = node.membership
  node.membership = 'GONE'
  node.deadlineMs = null
  if (from !== 'GONE') {
    draft.notify(null, { kind: 'node', entity: name, from, to: 'GONE', causes: [cause] })
  }
  for (const groupName of draft.index.groupsOnNode.get(name) ?? []) {
    const group = draft.group(groupName)
    group.causes = [cause, `${name} is gone with everything on it`]
    for (const model of componentsOnNode(draft, groupName, name)) {
      const component = componentState(group, model)
      const hadFailed = component.presence.endsWith('_FAILED') || component.failed
      loseProcess(draft, group, model, 'UNINSTANTIATED')
      if (hadFailed) clearFailure(draft, model, component)
      group.components.set(model.name, initialComponent(model.name))
    }
    endGrantsOnNode(group, name)
    for (const unit of draft.model.serviceGroups.get(groupName)?.serviceUnits ?? []) {
      const state = unit.node === name && group.units.get(unit.name)
      if (state) Object.assign(state, { restart: null, failover: false })
    }
  }
}

function endGrantsOnNode(group: GroupState, node: string): void {
  for (const csi of group.csis.values()) {
    for (const grant of csi.grants) {
      if (grant.node === node) endGrant(group, csi.name, grant.component, 'NOT_QUIESCED')
    }
  }
}

/** A node that was told to restart has done so when it comes back with nothing running; else it is told again. */
function endNodeRecovery(
  draft: Draft,
  node: NodeState,
  from: NodeState['membership'],
  facts: readonly ComponentFacts[],
): void {
  if (!node.disabled) return
  const isEmpty = facts.every((fact) => fact.presence === 'UNINSTANTIATED')
  if (from === 'GONE' || (node.recovery === 'restart' && isEmpty)) {
    node.recovery = null
    node.disabled = false
    persistNode(draft, node, `${node.name} was restarted`)
    touchClusterReset(draft)
  } else if (node.recovery === 'restart') {
    orderNodeRestart(draft, node.name, `${node.name} has to restart`)
  }
}

function componentsOnNode(draft: Draft, groupName: string, node: string): ComponentModel[] {
  const units = draft.model.serviceGroups.get(groupName)?.serviceUnits ?? []
  const there = units.filter((unit) => unit.node === node).flatMap((unit) => unit.components)
  // What a proxied component is and does depends on its proxy, wherever that is.
  return there.filter((model) => model.mediation?.kind !== 'proxied')
}

/** An agent says what is true on its node. It replaces what was believed, commands in flight included. */
export function nodeJoined(draft: Draft, event: Event<'nodeJoined'>): void {
  const { node: name } = event
  const nodeModel = draft.model.nodes.get(name)
  if (!nodeModel) return
  const node = draft.node(name)
  const from = node.membership
  node.membership = 'MEMBER'
  endNodeRecovery(draft, node, from, event.facts)
  if (from !== 'MEMBER') {
    const causes = [`${name} joined`]
    draft.notify(null, { kind: 'node', entity: name, from, to: 'MEMBER', causes })
  }
  const facts = new Map(event.facts.map((fact) => [fact.component, fact]))
  for (const groupName of draft.index.groupsOnNode.get(name) ?? []) {
    const group = draft.group(groupName)
    group.causes = [`${name} joined`]
    for (const model of componentsOnNode(draft, groupName, name)) {
      adopt(draft, group, model, facts.get(model.name) ?? null)
      adoptMediator(group, name, model, facts)
    }
  }
  for (const fact of event.facts) {
    const model = draft.model.components.get(fact.component)
    if (model?.mediation?.kind !== 'proxied') continue
    const group = draft.group(model.serviceGroup)
    adopt(draft, group, model, fact)
    adoptMediator(group, name, model, facts)
  }
}

/** Who acts for the component, as its agent says. */
function adoptMediator(
  group: GroupState,
  node: string,
  model: ComponentModel,
  facts: ReadonlyMap<string, ComponentFacts>,
): void {
  const fact = facts.get(model.name)
  const mediator = facts.get(fact?.mediator ?? '')
  if (!fact || !mediator) return
  const { component, incarnation } = mediator
  const state = componentState(group, model)
  state.mediator = { component, node, incarnation, life: fact.incarnation }
}
