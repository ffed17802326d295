import { type ChildProcess, spawn, spawnSync } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { type Bench, type BenchContext, median } from './bench.ts'
import type { Measured, Order } from './rmd/client.ts'
import { SIZES_BYTES, SYSTEMS, type System } from './rmd/systems.ts'

/**
 * Calls of 64 bytes, 1 KiB and 64 KiB between two processes of one host, with 1, 64 and 1024 in flight: bare frames, a
 * minimal msgpackr RPC, ours, and what else one would take. Every system has its own pair of processes; rounds take
 * turns, so that a slow moment of the machine meets all of them. One in flight: both ends on one core where `taskset`
 * is there, since else the cost of waking a core is all that is seen.
 */
const IN_FLIGHT = [1, 64, 1024]
const ROUND_MS = 500
/** With 1024 calls of 64 KiB only memory would be measured. */
const BYTES_IN_FLIGHT_MAX = 8 * 1024 * 1024

const HAS_NATS = spawnSync('nats-server', ['--version']).status === 0
const PRESENT = SYSTEMS.filter((system) => system !== 'nats' || HAS_NATS)

/**
 * Both ends of every pair first make so many calls: what is compared is compiled code. One in flight would take minutes
 * to get there, and a short run would compare how much there is to compile.
 */
const WARM_UP: Order = { inFlight: 64, sizeBytes: 64, ms: 2_000, callCountMax: 40_000 }

interface Pair {
  readonly system: System
  readonly client: ChildProcess
  readonly server: ChildProcess
}

export const bench: Bench = async (context) => {
  const directory = mkdtempSync(join(tmpdir(), 'hf-bench-'))
  try {
    for (const inFlight of IN_FLIGHT) await level(context, directory, inFlight)
  } finally {
    rmSync(directory, { recursive: true, force: true })
  }
}

async function level(context: BenchContext, directory: string, inFlight: number): Promise<void> {
  // Short rounds would measure code that is not compiled yet: quick is the size of the budgets alone.
  const sizes = context.quick ? SIZES_BYTES.slice(0, 1) : SIZES_BYTES
  // One in flight a call takes longer on some rounds of one process than on others: three are too few for a median.
  const rounds = context.quick && inFlight > 1 ? 3 : 7
  const pairs: Pair[] = []
  try {
    for (const system of PRESENT) {
      pairs.push(
        await start(
          system,
          join(directory, `${system.replace(' ', '')}${inFlight}`),
          inFlight === 1,
        ),
      )
    }
    for (const { system, client, server } of pairs) {
      context.progress(`${inFlight} in flight, warming up, ${system}`)
      await measure(client, server, WARM_UP)
    }
    for (const sizeBytes of sizes) {
      if (sizeBytes * inFlight > BYTES_IN_FLIGHT_MAX) continue
      const results = new Map<System, Measured[]>(PRESENT.map((system) => [system, []]))
      for (let round = -1; round < rounds; round += 1) {
        for (const { system, client, server } of pairs) {
          const what = `${sizeBytes} bytes, ${inFlight} in flight`
          context.progress(`${what}, round ${round + 1} of ${rounds}, ${system}`)
          const order = { inFlight, sizeBytes, ms: ROUND_MS, callCountMax: Number.MAX_SAFE_INTEGER }
          const result = await measure(client, server, order)
          if (round >= 0) results.get(system)!.push(result)
        }
      }
      reportAll(context, results, { sizeBytes, inFlight })
    }
  } finally {
    for (const { client, server } of pairs) {
      client.kill('SIGKILL')
      server.kill('SIGKILL')
    }
  }
}

function reportAll(
  context: BenchContext,
  results: ReadonlyMap<System, readonly Measured[]>,
  order: { readonly sizeBytes: number; readonly inFlight: number },
): void {
  for (const [system, measured] of results) {
    const middle = (key: keyof Measured): number => median(measured.map((one) => one[key]))
    context.report({
      bench: 'rmd',
      system,
      ...order,
      perSecond: Math.round(middle('perSecond')),
      p50Us: Number(middle('p50Us').toFixed(1)),
      p99Us: Number(middle('p99Us').toFixed(1)),
      cpuUs: Number(middle('cpuUs').toFixed(2)),
      ofMinimal: Number(ratio(results, system).toFixed(2)),
    })
  }
}

/** Median over rounds of the throughput against that of the minimal RPC in the same round. */
function ratio(results: ReadonlyMap<System, readonly Measured[]>, system: System): number {
  const base = results.get('minimal')!
  return median(results.get(system)!.map((one, i) => one.perSecond / base[i]!.perSecond))
}

async function start(system: System, directory: string, oneCore: boolean): Promise<Pair> {
  const server = program('server', [system, directory], oneCore)
  await once(server, 'message')
  const client = program('client', [system, directory], oneCore)
  await once(client, 'message')
  return { system, client, server }
}

const hasTaskset = spawnSync('taskset', ['-c', '0', 'true']).status === 0

function program(name: string, args: readonly string[], oneCore: boolean): ChildProcess {
  const file = fileURLToPath(new URL(`./rmd/${name}.ts`, import.meta.url))
  const command = [process.execPath, '--import', 'tsx', file, ...args]
  const [first = '', ...rest] = oneCore && hasTaskset ? ['taskset', '-c', '0', ...command] : command
  return spawn(first, rest, { stdio: ['ignore', 'inherit', 'inherit', 'ipc'] })
}

async function measure(
  client: ChildProcess,
  server: ChildProcess,
  order: Order,
): Promise<Measured> {
  const before = await ask<number>(server, 'cpu')
  const result = await ask<Measured & { calls: number }>(client, order)
  const serverUs = (await ask<number>(server, 'cpu')) - before
  return { ...result, cpuUs: result.cpuUs + serverUs / result.calls }
}

async function ask<T>(child: ChildProcess, message: string | object): Promise<T> {
  child.send(message)
  const [answer] = (await once(child, 'message')) as [T]
  return answer
}
