import { spawn } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { type Bench, median } from './bench.ts'

const DIST = new URL('../../dist/', import.meta.url)
const MODEL = fileURLToPath(new URL('../../samples/sequence/cluster.yaml', import.meta.url))

/** Resident memory of a component process of the sample against a bare Node.js that waits. */
export const bench: Bench = async ({ report, progress, quick }) => {
  const { startCluster } = (await import(
    new URL('amf/testkit/index.js', DIST).href
  )) as typeof import('../../dist/amf/testkit/index.js')
  const rounds = quick ? 1 : 3
  const bare: number[] = []
  const components: number[] = []
  const nodes: number[] = []
  for (let round = 0; round < rounds; round += 1) {
    progress(`round ${round + 1} of ${rounds}`)
    bare.push(await bareNode())
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
    ['holdfast node process', nodes],
  ] as const)
    report({
      bench: 'memory',
      system,
      residentMiB: median(sizes),
      overBareMiB: median(sizes) - median(bare),
    })
}

async function bareNode(): Promise<number> {
  const child = spawn(process.execPath, ['-e', 'console.log(1); setInterval(() => {}, 1000)'])
  await new Promise((resolve) => child.stdout.once('data', resolve))
  const size = residentMiB(child.pid ?? 0)
  child.kill('SIGKILL')
  return size
}

function residentMiB(pid: number): number {
  const kib = /VmRSS:\s+(\d+)/.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1]
  return Number(kib) / 1024
}
