import { afterEach, beforeEach, describe, expect, expectTypeOf, test } from 'vitest'
import { z } from 'zod'
import {
  defineInterface,
  isSdkError,
  SdkError,
  type ClientOf,
  type HandlersOf,
} from '../../idl/index.ts'
import {
  createRmd,
  memoryTransport,
  openPort,
  type Rmd,
  type RmdCallOptions,
} from '../../ioc/index.ts'
import { parseComponentModule } from '../../runtime/eo/config.schema.ts'
import { ExecutionObject } from '../../runtime/eo/execution-object.ts'
import type { Call } from '../../runtime/index.ts'

const Feed = defineInterface({
  name: 'Feed',
  clientId: 20,
  version: 'B.1.1',
  methods: {
    count: { serviceId: 0, input: z.int(), output: z.int(), stream: true },
    plain: { serviceId: 1, input: z.int(), output: z.int() },
  },
})

let eo: ExecutionObject
let server: Rmd
let caller: Rmd
let log: string[]
let calls: Call[]
beforeEach(async () => {
  const transport = memoryTransport()
  log = []
  calls = []
  eo = new ExecutionObject({
    config: parseComponentModule(
      { clEoConfig: { name: 'feed', initialize: () => undefined } },
      'feed',
    ),
    identity: () => ({ component: 'feed', node: 'node1', address: { node: 1, port: 64 } }),
    checkpoint: () => null,
    isElsewhere: () => false,
    log: () => undefined,
  })
  server = createRmd({ port: await openPort({ transport, node: 1, port: 64, name: 'eo' }) })
  server.serve(eo.dispatch, eo.cancelled)
  caller = createRmd({ port: await openPort({ transport, port: null, name: 'caller' }) })
  eo.setState('active')
})
afterEach(async () => {
  await eo.stop(100)
  await caller.close()
  await server.close()
})

type Handlers = HandlersOf<(typeof Feed)['spec'], Call>
const count: Handlers['count'] = async function* (n, call) {
  calls.push(call)
  try {
    for (let i = 0; i < n; i += 1) {
      if (n === 1_000 && i === 900) throw new SdkError('NO_SPACE', 'nine hundred')
      yield i
    }
  } finally {
    log.push(`left ${n}`)
  }
}
/** Gives one item and then waits for its signal. */
const waiting: Handlers['count'] = async function* (n, call) {
  calls.push(call)
  yield n
  await new Promise((resolve) => call.signal.addEventListener('abort', resolve))
  log.push(`aborted ${n}`)
}
const install = (run: Handlers['count'], csi: string | null = null): void =>
  eo.client.clientInstall(Feed, { count: run, plain: (n) => n }, { csi })
const feed = (): ClientOf<(typeof Feed)['spec'], RmdCallOptions> =>
  caller.client(Feed, { to: '1:64', timeoutMs: 5_000 })
async function until(holds: () => boolean): Promise<void> {
  while (!holds()) await new Promise((resolve) => setImmediate(resolve))
}
async function collected(items: AsyncIterable<number>): Promise<readonly (number | string)[]> {
  const seen: (number | string)[] = []
  try {
    for await (const item of items) seen.push(item)
  } catch (error) {
    seen.push(isSdkError(error) ? error.code : String(error))
  }
  return seen
}

