import { afterEach, expect, test } from 'vitest'
import { z } from 'zod'
import { defineInterface } from '../../idl/index.ts'
import { parseComponentModule } from '../../runtime/eo/config.schema.ts'
import { ExecutionObject } from '../../runtime/eo/execution-object.ts'
import { OverdueJobs } from '../../runtime/eo/overdue-jobs.ts'

test('a function is called stuck once, and forgotten when it comes back', () => {
  const jobs = new OverdueJobs<string>(100)
  jobs.add('a', 0)
  jobs.add('b', 50)
  jobs.add('a', 90)
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

const DIST = new URL('../../dist/', import.meta.url)
const input = z.strictObject({})
const methods = { untilTold: { serviceId: 0, input, output: input } }
const Toy = defineInterface({ name: 'Toy', clientId: 20, version: 'B.1.1', methods })
const DEADLINE_MS = 1_050
const OVERDUE_MS = 400

let eo: ExecutionObject
let nowMs = 0
let told: (readonly string[])[] = []
let answered: string[] = []
afterEach(() => eo?.stop(0))

function start(): void {
  nowMs = 1_000
  told = []
  answered = []
  const clEoConfig = { name: 'toy', overdueMs: OVERDUE_MS, initialize: () => undefined }
  eo = new ExecutionObject({
    config: parseComponentModule({ clEoConfig }, 'toy'),
    checkpoint: () => null,
    isElsewhere: () => false,
    identity: () => ({ component: 'toy', node: 'node1', address: { node: 1, port: 64 } }),
    log: () => undefined,
    clock: () => nowMs,
    onStuck: (functions) => told.push(functions),
    workerEntry: new URL('runtime/eo/worker-thread.js', DIST),
  })
  eo.setState('active')
}

function call(messageId: number): void {
  eo.dispatch({
    source: { node: 1, port: 65 },
    caller: `caller ${process.pid}`,
    messageId,
    acknowledgedBelow: 1,
    functionNumber: Toy.methods.untilTold.functionNumber,
    priority: 'default',
    atMostOnce: false,
    oneWay: false,
    deadlineMs: DEADLINE_MS,
    epoch: 0,
    payload: Toy.methods.untilTold.input.encode({}),
    stream: null,
    reply: () => answered.push('reply'),
    fail: ({ code }) => answered.push(code),
  })
}

async function until(holds: () => boolean): Promise<void> {
  while (!holds()) await new Promise((resolve) => setImmediate(resolve))
}

test('stuck functions are told by name when they become stuck, and when they come back', async () => {
  start()
  const returns: (() => void)[] = []
  const untilTold = (): Promise<Record<string, never>> =>
    new Promise((resolve) => returns.push(() => resolve({})))
  eo.client.clientInstall(Toy, { untilTold }, { csi: null })
  call(1)
  call(2)
  await until(() => returns.length === 2)
  nowMs = DEADLINE_MS + 10
  await until(() => answered.length === 2)
  expect(told).toEqual([])
  nowMs = DEADLINE_MS + 10 + OVERDUE_MS
  await until(() => told.length === 1)
  returns[0]!()
  await new Promise((resolve) => setImmediate(resolve))
  expect(told).toEqual([['Toy.untilTold']])
  returns[1]!()
  await until(() => told.length === 2)
  expect(told).toEqual([['Toy.untilTold'], []])
  expect(answered.slice(0, 2)).toEqual(['TIMEOUT', 'TIMEOUT'])
})

test.each(['comes back', 'is ended with its thread'] as const)(
  'one on a worker is told before its thread ends, and when it %s',
  async (how) => {
    start()
    const worker = new URL('test/fixtures/runtime/work.js', DIST)
    eo.client.clientInstall(Toy, null, { csi: null, worker })
    const channel = new BroadcastChannel(`told caller ${process.pid}`)
    const begun = new Promise<void>((resolve) => {
      channel.onmessage = () => resolve()
    })
    call(1)
    await begun
    nowMs = DEADLINE_MS + 10
    await until(() => answered.length === 1)
    nowMs = DEADLINE_MS + OVERDUE_MS / 2
    await until(() => told.length === 1)
    expect(told).toEqual([['Toy.untilTold']])
    expect(eo.statistics()).toMatchObject({ stuck: 1, stuckNow: 1, 'worker.overdueEnded': 0 })
    if (how === 'comes back') channel.postMessage('')
    else nowMs = DEADLINE_MS + OVERDUE_MS
    await until(() => told.length === 2)
    channel.close()
    expect(told).toEqual([['Toy.untilTold'], []])
    const ended = how === 'comes back' ? 0 : 1
    expect(eo.statistics()).toMatchObject({
      stuck: 1,
      stuckNow: 0,
      'worker.overdueEnded': ended,
      'worker.workersDied': ended,
    })
    expect(answered[0]).toBe('TIMEOUT')
  },
)
