import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { TransactionWorld, type WorldOptions } from './transaction-world.ts'

type Participants = WorldOptions['participants']

const two = { participation: 'TWO_PHASE', refuses: false } as const
const one = { participation: 'ONE_PHASE', refuses: false } as const
const verify = { participation: 'VERIFY', refuses: false } as const
const no = <T extends object>(of: T): T & { refuses: true } => ({ ...of, refuses: true })

const CASTS: readonly (readonly [string, Participants])[] = [
  ['two that agree', [two, two]],
  ['two, one refuses', [two, no(two)]],
  ['one of one phase', [two, one]],
  ['one of one phase refuses', [two, no(one)]],
  ['three that agree', [two, two, two]],
  ['three, one refuses', [two, no(two), two]],
  ['three, one of one phase, one that verifies', [two, one, verify]],
  ['three, one of one phase refuses', [no(one), two, two]],
]

/** Who ends, and who of them comes back. */
function victimsOf(world: TransactionWorld): readonly (readonly [string, () => () => void])[] {
  const { agents } = world
  const back = (node: number): void => {
    world.startNode(node)
    for (const agent of agents) if (agent.node === node) world.startAgent(agent)
  }
  return [
    ...agents.map((agent): [string, () => () => void] => [
      `component ${agent.name}`,
      () => {
        world.killAgent(agent)
        return () => world.startAgent(agent)
      },
    ]),
    ...agents.flatMap(({ node }): [string, () => () => void][] => [
      [
        `node ${node}`,
        () => {
          world.killNode(node)
          return () => back(node)
        },
      ],
      [
        `node ${node} for good`,
        () => {
          world.killNode(node)
          return () => {}
        },
      ],
    ]),
    [
      'all nodes',
      () => {
        world.killAll()
        return () => {
          // In the other order.
          for (const { node } of agents.toReversed()) back(node)
        }
      },
    ],
  ]
}

/** Ends a victim after some steps. @returns false when it was over before. */
function crash(options: WorldOptions, after: number, victim: number): boolean {
  const world = new TransactionWorld(options)
  for (let count = 0; count < after; count++) {
    const [next] = world.steps()
    if (next === undefined) return false
    next()
  }
  const [name, kill] = victimsOf(world)[victim] ?? ['', () => () => {}]
  const restart = kill()
  // The others go on before it is back: in half of the cases as far as they can.
  if (after % 2 === 0) world.run()
  else for (let count = 0; count < 5; count++) world.steps()[0]?.()
  restart()
  world.settle()
  if (world.nodes.size > 0 && isKnown(world)) world.check()
  expect({ name, after, wrong: world.wrong }).toEqual({ name, after, wrong: [] })
  return true
}

/** When all end before anybody has learnt of the transaction, nobody ever will. */
function isKnown(world: TransactionWorld): boolean {
  const { logs, agents } = world
  if ([...logs.values()].some(({ open, ended }) => open.size + ended.size > 0)) return true
  return agents.some(({ did }) => did.length > 0)
}

describe('after an end at any step all participants have the same outcome', () => {
  for (const isLazy of [false, true]) {
    it.each(CASTS)(`%s${isLazy ? ', others learn late' : ''}`, (_, participants) => {
      const options = { participants, isLazy }
      const count = victimsOf(new TransactionWorld(options)).length
      const quiet = new TransactionWorld(options)
      quiet.settle()
      quiet.check()
      expect(quiet.wrong).toEqual([])
      const isNo = participants.some(({ refuses }) => refuses)
      expect(quiet.answered?.state).toBe(isNo ? 'ROLLED_BACK' : 'COMMITTED')
      for (let victim = 0; victim < count; victim++) {
        let after = 0
        while (crash(options, after, victim)) after++
        expect(after).toBeGreaterThan(10)
      }
    })
  }
})

const participant = fc.record({
  participation: fc.constantFrom('TWO_PHASE', 'TWO_PHASE', 'VERIFY'),
  refuses: fc.boolean().map((refuses) => refuses),
})

describe('of more participants, in any order and with several ends', () => {
  it('all are told the same', () => {
    const rare = fc.record({
      participation: participant.map(
        ({ participation }) => participation as 'TWO_PHASE' | 'VERIFY',
      ),
      refuses: fc.integer({ min: 0, max: 9 }).map((chance) => chance === 0),
    })
    const casts = fc
      .tuple(fc.array(rare, { minLength: 2, maxLength: 6 }), fc.boolean())
      .map(([others, hasOne]): Participants => (hasOne ? [...others, one] : others))
    fc.assert(
      fc.property(casts, fc.array(fc.nat({ max: 1_000 }), { maxLength: 120 }), (cast, choices) => {
        const world = new TransactionWorld({ participants: cast })
        const victims = victimsOf(world).filter(([name]) => !name.includes('for good'))
        const dead = new Map<number, () => void>()
        for (const choice of choices) {
          const steps = world.steps()
          if (choice % 12 !== 0 && steps.length > 0) steps[choice % steps.length]?.()
          else if (dead.size > 0) {
            for (const restart of dead.values()) restart()
            dead.clear()
          } else {
            const victim = choice % victims.length
            const kill = victims[victim]?.[1]
            if (kill !== undefined) dead.set(victim, kill())
          }
        }
        for (const restart of dead.values()) restart()
        world.settle()
        if (isKnown(world)) world.check()
        expect(world.wrong).toEqual([])
      }),
      { numRuns: 150 },
    )
  })
})
