import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { type Bench, quantile } from './bench.ts'

const DIST = new URL('../../dist/', import.meta.url)
const COMPONENT = fileURLToPath(new URL('test/fixtures/faults/component.js', DIST))
const MODEL = {
  cluster: 'control',
  nodes: { node1: {}, node2: {} },
  componentTypes: { fault: { run: COMPONENT, hungMs: 10_000, busyMs: 5_000 } },
  serviceGroups: {
    faultSG: {
      redundancy: '2N',
      serviceUnits: {
        faultSU1: { node: 'node1', components: { fault1: 'fault' } },
        faultSU2: { node: 'node2', components: { fault2: 'fault' } },
      },
      serviceInstances: { faultSI: { csis: { faultCSI: { name: 'fault' } } } },
    },
  },
}
const BEATS = fileURLToPath(new URL('test/fixtures/bench/beats.js', DIST))
const BEAT_MS = 100
/** Of each 250 ms the main thread is blocked for 200: 80 %. */
const BLOCK_MS = 200

type Counters = Readonly<Record<string, number>>

const grown = (before: Counters, after: Counters, counter: string): number =>
  (after[counter] ?? 0) - (before[counter] ?? 0)

/**
 * How long a watchdog's beat takes to the agent and back, with the component's main thread idle and 80 % busy. Renewals
 * of the role lease travel this way. The budget is kept while `over1Ms` is at most a hundredth of `beats`. Before each,
 * the same of a bare thread and a process that sends back what comes: what the machine itself takes.
 */
export const bench: Bench = async ({ report, progress, quick }) => {
  const { startCluster } = (await import(
    new URL('amf/testkit/index.js', DIST).href
  )) as typeof import('../../dist/amf/testkit/index.js')
  const { EoManagement } = (await import(
    new URL('runtime/index.js', DIST).href
  )) as typeof import('../../dist/runtime/index.js')
  const { Faults } = (await import(
    new URL('test/fixtures/faults/faults.js', DIST).href
  )) as typeof import('../../dist/test/fixtures/faults/faults.js')
  const times = quick ? 20 : 120
  for (const busy of [false, true]) {
    progress(busy ? '80 % busy' : 'idle')
    const lastsMs = times * (BLOCK_MS + 50) + 500
    const bare = await bareBeats(busy ? BLOCK_MS : 0, Math.floor(lastsMs / BEAT_MS))
    report({
      bench: 'control',
      system: `bare thread, main thread ${busy ? '80 % busy' : 'idle'}`,
      p50Us: quantile(bare, 0.5),
      beats: bare.length,
      over1Ms: bare.filter((us) => us > 1_000).length,
    })
    const cluster = await startCluster(MODEL, { plain: true })
    try {
      const { rmd } = await cluster.connect()
      const management = rmd.client(EoManagement, { to: '@fault', timeoutMs: 10_000 })
      // The start of processes on few cores delays everything: it is not what is measured.
      const { eo: before } = await management.statistics({})
      if (busy) await rmd.client(Faults, { to: '@fault' }).block({ ms: BLOCK_MS, times })
      await new Promise((resolve) => setTimeout(resolve, lastsMs))
      const { eo } = await management.statistics({})
      report({
        bench: 'control',
        system: `holdfast, main thread ${busy ? '80 % busy' : 'idle'}`,
        p50Us: eo['beatRoundTripP50Us'] ?? 0,
        beats: grown(before, eo, 'beatRoundTrips'),
        over1Ms: grown(before, eo, 'beatRoundTripsOver1Ms'),
      })
    } finally {
      await cluster.stop()
    }
  }
}

/** Round trips in microseconds. */
async function bareBeats(blockMs: number, count: number): Promise<Float64Array> {
  const directory = mkdtempSync(join(tmpdir(), 'hf-beats-'))
  const path = join(directory, 'echo.sock')
  const stdio = ['ignore', 'pipe', 'inherit'] as const
  const echo = spawn(process.execPath, [BEATS, 'echo', path], { stdio: [...stdio] })
  try {
    await once(echo.stdout!, 'data')
    const args = [BEATS, path, String(blockMs), String(count)]
    const sender = spawn(process.execPath, args, { stdio: [...stdio] })
    let printed = ''
    sender.stdout!.on('data', (chunk: Buffer) => (printed += String(chunk)))
    await once(sender, 'close')
    return Float64Array.from(JSON.parse(printed) as number[])
  } finally {
    echo.kill('SIGKILL')
    rmSync(directory, { recursive: true, force: true })
  }
}
