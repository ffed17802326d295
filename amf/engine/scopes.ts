import type { Model } from '../model/model.ts'
import type { AdminState } from './contract.ts'
import type { Draft } from './draft.ts'
import type { ScopeState } from './state.ts'

/**
 * What stands above service groups and nodes: the cluster, applications, node groups. Each has nothing but an
 * administrative state, which holds for everything in it. One object a scope, shared by the groups or nodes in it.
 */
export type Scopes = ReadonlyMap<string, ScopeState>

export function initialScopes(model: Model): Map<string, ScopeState> {
  const scopes = new Map<string, ScopeState>()
  const add = (scope: ScopeState): void => void scopes.set(keyOf(scope.kind, scope.name), scope)
  add({ kind: 'cluster', name: model.cluster, admin: model.adminState })
  for (const { name, adminState } of model.applications.values()) {
    add({ kind: 'application', name, admin: adminState })
  }
  for (const name of model.nodeGroups.keys()) add({ kind: 'nodeGroup', name, admin: 'UNLOCKED' })
  return scopes
}

/** The scopes of another model: those that were there keep their administrative state. */
export function carryScopes(known: Scopes, after: Model): Map<string, ScopeState> {
  const scopes = initialScopes(after)
  for (const key of scopes.keys()) {
    const scope = known.get(key)
    if (scope) scopes.set(key, scope)
  }
  return scopes
}

function keyOf(kind: ScopeState['kind'], name: string): string {
  return `${kind}/${name}`
}

export function scopeOf(scopes: Scopes, kind: ScopeState['kind'], name: string): ScopeState | null {
  return scopes.get(keyOf(kind, name)) ?? null
}

/** The scopes that a service group is in. */
export function scopesOfGroup(model: Model, scopes: Scopes, group: string): readonly ScopeState[] {
  const application = model.serviceGroups.get(group)?.application ?? ''
  return [
    scopeOf(scopes, 'cluster', model.cluster),
    scopeOf(scopes, 'application', application),
  ].filter((scope) => scope !== null)
}

/** The scopes that a node is in. */
export function scopesOfNode(model: Model, scopes: Scopes, node: string): readonly ScopeState[] {
  const own = [...model.nodeGroups.values()].filter((group) => group.nodes.includes(node))
  return own.flatMap(({ name }) => scopeOf(scopes, 'nodeGroup', name) ?? [])
}

/** Gives the scope another administrative state, and everything in it. */
export function setScopeAdmin(
  draft: Draft,
  kind: ScopeState['kind'],
  name: string,
  admin: AdminState,
): void {
  const { model } = draft
  if (!scopeOf(draft.scopes, kind, name)) return
  draft.scopes = new Map(draft.scopes).set(keyOf(kind, name), { kind, name, admin })
  if (kind === 'nodeGroup') {
    for (const node of model.nodeGroups.get(name)?.nodes ?? []) {
      draft.node(node).scopes = scopesOfNode(model, draft.scopes, node)
      for (const group of draft.index.groupsOnNode.get(node) ?? []) draft.touch(group)
    }
    return
  }
  for (const sg of model.serviceGroups.values()) {
    if (kind === 'application' && sg.application !== name) continue
    draft.group(sg.name).scopes = scopesOfGroup(model, draft.scopes, sg.name)
  }
}
