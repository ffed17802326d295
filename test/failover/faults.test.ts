import { fileURLToPath } from 'node:url'
import { afterEach, describe, expect, it } from 'vitest'
import { isSdkError } from '../../dist/idl/index.js'
import type { Cluster } from '../../dist/amf/testkit/index.js'
import { Faults, Work } from '../../dist/test/fixtures/faults/faults.js'
import { sharedCluster } from './support.ts'

const TEST_MS = 60_000
const COMPONENT = fileURLToPath(
  new URL('../../dist/test/fixtures/faults/component.js', import.meta.url),
)

/** Faults of the components of a group; the type's members that this takes. */
interface Group {
  readonly first?: string
  readonly second?: string
  readonly type?: Readonly<Record<string, unknown>>
}

/**
 * 2N pairs on two nodes, each for one fault: NAME1 and NAME2 in NAMESU1 and NAMESU2, for NAMESI, called NAME. The first
 * one becomes ACTIVE, however slowly it starts, unless the time for that is cut short.
 */
function model(
  groups: Readonly<Record<string, Group>>,
  startupTimeoutMs = 60_000,
): Record<string, unknown> {
  const unit = (name: string, index: 1 | 2, fault?: string) => ({
    [`${name}SU${index}`]: {
      node: `node${index}`,
      rank: index,
      components: {
        [`${name}${index}`]: {
          type: fault === undefined ? 'good' : name,
          env: { CSI: `${name}CSI`, ...(fault !== undefined && { FAULT: fault }) },
        },
      },
    },
  })
  const good = {
    run: COMPONENT,
    healthCheck: { periodMs: 200, timeoutMs: 1_500 },
    instantiateTimeoutMs: 20_000,
    instantiateAttemptsMax: 2,
    busyHoldMs: 200,
  }
  const entries = Object.entries(groups)
  return {
    cluster: 'faults',
    startupTimeoutMs,
    nodes: { node1: {}, node2: {} },
    componentTypes: {
      good,
      ...Object.fromEntries(entries.map(([name, { type }]) => [name, { ...good, ...type }])),
    },
    serviceGroups: Object.fromEntries(
      entries.map(([name, { first, second }]) => [
        `${name}SG`,
        {
          redundancy: '2N',
          serviceUnits: { ...unit(name, 1, first), ...unit(name, 2, second) },
          serviceInstances: { [`${name}SI`]: { csis: { [`${name}CSI`]: { name } } } },
        },
      ]),
    ),
  }
}

/** After every fault: exactly one active, no orphan, no zombie, no invariant broken. */
async function expectSound(cluster: Cluster, group: string): Promise<void> {
  const view = await cluster.until((s) => s.active(`${group}SI`) !== null, 15_000)
  expect(view.holders(`${group}SI`, 'ACTIVE')).toHaveLength(1)
  const processes = cluster.processes()
  expect(processes.filter((one) => one.state === 'Z' || one.kind === 'other')).toEqual([])
  for (const node of ['node1', 'node2'])
    expect(cluster.log(node, 2_000_000)).not.toContain('invariant broken')
}

async function clientsOf(cluster: Cluster, group: string) {
  const connection = await cluster.connect()
  const options = { to: `@${group}`, atMostOnce: true, timeoutMs: 10_000 } as const
  return {
    faults: connection.rmd.client(Faults, options),
    work: connection.rmd.client(Work, options),
  }
}

/** All of them at once: what takes its time takes it beside the others. */
describe('a component that never becomes ready', { timeout: TEST_MS }, () => {
  const ready = sharedCluster(
    model(
      {
        exit: { first: 'exitInInitialize' },
        throw: { first: 'throwInInitialize' },
        never: { first: 'neverRegister', type: { instantiateTimeoutMs: 1_500 } },
      },
      3_000,
    ),
    { waitFor: 'director' },
  )

  it.each(['exit', 'throw', 'never'])(
    '%s: instantiation failed, the other one serves',
    async (group) => {
      const cluster = await ready()
      await cluster.until((s) => s.active(`${group}SI`) === `${group}SU2`, 30_000)
      const view = await cluster.until(
        (s) =>
          s.status.serviceUnits.find((su) => su.name === `${group}SU1`)?.presence ===
          'INSTANTIATION_FAILED',
        30_000,
      )
      expect(view.component(`${group}1`).pid).toBeNull()
      const { faults } = await clientsOf(cluster, group)
      expect(await faults.count({})).toEqual({ value: 1 })
      expect(cluster.processes().filter((one) => one.name === `${group}1`)).toEqual([])
      await expectSound(cluster, group)
    },
  )
})

