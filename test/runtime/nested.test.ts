import { afterEach, beforeEach, expect, test } from 'vitest'
import { z } from 'zod'
import { defineInterface, isSdkError } from '../../idl/index.ts'
import {
  createRmd,
  memoryTransport,
  openPort,
  type IncomingCall,
  type Rmd,
} from '../../ioc/index.ts'
import type { Call } from '../../runtime/eo/app.ts'
import { CallContext } from '../../runtime/eo/call-context.ts'
import { parseComponentModule } from '../../runtime/eo/config.schema.ts'
import { ExecutionObject } from '../../runtime/eo/execution-object.ts'
import { roleRmd } from '../../runtime/eo/role-rmd.ts'

const Toy = defineInterface({
  name: 'Toy',
  clientId: 20,
  version: 'B.1.1',
  methods: {
    it: { serviceId: 0, input: z.string(), output: z.string() },
    soon: { serviceId: 1, input: z.string(), output: z.string() },
    alone: { serviceId: 2, input: z.string(), output: z.string() },
    within: { serviceId: 3, input: z.string(), output: z.string() },
    late: { serviceId: 5, input: z.string(), output: z.string() },
    onWorker: { serviceId: 6, input: z.string(), output: z.string() },
    items: { serviceId: 4, input: z.string(), output: z.string(), stream: true },
  },
})

const none = z.strictObject({})
const known = z.strictObject({
  component: z.string(),
  caller: z.string(),
  leftMs: z.number(),
  trace: z.string(),
})
/** Its function is on a worker. */
const There = defineInterface({
  name: 'There',
  clientId: 21,
  version: 'B.1.1',
  methods: { context: { serviceId: 0, input: none, output: known } },
})

const DIST = new URL('../../dist/', import.meta.url)
const IDENTITY = { component: 'middle', node: 'node1', address: { node: 1, port: 64 } }
const TRACE = '00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01'

/** A call as functions get it, with a second left. */
const CALL: Call = {
  eo: IDENTITY,
  source: { node: 1, port: 66 },
  caller: 'caller',
  messageId: 1,
  priority: 'default',
  get deadlineMs() {
    return performance.now() + 1_000
  },
  epoch: 0,
  signal: new AbortController().signal,
}

let eo: ExecutionObject
let context: CallContext
let free: (text: string) => Promise<string>
let middle: Rmd
let last: Rmd
let caller: Rmd
let seen: IncomingCall[]
let cancelled: number[]
beforeEach(async () => {
  const transport = memoryTransport()
  context = new CallContext()
  seen = []
  cancelled = []
  eo = new ExecutionObject({
    config: parseComponentModule(
      { clEoConfig: { name: 'middle', initialize: () => undefined } },
      'middle',
    ),
    context,
    identity: () => IDENTITY,
    workerEntry: new URL('runtime/eo/worker-thread.js', DIST),
    checkpoint: () => null,
    isElsewhere: () => false,
    log: () => undefined,
  })
  middle = createRmd({ port: await openPort({ transport, node: 1, port: 64, name: 'middle' }) })
  middle.serve(eo.dispatch, eo.cancelled)
  last = createRmd({ port: await openPort({ transport, node: 1, port: 65, name: 'last' }) })
  last.serve(
    (call) => {
      seen.push(call)
      if (Toy.methods.it.input.decode(call.payload) !== 'wait') call.reply(call.payload)
    },
    (_, id) => cancelled.push(id),
  )
  caller = createRmd({ port: await openPort({ transport, port: null, name: 'caller' }) })
  const client = roleRmd(middle, () => 0, context).client(Toy, { to: '1:65', timeoutMs: 60_000 })
  free = client.it
  const there = roleRmd(middle, () => 0, context).client(There, { to: '1:64', timeoutMs: 60_000 })
  eo.client.clientInstall(
    Toy,
    {
      it: async (text) => {
        await Promise.resolve()
        return `${await client.it(text)} nested`
      },
      within: async (text, call) => {
        await Promise.resolve()
        const free = await client.it(text, { within: null })
        return `${free} ${await client.it(text, { within: call })}`
      },
      items: async function* (text) {
        await Promise.resolve()
        yield await client.it(text)
      },
      late: async (text) => {
        for (let i = 0; i < 10; i++) await Promise.resolve()
        await new Promise((resolve) => setTimeout(resolve, 1))
        return new Promise((resolve, reject) => {
          setImmediate(() => void client.it(text).then((value) => resolve(`${value} late`), reject))
        })
      },
      onWorker: async () => {
        await Promise.resolve()
        return JSON.stringify(await there.context({}))
      },
      soon: async (text) => `${await client.it(text)} soon`,
      alone: async (text) => Promise.resolve(text),
    },
    { csi: null },
  )
  const worker = new URL('test/fixtures/runtime/work.js', DIST)
  eo.client.clientInstall(There, null, { csi: null, worker })
  eo.setState('active')
})
afterEach(async () => {
  await eo.stop(0)
  for (const rmd of [caller, middle, last]) await rmd.close()
})

const call = (text: string, options: object): Promise<string> =>
  caller.client(Toy, { to: '1:64' }).it(text, options)
async function until(holds: () => boolean): Promise<void> {
  while (!holds()) await new Promise((resolve) => setImmediate(resolve))
}

const leftMs = (): number[] => seen.map(({ deadlineMs }) => deadlineMs - performance.now())

