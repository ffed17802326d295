import { spawn } from 'node:child_process'
import { existsSync, mkdtempSync, realpathSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, describe, expect, it } from 'vitest'
import { processesOf } from '../../dist/amf/operator/processes.js'
import {
  expectNothingLost,
  expectSound,
  SEQUENCE_MODEL,
  SI,
  startLoad,
  testCluster,
} from './support.ts'

const TEST_MS = 60_000
const DIST = new URL('../../dist/', import.meta.url)
const dirs: string[] = []

// After the clusters have stopped, which is after each test.
afterAll(() => {
  for (const dir of dirs.splice(0)) rmSync(dir, { recursive: true, force: true, maxRetries: 5 })
})

function tempDir(): string {
  const dir = realpathSync(mkdtempSync(join(tmpdir(), 'hf-kit-')))
  dirs.push(dir)
  return dir
}

async function untilNoProcess(runDir: string, timeoutMs: number): Promise<void> {
  const deadlineMs = performance.now() + timeoutMs
  while (processesOf(runDir).length > 0 && performance.now() < deadlineMs)
    await new Promise((resolve) => setTimeout(resolve, 20))
  expect(processesOf(runDir)).toEqual([])
}

describe('startCluster', { timeout: TEST_MS }, () => {
  it('shows who does what, and stops twice without a trace', async () => {
    const cluster = await testCluster()
    const view = await cluster.refresh()
    const active = view.activeComponent(SI)
    expect(active).toMatchObject({ serviceUnit: view.active(SI), roles: { [SI]: 'ACTIVE' } })
    expect(() => view.component('nobody')).toThrow(/sequence1, sequence2/)
    expect(
      cluster
        .processes()
        .map((one) => one.kind)
        .toSorted(),
    ).toEqual(['component', 'component', 'node', 'node', 'up'])
    expect(cluster.history().map((one) => one.to)).toEqual(
      expect.arrayContaining(['ACTIVE', 'STANDBY']),
    )
    await cluster.stop()
    await cluster.stop()
    expect(cluster.processes()).toEqual([])
    expect(existsSync(cluster.runDir)).toBe(false)
  })

  it('works in a run directory whose sockets would not fit into an address', async () => {
    const runDir = join(tempDir(), 'a-rather-long-name-of-a-directory'.repeat(4))
    const cluster = await testCluster(SEQUENCE_MODEL, { runDir, plain: true })
    expect(cluster.runDir.length).toBeGreaterThan(107)
    await expect(cluster.cut('node1', 'node2')).rejects.toMatchObject({ code: 'BAD_OPERATION' })
    expect(existsSync(join(runDir, 'faults'))).toBe(false)
    const load = await startLoad(cluster)
    await cluster.kill(cluster.view?.activeComponent(SI)?.name ?? '')
    await load.firstReplyAfter(load.epoch)
    await expectNothingLost(load)
    await expectSound(cluster)
  })

  it('says what went wrong when a cluster does not come up', async () => {
    const model = {
      cluster: 'broken',
      nodes: { n: {} },
      serviceGroups: { g: { redundancy: '9N' } },
    }
    await expect(testCluster(model)).rejects.toThrow(/serviceGroups\.g\.redundancy/)
  })

  it('takes everything along when the test process is killed', async () => {
    const script = join(tempDir(), 'test.mjs')
    writeFileSync(
      script,
      `import { startCluster } from ${JSON.stringify(new URL('amf/testkit/index.js', DIST).href)}
const cluster = await startCluster(${JSON.stringify(SEQUENCE_MODEL)})
console.log(cluster.runDir)
setInterval(() => {}, 1000)
`,
    )
    const child = spawn(process.execPath, [script], { stdio: ['ignore', 'pipe', 'inherit'] })
    const line = await new Promise<string>((resolve) =>
      child.stdout.once('data', (data: Buffer) => resolve(data.toString().trim())),
    )
    dirs.push(join(line, '..'))
    expect(processesOf(line)).toHaveLength(5)
    child.kill('SIGKILL')
    await untilNoProcess(line, 5_000)
  })
})
