import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { Connectivity } from '../../../../runtime/services/cluster-events/connectivity.ts'
import { EventBarrier } from '../../../../runtime/services/cluster-events/event-barrier.ts'
import { MembershipReport } from '../../../../runtime/services/cluster-events/membership-report.ts'
import type {
  AgreedView,
  MembershipNews,
} from '../../../../runtime/services/cluster-events/membership-report.ts'
import { ocEv } from '../../../../runtime/index.ts'

const NODE_COUNT = 3

/** `0@1 2@4` */
const view = (instance: number, text: string): AgreedView => ({
  instance,
  members: text.split(' ').map((one) => {
    const [nodeId = 0, bornOn = 0] = one.split('@').map(Number)
    return { nodeId, bornOn, name: `node${nodeId}` }
  }),
})

const NAMES = new Map<number, string>([
  [ocEv.OC_EV_MS_NEW_MEMBERSHIP, 'NEW_MEMBERSHIP'],
  [ocEv.OC_EV_MS_NOT_PRIMARY, 'NOT_PRIMARY'],
  [ocEv.OC_EV_MS_PRIMARY_RESTORED, 'PRIMARY_RESTORED'],
  [ocEv.OC_EV_MS_EVICTED, 'EVICTED'],
  [ocEv.OC_EV_MS_INVALID, 'INVALID'],
])

/** As the test client of the shipped library prints it: event, instance, members, in (index), out (index). */
function printed(news: MembershipNews | null): string {
  if (news === null) return ''
  const name = NAMES.get(news.descriptor) ?? '?'
  if (news.data === null) return name
  const { instance, nodes, ...at } = news.data
  const section = (index: number, count: number): (typeof nodes)[number][] =>
    nodes.slice(index, index + count)
  const ids = (index: number, count: number): string =>
    section(index, count)
      .map((node) => node?.nodeId)
      .join(',') || '-'
  const members = section(at.memberIndex, at.memberCount)
    .map((node) => `${node?.nodeId}@${node?.bornOn}`)
    .join(' ')
  const [added, gone] = [ids(at.inIndex, at.inCount), ids(at.outIndex, at.outCount)]
  return `${name} ${instance}: ${members} | ${added} (${at.inIndex}) | ${gone} (${at.outIndex})`
}

