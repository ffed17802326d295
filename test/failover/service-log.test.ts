import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import type { Cluster } from '../../dist/amf/testkit/index.js'
import { holdfast, startThree } from './support.ts'

/** Machines may be busy. */
const SOON = { timeout: 10_000 }

const NAMES = ['logger1', 'logger2', 'logger3'] as const
const COUNT = 200

interface Shown {
  readonly node: string
  readonly component: string
  readonly text: string
  readonly severity: number
  readonly fields: Readonly<Record<string, unknown>>
}

/** `holdfast log --follow`, until it is stopped. */
function follow(cluster: Cluster, words: readonly string[]) {
  const shown: Shown[] = []
  const stop = new AbortController()
  let rest = ''
  const onText = (text: string): void => {
    const lines = (rest + text).split('\n')
    rest = lines.pop() ?? ''
    shown.push(...lines.map((line) => JSON.parse(line) as Shown))
  }
  const all = ['log', '--follow', '--json', ...words]
  const ended = holdfast(cluster, all, { signal: stop.signal, onText })
  return {
    shown,
    of: (component: string) =>
      shown.filter(({ text }) => text.startsWith(`${component} `)).map(({ fields }) => fields['n']),
    stop: () => {
      stop.abort()
      return ended
    },
  }
}

/** Records of the stream "poured" on the disks of all nodes. */
function poured({ runDir }: Cluster) {
  const records: { readonly component: string; readonly n: number }[] = []
  let lost = 0
  for (const node of ['node1', 'node2', 'node3']) {
    const directory = join(runDir, 'nodes', node, 'services/log/leader/log')
    const files = readdirSync(join(runDir, 'nodes', node, 'services/log'), { recursive: true })
    for (const file of files.map(String).filter((one) => /leader.log.poured\./.test(one))) {
      const text = readFileSync(join(directory, file.slice('leader/log/'.length)), 'utf8')
      // Behind the header; the last line may be half of one.
      for (const line of text.split('\n').slice(1, -1)) {
        const { component, fields } = JSON.parse(line) as {
          readonly component: string
          readonly fields: { readonly n?: number; readonly lost?: number }
        }
        lost += fields.lost ?? 0
        if (fields.n !== undefined) records.push({ component, n: fields.n })
      }
    }
  }
  const of = (name: string): Set<number> =>
    new Set(records.filter(({ component }) => component === name).map(({ n }) => n))
  return { lost, of }
}

async function share(cluster: Cluster, component: string, first: number): Promise<void> {
  const words = ['debug', component, 'share', String(first), String(COUNT)]
  const { code, stderr } = await holdfast(cluster, words)
  expect([code, stderr]).toEqual([0, ''])
}

