import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { type Cluster, startCluster } from '../../dist/amf/testkit/index.js'
import type { Connection } from '../../dist/runtime/index.js'
import { Accounts, type Death } from '../../dist/test/fixtures/services/accounts.js'
import { threeOf } from './support.ts'

const NODES = [1, 2, 3]

/** Shared: ends of a transaction are what is looked at, not of a cluster. */
let cluster: Cluster
let connection: Connection
let directory: string

beforeAll(async () => {
  directory = mkdtempSync(join(tmpdir(), 'hf-txn-'))
  cluster = await startCluster(threeOf('account', 'services/accounts-component'))
  connection = await cluster.connect()
})

afterAll(async () => {
  await cluster?.stop()
  rmSync(directory, { recursive: true, force: true })
})

const transfer = (
  name: string,
  of: { readonly client: string; readonly participants: string[]; readonly death: Death | null },
): Promise<string> => {
  const { client, participants, death } = of
  return connection.rmd
    .client(Accounts, { to: `@${client}`, timeoutMs: 20_000 })
    .transfer({ directory, name, participants, death })
    .then(
      ({ code }) => code,
      (error: { readonly code: string }) => error.code,
    )
}

/** Who has done what, once everybody has done `what`. */
async function all(name: string, participants: readonly string[], what: string): Promise<void> {
  const wanted = participants.map((one) => `${one} ${what}`)
  const lines = (): string[] => readFileSync(join(directory, name), 'utf8').split('\n')
  await expect
    .poll(lines, { timeout: 20_000, interval: 20 })
    .toEqual(expect.arrayContaining(wanted))
  const other = what === 'commit' ? 'rollback' : 'commit'
  expect(lines().filter((line) => line.endsWith(other))).toEqual([])
}

/** Each node has its agent again. */
async function whole(): Promise<void> {
  const names = NODES.map((n) => `account${n}`)
  let count = 0
  const probe = (): Promise<string> =>
    transfer(`whole${count++}`, { client: 'account1', participants: names, death: null })
  await expect.poll(probe, { timeout: 20_000, interval: 50 }).toBe('OK')
}

describe('transactions of real components', () => {
  const both = ['account2', 'account3']
  it.each<[string, Death, string, string]>([
    [
      'a participant dies when it has prepared',
      { agent: 'account2', phase: 'prepare', when: 'after', whom: 'self' },
      'TRANSACTION_ROLLED_BACK',
      'rollback',
    ],
    [
      'a participant dies before it commits',
      { agent: 'account2', phase: 'commit', when: 'before', whom: 'self' },
      'OK',
      'commit',
    ],
    [
      'its node process dies before it commits',
      { agent: 'account3', phase: 'commit', when: 'before', whom: 'node' },
      'OK',
      'commit',
    ],
  ])('%s', async (name, death, code, what) => {
    await whole()
    const of = { client: 'account1', participants: both, death }
    expect(await transfer(name, of)).toBe(code)
    await all(name, both, what)
  })

  it('the leading node dies, and with it the client', async () => {
    await whole()
    const leading = (await cluster.refresh()).status.director?.node ?? ''
    const whom = cluster.processes().find(({ kind, name }) => kind === 'node' && name === leading)
    const client = leading.replace('node', 'account')
    const participants = NODES.map((n) => `account${n}`).filter((one) => one !== client)
    const [agent = ''] = participants
    const death = { agent, phase: 'prepare', when: 'before', whom: whom?.pid ?? 0 } as const
    const under = transfer('leader', { client, participants, death })
    await all('leader', participants, 'commit')
    expect(await under).not.toBe('OK')
  })

  it('all die between the decision and its end, and come back', async () => {
    await whole()
    const death = { agent: 'account3', phase: 'commit', when: 'before', whom: 'nobody' } as const
    const under = transfer('all', { client: 'account1', participants: both, death })
    await expect
      .poll(() => readFileSync(join(directory, 'all'), 'utf8'), { timeout: 20_000, interval: 20 })
      .toContain('account2 commit')
    await cluster.killAll()
    await cluster.start()
    await cluster.until((s) => s.settled, 30_000)
    await all('all', both, 'commit')
    await under
  })
})
