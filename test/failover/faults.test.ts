import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest'
import { isSdkError } from '../../dist/idl/index.js'
import type { Cluster } from '../../dist/amf/testkit/index.js'
import { Faults, Work } from '../../dist/test/fixtures/faults/faults.js'
import { testCluster } from './support.ts'

const TEST_MS = 60_000
const COMPONENT = fileURLToPath(
  new URL('../../dist/test/fixtures/faults/component.js', import.meta.url),
)
let folder = ''
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'hf-faults-'))
})
afterAll(() => rmSync(folder, { recursive: true, force: true }))

let current: Cluster | null = null

/** After every fault: exactly one active, no orphan, no zombie, no invariant broken. */
afterEach(async () => {
  const cluster = current
  current = null
  if (cluster === null) return
  const view = await cluster.until((s) => s.active(SI) !== null, 15_000)
  expect(view.holders(SI, 'ACTIVE')).toHaveLength(1)
  const processes = cluster.processes()
  expect(processes.filter((one) => one.state === 'Z' || one.kind === 'other')).toEqual([])
  for (const node of ['node1', 'node2'])
    expect(cluster.log(node, 2_000_000)).not.toContain('invariant broken')
})

async function faultyCluster(...options: Parameters<typeof testCluster>): Promise<Cluster> {
  current = await testCluster(...options)
  return current
}

/** A 2N pair on two nodes; each component may be given faults. */
function model(faults: { readonly fault1?: string; readonly fault2?: string } = {}): string {
  const unit = (index: 1 | 2): string => {
    const fault = faults[`fault${index}`]
    const env = fault === undefined ? '' : `, env: { FAULT: '${fault}' }`
    return `      faultSU${index}: { node: node${index}, rank: ${index}, components: { fault${index}: { type: fault${env} } } }`
  }
  const text = `cluster: faults
startupTimeoutMs: 4000
nodes: { node1: {}, node2: {} }
componentTypes:
  fault:
    run: ${COMPONENT}
    healthCheck: { periodMs: 200, timeoutMs: 1500 }
    instantiateTimeoutMs: ${Object.values(faults).includes('neverRegister') ? 3000 : 10000}
    instantiateAttemptsMax: 2
    csiSetTimeoutMs: 1500
    busyHoldMs: 200
serviceGroups:
  faultSG:
    redundancy: 2N
    serviceUnits:
${unit(1)}
${unit(2)}
    serviceInstances:
      faultSI: { csis: { faultCSI: { name: fault } } }
`
  const path = join(folder, `${Object.values(faults).join('-') || 'none'}.yaml`)
  writeFileSync(path, text)
  return path
}

const options = { to: '@fault', atMostOnce: true, timeoutMs: 10_000 } as const
const SI = 'faultSI'

async function faultsOf(cluster: Cluster) {
  const connection = await cluster.connect()
  return {
    faults: connection.rmd.client(Faults, options),
    work: connection.rmd.client(Work, options),
  }
}

describe('a component that never becomes ready', { timeout: TEST_MS }, () => {
  it.each(['exitInInitialize', 'throwInInitialize', 'neverRegister'])(
    '%s: instantiation failed, the other one serves',
    async (fault) => {
      const cluster = await faultyCluster(model({ fault1: fault }), { waitFor: 'director' })
      await cluster.until((s) => s.active(SI) === 'faultSU2', 30_000)
      const view = await cluster.until(
        (s) =>
          s.status.serviceUnits.find((su) => su.name === 'faultSU1')?.presence ===
          'INSTANTIATION_FAILED',
        30_000,
      )
      expect(view.component('fault1').pid).toBeNull()
      const { faults } = await faultsOf(cluster)
      expect(await faults.count({})).toEqual({ value: 1 })
      expect(cluster.processes().filter((one) => one.name === 'fault1')).toEqual([])
    },
  )
})

describe('a component that does not take its role', { timeout: TEST_MS }, () => {
  it.each(['failACTIVE', 'hangACTIVE'])('%s: the other one becomes active', async (fault) => {
    const cluster = await faultyCluster(model({ fault1: fault }), { waitFor: 'director' })
    await cluster.until((s) => s.active(SI) === 'faultSU2', 30_000)
    const { faults } = await faultsOf(cluster)
    expect(await faults.count({})).toEqual({ value: 1 })
    expect((await cluster.refresh()).holders(SI, 'ACTIVE')).toEqual(['faultSU2'])
  })

  it('an error for STANDBY leaves the active alone', async () => {
    const cluster = await faultyCluster(model({ fault2: 'failSTANDBY' }), { waitFor: 'director' })
    const before = await cluster.until((s) => s.active(SI) === 'faultSU1', 30_000)
    const { faults } = await faultsOf(cluster)
    for (let value = 1; value <= 20; value += 1) expect(await faults.count({})).toEqual({ value })
    const after = await cluster.refresh()
    expect(after.component('fault1').pid).toBe(before.component('fault1').pid)
  })
})

