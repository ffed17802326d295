import { expect, test } from 'vitest'
import { HELD_COUNT_MAX, JobTimes, nextWorker } from '../../runtime/eo/job-shares.ts'

const QUICK = { module: 'm', name: 'quick' }
const LONG = { module: 'm', name: 'long' }
const UNKNOWN = { module: 'm', name: 'unknown' }

function learned(): JobTimes {
  const times = new JobTimes()
  for (let i = 0; i < 20; i++) {
    times.ran(QUICK, 0.001)
    times.ran(LONG, 30)
  }
  return times
}

interface Load {
  heldCount: number
  expectedMs: number
  isStalled: boolean
}

const load = (more: Partial<Load> = {}): Load => ({
  heldCount: 0,
  expectedMs: 0,
  isStalled: false,
  ...more,
})

/** Hands jobs out until all workers have enough. @returns how many each got. */
function share(jobs: readonly (typeof QUICK)[], workers: readonly Load[]): number[] {
  const times = learned()
  const before = workers.map((worker) => worker.heldCount)
  for (const job of jobs) {
    const worker = nextWorker(workers)
    if (worker === undefined) break
    worker.heldCount++
    worker.expectedMs += times.expectedMs(job)
  }
  return workers.map((worker, i) => worker.heldCount - before[i]!)
}

const several = <T>(count: number, item: T): T[] => new Array<T>(count).fill(item)

test.each([
  { what: '64 quick jobs', jobs: several(64, QUICK), on: [load(), load()], get: [32, 32] },
  {
    what: 'more quick jobs than workers may hold',
    jobs: several(1_000, QUICK),
    on: [load(), load()],
    get: [HELD_COUNT_MAX, HELD_COUNT_MAX],
  },
  { what: 'long jobs', jobs: several(8, LONG), on: [load(), load(), load()], get: [1, 1, 1] },
  { what: 'jobs nobody knows', jobs: several(8, UNKNOWN), on: [load(), load()], get: [1, 1] },
  { what: 'one long job', jobs: [LONG], on: [load(), load()], get: [1, 0] },
  {
    what: 'quick jobs after a long one',
    jobs: [LONG, ...several(50, QUICK)],
    on: [load(), load()],
    get: [1, 50],
  },
  {
    what: 'a long job after quick ones',
    jobs: [...several(10, QUICK), LONG, ...several(10, QUICK)],
    on: [load(), load()],
    get: [6, 15],
  },
  {
    what: 'quick jobs, one worker stalled',
    jobs: several(10, QUICK),
    on: [load({ heldCount: 1, isStalled: true }), load()],
    get: [0, 10],
  },
  {
    what: 'quick jobs, all workers stalled',
    jobs: several(10, QUICK),
    on: [load({ isStalled: true }), load({ isStalled: true })],
    get: [0, 0],
  },
  {
    what: 'quick jobs, one worker with more to do',
    jobs: several(20, QUICK),
    on: [load({ heldCount: 40, expectedMs: 0.2 }), load()],
    get: [0, 20],
  },
  { what: 'a job without any worker', jobs: [QUICK], on: [], get: [] },
])('$what', ({ jobs, on, get }) => {
  expect(share(jobs, on)).toEqual(get)
})

test('a function whose runs grow longer is soon taken for long, and the other way round', () => {
  const known = learned()
  const quickMs = known.expectedMs(QUICK)
  known.ran(QUICK, 1_000)
  expect(nextWorker([load({ expectedMs: known.expectedMs(QUICK) })])).toBeUndefined()
  for (let i = 0; i < 100; i++) known.ran(QUICK, 0.001)
  expect(known.expectedMs(QUICK)).toBeCloseTo(quickMs, 2)
})

test('functions of the same name in two modules are two', () => {
  const known = learned()
  expect(known.expectedMs({ module: 'other', name: 'quick' })).toBe(known.expectedMs(UNKNOWN))
})