describe('stream methods', () => {
  test('types: an async iterable of the output', () => {
    expectTypeOf(feed().count).returns.toEqualTypeOf<AsyncIterableIterator<number>>()
    expectTypeOf(feed().plain).returns.toEqualTypeOf<Promise<number>>()
    expectTypeOf<ReturnType<Handlers['plain']>>().toEqualTypeOf<number | Promise<number>>()
  })

  test('an async generator answers item by item, and leaves when it is done', async () => {
    install(count)
    expect(await collected(feed().count(500))).toEqual(Array.from({ length: 500 }, (_, i) => i))
    expect(log).toEqual(['left 500'])
    expect(eo.statistics()).toMatchObject({ streamsOpen: 0, jobsLive: 0, jobsRunning: 0 })
  })

  test('any iterable will do, and an error in the middle comes after what was given', async () => {
    install(() => [7, 8])
    expect(await collected(feed().count(2))).toEqual([7, 8])
    eo.client.clientUninstall(Feed)
    install(count)
    const seen = await collected(feed().count(1_000))
    expect([seen.length, seen.at(-1)]).toEqual([901, 'NO_SPACE'])
    eo.client.clientUninstall(Feed)
    install(() => ['no number'] as never)
    expect(await collected(feed().count(2))).toEqual(['HANDLER_FAILED'])
    eo.client.clientUninstall(Feed)
    install(() => 5 as never)
    expect(await collected(feed().count(2))).toEqual(['HANDLER_FAILED'])
  })

  test('a caller that breaks ends the generator, where it waits too', async () => {
    install(count)
    for await (const item of feed().count(100_000)) if (item === 3) break
    await until(() => log.length === 1)
    expect(calls[0]?.signal.aborted).toBe(true)
    eo.client.clientUninstall(Feed)
    install(waiting)
    for await (const item of feed().count(5)) if (item === 5) break
    await until(() => log.length === 2)
    expect(log).toEqual(['left 100000', 'aborted 5'])
    expect(eo.statistics()['streamsOpen']).toBe(0)
  }, 2_000)

  test.each<[string, object, () => unknown, string]>([
    ['its deadline', { timeoutMs: 40 }, () => undefined, 'TIMEOUT'],
    ['the end of the role', {}, () => eo.setRole('csi', 'QUIESCING', 1), 'NOT_ACTIVE'],
    ['the end of the component', {}, () => eo.stop(0), 'INTERRUPT'],
    ['the end of the caller', {}, () => caller.close(), 'INTERRUPT'],
  ])('%s ends it', async (_, options, act, code) => {
    eo.setRole('csi', 'ACTIVE', 1)
    install(waiting, 'csi')
    const items = caller.client(Feed, { to: '1:64', ...options }).count(1)
    expect((await items.next()).value).toBe(1)
    const end = items.next().catch((error: unknown) => (error as SdkError).code)
    void act()
    expect(await end).toBe(code)
    await until(() => log.length === 1)
    expect(eo.statistics()).toMatchObject({ streamsOpen: 0, jobsLive: 0 })
  })

  test('open streams hold up nobody: neither other calls nor the drain of their role', async () => {
    eo.setRole('csi', 'ACTIVE', 1)
    install(waiting, 'csi')
    const open = Array.from({ length: 50 }, (_, i) => feed().count(i))
    for (const items of open) await items.next()
    expect(await feed().plain(1)).toBe(1)
    expect(eo.statistics()).toMatchObject({ streamsOpen: 50, jobsRunning: 0 })
    eo.setRole('csi', 'QUIESCING', 1)
    await eo.drained('csi')
  })

  test('a stream called as one value, and the reverse, is refused at once', async () => {
    install(count)
    const bytes = Feed.methods.count.input.encode(1)
    const refusal = caller.call('1:64', 20 * 64, bytes)
    expect(await refusal.catch((e: unknown) => e)).toMatchObject({ code: 'BAD_OPERATION' })
    const stream = caller.stream('1:64', 20 * 64 + 1, bytes)
    expect(await stream.next().catch((e: unknown) => e)).toMatchObject({ code: 'BAD_OPERATION' })
  })

  test('is not placed on workers', () => {
    const worker = new URL('file:///nowhere.js')
    expect(() => eo.client.clientInstall(Feed, null, { worker })).toThrow(/own thread/)
  })
})

describe('a call that its caller gives up', () => {
  test('aborts the signal of its function', async () => {
    eo.client.clientInstall(
      Feed,
      {
        count: () => [],
        plain: (n, call) =>
          new Promise((resolve) => {
            calls.push(call)
            call.signal.addEventListener('abort', () => resolve(n))
          }),
      },
      { csi: null },
    )
    const controller = new AbortController()
    const pending = feed().plain(1, { signal: controller.signal })
    await until(() => calls.length === 1)
    controller.abort()
    expect(await pending.catch((e: unknown) => e)).toMatchObject({ code: 'INTERRUPT' })
    await until(() => calls[0]!.signal.aborted)
    expect(calls[0]!.signal.reason).toMatchObject({ code: 'INTERRUPT' })
    expect(eo.statistics()['cancelled']).toBe(1)
  })

  test('is dropped while it waits for the role', async () => {
    eo.setRole('csi', 'promoting', 1)
    let runs = 0
    eo.client.clientInstall(
      Feed,
      { count: () => [], plain: (n) => ((runs += 1), n) },
      { csi: 'csi' },
    )
    const controller = new AbortController()
    const pending = feed().plain(1, { signal: controller.signal })
    await until(() => eo.statistics()['parkedNow'] === 1)
    controller.abort()
    await pending.catch(() => undefined)
    await until(() => eo.statistics()['parkedNow'] === 0)
    eo.setRole('csi', 'ACTIVE', 1)
    expect(await feed().plain(2)).toBe(2)
    expect(runs).toBe(1)
  })
})
