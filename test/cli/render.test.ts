import { describe, expect, it } from 'vitest'
import type { ClusterStatus } from '../../amf/director/interface.ts'
import {
  epochText,
  problemsOf,
  renderNotification,
  renderStatus,
  renderWhy,
  table,
} from '../../amf/cli/render.ts'

const well: ClusterStatus = {
  cluster: 'sequence',
  director: { node: 'node1', term: 3 },
  scopes: [{ kind: 'cluster', name: 'sequence', adminState: 'UNLOCKED' }],
  nodes: [
    { name: 'node1', state: 'UP', adminState: 'UNLOCKED' },
    { name: 'node2', state: 'UP', adminState: 'UNLOCKED' },
  ],
  serviceGroups: [{ name: 'sequenceSG', adminState: 'UNLOCKED' }],
  serviceUnits: [
    unit('sequenceSU1', 'node1', 'sequence1', 11),
    unit('sequenceSU2', 'node2', 'sequence2', 12),
  ],
  serviceInstances: [
    {
      name: 'sequenceSI',
      state: 'FULLY_ASSIGNED',
      adminState: 'UNLOCKED',
      inSync: ['node1', 'node2'],
      waitingFor: null,
      assignments: [
        role('sequenceSU1', 'node1', 'ACTIVE'),
        role('sequenceSU2', 'node2', 'STANDBY'),
      ],
    },
  ],
  alarms: [],
}

function unit(name: string, node: string, component: string, pid: number) {
  const components = [{ name: component, pid, address: null }]
  const states = { readiness: 'IN_SERVICE', presence: 'INSTANTIATED', adminState: 'UNLOCKED' }
  return { name, node, ...states, components }
}

function role(serviceUnit: string, node: string, haState: string) {
  return { serviceUnit, node, haState, components: [] }
}

function withSi(change: Partial<ClusterStatus['serviceInstances'][number]>): ClusterStatus {
  return { ...well, serviceInstances: well.serviceInstances.map((si) => ({ ...si, ...change })) }
}

describe('renderStatus', () => {
  it('shows roles, units, nodes and says that nothing is wrong', () => {
    expect(renderStatus(well)).toMatchInlineSnapshot(`
      "cluster sequence, director node1, term 3

      SERVICE INSTANCE  STATE           ACTIVE             STANDBY
      sequenceSI        FULLY_ASSIGNED  sequenceSU1@node1  sequenceSU2@node2

      SERVICE UNIT  NODE   PRESENCE      READINESS   COMPONENTS
      sequenceSU1   node1  INSTANTIATED  IN_SERVICE  sequence1 (pid 11)
      sequenceSU2   node2  INSTANTIATED  IN_SERVICE  sequence2 (pid 12)

      NODE   STATE
      node1  UP
      node2  UP

      nothing wrong"
    `)
  })

  it.each<[string, ClusterStatus, string]>([
    [
      'a locked application',
      { ...well, scopes: [{ kind: 'application', name: 'shop', adminState: 'LOCKED' }] },
      'shop is LOCKED',
    ],
    ['no director', { ...well, director: null }, 'no director: nobody decides at the moment'],
    [
      'a missing standby',
      withSi({
        state: 'PARTIALLY_ASSIGNED',
        assignments: [role('sequenceSU1', 'node1', 'ACTIVE')],
      }),
      'degraded: sequenceSI is PARTIALLY_ASSIGNED: it runs without a STANDBY',
    ],
    [
      'whom it waits for',
      withSi({ state: 'UNASSIGNED', assignments: [], waitingFor: 'node2 holds the newest data' }),
      'waiting: sequenceSI: node2 holds the newest data',
    ],
    [
      'nobody at all',
      withSi({ state: 'UNASSIGNED', assignments: [] }),
      'down: sequenceSI is UNASSIGNED',
    ],
    [
      'a node that is away',
      {
        ...well,
        nodes: [
          { name: 'node1', state: 'UP', adminState: 'UNLOCKED' },
          { name: 'node2', state: 'DOWN', adminState: 'UNLOCKED' },
        ],
      },
      'node node2 is DOWN',
    ],
    [
      'a failed unit',
      {
        ...well,
        serviceUnits: [
          {
            ...unit('sequenceSU1', 'node1', 'c', 1),
            readiness: 'OUT_OF_SERVICE',
            presence: 'INSTANTIATION_FAILED',
          },
        ],
      },
      'sequenceSU1 on node1 is OUT_OF_SERVICE (INSTANTIATION_FAILED)',
    ],
    [
      'an alarm',
      { ...well, alarms: [{ entity: 'sequence1', text: 'busy for 400 ms' }] },
      'alarm: sequence1: busy for 400 ms',
    ],
  ])('says plainly: %s', (_, status, problem) => {
    expect(problemsOf(status)).toEqual([problem])
    expect(renderStatus(status)).toContain(`! ${problem}`)
    expect(renderStatus(status)).not.toContain('nothing wrong')
  })
})

describe('renderWhy', () => {
  it('reads from the effect to the first cause', () => {
    const text = renderWhy({
      entity: 'sequenceSI',
      notifications: [
        {
          kind: 'haState',
          entity: 'sequence2',
          serviceInstance: 'sequenceSI',
          from: 'STANDBY',
          to: 'ACTIVE',
          epoch: 2 ** 32 * 3 + 7,
          causes: ['sequence1 was killed by SIGKILL', 'component failover of sequenceSU1'],
          atMs: 1_500,
          id: 4,
        },
      ],
    })
    expect(text.split('\n')).toEqual([
      '1.500s haState sequence2 for sequenceSI: STANDBY -> ACTIVE [epoch 3.7]',
      '  because component failover of sequenceSU1',
      '    because sequence1 was killed by SIGKILL',
    ])
  })

  it('says when there is nothing to tell', () => {
    expect(renderWhy({ entity: 'x', notifications: [] })).toContain('no change')
  })
})

it('shows a first state without an arrow', () => {
  const one = {
    kind: 'node',
    entity: 'node1',
    from: null,
    to: 'UP',
    causes: ['it joined'],
    atMs: 0,
    id: 1,
  }
  expect(renderNotification(one)).toBe('0.000s node node1: UP: it joined')
})

it('lines columns up', () => {
  expect(
    table([
      ['A', 'B'],
      ['long', 'x'],
    ]),
  ).toBe('A     B\nlong  x')
})

it('shows an epoch as term and counter', () => {
  expect(epochText(5 * 2 ** 32 + 12)).toBe('5.12')
})
