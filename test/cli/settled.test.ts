import { expect, it } from 'vitest'
import { isAllAssigned } from '../../amf/cli/settled.ts'
import type { ClusterStatus } from '../../amf/director/interface.ts'
import { loadModel } from '../../amf/model/load.ts'

const model = loadModel('samples/sequence/cluster.yaml')

function status(readiness: readonly [string, string], roles: readonly string[]): ClusterStatus {
  const full = roles.length === 2
  return {
    cluster: 'sequence',
    director: { node: 'node1', term: 1 },
    scopes: [],
    nodes: [],
    serviceGroups: [],
    serviceUnits: [1, 2].map((index) => ({
      name: `sequenceSU${index}`,
      node: `node${index}`,
      readiness: readiness[index - 1] ?? '',
      presence: 'INSTANTIATED',
      adminState: 'UNLOCKED',
      components: [],
    })),
    serviceInstances: [
      {
        name: 'sequenceSI',
        state: full ? 'FULLY_ASSIGNED' : roles.length === 1 ? 'PARTIALLY_ASSIGNED' : 'UNASSIGNED',
        adminState: 'UNLOCKED',
        inSync: null,
        waitingFor: null,
        assignments: roles.map((haState, index) => ({
          serviceUnit: `sequenceSU${index + 1}`,
          node: `node${index + 1}`,
          haState,
          components: [],
        })),
      },
    ],
    alarms: [],
  }
}

const IN = 'IN_SERVICE'
const OUT = 'OUT_OF_SERVICE'

it.each<[string, ClusterStatus, readonly string[], boolean]>([
  ['both roles', status([IN, IN], ['ACTIVE', 'STANDBY']), [], true],
  ['no standby yet', status([IN, IN], ['ACTIVE']), [], false],
  ['a unit that is not there yet', status([IN, OUT], ['ACTIVE']), [], false],
  ['a locked unit', status([IN, OUT], ['ACTIVE']), ['sequenceSU2'], true],
  ['a locked node', status([IN, OUT], ['ACTIVE']), ['node2'], true],
  ['a locked unit, the other one not serving yet', status([IN, OUT], []), ['sequenceSU2'], false],
  ['everybody locked', status([OUT, OUT], []), ['sequenceSU1', 'node2'], true],
  ['a locked service instance', status([IN, IN], []), ['sequenceSI'], true],
  ['a locked service group', status([OUT, OUT], []), ['sequenceSG'], true],
  ['no director', { ...status([IN, IN], ['ACTIVE', 'STANDBY']), director: null }, [], false],
])('%s', async (_, given, locked, expected) => {
  const adminStateOf = async (entity: string) => (locked.includes(entity) ? 'LOCKED' : 'UNLOCKED')
  expect(await isAllAssigned(model, given, adminStateOf)).toBe(expected)
})
