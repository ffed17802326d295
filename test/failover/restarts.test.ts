import { describe, expect, it } from 'vitest'
import { expectSound, SI, sharedCluster, startLoad } from './support.ts'
import type { SequenceLoad } from '../../dist/samples/sequence/load.js'

const TEST_MS = 90_000
const ORDERS = [
  ['node1', 'node2'],
  ['node2', 'node1'],
] as const

describe('everything is killed at once and restarted', { timeout: TEST_MS }, () => {
  const ready = sharedCluster(undefined, { nodes: ['node1', 'node2'] })

  it.each(ORDERS)(
    '%s first, then %s: nothing acknowledged is lost or given twice',
    async (...order) => {
      const cluster = await ready()
      await cluster.until((s) => s.settled, 30_000)
      const load = await startLoad(cluster)
      await untilDrawn(load, 1_000)
      await cluster.killAll()
      expect(cluster.processes()).toEqual([])
      await cluster.start([order[0]])
      await cluster.until((s) => s.active(SI) !== null, 30_000)
      await cluster.start([order[1]])
      await cluster.until((s) => s.settled, 30_000)
      await expectSound(cluster)
      const { failed, ...bad } = await load.stop()
      // Callers re-send within their time-outs, so that not even a call fails.
      expect({ failed, lost: bad.lost, duplicated: bad.duplicated, errors: load.errors }).toEqual({
        failed: 0,
        lost: 0,
        duplicated: 0,
        errors: [],
      })
    },
  )

  it.each(ORDERS)('after the standby had died first, starting with %s', async (...order) => {
    const cluster = await ready()
    await cluster.until((s) => s.settled, 30_000)
    const load = await startLoad(cluster)
    const before = await cluster.refresh()
    const activeNode = before.activeComponent(SI)?.node ?? ''
    const standbyNode = activeNode === 'node1' ? 'node2' : 'node1'
    await cluster.kill(standbyNode)
    // The active goes on alone: from here on the other node's data is old.
    const drawn = load.account.drawn
    await untilDrawn(load, drawn + 1_000)
    await cluster.killAll()
    await cluster.start([order[0]])
    if (order[0] === activeNode) await cluster.until((s) => s.active(SI) !== null, 30_000)
    else {
      // Only the old standby is there: it must not become active, and the status says whom the cluster waits for.
      const waiting = await cluster.until(
        (s) => s.status.serviceInstances[0]?.waitingFor != null,
        30_000,
      )
      expect(waiting.active(SI)).toBeNull()
      expect(waiting.status.serviceInstances[0]?.waitingFor).toContain(activeNode)
    }
    await cluster.start([order[1]])
    await cluster.until((s) => s.settled, 30_000)
    const { lost, duplicated } = await load.stop()
    expect({ lost, duplicated }).toEqual({ lost: 0, duplicated: 0 })
    await expectSound(cluster)
  })
})

async function untilDrawn(load: SequenceLoad, count: number): Promise<void> {
  const deadlineMs = performance.now() + 15_000
  while (load.account.drawn < count) {
    if (performance.now() > deadlineMs) throw new Error(`only ${load.account.drawn} drawn`)
    await new Promise((resolve) => setTimeout(resolve, 20))
  }
}
