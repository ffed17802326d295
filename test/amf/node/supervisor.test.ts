import { existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { environOf, listProcesses } from '../../../amf/node/process-table.ts'
import { afterEnd, DEFAULT_BACKOFF } from '../../../amf/node/restart-backoff.ts'
import {
  startSupervisor,
  type SupervisedNode,
  type Supervisor,
  type SupervisorEvent,
} from '../../../amf/node/supervisor.ts'
import { ownIdentity } from '../../../ioc/backplane/internal.ts'

let runDir: string
let supervisors: Supervisor[]
let events: SupervisorEvent[]

beforeEach(() => {
  runDir = mkdtempSync(join(tmpdir(), 'hf-sup-'))
  supervisors = []
  events = []
})
afterEach(async () => {
  await Promise.all(supervisors.map((supervisor) => supervisor.stop(0)))
  await expect.poll(tree, { timeout: 10_000 }).toEqual([])
  rmSync(runDir, { recursive: true, force: true })
})

/** Everything that runs with this run directory in its environment. */
const tree = (): number[] =>
  listProcesses()
    .map(({ pid }) => pid)
    .filter((pid) => environOf(pid)?.get('HOLDFAST_RUN_DIR') === runDir)

const node = (name: string, script: string): SupervisedNode => ({
  name,
  argv: ['sh', '-c', script],
  env: {},
})

async function start(
  nodes: readonly SupervisedNode[],
  backoff = { firstMs: 20, maxMs: 60, healthyMs: 10_000, nextMs: 20 },
): Promise<Supervisor> {
  const supervisor = await startSupervisor({
    runDir,
    nodes,
    backoff,
    onEvent: (event) => events.push(event),
  })
  supervisors.push(supervisor)
  return supervisor
}

const count = (kind: SupervisorEvent['kind']): number =>
  events.filter((event) => event.kind === kind).length

describe('afterEnd', () => {
  it('doubles the delay up to its maximum, and begins anew after a good while', () => {
    let backoff = DEFAULT_BACKOFF
    const delays: number[] = []
    for (const upMs of [0, 0, 9_999, 0, 0, 0, 0, 0, 10_000, 0]) {
      const result = afterEnd(backoff, upMs)
      backoff = result.backoff
      delays.push(result.delayMs)
    }
    expect(delays).toEqual([100, 200, 400, 800, 1600, 3200, 5000, 5000, 100, 200])
  })
})

describe('supervisor', () => {
  it('runs the nodes with the run directory and their names, and logs what they say', async () => {
    const supervisor = await start([
      node('n1', 'echo "I am $HOLDFAST_NODE of $HOLDFAST_RUN_DIR"; sleep 60'),
    ])
    const log = join(runDir, 'nodes', 'n1', 'node.log')
    await expect
      .poll(() => (existsSync(log) ? readFileSync(log, 'utf8') : ''))
      .toBe(`I am n1 of ${runDir}\n`)
    expect(tree()).toContain(supervisor.pidOf('n1'))
    const { pid, startTime, bootId } = JSON.parse(readFileSync(join(runDir, 'up.json'), 'utf8'))
    expect({ pid, startTime, bootId }).toEqual(ownIdentity())
  })

  it('starts a node again that was killed or failed, with growing delays and the last words', async () => {
    const supervisor = await start([node('n1', 'echo dying >&2; exit 7')])
    await expect.poll(() => count('nodeExited'), { timeout: 5_000 }).toBeGreaterThanOrEqual(4)
    await supervisor.stop(1_000)
    const exits = events.flatMap((event) => (event.kind === 'nodeExited' ? [event] : []))
    expect(exits.slice(0, 4).map(({ restartInMs }) => restartInMs)).toEqual([20, 40, 60, 60])
    expect(exits[0]).toMatchObject({ node: 'n1', code: 7, signal: null, stderrTail: 'dying\n' })
  })

  it('does not start a node again that ended on purpose, and is done when all did', async () => {
    const supervisor = await start([node('n1', 'exit 0'), node('n2', 'sleep 0.05')])
    await supervisor.done
    expect(events.filter(({ kind }) => kind === 'nodeExited')).toMatchObject([
      { code: 0, restartInMs: null },
      { code: 0, restartInMs: null },
    ])
    expect(existsSync(join(runDir, 'up.json'))).toBe(false)
  })

  it('takes nodes in and out while it runs, and leaves the others alone', async () => {
    const [a, b, c] = ['a', 'b', 'c'].map((name) => node(name, 'exec sleep 60'))
    if (!a || !b || !c) throw new Error('three nodes')
    const supervisor = await start([a, b])
    await expect.poll(() => supervisor.pidOf('b')).not.toBeNull()
    const pids = [supervisor.pidOf('a'), supervisor.pidOf('b')]
    supervisor.setNodes([b, c])
    await expect.poll(() => supervisor.pidOf('c')).not.toBeNull()
    expect(supervisor.pidOf('b')).toBe(pids[1])
    await expect.poll(() => count('nodeExited')).toBe(1)
    expect(tree()).not.toContain(pids[0])
    supervisor.setNodes([])
    await supervisor.done
    expect(count('nodeStarted')).toBe(3)
  })

  it('says what cannot be started and tries again', async () => {
    const supervisor = await start([{ name: 'n1', argv: ['/no/such'], env: {} }])
    await expect.poll(() => count('nodeStartFailed'), { timeout: 5_000 }).toBeGreaterThan(1)
    expect(events[0]).toMatchObject({ node: 'n1', message: expect.stringContaining('/no/such') })
    await supervisor.stop(1_000)
  })

  it('stops the last node first, each in order, and kills one that does not want to', async () => {
    const polite = (name: string): SupervisedNode =>
      node(name, 'trap "exit 0" TERM; echo up; while :; do sleep 0.01; done')
    const stubborn = node('n2', 'trap "" TERM; echo up; while :; do sleep 0.01; done')
    const supervisor = await start([polite('n1'), stubborn, polite('n3')])
    await Promise.all(
      ['n1', 'n2', 'n3'].map((name) =>
        expect
          .poll(() => existsSync(join(runDir, 'nodes', name, 'node.log')), { timeout: 5_000 })
          .toBe(true),
      ),
    )
    await supervisor.stop(900)
    const exits = events.flatMap((event) => (event.kind === 'nodeExited' ? [event] : []))
    expect(exits.map(({ node: name, code, signal }) => [name, code, signal])).toEqual([
      ['n3', 0, null],
      ['n2', null, 'SIGKILL'],
      ['n1', 0, null],
    ])
    expect(tree()).toEqual([])
  })

  it('refuses a second supervisor while the first lives, not after it', async () => {
    const first = await start([node('n1', 'sleep 60')])
    await expect(start([])).rejects.toMatchObject({
      code: 'ALREADY_EXIST',
      message: expect.stringContaining(String(process.pid)),
    })
    await first.stop(1_000)
    await start([node('n1', 'exit 0')])
  })
})
