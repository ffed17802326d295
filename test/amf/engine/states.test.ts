import { describe, expect, it } from 'vitest'
import { clusterStatus, stateOf, stateWords } from '../../../amf/engine/engine.ts'
import { modelOf } from './models.ts'
import { World } from './world.ts'

const MODEL = modelOf(`
cluster: shops
nodes: { N1: {}, N2: {} }
nodeGroups: { left: [N1] }
applications: { shop: {}, shut: { adminState: LOCKED } }
componentTypes: { T: { command: [/bin/true] } }
serviceGroups:
  A:
    application: shop
    redundancy: 2N
    preferredInServiceSUs: 2
    serviceUnits:
      SU1: { rank: 1, node: N1, components: { C1: T } }
      SU2: { rank: 2, node: N2, components: { C2: T } }
      SU3: { rank: 3, node: N2, components: { C3: T } }
    serviceInstances: { SI1: { csis: { I1: {} } } }
  B:
    application: shut
    redundancy: 2N
    serviceUnits: { SU4: { node: N1, components: { C4: T } } }
    serviceInstances: { SI2: { csis: { I2: {} } } }
`)

function running(): World {
  const world = new World(MODEL)
  world.startDirector()
  for (const node of MODEL.nodes.keys()) world.join(node)
  world.settle()
  return world
}

const EVERY = ['shops', 'shop', 'left', 'N1', 'A', 'SU1', 'C1', 'SI1', 'I1']

describe('states of every class', () => {
  const world = running()

  it.each([
    ['shops', 'cluster', { administrative: 'UNLOCKED', serviceGroups: 'A, B' }],
    ['shut', 'application', { administrative: 'LOCKED', serviceGroups: 'B' }],
    ['left', 'nodeGroup', { administrative: 'UNLOCKED', nodes: 'N1' }],
    ['N1', 'node', { administrative: 'UNLOCKED', operational: 'ENABLED', membership: 'MEMBER' }],
    [
      'A',
      'serviceGroup',
      { assignedSUs: '2', instantiatedSpareSUs: '0', nonInstantiatedSpareSUs: '1' },
    ],
    ['B', 'serviceGroup', { administrative: 'UNLOCKED', effectiveAdministrative: 'LOCKED' }],
    ['SU1', 'serviceUnit', { presence: 'INSTANTIATED', readiness: 'IN_SERVICE' }],
    ['C1', 'component', { operational: 'ENABLED', 'ha I1': 'ACTIVE' }],
    ['SI1', 'serviceInstance', { administrative: 'UNLOCKED', assignment: 'FULLY_ASSIGNED' }],
    ['I1', 'csi', { 'ha C2': 'STANDBY' }],
  ])('%s is a %s', (entity, kind, states) => {
    expect(stateOf(MODEL, world.state, entity)).toMatchObject({ entity, class: kind, states })
  })

  it('every word that a state is, is among the words of its class', () => {
    const silent = /^(epoch|inSync|serviceGroups|nodes|.*SUs)$/
    for (const entity of EVERY) {
      const states = Object.entries(stateOf(MODEL, world.state, entity)?.states ?? {})
      const words = states.filter(([name]) => !silent.test(name)).map(([, word]) => word)
      expect(stateWords(MODEL, entity)).toEqual(expect.arrayContaining(words))
    }
    expect(stateWords(MODEL, 'nobody')).toBeNull()
    expect(stateWords(MODEL, 'A')).not.toContain('ACTIVE')
  })

  it('status has the administrative state of everything', () => {
    const other = running()
    for (const entity of ['shops', 'left', 'N2', 'A', 'SU3', 'SI1']) other.admin('lock', entity)
    other.settle()
    const status = clusterStatus(MODEL, other.state, null)
    const locked = [
      ...status.scopes,
      ...status.nodes,
      ...status.serviceGroups,
      ...status.serviceUnits,
      ...status.serviceInstances,
    ].filter((one) => one.adminState === 'LOCKED')
    const names = locked.map((one) => one.name)
    expect(names).toEqual(['shops', 'shut', 'left', 'N2', 'A', 'SU3', 'SI1'])
  })
})
