import { changedGroups, isNoChange, type ModelChange, sameValue } from '../model/change.ts'
import type { Model, ServiceGroupModel } from '../model/model.ts'
import { forgetAlarms } from './alarms.ts'
import { checkChange, refusalOf } from './change-rules.ts'
import type { EngineEvent } from './contract.ts'
import { Draft } from './draft.ts'
import { persistInSync, forgetRecords, restoreCsi } from './records.ts'
import { carryScopes, scopesOfNode } from './scopes.ts'
import {
  buildIndex,
  type EngineState,
  type GroupState,
  initialGroup,
  initialNode,
  type NodeState,
} from './state.ts'

type Change = Extract<EngineEvent, { kind: 'modelChange' }>

/**
 * The draft of a step that changes the model: refused, it is one of the old model with nothing but the answer;
 * otherwise one of the new model, in which every entity that the change does not name is as it was, and every group
 * with a change is planned again.
 */
export function changeModel(model: Model, state: EngineState, event: Change, nowMs: number): Draft {
  const { id, model: after, source, records } = event
  const checked = checkChange(model, state, after)
  const refusal = refusalOf(checked)
  if (refusal || isNoChange(checked.change)) {
    const draft = new Draft(model, state, nowMs)
    draft.answer(id, refusal ?? { ok: true }, refusal?.message ?? 'the model is the same')
    return draft
  }
  const { change } = checked
  const draft = new Draft(after, rebase(state, change, model, after), nowMs)
  const why = `operator: model ${String(source.version)}`
  draft.send({ kind: 'useModel', model: after, source, why })
  forgetRecords(draft, change.removed, records)
  forgetAlarms(draft, state, new Set(change.removed.map(({ name }) => name)))
  for (const { class: kind, name } of change.added) {
    if (kind === 'csi') restoreCsi(draft, name, records)
  }
  const groups = changedGroups(change, model, after)
  for (const name of groups) draft.group(name).causes = [why]
  // Another membership in node groups may lock or unlock what is on a node.
  for (const node of draft.nodes()) {
    if (sameValue(node.scopes, scopesBefore(state, node.name))) continue
    for (const name of draft.index.groupsOnNode.get(node.name) ?? []) draft.touch(name)
  }
  dropNodes(draft, change, groups)
  draft.answer(id, { ok: true }, why)
  return draft
}

function scopesBefore(state: EngineState, node: string): NodeState['scopes'] {
  return state.nodes[state.index.nodeAt.get(node) ?? -1]?.scopes ?? []
}

/** The state as the new model needs it. What the change does not name is shared with the old state. */
function rebase(state: EngineState, change: ModelChange, before: Model, after: Model): EngineState {
  const touched = changedGroups(change, before, after)
  const scopes = carryScopes(state.scopes, after)
  const nodes = new Map(state.nodes.map((node) => [node.name, node]))
  const groups = new Map(state.groups.map((group) => [group.name, group]))
  return {
    ...state,
    scopes,
    nodes: [...after.nodes.values()].map((node): NodeState => {
      const known = nodes.get(node.name)
      // Nothing of a new node can run: it was in no model.
      if (!known) return initialNode(after, node, scopes, 'GONE')
      const own = scopesOfNode(after, scopes, node.name)
      return sameValue(own, known.scopes) ? known : { ...known, scopes: own }
    }),
    groups: [...after.serviceGroups.keys()].map((name) => {
      const known = groups.get(name)
      if (known && !touched.has(name)) return known
      const fresh = initialGroup(after, name, scopes)
      return known ? carryGroup(known, fresh, before, after) : fresh
    }),
    index: buildIndex(after),
  }
}

/** Entities that are the group's in both models, and at the same place, keep their state. */
function carryGroup(known: GroupState, fresh: GroupState, before: Model, after: Model): GroupState {
  const old = placesOf(before.serviceGroups.get(known.name))
  const now = placesOf(after.serviceGroups.get(known.name))
  const stays = (name: string): boolean => now.get(name) === old.get(name)
  return {
    ...known,
    scopes: fresh.scopes,
    units: merge(fresh.units, known.units, stays),
    components: merge(fresh.components, known.components, stays),
    instances: merge(fresh.instances, known.instances, stays),
    csis: merge(fresh.csis, known.csis, stays),
    alarms: new Map([...known.alarms].filter(([name]) => now.has(name))),
    history: new Map([...known.history].filter(([name]) => now.has(name))),
  }
}

/** Where each entity of a group is: a unit's node, a component's unit and node, a CSI's instance. */
function placesOf(sg: ServiceGroupModel | undefined): ReadonlyMap<string, string> {
  const places = new Map<string, string>()
  if (!sg) return places
  places.set(sg.name, '')
  for (const unit of sg.serviceUnits) {
    places.set(unit.name, unit.node)
    for (const { name } of unit.components) places.set(name, `${unit.name} ${unit.node}`)
  }
  for (const instance of sg.serviceInstances) {
    places.set(instance.name, '')
    for (const { name } of instance.csis) places.set(name, instance.name)
  }
  return places
}

function merge<T>(
  fresh: Map<string, T>,
  known: ReadonlyMap<string, T>,
  stays: (name: string) => boolean,
): Map<string, T> {
  for (const name of fresh.keys()) {
    const state = known.get(name)
    if (state !== undefined && stays(name)) fresh.set(name, state)
  }
  return fresh
}

/** Nodes that left the model are in nobody's in-sync set any more: the rules saw that somebody else is. */
function dropNodes(draft: Draft, change: ModelChange, groups: ReadonlySet<string>): void {
  const gone = new Set(change.removed.filter((e) => e.class === 'node').map(({ name }) => name))
  if (gone.size === 0) return
  for (const name of groups) {
    for (const csi of draft.group(name).csis.values()) {
      if (!csi.inSync?.some((node) => gone.has(node))) continue
      csi.inSync = csi.inSync.filter((node) => !gone.has(node))
      persistInSync(draft, csi, `nodes left the model: ${[...gone].join(', ')}`)
    }
  }
}
