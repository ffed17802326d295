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
    items: { serviceId: 4, input: z.string(), output: z.string(), stream: true },
  },
})

const TRACE = '00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01'

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
    identity: () => ({ component: 'middle', node: 'node1', address: { node: 1, port: 64 } }),
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
      soon: async (text) => `${await client.it(text)} soon`,
      alone: async (text) => Promise.resolve(text),
    },
    { csi: null },
  )
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

test('calls outside of functions, and functions without calls, start nothing', async () => {
  expect(await free('free')).toBe('free')
  expect(await caller.client(Toy, { to: '1:64' }).alone('x', { timeoutMs: 1_000 })).toBe('x')
  expect(await free('free')).toBe('free')
  expect(context.isFollowing).toBe(false)
  expect(leftMs().every((ms) => ms > 30_000)).toBe(true)
})

test('the very first nested call ends with its call when it is made before any await', async () => {
  const { soon } = caller.client(Toy, { to: '1:64' })
  expect(await soon('a', { timeoutMs: 1_000 })).toBe('a soon')
  expect(leftMs()[0]).toBeLessThan(1_010)
  expect(context.isFollowing).toBe(true)
  expect(await free('free')).toBe('free')
  expect(leftMs()[1]).toBeGreaterThan(30_000)
})

test('the very first one behind an await has a time of its own, the next ones do not', async () => {
  expect(await call('a', { timeoutMs: 1_000 })).toBe('a nested')
  expect(await call('b', { timeoutMs: 1_000 })).toBe('b nested')
  expect(leftMs()[0]).toBeGreaterThan(30_000)
  expect(leftMs()[1]).toBeLessThan(1_010)
})

test('within says for which call one is made, and begins nothing', async () => {
  const { within } = caller.client(Toy, { to: '1:64' })
  expect(await within('a', { timeoutMs: 1_000 })).toBe('a a')
  expect(leftMs()[0]).toBeGreaterThan(30_000)
  expect(leftMs()[1]).toBeLessThan(1_010)
  expect(context.isFollowing).toBe(false)
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
