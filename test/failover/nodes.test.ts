import { type ChildProcess, spawn } from 'node:child_process'
import { closeSync, mkdtempSync, openSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest'
import { type ClusterStatus, Management } from '../../dist/amf/index.js'
import { processesOf } from '../../dist/amf/operator/processes.js'
import { connect, type Connection } from '../../dist/runtime/index.js'
import { SEQUENCE_MODEL } from './support.ts'

const TOOL = fileURLToPath(new URL('../../dist/amf/cli/main.js', import.meta.url))
const NODES = ['node1', 'node2'] as const
type NodeName = (typeof NODES)[number]

/**
 * Two node processes started by hand, without a supervisor: nobody but the director repairs anything. Each test starts
 * what the one before left out.
 */
let runDir = ''
let connection: Connection | null = null
const children = new Map<NodeName, ChildProcess>()
let isBroken = false
beforeAll(() => {
  runDir = mkdtempSync(join(tmpdir(), 'hfn-'))
})
afterEach(({ task }) => {
  isBroken ||= task.result?.state === 'fail'
})
afterAll(async () => {
  await connection?.close()
  for (const child of children.values()) child.kill('SIGKILL')
  await until('every process to end', () => processesOf(runDir).length === 0)
  for (const child of children.values()) await exitOf(child)
  // The logs of a failed test are what tells why.
  if (isBroken) console.log(`run directory kept: ${runDir}`)
  else rmSync(runDir, { recursive: true, force: true })
})

function start(node: NodeName): ChildProcess {
  const child = launch(node)
  children.set(node, child)
  return child
}

function launch(node: NodeName, logName: string = node): ChildProcess {
  const log = openSync(join(runDir, `${logName}.log`), 'a')
  const argv = [TOOL, 'node', node, '--model', SEQUENCE_MODEL, '--run-dir', runDir]
  const env = { ...process.env, HOLDFAST_CHECK: '1', HOLDFAST_LOG_LEVEL: 'debug' }
  const child = spawn(process.execPath, argv, { env, stdio: ['ignore', log, log] })
  closeSync(log)
  return child
}

/** Exit code of a process once it has ended, or the signal that ended it. */
async function exitOf(child: ChildProcess | undefined): Promise<number | string | null> {
  await until('an exit', () => child?.exitCode !== null || child.signalCode !== null)
  return child?.signalCode ?? child?.exitCode ?? null
}

async function management() {
  connection ??= await connect({ runDir })
  return connection.rmd.client(Management, { to: '@amf', timeoutMs: 5_000 })
}

async function status(): Promise<ClusterStatus> {
  return (await management()).status({})
}

async function until(what: string, holds: () => boolean | Promise<boolean>): Promise<void> {
  const deadlineMs = performance.now() + 30_000
  let last: unknown
  for (;;) {
    try {
      if (await holds()) return
    } catch (error) {
      last = error
    }
    if (performance.now() > deadlineMs) throw new Error(`not in time: ${what}`, { cause: last })
    await new Promise((resolve) => setTimeout(resolve, 20))
  }
}

/** Service unit of each role, as `ACTIVE sequenceSU1, STANDBY sequenceSU2`. */
function roles(view: ClusterStatus): string {
  const [instance] = view.serviceInstances
  const assignments = instance?.assignments ?? []
  return assignments
    .map(({ haState, serviceUnit }) => `${haState} ${serviceUnit}`)
    .toSorted()
    .join(', ')
}

async function untilRoles(wanted: RegExp): Promise<ClusterStatus> {
  let view: ClusterStatus | undefined
  await until(String(wanted), async () => {
    view = await status()
    return wanted.test(roles(view))
  })
  if (view === undefined) throw new Error('no status')
  return view
}

const BOTH = /^ACTIVE sequenceSU[12], STANDBY sequenceSU[12]$/

const isRunning = (child: ChildProcess | undefined): boolean =>
  child !== undefined && child.exitCode === null && child.signalCode === null

async function startBoth(): Promise<ClusterStatus> {
  for (const node of NODES) if (!isRunning(children.get(node))) start(node)
  await until('an agent', async () => (await management()) !== undefined)
  return untilRoles(BOTH)
}

function activeOf(view: ClusterStatus): { unit: string; node: NodeName; pid: number } {
  const found = view.serviceInstances[0]?.assignments.find(({ haState }) => haState === 'ACTIVE')
  const pid = found?.components[0]?.pid
  if (found === undefined || pid == null) throw new Error('nobody is active')
  return { unit: found.serviceUnit, node: found.node as NodeName, pid }
}

const other = (node: string): NodeName => (node === 'node1' ? 'node2' : 'node1')

function expectNoDefect(): void {
  for (const node of NODES) {
    const log = readFileSync(join(runDir, `${node}.log`), 'utf8')
    expect(log).not.toContain('invariant broken')
    expect(log).not.toContain('"level":60')
  }
}

describe('two node processes', () => {
  it('refuse a second process for one node', async () => {
    await startBoth()
    expect(await exitOf(launch('node1', 'second'))).toBe(4)
    expect(readFileSync(join(runDir, 'second.log'), 'utf8')).toContain('ALREADY_EXIST')
    expect(roles(await status())).toMatch(BOTH)
  })

  it.each(['directs', 'does not direct'])('survive the node process that %s', async (which) => {
    const before = await startBoth()
    const director = before.director?.node ?? ''
    const victim = which === 'directs' ? (director as NodeName) : other(director)
    const survivor = other(victim)
    const standing = before.serviceInstances[0]?.assignments.find(({ node }) => node === survivor)
    children.get(victim)?.kill('SIGKILL')
    const alone = await untilRoles(/^ACTIVE sequenceSU[12]$/)
    expect(alone.director?.node).toBe(survivor)
    // Whoever served on the surviving node still does, in the same process.
    expect(activeOf(alone).pid).toBe(standing?.components[0]?.pid)
    const nodeProcesses = processesOf(runDir).filter(({ kind }) => kind === 'component')
    expect(nodeProcesses).toHaveLength(1)
    start(victim)
    const after = await untilRoles(BOTH)
    expect(activeOf(after).node).toBe(survivor)
    expectNoDefect()
  })

  it('give roles away when one of them is stopped in order', async () => {
    const before = activeOf(await startBoth())
    children.get(before.node)?.kill('SIGTERM')
    await untilRoles(/^ACTIVE sequenceSU[12]$/)
    expect(await exitOf(children.get(before.node))).toBe(0)
    expectNoDefect()
  })

  it('stop together, components first', async () => {
    await startBoth()
    await (await management()).stopCluster({}, { timeoutMs: 20_000 })
    expect(processesOf(runDir).filter(({ kind }) => kind === 'component')).toEqual([])
    for (const child of children.values()) expect(await exitOf(child)).toBe(0)
    expectNoDefect()
  })
})
