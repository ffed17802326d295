import { afterEach, beforeEach, describe, expect, expectTypeOf, test } from 'vitest'
import { CL_CID, CL_ERR, CL_OK, rcOf, rcOfCode, SdkError, type ClRcT } from '../../idl/index.ts'
import type { IncomingCall, IocAddress, Rmd, RmdCounters } from '../../ioc/index.ts'
import {
  CL_RMD_CALL_ASYNC,
  CL_RMD_CALL_ATMOST_ONCE,
  CL_RMD_CALL_DO_NOT_OPTIMIZE,
  CL_RMD_CALL_IN_SESSION,
  CL_RMD_CALL_NEED_REPLY,
  CL_RMD_CALL_NON_PERSISTENT,
  CL_RMD_CALL_ORDERED,
  clEoMyEoObjectSet,
  clRmdMaxNumbRetriesGet,
  clRmdMaxPayloadSizeGet,
  clRmdResponseDefer,
  type ClRmdResponseContextHandleT,
  clRmdSourceAddressGet,
  clRmdStatsGet,
  clRmdSyncResponseSend,
  clRmdWithMsg,
  clRmdWithMsgVer,
  type ClOut,
  type ClRmdAsyncOptionsT,
  type ClRmdOptionsT,
} from '../../runtime/cl/index.ts'
import { CallContext } from '../../runtime/eo/call-context.ts'
import { roleRmd } from '../../runtime/eo/role-rmd.ts'
import type { App, Call } from '../../runtime/index.ts'
import { Kit } from '../ioc/rmd-kit.ts'

const RMD = (error: keyof typeof CL_ERR): ClRcT => rcOf(CL_CID.RMD, CL_ERR[error])
const ASYNC = CL_RMD_CALL_ASYNC
const NEED_REPLY = CL_RMD_CALL_NEED_REPLY
const NUMBER = 20 * 64
const IN = new Uint8Array([1, 2, 3])

let kit: Kit
let server: Rmd
let arrived: IncomingCall[]
let answer: (call: IncomingCall) => void
beforeEach(async () => {
  kit = new Kit('memory')
  arrived = []
  answer = (call) => call.reply(call.payload)
  server = await kit.rmd(64)
  server.serve((call) => {
    arrived.push(call)
    answer(call)
  })
  const rmd = await kit.rmd(65)
  const app = {
    component: 'toy',
    node: 'node1',
    address: rmd.address,
    rmd: roleRmd(rmd, () => 0, new CallContext()),
  }
  expect(clEoMyEoObjectSet(app as unknown as App)).toBe(CL_OK)
})
afterEach(async () => {
  delete (globalThis as Record<symbol, unknown>)[Symbol.for('holdfast.myEo')]
  await kit.close()
})

const out = (): ClOut<Uint8Array> => ({ value: new Uint8Array(0) })
async function until(holds: () => boolean): Promise<void> {
  while (!holds()) await new Promise((resolve) => setImmediate(resolve))
}

