import { expect, test } from 'vitest'
import { OverdueJobs } from '../../runtime/eo/overdue-jobs.ts'

test('a function is called stuck once, and forgotten when it comes back', () => {
  const jobs = new OverdueJobs<string>(100)
  jobs.add('a', 0)
  jobs.add('b', 50)
  jobs.done('never added')
  expect(jobs.sweep(99)).toEqual([])
  expect(jobs.sweep(100)).toEqual(['a'])
  expect(jobs.sweep(149)).toEqual([])
  expect(jobs.statistics()).toEqual({ stuck: 1, stuckNow: 1 })
  jobs.done('a')
  jobs.done('b')
  expect(jobs.sweep(1_000)).toEqual([])
  expect(jobs.statistics()).toEqual({ stuck: 1, stuckNow: 0 })
  expect(jobs.count).toBe(0)
})

test('so many are watched at most', () => {
  const jobs = new OverdueJobs<number>(100)
  for (let i = 0; i < 5_000; i++) jobs.add(i, 0)
  expect(jobs.count).toBe(1_024)
  expect(jobs.sweep(100)).toHaveLength(1_024)
})
