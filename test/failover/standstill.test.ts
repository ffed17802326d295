import { readFileSync } from 'node:fs'
import { expect, it } from 'vitest'
import { parse } from 'yaml'
import type { Cluster } from '../../dist/amf/testkit/index.js'
import {
  expectNothingLost,
  expectSound,
  SEQUENCE_MODEL,
  SI,
  startLoad,
  testCluster,
} from './support.ts'

const TEST_MS = 60_000

const pause = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms))

/** State letter of a process, '' when there is none. */
function stateOf(pid: number): string {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, 'latin1')
    return stat.slice(stat.lastIndexOf(')') + 2, stat.lastIndexOf(')') + 3)
  } catch {
    return ''
  }
}

async function until(what: string, test: () => boolean, timeoutMs: number): Promise<void> {
  const deadlineMs = performance.now() + timeoutMs
  while (!test()) {
    if (performance.now() > deadlineMs) throw new Error(`not within ${timeoutMs} ms: ${what}`)
    await pause(10)
  }
}

function pidsOf(cluster: Cluster): number[] {
  return cluster.processes().map((one) => one.pid)
}

it('a machine that was paused as a whole loses nobody', { timeout: TEST_MS }, async () => {
  const cluster = await testCluster()
  const load = await startLoad(cluster)
  await until('numbers', () => load.account.drawn > 200, 20_000)
  const before = pidsOf(cluster)
  const { active, standby } = {
    active: cluster.view?.active(SI),
    standby: cluster.view?.standby(SI),
  }
  const pauseMs = Number(process.env['HOLDFAST_PAUSE_MS'] ?? 3_000)
  // Supervisor, nodes and components: longer than every threshold of the model.
  for (const pid of before) process.kill(pid, 'SIGSTOP')
  await pause(pauseMs)
  for (const pid of before) process.kill(pid, 'SIGCONT')
  const drawn = load.account.drawn
  await until('progress', () => load.account.drawn > drawn + 200, 20_000)
  expect(new Set(pidsOf(cluster))).toEqual(new Set(before))
  const after = await cluster.refresh()
  expect([after.active(SI), after.standby(SI)]).toEqual([active, standby])
  await expectNothingLost(load)
  await expectSound(cluster)
})

it(
  'an active whose agent stands still ends before anybody else may get its role',
  { timeout: TEST_MS },
  async () => {
    // Long enough that the director surely acts later than the lease of 0.8 times that.
    const text = parse(readFileSync(SEQUENCE_MODEL, 'utf8')) as Record<string, unknown>
    const component = new URL('../../dist/samples/sequence/component.js', import.meta.url).pathname
    const types = {
      sequence: { ...(text['componentTypes'] as { sequence: object }).sequence, run: component },
    }
    const model = { ...text, componentTypes: types, timing: { nodeSilenceMs: 6_000 } }
    const cluster = await testCluster(model)
    const load = await startLoad(cluster)
    await until('numbers', () => load.account.drawn > 200, 20_000)
    const view = await cluster.refresh()
    const active = view.activeComponent(SI)
    const pid = active?.pid ?? 0
    const standby = view.standby(SI)
    const frozen = await cluster.freeze(active?.node ?? '')
    await until('the end of the active', () => ['', 'Z'].includes(stateOf(pid)), 5_900)
    // It is gone while its agent still stands and nobody was fenced: only its own watchdog can have done it.
    expect(stateOf(frozen.pid)).toBe('T')
    expect(performance.now() - frozen.atMs).toBeLessThan(6_000)
    await cluster.until((s) => s.active(SI) === standby, 20_000)
    cluster.thaw(frozen)
    await cluster.until((s) => s.settled, 30_000)
    await expectNothingLost(load)
    await expectSound(cluster)
  },
)
