import type { Model } from '../model/model.ts'
import { classOf } from './entities.ts'
import { componentState, groupAdmin, unitPresence } from './readiness.ts'
import { holdsAnything } from './roles.ts'
import { scopeOf } from './scopes.ts'
import type { EngineState, EntityClass, GroupState, ScopeState } from './state.ts'

/** States of what has no processes of its own, and the words that states of each class can be. */

export function scopeStates(
  model: Model,
  state: EngineState,
  kind: ScopeState['kind'],
  name: string,
): Record<string, string> {
  const administrative = scopeOf(state.scopes, kind, name)?.admin ?? 'LOCKED'
  if (kind === 'nodeGroup') {
    return { administrative, nodes: model.nodeGroups.get(name)?.nodes.join(', ') ?? '' }
  }
  const groups = [...model.serviceGroups.values()].filter(
    (sg) => kind === 'cluster' || sg.application === name,
  )
  return { administrative, serviceGroups: groups.map((sg) => sg.name).join(', ') }
}

/** With the counters of SAF AMF B.04.01 section 8 (SG runtime attributes). */
export function groupStates(model: Model, group: GroupState): Record<string, string> {
  const units = model.serviceGroups.get(group.name)?.serviceUnits ?? []
  const assigned = units.filter((unit) => holdsAnything(group, unit))
  const spares = units.filter((unit) => !assigned.includes(unit))
  const isUp = (unit: (typeof units)[number]): boolean =>
    unitPresence(group, unit) === 'INSTANTIATED' &&
    unit.components.every((c) => !componentState(group, c).failed)
  const count = (list: readonly unknown[]): string => String(list.length)
  return {
    administrative: group.admin,
    effectiveAdministrative: groupAdmin(group),
    assignedSUs: count(assigned),
    instantiatedSpareSUs: count(spares.filter(isUp)),
    nonInstantiatedSpareSUs: count(spares.filter((unit) => !isUp(unit))),
  }
}

const ADMIN = ['UNLOCKED', 'LOCKED', 'LOCKED_INSTANTIATION', 'SHUTTING_DOWN']
const OPERATIONAL = ['ENABLED', 'DISABLED']
const PRESENCE = [
  'UNINSTANTIATED',
  'INSTANTIATING',
  'INSTANTIATED',
  'TERMINATING',
  'RESTARTING',
  'INSTANTIATION_FAILED',
  'TERMINATION_FAILED',
]
const READINESS = ['IN_SERVICE', 'OUT_OF_SERVICE', 'STOPPING']
const HA = ['ACTIVE', 'STANDBY', 'QUIESCING', 'QUIESCED']
const ASSIGNMENT = ['FULLY_ASSIGNED', 'PARTIALLY_ASSIGNED', 'UNASSIGNED']

const WORDS: Readonly<Record<EntityClass, readonly string[]>> = {
  cluster: ADMIN,
  application: ADMIN,
  nodeGroup: ADMIN,
  node: [...ADMIN, ...OPERATIONAL, 'MEMBER', 'GONE', 'UNKNOWN'],
  serviceGroup: ADMIN,
  serviceUnit: [...ADMIN, ...OPERATIONAL, ...PRESENCE, ...READINESS, ...HA],
  component: [...OPERATIONAL, ...PRESENCE, ...READINESS, ...HA],
  serviceInstance: [...ADMIN, ...ASSIGNMENT, ...HA],
  csi: HA,
}

/** Every word that a state of the entity can ever be; null when the model has no such name. */
export function stateWords(model: Model, entity: string): readonly string[] | null {
  const kind = classOf(model, entity)
  return kind && WORDS[kind]
}