describe('membership', () => {
  it('prints what the test client prints', () => {
    const report = new MembershipReport({ nodeId: 1, name: 'node1' })
    const steps: readonly (readonly [MembershipNews | null, string])[] = [
      [report.uncertain(NODE_COUNT), ''],
      [
        report.agreed(view(2, '0@1 1@2'), NODE_COUNT),
        'NEW_MEMBERSHIP 2: 0@1 1@2 | 0,1 (0) | - (5)',
      ],
      [report.uncertain(NODE_COUNT), 'NOT_PRIMARY 2: 0@1 1@2 | - (2) | - (5)'],
      [report.uncertain(NODE_COUNT), ''],
      [
        report.agreed(view(3, '1@2 0@1'), NODE_COUNT),
        'PRIMARY_RESTORED 3: 0@1 1@2 | - (2) | - (5)',
      ],
      [
        report.agreed(view(4, '2@4 1@2 0@1'), NODE_COUNT),
        'NEW_MEMBERSHIP 4: 0@1 1@2 2@4 | 2 (3) | - (6)',
      ],
      [report.agreed(view(5, '2@4 1@2'), NODE_COUNT), 'NEW_MEMBERSHIP 5: 1@2 2@4 | - (2) | 0 (5)'],
      [
        report.agreed(view(6, '2@4 1@2 0@6'), NODE_COUNT),
        'NEW_MEMBERSHIP 6: 1@2 2@4 0@6 | 0 (3) | - (6)',
      ],
      [
        report.agreed(view(7, '2@7 1@2 0@6'), NODE_COUNT),
        'NEW_MEMBERSHIP 7: 1@2 0@6 2@7 | - (3) | - (6)',
      ],
      [
        report.agreed(view(10, '1@2 0@10'), NODE_COUNT),
        'NEW_MEMBERSHIP 10: 1@2 0@10 | - (2) | 2 (5)',
      ],
      [report.agreed(view(11, '0@10 2@11'), NODE_COUNT), 'EVICTED'],
      [report.agreed(view(12, '0@10'), NODE_COUNT), ''],
      [report.uncertain(NODE_COUNT), ''],
      [
        report.agreed(view(13, '1@2 0@10 2@11'), NODE_COUNT),
        'NEW_MEMBERSHIP 13: 1@2 0@10 2@11 | 1,0,2 (0) | - (6)',
      ],
    ]
    expect(steps.map(([news]) => printed(news))).toEqual(steps.map(([, text]) => text))
  })

  /** OCF events, section 7.4, row by row; `-`: no quorum. */
  it('reports memberships without quorum to who asked for them', () => {
    const report = new MembershipReport({ nodeId: 1, name: 'node1' })
    const without = (instance: number, text: string): string =>
      printed(report.withoutQuorum(view(instance, text), NODE_COUNT))
    const agreed = (instance: number, text: string): string =>
      printed(report.agreed(view(instance, text), NODE_COUNT))
    const negotiation = (): string => printed(report.uncertain(NODE_COUNT))
    expect([
      without(1, '0@1'),
      agreed(2, '0@1 1@2'),
      negotiation(),
      agreed(3, '0@1 1@2'),
      agreed(4, '0@1 1@2 2@4'),
      agreed(5, '2@4 1@2'),
      agreed(6, '2@4 1@2 0@6'),
      agreed(7, '1@2 0@6 2@7'),
      without(8, '1@2'),
      negotiation(),
      without(9, '1@2'),
      agreed(10, '1@2 0@10'),
      agreed(10, '0@10'),
      agreed(11, '1@2 0@10 2@11'),
    ]).toEqual([
      'INVALID 1: 0@1 | 0 (0) | - (4)',
      'NEW_MEMBERSHIP 2: 0@1 1@2 | 1 (2) | - (5)',
      'NOT_PRIMARY 2: 0@1 1@2 | - (2) | - (5)',
      'PRIMARY_RESTORED 3: 0@1 1@2 | - (2) | - (5)',
      'NEW_MEMBERSHIP 4: 0@1 1@2 2@4 | 2 (3) | - (6)',
      'NEW_MEMBERSHIP 5: 1@2 2@4 | - (2) | 0 (5)',
      'NEW_MEMBERSHIP 6: 1@2 2@4 0@6 | 0 (3) | - (6)',
      'NEW_MEMBERSHIP 7: 1@2 0@6 2@7 | - (3) | - (6)',
      'INVALID 8: 1@2 | - (1) | 0,2 (4)',
      'NOT_PRIMARY 8: 1@2 | - (1) | - (4)',
      'PRIMARY_RESTORED 9: 1@2 | - (1) | - (4)',
      'NEW_MEMBERSHIP 10: 1@2 0@10 | 0 (2) | - (5)',
      'EVICTED',
      'NEW_MEMBERSHIP 11: 1@2 0@10 2@11 | 1,0,2 (0) | - (6)',
    ])
  })

  it('without quorum is who is left; with the same members again, quorum alone is news', () => {
    const report = new MembershipReport({ nodeId: 1, name: 'node1' })
    const left = (...ids: number[]): string => {
      return printed(
        report.withoutQuorum(
          report.left((id) => ids.includes(id)),
          NODE_COUNT,
        ),
      )
    }
    expect(left(2)).toBe('INVALID 0: 1@0 | 1 (0) | - (4)')
    report.agreed(view(2, '0@1 1@2 2@2'), NODE_COUNT)
    report.uncertain(NODE_COUNT)
    expect(left(0)).toBe('INVALID 2: 0@1 1@2 | - (2) | 2 (5)')
    expect(left(0)).toBe('')
    expect(report.initial(NODE_COUNT).map(printed)).toEqual([
      'INVALID 2: 0@1 1@2 | 0,1 (0) | - (5)',
    ])
    expect(printed(report.settled(NODE_COUNT))).toBe(
      'NEW_MEMBERSHIP 2: 0@1 1@2 2@2 | 2 (3) | - (6)',
    )
    report.uncertain(NODE_COUNT)
    expect(left(0, 2)).toBe('INVALID 2: 0@1 1@2 2@2 | - (3) | - (6)')
    expect(printed(report.settled(NODE_COUNT))).toBe(
      'NEW_MEMBERSHIP 2: 0@1 1@2 2@2 | - (3) | - (6)',
    )
  })

  it('is certain again without a view, and only when it was not', () => {
    const report = new MembershipReport({ nodeId: 1, name: 'node1' })
    expect(report.settled(NODE_COUNT)).toBeNull()
    expect(report.initial(NODE_COUNT)).toEqual([])
    report.agreed(view(1, '1@1'), NODE_COUNT)
    expect(report.settled(NODE_COUNT)).toBeNull()
    // An election: another instance, the same members.
    expect(report.agreed(view(2, '1@1'), NODE_COUNT)).toBeNull()
    report.uncertain(NODE_COUNT)
    expect(report.initial(NODE_COUNT).map(printed)).toEqual([
      'NEW_MEMBERSHIP 2: 1@1 | 1 (0) | - (4)',
      'NOT_PRIMARY 2: 1@1 | - (1) | - (4)',
    ])
    expect(printed(report.settled(NODE_COUNT))).toBe('PRIMARY_RESTORED 2: 1@1 | - (1) | - (4)')
    expect([...report.members]).toEqual([1])
  })
})