describe('a component that does not take its role, or gives it back', { timeout: TEST_MS }, () => {
  const ready = sharedCluster(
    model({
      refuses: { first: 'failACTIVE' },
      hangs: { first: 'hangACTIVE', type: { csiSetTimeoutMs: 1_500 } },
      alone: { second: 'failSTANDBY' },
      slow: { first: 'slowACTIVE', second: 'slowACTIVE' },
      stays: { first: 'hangTerminate' },
    }),
    { waitFor: 'director' },
  )

  it.each(['refuses', 'hangs'])('%s: the other one becomes active', async (group) => {
    const cluster = await ready()
    await cluster.until((s) => s.active(`${group}SI`) === `${group}SU2`, 30_000)
    const { faults } = await clientsOf(cluster, group)
    expect(await faults.count({})).toEqual({ value: 1 })
    expect((await cluster.refresh()).holders(`${group}SI`, 'ACTIVE')).toEqual([`${group}SU2`])
    await expectSound(cluster, group)
  })

  it('an error for STANDBY leaves the active alone', async () => {
    const cluster = await ready()
    const before = await cluster.until((s) => s.active('aloneSI') === 'aloneSU1', 30_000)
    const { faults } = await clientsOf(cluster, 'alone')
    for (let value = 1; value <= 20; value += 1) expect(await faults.count({})).toEqual({ value })
    const after = await cluster.refresh()
    expect(after.component('alone1').pid).toBe(before.component('alone1').pid)
    await expectSound(cluster, 'alone')
  })

  it('killed, and the standby in the middle of its promotion: nothing counted is lost', async () => {
    const cluster = await ready()
    const both = (): Promise<unknown> =>
      cluster.until(
        (s) => s.active('slowSI') !== null && s.holders('slowSI', 'STANDBY').length === 1,
        30_000,
      )
    await both()
    const active = (await cluster.refresh()).activeComponent('slowSI')?.name ?? ''
    const standby = active === 'slow1' ? 'slow2' : 'slow1'
    const { faults } = await clientsOf(cluster, 'slow')
    expect(await faults.count({})).toEqual({ value: 1 })
    const taken = countIn(cluster, standby, 'taking ACTIVE')
    await cluster.kill(active)
    await expect
      .poll(() => countIn(cluster, standby, 'taking ACTIVE'), { timeout: 15_000, interval: 5 })
      .toBeGreaterThan(taken)
    await cluster.kill(standby)
    await both()
    expect(await faults.count({})).toEqual({ value: 2 })
    await expectSound(cluster, 'slow')
  })

  it('an orderly stop ends also a component that does not answer terminate', async () => {
    const cluster = await ready()
    await cluster.until((s) => s.component('stays1').pid !== null, 30_000)
    await cluster.stop()
    expect(cluster.processes()).toEqual([])
  })
})

const countIn = (cluster: Cluster, name: string, text: string): number =>
  cluster.log(name, 1_000_000).split(text).length - 1

