import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import type { RmdPriority } from '../../ioc/index.ts'
import { JobQueue } from '../../runtime/eo/job-queue.ts'

interface Job {
  readonly id: number
  readonly priority: RmdPriority
  readonly deadlineMs: number
}

const PRIORITIES: readonly RmdPriority[] = [
  'reserved',
  'high',
  'notification',
  'ordered',
  'default',
  'low',
]
const LIMITS = { queuedCountMax: 4, runningCountMax: 100 }
const job = (id: number, priority: RmdPriority = 'default', deadlineMs = 1_000): Job => ({
  id,
  priority,
  deadlineMs,
})

function takeAll(queue: JobQueue<Job>, nowMs = 0): { run: number[]; expired: number[] } {
  const out = { run: [] as number[], expired: [] as number[] }
  for (let taken = queue.take(nowMs); taken !== undefined; taken = queue.take(nowMs)) {
    out[taken.kind].push(taken.job.id)
    if (taken.kind === 'run') queue.release(taken.job.priority)
  }
  return out
}

describe('job queue', () => {
  test('higher priorities start first, each in the order of arrival', () => {
    const queue = new JobQueue<Job>(LIMITS)
    ;['low', 'default', 'default', 'high', 'reserved'].forEach((priority, id) => {
      expect(queue.push(job(id, priority as RmdPriority))).toBe(true)
    })
    expect(takeAll(queue).run).toEqual([4, 3, 1, 2, 0])
  })

  test('a full priority refuses; the others still take', () => {
    const queue = new JobQueue<Job>(LIMITS)
    const taken = [0, 1, 2, 3, 4].map((id) => queue.push(job(id)))
    expect(taken).toEqual([true, true, true, true, false])
    expect(queue.push(job(9, 'high'))).toBe(true)
    expect(queue.counters).toMatchObject({ accepted: 5, overflowed: 1 })
  })

  test('a job past its deadline is handed out as expired, and counted', () => {
    const queue = new JobQueue<Job>(LIMITS)
    queue.push(job(1, 'default', 10))
    queue.push(job(2, 'default', 20))
    expect(takeAll(queue, 10)).toEqual({ run: [2], expired: [1] })
    queue.push(job(3, 'low', 30))
    expect(queue.removeExpired(30).map((j) => j.id)).toEqual([3])
    expect(queue.counters.expired).toBe(2)
  })

  test('ordered jobs run one at a time', () => {
    const queue = new JobQueue<Job>(LIMITS)
    queue.push(job(1, 'ordered'))
    queue.push(job(2, 'ordered'))
    expect(queue.take(0)?.job.id).toBe(1)
    expect(queue.take(0)).toBeUndefined()
    queue.release('ordered')
    expect(queue.take(0)?.job.id).toBe(2)
  })

  test('low is not starved by a flood of high', () => {
    const queue = new JobQueue<Job>({ queuedCountMax: 100, runningCountMax: 100 })
    queue.push(job(999, 'low'))
    for (let id = 0; id < 50; id++) queue.push(job(id, 'high'))
    expect(takeAll(queue).run.indexOf(999)).toBeLessThan(16)
  })

  test('starts a job at once only where take would hand it out next', () => {
    const queue = new JobQueue<Job>({ queuedCountMax: 4, runningCountMax: 2 })
    expect(queue.start(job(1, 'default', 10), 10)).toBe(false)
    expect(queue.start(job(1), 0)).toBe(true)
    expect(queue.start(job(2), 0)).toBe(true)
    expect(queue.start(job(3), 0)).toBe(false)
    expect(queue.start(job(4, 'ordered'), 0)).toBe(true)
    expect(queue.start(job(5, 'ordered'), 0)).toBe(false)
    queue.release('default')
    queue.push(job(6, 'low'))
    expect(queue.start(job(7), 0)).toBe(false)
    expect(queue.counters).toMatchObject({ accepted: 4, started: 3, expired: 0 })
    expect([queue.queuedCount, queue.runningCount]).toEqual([1, 2])
  })

  test('jobs that are put back start again in their place', () => {
    const queue = new JobQueue<Job>(LIMITS)
    for (const id of [1, 2, 3]) queue.push(job(id))
    const [a, b] = [queue.take(0)!.job, queue.take(0)!.job]
    queue.putBack([a, b])
    expect(takeAll(queue).run).toEqual([1, 2, 3])
    expect(queue.runningCount).toBe(0)
  })

  test('against a naive model: bounds, order and counts hold for any sequence', () => {
    const step = fc.oneof(
      fc.record({
        do: fc.constant('push' as const),
        priority: fc.constantFrom(...PRIORITIES),
        deadlineMs: fc.integer({ min: 1, max: 60 }),
      }),
      fc.record({ do: fc.constant('take' as const) }),
      fc.record({ do: fc.constant('release' as const) }),
      fc.record({ do: fc.constant('wait' as const), ms: fc.integer({ min: 0, max: 10 }) }),
    )
    fc.assert(
      fc.property(fc.array(step, { maxLength: 120 }), (steps) => {
        const limits = { queuedCountMax: 5, runningCountMax: 2 }
        const queue = new JobQueue<Job>(limits)
        const waiting = new Map<RmdPriority, Job[]>(PRIORITIES.map((p) => [p, []]))
        const running: Job[] = []
        let nowMs = 0
        steps.forEach((action, id) => {
          if (action.do === 'wait') nowMs += action.ms
          if (action.do === 'push') {
            const lane = waiting.get(action.priority)!
            const pushed = { id, priority: action.priority, deadlineMs: action.deadlineMs }
            expect(queue.push(pushed)).toBe(lane.length < limits.queuedCountMax)
            if (lane.length < limits.queuedCountMax) lane.push(pushed)
          }
          if (action.do === 'release' && running.length > 0)
            queue.release(running.shift()!.priority)
          if (action.do === 'take') {
            const taken = queue.take(nowMs)
            if (taken !== undefined) {
              expect(waiting.get(taken.job.priority)!.shift()).toBe(taken.job)
              expect(taken.kind).toBe(taken.job.deadlineMs <= nowMs ? 'expired' : 'run')
              if (taken.kind === 'run') running.push(taken.job)
            }
          }
          for (const priority of PRIORITIES) {
            const count = running.filter((j) => j.priority === priority).length
            expect(count).toBeLessThanOrEqual(priority === 'ordered' ? 1 : limits.runningCountMax)
          }
          expect(queue.runningCount).toBe(running.length)
          expect(queue.queuedCount).toBe([...waiting.values()].flat().length)
        })
      }),
    )
  })
})

test('a queue tells its high mark once, and the low one when it is down again', () => {
  const seen: string[] = []
  const queue = new JobQueue<Omit<Job, 'id'>>({
    queuedCountMax: 10,
    runningCountMax: 100,
    watermarks: {
      highCount: 8,
      lowCount: 5,
      onCrossing: ({ type, priority }) => void seen.push(`${type} ${priority}`),
    },
  })
  const job = { priority: 'high', deadlineMs: 1e9 } as const
  for (let i = 0; i < 9; i++) queue.push(job)
  expect(seen).toEqual(['HIGH high'])
  for (let i = 0; i < 3; i++) queue.take(0)
  queue.push(job)
  expect(seen).toEqual(['HIGH high'])
  queue.take(0)
  queue.take(0)
  expect(seen).toEqual(['HIGH high', 'LOW high'])
  for (let i = 0; i < 5; i++) queue.push(job)
  queue.remove(() => true)
  expect(seen).toEqual(['HIGH high', 'LOW high', 'HIGH high', 'LOW high'])
  expect(queue.counters.watermarkHigh).toBe(2)
})