describe('the four kinds of a call', () => {
  test('sync with a reply, and without: both wait', async () => {
    const reply = out()
    expect(await clRmdWithMsg('1:64', NUMBER, IN, reply, NEED_REPLY)).toBe(CL_OK)
    expect([...reply.value]).toEqual([1, 2, 3])
    answer = (call) => call.fail(new SdkError('NO_SPACE', 'full'))
    expect(await clRmdWithMsg('1:64', NUMBER, null, null, 0)).toBe(rcOf(0, CL_ERR.NO_SPACE))
    expect(arrived.map((call) => call.oneWay)).toEqual([false, false])
  })

  test('async with a callback: accepted at once, told exactly once, errors too', async () => {
    const told: unknown[] = []
    const replies: IncomingCall[] = []
    answer = (call) => void replies.push(call)
    const ask = (cookie: string, to = '1:64'): Promise<ClRcT> =>
      clRmdWithMsg(
        to,
        NUMBER,
        IN,
        out(),
        ASYNC | NEED_REPLY,
        {},
        {
          cookie,
          fpCallback: (rc, same, inMessage, outMessage) => {
            told.push([same, rc, inMessage === IN, [...outMessage.value]])
          },
        },
      )
    expect(await ask('answered')).toBe(CL_OK)
    expect(await ask('refused')).toBe(CL_OK)
    expect(await ask('nobody', '1:77')).toBe(CL_OK)
    await until(() => replies.length === 2 && told.length === 1)
    expect(told).toEqual([['nobody', rcOfCode('COMP_UNREACHABLE'), true, []]])
    replies[0]!.reply(new Uint8Array([9]))
    replies[0]!.reply(new Uint8Array([8]))
    replies[1]!.fail(new SdkError('TRY_AGAIN', 'later'))
    await until(() => told.length === 3)
    expect(told.slice(1)).toEqual([
      ['answered', CL_OK, true, [9]],
      ['refused', rcOf(0, CL_ERR.TRY_AGAIN), true, []],
    ])
  })

  test('async without a reply is one way', async () => {
    expect(await clRmdWithMsg('1:64', NUMBER, IN, null, ASYNC)).toBe(CL_OK)
    await until(() => arrived.length === 1)
    expect(arrived[0]).toMatchObject({ oneWay: true, atMostOnce: false })
    expect(await clRmdWithMsg('1:77', NUMBER, IN, null, ASYNC)).not.toBe(CL_OK)
  })
})

const callback: ClRmdAsyncOptionsT = { cookie: null, fpCallback: () => undefined }
test.each<
  [string, Uint8Array | null, boolean, number, ClRmdOptionsT, ClRmdAsyncOptionsT | null, ClRcT]
>([
  ['an unknown flag', IN, false, 0x80, {}, null, RMD('INVALID_PARAMETER')],
  ['an empty input', new Uint8Array(0), false, 0, {}, null, RMD('INVALID_PARAMETER')],
  ['too many retries', IN, false, 0, { retries: 9 }, null, RMD('INVALID_PARAMETER')],
  ['half a retry', IN, false, 0, { retries: 0.5 }, null, RMD('INVALID_PARAMETER')],
  ['a negative time', IN, false, 0, { timeout: -1 }, null, RMD('INVALID_PARAMETER')],
  ['NEED_REPLY without out', IN, false, NEED_REPLY, {}, null, RMD('INVALID_PARAMETER')],
  ['out without NEED_REPLY', IN, true, 0, {}, null, RMD('INVALID_BUFFER')],
  ['no callback', IN, true, ASYNC | NEED_REPLY, {}, null, RMD('INVALID_PARAMETER')],
  ['sync with a callback', IN, true, NEED_REPLY, {}, callback, RMD('INVALID_PARAMETER')],
  ['one way with a callback', IN, false, ASYNC, {}, callback, RMD('INVALID_PARAMETER')],
])('refuses %s', async (_, input, withOut, flags, options, asyncOptions, rc) => {
  const reply = withOut ? out() : null
  const given = clRmdWithMsg('1:64', NUMBER, input, reply, flags, options, asyncOptions)
  expect(await given).toBe(rc)
  expect(arrived).toEqual([])
})

test.each<[number, ClRmdOptionsT, object, number]>([
  [0, {}, { atMostOnce: false, priority: 'default' }, 60_000],
  [0, { timeout: 100, retries: 0, priority: 'high' }, { priority: 'high' }, 100],
  [CL_RMD_CALL_ATMOST_ONCE, { timeout: 200, retries: 2 }, { atMostOnce: true }, 600],
  [CL_RMD_CALL_ATMOST_ONCE, { retries: 0 }, { atMostOnce: false }, 10_000],
  [CL_RMD_CALL_ATMOST_ONCE, { timeout: 0 }, { atMostOnce: false }, 600_000],
  [CL_RMD_CALL_ATMOST_ONCE, { timeout: 0xffff_ffff }, { atMostOnce: false }, 600_000],
  [CL_RMD_CALL_ORDERED, {}, { priority: 'ordered' }, 60_000],
  [CL_RMD_CALL_DO_NOT_OPTIMIZE | CL_RMD_CALL_IN_SESSION, {}, { oneWay: false }, 60_000],
  [CL_RMD_CALL_NON_PERSISTENT, {}, { oneWay: false }, 60_000],
])('flags %i with %j are a call %j of %i ms', async (flags, options, seen, wholeMs) => {
  expect(await clRmdWithMsg('1:64', NUMBER, IN, null, flags, options)).toBe(CL_OK)
  expect(arrived[0]).toMatchObject(seen)
  const leftMs = arrived[0]!.deadlineMs - performance.now()
  expect(leftMs).toBeLessThanOrEqual(wholeMs + 1)
  expect(leftMs).toBeGreaterThan(wholeMs - 20_000)
})

