import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { open } from 'lmdb'
import { type Bench, type BenchContext, median, quantile } from './bench.ts'
import { SIZE_BYTES } from './checkpoint/parts.ts'

/**
 * Calls whose state and reply are committed: the component, its node's replica and (with two replicas) another node's,
 * each a process of its own. Against what LMDB alone can do without fsync, one `putSync` a record in one process.
 * `cpuUs` is that of all processes, for a call.
 */
const IN_FLIGHT = [1, 64]
const REPLICAS = [2, 1]

interface Measured {
  readonly perSecond: number
  readonly p50Us: number
  readonly p99Us: number
  readonly cpuUs: number
}

export const bench: Bench = async (context) => {
  const rounds = context.quick ? 2 : 5
  const roundMs = context.quick ? 200 : 700
  report(context, 'lmdb putSync', 1, lmdbRounds(rounds, roundMs))
  for (const replicas of REPLICAS) {
    const rig = await start(replicas)
    try {
      for (const inFlight of IN_FLIGHT) {
        const measured: Measured[] = []
        for (let round = -1; round < rounds; round += 1) {
          context.progress(`${replicas} replicas, ${inFlight} in flight, round ${round + 1}`)
          const result = await measure(rig, { inFlight, ms: roundMs })
          if (round >= 0) measured.push(result)
        }
        const system = `holdfast ${replicas} ${replicas === 1 ? 'replica' : 'replicas'}`
        report(context, system, inFlight, measured)
      }
    } finally {
      rig.stop()
    }
  }
}

function report(
  context: BenchContext,
  system: string,
  inFlight: number,
  measured: readonly Measured[],
): void {
  const middle = (key: keyof Measured): number => median(measured.map((one) => one[key]))
  context.report({
    bench: 'checkpoint',
    system,
    sizeBytes: SIZE_BYTES,
    inFlight,
    perSecond: Math.round(middle('perSecond')),
    p50Us: Number(middle('p50Us').toFixed(1)),
    p99Us: Number(middle('p99Us').toFixed(1)),
    cpuUs: Number(middle('cpuUs').toFixed(2)),
  })
}

function lmdbRounds(rounds: number, roundMs: number): Measured[] {
  const directory = mkdtempSync(join(tmpdir(), 'hf-bench-'))
  const database = open({ path: directory, noSync: true, encoding: 'binary', noSubdir: false })
  // About what one record of one call takes.
  const value = Buffer.alloc(SIZE_BYTES * 2 + 60, 7)
  let key = 0
  const round = (): Measured => {
    const timesMs: number[] = []
    const before = process.cpuUsage()
    const startMs = performance.now()
    for (let nowMs = startMs; nowMs < startMs + roundMs;) {
      database.putSync(['l', 'csi', ++key], value)
      const doneMs = performance.now()
      timesMs.push(doneMs - nowMs)
      nowMs = doneMs
    }
    const lastedMs = performance.now() - startMs
    const { user, system } = process.cpuUsage(before)
    const times = Float64Array.from(timesMs)
    return {
      perSecond: (times.length / lastedMs) * 1_000,
      p50Us: quantile(times, 0.5) * 1_000,
      p99Us: quantile(times, 0.99) * 1_000,
      cpuUs: (user + system) / times.length,
    }
  }
  const measured = Array.from({ length: rounds + 1 }, round).slice(1)
  void database.close().then(() => rmSync(directory, { recursive: true, force: true }))
  return measured
}

interface Processes {
  readonly component: ChildProcess
  readonly nodes: readonly ChildProcess[]
  stop(): void
}

async function measure(
  { component, nodes }: Processes,
  order: { inFlight: number; ms: number },
): Promise<Measured> {
  const before = await cpuUsOf(nodes)
  const result = await ask<Measured & { calls: number }>(component, order)
  const nodesUs = (await cpuUsOf(nodes)) - before
  return { ...result, cpuUs: result.cpuUs + nodesUs / result.calls }
}

async function cpuUsOf(nodes: readonly ChildProcess[]): Promise<number> {
  let sumUs = 0
  for (const node of nodes) sumUs += await ask<number>(node, 'cpu')
  return sumUs
}

async function ask<T>(child: ChildProcess, message: string | object): Promise<T> {
  child.send(message)
  const [answer] = (await once(child, 'message')) as [T]
  return answer
}

async function start(replicas: number): Promise<Processes> {
  const runDir = mkdtempSync(join(tmpdir(), 'hf-bench-'))
  const children: ChildProcess[] = []
  const stop = (): void => {
    for (const child of children) child.kill('SIGKILL')
    rmSync(runDir, { recursive: true, force: true })
  }
  try {
    const ids = Array.from({ length: replicas }, (_, i) => i + 1)
    for (const id of ids) {
      const node = program('node', [runDir, String(id), ids.join(',')])
      children.push(node)
      await once(node, 'message')
    }
    const nodes = [...children]
    await ask(nodes[0]!, 'grant')
    const component = program('component', [runDir])
    children.push(component)
    await once(component, 'message')
    return { component, nodes, stop }
  } catch (error) {
    stop()
    throw error
  }
}

function program(name: string, args: readonly string[]): ChildProcess {
  const file = fileURLToPath(new URL(`./checkpoint/${name}.ts`, import.meta.url))
  return spawn(process.execPath, ['--import', 'tsx', file, ...args], {
    stdio: ['ignore', 'inherit', 'inherit', 'ipc'],
  })
}
