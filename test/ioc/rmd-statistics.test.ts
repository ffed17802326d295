import { afterEach, beforeEach, expect, it, test } from 'vitest'
import { SdkError } from '../../idl/index.ts'
import { createRmd, type IncomingCall, openPort, type Port, type Rmd } from '../../ioc/index.ts'
import type { RmdCounters } from '../../ioc/index.ts'
import { FLAG, type FrameHeader, makeFrameHeader, PROTOCOL } from '../../ioc/frame.ts'
import { Kit, ManualClock, rejection, settled } from './rmd-kit.ts'

const NUMBER = 20 * 64
const BIG = new Uint8Array(150_000)
/** One big message fills a queue of this size. */
const limits = { sendQueueBytesMax: 100_000 }
const once = { atMostOnce: true, timeoutMs: 5_000 } as const

let kit: Kit
let clock: ManualClock
let server: Rmd
let client: Rmd
let clientPort: Port
/** Answers with what came. */
const echo = (call: IncomingCall): void => call.reply(call.payload)
beforeEach(async () => {
  kit = new Kit('memory')
  clock = new ManualClock()
  server = await kit.rmd(64, {}, { limits })
  server.serve(echo)
  const { transport } = kit
  clientPort = await openPort({ transport, node: 1, port: null, name: 'client', limits })
  client = createRmd({ port: clientPort, clock })
})
afterEach(async () => {
  await client.close()
  await kit.close()
})

const call = (options: object = {}, payload = new Uint8Array(3)): Promise<Uint8Array> =>
  client.call('1:64', NUMBER, payload, options)

/** A frame as a peer might send it that keeps to no rules. */
function raw(fields: Partial<FrameHeader>, payload = new Uint8Array(3)): void {
  const header = { ...makeFrameHeader(), functionNumber: NUMBER, rcOrTimeoutMs: 5_000, ...fields }
  for (const connection of clientPort.connections()) connection.send(header, payload)
}
const duplicate = { protocol: PROTOCOL.syncRequest, flags: FLAG.atMostOnce, messageId: 77 }

/** A server that answers nothing; what it got. */
function silence(): IncomingCall[] {
  const arrived: IncomingCall[] = []
  server.serve((incoming) => void arrived.push(incoming))
  return arrived
}

/** What makes a counter count, and on which side: 1 on a fresh program, from nothing else. */
const COUNTS: Readonly<Record<keyof RmdCounters, ['client' | 'server', () => Promise<void>]>> = {
  nRmdCalls: ['client', async () => void (await call())],
  nFailedCalls: [
    'client',
    async () => void (await rejection(client.call('1:77', NUMBER, new Uint8Array(1)))),
  ],
  nResendRequests: [
    'client',
    async () => {
      silence()
      void rejection(call({ ...once, tryTimeoutMs: 100 }))
      await settled()
      await clock.advance(150)
    },
  ],
  nFailedResendRequests: [
    'client',
    async () => {
      silence()
      void rejection(call({ ...once, tryTimeoutMs: 100 }))
      await settled()
      void call({ oneWay: true }, BIG)
      await clock.advance(150)
    },
  ],
  nRmdReplies: ['client', async () => void (await call())],
  nBadReplies: [
    'client',
    async () => {
      const arrived = silence()
      void rejection(call({ timeoutMs: 50 }))
      await settled()
      await clock.advance(100)
      arrived[0]!.reply(new Uint8Array(0))
    },
  ],
  nRmdRequests: ['server', async () => void (await call())],
  nBadRequests: [
    'server',
    async () => {
      server.serve((incoming) => incoming.fail(new SdkError('FUNC_NOT_REGISTERED', 'no')))
      await rejection(call())
    },
  ],
  nCallTimeouts: [
    'client',
    async () => {
      silence()
      void rejection(call({ timeoutMs: 50 }))
      await settled()
      await clock.advance(100)
    },
  ],
  nDupRequests: [
    'server',
    async () => {
      silence()
      void rejection(call({ ...once, tryTimeoutMs: 100 }))
      await settled()
      await clock.advance(150)
    },
  ],
  nAtmostOnceCalls: [
    'client',
    async () => {
      await call()
      await call(once)
    },
  ],
  nFailedAtmostOnceCalls: [
    'client',
    async () => {
      await rejection(client.call('1:77', NUMBER, new Uint8Array(1)))
      await rejection(client.call('1:77', NUMBER, new Uint8Array(1), once))
    },
  ],
  nReplySend: [
    'server',
    async () => {
      await call()
      await call({ oneWay: true })
    },
  ],
  nFailedReplySend: [
    'server',
    async () => {
      const arrived = silence()
      void rejection(call())
      await settled()
      await client.close()
      await settled()
      arrived[0]!.reply(new Uint8Array(0))
    },
  ],
  nResendReplies: [
    'server',
    async () => {
      await call()
      raw(duplicate)
      raw(duplicate)
    },
  ],
  nFailedResendReplies: [
    'server',
    async () => {
      server.serve((incoming) => incoming.reply(BIG))
      await call()
      raw(duplicate)
      raw(duplicate)
    },
  ],
  nRmdCallOptimized: ['client', () => Promise.resolve()],
  nAtmostOnceAcksSent: [
    'client',
    async () => {
      await call(once)
      await clock.advance(1_500)
    },
  ],
  nFailedAtmostOnceAcksSent: [
    'client',
    async () => {
      await call(once)
      raw({ protocol: PROTOCOL.syncRequest, messageId: 77 }, BIG)
      await clock.advance(1_500)
    },
  ],
  nAtmostOnceAcksRecvd: [
    'server',
    async () => {
      await call(once)
      await clock.advance(1_500)
    },
  ],
  nFailedAtmostOnceAcksRecvd: [
    'server',
    async () => {
      await call()
      raw({ protocol: PROTOCOL.acknowledge })
    },
  ],
}

it.each(Object.entries(COUNTS))('%s counts', async (name, [side, make]) => {
  const of = { client, server }[side]
  const before = of.statistics()[name as keyof RmdCounters]
  await make()
  await settled()
  const count = of.statistics()[name as keyof RmdCounters] - before
  expect(count).toBe(name === 'nRmdCallOptimized' ? 0 : 1)
})

test('there are 21, in the order of the reference', () => {
  expect(Object.keys(client.statistics())).toEqual(Object.keys(COUNTS))
  expect(Object.keys(COUNTS).length).toBe(21)
})

test('a floor above that keeps replies itself is counted too', async () => {
  const keeper = await kit.rmd(65, { dedupe: () => false })
  const kept = new Map<number, Uint8Array | null>()
  keeper.serve((incoming) => {
    const reply = kept.get(incoming.messageId)
    if (reply === null) return incoming.fail(new SdkError('INUSE', 'it runs'))
    if (reply === undefined) return void kept.set(incoming.messageId, null)
    incoming.kept = true
    incoming.reply(reply)
  })
  const answer = client.call('1:65', NUMBER, new Uint8Array(3), { ...once, tryTimeoutMs: 100 })
  await settled()
  await clock.advance(150)
  for (const id of kept.keys()) kept.set(id, new Uint8Array([7]))
  await clock.advance(150)
  expect([...(await answer)]).toEqual([7])
  expect(keeper.statistics()).toMatchObject({ nDupRequests: 2, nResendReplies: 1, nReplySend: 1 })
})
