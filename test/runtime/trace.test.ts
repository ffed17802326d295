import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { afterEach, expect, test } from 'vitest'
import { z } from 'zod'
import { defineInterface } from '../../idl/index.ts'
import { createRmd, memoryTransport, newTrace, openPort, type Rmd } from '../../ioc/index.ts'
import { CallContext } from '../../runtime/eo/call-context.ts'
import { parseComponentModule } from '../../runtime/eo/config.schema.ts'
import { ExecutionObject } from '../../runtime/eo/execution-object.ts'
import { bindMyEo } from '../../runtime/index.ts'

const DIST = new URL('../../dist/', import.meta.url)
const none = z.strictObject({})
const known = z.strictObject({
  component: z.string(),
  caller: z.string(),
  leftMs: z.number(),
  trace: z.string(),
})
const faceOf = (name: string, clientId: number) =>
  defineInterface({
    name,
    clientId,
    version: 'B.1.1',
    methods: { context: { serviceId: 0, input: none, output: known } },
  })
const Here = faceOf('Here', 20)
const There = faceOf('There', 21)
const IDENTITY = { component: 'toy', node: 'node1', address: { node: 1, port: 64 } }

let eo: ExecutionObject | null = null
let rmds: Rmd[] = []
afterEach(async () => {
  await eo?.stop(0)
  eo = null
  for (const rmd of rmds.splice(0)) await rmd.close()
})

test('a function knows its EO, caller, deadline and trace, on the EO and on a worker', async () => {
  bindMyEo(IDENTITY)
  const transport = memoryTransport()
  eo = new ExecutionObject({
    config: parseComponentModule(
      { clEoConfig: { name: 'toy', initialize: () => undefined } },
      'toy',
    ),
    context: new CallContext(),
    identity: () => IDENTITY,
    checkpoint: () => null,
    isElsewhere: () => false,
    log: () => undefined,
    workerEntry: new URL('runtime/eo/worker-thread.js', DIST),
  })
  const server = createRmd({ port: await openPort({ transport, node: 1, port: 64, name: 'eo' }) })
  server.serve(eo.dispatch, eo.cancelled)
  const caller = createRmd({ port: await openPort({ transport, port: null, name: 'caller' }) })
  rmds = [caller, server]
  eo.client.clientInstall(
    Here,
    {
      context: (_, { eo: { component }, caller: from, deadlineMs, trace }) => ({
        component,
        caller: from,
        leftMs: deadlineMs - performance.now(),
        trace: trace ?? 'none',
      }),
    },
    { csi: null },
  )
  const worker = new URL('test/fixtures/runtime/work.js', DIST)
  eo.client.clientInstall(There, null, { csi: null, worker })
  eo.setState('active')
  for (const face of [Here, There]) {
    const client = caller.client(face, { to: '1:64', timeoutMs: 5_000 })
    const trace = newTrace()
    const traced = await client.context({}, { trace })
    expect(traced).toMatchObject({ component: 'toy', caller: caller.caller, trace })
    expect(traced.leftMs).toBeGreaterThan(0)
    expect(traced.leftMs).toBeLessThan(5_010)
    expect(await client.context({})).toMatchObject({ trace: 'none' })
  }
})

test('lines that a function logs carry its trace, others none', async () => {
  // The log writes to descriptor 1 of its process.
  const trace = newTrace()
  const program = `
    const { CallContext } = await import(${JSON.stringify(new URL('runtime/eo/call-context.js', DIST).href)})
    const { componentLogger } = await import(${JSON.stringify(new URL('runtime/eo/logger.js', DIST).href)})
    const context = new CallContext()
    const log = componentLogger({ component: 'toy' }, context)
    log.info('outside')
    await context.run({ trace: ${JSON.stringify(trace)} }, async () => {
      log.info('before')
      await null
      log.info({ n: 1 }, 'behind')
    })
    context.run({}, () => log.info('untraced'))`
  const child = spawn(process.execPath, ['--input-type=module', '-e', program], {
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  const chunks: Buffer[] = []
  child.stdout.on('data', (chunk: Buffer) => void chunks.push(chunk))
  await once(child, 'close')
  const lines = Buffer.concat(chunks)
    .toString()
    .trim()
    .split('\n')
    .map((line) => JSON.parse(line) as object)
  expect(lines).toMatchObject([
    { msg: 'outside' },
    { msg: 'before', trace, component: 'toy' },
    { msg: 'behind', trace, n: 1 },
    { msg: 'untraced' },
  ])
  expect(lines.map((line) => 'trace' in line)).toEqual([false, true, true, false])
})
