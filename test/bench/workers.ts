import { Piscina } from 'piscina'
import { WorkerPool } from '../../runtime/eo/worker-pool.ts'
import { median, type Bench } from './bench.ts'

const DIST = new URL('../../dist/', import.meta.url)
const WORK = new URL('test/fixtures/runtime/work.js', DIST)
const IN_FLIGHT = 64
const ROUNDS = 5

interface Contender {
  readonly system: string
  readonly threads: number
  run(n: number): Promise<unknown>
  close(): Promise<unknown>
}

/** Small jobs placed on workers: the EO's pool against one `piscina.run()` a job. Medians of rounds in one run. */
export const bench: Bench = async ({ report, progress, quick }) => {
  const roundMs = quick ? 200 : 1_000
  for (const threads of [1, 2]) {
    const contenders = [pool(threads), piscina(threads)]
    const loads = new Map(contenders.map((contender) => [contender, [] as Load[]]))
    for (let round = 0; round <= ROUNDS; round++) {
      for (const contender of contenders) {
        progress(`${contender.system}, ${threads} threads, round ${round} of ${ROUNDS}`)
        const measured = await load(contender, roundMs)
        // The first round warms up.
        if (round > 0) loads.get(contender)?.push(measured)
      }
    }
    const perSecond = contenders.map((one) => median(loads.get(one)!.map((l) => l.perSecond)))
    const cpuUs = contenders.map((one) => median(loads.get(one)!.map((l) => l.cpuUs)))
    contenders.forEach(({ system }, i) => {
      report({
        bench: 'workers',
        system,
        threads,
        inFlight: IN_FLIGHT,
        perSecond: perSecond[i]!,
        cpuUs: cpuUs[i]!,
        ratio: perSecond[i]! / perSecond.at(-1)!,
      })
    })
    for (const contender of contenders) await contender.close()
  }
}

interface Load {
  readonly perSecond: number
  /** Of all threads of the process, a job. */
  readonly cpuUs: number
}

async function load(contender: Contender, ms: number): Promise<Load> {
  let count = 0
  const startMs = performance.now()
  const cpu = process.cpuUsage()
  const caller = async (): Promise<void> => {
    while (performance.now() - startMs < ms) {
      await contender.run(count)
      count++
    }
  }
  await Promise.all(Array.from({ length: IN_FLIGHT }, caller))
  const { user, system } = process.cpuUsage(cpu)
  return {
    perSecond: (count / (performance.now() - startMs)) * 1_000,
    cpuUs: (user + system) / count,
  }
}

function pool(threads: number): Contender {
  const workers = new WorkerPool({
    identity: () => ({ component: 'bench', node: 'bench', address: { node: 1, port: 1 } }),
    threads,
    queueCountMax: 4_096,
    overdueMs: 10_000,
    heapMiB: 128,
    clock: () => performance.now(),
    log: () => undefined,
  })
  workers.place(WORK.href)
  const call = {
    source: { node: 1, port: 64 },
    caller: '0'.repeat(16),
    messageId: 1,
    priority: 'default',
    deadlineEpochMs: Date.now() + 600_000,
    epoch: 0,
  } as const
  return {
    system: 'holdfast worker pool',
    threads,
    run: (n) =>
      new Promise((resolve, reject) => {
        const taken = workers.submit({
          module: WORK.href,
          name: 'square',
          where: () => 'square',
          input: { n },
          call,
          priority: 'default',
          deadlineMs: Number.MAX_SAFE_INTEGER,
          done: resolve,
          failed: reject,
        })
        if (!taken) reject(new Error('queue full'))
      }),
    close: () => workers.close(),
  }
}

function piscina(threads: number): Contender {
  const workers = new Piscina({
    filename: WORK.href,
    minThreads: threads,
    maxThreads: threads,
    recordTiming: false,
  })
  return {
    system: 'piscina, one run() a job',
    threads,
    run: (n) => workers.run({ n }, { name: 'square' }),
    close: () => workers.destroy(),
  }
}
