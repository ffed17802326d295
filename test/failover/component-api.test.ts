import { fileURLToPath } from 'node:url'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { startCluster, type Cluster } from '../../dist/amf/testkit/index.js'
import type { Connection } from '../../dist/runtime/index.js'
import { Watched } from '../../dist/test/fixtures/watched/watched.js'

const RUN = fileURLToPath(new URL('../../dist/test/fixtures/watched/component.js', import.meta.url))
const TEST_MS = 60_000
const WAIT_MS = 15_000
const SI = 'watchedSI'

/** What a component asks of AMF besides its roles, from its own process to the recovery that follows. */
describe('what a component asks AMF for', { timeout: TEST_MS }, () => {
  let cluster: Cluster
  let connection: Connection
  // One cluster for all: each test leaves an active and a standby behind.
  beforeAll(async () => {
    const unit = (number: number) => ({
      node: `node${String(number)}`,
      components: { [`w${String(number)}`]: 'watched' },
    })
    cluster = await startCluster({
      cluster: 'watching',
      nodes: { node1: { id: 1 }, node2: { id: 2 } },
      componentTypes: {
        watched: {
          run: RUN,
          healthChecks: { asked: { periodMs: 100 }, own: { periodMs: 10_000 } },
        },
      },
      serviceGroups: {
        watchedSG: {
          redundancy: '2N',
          serviceUnits: { u1: unit(1), u2: unit(2) },
          serviceInstances: { [SI]: { csis: { watchedCSI: { name: 'watched' } } } },
        },
      },
    })
    connection = await cluster.connect()
  }, TEST_MS)
  afterAll(() => cluster?.stop(), TEST_MS)

  const client = () => connection.rmd.client(Watched, { to: '@watched', timeoutMs: WAIT_MS })
  const pidNow = async (): Promise<number> => (await client().process({})).pid
  const settled = () => cluster.until((view) => view.settled, WAIT_MS)
  /** First causes of what happened to the active role since a moment. */
  const causesSince = (count: number): string[] =>
    cluster
      .history()
      .slice(count)
      .flatMap(({ causes }) => causes)

  it('health checks of its own: asked once a period; one that it fails restarts it', async () => {
    const active = (await settled()).active(SI)
    const before = await pidNow()
    await client().begin({ key: 'asked', invocation: 'AMF_INVOKED' })
    const countOf = async () => (await client().asked({ key: 'asked' })).count
    await expect.poll(countOf, { timeout: WAIT_MS }).toBeGreaterThan(2)
    await expect(client().begin({ key: 'none', invocation: 'AMF_INVOKED' })).rejects.toMatchObject({
      code: 'NOT_EXIST',
    })

    await client().begin({ key: 'own', invocation: 'COMPONENT_INVOKED' })
    await client().confirm({ key: 'own' })
    expect(await pidNow()).toBe(before)
    const seen = cluster.history().length
    // Its answer may die with it.
    await client()
      .confirm({ key: 'own', error: 'the disk is full' })
      .catch(() => undefined)
    await expect.poll(pidNow, { timeout: WAIT_MS }).not.toBe(before)
    expect((await settled()).active(SI)).toBe(active)
    expect(causesSince(seen).join('\n')).toMatch(/the disk is full/)
  })

  it('a process that it has monitored: its end is the component’s failure', async () => {
    const active = (await settled()).active(SI)
    const before = await pidNow()
    const { pid } = await client().child({})
    const seen = cluster.history().length
    process.kill(pid, 'SIGKILL')
    await expect.poll(pidNow, { timeout: WAIT_MS }).not.toBe(before)
    expect((await settled()).active(SI)).not.toBe(active)
    expect(causesSince(seen).join('\n')).toMatch(new RegExp(`process ${String(pid)}`))
  })

  it('a protection group that it tracks: it hears of the failover that makes it ACTIVE', async () => {
    const active = (await settled()).active(SI) === 'u1' ? 'w1' : 'w2'
    const other = active === 'w1' ? 'w2' : 'w1'
    await cluster.kill(active)
    const told = async () => (await client().told({})).news
    await expect
      .poll(told, { timeout: WAIT_MS })
      .toEqual(expect.arrayContaining([`${active} ACTIVE REMOVED`, `${other} ACTIVE STATE_CHANGE`]))
    await settled()
    await expect.poll(told, { timeout: WAIT_MS }).toContain(`${active} STANDBY ADDED`)
  })
})
