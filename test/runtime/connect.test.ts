import { existsSync, mkdirSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { afterEach, expect, test } from 'vitest'
import { z } from 'zod'
import { defineInterface, isSdkError, type Interface } from '../../idl/index.ts'
import { createRmd, openPort, unixTransport, type Rmd } from '../../ioc/index.ts'
import { connect, type Connection } from '../../runtime/index.ts'
import { FakeAgent, makeRunDir, serve } from './support/fake-agent.ts'

const none = z.strictObject({})
const Where = defineInterface({
  name: 'Where',
  clientId: 40,
  version: 'B.1.1',
  methods: { am: { serviceId: 0, input: none, output: z.strictObject({ port: z.int() }) } },
})

const closers: (() => Promise<void>)[] = []
afterEach(async () => {
  for (const close of closers.splice(0).reverse()) await close()
})

async function startAgent(runDir: string, node: number): Promise<FakeAgent> {
  const agent = await FakeAgent.start(runDir, node)
  closers.push(() => agent.rmd.close())
  return agent
}

async function startServer(runDir: string): Promise<Rmd> {
  const port = await openPort({
    transport: unixTransport({ runDir }),
    node: 1,
    port: 0,
    name: 'server',
  })
  const rmd = createRmd({ port })
  const handlers = { am: () => ({ port: rmd.address.port }) }
  serve(rmd, [[Where as unknown as Interface, handlers]])
  closers.push(() => rmd.close())
  return rmd
}

function runDirectory(): string {
  const runDir = makeRunDir()
  closers.push(async () => rmSync(runDir, { recursive: true, force: true }))
  return runDir
}

async function open(runDir: string, signal?: AbortSignal): Promise<Connection> {
  const connection = await connect(signal === undefined ? { runDir } : { runDir, signal })
  closers.push(() => connection.close())
  return connection
}

const code = (promise: Promise<unknown>): Promise<string> =>
  promise.then(
    () => 'OK',
    (error: unknown) => (isSdkError(error) ? error.code : String(error)),
  )

test('a run directory without a cluster is NOT_EXIST, and is left as it was', async () => {
  const runDir = runDirectory()
  const missing = join(runDir, 'missing')
  expect(await code(connect({ runDir: missing }))).toBe('NOT_EXIST')
  expect(existsSync(missing)).toBe(false)
  expect(await code(connect({ runDir }))).toBe('NOT_EXIST')
})

test.each(['5', Number.NaN, 0, 600_001])('a time-out of %j is refused', async (timeoutMs) => {
  const options = { runDir: runDirectory(), timeoutMs: timeoutMs as number }
  await expect(connect(options)).rejects.toMatchObject({ code: 'INVALID_PARAMETER' })
})

test('a socket that nobody listens at any more is NOT_EXIST too', async () => {
  const runDir = runDirectory()
  mkdirSync(join(runDir, 'ioc'), { mode: 0o700 })
  const { createServer } = await import('node:net')
  const server = createServer()
  await new Promise<void>((resolve) => server.listen(join(runDir, 'ioc', '1.1.sock'), resolve))
  const linked = join(runDir, 'ioc', '2.1.sock')
  const { linkSync } = await import('node:fs')
  linkSync(join(runDir, 'ioc', '1.1.sock'), linked)
  await new Promise((resolve) => server.close(resolve))
  expect(existsSync(linked)).toBe(true)
  await expect(connect({ runDir })).rejects.toThrow(/no cluster runs in/)
})

test('an aborted signal gives up, and closes', async () => {
  const runDir = runDirectory()
  expect(await code(connect({ runDir, signal: AbortSignal.abort() }))).toBe('INTERRUPT')
  await startAgent(runDir, 1)
  const abort = new AbortController()
  const connection = await open(runDir, abort.signal)
  abort.abort()
  await new Promise((resolve) => setImmediate(resolve))
  expect(await code(connection.rmd.client(Where, { to: '@x' }).am({}))).toBe('NOT_INITIALIZED')
})

test('calls follow the name, wait while nobody is active, and unknown names fail at once', async () => {
  const runDir = runDirectory()
  const agent = await startAgent(runDir, 1)
  const [first, second] = [await startServer(runDir), await startServer(runDir)]
  await agent.publish({ name: 'where', csi: 'whereCSI', epoch: 1, address: first.address })
  const connection = await open(runDir)
  const where = connection.rmd.client(Where, { to: '@where', atMostOnce: true, timeoutMs: 5_000 })
  expect(await where.am({})).toEqual({ port: first.address.port })
  await agent.publish({ name: 'where', csi: 'whereCSI', epoch: 1, address: null })
  const waiting = where.am({})
  await agent.publish({ name: 'where', csi: 'whereCSI', epoch: 2, address: second.address })
  expect(await waiting).toEqual({ port: second.address.port })
  expect(await code(connection.rmd.client(Where, { to: '@nobody' }).am({}))).toBe('NAME_NOT_FOUND')
})

test('survives the end of the agent it talked to, and finds those that come later', async () => {
  const runDir = runDirectory()
  const agent1 = await startAgent(runDir, 1)
  const server = await startServer(runDir)
  await agent1.publish({ name: 'where', csi: 'whereCSI', epoch: 1, address: server.address })
  const connection = await open(runDir)
  const where = connection.rmd.client(Where, { to: '@where', timeoutMs: 5_000 })
  await agent1.rmd.close()
  expect(await where.am({})).toEqual({ port: server.address.port })
  const agent2 = await startAgent(runDir, 2)
  await agent2.until('watched', () => agent2.watcherCount > 0)
  const later = await startServer(runDir)
  await agent2.publish({ name: 'where', csi: 'whereCSI', epoch: 2, address: later.address })
  await expect.poll(() => where.am({})).toEqual({ port: later.address.port })
})
