import { describe, expect, it } from 'vitest'
import type { Connection } from '../../dist/runtime/index.js'
import { Probe } from '../../dist/test/fixtures/services/names.js'
import { startThree } from './support.ts'

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
    const cluster = await startThree('service', 'services/component')
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
