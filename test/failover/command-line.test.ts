import { spawn } from 'node:child_process'
import { mkdtempSync, realpathSync, rmSync } from 'node:fs'
import { readFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest'
import { parse } from 'yaml'
import type { ClusterStatus, NotificationRecord } from '../../dist/amf/director/interface.js'
import { startCluster, type Cluster } from '../../dist/amf/testkit/index.js'
import { processesOf } from '../../dist/amf/operator/processes.js'
import { holdfast, SEQUENCE_MODEL, SI, testCluster } from './support.ts'

const TOOL = fileURLToPath(new URL('../../dist/amf/cli/main.js', import.meta.url))
const COMPONENT = fileURLToPath(
  new URL('../../dist/samples/sequence/component.js', import.meta.url),
)
const TEST_MS = 60_000

interface ErrorDocument {
  readonly error: { readonly code: string; readonly message: string }
}

/** What `next` answers. */
interface Numbers {
  readonly first: number
  readonly last: number
}

interface Ran {
  readonly code: number | null
  readonly stdout: string
  readonly stderr: string
  /** The one JSON document on standard output. */
  readonly json: <T = ErrorDocument>() => T
}

/** Runs the tool as a shell does. Its streams must end with it: a background process that holds one fails the test. */
function tool(words: readonly string[], env: Record<string, string> = {}): Promise<Ran> {
  return new Promise((resolve, reject) => {
    const child = spawn(process.execPath, [TOOL, ...words], {
      env: { ...process.env, ...env },
      stdio: ['ignore', 'pipe', 'pipe'],
    })
    let [stdout, stderr] = ['', '']
    child.stdout.on('data', (data: Buffer) => void (stdout += data.toString()))
    child.stderr.on('data', (data: Buffer) => void (stderr += data.toString()))
    const timer = setTimeout(() => {
      child.kill('SIGKILL')
      reject(new Error(`holdfast ${words.join(' ')} did not end\n${stdout}\n${stderr}`))
    }, 40_000)
    child.once('close', (code) => {
      clearTimeout(timer)
      resolve({ code, stdout, stderr, json: <T>() => JSON.parse(stdout) as T })
    })
  })
}

/** The sample with what it has no use for: an application, a node group, an external monitor. */
async function wideModel(): Promise<Record<string, unknown>> {
  const model = parse(await readFile(SEQUENCE_MODEL, 'utf8')) as {
    readonly componentTypes: { readonly sequence: object }
    readonly serviceGroups: { readonly sequenceSG: object }
  }
  const own = {
    run: COMPONENT,
    amStart: { command: ['/bin/true'] },
    amStop: { command: ['/bin/true'] },
  }
  return {
    ...model,
    nodeGroups: { rack: ['node1', 'node2'] },
    componentTypes: { sequence: { ...model.componentTypes.sequence, ...own } },
    serviceGroups: {
      sequenceSG: { ...model.serviceGroups.sequenceSG, application: 'shop', autoAdjust: false },
    },
  }
}

describe('against a running cluster', { timeout: TEST_MS }, () => {
  let cluster: Cluster
  let env: Record<string, string> = {}
  // One cluster for all: the questions change nothing, and each operation is undone.
  beforeAll(async () => {
    cluster = await startCluster(await wideModel())
    env = { HOLDFAST_RUN_DIR: cluster.runDir }
  }, TEST_MS)
  afterAll(() => cluster?.stop(), TEST_MS)

  /** The same in this process: a shell need not start for each question. */
  const ask = async (words: readonly string[]): Promise<Ran> => {
    const ran = await holdfast(cluster, words)
    return { ...ran, json: <T>() => JSON.parse(ran.stdout) as T }
  }

  it('status: one document with the agreed members, and a table that says nothing is wrong', async () => {
    const { code, json } = await tool(['status', '--json'], env)
    expect(code).toBe(0)
    const unit = (index: number) => ({
      name: `sequenceSU${index}`,
      node: `node${index}`,
      readiness: 'IN_SERVICE',
      presence: 'INSTANTIATED',
      components: [{ name: `sequence${index}`, pid: expect.any(Number) }],
    })
    expect(json()).toMatchObject({
      cluster: 'sequence',
      director: { node: expect.stringMatching(/^node[12]$/), term: expect.any(Number) },
      nodes: [{ name: 'node1' }, { name: 'node2' }],
      serviceUnits: [unit(1), unit(2)],
      serviceInstances: [{ name: SI, state: 'FULLY_ASSIGNED' }],
    })
    const roles = json<ClusterStatus>().serviceInstances[0]?.assignments ?? []
    expect(roles.map((role) => role.haState).toSorted()).toEqual(['ACTIVE', 'STANDBY'])
    for (const role of roles)
      expect(role.components).toEqual([
        {
          name: expect.any(String),
          pid: expect.any(Number),
          address: expect.stringMatching(/^\d+:\d+$/),
        },
      ])
    const table = await tool(['status'], env)
    expect(table.stdout).toMatch(/nothing wrong\n$/)
    expect(table.stderr).toBe('')
  })

  it('state: every state of an entity; 3 for one that is not there', async () => {
    for (const entity of ['node1', 'sequenceSU1', 'sequence1', 'sequenceSG', SI]) {
      const { code, json } = await ask(['state', entity, '--json'])
      expect(code).toBe(0)
      expect(json()).toMatchObject({
        entity,
        class: expect.any(String),
        states: expect.any(Object),
      })
    }
    const absent = await ask(['state', 'nothing', '--json'])
    expect(absent.code).toBe(3)
    expect(absent.json()).toEqual({ error: { code: 'NOT_EXIST', message: expect.any(String) } })
    for (const words of [
      ['why', 'nothing'],
      ['wait', 'nothing', 'ACTIVE'],
      ['lock', 'nothing'],
    ])
      expect((await ask(words)).code).toBe(3)
  })

  it('wait: at once when it is so, 5 when it does not become so', async () => {
    const good = await ask(['wait', SI, 'FULLY_ASSIGNED', 'UNASSIGNED', '--json'])
    expect([good.code, good.json()]).toEqual([0, { entity: SI, state: 'FULLY_ASSIGNED' }])
    const late = await ask(['wait', SI, 'UNASSIGNED', '--timeout', '0.3', '--json'])
    expect([late.code, late.json().error.code]).toEqual([5, 'TIMEOUT'])
  })

  it('call: the method’s output, and a code for each way to be wrong', async () => {
    const first = await ask(['call', '@sequence', 'next', '{"count": 3}'])
    expect([first.code, first.stderr]).toEqual([0, ''])
    const next = await ask(['call', '@sequence', 'Sequence.next', '{"count": 1}', '--json'])
    expect(next.json()).toEqual({
      first: first.json<Numbers>().last + 1,
      last: first.json<Numbers>().last + 1,
    })
    const codes = async (words: string[]) => {
      const { code, json } = await ask([...words, '--json'])
      return [code, json().error.code]
    }
    expect(await codes(['call', '@nobody', 'next'])).toEqual([3, 'NAME_NOT_FOUND'])
    expect(await codes(['call', '@sequence', 'previous'])).toEqual([3, 'NOT_EXIST'])
    expect(await codes(['call', '@sequence', 'next', '{"count": 0}'])).toEqual([
      4,
      'INVALID_PARAMETER',
    ])
    expect(await codes(['call', '@sequence', 'next', '{"size": 1}'])).toEqual([
      4,
      'INVALID_PARAMETER',
    ])
    expect(await codes(['call', '@sequence', 'next', 'nonsense'])).toEqual([2, 'USAGE'])
    const amf = await ask(['call', '@amf', 'status'])
    expect(amf.json<ClusterStatus>().cluster).toBe('sequence')
    const statistics = await ask(['call', '@sequence', 'EoManagement.statistics'])
    expect(statistics.json()).toMatchObject({ rmd: expect.any(Object), eo: expect.any(Object) })
  })

  it('swap, lock, unlock: done when they return; refused with the reason', async () => {
    const before = (await cluster.refresh()).active(SI)
    expect((await tool(['swap', SI], env)).code).toBe(0)
    expect((await cluster.refresh()).active(SI)).not.toBe(before)
    const lock = await ask(['lock', 'sequenceSU1', '--json'])
    expect([lock.code, lock.json()]).toMatchObject([0, { entity: 'sequenceSU1' }])
    expect((await cluster.refresh()).active(SI)).toBe('sequenceSU2')
    const again = await ask(['lock', 'sequenceSU1', '--json'])
    expect([again.code, again.json().error.code]).toEqual([4, 'NO_OP'])
    const noStandby = await ask(['swap', SI, '--timeout', '1', '--json'])
    expect([4, 5]).toContain(noStandby.code)
    const status = await ask(['status'])
    expect(status.stdout).toMatch(/! degraded: sequenceSI/)
    expect((await ask(['unlock', 'sequenceSU1'])).code).toBe(0)
    expect((await ask(['wait', SI, 'FULLY_ASSIGNED', '--timeout', '15'])).code).toBe(0)
  })

  it('adjust, eam-stop, eam-start; lock and unlock of an application, a node group, the cluster', async () => {
    const codeOf = async (...words: string[]) => (await ask(words)).code
    // The first unit is the more preferred one.
    expect(await codeOf('adjust', 'sequenceSG')).toBe(0)
    expect((await cluster.refresh()).active(SI)).toBe('sequenceSU1')
    expect(await codeOf('eam-stop', 'sequence1')).toBe(0)
    expect(await codeOf('eam-start', 'sequence1')).toBe(0)
    const scopes = ['shop', 'rack', 'sequence']
    for (const entity of scopes) expect([entity, await codeOf('lock', entity)]).toEqual([entity, 0])
    expect((await cluster.refresh()).active(SI)).toBeNull()
    for (const entity of scopes) {
      expect((await cluster.refresh()).active(SI)).toBeNull()
      expect([entity, await codeOf('unlock', entity)]).toEqual([entity, 0])
    }
    await cluster.until((view) => view.settled, 15_000)
  })

  it('why and events: the chain of causes', async () => {
    const before = await cluster.refresh()
    const killed = before.activeComponent(SI)?.name ?? ''
    await cluster.kill(killed)
    await cluster.until((s) => s.active(SI) === before.standby(SI) && s.settled, 15_000)
    const why = await ask(['why', before.standby(SI) ?? '', '--json'])
    expect(JSON.stringify(why.json())).toContain(killed)
    const text = await ask(['why', SI])
    expect(text.stdout).toContain('because')
    const events = await ask(['events', '--json'])
    const kinds = events
      .json<{ notifications: NotificationRecord[] }>()
      .notifications.map((one) => one.kind)
    expect(kinds).toContain('haState')
  })

  it('events --follow: ends with 0 at Ctrl-C', async () => {
    const child = spawn(process.execPath, [TOOL, 'events', '--follow', '--json'], {
      env: { ...process.env, ...env },
      stdio: ['ignore', 'pipe', 'inherit'],
    })
    const first = await new Promise<string>((resolve) =>
      child.stdout.once('data', (data: Buffer) => resolve(data.toString().split('\n')[0] ?? '')),
    )
    expect(JSON.parse(first)).toMatchObject({ id: 1, kind: expect.any(String) })
    child.kill('SIGINT')
    expect(await new Promise((resolve) => child.once('exit', resolve))).toBe(0)
  })

  it('a second up on the run directory is refused', async () => {
    for (const more of [[], ['--detach']]) {
      const words = ['up', SEQUENCE_MODEL, '--run-dir', cluster.runDir, '--json', ...more]
      const { code, json } = await tool(words)
      expect([code, json().error.code]).toEqual([4, 'ALREADY_EXIST'])
    }
    expect((await cluster.refresh()).settled).toBe(true)
  })
})

describe('up --detach and down', { timeout: TEST_MS }, () => {
  const dirs: string[] = []
  afterEach(async () => {
    for (const dir of dirs.splice(0)) {
      for (const one of processesOf(dir)) process.kill(one.pid, 'SIGKILL')
      rmSync(dir, { recursive: true, force: true, maxRetries: 5, retryDelay: 50 })
    }
  })

  function tempDir(): string {
    const dir = realpathSync(mkdtempSync(join(tmpdir(), 'hf-up-')))
    dirs.push(dir)
    return dir
  }

  it('returns 0 when all is assigned, no stream held; down leaves what was acknowledged', async () => {
    const runDir = join(tempDir(), 'run')
    const env = { HOLDFAST_RUN_DIR: runDir }
    const up = await tool(['up', SEQUENCE_MODEL, '--detach', '--json'], env)
    expect([up.code, up.json()]).toMatchObject([0, { cluster: 'sequence', result: 'ASSIGNED' }])
    const status = await tool(['status', '--json'], env)
    expect(status.json<ClusterStatus>().serviceInstances[0]?.state).toBe('FULLY_ASSIGNED')
    const one = await tool(['call', '@sequence', 'next', '{"count": 10}'], env)
    const down = await tool(['down', '--json'], env)
    expect(down.code).toBe(0)
    expect(processesOf(runDir)).toEqual([])
    expect((await tool(['status'], env)).code).toBe(3)
    expect((await tool(['down'], env)).code).toBe(3)

    expect((await tool(['up', SEQUENCE_MODEL, '--detach'], env)).code).toBe(0)
    const two = await tool(['call', '@sequence', 'next', '{"count": 1}'], env)
    expect(two.json<Numbers>().first).toBe(one.json<Numbers>().last + 1)
    expect((await tool(['down'], env)).code).toBe(0)
  })

  it('ends with 5 and names what is missing when the time is too short', async () => {
    const runDir = join(tempDir(), 'run')
    const env = { HOLDFAST_RUN_DIR: runDir }
    const up = await tool(['up', SEQUENCE_MODEL, '--detach', '--timeout', '0.2', '--json'], env)
    expect([up.code, up.json().error.code]).toEqual([5, 'TIMEOUT'])
    await tool(['down'], env)
    expect(processesOf(runDir)).toEqual([])
  })

  it('in the foreground, SIGINT stops everything in order', async () => {
    const cluster = await testCluster()
    const up = cluster.processes().find((one) => one.kind === 'up')
    process.kill(up?.pid ?? 0, 'SIGINT')
    const deadlineMs = performance.now() + 15_000
    while (cluster.processes().length > 0 && performance.now() < deadlineMs)
      await new Promise((resolve) => setTimeout(resolve, 20))
    expect(cluster.processes()).toEqual([])
    expect(cluster.log('up')).toContain('stopped')
  })
})
