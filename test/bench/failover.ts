import { fileURLToPath } from 'node:url'
import type { Cluster } from '../../dist/amf/testkit/index.js'
import type { SequenceLoad } from '../../dist/samples/sequence/load.js'
import { measureBarePair } from './bare-pair.ts'
import { median, type Bench } from './bench.ts'

const DIST = new URL('../../dist/', import.meta.url)
const MODEL = fileURLToPath(new URL('../../samples/sequence/cluster.yaml', import.meta.url))
const SI = 'sequenceSI'
const IN_FLIGHT = 64

/**
 * SIGKILL of the active to the first reply of the new one, 64 calls under way: the sequence sample against a bare
 * supervisor with a stateless pair, in turns.
 */
export const bench: Bench = async ({ report, progress, quick }) => {
  const rounds = quick ? 5 : 30
  const { startCluster } = (await import(
    new URL('amf/testkit/index.js', DIST).href
  )) as typeof import('../../dist/amf/testkit/index.js')
  const { SequenceLoad: Load } = (await import(
    new URL('samples/sequence/load.js', DIST).href
  )) as typeof import('../../dist/samples/sequence/load.js')
  const bare: number[] = []
  const ours: number[] = []
  const cluster = await startCluster(MODEL, { plain: true })
  try {
    const load = new Load(await cluster.connect())
    for (let round = 0; round < rounds; round += 1) {
      progress(`round ${round + 1} of ${rounds}`)
      // The load rests while the bare pair is measured: both have the machine for themselves.
      bare.push(...(await measureBarePair(1, IN_FLIGHT)))
      await load.start()
      ours.push(await oneFailover(cluster, load))
      await load.stop()
    }
    const { failed, lost, duplicated } = load.account
    const bareP50 = median(bare)
    for (const [system, times] of [
      ['bare supervisor', bare],
      ['holdfast 2N', ours],
    ] as const) {
      const sorted = times.toSorted((a, b) => a - b)
      report({
        bench: 'failover',
        system,
        inFlight: IN_FLIGHT,
        rounds,
        p50Ms: median(times),
        p99Ms: sorted[Math.ceil(sorted.length * 0.99) - 1] ?? 0,
        ratio: median(times) / bareP50,
        ...(times === ours ? { failed, lost, duplicated } : {}),
      })
    }
  } finally {
    await cluster.stop()
  }
}

async function oneFailover(cluster: Cluster, load: SequenceLoad): Promise<number> {
  const view = await cluster.until((s) => s.active(SI) !== null && s.standby(SI) !== null, 30_000)
  const drawn = load.account.drawn
  while (load.account.drawn < drawn + 500) await new Promise((resolve) => setImmediate(resolve))
  const seen = load.firstReplyAfter(load.epoch)
  const { atMs } = await cluster.kill(view.activeComponent(SI)?.name ?? '')
  return (await seen) - atMs
}
