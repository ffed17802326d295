import { expect, test } from 'vitest'
import { z } from 'zod'
import { defineInterface } from '../../idl/index.ts'
import { parseComponentModule } from '../../runtime/eo/config.schema.ts'
import { ExecutionObject } from '../../runtime/eo/execution-object.ts'
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

test('stuck functions are told by name when they become stuck, and when they come back', async () => {
  let nowMs = 1_000
  const told: (readonly string[])[] = []
  const returns: (() => void)[] = []
  const eo = new ExecutionObject({
    config: parseComponentModule(
      { clEoConfig: { name: 'toy', overdueMs: 100, initialize: () => undefined } },
      'toy',
    ),
    checkpoint: () => null,
    isElsewhere: () => false,
    identity: () => ({ component: 'toy', node: 'node1', address: { node: 1, port: 64 } }),
    log: () => undefined,
    clock: () => nowMs,
    onStuck: (functions) => told.push(functions),
  })
  const input = z.strictObject({})
  const methods = { wait: { serviceId: 0, input, output: input } }
  const Toy = defineInterface({ name: 'Toy', clientId: 20, version: 'B.1.1', methods })
  const wait = (): Promise<object> => new Promise((resolve) => returns.push(() => resolve({})))
  eo.client.clientInstall(
    Toy,
    { wait: wait as () => Promise<Record<string, never>> },
    { csi: null },
  )
  eo.setState('active')
  const answered: string[] = []
  for (let messageId = 1; messageId <= 2; messageId++) {
    eo.dispatch({
      source: { node: 1, port: 65 },
      caller: 'caller',
      messageId,
      acknowledgedBelow: 1,
      functionNumber: Toy.methods.wait.functionNumber,
      priority: 'default',
      atMostOnce: false,
      oneWay: false,
      deadlineMs: 1_050,
      epoch: 0,
      payload: Toy.methods.wait.input.encode({}),
      stream: null,
      reply: () => answered.push('reply'),
      fail: ({ code }) => answered.push(code),
    })
  }
  const until = async (holds: () => boolean): Promise<void> => {
    while (!holds()) await new Promise((resolve) => setImmediate(resolve))
  }
  await until(() => returns.length === 2)
  nowMs = 1_060
  await until(() => answered.length === 2)
  expect(told).toEqual([])
  nowMs = 1_300
  await until(() => told.length === 1)
  returns[0]!()
  await new Promise((resolve) => setImmediate(resolve))
  expect(told).toEqual([['Toy.wait']])
  returns[1]!()
  await until(() => told.length === 2)
  expect(told).toEqual([['Toy.wait'], []])
  expect(answered.slice(0, 2)).toEqual(['TIMEOUT', 'TIMEOUT'])
  await eo.stop(0)
})