test('a version travels with the call', async () => {
  expect(await clRmdWithMsgVer('1:64', 'B.2.3', NUMBER, IN, null, 0)).toBe(CL_OK)
  expect(await clRmdWithMsg('1:64', NUMBER, IN, null, 0)).toBe(CL_OK)
  expect(arrived.map((call) => call.interfaceVersion)).toEqual([
    0x42 * 0x10_0000 + 2 * 0x400 + 3,
    0,
  ])
  const bad = await clRmdWithMsgVer('1:64', '2.3', NUMBER, IN, null, 0)
  expect(bad).toBe(rcOf(0, CL_ERR.INVALID_PARAMETER))
})

test('statistics and limits', async () => {
  await clRmdWithMsg('1:64', NUMBER, IN, null, 0)
  const counters: ClOut<RmdCounters | undefined> = { value: undefined }
  expect(clRmdStatsGet(counters)).toBe(CL_OK)
  expect(counters.value).toMatchObject({ nRmdCalls: 1, nRmdReplies: 1, nFailedCalls: 0 })
  const limit = { value: 0 }
  expect(clRmdMaxNumbRetriesGet(limit)).toBe(CL_OK)
  expect(limit.value).toBe(8)
  expect(clRmdMaxPayloadSizeGet(limit)).toBe(CL_OK)
  expect(limit.value).toBe(64 * 1024 * 1024)
})

test('inside a function: who called, and an answer that is given later', async () => {
  const source: ClOut<IocAddress | undefined> = { value: undefined }
  expect(clRmdSourceAddressGet({ source: { node: 2, port: 64 } } as Call, source)).toBe(CL_OK)
  expect(source.value).toEqual({ node: 2, port: 64 })
  const handle: ClOut<ClRmdResponseContextHandleT<number> | undefined> = { value: undefined }
  expect(clRmdResponseDefer(handle)).toBe(CL_OK)
  expect(clRmdSyncResponseSend(handle.value!, 7, CL_OK)).toBe(CL_OK)
  expect(clRmdSyncResponseSend(handle.value!, 8, CL_OK)).toBe(RMD('INVALID_HANDLE'))
  expect(await handle.value!.response).toBe(7)
  clRmdResponseDefer(handle)
  clRmdSyncResponseSend(handle.value!, 0, rcOf(0, CL_ERR.NO_SPACE))
  await expect(handle.value!.response).rejects.toMatchObject({ code: 'NO_SPACE' })
})

test('a thread that is bound to no EO is told so', async () => {
  delete (globalThis as Record<symbol, unknown>)[Symbol.for('holdfast.myEo')]
  expect(await clRmdWithMsg('1:64', NUMBER, IN, null, 0)).toBe(RMD('INVALID_STATE'))
  expect(clRmdStatsGet({ value: undefined })).toBe(RMD('INVALID_STATE'))
})

test('types', () => {
  expectTypeOf(clRmdWithMsg<string>).returns.toEqualTypeOf<Promise<ClRcT>>()
  expectTypeOf<ClRmdOptionsT['timeout']>().toEqualTypeOf<number | undefined>()
  expectTypeOf<RmdCounters['nFailedAtmostOnceAcksRecvd']>().toEqualTypeOf<number>()
  expectTypeOf<keyof RmdCounters>().not.toEqualTypeOf<string>()
  expectTypeOf<ClRmdAsyncOptionsT<number>['fpCallback']>().parameter(1).toEqualTypeOf<number>()
  expectTypeOf<(rc: ClRcT, cookie: string) => void>().not.toExtend<
    ClRmdAsyncOptionsT<number>['fpCallback']
  >()
})
