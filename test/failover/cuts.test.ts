import { afterEach, describe, expect, it } from 'vitest'
import type { Cluster } from '../../dist/amf/testkit/index.js'
import { expectNothingLost, expectSound, SI, sharedCluster, startLoad } from './support.ts'

const TEST_MS = 60_000

const pidOf = (cluster: Cluster, node: string): number | undefined =>
  cluster.processes().find((one) => one.kind === 'node' && one.name === node)?.pid

describe('a cut between two nodes', { timeout: TEST_MS }, () => {
  const ready = sharedCluster()
  // A cut that stays would hold up the stop of the cluster.
  afterEach(async () => (await ready()).heal('node1', 'node2'))

  async function cutCluster(): Promise<{ cluster: Cluster; leader: string; other: string }> {
    const cluster = await ready()
    const leader = (await cluster.refresh()).director ?? ''
    const other = leader === 'node1' ? 'node2' : 'node1'
    return { cluster, leader, other }
  }

  it.each(['leader', 'other'] as const)(
    'leaves one of them, loses nothing, and heals: the active one is on the %s',
    async (where) => {
      const { cluster, leader, other } = await cutCluster()
      const node = where === 'leader' ? leader : other
      const first = await cluster.until((s) => s.activeComponent(SI) !== null, 10_000)
      if (first.activeComponent(SI)?.node !== node) {
        await cluster.admin('swap', SI)
        await cluster.until((s) => s.activeComponent(SI)?.node === node, 10_000)
      }
      const leaderPid = pidOf(cluster, leader)
      const load = await startLoad(cluster)
      await load.firstReplyAfter(load.epoch - 1)
      await cluster.cut('node1', 'node2')
      await cluster.until(
        (s) => s.status.nodes.some((n) => n.name === other && n.state !== 'ENABLED'),
        10_000,
      )
      await load.firstReplyAfter(load.epoch - 1)
      const alone = await cluster.until((s) => s.activeComponent(SI)?.node === leader, 10_000)
      expect(alone.director).toBe(leader)
      await cluster.heal('node1', 'node2')
      await expectSound(cluster, 20_000)
      expect(pidOf(cluster, leader)).toBe(leaderPid)
      await expectNothingLost(load)
    },
  )

  it('a delay fails nothing', async () => {
    const { cluster } = await cutCluster()
    const load = await startLoad(cluster)
    await cluster.delay('node1', 'node2', 30)
    const view = await cluster.refresh()
    const before = view.active(SI)
    await load.firstReplyAfter(load.epoch - 1)
    await cluster.kill(view.activeComponent(SI)?.name ?? '')
    await cluster.until((s) => s.active(SI) !== before && s.settled, 15_000)
    await load.firstReplyAfter(load.epoch - 1)
    await cluster.heal('node1', 'node2')
    await expectSound(cluster)
    await expectNothingLost(load)
  })

  it('names what are no two nodes', async () => {
    const cluster = await ready()
    await expect(cluster.cut('node1', 'node9')).rejects.toThrow(/node1, node2/)
    await expect(cluster.cut('node1', 'node1')).rejects.toThrow(/two nodes/)
    await expect(cluster.delay(0, 'node1', -1)).rejects.toThrow(/60000/)
  })
})