describe('connectivity', () => {
  const told = (all: ReturnType<Connectivity['initial']>): string[] =>
    all.map(({ descriptor, data: { change, names } }) => {
      return `${ocEv.getEvent(descriptor)} ${change} ${names.join(',')}`
    })

  it('tells of interfaces, eligible nodes and connections', () => {
    const one = new Connectivity(1)
    expect(told(one.interfaces(['eth0', 'eth1']))).toEqual(['1 ADDED eth0,eth1'])
    expect(told(one.interfaces(['eth0', 'eth1']))).toEqual([])
    expect(told(one.interfaces(['eth0', 'eth2']))).toEqual(['1 ADDED eth2', '1 FAILED eth1'])
    const nodes = [1, 2].map((nodeId) => ({ nodeId, name: `node${nodeId}` }))
    expect(told(one.eligible(nodes))).toEqual(['2 ELIGIBLE node1,node2'])
    expect(told(one.connection(1, true))).toEqual([])
    expect(told(one.connection(2, true))).toEqual(['3 MADE node2'])
    expect(told(one.connection(2, true))).toEqual([])
    expect(told(one.eligible([{ nodeId: 1, name: 'node1' }]))).toEqual(['2 NOT_ELIGIBLE node2'])
    expect(told(one.initial())).toEqual(['1 ADDED eth0,eth2', '2 ELIGIBLE node1'])
    expect(one.initial()[0]?.data).toMatchObject({
      interfaces: [
        { name: 'eth0', health: 'UP' },
        { name: 'eth2', health: 'UP' },
        { name: 'eth1', health: 'FAILED' },
      ],
      nodes: [
        { nodeId: 1, name: 'node1', isEligible: true, isConnected: true },
        { nodeId: 2, name: 'node2', isEligible: false, isConnected: true },
      ],
    })
    expect(told(one.connection(2, false))).toEqual(['3 LOST node2'])
    expect(told(one.interfaces(['eth0', 'eth1', 'eth2']))).toEqual(['1 ADDED eth1'])
  })

  it('forgets interfaces that failed long ago', () => {
    const one = new Connectivity(1)
    for (let index = 0; index < 200; index++) {
      one.interfaces([`veth${index}`])
      one.interfaces([])
    }
    const names = one.initial()[0]?.data.interfaces.map(({ name }) => name) ?? []
    expect([names.length, names[0], names.at(-1)]).toEqual([64, 'veth136', 'veth199'])
  })
})

/** Everything that happened to one barrier, and what it must have done by the draft's rules. */
class World {
  readonly barrier: EventBarrier<string>
  readonly aheadMax: number
  /** Class and priority that each participant wants. */
  readonly wants = new Map<number, Map<number, number>>()
  readonly got = new Map<number, number[]>()
  /** Who has what, not completed. */
  readonly open = new Map<number, number[]>()
  readonly audience = new Map<number, Set<number>>()
  sequence = 0

  constructor(aheadMax: number) {
    this.aheadMax = aheadMax
    this.barrier = new EventBarrier(aheadMax)
  }

  append(eventClass: number): void {
    const sequence = ++this.sequence
    const wanting = [...this.wants].filter(([, classes]) => classes.has(eventClass))
    this.audience.set(sequence, new Set(wanting.map(([participant]) => participant)))
    this.barrier.append({ sequence, eventClass, only: null, sizeBytes: 1, body: `${sequence}` })
    this.look()
  }

