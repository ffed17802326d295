import { type ChildProcess, spawn, spawnSync } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { type Bench, type BenchContext, median, quantile } from './bench.ts'
import { type EventSystem, PARTS, SIZE_BYTES, SYSTEMS } from './events/systems.ts'

/**
 * Events of 64 bytes from one publisher to 1 and to 8 subscribers, each with a connection of its own, all subscribers
 * in one process; what is in between is a process too. The publisher may be two steps ahead of the slowest subscriber,
 * which all systems have to be told in the same way. With one under way, `p50Us` is the time from `publish` to the last
 * subscriber's callback. `cpuUs` is that of all Node.js processes for one event; what nats-server and redis-server need
 * comes on top.
 */
const SUBSCRIBERS = [1, 8]
const STEP = 4_096
const AHEAD = 2

const installed = (program: string): boolean => spawnSync(program, ['--version']).status === 0
const PRESENT = SYSTEMS.filter(
  (system) =>
    (system !== 'nats' || installed('nats-server')) &&
    (system !== 'redis' || installed('redis-server')),
)

interface Rig {
  readonly children: readonly ChildProcess[]
  readonly publisher: ChildProcess
  readonly subscriber: ChildProcess
}

interface Measured {
  readonly perSecond: number
  readonly cpuUs: number
}

export const bench: Bench = async (context) => {
  const directory = mkdtempSync(join(tmpdir(), 'hf-bench-'))
  try {
    for (const subscribers of SUBSCRIBERS) await level(context, directory, subscribers)
  } finally {
    rmSync(directory, { recursive: true, force: true })
  }
}

async function level(context: BenchContext, directory: string, subscribers: number): Promise<void> {
  const rounds = context.quick ? 2 : 5
  const roundMs = context.quick ? 300 : 1_000
  const rigs = new Map<EventSystem, Rig>()
  try {
    for (const [i, system] of PRESENT.entries()) {
      context.progress(`${subscribers} subscribers, starting ${system}`)
      rigs.set(system, await start(system, mkdtempSync(join(directory, `${i}-`)), subscribers))
    }
    const results = new Map<EventSystem, Measured[]>(PRESENT.map((system) => [system, []]))
    for (let round = -1; round < rounds; round += 1) {
      for (const [system, rig] of rigs) {
        context.progress(`${subscribers} subscribers, round ${round + 1} of ${rounds}, ${system}`)
        // The first round warms up, and does not count.
        const measured = await throughput(rig, round < 0 ? 800 : roundMs)
        if (round >= 0) results.get(system)!.push(measured)
      }
    }
    for (const [system, rig] of rigs) {
      const times = await latency(rig, context.quick ? 100 : 500)
      report(context, { system, subscribers, measured: results.get(system)!, times })
    }
  } finally {
    for (const { children } of rigs.values()) for (const child of children) child.kill('SIGKILL')
  }
}

function report(
  context: BenchContext,
  result: {
    readonly system: EventSystem
    readonly subscribers: number
    readonly measured: readonly Measured[]
    readonly times: Float64Array
  },
): void {
  const { system, subscribers, measured, times } = result
  const perSecond = Math.round(median(measured.map((one) => one.perSecond)))
  context.report({
    bench: 'events',
    system,
    sizeBytes: SIZE_BYTES,
    subscribers,
    perSecond,
    deliveriesPerSecond: perSecond * subscribers,
    cpuUs: Number(median(measured.map((one) => one.cpuUs)).toFixed(2)),
    p50Us: Math.round(quantile(times, 0.5)),
    p99Us: Math.round(quantile(times, 0.99)),
  })
}

/** Events for so long, as fast as the slowest subscriber takes them. */
async function throughput(rig: Rig, ms: number): Promise<Measured> {
  const { publisher, subscriber } = rig
  await setStep(subscriber, STEP)
  const before = await cpuUsOf(rig)
  const startMs = performance.now()
  for (let i = 0; i < AHEAD; i += 1) publisher.send({ count: STEP })
  let asked = AHEAD
  let done = 0
  while (done < asked) {
    await answer(subscriber)
    done += 1
    if (performance.now() - startMs >= ms) continue
    publisher.send({ count: STEP })
    asked += 1
  }
  const seconds = (performance.now() - startMs) / 1_000
  const events = done * STEP
  return { perSecond: events / seconds, cpuUs: ((await cpuUsOf(rig)) - before) / events }
}

/** One event at a time. */
async function latency({ publisher, subscriber }: Rig, count: number): Promise<Float64Array> {
  await setStep(subscriber, 1)
  const times: number[] = []
  for (let i = -10; i < count; i += 1) {
    publisher.send({ count: 1 })
    const { lastedUs } = await answer(subscriber)
    if (i >= 0) times.push(lastedUs)
  }
  return Float64Array.from(times)
}

/** The next answer to `cpu` is behind it. */
async function setStep(subscriber: ChildProcess, step: number): Promise<void> {
  subscriber.send({ step })
  await cpuUs(subscriber)
}

async function answer(subscriber: ChildProcess): Promise<{ readonly lastedUs: number }> {
  const timeout = AbortSignal.timeout(10_000)
  const [message] = (await once(subscriber, 'message', { signal: timeout })) as [
    { readonly lastedUs: number },
  ]
  return message
}

async function cpuUsOf({ children }: Rig): Promise<number> {
  let sumUs = 0
  for (const child of children) sumUs += await cpuUs(child)
  return sumUs
}

async function cpuUs(child: ChildProcess): Promise<number> {
  child.send('cpu')
  const [message] = (await once(child, 'message')) as [{ readonly cpuUs: number }]
  return message.cpuUs
}

async function start(system: EventSystem, directory: string, subscribers: number): Promise<Rig> {
  const children: ChildProcess[] = []
  const roles = PARTS[system].broker === undefined ? [] : ['broker']
  for (const role of [...roles, 'publisher', 'subscriber']) {
    const child = program([system, role, directory, String(subscribers)])
    children.push(child)
    await once(child, 'message', { signal: AbortSignal.timeout(20_000) })
  }
  const [publisher, subscriber] = children.slice(-2)
  return { children, publisher: publisher!, subscriber: subscriber! }
}

function program(args: readonly string[]): ChildProcess {
  const file = fileURLToPath(new URL('./events/part.ts', import.meta.url))
  return spawn(process.execPath, ['--import', 'tsx', file, ...args], {
    stdio: ['ignore', 'inherit', 'inherit', 'ipc'],
  })
}
