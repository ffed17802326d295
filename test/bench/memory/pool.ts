/** A program with so many worker threads that ran a job each and wait for the next: `pool.ts COUNT`. */
const DIST = new URL('../../../dist/', import.meta.url)
const count = Number(process.argv[2])
const load = (path: string): Promise<unknown> => import(new URL(path, DIST).href)
const { WorkerPool } = (await load(
  'runtime/eo/worker-pool.js',
)) as typeof import('../../../runtime/eo/worker-pool.ts')

if (count > 0) {
  const pool = new WorkerPool({
    threads: count,
    queueCountMax: 100,
    heapMiB: 48,
    overdueMs: 60_000,
    clock: () => performance.now(),
    log: () => undefined,
    identity: () => ({ component: 'bench', node: 'node1', address: { node: 1, port: 64 } }),
  })
  const module = new URL('test/fixtures/bench/echo.js', DIST).href
  const call = {
    source: { node: 1, port: 64 },
    caller: '',
    messageId: 1,
    priority: 'default',
    deadlineEpochMs: Date.now() + 60_000,
    epoch: 0,
  }
  const deadlineMs = performance.now() + 60_000
  const job = { module, name: 'meet', input: { count }, call, priority: 'default', deadlineMs }
  const ran = Array.from(
    { length: count },
    () =>
      new Promise((done, failed) => {
        pool.submit({ ...job, priority: 'default', done, failed })
      }),
  )
  // A worker takes several jobs at once: the sweep gives those behind a waiting one to a thread of their own.
  setInterval(() => pool.sweep(performance.now()), 20)
  await Promise.all(ran)
}
console.log('ready')
setInterval(() => {}, 1_000)
