import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import fc from 'fast-check'
import { z } from 'zod'
import { defineInterface, SdkError } from '../../idl/index.ts'
import type { IncomingCall, Rmd } from '../../ioc/index.ts'
import { STREAM_WINDOW_BYTES, StreamReader } from '../../ioc/rmd/stream-reader.ts'
import { StreamWriter } from '../../ioc/rmd/stream-writer.ts'
import { Kit, Names, rejection } from './rmd-kit.ts'

const Feed = defineInterface({
  name: 'Feed',
  clientId: 20,
  version: 'B.1.1',
  methods: {
    rows: { serviceId: 0, input: z.int(), output: z.instanceof(Uint8Array), stream: true },
    one: { serviceId: 1, input: z.int(), output: z.int() },
  },
})
const { input, output } = Feed.methods.rows

/** Sends `count` items of `bytes`, each starting with its number, as there is room. */
async function feed(call: IncomingCall, count: number, bytes: number): Promise<void> {
  const stream = call.stream!
  for (let i = 0; i < count && !stream.isOver; i += 1) {
    const item = new Uint8Array(bytes)
    new DataView(item.buffer).setUint32(0, i)
    if (!stream.send(output.encode(item))) await stream.ready()
  }
  call.reply(new Uint8Array(0))
}

const numberOf = (item: Uint8Array): number =>
  new DataView(item.buffer, item.byteOffset).getUint32(0)

async function until(holds: () => boolean): Promise<void> {
  while (!holds()) await new Promise((resolve) => setImmediate(resolve))
}

describe.each(['memory', 'unix'] as const)('a stream of replies over %s', (kind) => {
  let kit: Kit
  let server: Rmd
  let client: Rmd
  beforeEach(async () => {
    kit = new Kit(kind)
    server = await kit.rmd(64)
    client = await kit.rmd(null)
  })
  afterEach(() => kit.close())

  const rows = (count: number, options = {}): AsyncIterableIterator<Uint8Array> =>
    client.client(Feed, { to: '1:64', ...options }).rows(count)

  it.each([0, 1, 3, 5_000])('carries %i items in their order', async (count) => {
    server.serve((call) => void feed(call, input.decode(call.payload), 40))
    const seen: number[] = []
    for await (const item of rows(count)) seen.push(numberOf(item))
    expect(seen).toEqual(Array.from({ length: count }, (_, i) => i))
    expect(client.pendingCount).toBe(0)
  })

  it('holds the callee back while nobody takes items, and carries many MiB', async () => {
    let sent = 0
    server.serve((call) => {
      const stream = call.stream!
      void (async () => {
        for (; sent < 200 && !stream.isOver; sent += 1) {
          if (!stream.send(output.encode(new Uint8Array(100_000)))) await stream.ready()
        }
        call.reply(new Uint8Array(0))
      })()
    })
    const items = rows(0)
    await items.next()
    await until(() => sent >= 2)
    for (let turn = 0; turn < 50; turn += 1) await new Promise((resolve) => setImmediate(resolve))
    expect(sent).toBeLessThan(8)
    let bytes = 100_000
    for await (const item of items) bytes += item.length
    expect(bytes).toBe(20_000_000)
  })

  it('carries items larger than the window and than a frame', async () => {
    server.serve((call) => void feed(call, 3, 3_000_000))
    const seen: number[] = []
    for await (const item of rows(3)) seen.push(item.length)
    expect(seen).toEqual([3_000_000, 3_000_000, 3_000_000])
  })

  it('makes the call when the first item is asked for, and none when it is given up before', async () => {
    let calls = 0
    server.serve((call) => {
      calls += 1
      void feed(call, 1, 8)
    })
    const never = rows(1)
    expect(await never.return?.()).toEqual({ done: true, value: undefined })
    expect(await never.next()).toEqual({ done: true, value: undefined })
    for await (const item of rows(1)) expect(numberOf(item)).toBe(0)
    expect(calls).toBe(1)
  })

  it('ends at the callee when its caller breaks, aborts, or dies', async () => {
    const ended: string[] = []
    const cancelled: number[] = []
    server.serve(
      (call) => {
        const stream = call.stream!
        stream.onOver = () => ended.push(String(input.decode(call.payload)))
        stream.send(output.encode(new Uint8Array(8)))
      },
      (_, messageId) => cancelled.push(messageId),
    )
    for await (const _ of rows(1)) break
    await until(() => ended.length === 1)
    const controller = new AbortController()
    const aborted = rows(2, { signal: controller.signal })
    await aborted.next()
    controller.abort()
    expect(await rejection(aborted.next())).toMatchObject({ code: 'INTERRUPT', mayHaveRun: true })
    expect(await aborted.next()).toEqual({ done: true, value: undefined })
    await until(() => ended.length === 2)
    const orphan = rows(3)
    await orphan.next()
    await client.close()
    await until(() => ended.length === 3)
    expect(ended).toEqual(['1', '2', '3'])
    expect(cancelled.length).toBe(2)
  })

  it('gives out what came before an error, then the error, then nothing', async () => {
    server.serve((call) => {
      call.stream!.send(output.encode(new Uint8Array(8)))
      call.stream!.send(output.encode(new Uint8Array(8)))
      call.fail(new SdkError('NO_SPACE', 'in the middle', { context: { at: 2 } }))
    })
    const items = rows(0)
    expect((await items.next()).done).toBe(false)
    await until(() => client.pendingCount === 0)
    expect((await items.next()).done).toBe(false)
    expect(await rejection(items.next())).toMatchObject({ code: 'NO_SPACE', context: { at: 2 } })
    expect(await items.next()).toEqual({ done: true, value: undefined })
  })

  it('ends by the death of the callee, and by the deadline of the whole stream', async () => {
    server.serve((call) => void call.stream!.send(output.encode(new Uint8Array(8))))
    const late = rows(0, { timeoutMs: 50 })
    await late.next()
    expect(await rejection(late.next())).toMatchObject({ code: 'TIMEOUT', mayHaveRun: true })
    const orphan = rows(0)
    await orphan.next()
    const end = rejection(orphan.next())
    await server.close()
    expect(await end).toMatchObject({ code: 'COMP_UNREACHABLE', mayHaveRun: true })
  })

  it('is never made again once an item came, although its callee lost the role', async () => {
    const names = new Names()
    names.set('feed', 64, 1)
    let calls = 0
    server.serve((call) => {
      calls += 1
      if (calls === 1) return call.fail(new SdkError('NOT_ACTIVE', 'not yet'))
      call.stream!.send(output.encode(new Uint8Array(8)), 1)
      call.fail(new SdkError('NOT_ACTIVE', 'not any more', { mayHaveRun: true }))
    })
    const named = await kit.rmd(null, { names })
    const items = named.client(Feed, { to: '@feed' }).rows(0)
    expect((await items.next()).done).toBe(false)
    expect(await rejection(items.next())).toMatchObject({ code: 'NOT_ACTIVE', mayHaveRun: true })
    expect(calls).toBe(2)
  })

  it('takes bytes by number, and refuses an item that is too big in the middle', async () => {
    server.serve((call) => {
      call.stream!.send(new Uint8Array([1, 2]))
      try {
        call.stream!.send(new Uint8Array(65 * 1024 * 1024))
      } catch (error) {
        call.fail(error as SdkError)
      }
    })
    const items = client.stream('1:64', 20 * 64, input.encode(1))
    expect((await items.next()).value).toEqual(new Uint8Array([1, 2]))
    expect(await rejection(items.next())).toMatchObject({ code: 'TOO_BIG' })
  })
})

