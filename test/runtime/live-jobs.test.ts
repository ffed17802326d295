import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { type LinkedJob, LiveJobs } from '../../runtime/eo/live-jobs.ts'

interface Job extends LinkedJob<Job> {
  readonly id: number
}

const job = (id: number): Job => ({ id, earlier: null, later: null })

describe('live jobs', () => {
  test('a set with an order: whatever is added and deleted, also twice', () => {
    const step = fc.record({ add: fc.boolean(), id: fc.nat(7) })
    fc.assert(
      fc.property(fc.array(step, { maxLength: 60 }), (steps) => {
        const jobs = Array.from({ length: 8 }, (_, id) => job(id))
        const live = new LiveJobs<Job>()
        const model = new Set<Job>()
        for (const { add, id } of steps) {
          const one = jobs[id]!
          if (!add) {
            live.delete(one)
            model.delete(one)
          } else if (!model.has(one)) {
            live.add(one)
            model.add(one)
          }
          expect(live.size).toBe(model.size)
          expect(live.all()).toEqual([...model])
          expect(live.find((other) => other.id >= id)).toBe([...model].find((o) => o.id >= id))
        }
      }),
    )
  })

  test('a job that left holds no other', () => {
    const live = new LiveJobs<Job>()
    const jobs = [job(0), job(1), job(2)]
    for (const one of jobs) live.add(one)
    live.delete(jobs[1]!)
    expect(jobs[1]).toEqual(job(1))
  })

  test('what leaves while all are looked at is looked at, and what comes is not', () => {
    const live = new LiveJobs<Job>()
    const jobs = [job(0), job(1), job(2)]
    for (const one of jobs) live.add(one)
    const seen: number[] = []
    for (const { id } of live.all()) {
      seen.push(id)
      if (id === 0) live.delete(jobs[1]!)
      live.add(job(9))
    }
    expect(seen).toEqual([0, 1, 2])
    expect(live.size).toBe(5)
  })
})
