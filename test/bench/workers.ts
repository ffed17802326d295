import { type ChildProcess, fork } from 'node:child_process'
import { once } from 'node:events'
import { fileURLToPath } from 'node:url'
import type { JobsDone, JobsOrder } from '../fixtures/bench/jobs.ts'
import { median, type Bench } from './bench.ts'

const DIST = new URL('../../dist/', import.meta.url)
const JOBS = fileURLToPath(new URL('test/fixtures/bench/jobs.js', DIST))
const IN_FLIGHT = 64
const ROUNDS = 5

interface Contender {
  readonly system: string
  readonly process: ChildProcess
  readonly rounds: JobsDone[]
}

/**
 * Small jobs placed on workers: the EO's pool against one `piscina.run()` a job, each in a program of its own, run as
 * it is installed: a loader for TypeScript would put its own work into every thread. Medians of rounds in turns.
 */
export const bench: Bench = async ({ report, progress, quick }) => {
  for (const threads of [1, 2]) {
    const contenders = await Promise.all([
      start('holdfast worker pool', 'pool', threads),
      start('piscina, one run() a job', 'piscina', threads),
    ])
    try {
      for (let round = 0; round <= ROUNDS; round++) {
        for (const contender of contenders) {
          progress(`${contender.system}, ${threads} threads, round ${round} of ${ROUNDS}`)
          const order: JobsOrder = { ms: quick ? 300 : 1_000, inFlight: IN_FLIGHT }
          contender.process.send(order)
          const done = (await heard(contender.process)) as JobsDone
          // The first round warms up.
          if (round > 0) contender.rounds.push(done)
        }
      }
    } finally {
      for (const contender of contenders) contender.process.kill('SIGKILL')
    }
    const perSecond = contenders.map(({ rounds }) => median(rounds.map((one) => one.perSecond)))
    contenders.forEach(({ system, rounds }, i) => {
      report({
        bench: 'workers',
        system,
        threads,
        inFlight: IN_FLIGHT,
        perSecond: perSecond[i]!,
        cpuUs: median(rounds.map((one) => one.cpuUs)),
        ratio: perSecond[i]! / perSecond.at(-1)!,
      })
    })
  }
}

async function start(system: string, kind: string, threads: number): Promise<Contender> {
  const process = fork(JOBS, [kind, String(threads)], { execArgv: [] })
  await heard(process)
  return { system, process, rounds: [] }
}

async function heard(process: ChildProcess): Promise<unknown> {
  const [message] = (await Promise.race([
    once(process, 'message'),
    once(process, 'exit').then(([code]) => {
      throw new Error(`the program that runs the jobs ended with ${String(code)}`)
    }),
  ])) as [unknown]
  return message
}