describe('kill -9 of the active', { timeout: TEST_MS }, () => {
  it('and of the standby in the middle of its promotion: nothing counted is lost', async () => {
    const cluster = await faultyCluster(model({ fault1: 'slowACTIVE', fault2: 'slowACTIVE' }))
    const before = await cluster.refresh()
    const active = before.activeComponent(SI)?.name ?? ''
    const standby = active === 'fault1' ? 'fault2' : 'fault1'
    const { faults } = await faultsOf(cluster)
    expect(await faults.count({})).toEqual({ value: 1 })
    await cluster.kill(active)
    await untilLogged(cluster, standby, 'taking ACTIVE')
    await cluster.kill(standby)
    await cluster.until((s) => s.settled, 30_000)
    expect(await faults.count({})).toEqual({ value: 2 })
  })
})

async function untilLogged(cluster: Cluster, name: string, text: string): Promise<void> {
  const deadlineMs = performance.now() + 15_000
  while (!cluster.log(name, 1_000_000).includes(text)) {
    if (performance.now() > deadlineMs) throw new Error(`${name} did not log "${text}"`)
    await new Promise((resolve) => setTimeout(resolve, 5))
  }
}

describe('busy is not dead', { timeout: TEST_MS }, () => {
  it('an event loop blocked for 500 ms again and again is not replaced', async () => {
    const cluster = await faultyCluster(model())
    const before = await cluster.refresh()
    const { faults } = await faultsOf(cluster)
    await faults.block({ ms: 500, times: 6 })
    for (let value = 1; value <= 10; value += 1) expect(await faults.count({})).toEqual({ value })
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

  it('an event loop blocked for ever is hung and replaced', async () => {
    const cluster = await faultyCluster(model())
    const before = await cluster.refresh()
    const { faults } = await faultsOf(cluster)
    await faults.count({})
    await faults.block({ ms: 60_000, times: 1 })
    await cluster.until((s) => s.active(SI) === before.standby(SI), 20_000)
    expect(await faults.count({})).toEqual({ value: 2 })
    const change = cluster.history().findLast((one) => one.to === 'ACTIVE')
    expect(change?.causes.join(' ')).toMatch(/hung|no progress/)
    await cluster.until((s) => s.settled, 20_000)
  })
})

describe('workers', { timeout: TEST_MS }, () => {
  it('one that exits or runs out of memory fails only its own job', async () => {
    const cluster = await faultyCluster(model())
    const before = await cluster.refresh()
    const { work } = await faultsOf(cluster)
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

  it('kill -9 of the component while a worker job runs: the caller hears of it', async () => {
    const cluster = await faultyCluster(model())
    const { work } = await faultsOf(cluster)
    const held = work.hold({ ms: 30_000 }).then(
      () => 'answered',
      (error: unknown) => (isSdkError(error) ? error.code : String(error)),
    )
    const before = await cluster.refresh()
    await work.square({ n: 1 })
    const startedMs = performance.now()
    await cluster.kill(before.activeComponent(SI)?.name ?? '')
    await cluster.until((s) => s.active(SI) === before.standby(SI), 15_000)
    // Sent again to the new active by its at-most-once rules, or failed by code: never silent past its deadline.
    expect(['answered', 'COMP_UNREACHABLE', 'TIMEOUT']).toContain(await held)
    expect(performance.now() - startedMs).toBeLessThan(12_000)
    expect(await work.square({ n: 3 })).toMatchObject({ n: 9 })
  })
})

describe('bugs of the component', { timeout: TEST_MS }, () => {
  it('a handler that throws answers HANDLER_FAILED and nothing else happens', async () => {
    const cluster = await faultyCluster(model())
    const before = await cluster.refresh()
    const { faults } = await faultsOf(cluster)
    await expect(faults.throwing({})).rejects.toMatchObject({ code: 'HANDLER_FAILED' })
    expect(await faults.count({})).toEqual({ value: 1 })
    expect((await cluster.refresh()).activeComponent(SI)).toEqual(before.activeComponent(SI))
  })

  it('an uncaught error ends the process with a crash record; the standby takes over', async () => {
    const cluster = await faultyCluster(model())
    const before = await cluster.refresh()
    const { faults } = await faultsOf(cluster)
    await faults.count({})
    await faults.crash({})
    await cluster.until((s) => s.active(SI) === before.standby(SI), 15_000)
    expect(await faults.count({})).toEqual({ value: 2 })
    const change = cluster.history().findLast((one) => one.to === 'ACTIVE')
    expect(change?.causes.join(' ')).toContain('a bug outside any call')
  })
})

describe('an orderly stop', { timeout: TEST_MS }, () => {
  it('ends also a component that does not answer terminate', async () => {
    const cluster = await testCluster(model({ fault1: 'hangTerminate' }))
    await cluster.stop()
    expect(dirname(cluster.runDir)).not.toBe('')
    expect(cluster.processes()).toEqual([])
  })
})
