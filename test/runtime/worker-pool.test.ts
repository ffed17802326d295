import { afterEach, expect, test } from 'vitest'
import { isSdkError } from '../../idl/index.ts'
import { WorkerPool } from '../../runtime/eo/worker-pool.ts'

const DIST = new URL('../../dist/', import.meta.url)
const WORK = new URL('test/fixtures/runtime/work.js', DIST).href
const MEET = new URL('test/fixtures/bench/echo.js', DIST).href

let pool: WorkerPool

function start(options: { threads?: number; queueCountMax?: number; heapMiB?: number } = {}): void {
  pool = new WorkerPool({
    threads: 2,
    queueCountMax: 10_000,
    heapMiB: 48,
    overdueMs: 200,
    clock: () => performance.now(),
    log: () => undefined,
    identity: () => ({ component: 'toy', node: 'node1', address: { node: 1, port: 64 } }),
    ...options,
  })
  pool.place(WORK)
}
afterEach(() => pool.close())

const CALLER = '0'.repeat(16)
let messageId = 0
function run(name: string, input: unknown, timeoutMs = 10_000, module = WORK): Promise<unknown> {
  return new Promise((resolve, reject) => {
    const taken = pool.submit({
      module,
      name,
      where: () => name,
      input,
      call: {
        source: { node: 1, port: 64 },
        caller: CALLER,
        messageId: ++messageId,
        priority: 'default',
        deadlineEpochMs: Date.now() + timeoutMs,
        epoch: 0,
      },
      priority: 'default',
      deadlineMs: performance.now() + timeoutMs,
      done: resolve,
      failed: reject,
    })
    if (!taken) reject(new Error('full'))
  })
}

const outcome = (promise: Promise<unknown>): Promise<string> =>
  promise.then(
    () => 'done',
    (error: unknown) => (isSdkError(error) ? error.code : String(error)),
  )

async function sweepUntil(promise: Promise<unknown>): Promise<void> {
  const timer = setInterval(() => pool.sweep(performance.now()), 5)
  await promise
  clearInterval(timer)
}

test('thousands of jobs come back right, on no more threads than allowed', async () => {
  start()
  const jobs = Array.from({ length: 3_000 }, (_, n) => run('square', { n }))
  const results = (await Promise.all(jobs)) as { n: number; thread: number }[]
  expect(results.every(({ n }, i) => n === i * i)).toBe(true)
  expect(new Set(results.map((r) => r.thread)).size).toBeLessThanOrEqual(2)
  expect(pool.statistics()).toMatchObject({ jobsFinished: 3_000, jobsRunning: 0, jobsQueued: 0 })
})

test.each([
  ['exits', 'exit', { code: 3 }],
  ['runs out of memory', 'fill', {}],
])('a worker that %s fails only the job that it ran', async (_, name, input) => {
  start({ threads: 1 })
  await Promise.all(Array.from({ length: 200 }, (__, n) => run('square', { n })))
  const before = Array.from({ length: 40 }, (__, n) => outcome(run('square', { n })))
  const bad = outcome(run(name, input))
  const after = Array.from({ length: 40 }, (__, n) => outcome(run('square', { n })))
  expect(await bad).toBe('WORKER_DIED')
  expect(new Set(await Promise.all([...before, ...after]))).toEqual(new Set(['done']))
  expect(pool.statistics()).toMatchObject({ workersDied: 1, jobsRunning: 0 })
})

test('errors of functions come back as they are, and missing functions are named', async () => {
  start({ threads: 1 })
  expect(await outcome(run('fail', { code: 'X' }))).toContain('failed with X')
  expect(await outcome(run('missing', {}))).toBe('NOT_IMPLEMENTED')
  expect(await outcome(run('square', { n: 2 }))).toBe('done')
})

test('a job that waits past its deadline behind one that was short before is not run either', async () => {
  start({ threads: 1 })
  for (let i = 0; i < 200; i++) await run('hold', { ms: 0 })
  await run('square', { n: 1 })
  const finished = pool.statistics()['jobsFinished']
  const long = run('hold', { ms: 300 })
  const late = outcome(run('square', { n: 1 }, 50))
  await sweepUntil(late)
  expect(await late).toBe('DEADLINE_PASSED')
  await long
  await run('square', { n: 2 })
  expect(pool.statistics()['jobsFinished']).toBe(finished! + 2)
})

test('a job that waits past its deadline is answered, not run', async () => {
  start({ threads: 1 })
  await run('square', { n: 1 })
  const long = run('hold', { ms: 300 })
  const late = outcome(run('square', { n: 1 }, 50))
  await sweepUntil(late)
  expect(await late).toBe('DEADLINE_PASSED')
  await long
})