describe('faults of a pair that serves', { timeout: TEST_MS }, () => {
  const ready = sharedCluster(model({ fault: {} }))
  const SI = 'faultSI'
  let cluster: Cluster
  afterEach(() => expectSound(cluster, 'fault'))

  /** A settled pair, its callers, and how far it has counted. */
  async function pair() {
    cluster = await ready()
    const before = await cluster.until((s) => s.settled, 20_000)
    const { faults, work } = await clientsOf(cluster, 'fault')
    const { value } = await faults.count({})
    return { before, faults, work, value }
  }

  it('a handler that throws answers HANDLER_FAILED and nothing else happens', async () => {
    const { before, faults, value } = await pair()
    await expect(faults.throwing({})).rejects.toMatchObject({ code: 'HANDLER_FAILED' })
    expect(await faults.count({})).toEqual({ value: value + 1 })
    expect((await cluster.refresh()).activeComponent(SI)).toEqual(before.activeComponent(SI))
  })

  it('an event loop blocked for 500 ms again and again is not replaced', async () => {
    const { before, faults, value } = await pair()
    await faults.block({ ms: 500, times: 6 })
    for (let n = 1; n <= 10; n += 1) expect(await faults.count({})).toEqual({ value: value + n })
    const after = await cluster.refresh()
    expect(after.activeComponent(SI)).toEqual(before.activeComponent(SI))
    await cluster.until(({ status }) => status.alarms.length === 0, 5_000)
    // A function that is stuck past its deadline: an alarm until it comes back.
    const error = await faults.stick({ ms: 1_500 }, { timeoutMs: 100 }).catch((e: unknown) => e)
    expect(isSdkError(error, 'TIMEOUT')).toBe(true)
    const entity = before.activeComponent(SI)?.name
    const raised = await cluster.until(({ status }) => status.alarms.length > 0, 5_000)
    expect(raised.status.alarms).toEqual([{ entity, text: 'busy' }])
    await cluster.until(({ status }) => status.alarms.length === 0, 5_000)
  })

  it('a worker that exits or runs out of memory fails only its own job', async () => {
    const { before, work } = await pair()
    const squares = Array.from({ length: 50 }, (_, n) => work.square({ n }))
    const bad = [work.exit({}), work.fill({}, { timeoutMs: 60_000 })].map((one) =>
      one.then(
        () => 'answered',
        (error: unknown) => (isSdkError(error) ? error.code : String(error)),
      ),
    )
    const more = Array.from({ length: 50 }, (_, n) => work.square({ n }))
    const answers = await Promise.all([...squares, ...more])
    expect(answers.map((one) => one.n)).toEqual(
      [...Array(50).keys(), ...Array(50).keys()].map((n) => n * n),
    )
    expect(await Promise.all(bad)).toEqual(['WORKER_DIED', 'WORKER_DIED'])
    const after = await cluster.refresh()
    expect(after.activeComponent(SI)).toEqual(before.activeComponent(SI))
  })

  it('an event loop blocked for ever is hung and replaced', async () => {
    const { before, faults, value } = await pair()
    await cluster.block(before.activeComponent(SI)?.name ?? '', 60_000)
    await cluster.until((s) => s.active(SI) === before.standby(SI), 20_000)
    expect(await faults.count({})).toEqual({ value: value + 1 })
    const change = cluster.history().findLast((one) => one.to === 'ACTIVE')
    expect(change?.causes.join(' ')).toMatch(/hung|no progress/)
  })

  it('an uncaught error ends the process with a crash record; the standby takes over', async () => {
    const { before, faults, value } = await pair()
    await faults.crash({})
    await cluster.until((s) => s.active(SI) === before.standby(SI), 15_000)
    expect(await faults.count({})).toEqual({ value: value + 1 })
    const change = cluster.history().findLast((one) => one.to === 'ACTIVE')
    expect(change?.causes.join(' ')).toContain('a bug outside any call')
  })

  it('kill -9 of the component while a worker job runs: the caller hears of it', async () => {
    const { before, work } = await pair()
    const held = work.hold({ ms: 8_000 }, { timeoutMs: 3_000 }).then(
      () => 'answered',
      (error: unknown) => (isSdkError(error) ? error.code : String(error)),
    )
    await work.square({ n: 1 })
    const startedMs = performance.now()
    await cluster.kill(before.activeComponent(SI)?.name ?? '')
    await cluster.until((s) => s.active(SI) === before.standby(SI), 15_000)
    // Sent again to the new active by its at-most-once rules, or failed by code: never silent past its deadline.
    expect(['COMP_UNREACHABLE', 'TIMEOUT']).toContain(await held)
    expect(performance.now() - startedMs).toBeLessThan(5_000)
    expect(await work.square({ n: 3 })).toMatchObject({ n: 9 })
  })
})
