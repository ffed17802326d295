import { describe, expect, it } from 'vitest'
import type { Cluster } from '../../dist/amf/testkit/index.js'
import type { SequenceLoad } from '../../dist/samples/sequence/load.js'
import { expectNothingLost, expectSound, SI, sharedCluster, startLoad } from './support.ts'

const TEST_MS = 145_000
const ready = sharedCluster()

interface Scene {
  readonly cluster: Cluster
  readonly load: SequenceLoad
  readonly active: string
  readonly standby: string
  readonly activeNode: string
  readonly standbyNode: string
}

async function scene(): Promise<Scene> {
  const cluster = await ready()
  const load = await startLoad(cluster)
  const view = await cluster.refresh()
  const active = view.activeComponent(SI)
  const unit = view.status.serviceUnits.find((su) => su.name === view.standby(SI))
  if (active === null || unit === undefined) throw new Error('not settled')
  return {
    cluster,
    load,
    active: active.name,
    standby: unit.components[0]?.name ?? '',
    activeNode: active.node,
    standbyNode: unit.node,
  }
}

/** Numbers go on being drawn: at least `count` more. */
async function expectProgress(load: SequenceLoad, count = 200): Promise<void> {
  const goal = load.account.drawn + count
  const deadlineMs = performance.now() + 45_000
  while (load.account.drawn < goal) {
    if (performance.now() > deadlineMs) throw new Error(`stuck at ${load.account.drawn} numbers`)
    await new Promise((resolve) => setTimeout(resolve, 20))
  }
}

describe('SIGSTOP longer than the time-out, then SIGCONT, under load', { timeout: TEST_MS }, () => {
  it('of the active: replaced, and it never comes back as a second active', async () => {
    const { cluster, load, active } = await scene()
    const before = await cluster.refresh()
    const frozen = await cluster.freeze(active)
    await cluster.until((s) => s.active(SI) === before.standby(SI), 45_000)
    cluster.thaw(frozen)
    await expectProgress(load)
    await cluster.until((s) => s.component(active).pid !== frozen.pid && s.settled, 45_000)
    await expectNothingLost(load)
    await expectSound(cluster)
  })

  it('of the standby: the active goes on', async () => {
    const { cluster, load, active, standby } = await scene()
    const { pid } = (await cluster.refresh()).component(active)
    const frozen = await cluster.freeze(standby)
    await expectProgress(load)
    await cluster.until((s) => s.component(standby).pid !== frozen.pid && s.settled, 45_000)
    cluster.thaw(frozen)
    await expectProgress(load)
    expect((await cluster.refresh()).component(active).pid).toBe(pid)
    await expectNothingLost(load)
    await expectSound(cluster)
  })

  it.each(['standbyNode', 'activeNode'] as const)('of the node process: %s', async (which) => {
    const made = await scene()
    const { cluster, load } = made
    const before = await cluster.refresh()
    const victim = made[which]
    const frozen = await cluster.freeze(victim)
    await expectProgress(load)
    await cluster.until((s) => s.director !== null && s.director !== victim, 45_000)
    cluster.thaw(frozen)
    await cluster.until((s) => s.settled, 45_000)
    const pids = (name: string): number | null => before.component(name).pid
    const after = await cluster.refresh()
    // What runs on the other node was not disturbed; what ran on the frozen one was replaced.
    const onOther = which === 'standbyNode' ? made.active : made.standby
    expect(after.component(onOther).pid).toBe(pids(onOther))
    await expectNothingLost(load)
    await expectSound(cluster)
  })

  it('shorter than the time-out: nobody is replaced', async () => {
    const { cluster, load, active } = await scene()
    const before = await cluster.refresh()
    const frozen = await cluster.freeze(active)
    await new Promise((resolve) => setTimeout(resolve, 300))
    cluster.thaw(frozen)
    await expectProgress(load)
    const after = await cluster.refresh()
    expect(after.component(active).pid).toBe(before.component(active).pid)
    expect(after.active(SI)).toBe(before.active(SI))
    await expectNothingLost(load)
    await expectSound(cluster)
  })
})

describe('kill -9 in the worst moments, under load', { timeout: TEST_MS }, () => {
  it('of the active, and of the standby while it is being promoted', async () => {
    const { cluster, load, active, standby } = await scene()
    await cluster.kill(active)
    await cluster.kill(standby)
    await expectProgress(load)
    await expectNothingLost(load)
    await expectSound(cluster)
  })

  it('of `up` itself: the whole tree ends', async () => {
    const { cluster, load } = await scene()
    const everyone = cluster.processes()
    expect(everyone.length).toBeGreaterThanOrEqual(5)
    await cluster.kill('up')
    const deadlineMs = performance.now() + 5_000
    while (cluster.processes().length > 0 && performance.now() < deadlineMs)
      await new Promise((resolve) => setTimeout(resolve, 20))
    expect(cluster.processes()).toEqual([])
    await cluster.start()
    await cluster.until((s) => s.settled, 45_000)
    const { lost, duplicated } = await load.stop()
    expect({ lost, duplicated }).toEqual({ lost: 0, duplicated: 0 })
    await expectSound(cluster)
  })

  it('of the active again and again', async () => {
    const { cluster, load } = await scene()
    for (let round = 0; round < 8; round += 1) {
      const view = await cluster.until(
        (s) => s.active(SI) !== null && s.standby(SI) !== null,
        45_000,
      )
      const seen = load.firstReplyAfter(load.epoch)
      await cluster.kill(view.activeComponent(SI)?.name ?? '')
      await seen
    }
    await expectNothingLost(load)
    await expectSound(cluster)
  })
})
