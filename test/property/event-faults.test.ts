import { expect, test } from 'vitest'
import { type Listener, NODES, World } from './event-world.ts'

async function simulate(seed: number, cutMs: number): Promise<World> {
  const world = new World(seed)
  const { clock, random } = world
  await clock.run(200)
  for (let turn = 0; turn < 60; turn += 1) {
    for (let count = random.below(12); count > 0; count -= 1) {
      world.publish(NODES[random.below(3)] ?? 1, random.chance(0.05) ? 10_000_000 : 0)
    }
    await clock.run(clock.nowMs + random.below(40))
    if (random.chance(0.5)) world.drain()
    if (!random.chance(0.12)) continue
    const victim = NODES[random.below(3)] ?? 1
    const isCrash = random.chance(0.4)
    if (isCrash) world.crash(victim)
    else world.cut(victim)
    const untilMs = clock.nowMs + random.below(cutMs)
    while (clock.nowMs < untilMs) {
      for (const node of NODES) if (random.chance(0.7)) world.publish(node, 0)
      await clock.run(Math.min(untilMs, clock.nowMs + 1 + random.below(cutMs / 4)))
      clock.nowMs = Math.max(clock.nowMs, Math.min(untilMs, clock.nowMs + 10))
    }
    if (isCrash) world.start(victim)
    else world.heal(victim)
    await clock.run(clock.nowMs + 400)
  }
  // The last thing that one of them does, before it ends for good.
  for (let count = 5; count > 0; count -= 1) world.publish(1 + (seed % 3), 10_000_000)
  await clock.run(clock.nowMs + random.below(12))
  if (seed % 4 !== 0) world.crash(1 + (seed % 3))
  world.faults = false
  await clock.run(clock.nowMs + 15_000)
  world.drain()
  return world
}

/** How many of the events that were for this listener it has not got: of lives that are there, and of others. */
function missing(world: World, listener: Listener): { alive: number; gaps: number; dead: number } {
  const alive = new Set([...world.lives.values()].map(({ member }) => member.life))
  const seen = new Set(listener.seen)
  const counts = { alive: 0, gaps: 0, dead: 0 }
  for (const [life, texts] of world.published) {
    const wanted = texts.slice(listener.since?.get(life) ?? 0)
    // What is retained may come by way of another node.
    const last = wanted.findLastIndex((text) => seen.has(text) && !world.toRetain.has(text))
    for (const [i, text] of wanted.entries()) {
      if (seen.has(text)) continue
      if (alive.has(life)) counts.alive += 1
      else if (i < last) counts.gaps += 1
      else counts.dead += 1
    }
  }
  return counts
}

const fresh = Date.now() % 1_000_000
const SEEDS = [
  ...Array.from({ length: Number(process.env['RUNS'] ?? 6) }, (_, index) => index + 1),
  fresh,
]

test.each(
  SEEDS.flatMap(
    (seed) =>
      [
        [seed, 'short', 4_000],
        [seed, 'long', 40_000],
      ] as const,
  ),
)('seed %i, %s cuts: in order, once, and what is missing was told', async (seed, kind, cutMs) => {
  const world = await simulate(seed, cutMs)
  for (const { listener } of world.lives.values()) {
    expect(listener.since).not.toBeNull()
    const twice = listener.seen.filter((text, i) => listener.seen.indexOf(text) !== i)
    expect(twice, 'nothing twice').toEqual([])
    for (const [life, texts] of world.published) {
      const mine = listener.seen.filter((text) => text.startsWith(`${life}:`))
      const live = mine.filter((text) => texts.indexOf(text) >= (listener.since?.get(life) ?? 0))
      const places = live.map((text) => texts.indexOf(text))
      expect(places, 'in order').toEqual(places.toSorted((a, b) => a - b))
    }
    const { alive, gaps, dead } = missing(world, listener)
    if (kind === 'short')
      expect({ alive, gaps, lost: listener.lost }).toEqual({ alive: 0, gaps: 0, lost: 0 })
    expect(listener.lost).toBeGreaterThanOrEqual(alive + gaps)
    // A retained event that was lost between nodes may have come by way of another one.
    const otherwise = listener.seen.filter((text) => world.toRetain.has(text)).length
    expect(listener.lost).toBeLessThanOrEqual(alive + gaps + dead + otherwise)
    for (const text of world.retained) expect(listener.seen, 'retained').toContain(text)
  }
  expect(world.retained.size).toBeGreaterThan(0)
  const [first = [], ...others] = [...world.retainedOn().values()]
  expect(new Set(first).size, 'retained once').toBe(first.length)
  for (const texts of others) expect(texts, 'the same is retained everywhere').toEqual(first)
  for (const text of world.retained) expect(first).toContain(text)
})