test('jobs behind a slow one are given to a worker that is free', async () => {
  start({ threads: 2 })
  for (let i = 0; i < 20; i++) await Promise.all([run('square', { n: 1 }), run('square', { n: 1 })])
  const slow = run('hold', { ms: 2_000 })
  const quick = Promise.all(Array.from({ length: 64 }, (_, n) => run('square', { n })))
  const startMs = performance.now()
  await sweepUntil(quick)
  expect(performance.now() - startMs).toBeLessThan(1_500)
  await slow
})

/** The function of that name has begun and comes back when `body` is done. */
async function whileRunning(
  name: string,
  input: unknown,
  body: () => Promise<void>,
): Promise<void> {
  const channel = new BroadcastChannel(`told ${CALLER}`)
  const begun = new Promise((resolve) => (channel.onmessage = resolve))
  const running = run(name, input)
  await begun
  await body()
  channel.postMessage('end')
  await running
  channel.close()
}

test('jobs that are not known to be short are on all workers at once', async () => {
  start({ threads: 3 })
  const meet = (): Promise<unknown> => run('meet', { count: 3 }, 60_000, MEET)
  // They end when three of them run. No sweep: nothing is taken back.
  for (let round = 0; round < 5; round++) await Promise.all([meet(), meet(), meet()])
  await Promise.all(Array.from({ length: 3 }, () => run('hold', { ms: 20 })))
  for (let round = 0; round < 5; round++) await Promise.all([meet(), meet(), meet()])
})

test('behind a function that is known to take long nothing is queued', async () => {
  start({ threads: 2 })
  await Promise.all([run('hold', { ms: 50 }), run('hold', { ms: 50 })])
  for (let i = 0; i < 20; i++) await run('square', { n: 1 })
  // No sweep: nothing is taken back.
  await whileRunning('untilTold', {}, async () => {
    await Promise.all(Array.from({ length: 200 }, (_, n) => run('square', { n })))
  })
})

test('what waits behind a function that for once takes long is taken back under load, too', async () => {
  start({ threads: 2 })
  await Promise.all([run('hold', { ms: 50 }), run('hold', { ms: 50 })])
  for (let i = 0; i < 50; i++) await run('sometimesLong', { long: false })
  const rounds = new Array<number>(32).fill(0)
  const caller = async (i: number): Promise<void> => {
    // All go on until the last one is there: the other worker has no moment without a job.
    for (; Math.min(...rounds) < 20; rounds[i]!++) await run('square', { n: i })
  }
  await whileRunning('sometimesLong', { long: true }, async () => {
    await sweepUntil(Promise.all(rounds.map((_, i) => caller(i))))
  })
})

test('the queue is bounded', async () => {
  start({ threads: 1, queueCountMax: 5 })
  await run('square', { n: 1 })
  const outcomes = await Promise.all(
    [run('later', { ms: 100 }), ...Array.from({ length: 10 }, () => run('later', { ms: 1 }))].map(
      outcome,
    ),
  )
  expect(outcomes.filter((text) => text.includes('full')).length).toBeGreaterThan(0)
  expect(outcomes[0]).toBe('done')
})

test('closing fails what is left by code', async () => {
  start({ threads: 1 })
  await run('square', { n: 1 })
  const jobs = [run('hold', { ms: 5_000 }), run('square', { n: 1 })].map(outcome)
  await pool.close()
  expect(await Promise.all(jobs)).toEqual(['INTERRUPT', 'INTERRUPT'])
})

test('a function that ignores its deadline is ended with its thread, its neighbours are not', async () => {
  start({ threads: 1 })
  await Promise.all(Array.from({ length: 200 }, (_, n) => run('square', { n })))
  const stuck = outcome(run('hold', { ms: 60_000 }, 50))
  const neighbours = Promise.all(
    Array.from({ length: 20 }, (_, n) => outcome(run('square', { n }))),
  )
  await sweepUntil(Promise.all([stuck, neighbours]))
  expect(await stuck).toBe('WORKER_DIED')
  expect(new Set(await neighbours)).toEqual(new Set(['done']))
  expect(pool.statistics()).toMatchObject({ overdueEnded: 1, workersDied: 1 })
})

test('workers that die one after the other are replaced at a limited rate', async () => {
  start({ threads: 1 })
  await run('square', { n: 1 })
  const startMs = performance.now()
  for (let i = 0; i < 5; i++) expect(await outcome(run('exit', { code: i }))).toBe('WORKER_DIED')
  // Four deaths a second for one thread: the fifth job waits for the rest of the first one's second.
  expect(performance.now() - startMs).toBeGreaterThan(900)
})
