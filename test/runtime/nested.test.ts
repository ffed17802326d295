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
  methods: { it: { serviceId: 0, input: z.string(), output: z.string() } },
})

let eo: ExecutionObject
let middle: Rmd
let last: Rmd
let caller: Rmd
let seen: IncomingCall[]
let cancelled: number[]
beforeEach(async () => {
  const transport = memoryTransport()
  const context = new CallContext()
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
  eo.client.clientInstall(
    Toy,
    {
      it: async (text) => {
        await Promise.resolve()
        return `${await client.it(text)} nested`
      },
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

test('a nested call has the time that is left of the one it is made for, and each its own', async () => {
  const answers = [call('a', { timeoutMs: 1_000 }), call('b', { timeoutMs: 5_000 })]
  expect(await Promise.all(answers)).toEqual(['a nested', 'b nested'])
  const leftMs = seen.map(({ deadlineMs }) => deadlineMs - performance.now())
  expect(leftMs[0]).toBeLessThan(1_001)
  expect(leftMs[1]).toBeLessThan(5_001)
  expect(leftMs[1]! - leftMs[0]!).toBeGreaterThan(3_000)
})

test('giving up the outer call gives up the nested one', async () => {
  const controller = new AbortController()
  const outer = call('wait', { signal: controller.signal })
  await until(() => seen.length === 1)
  controller.abort()
  const error = await outer.catch((thrown: unknown) => thrown)
  expect(isSdkError(error, 'INTERRUPT')).toBe(true)
  await until(() => cancelled.length === 1)
  expect(middle.pendingCount).toBe(0)
})
