import { fileURLToPath } from 'node:url'
import { expect, it } from 'vitest'
import { AppProbe } from '../../dist/test/fixtures/runtime/probe.js'
import { testCluster } from './support.ts'

const COMPONENT = fileURLToPath(
  new URL('../../dist/test/fixtures/runtime/app-component.js', import.meta.url),
)
const SI = 'appSI'

/** A 2N pair whose main threads are blocked for ever, one spinning, one asleep. */
const MODEL = {
  cluster: 'app',
  nodes: { node1: {}, node2: {} },
  componentTypes: {
    app: { run: COMPONENT, healthCheck: { periodMs: 200, timeoutMs: 2_000 } },
  },
  serviceGroups: {
    appSG: {
      redundancy: '2N',
      serviceUnits: {
        appSU1: {
          node: 'node1',
          rank: 1,
          components: { app1: { type: 'app', env: { MAIN: 'wait', CHECKPOINT: '1' } } },
        },
        appSU2: {
          node: 'node2',
          rank: 2,
          components: { app2: { type: 'app', env: { MAIN: 'spin', CHECKPOINT: '1' } } },
        },
      },
      serviceInstances: { appSI: { csis: { appCSI: { name: 'app' } } } },
    },
  },
}

it('a component whose main is blocked for ever fails over and serves on', async () => {
  const cluster = await testCluster(MODEL)
  const connection = await cluster.connect()
  const options = { to: '@app', atMostOnce: true, timeoutMs: 10_000 } as const
  const probe = connection.rmd.client(AppProbe, options)
  for (let value = 1; value <= 20; value += 1) {
    expect(await probe.next({})).toMatchObject({ value })
  }
  const before = await cluster.refresh()
  await cluster.kill('app1')
  for (let value = 21; value <= 40; value += 1) {
    expect(await probe.next({})).toMatchObject({ value })
  }
  await cluster.until((s) => s.active(SI) === 'appSU2' && s.settled, 20_000)
  // Back again, through an operator's swap: quiescing and promotion run on EO threads too.
  await cluster.admin('swap', SI)
  await cluster.until((s) => s.active(SI) === 'appSU1' && s.settled, 20_000)
  expect(await probe.next({})).toMatchObject({ value: 41 })
  const after = await cluster.refresh()
  expect(after.component('app2').pid).toBe(before.component('app2').pid)
})