  /** Takes what was opened; whoever is served starts at once. */
  look(): void {
    for (let opened = this.barrier.takeOpened(); opened.length > 0;) {
      for (const { participant, event } of opened) {
        const { sequence } = event
        this.got.set(participant, [...(this.got.get(participant) ?? []), sequence])
        this.open.set(participant, [...(this.open.get(participant) ?? []), sequence])
        this.barrier.started(participant, sequence)
      }
      opened = this.barrier.takeOpened()
    }
    const open = new Set([...this.open.values()].flat())
    if (this.aheadMax === 1) expect(open.size).toBeLessThanOrEqual(1)
    if (open.size > 1) {
      // Several events at once are all with one participant.
      expect([...this.open.values()].filter((some) => some.length > 0)).toHaveLength(1)
    }
  }

  complete(participant: number): void {
    const [first, ...others] = this.open.get(participant) ?? []
    if (first === undefined) return
    this.open.set(participant, others)
    this.barrier.completed(participant, first)
    this.look()
  }

  leave(participant: number): void {
    this.wants.delete(participant)
    this.open.delete(participant)
    this.barrier.leave(participant)
    this.look()
  }
}

const participant = fc.integer({ min: 1, max: 4 })
const eventClass = fc.integer({ min: 1, max: 3 })
const step = fc.oneof(
  { weight: 4, arbitrary: fc.record({ kind: fc.constant('append' as const), eventClass }) },
  { weight: 4, arbitrary: fc.record({ kind: fc.constant('complete' as const), participant }) },
  {
    weight: 2,
    arbitrary: fc.record({
      kind: fc.constant('want' as const),
      participant,
      eventClass,
      priority: fc.integer({ min: 0, max: 2 }),
    }),
  },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant('leave' as const), participant }) },
)

describe('the barrier', () => {
  it.each([1, 3])('%i ahead: each event once, in order, to all who wanted it', (aheadMax) => {
    fc.assert(
      fc.property(fc.array(step, { maxLength: 60 }), (steps) => {
        const world = new World(aheadMax)
        const left = new Set<number>()
        for (const one of steps) {
          if (one.kind === 'append') world.append(one.eventClass)
          else if (one.kind === 'complete') world.complete(one.participant)
          else if (one.kind === 'leave') {
            world.leave(one.participant)
            left.add(one.participant)
          } else if (!left.has(one.participant)) {
            world.barrier.join(one.participant)
            const wants = world.wants.get(one.participant) ?? new Map<number, number>()
            world.wants.set(one.participant, wants.set(one.eventClass, one.priority))
            world.barrier.want(one.participant, one.eventClass, one.priority)
          }
        }
        // Everybody goes on completing: whatever was held comes.
        while ([...world.open.values()].some((some) => some.length > 0)) {
          for (const who of world.open.keys()) world.complete(who)
        }
        expect(world.barrier.waitingCount).toBe(0)
        expect(world.barrier.waitingBytes).toBe(0)
        expect(world.barrier.completedUpTo).toBe(world.sequence)
        for (const [who, got] of world.got) {
          if (left.has(who)) continue
          const due = [...world.audience].filter(([, audience]) => audience.has(who))
          expect(got).toEqual(due.map(([sequence]) => sequence))
        }
      }),
      { numRuns: 300 },
    )
  })

  it('opens better priorities first, and the next when all of them have started', () => {
    const barrier = new EventBarrier<string>(1)
    for (const [who, priority] of [
      [1, 5],
      [2, 0],
      [3, 5],
    ] as const) {
      barrier.join(who)
      barrier.want(who, 2, priority)
    }
    const event = { sequence: 1, eventClass: 2, only: null, sizeBytes: 0, body: '' }
    barrier.append(event)
    const opened = (): number[] => barrier.takeOpened().map(({ participant: who }) => who)
    expect(opened()).toEqual([2])
    barrier.started(2, 1)
    expect(opened()).toEqual([1, 3])
    barrier.append({ ...event, sequence: 2 })
    barrier.completed(2, 1)
    barrier.completed(1, 1)
    expect([opened(), barrier.held]).toEqual([[], { sequence: 1, by: [3] }])
    barrier.leave(3)
    expect([opened(), barrier.completedUpTo]).toEqual([[2], 1])
  })

  it('an event for one alone goes to nobody else, whatever is wanted', () => {
    const barrier = new EventBarrier<string>(1)
    barrier.join(1)
    barrier.join(2)
    barrier.want(2, 2, 0)
    const event = { eventClass: 2, sizeBytes: 0, body: '' }
    barrier.append({ ...event, sequence: 1, only: 1 })
    barrier.append({ ...event, sequence: 2, only: 9 })
    barrier.completed(1, 1)
    expect(barrier.takeOpened().map(({ participant: who }) => who)).toEqual([1])
    expect(barrier.held).toBeNull()
  })
})
