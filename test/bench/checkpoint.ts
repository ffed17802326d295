import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { open } from 'lmdb'
import { type Bench, type BenchContext, median } from './bench.ts'
import { chains, type Measured, type Order } from './checkpoint/chains.ts'
import { SIZE_BYTES } from './checkpoint/parts.ts'
import { startPeer } from './checkpoint/peer.ts'
import { startRedis } from './checkpoint/redis.ts'

/**
 * Writes of 1 KiB that are acknowledged when another process holds them, in one run: a bare socket to a peer's memory,
 * Redis (where `redis-server` is installed; it holds them in one process), LMDB alone without fsync, and ours: the
 * hot-standby checkpoint of a CSI (state, a counter and the call's reply as one record) and a named checkpoint, with
 * the component, its node and another node as processes of their own. `ratio`: of `perSecond` to the bare socket's.
 * `cpuUs` is that of our processes, for a write.
 */
const IN_FLIGHT = [1, 64]
const WARM_UP_MS = 1_500

interface System {
  readonly name: string
  readonly measure: (order: Order) => Promise<Measured>
}

export const bench: Bench = async (context) => {
  const directory = mkdtempSync(join(tmpdir(), 'hf-bench-'))
  const value = Buffer.alloc(SIZE_BYTES, 7)
  const stops: (() => void)[] = [() => rmSync(directory, { recursive: true, force: true })]
  try {
    const peer = await startPeer(directory)
    stops.push(peer.stop)
    const systems: System[] = [over('bare socket to a peer', () => peer.store(value))]
    const redis = await startRedis(directory)
    if (redis === null) console.error('checkpoint: redis-server is not installed: left out')
    else {
      stops.push(redis.stop)
      systems.push(over('redis SET', () => redis.store(value)))
    }
    systems.push(over('lmdb put', lmdbOf(join(directory, 'lmdb'), value)))
    const pair = await start(2)
    stops.push(pair.stop)
    systems.push(ours('holdfast csi, 2 replicas', pair, false))
    systems.push(ours('holdfast named, 2 replicas', pair, true))
    const single = await start(1)
    stops.push(single.stop)
    systems.push(ours('holdfast csi, 1 replica', single, false))
    for (const inFlight of IN_FLIGHT) await compare(context, systems, inFlight)
  } finally {
    for (const stop of stops.toReversed()) stop()
  }
}

/** Round by round in turn, so that what disturbs one disturbs all. */
async function compare(
  context: BenchContext,
  systems: readonly System[],
  inFlight: number,
): Promise<void> {
  const rounds = context.quick ? 2 : 5
  const ms = context.quick ? 200 : 700
  const measured = new Map<string, Measured[]>(systems.map(({ name }) => [name, []]))
  for (let round = -1; round < rounds; round += 1) {
    for (const { name, measure } of systems) {
      context.progress(`${name}, ${inFlight} in flight, round ${round + 1}`)
      // The first round warms up, and does not count: ours has more code to be compiled than the others.
      const result = await measure({ inFlight, ms: round < 0 ? WARM_UP_MS : ms })
      if (round >= 0) measured.get(name)?.push(result)
    }
  }
  const middle = (name: string, key: keyof Measured): number =>
    median((measured.get(name) ?? []).map((one) => one[key]))
  const floor = middle(systems[0]?.name ?? '', 'perSecond')
  for (const { name } of systems) {
    context.report({
      bench: 'checkpoint',
      system: name,
      sizeBytes: SIZE_BYTES,
      inFlight,
      perSecond: Math.round(middle(name, 'perSecond')),
      ratio: Number((middle(name, 'perSecond') / floor).toFixed(3)),
      p50Us: Number(middle(name, 'p50Us').toFixed(1)),
      p99Us: Number(middle(name, 'p99Us').toFixed(1)),
      cpuUs: Number(middle(name, 'cpuUs').toFixed(2)),
    })
  }
}

function over(name: string, store: () => unknown): System {
  return { name, measure: (order) => chains(order, store) }
}

function ours(name: string, rig: Processes, isNamed: boolean): System {
  return { name, measure: (order) => measure(rig, { ...order, isNamed }) }
}

function lmdbOf(directory: string, value: Buffer): () => unknown {
  const database = open({ path: directory, noSync: true, encoding: 'binary', noSubdir: false })
  let key = 0
  return () => database.put(['s', ++key % 100], value)
}

interface Processes {
  readonly component: ChildProcess
  readonly nodes: readonly ChildProcess[]
  stop(): void
}

async function measure(
  { component, nodes }: Processes,
  order: Order & { readonly isNamed: boolean },
): Promise<Measured> {
  const before = await cpuUsOf(nodes)
  const result = await ask<Measured>(component, order)
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
