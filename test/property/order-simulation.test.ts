import { describe, expect, test } from 'vitest'
import { SdkError } from '../../idl/index.ts'
import type { OrderPeers } from '../../runtime/services/replicated/order-peers.ts'
import { OrderedNode } from '../../runtime/services/replicated/ordered-node.ts'
import type { Replicated } from '../../runtime/services/replicated/replicated.ts'
import { Clockwork, Random } from './simulation.ts'

const NODES = [1, 2, 3]
const QUIET = { info: () => {}, warn: () => {}, error: () => {}, debug: () => {} }

/** Keeps every message in the order in which it came. */
class Chronicle implements Replicated {
  readonly topic = 'chronicle'
  entries: string[] = []
  readonly #onApply: (sequence: number, text: string) => void

  constructor(onApply: (sequence: number, text: string) => void) {
    this.#onApply = onApply
  }

  apply(payload: Uint8Array, { at }: { at: { sequence: number } }): number {
    const text = Buffer.from(payload).toString()
    this.entries.push(text)
    this.#onApply(at.sequence, text)
    return this.entries.length
  }

  viewChanged(): void {}

  snapshot(): Uint8Array {
    return Buffer.from(JSON.stringify(this.entries))
  }

  restore(content: Uint8Array): void {
    this.entries = JSON.parse(Buffer.from(content).toString()) as string[]
  }
}

interface Life {
  readonly node: OrderedNode
  readonly chronicle: Chronicle
  readonly deaths: Set<(node: number) => void>
}

/** Nodes that crash, come back empty and lead in turns, over a network that delays, loses and repeats. */
class World {
  readonly clock = new Clockwork()
  readonly random: Random
  readonly lives = new Map<number, Life>()
  /** What stands at each place of the order: the same for everybody, for ever. */
  readonly order = new Map<number, string>()
  readonly acknowledged = new Set<string>()
  readonly submitted: string[] = []
  readonly wrong: string[] = []
  faults = true
  term = 0
  leader = 0
  #count = 0

  constructor(seed: number) {
    this.random = new Random(seed)
    for (const node of NODES) this.start(node)
    this.elect(1)
  }

  start(node: number): void {
    const chronicle = new Chronicle((sequence, text) => {
      const known = this.order.get(sequence)
      if (known === undefined) this.order.set(sequence, text)
      else if (known !== text) this.wrong.push(`${sequence} is ${known}, on ${node} ${text}`)
    })
    const deaths = new Set<(node: number) => void>()
    const life = `life${++this.#count}`
    const ordered = new OrderedNode({
      peers: this.#peers(node, life, deaths),
      node,
      life,
      log: QUIET,
      clock: {
        nowMs: () => this.clock.nowMs,
        after: (delayMs, run) => this.clock.after(delayMs, run),
      },
    })
    ordered.add(chronicle)
    this.lives.set(node, { node: ordered, chronicle, deaths })
  }

  crash(node: number): void {
    this.lives.get(node)?.node.close()
    this.lives.delete(node)
    for (const { deaths } of this.lives.values()) for (const tell of deaths) tell(node)
  }

  elect(node: number): void {
    this.term++
    this.leader = node
    const { term } = this
    this.lives.get(node)?.node.lead(term, [...this.lives.keys()])
    for (const other of this.lives.keys()) {
      if (other !== node) this.tell(other, node, term)
    }
  }

  tell(node: number, leader: number, term: number): void {
    this.clock.after(this.random.below(40), () => {
      if (this.term === term && this.leader === leader)
        this.lives.get(node)?.node.follow(leader, term)
    })
  }

  submit(node: number): void {
    const life = this.lives.get(node)
    if (life === undefined) return
    const text = `m${this.submitted.length}`
    this.submitted.push(text)
    life.node.submit('chronicle', Buffer.from(text)).then(
      () => this.acknowledged.add(text),
      () => {},
    )
  }