test('the very first nested call ends with its call, wherever its function makes it', async () => {
  const client = caller.client(Toy, { to: '1:64', timeoutMs: 1_000 })
  expect(await client.it('behind an await')).toBe('behind an await nested')
  expect(await client.soon('before any')).toBe('before any soon')
  expect(await client.late('behind timers')).toBe('behind timers late')
  expect(await free('free')).toBe('free')
  const [behind, before, late, outside] = leftMs()
  for (const ms of [behind, before, late]) expect(ms).toBeLessThan(1_010)
  expect(outside).toBeGreaterThan(30_000)
})

test('without a client that asks for whom, nothing begins', async () => {
  context = new CallContext()
  const { it } = roleRmd(middle, () => 0, context).client(Toy, { to: '1:65', within: null })
  expect(await context.run(CALL, () => it('made for nobody'))).toBe('made for nobody')
  expect(context.isFollowing).toBe(false)
  roleRmd(middle, () => 0, context).client(Toy, { to: '1:65' })
  expect(context.isFollowing).toBe(true)
})

test('a function that makes the first client is known from there on, and what runs after it is not', async () => {
  context = new CallContext()
  const rmd = roleRmd(middle, () => 0, context)
  const calls: (Call | undefined)[] = []
  const done = context.run(CALL, async () => {
    const { it } = rmd.client(Toy, { to: '1:65' })
    calls.push(context.current())
    await Promise.resolve()
    calls.push(context.current())
    await it('x')
  })
  expect(context.current()).toBe(undefined)
  await done
  expect(calls).toEqual([CALL, CALL])
  expect(context.current()).toBe(undefined)
  expect(leftMs()[0]).toBeLessThan(1_010)
})

test('a call by number begins it too', async () => {
  context = new CallContext()
  const rmd = roleRmd(middle, () => 0, context)
  const { functionNumber, input } = Toy.methods.it
  await context.run(CALL, () => rmd.call('1:65', functionNumber, input.encode('x')))
  expect(leftMs()[0]).toBeLessThan(1_010)
})

test('within says for which call one is made', async () => {
  const { within } = caller.client(Toy, { to: '1:64' })
  expect(await within('a', { timeoutMs: 1_000 })).toBe('a a')
  expect(leftMs()[0]).toBeGreaterThan(30_000)
  expect(leftMs()[1]).toBeLessThan(1_010)
})

test('a function on a worker gets time and trace of the call that led to it', async () => {
  const options = { timeoutMs: 30_000, trace: TRACE }
  const { leftMs, trace } = JSON.parse(
    await caller.client(Toy, { to: '1:64' }).onWorker('', options),
  ) as { leftMs: number; trace: string }
  expect(trace).toBe(TRACE)
  expect(leftMs).toBeLessThan(30_010)
})

test('a trace goes on to nested calls, behind an await too, with the time that is left', async () => {
  expect(await call('a', { timeoutMs: 1_000, trace: TRACE })).toBe('a nested')
  expect(seen[0]!.trace).toBe(TRACE)
  expect(leftMs()[0]).toBeLessThan(1_010)
  expect(context.trace).toBe(undefined)
  expect(await call('b', {})).toBe('b nested')
  expect(seen[1]!.trace).toBe(undefined)
  const items = caller.client(Toy, { to: '1:64', trace: TRACE, timeoutMs: 1_000 }).items('c')
  for await (const item of items) expect(item).toBe('c')
  expect(seen[2]!.trace).toBe(TRACE)
  expect(leftMs()[2]).toBeLessThan(1_010)
})

test('a nested call has the time that is left of the one it is made for, and each its own', async () => {
  await call('first', {})
  seen = []
  const answers = [call('a', { timeoutMs: 1_000 }), call('b', { timeoutMs: 5_000 })]
  expect(await Promise.all(answers)).toEqual(['a nested', 'b nested'])
  const [a, b] = leftMs()
  expect(a).toBeLessThan(1_010)
  expect(b).toBeLessThan(5_010)
  expect(b! - a!).toBeGreaterThan(3_000)
})

test('giving up the outer call gives up the nested one', async () => {
  await call('first', {})
  seen = []
  const controller = new AbortController()
  const outer = call('wait', { signal: controller.signal })
  await until(() => seen.length === 1)
  controller.abort()
  const error = await outer.catch((thrown: unknown) => thrown)
  expect(isSdkError(error, 'INTERRUPT')).toBe(true)
  await until(() => cancelled.length === 1)
  expect(middle.pendingCount).toBe(0)
})

test.each(['the outer call', 'itself'])(
  'a nested call with a signal of its own is given up with %s',
  async (which) => {
    await call('first', {})
    seen = []
    const [outer, inner] = [new AbortController(), new AbortController()]
    const client = roleRmd(middle, () => 0, context).client(Toy, { to: '1:65' })
    eo.client.clientInstall(
      There,
      {
        context: async () => {
          await client.it('wait', { signal: inner.signal })
          return { component: '', caller: '', leftMs: 0, trace: '' }
        },
      },
      { csi: null },
    )
    const there = caller.client(There, { to: '1:64', signal: outer.signal })
    const ended = there.context({}).catch((thrown: unknown) => thrown)
    await until(() => seen.length === 1)
    ;(which === 'itself' ? inner : outer).abort()
    await until(() => cancelled.length === 1)
    expect(isSdkError(await ended, which === 'itself' ? 'HANDLER_FAILED' : 'INTERRUPT')).toBe(true)
    expect(middle.pendingCount).toBe(0)
  },
)
