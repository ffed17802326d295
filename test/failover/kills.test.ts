import { describe, expect, it } from 'vitest'
import { expectNothingLost, expectSound, SI, sharedCluster, startLoad } from './support.ts'

const TEST_MS = 145_000
const ready = sharedCluster()

describe('kill -9 under load loses nothing', { timeout: TEST_MS }, () => {
  it('of the active: the standby takes over', async () => {
    const cluster = await ready()
    const load = await startLoad(cluster)
    const before = await cluster.refresh()
    const [active, standby] = [before.active(SI), before.standby(SI)]
    const seen = load.firstReplyAfter(load.epoch)
    const killed = await cluster.kill(before.activeComponent(SI)?.name ?? '')
    const replyMs = await seen
    expect(replyMs).toBeGreaterThan(killed.atMs)
    await cluster.until((s) => s.active(SI) === standby && s.standby(SI) === active, 30_000)
    await expectNothingLost(load)
    await expectSound(cluster)
    const change = cluster.history().findLast((one) => one.to === 'ACTIVE')
    expect(change?.causes.join(' ')).toMatch(/SIGKILL|killed/)
  })

  it('of the standby: the active goes on and gets a new one', async () => {
    const cluster = await ready()
    const load = await startLoad(cluster)
    const before = await cluster.refresh()
    const standby = before.status.serviceUnits.find((su) => su.name === before.standby(SI))
    const { pid } = await cluster.kill(standby?.components[0]?.name ?? '')
    const after = await cluster.until((s) => {
      const other = s.component(standby?.components[0]?.name ?? '')
      return other.pid !== null && other.pid !== pid && other.roles[SI] === 'STANDBY'
    }, 30_000)
    expect(after.active(SI)).toBe(before.active(SI))
    await expectNothingLost(load)
    await expectSound(cluster)
  })

  it('of both at once', async () => {
    const cluster = await ready()
    const load = await startLoad(cluster)
    await Promise.all([cluster.kill('sequence1'), cluster.kill('sequence2')])
    await load.firstReplyAfter(load.epoch)
    await expectNothingLost(load)
    await expectSound(cluster)
  })

  it.each(['the active one', 'the standby'] as const)(
    'of the node process of %s',
    async (whose) => {
      const cluster = await ready()
      const load = await startLoad(cluster)
      const before = await cluster.refresh()
      const unit = whose === 'the standby' ? before.standby(SI) : before.active(SI)
      const node = before.status.serviceUnits.find((su) => su.name === unit)?.node ?? ''
      const components = cluster.processes().filter((one) => one.kind === 'component')
      await cluster.kill(node)
      const gone = before.status.serviceUnits.find((su) => su.node === node)?.components[0]?.pid
      expect(components.map((one) => one.pid)).toContain(gone)
      await cluster.until(
        (s) => s.settled && s.component(`sequence${node.at(-1)}`).pid !== gone,
        45_000,
      )
      await expectNothingLost(load)
      await expectSound(cluster)
    },
  )

  it('of the node process that directs, with the active one on the other node', async () => {
    const cluster = await ready()
    const load = await startLoad(cluster)
    const before = await cluster.refresh()
    const activeNode = before.activeComponent(SI)?.node
    if (activeNode === before.director) {
      await cluster.admin('swap', SI)
      await cluster.until((s) => s.activeComponent(SI)?.node !== s.director, 10_000)
    }
    const { pid } = (await cluster.refresh()).activeComponent(SI) ?? {}
    await cluster.kill(before.director ?? '')
    await cluster.until((s) => s.director !== null && s.director !== before.director, 30_000)
    const after = await cluster.until((s) => s.settled, 45_000)
    // What served was not touched.
    expect(after.activeComponent(SI)?.pid).toBe(pid)
    await expectNothingLost(load)
    await expectSound(cluster)
  })
})

describe('a planned swap', { timeout: TEST_MS }, () => {
  it('moves the role with no failed call', async () => {
    const cluster = await ready()
    const load = await startLoad(cluster)
    const before = await cluster.refresh()
    await cluster.admin('swap', SI)
    const after = await cluster.refresh()
    expect(after.active(SI)).toBe(before.standby(SI))
    expect(after.standby(SI)).toBe(before.active(SI))
    await expectNothingLost(load)
    await expectSound(cluster)
  })
})
