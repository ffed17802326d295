import { spawn } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { type Bench, median } from './bench.ts'

const DIST = new URL('../../dist/', import.meta.url)
const MODEL = fileURLToPath(new URL('../../samples/sequence/cluster.yaml', import.meta.url))

const POOL = fileURLToPath(new URL('test/fixtures/bench/pool.js', DIST))
const WORKERS = 4

/**
 * Resident memory of a component process of the sample against a bare Node.js that waits, and what its workers add: the
 * first one, with which the pool comes, and each further one.
 */
export const bench: Bench = async ({ report, progress, quick }) => {
  const { startCluster } = (await import(
    new URL('amf/testkit/index.js', DIST).href
  )) as typeof import('../../dist/amf/testkit/index.js')
  const rounds = quick ? 1 : 3
  const bare: number[] = []
  const components: number[] = []
  const nodes: number[] = []
  const firstWorkers: number[] = []
  const workers: number[] = []
  for (let round = 0; round < rounds; round += 1) {
    progress(`round ${round + 1} of ${rounds}`)
    bare.push(await program(['-e', 'console.log(1); setInterval(() => {}, 1000)']))
    const [none, one, all] = [
      await withWorkers(0),
      await withWorkers(1),
      await withWorkers(WORKERS),
    ]
    firstWorkers.push(one - none)
    workers.push((all - one) / (WORKERS - 1))
    const cluster = await startCluster(MODEL)
    try {
      for (const one of cluster.processes()) {
        if (one.kind === 'component') components.push(residentMiB(one.pid))
        if (one.kind === 'node') nodes.push(residentMiB(one.pid))
      }
    } finally {
      await cluster.stop()
    }
  }
  for (const [system, sizes] of [
    ['bare node', bare],
    ['holdfast component', components],
    ['holdfast component with one worker', [median(components) + median(firstWorkers)]],
    ['holdfast node process', nodes],
  ] as const)
    report({
      bench: 'memory',
      system,
      residentMiB: rounded(median(sizes)),
      overBareMiB: rounded(median(sizes) - median(bare)),
    })
  const of = (system: string, sizes: readonly number[]): void =>
    report({ bench: 'memory', system, residentMiB: rounded(median(sizes)) })
  of('holdfast worker, the first', firstWorkers)
  of('holdfast worker, each further', workers)
}

const rounded = (mib: number): number => Number(mib.toFixed(1))

/** As it is built: workers inherit a loader, and it would be counted with each of them. */
const withWorkers = (count: number): Promise<number> => program([POOL, String(count)])

/** Resident size of a program of Node.js that has said it is ready. */
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