  /** Calls that may be late, or get lost on the way there or back. */
  #peers(from: number, life: string, deaths: Set<(node: number) => void>): OrderPeers {
    const call = <T>(to: number, run: (peer: OrderedNode) => unknown): Promise<T> =>
      new Promise((resolve, reject) => {
        const target = this.lives.get(to)
        const fail = (): void => reject(new SdkError('COMP_UNREACHABLE', 'lost'))
        if (target === undefined) {
          this.clock.after(1, fail)
          return
        }
        const isLost = this.faults && this.random.chance(0.03)
        const isRepeated = this.faults && this.random.chance(0.03)
        const back = (settle: () => void): void => {
          this.clock.after(this.random.below(4), () => {
            if (this.lives.get(from)?.node.self.life === life) settle()
          })
        }
        const arrive = (): void => {
          if (this.lives.get(to) !== target) return fail()
          try {
            const result = run(target.node)
            if (isLost && this.random.chance(0.5)) back(fail)
            else back(() => resolve(result as T))
          } catch (error) {
            back(() => reject(error as Error))
          }
        }
        if (isLost && this.random.chance(0.5)) this.clock.after(50, fail)
        else this.clock.after(this.random.below(4), arrive)
        if (isRepeated) {
          this.clock.after(this.random.below(120), () => {
            if (this.lives.get(to) !== target) return
            try {
              run(target.node)
            } catch {
              // Nobody waits for the copy's answer.
            }
          })
        }
      })
    type Lead = Parameters<OrderedNode['handlers']['lead']['join']>[0]
    type Submit = Parameters<OrderedNode['handlers']['lead']['submit']>[0]
    type Order = Parameters<OrderedNode['handlers']['follow']['order']>[0]
    type Pull = Parameters<OrderedNode['handlers']['follow']['pull']>[0]
    const none = undefined as never
    return {
      lead: (to) => ({
        join: (input: Lead) => call(to, (peer) => peer.handlers.lead.join(input, none)),
        submit: (input: Submit) => call(to, (peer) => peer.handlers.lead.submit(input, none)),
      }),
      follow: (to) => ({
        order: (input: Order) =>
          call(to, (peer) => peer.handlers.follow.order(structuredClone(input), none)),
        pull: (input: Pull) => call(to, (peer) => peer.handlers.follow.pull(input, none)),
      }),
      onDeath: (listener) => {
        deaths.add(listener)
        return () => deaths.delete(listener)
      },
    }
  }
}

async function simulate(seed: number): Promise<World> {
  const world = new World(seed)
  const { clock, random } = world
  await clock.run(600)
  for (let turn = 0; turn < 60; turn++) {
    for (let count = random.below(4); count > 0; count--) {
      world.submit(NODES[random.below(3)] ?? 1)
    }
    await clock.run(clock.nowMs + random.below(60))
    if (!random.chance(0.15)) continue
    const victim = NODES[random.below(3)] ?? 1
    if (random.chance(0.3)) {
      world.elect(victim)
    } else {
      world.crash(victim)
      if (victim === world.leader) {
        const heirs = [...world.lives.keys()]
        await clock.run(clock.nowMs + random.below(100))
        world.elect(heirs[random.below(heirs.length)] ?? 1)
      }
      await clock.run(clock.nowMs + random.below(200))
      world.start(victim)
      world.tell(victim, world.leader, world.term)
    }
    // One failure at a time: what it broke has healed before the next.
    await clock.run(clock.nowMs + 4_000)
  }
  world.faults = false
  await clock.run(clock.nowMs + 15_000)
  return world
}

describe('one order of messages', () => {
  const fresh = Date.now() % 1_000_000
  const seeds = [
    ...Array.from({ length: Number(process.env['RUNS'] ?? 25) }, (_, index) => index + 1),
    fresh,
  ]
  test.each(seeds)(
    'seed %i: everybody has the same, nothing acknowledged is lost',
    async (seed) => {
      const world = await simulate(seed)
      expect(world.wrong).toEqual([])
      const chronicles = [...world.lives.values()].map(({ chronicle }) => chronicle.entries)
      const [first = []] = chronicles
      for (const other of chronicles) expect(other).toEqual(first)
      expect(new Set(first).size, 'nothing twice').toBe(first.length)
      const missing = [...world.acknowledged].filter((text) => !first.includes(text))
      expect(missing, 'acknowledged and lost').toEqual([])
      expect(world.acknowledged.size).toBeGreaterThan(world.submitted.length / 2)
      const members = [...world.lives.values()].map(({ node }) => node.members.length)
      expect(members).toEqual([3, 3, 3])
    },
  )
})
