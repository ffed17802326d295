import { describe, expect, it } from 'vitest'
import { unitReadiness } from '../../../amf/engine/readiness.ts'
import { initialState, type GroupState, type NodeState } from '../../../amf/engine/state.ts'
import type { AdminState, PresenceState } from '../../../amf/engine/engine.ts'
import { vectorModel } from './models.ts'

interface Row {
  readonly su?: AdminState
  readonly sg?: AdminState
  readonly node?: AdminState
  readonly nodeDisabled?: boolean
  readonly failed?: boolean
  readonly presence: PresenceState
}

/** Vectors R1 to R13 of the AMF reference; R7 stands for the service group (there is no application state yet). */
const rows: [string, Row, string][] = [
  ['R1', { presence: 'INSTANTIATED' }, 'IN_SERVICE'],
  ['R2', { presence: 'RESTARTING' }, 'IN_SERVICE'],
  ['R3', { presence: 'UNINSTANTIATED' }, 'OUT_OF_SERVICE'],
  ['R4', { su: 'LOCKED', presence: 'INSTANTIATED' }, 'OUT_OF_SERVICE'],
  ['R5', { sg: 'SHUTTING_DOWN', presence: 'INSTANTIATED' }, 'STOPPING'],
  ['R6', { sg: 'SHUTTING_DOWN', node: 'LOCKED', presence: 'INSTANTIATED' }, 'OUT_OF_SERVICE'],
  ['R7', { sg: 'LOCKED_INSTANTIATION', presence: 'UNINSTANTIATED' }, 'OUT_OF_SERVICE'],
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
    const component = group.components.get('C1')
    const unitState = group.units.get('SU1')
    if (!component || !unitState) throw new Error('no component')
    unitState.admin = row.su ?? 'UNLOCKED'
    component.presence = row.presence
    component.failed = row.failed === true
    expect(unitReadiness(group, unit, node)).toBe(expected)
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
