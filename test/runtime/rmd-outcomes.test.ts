import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { z } from 'zod'
import { defineInterface } from '../../idl/index.ts'
import type { Rmd } from '../../ioc/index.ts'
import { parseComponentModule } from '../../runtime/eo/config.schema.ts'
import { ExecutionObject } from '../../runtime/eo/execution-object.ts'
import { Kit, Names, rejection } from '../ioc/rmd-kit.ts'

const DIST = new URL('../../dist/', import.meta.url)
const WORK = new URL('test/fixtures/runtime/work.js', DIST)
const none = z.strictObject({})
const common = { name: 'Toy', clientId: 20 } as const
const methods = {
  add: { serviceId: 0, input: z.int(), output: z.int() },
  wait: { serviceId: 1, input: none, output: none },
}
const Toy = defineInterface({ ...common, version: 'B.1.1', methods })
const Later = defineInterface({ ...common, version: 'B.2.1', methods })
const More = defineInterface({
  ...common,
  version: 'B.1.1',
  methods: { gone: { serviceId: 9, input: none, output: none } },
})
const Stranger = defineInterface({
  name: 'Stranger',
  clientId: 40,
  version: 'B.1.1',
  methods: { any: { serviceId: 0, input: none, output: none } },
})
const Flow = defineInterface({
  ...common,
  version: 'B.1.1',
  methods: { add: { serviceId: 0, input: z.int(), output: z.int(), stream: true } },
})
const Work = defineInterface({
  name: 'Work',
  clientId: 21,
  version: 'B.1.1',
  methods: {
    later: { serviceId: 0, input: z.strictObject({ ms: z.int() }), output: none },
    square: {
      serviceId: 1,
      input: z.strictObject({ n: z.number() }),
      output: z.strictObject({ n: z.number(), thread: z.int() }),
    },
    untilAborted: { serviceId: 2, input: none, output: none },
    reasonSeen: { serviceId: 3, input: none, output: z.strictObject({ reason: z.string() }) },
  },
})

let kit: Kit
let eo: ExecutionObject
let server: Rmd
let names: Names
let caller: Rmd
let log: string[]
let release: (() => void)[]
beforeEach(async () => {
  kit = new Kit('unix')
  log = []
  release = []
  names = new Names()
  eo = new ExecutionObject({
    config: parseComponentModule(
      { clEoConfig: { name: 'toy', threads: 1, queueCountMax: 10, initialize: () => undefined } },
      'toy',
    ),
    checkpoint: () => null,
    isElsewhere: () => false,
    identity: () => ({ component: 'toy', node: 'node1', address: { node: 1, port: 64 } }),
    log: () => undefined,
    workerEntry: new URL('runtime/eo/worker-thread.js', DIST),
  })
  server = await kit.rmd(64, { dedupe: eo.dedupes })
  server.serve(eo.dispatch, eo.cancelled)
  caller = await kit.rmd(null, { names })
  eo.client.clientInstall(Toy, {
    add: (n) => {
      log.push(`add ${n}`)
      return n + 1
    },
    wait: () =>
      new Promise((resolve) => {
        log.push('wait')
        release.push(() => resolve({}))
      }),
  })
  eo.setRole('csi', 'ACTIVE', 1)
  eo.setState('active')
})
afterEach(async () => {
  for (const go of release) go()
  await eo.stop(100)
  await kit.close()
})

async function until(holds: () => boolean): Promise<void> {
  while (!holds()) await new Promise((resolve) => setImmediate(resolve))
}

/** No test runs so long: what ends within a test did not end by its deadline. */
const LONG = { timeoutMs: 600_000 }
const toy = (to = '1:64', options: object = {}): ReturnType<typeof caller.client<typeof methods>> =>
  caller.client(Toy, { to, ...LONG, ...options })

/** How a call is made, what it ends with, and whether the same call may be made again. */
const OUTCOMES: readonly [string, string, boolean, () => Promise<unknown>][] = [
  ['nobody ever listened', 'COMP_UNREACHABLE', true, () => toy('1:77').add(1)],
  [
    'a target that died',
    'COMP_UNREACHABLE',
    true,
    async () => {
      await toy().add(0)
      await server.close()
      await toy().add(1)
    },
  ],
  ['an unknown name', 'NAME_NOT_FOUND', false, () => toy('@nobody').add(1)],
  [
    'a name without an active, for a call that waits for nobody',
    'TL_ACTIVE_INST_NOT_PRESENT',
    true,
    () => {
      names.set('toy', null, 1)
      return toy('@toy', { nonPersistent: true }).add(1)
    },
  ],
  [
    'a suspended target',
    'EO_SUSPENDED',
    true,
    () => {
      eo.setState('suspended')
      return toy().add(1)
    },
  ],
  [
    'a target that gives its role up',
    'NOT_ACTIVE',
    true,
    () => {
      eo.setRole('csi', 'QUIESCING', 1)
      return toy().add(1)
    },
  ],
  [
    'a target that stops',
    'NOT_ACTIVE',
    true,
    () => {
      eo.setState('stopping')
      return toy().add(1)
    },
  ],
  [
    'a full queue',
    'QUEUE_OVERFLOW',
    true,
    async () => {
      const ordered = toy('1:64', { ordered: true })
      const running = ordered.wait({})
      await until(() => log.includes('wait'))
      const queued = Array.from({ length: 10 }, () => ordered.wait({}))
      void Promise.allSettled([running, ...queued])
      await ordered.add(1)
    },
  ],
  [
    'another version',
    'VERSION_MISMATCH',
    false,
    () => caller.client(Later, { to: '1:64', ...LONG }).add(1),
  ],
  [
    'another function',
    'FUNC_NOT_REGISTERED',
    false,
    () => caller.client(More, { to: '1:64', ...LONG }).gone({}),
  ],
  [
    'another interface',
    'INVALID_CLIENTID',
    false,
    () => caller.client(Stranger, { to: '1:64', ...LONG }).any({}),
  ],
  [
    'a stream of what is none',
    'BAD_OPERATION',
    false,
    async () => {
      for await (const item of caller.client(Flow, { to: '1:64', ...LONG }).add(1))
        log.push(`${item}`)
    },
  ],
  [
    'bytes of another shape',
    'INVALID_PARAMETER',
    false,
    () => caller.call('1:64', 20 * 64, new Uint8Array([0xa1, 0x61]), LONG),
  ],
]

