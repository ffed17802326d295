import { describe, expect, test } from 'vitest'
import { World } from './checkpoint-world.ts'

const FAULTS_MS = 4_000
const QUIET_MS = 120_000

async function simulate(seed: number, nodes: number): Promise<World> {
  const world = new World({ seed, nodes, callers: 6, callsEach: 50 })
  const { random, clock } = world
  world.start()
  const faults = [
    () => world.crashNode(anyNode(world)),
    () => world.killComponent(anyNode(world)),
    () => world.killActive(),
    () => world.freeze(anyNode(world), random.below(600)),
    () => world.cut(),
    () => world.directorAway(random.below(300)),
    () => world.usurp(),
    () => {
      for (const node of world.nodes) world.crashNode(node)
    },
  ]
  for (let atMs = 0; atMs < FAULTS_MS; atMs += 20 + random.below(300)) {
    clock.at(atMs, () => faults[random.below(faults.length)]?.())
  }
  clock.at(FAULTS_MS, () => world.heal())
  await clock.run(QUIET_MS, () => world.isDone && clock.nowMs > FAULTS_MS)
  await clock.run(clock.nowMs + 5_000)
  return world
}

function anyNode(world: World) {
  const node = world.nodes[world.random.below(world.nodes.length)]
  if (node === undefined) throw new Error('a world without nodes')
  return node
}

const fresh = Number(process.env['SEED'] ?? Date.now() % 1_000_000)
const count = Number(process.env['SEEDS'] ?? 10)

describe('components, replicas and a director under faults', () => {
  test.each([2, 3])('%i nodes', { timeout: 120_000 }, async (nodes) => {
    let failovers = 0
    for (const seed of [fresh, ...Array.from({ length: count }, (_, i) => i + 1)]) {
      const world = await simulate(seed, nodes)
      const what = `SEED=${seed} SEEDS=0 npx vitest run test/property/checkpoint-simulation`
      expect(world.problems.slice(0, 5), what).toEqual([])
      expect(world.finished, `${what}: not every call was answered`).toBe(300)
      expect(world.checkConverged(), what).toEqual([])
      failovers += world.failovers
    }
    expect(failovers).toBeGreaterThan(count)
  })
})
