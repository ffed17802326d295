import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { type Bench, quantile } from './bench.ts'

const DIST = new URL('../../dist/', import.meta.url)
const fixture = (name: string): URL => new URL(`test/fixtures/bench/${name}.js`, DIST)
const MODEL = {
  cluster: 'control',
  nodes: { node1: {}, node2: {} },
  componentTypes: {
    beating: { run: fileURLToPath(fixture('beating')), hungMs: 10_000, busyMs: 5_000 },
  },
  serviceGroups: {
    beatSG: {
      redundancy: '2N',
      serviceUnits: {
        beatSU1: { node: 'node1', components: { beat1: 'beating' } },
        beatSU2: { node: 'node2', components: { beat2: 'beating' } },
      },
      serviceInstances: { beatSI: { csis: { beatCSI: { name: 'beat' } } } },
    },
  },
}
const BEATS_PER_SECOND = 10
/** 80 %. */
const BLOCK_MS = 200
const PERIOD_MS = 250

type Counters = Readonly<Record<string, number>>

const grown = (before: Counters, after: Counters, counter: string): number =>
  (after[counter] ?? 0) - (before[counter] ?? 0)

/**
 * How long a watchdog's beat takes to the agent and back, with the component's main thread idle and 80 % busy. Renewals
 * of the role lease travel this way. What the machine itself takes is measured in the same seconds: a bare thread of
 * the same process, whose beats a process that does nothing else sends back. Ours is what is over that: `overFloor`,
 * in hundredths of the beats that took more than 1 ms. The budget is kept while that is at most 1.
 */
export const bench: Bench = async ({ report, progress, quick }) => {
  const { startCluster } = (await import(
    new URL('amf/testkit/index.js', DIST).href
  )) as typeof import('../../dist/amf/testkit/index.js')
  const { EoManagement } = (await import(
    new URL('runtime/index.js', DIST).href
  )) as typeof import('../../dist/runtime/index.js')
  const { Beating } = (await import(
    fixture('beating').href
  )) as typeof import('../../dist/test/fixtures/bench/beating.js')
  const count = BEATS_PER_SECOND * (quick ? 5 : 30)
  for (const blockMs of [0, BLOCK_MS]) {
    const load = `main thread ${blockMs > 0 ? '80 % busy' : 'idle'}`
    progress(load)
    const cluster = await startCluster(MODEL, { plain: true })
    const echo = await startEcho()
    try {
      const { rmd } = await cluster.connect()
      const management = rmd.client(EoManagement, { to: '@beat', timeoutMs: 10_000 })
      const beating = rmd.client(Beating, { to: '@beat', timeoutMs: 120_000 })
      // The start of processes on few cores delays everything: it is not what is measured.
      const order = { path: echo.path, blockMs, periodMs: PERIOD_MS }
      await beating.beat({ ...order, count: 2 * BEATS_PER_SECOND })
      const { eo: before } = await management.statistics({})
      const { us } = await beating.beat({ ...order, count })
      const { eo } = await management.statistics({})
      const bare = Float64Array.from(us)
      const beats = grown(before, eo, 'beatRoundTrips')
      const over1Ms = grown(before, eo, 'beatRoundTripsOver1Ms')
      const bareOver1Ms = bare.filter((one) => one > OVER_US).length
      report({
        bench: 'control',
        system: `bare thread, ${load}`,
        p50Us: quantile(bare, 0.5),
        beats: bare.length,
        over1Ms: bareOver1Ms,
      })
      report({
        bench: 'control',
        system: `holdfast, ${load}`,
        p50Us: eo['beatRoundTripP50Us'] ?? 0,
        beats,
        over1Ms,
        overFloor: 100 * (over1Ms / beats - bareOver1Ms / bare.length),
      })
    } finally {
      echo.stop()
      await cluster.stop()
    }
  }
}

/** Where the watchdog's counters have the bound of 1 ms: between two of their buckets. */
const OVER_US = 1_024

async function startEcho(): Promise<{ readonly path: string; stop(): void }> {
  const directory = mkdtempSync(join(tmpdir(), 'hf-beats-'))
  const path = join(directory, 'echo.sock')
  const echo = spawn(process.execPath, [fileURLToPath(fixture('beats')), path], {
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  await once(echo.stdout, 'data')
  return {
    path,
    stop: () => {
      echo.kill('SIGKILL')
      rmSync(directory, { recursive: true, force: true })
    },
  }
}