describe('credit', () => {
  it('lets any mix of items through, in order, and never more than a window and an item wait', async () => {
    const sizes = fc.array(fc.nat(STREAM_WINDOW_BYTES), { maxLength: 40 })
    await fc.assert(
      fc.asyncProperty(sizes, fc.infiniteStream(fc.boolean()), async (list, turns) => {
        let waiting = 0
        let granted = 0
        const reader: StreamReader = new StreamReader({
          start: () => {},
          grant: (bytes) => {
            granted = bytes
            writer.credit(bytes)
          },
          cancel: () => {},
        })
        const writer: StreamWriter = new StreamWriter({
          itemBytesMax: 1_000_000,
          send: (payload) => {
            expect(reader.hasRoom).toBe(true)
            reader.push(payload.length, payload.length)
            waiting += payload.length
            expect(waiting).toBeLessThanOrEqual(3 * STREAM_WINDOW_BYTES)
            return 'sent'
          },
          later: () => {},
          tooBig: () => new SdkError('TOO_BIG', ''),
        })
        const taken: unknown[] = []
        const first = reader.next()
        const send = async (): Promise<void> => {
          for (const size of list) if (!writer.send(new Uint8Array(size))) await writer.ready()
          reader.finish()
        }
        const sending = send()
        for (let result = await first; result.done !== true; result = await reader.next()) {
          taken.push(result.value)
          waiting -= result.value as number
          if (turns.next().value) await Promise.resolve()
        }
        await sending
        expect(taken).toEqual(list)
        expect(granted % 1).toBe(0)
      }),
      { numRuns: 200 },
    )
  })

  it('ends after the item that waits for the send queue, and not at all when it was given up', () => {
    const done: string[] = []
    let isFull = true
    let again = (): void => {}
    const writer = (): StreamWriter =>
      new StreamWriter({
        itemBytesMax: 1_000,
        send: () => (isFull ? 'full' : (done.push('item'), 'sent')),
        later: (retry) => {
          again = retry
        },
        tooBig: () => new SdkError('TOO_BIG', ''),
      })
    const first = writer()
    first.send(new Uint8Array(7))
    first.endWith(() => done.push('end'))
    again()
    expect(done).toEqual([])
    isFull = false
    again()
    first.endWith(() => done.push('end at once'))
    expect(done).toEqual(['item', 'end', 'end at once'])
    isFull = true
    const second = writer()
    second.send(new Uint8Array(7))
    second.endWith(() => done.push('never'))
    second.end()
    isFull = false
    again()
    expect(done.length).toBe(3)
  })

  it('an item that the send queue had no room for goes first when there is some', async () => {
    const sent: number[] = []
    let isFull = true
    let again = (): void => {}
    const writer = new StreamWriter({
      itemBytesMax: 1_000_000,
      send: (payload) => {
        if (isFull) return 'full'
        sent.push(payload.length)
        return 'sent'
      },
      later: (retry) => {
        again = retry
      },
      tooBig: () => new SdkError('TOO_BIG', ''),
    })
    expect(writer.send(new Uint8Array(7))).toBe(false)
    const ready = writer.ready()
    again()
    expect(sent).toEqual([])
    isFull = false
    again()
    await ready
    expect(writer.send(new Uint8Array(8))).toBe(true)
    expect(sent).toEqual([7, 8])
  })
})
