import { expect, test } from 'vitest'
import { CHANNEL, NODES, World } from './event-world.ts'

/**
 * One life of a channel, and the death of each node before every single step of it: of a message, an answer or an entry
 * of the order. Each node does each operation, so each death meets the publisher's node, the leading one's successor
 * and a bystander, in the middle of open, publish, retain, clear, close and unlink.
 */
const FOREVER_MS = 10_000_000
const START_MS = 200

type Act = (world: World, node: number) => void

const publish: Act = (world, node) => world.publish(node, 0)
const retain: Act = (world, node) => world.publish(node, FOREVER_MS)

/** The first event of this node's present life that is retained on all nodes. */
const clear: Act = (world, node) => {
  const life = world.lives.get(node)?.member.life ?? ''
  const text = [...world.retained].find((one) => one.startsWith(`${life}:`))
  const id = world.ids.get(text ?? '')
  if (text === undefined || id === undefined) return
  world.cleared.add(text)
  world.operate({ kind: 'clear', channel: CHANNEL, ...id })
}

/** A publisher's open, and its end. */
const open: Act = (world, node) => {
  const life = world.lives.get(node)?.member.life
  if (life === undefined) return
  const opener = { life, eo: `publisher ${life}`, open: 1, isSubscriber: false }
  world.operate({ kind: 'open', name: 'c', create: true, opener })
}
const close: Act = (world, node) => {
  const life = world.lives.get(node)?.member.life
  if (life !== undefined) world.operate({ kind: 'close', eo: `publisher ${life}`, open: 1 })
}

const PLAN: readonly (readonly [atMs: number, act: Act])[] = [
  [0, open],
  [5, publish],
  [8, retain],
  [14, publish],
  [22, clear],
  [26, retain],
  [30, close],
]

interface Run {
  readonly world: World
  readonly stepCount: number
}

/** @param atStep - before this step of the plan the victim dies. */
async function live(victim: number, atStep: number, comesBack: boolean): Promise<Run> {
  const world = new World(victim)
  const { clock } = world
  world.faults = false
  await clock.run(START_MS)
  for (const [i, node] of NODES.entries()) {
    for (const [atMs, act] of PLAN) clock.at(START_MS + atMs + 3 * i, () => act(world, node))
  }
  let stepCount = 0
  await clock.run(START_MS + 120, () => stepCount++ === atStep)
  if (stepCount > atStep) {
    world.crash(victim)
    if (comesBack) clock.after(40, () => world.start(victim))
  }
  await clock.run(clock.nowMs + 12_000)
  world.drain()
  return { world, stepCount }
}

function check(world: World, where: string): void {
  for (const { listener } of world.lives.values()) {
    expect(new Set(listener.seen).size, `${where}: once`).toBe(listener.seen.length)
    expect(listener.lost, `${where}: nothing is lost without a fault of the network`).toBe(0)
    for (const [life, texts] of world.published) {
      const places = listener.seen.flatMap((text) =>
        text.startsWith(`${life}:`) ? texts.indexOf(text) : [],
      )
      expect(places, `${where}: in order`).toEqual(places.toSorted((a, b) => a - b))
    }
  }
  const [first = [], ...others] = [...world.retainedOn().values()]
  for (const texts of others) expect(texts, `${where}: the same everywhere`).toEqual(first)
  for (const text of world.retained) {
    const isKept = !world.cleared.has(text)
    expect(first.includes(text), `${where}: ${text} is ${isKept ? 'kept' : 'cleared'}`).toBe(isKept)
  }
}

test.each([
  ['for good', false],
  ['and comes back', true],
] as const)('a node dies %s before any step of a channel', async (_, comesBack) => {
  let [died, cleared] = [0, 0]
  for (const victim of NODES) {
    for (let step = 0; ; step += 1) {
      const { world, stepCount } = await live(victim, step, comesBack)
      check(world, `node ${victim}, step ${step}`)
      cleared += world.cleared.size
      if (stepCount <= step) break
      died += 1
    }
  }
  expect(died).toBeGreaterThan(150)
  expect(cleared).toBeGreaterThan(died)
})

test('a channel that is unlinked goes with what it retains, whoever dies meanwhile', async () => {
  for (const victim of NODES) {
    for (let step = 0; step < 40; step += 1) {
      const world = new World(victim)
      const { clock } = world
      world.faults = false
      await clock.run(START_MS)
      for (const node of NODES) clock.after(1, () => world.publish(node, FOREVER_MS))
      await clock.run(clock.nowMs + 60)
      expect(world.retained.size).toBe(NODES.length)
      world.operate({ kind: 'unlink', name: 'c' })
      for (const { listener } of world.lives.values()) {
        world.operate({ kind: 'close', eo: listener.caller, open: 1 })
      }
      world.operate({ kind: 'close', eo: 'nobody', open: 1 })
      let count = 0
      await clock.run(clock.nowMs + 200, () => count++ === step)
      world.crash(victim)
      await clock.run(clock.nowMs + 12_000)
      for (const { content } of world.lives.values()) expect(content.has(CHANNEL)).toBe(false)
      for (const texts of world.retainedOn().values()) expect(texts).toEqual([])
    }
  }
})