test.each(OUTCOMES)('%s: %s at once, and nothing ran', async (_, code, retryable, make) => {
  const before = log.length
  const error = await rejection(make())
  expect(error).toMatchObject({ code, mayHaveRun: false })
  expect((error as { retryable: boolean }).retryable).toBe(retryable)
  expect(log.slice(before).filter((line) => line === 'add 1')).toEqual([])
})

test('functions that are given run here, those left out of the worker module', async () => {
  const square = ({ n }: { n: number }) => ({ n: n + n, thread: 0 })
  eo.client.clientInstall(Work, { square }, { worker: WORK })
  const mixed = caller.client(Work, { to: '1:64', ...LONG })
  expect(await mixed.square({ n: 5 })).toEqual({ n: 10, thread: 0 })
  expect(await mixed.later({ ms: 1 })).toEqual({})
  eo.client.clientUninstall(Work)
  const all = { square, later: () => ({}), untilAborted: () => ({}), reasonSeen: () => seen }
  const seen = { reason: '' }
  expect(() => eo.client.clientInstall(Work, all, { worker: WORK })).toThrow(/none is left/)
  expect(() => eo.client.clientInstall(Work, { square } as never)).toThrow(
    /Work.later: no function/,
  )
})

describe('on workers', () => {
  beforeEach(() => eo.client.clientInstall(Work, null, { worker: WORK }))
  const work = (options: object = {}): ReturnType<typeof caller.client<(typeof Work)['spec']>> =>
    caller.client(Work, { to: '1:64', ...LONG, ...options })

  test('ordered calls run one at a time across placements, in the order of their making', async () => {
    const ordered = { ordered: true }
    const done: string[] = []
    const note = (promise: Promise<unknown>, text: string): Promise<unknown> =>
      promise.then(() => done.push(text))
    const calls = [
      note(toy('1:64', ordered).wait({}), 'first, here'),
      note(work(ordered).later({ ms: 20 }), 'second, on a worker'),
      note(toy('1:64', ordered).add(1), 'third, here'),
      note(work(ordered).square({ n: 2 }), 'fourth, on a worker'),
    ]
    await until(() => release.length === 1)
    expect(await work().square({ n: 3 })).toMatchObject({ n: 9 })
    expect(await toy().add(7)).toBe(8)
    expect(done).toEqual([])
    release[0]!()
    await Promise.all(calls)
    expect(done).toEqual([
      'first, here',
      'second, on a worker',
      'third, here',
      'fourth, on a worker',
    ])
    expect(eo.statistics()).toMatchObject({ jobsRunning: 0, jobsLive: 0 })
  })

  test('an ordered call that fails gives its place to the next', async () => {
    const bad = caller.call('1:64', 21 * 64 + 1, new Uint8Array([0xa1]), { ...LONG, ordered: true })
    expect(await rejection(bad)).toMatchObject({ code: 'MESSAGE_ERROR' })
    const late = work({ ordered: true, timeoutMs: 30 }).later({ ms: 200 })
    expect(await rejection(late)).toMatchObject({ code: 'TIMEOUT' })
    expect(await toy('1:64', { ordered: true }).add(1)).toBe(2)
  })

  test('giving up reaches a job that a worker runs, and drops one that waits', async () => {
    const channel = new BroadcastChannel(`begun ${caller.caller}`)
    const begun = new Promise((resolve) => {
      channel.onmessage = resolve
    })
    const controller = new AbortController()
    const { signal } = controller
    const running = rejection(work({ signal }).untilAborted({}))
    await begun
    channel.close()
    const waiting = rejection(work({ signal }).untilAborted({}))
    const other = work().reasonSeen({})
    await until(() => eo.statistics()['jobsLive'] === 3)
    controller.abort()
    expect(await running).toMatchObject({ code: 'INTERRUPT' })
    expect(await waiting).toMatchObject({ code: 'INTERRUPT' })
    expect(await other).toEqual({ reason: 'AbortError' })
    await until(() => eo.statistics()['jobsLive'] === 0)
    expect(eo.statistics()).toMatchObject({ cancelled: 2, 'worker.jobsRunning': 0 })
  })
})
