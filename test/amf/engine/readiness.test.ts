import { describe, expect, it } from 'vitest'
import { unitReadiness } from '../../../amf/engine/readiness.ts'
import {
  initialState,
  type GroupState,
  type NodeState,
  type ScopeState,
} from '../../../amf/engine/state.ts'
import { stateOf, type AdminState, type PresenceState } from '../../../amf/engine/engine.ts'
import { modelOf, vectorModel } from './models.ts'

interface Row {
  readonly su?: AdminState
  readonly sg?: AdminState
  readonly node?: AdminState
  readonly application?: AdminState
  readonly cluster?: AdminState
  readonly nodeGroup?: AdminState
  readonly nodeDisabled?: boolean
  readonly failed?: boolean
  readonly presence: PresenceState
}

/** Vectors of the AMF reference. */
const rows: [string, Row, string][] = [
  ['R1', { presence: 'INSTANTIATED' }, 'IN_SERVICE'],
  ['R2', { presence: 'RESTARTING' }, 'IN_SERVICE'],
  ['R3', { presence: 'UNINSTANTIATED' }, 'OUT_OF_SERVICE'],
  ['R4', { su: 'LOCKED', presence: 'INSTANTIATED' }, 'OUT_OF_SERVICE'],
  ['R5', { sg: 'SHUTTING_DOWN', presence: 'INSTANTIATED' }, 'STOPPING'],
  ['R6', { sg: 'SHUTTING_DOWN', node: 'LOCKED', presence: 'INSTANTIATED' }, 'OUT_OF_SERVICE'],
  ['R7', { application: 'LOCKED_INSTANTIATION', presence: 'UNINSTANTIATED' }, 'OUT_OF_SERVICE'],
  ['a locked application', { application: 'LOCKED', presence: 'INSTANTIATED' }, 'OUT_OF_SERVICE'],
  ['a cluster that shuts down', { cluster: 'SHUTTING_DOWN', presence: 'INSTANTIATED' }, 'STOPPING'],
  ['a locked node group', { nodeGroup: 'LOCKED', presence: 'INSTANTIATED' }, 'OUT_OF_SERVICE'],
  ['a locked service group', { sg: 'LOCKED', presence: 'INSTANTIATED' }, 'OUT_OF_SERVICE'],
  ['R8', { nodeDisabled: true, presence: 'INSTANTIATED' }, 'OUT_OF_SERVICE'],
  ['R9', { failed: true, presence: 'INSTANTIATED' }, 'OUT_OF_SERVICE'],
  ['R10', { presence: 'TERMINATING' }, 'OUT_OF_SERVICE'],
  ['a start that goes on', { presence: 'INSTANTIATING' }, 'OUT_OF_SERVICE'],
  ['a start that failed', { presence: 'INSTANTIATION_FAILED' }, 'OUT_OF_SERVICE'],
]

describe('readiness of a service unit', () => {
  const model = vectorModel({ redundancy: '2N', units: 1, instances: 1 })
  const unit = model.serviceUnits.get('SU1')
  if (!unit) throw new Error('no unit')

  it.each(rows)('%s', (_, row, expected) => {
    const state = initialState(model)
    const group = state.groups[0] as GroupState
    const node = state.nodes[0] as NodeState
    node.membership = 'MEMBER'
    node.admin = row.node ?? 'UNLOCKED'
    node.disabled = row.nodeDisabled === true
    group.admin = row.sg ?? 'UNLOCKED'
    const scope = (kind: ScopeState['kind'], admin: AdminState = 'UNLOCKED'): ScopeState => ({
      kind,
      name: 'x',
      admin,
    })
    group.scopes = [scope('cluster', row.cluster), scope('application', row.application)]
    node.scopes = [scope('nodeGroup', row.nodeGroup)]
    const component = group.components.get('C1')
    const unitState = group.units.get('SU1')
    if (!component || !unitState) throw new Error('no component')
    unitState.admin = row.su ?? 'UNLOCKED'
    component.presence = row.presence
    component.failed = row.failed === true
    expect(unitReadiness(group, unit, node)).toBe(expected)
  })

  it('R13: one failed component takes the unit and every other component out of service', () => {
    const two = modelOf(`
cluster: c
nodes: { N1: {} }
componentTypes: { T: { command: [/bin/true] } }
serviceGroups:
  SG:
    redundancy: 2N
    serviceUnits: { SU1: { node: N1, components: { A: T, B: T } } }
    serviceInstances: { SI1: { csis: { I1: {} } } }
`)
    const state = initialState(two)
    const node = state.nodes[0] as NodeState
    node.membership = 'MEMBER'
    const { components } = state.groups[0] as GroupState
    for (const component of components.values()) component.presence = 'INSTANTIATED'
    expect(stateOf(two, state, 'B')?.states['readiness']).toBe('IN_SERVICE')
    const failed = components.get('A')
    if (failed) failed.failed = true
    const readiness = ['SU1', 'A', 'B'].map(
      (name) => stateOf(two, state, name)?.states['readiness'],
    )
    expect(readiness).toEqual(['OUT_OF_SERVICE', 'OUT_OF_SERVICE', 'OUT_OF_SERVICE'])
  })

  it('R12: the state of a service instance is no part of it', () => {
    const state = initialState(model)
    const group = state.groups[0] as GroupState
    const node = state.nodes[0] as NodeState
    node.membership = 'MEMBER'
    const component = group.components.get('C1')
    const instance = group.instances.get('SI1')
    if (!component || !instance) throw new Error('no component')
    component.presence = 'INSTANTIATED'
    instance.admin = 'LOCKED'
    expect(unitReadiness(group, unit, node)).toBe('IN_SERVICE')
  })
})
