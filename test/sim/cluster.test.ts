import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest'
import { modelOf } from '../amf/engine/models.ts'
import { Random } from '../property/simulation.ts'
import { SimulatedCluster } from './cluster.ts'
import { pass, useVirtualTime } from './virtual-time.ts'

/**
 * Clusters in virtual time under random faults: processes and nodes die, connections break, nodes are cut off,
 * directors change while the former one still believes in itself. `SEED=7 CLUSTERS=1` replays one run,
 * `CLUSTERS=500` searches for longer.
 */

const CLUSTERS = Number(process.env['CLUSTERS'] ?? '2')
const SEED = Number(process.env['SEED'] ?? '1')
const FRESH = Number(process.env['SEED'] ?? (Date.now() % 1_000_000).toString())
const FAULTS = 25
/** Enough for every node to start again and for a director that nobody answers to fence whom it must. */
const RECOVERY_MS = 20_000
const TEST_MS = 60_000 + CLUSTERS * 5_000

const model = modelOf(`
cluster: simulated
nodes: { N1: {}, N2: {}, N3: {} }
startupTimeoutMs: 1000
timing: { nodeSilenceMs: 400, beatMs: 50 }
componentTypes: { T: { command: [/bin/true], csiSetTimeoutMs: 1000, instantiateTimeoutMs: 2000 } }
serviceGroups:
  SG:
    redundancy: 2N
    componentRestartMax: 100
    serviceUnits:
      SU1: { node: N1, components: { C1: T } }
      SU2: { node: N2, components: { C2: T } }
      SU3: { node: N3, components: { C3: T } }
    serviceInstances:
      SI1: { csis: { I1: {} } }
      SI2: { csis: { I2: {} } }
`)

beforeEach(useVirtualTime)
afterEach(() => void vi.useRealTimers())

function fault(cluster: SimulatedCluster, random: Random): void {
  const nodes = [...model.nodes.values()]
  const node = nodes[random.below(nodes.length)]
  const { actors } = cluster
  const actor = actors[random.below(Math.max(1, actors.length))]
  const dice = random.below(11)
  if (!node) return
  if (dice < 3) {
    cluster.note(`component ${String(actor?.pid)} dies`)
    actor?.die('SIGSEGV')
  } else if (dice < 5) cluster.killNode(node.name, 'a fault')
  else if (dice < 7) cluster.moveDirector()
  else if (dice === 10) for (const { name } of nodes) cluster.killNode(name, 'a power cut')
  else {
    cluster.note(`${node.name} is cut off`)
    cluster.network.cut(node.id)
    setTimeout(() => cluster.network.mend(node.id), random.below(dice < 9 ? 20 : 1_000))
  }
}

async function run(seed: number): Promise<void> {
  const random = new Random(seed)
  const cluster = new SimulatedCluster(model, random)
  try {
    await cluster.start()
    await pass(random.below(3_000))
    for (let count = 0; count < FAULTS; count += 1) {
      fault(cluster, random)
      await pass(random.chance(0.5) ? random.below(30) : random.below(1_500))
    }
    const good = { violations: [], roles: ['ACTIVE,STANDBY', 'ACTIVE,STANDBY'] }
    const found = () => ({
      violations: cluster.violations,
      roles: [...model.csis.keys()].map((csi) => cluster.rolesOf(csi).join()),
    })
    for (let waitedMs = 0; waitedMs < RECOVERY_MS; waitedMs += 500) {
      await pass(500)
      if (found().roles.join() === good.roles.join()) break
    }
    expect(found(), `SEED=${String(seed)}\n${cluster.trace.join('\n')}`).toEqual(good)
  } finally {
    cluster.stop()
    await pass(10)
  }
}

describe('a whole cluster under random faults', () => {
  it.each([
    ['fixed seeds', SEED],
    ['fresh seeds', FRESH],
  ])(
    'never has two ACTIVE components, and recovers: %s from %i',
    { timeout: TEST_MS },
    async (_, first) => {
      for (let seed = first; seed < first + CLUSTERS; seed += 1) await run(seed)
    },
  )
})
