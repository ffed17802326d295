import { spawn } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { type Bench, median } from './bench.ts'

const DIST = new URL('../../dist/', import.meta.url)
const SAMPLE = fileURLToPath(new URL('samples/sequence/component.js', DIST))
const WITH_WORKER = fileURLToPath(new URL('test/fixtures/bench/component.js', DIST))
const POOL = fileURLToPath(new URL('test/fixtures/bench/pool.js', DIST))
const WORKERS = 4
/** Threads and what they load after the roles are there: so long it takes until nothing is started any more. */
const REST_MS = 500

const model = (run: string): Readonly<Record<string, unknown>> => ({
  cluster: 'memory',
  nodes: { node1: {}, node2: {} },
  componentTypes: { sequence: { run } },
  serviceGroups: {
    sequenceSG: {
      redundancy: '2N',
      serviceUnits: {
        sequenceSU1: { node: 'node1', components: { sequence1: 'sequence' } },
        sequenceSU2: { node: 'node2', components: { sequence2: 'sequence' } },
      },
      serviceInstances: { sequenceSI: { csis: { sequenceCSI: { name: 'sequence' } } } },
    },
  },
})

type Sizes = Record<'node' | 'active' | 'standby', number[]>
const noSizes = (): Sizes => ({ node: [], active: [], standby: [] })

/**
 * Resident memory of the sample's processes against a bare Node.js that waits: the active component, and the standby,
 * which has rehearsed its promotion; both also with one worker thread. And what each further worker adds.
 */
export const bench: Bench = async ({ report, progress, quick }) => {
  const rounds = quick ? 1 : 5
  const bare: number[] = []
  const plain = noSizes()
  const withWorker = noSizes()
  const workers: number[] = []
  for (let round = 0; round < rounds; round += 1) {
    progress(`round ${round + 1} of ${rounds}`)
    bare.push(await program(['-e', 'console.log(1); setInterval(() => {}, 1000)']))
    await cluster(SAMPLE, plain)
    await cluster(WITH_WORKER, withWorker)
    const one = await program([POOL, '1'])
    workers.push(((await program([POOL, String(WORKERS)])) - one) / (WORKERS - 1))
  }
  for (const [system, sizes] of [
    ['bare node', bare],
    ['holdfast component, active', plain.active],
    ['holdfast component, standby', plain.standby],
    ['holdfast component with one worker, active', withWorker.active],
    ['holdfast component with one worker, standby', withWorker.standby],
    ['holdfast node process', plain.node],
  ] as const)
    report({
      bench: 'memory',
      system,
      residentMiB: rounded(median(sizes)),
      overBareMiB: rounded(median(sizes) - median(bare)),
    })
  report({
    bench: 'memory',
    system: 'holdfast worker, each further',
    residentMiB: rounded(median(workers)),
  })
}

const rounded = (mib: number): number => Number(mib.toFixed(1))

/** Adds the sizes of the processes of a cluster that runs the component. */
async function cluster(component: string, sizes: Sizes): Promise<void> {
  const { startCluster } = (await import(
    new URL('amf/testkit/index.js', DIST).href
  )) as typeof import('../../dist/amf/testkit/index.js')
  const { Echo } = (await import(
    new URL('test/fixtures/bench/component.js', DIST).href
  )) as typeof import('../../dist/test/fixtures/bench/component.js')
  const running = await startCluster(model(component), { plain: true })
  try {
    const view = await running.until((state) => state.active('sequenceSI') !== null, 5_000)
    if (component === WITH_WORKER) {
      const { rmd } = await running.connect()
      await rmd.client(Echo, { to: '@sequence' }).echo({ text: 'a job' })
    }
    await new Promise((resolve) => setTimeout(resolve, REST_MS))
    const active = view.activeComponent('sequenceSI')?.name
    for (const { kind, name, pid } of running.processes()) {
      if (kind === 'node') sizes.node.push(residentMiB(pid))
      if (kind !== 'component') continue
      sizes[name === active ? 'active' : 'standby'].push(residentMiB(pid))
    }
  } finally {
    await running.stop()
  }
}

/** Resident size of a program of Node.js that has said it is ready, as it is built: workers inherit a loader. */
async function program(args: readonly string[]): Promise<number> {
  const child = spawn(process.execPath, args, { stdio: ['ignore', 'pipe', 'inherit'] })
  await new Promise((resolve) => child.stdout.once('data', resolve))
  const size = residentMiB(child.pid ?? 0)
  child.kill('SIGKILL')
  return size
}

function residentMiB(pid: number): number {
  const kib = /VmRSS:\s+(\d+)/.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1]
  return Number(kib) / 1024
}