describe('debug commands and log streams of real components', () => {
  it('work from the command line, through the end of component and leading node', async () => {
    const cluster = await startThree('logger', 'services/logging')

    const list = await holdfast(cluster, ['debug', 'logger3'])
    expect(list.stdout).toContain('logger3>:')
    expect(list.stdout).toContain('share    share FIRST COUNT')
    const failed = await holdfast(cluster, ['debug', 'logger1', 'fail', '--json'])
    expect([failed.code, JSON.parse(failed.stdout)]).toMatchObject([1, { text: 'as it was told' }])
    expect((await holdfast(cluster, ['debug', 'logger1', 'none'])).code).toBe(3)
    expect((await holdfast(cluster, ['debug', 'node9', 'help'])).code).toBe(3)

    // What may become of a command.
    const large = await holdfast(cluster, ['debug', 'logger1', 'large'])
    expect([large.code, large.stdout.length, large.stderr]).toEqual([
      0,
      262_145,
      'the output is cut after 262144 characters\n',
    ])
    const never = await holdfast(cluster, ['debug', 'logger1', 'never', '--timeout', '1'])
    expect([never.code, never.stdout]).toEqual([5, expect.stringContaining('never was given up')])
    const { pid } = (await cluster.refresh()).component('logger3')
    const died = await holdfast(cluster, ['debug', 'logger3', 'die'])
    expect([died.code, died.stderr]).toEqual([1, expect.stringContaining('it may have run')])
    await cluster.until((view) => {
      const now = view.component('logger3').pid
      return view.settled && now !== null && now !== pid
    }, 15_000)
    expect(cluster.log('logger3', 100_000).match(/"dying"/g)).toHaveLength(1)

    // Levels: of one component, of all.
    const app = follow(cluster, ['--stream', 'appStream', '--lines', '0'])
    await holdfast(cluster, ['debug', 'logger1', 'speak', 'unheard'])
    const set = await holdfast(cluster, ['log', '--level', 'debug', 'logger1'])
    expect(set.stdout).toBe('debug: logger1\n')
    // It shows what comes after its start, and may take long to start.
    const isFollowing = async (): Promise<number> => {
      await holdfast(cluster, ['debug', 'logger1', 'speak', 'anybody there'])
      return app.shown.length
    }
    await expect.poll(isFollowing, { timeout: 20_000 }).toBeGreaterThan(0)
    await holdfast(cluster, ['debug', 'logger1', 'speak', 'heard', 'well'])
    await holdfast(cluster, ['debug', 'logger2', 'speak', 'unheard'])
    expect((await holdfast(cluster, ['log', '--level', 'debug', '--all'])).code).toBe(0)
    await holdfast(cluster, ['debug', 'logger2', 'speak', 'by', 'all'])
    await expect.poll(() => app.shown.map(({ text }) => text), SOON).toContain('by all')
    expect(app.shown.filter(({ text }) => /heard|all/.test(text))).toMatchObject([
      { node: 'node1', component: 'logger1', severity: 8, fields: { words: ['heard', 'well'] } },
      { node: 'node2', component: 'logger2', severity: 8 },
    ])
    await app.stop()
    const read = await holdfast(cluster, ['log', 'logger1', '--stream', 'appStream'])
    expect(read.stdout).toMatch(/\(node1\.\d+ : logger1\.---\.---\.\d+ : DEBUG\) heard well/)
    expect(read.stdout).not.toContain('by all')

    const platform = await holdfast(cluster, ['log', '--stream', 'sysStream', '--node', 'node2'])
    expect(platform.stdout).toMatch(/\(node2\.\d+ : platform\.---\.---\.\d+ : INFO\)/)

    // A killed component's records that its node has are there.
    const shared = follow(cluster, ['--stream', 'shared'])
    await Promise.all(NAMES.map((name) => share(cluster, name, 0)))
    const numbers = (from: number) => Array.from({ length: COUNT }, (_, n) => from + n)
    for (const name of NAMES) {
      await expect.poll(() => shared.of(name), { timeout: 10_000 }).toEqual(numbers(0))
    }
    await cluster.kill('logger2')

    // The node that leads and has the files: the next one goes on, and the reader with it.
    const oldest = (await holdfast(cluster, ['log', '--files', '--json', '--stream', 'shared']))
      .stdout
    const { files } = JSON.parse(oldest) as { readonly files: readonly { readonly node: string }[] }
    expect(files).toHaveLength(1)
    const victim = files[0]?.node ?? ''
    const survivor = NAMES.find((name) => !name.endsWith(victim.slice(-1)) && name !== 'logger2')
    expect(survivor).toBeDefined()
    await cluster.kill(victim)
    await share(cluster, survivor ?? '', 1_000)
    await expect
      .poll(() => shared.of(survivor ?? ''), { timeout: 20_000 })
      .toEqual([...numbers(0), ...numbers(1_000)])
    const handled = async (): Promise<unknown> =>
      JSON.parse((await holdfast(cluster, ['debug', survivor ?? '', 'handled'])).stdout)
    await expect.poll(handled, SOON).toContain(`${survivor} ${1_000 + COUNT - 1}`)
    await shared.stop()
  }, 60_000)

  it('loses no record that is not counted when the node dies that has the files', async () => {
    const cluster = await startThree('logger', 'services/logging')
    const count = 10_000
    const pouring = NAMES.map((name) =>
      holdfast(cluster, ['debug', name, 'pour', String(count), '--timeout', '30']),
    )
    const owner = async (): Promise<string> => {
      const listed = await holdfast(cluster, ['log', '--files', '--json', '--stream', 'poured'])
      const { files = [] } = JSON.parse(listed.stdout) as {
        readonly files?: readonly { readonly node: string; readonly next: number }[]
      }
      return files.find(({ next }) => next > 3_000)?.node ?? ''
    }
    await expect.poll(owner, SOON).toMatch(/^node/)
    const victim = await owner()
    await cluster.kill(victim)
    const survivors = NAMES.filter((name) => !name.endsWith(victim.slice(-1)))
    const codes = (await Promise.all(pouring)).map(({ code }) => code)
    expect(codes.filter((code) => code === 0)).toHaveLength(2)
    // Everything that the living wrote is on a disk, or counted there.
    const unaccounted = (): number => {
      const { lost, of } = poured(cluster)
      const missing = survivors.reduce((sum, name) => sum + count - of(name).size, 0)
      return Math.max(0, missing - lost)
    }
    await expect.poll(unaccounted, { timeout: 20_000 }).toBe(0)
    // Of the dead one, what it had written up to some moment.
    const dead = [...poured(cluster).of(`logger${victim.slice(-1)}`)]
    const gaps = Math.max(-1, ...dead) + 1 - dead.length
    expect(gaps).toBeLessThanOrEqual(poured(cluster).lost)
    expect(dead.length).toBeGreaterThan(100)
  }, 90_000)
})
