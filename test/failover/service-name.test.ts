import { fileURLToPath } from 'node:url'
import { describe, expect, it } from 'vitest'
import type { Cluster } from '../../dist/amf/testkit/index.js'
import type { Connection } from '../../dist/runtime/index.js'
import { Probe } from '../../dist/test/fixtures/services/names.js'
import { testCluster } from './support.ts'

const COMPONENT = fileURLToPath(
  new URL('../../dist/test/fixtures/services/component.js', import.meta.url),
)

/** One component on each of three nodes: service1, service2, service3. */
async function start(): Promise<Cluster> {
  const units = [1, 2, 3].map((n) => [
    `serviceSU${n}`,
    { rank: n, node: `node${n}`, components: { [`service${n}`]: 'service' } },
  ])
  const cluster = await testCluster({
    cluster: 'services',
    nodes: { node1: {}, node2: {}, node3: {} },
    componentTypes: { service: { run: COMPONENT } },
    serviceGroups: {
      serviceSG: {
        redundancy: '2N',
        serviceUnits: Object.fromEntries(units) as Record<string, unknown>,
        serviceInstances: { serviceSI: { csis: { serviceCSI: {} } } },
      },
    },
  })
  await cluster.until((s) => s.settled && s.active('serviceSI') !== null, 15_000)
  return cluster
}

const probe = (connection: Connection, to: string) =>
  connection.rmd.client(Probe, { to, timeoutMs: 5_000 })

async function ask(
  connection: Connection,
  to: string,
  [of, method, argument]: readonly ['name' | 'group', string, unknown],
): Promise<unknown> {
  const { json } = await probe(connection, to)[of]({ method, argument: JSON.stringify(argument) })
  return JSON.parse(json) as unknown
}

const who = async (connection: Connection, to: string): Promise<string> =>
  probe(connection, to)
    .who({})
    .then(
      ({ component }) => component,
      (error: { readonly code: string }) => error.code,
    )

describe('names of real components', () => {
  it('lead calls to the best provider, through the end of component and leading node', async () => {
    const cluster = await start()
    const connection = await cluster.connect()
    const names = ['@service1', '@service2', '@service3']
    expect(await Promise.all(names.map((name) => who(connection, name)))).toEqual([
      'service1',
      'service2',
      'service3',
    ])
    const shared = (priority: string) => ({ name: 'shared', objectReference: 5, priority })
    await ask(connection, '@service1', ['name', 'register', shared('HIGH')])
    await ask(connection, '@service2', ['name', 'register', shared('MEDIUM')])
    await ask(connection, '@service3', ['name', 'register', shared('LOW')])
    await expect.poll(() => who(connection, '@shared')).toBe('service1')

    await cluster.kill('service1')
    await expect.poll(() => who(connection, '@shared'), { timeout: 10_000 }).toBe('service2')
    // Started again, it registers again.
    await expect.poll(() => who(connection, '@service1'), { timeout: 10_000 }).toBe('service1')

    const leading = (await cluster.refresh()).status.director?.node
    const victim = leading === 'node3' ? 'node2' : (leading ?? 'node1')
    const many = Array.from({ length: 50 }, (_, index) => index)
    const under = many.map((index) =>
      ask(connection, '@service3', ['name', 'register', { name: `n${index}` }]),
    )
    await cluster.kill(victim)
    const references = await Promise.all(under)
    expect(new Set(references).size).toBe(many.length)
    const found = many.map((index) =>
      ask(connection, '@service3', ['name', 'objectReferenceGet', { name: `n${index}` }]),
    )
    expect(await Promise.all(found)).toEqual(references)
    const told = JSON.parse((await probe(connection, '@service3').told({})).json) as {
      readonly names: readonly string[]
    }
    expect(told.names).toContain('COMPONENT_DEATH shared service1')
  }, 40_000)
})
