import { spawn } from 'node:child_process'
import { mkdtempSync, realpathSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { stringify } from 'yaml'
import type { Cluster } from '../../dist/amf/testkit/index.js'
import { Faults } from '../../dist/test/fixtures/faults/faults.js'
import { expectNothingLost, startLoad, testCluster } from './support.ts'

const TOOL = fileURLToPath(new URL('../../dist/amf/cli/main.js', import.meta.url))
const fileIn = (path: string): string =>
  fileURLToPath(new URL(`../../dist/${path}/component.js`, import.meta.url))
const TEST_MS = 60_000
const WAIT_MS = 15_000

let directory = ''
beforeAll(() => {
  directory = mkdtempSync(join(realpathSync(tmpdir()), 'hfm-'))
})
afterAll(() => rmSync(directory, { recursive: true, force: true }))

interface Wanted {
  /** By unit: the node that it is on. */
  readonly first: Readonly<Record<string, string>>
  readonly second?: Readonly<Record<string, string>>
}

/** A model with the sequence service and perhaps another one, on the nodes that their units name. */
function modelOf({ first, second }: Wanted): string {
  const group = (type: string, units: Wanted['first'], name: string, csi: string) => ({
    redundancy: '2N',
    serviceUnits: Object.fromEntries(
      Object.entries(units).map(([unit, node]) => [
        unit,
        { node, components: { [`${unit}-c`]: type } },
      ]),
    ),
    serviceInstances: {
      [`${name}SI`]: { csis: { [csi]: { name, attributes: { start: 1 } } } },
    },
  })
  const nodes = new Set([...Object.values(first), ...Object.values(second ?? {})])
  const healthCheck = { periodMs: 500, timeoutMs: 4_000 }
  return stringify({
    cluster: 'changing',
    nodes: Object.fromEntries(
      [...nodes].sort().map((name) => [name, { id: Number(name.slice(-1)) }]),
    ),
    componentTypes: {
      sequence: { run: fileIn('samples/sequence'), healthCheck },
      counter: { run: fileIn('test/fixtures/faults'), healthCheck },
    },
    serviceGroups: {
      first: group('sequence', first, 'sequence', 'sequenceCSI'),
      ...(second && { second: group('counter', second, 'second', 'faultCSI') }),
    },
  })
}

let files = 0
function fileOf(wanted: Wanted): string {
  const path = join(directory, `${(files += 1)}.yaml`)
  writeFileSync(path, modelOf(wanted))
  return path
}

function apply(
  cluster: Cluster,
  file: string,
  ...more: string[]
): Promise<{ code: number | null; stdout: string; stderr: string }> {
  const argv = [TOOL, 'apply', file, '--run-dir', cluster.runDir, '--timeout', '30', ...more]
  const child = spawn(process.execPath, argv, { stdio: ['ignore', 'pipe', 'pipe'] })
  let [stdout, stderr] = ['', '']
  child.stdout.on('data', (data: Buffer) => void (stdout += data.toString()))
  child.stderr.on('data', (data: Buffer) => void (stderr += data.toString()))
  return new Promise((resolve) => child.once('close', (code) => resolve({ code, stdout, stderr })))
}

const PAIR = { a1: 'node1', a2: 'node2' }
const SECOND = { b1: 'node2', b2: 'node3' }

/** Processes and roles of the first group: what no change of the rest may move. */
async function holdersOf(cluster: Cluster, names: readonly string[]) {
  const { status } = await cluster.refresh()
  return {
    units: status.serviceUnits.filter(({ name }) => names.includes(name)),
    instance: status.serviceInstances.find(({ name }) => name === 'sequenceSI'),
  }
}

describe('the model of a running cluster', { timeout: TEST_MS }, () => {
  it('grows and shrinks under load, and nothing else is disturbed', async () => {
    const cluster = await testCluster(fileOf({ first: PAIR }))
    const load = await startLoad(cluster)
    const before = await holdersOf(cluster, ['a1', 'a2'])
    const { epoch } = load

    const grown = fileOf({ first: PAIR, second: SECOND })
    const dry = await apply(cluster, grown, '--dry-run')
    expect([dry.code, dry.stderr]).toEqual([0, ''])
    expect(dry.stdout).toContain('+ serviceGroups.second.serviceUnits.b2.components.b2-c')
    expect((await cluster.refresh()).status.nodes).toHaveLength(2)

    expect(await apply(cluster, grown)).toMatchObject({ code: 0, stderr: '' })
    // The process of node3 is started by whoever supervises the others.
    await cluster.until((view) => view.settled && view.status.nodes.length === 3, WAIT_MS)
    const client = (await cluster.connect()).rmd.client(Faults, { to: '@second' })
    expect(await client.count({})).toEqual({ value: 1 })
    expect(await holdersOf(cluster, ['a1', 'a2'])).toEqual(before)
    expect(load.epoch).toBe(epoch)

    for (const operation of ['lock', 'lock-instantiation'] as const) {
      await cluster.admin(operation, 'second')
    }
    expect(await apply(cluster, fileOf({ first: PAIR }))).toMatchObject({ code: 0, stderr: '' })
    await cluster.until(({ status }) => status.nodes.length === 2, WAIT_MS)
    const refused = (): Promise<unknown> =>
      client.count({}, { timeoutMs: 200 }).catch((error: unknown) => error)
    await expect.poll(refused, { timeout: WAIT_MS }).toMatchObject({ code: 'NAME_NOT_FOUND' })
    expect(await holdersOf(cluster, ['a1', 'a2'])).toEqual(before)
    expect(load.epoch).toBe(epoch)
    await expectNothingLost(load)
    const gone = (): boolean => cluster.processes().every(({ name }) => name !== 'node3')
    await cluster.until(gone, WAIT_MS)
  })

  it('is refused whole, with every reason, while something that is to go serves', async () => {
    const cluster = await testCluster(fileOf({ first: PAIR }))
    const before = await holdersOf(cluster, ['a1', 'a2'])
    const { code, stderr } = await apply(cluster, fileOf({ first: { a1: 'node2', a3: 'node1' } }))
    expect(code).toBe(4)
    expect(stderr).toMatch(/a1\.node: cannot change: a1 is UNLOCKED; "holdfast lock a1"/)
    expect(stderr).toMatch(/a2: cannot be removed: a2 is UNLOCKED/)
    expect(await holdersOf(cluster, ['a1', 'a2', 'a3'])).toEqual(before)
  })

  it('is the new one or the old one, never half, when the director is killed over it', async () => {
    const cluster = await testCluster(fileOf({ first: PAIR }))
    const load = await startLoad(cluster)
    const grown = fileOf({ first: { ...PAIR, a3: 'node3' }, second: SECOND })
    const director = cluster.view?.director ?? ''
    const applied = apply(cluster, grown)
    // Wherever in the middle this is: the same request is answered by whoever directs next.
    await cluster.kill(director)
    expect(await applied).toMatchObject({ code: 0 })
    const view = await cluster.until((v) => v.settled && v.status.nodes.length === 3, WAIT_MS * 2)
    expect(view.status.serviceUnits.map(({ name }) => name)).toContain('a3')
    await expectNothingLost(load)

    // Everything dies: what was applied is what comes back, and "up" says so.
    await cluster.killAll()
    await cluster.start()
    await cluster.until((v) => v.settled && v.status.nodes.length === 3, WAIT_MS * 2)
    expect(cluster.log('up', 1_000_000)).toMatch(
      /using model 1, applied to this cluster .*which differs/,
    )
  })
})
