import { afterEach, expect, it } from 'vitest'
import { CL_CID, CL_OK, rcComponent, rcError } from '../../idl/index.ts'
import * as cl from '../../runtime/cl/index.ts'
import { bindMyEo, RULE_FLAG, RuleExpression } from '../../runtime/index.ts'
import { eventLibrary } from '../../runtime/services/event/client.ts'
import { eventServer } from '../../runtime/services/event/server.ts'
import { ServiceRig } from './services/rig.ts'

const rig = new ServiceRig(eventServer)
afterEach(() => rig.close())

const out = <T>(): { value: T | undefined } => ({ value: undefined })
const bytes = (text: string): Uint8Array => Buffer.from(text)

/** The low half of a code of this library; 0 for OK. */
function error(rc: number): number {
  if (rc !== CL_OK) expect(rcComponent(rc)).toBe(CL_CID.EVENTS)
  return rcError(rc)
}

const PUBLISHER = cl.CL_EVENT_CHANNEL_PUBLISHER
const SUBSCRIBER = cl.CL_EVENT_CHANNEL_SUBSCRIBER
const ALL = cl.CL_EVENT_GLOBAL_CHANNEL | cl.CL_EVENT_CHANNEL_CREATE | PUBLISHER | SUBSCRIBER
const VERSION = 'B.1.1'

it('the names of the original, with its codes', async () => {
  const none = undefined as never
  expect(error(await cl.clEventFinalize(none))).toBe(0x100)
  const junk = {} as never
  const calls = [
    () => cl.clEventChannelOpen(junk, 'c', ALL, 0n, out()),
    () => cl.clEventChannelOpenAsync(junk, 1, 'c', ALL),
    () => cl.clEventChannelUnlink(junk, 'c'),
    () => cl.clEventChannelClose(junk),
    () => cl.clEventAllocate(junk, out()),
    () => cl.clEventSubscribe(junk, null, 1),
    () => cl.clEventUnsubscribe(junk, 1),
    () => cl.clEventRetentionTimeClear(junk, 1n),
    () => cl.clEventExtSubscribe(junk, 1, 1),
    () => cl.clEventAttributesSet(junk, null, 1, 0n, ''),
    () => cl.clEventAttributesGet(junk, 1, out()),
    () => cl.clEventExtAttributesSet(junk, 1, 1, 0n, ''),
    () => cl.clEventExtAttributesGet(junk, { value: 0 }, out()),
    () => cl.clEventDataGet(junk, new Uint8Array(), { value: 0 }),
    () => cl.clEventCookieGet(junk, out()),
    () => cl.clEventPublish(junk, null, 0, { value: 0n }),
    () => cl.clEventFree(junk),
  ]
  for (const call of calls) expect(error(await call()), String(call)).toBe(0x100)

  await rig.start(1)
  const { client, rmd } = await rig.component(1, 'one', eventLibrary)
  const { address } = rmd
  bindMyEo({ component: 'one', node: 'node1', address, rmd, event: client } as never)
  const delivered: [number, string, string, unknown][] = []
  const kept: cl.ClEventHandleT[] = []
  const opened: [number, unknown, number][] = []
  const callbacks: cl.ClEventCallbacksT = {
    clEvtChannelOpenCallback: (invocation, channel, rc) =>
      opened.push([invocation, channel?.name, rc]),
    clEvtEventDeliverCallback: (id, event, size) => {
      const cookie = out()
      const read = out<cl.ClEventAttributesT>()
      const length = { value: 0 }
      const buffer = new Uint8Array(size)
      expect(cl.clEventCookieGet(event, cookie)).toBe(CL_OK)
      expect(cl.clEventAttributesGet(event, 4, read)).toBe(CL_OK)
      expect(cl.clEventDataGet(event, buffer, length)).toBe(CL_OK)
      expect(length.value).toBe(size)
      if (size > 0) expect(error(cl.clEventDataGet(event, new Uint8Array(), length))).toBe(0x110)
      const { publisherName } = read.value!
      delivered.push([id, publisherName, Buffer.from(buffer).toString(), cookie.value])
      kept.push(event)
    },
  }
  const user = out<cl.ClEventInitHandleT>()
  expect(error(cl.clEventInitialize(none, null, VERSION))).toBe(0x102)
  expect(error(cl.clEventInitialize(user, null, null))).toBe(0x102)
  expect(error(cl.clEventInitialize(user, null, 'A.1.1'))).toBe(0x111)
  expect(cl.clEventInitialize(user, null, VERSION)).toBe(CL_OK)
  const silent = user.value!
  expect(cl.clEventInitialize(user, callbacks, VERSION)).toBe(CL_OK)
  const handle = user.value!
  expect(error(await cl.clEventFinalize(junk))).toBe(0x105)
  for (const call of calls) expect(error(await call()), String(call)).toBe(0x105)

  const channel = out<cl.ClEventChannelHandleT>()
  const open = (name: string, flags: number, to: unknown = channel) =>
    cl.clEventChannelOpen(handle, name, flags, 5_000_000_000n, to as never)
  expect(error(await open(none, ALL))).toBe(0x107)
  expect(error(await open('c', 0))).toBe(0x103)
  expect(error(await open('c', 0x10))).toBe(0x103)
  expect(error(await open('c', ALL, null))).toBe(0x102)
  expect(await open('c', ALL)).toBe(CL_OK)
  expect(error(await open('c', ALL))).toBe(0x108)
  const both = channel.value!
  expect(await open('d', (ALL & ~PUBLISHER) | cl.CL_EVENT_LOCAL_CHANNEL)).toBe(CL_OK)
  const reader = channel.value!
  expect(error(cl.clEventChannelOpenAsync(silent, 1, 'c', ALL))).toBe(0x107)
  expect(error(cl.clEventChannelOpenAsync(handle, 1, none, ALL))).toBe(0x107)
  expect(cl.clEventChannelOpenAsync(handle, 7, 'e', ALL)).toBe(CL_OK)
  await expect.poll(() => opened).toEqual([[7, 'e', CL_OK]])

  const event = out<cl.ClEventHandleT>()
  expect(error(cl.clEventAllocate(both, none))).toBe(0x102)
  expect(error(cl.clEventAllocate(reader, event))).toBe(0x10c)
  expect(cl.clEventAllocate(both, event)).toBe(CL_OK)
  const set = (priority: number) =>
    cl.clEventAttributesSet(event.value!, [bytes('p')], priority as 0, 0n, 'me')
  expect(error(set(4))).toBe(0x102)
  expect(set(1)).toBe(CL_OK)
  const got = out<cl.ClEventAttributesT>()
  expect(error(cl.clEventAttributesGet(event.value!, 0, got))).toBe(0x110)
  expect(cl.clEventAttributesGet(event.value!, 1, got)).toBe(CL_OK)
  expect(got.value).toMatchObject({ priority: 1, publisherName: 'me', retentionTime: 0n })
  expect(error(cl.clEventCookieGet(event.value!, out()))).toBe(0x105)
  expect(error(cl.clEventAttributesGet(event.value!, 1, none))).toBe(0x102)
  expect(error(await cl.clEventPublish(event.value!, null, 0, none))).toBe(0x102)

  const exact = [{ filterType: cl.CL_EVENT_EXACT_FILTER, filter: bytes('p') }]
  const prefix = [{ filterType: cl.CL_EVENT_PREFIX_FILTER, filter: bytes('q') }]
  const wrong = [{ filterType: 9 }]
  expect(error(await cl.clEventSubscribe(both, wrong, 1))).toBe(0x102)
  expect(await cl.clEventSubscribe(both, exact, 1, 'cookie')).toBe(CL_OK)
  expect(error(await cl.clEventSubscribe(both, exact, 1))).toBe(0x10a)
  expect(await cl.clEventSubscribe(both, prefix, 2)).toBe(CL_OK)
  const ids = [{ value: 0n }, { value: 0n }]
  expect(error(await cl.clEventPublish(none, null, 0, ids[0]!))).toBe(0x102)
  expect(error(await cl.clEventPublish(event.value!, null, 1, ids[0]!))).toBe(0x102)
  expect(error(await cl.clEventPublish(event.value!, bytes('x'), 2, ids[0]!))).toBe(0x102)
  expect(await cl.clEventPublish(event.value!, bytes('hello world'), 5, ids[0]!)).toBe(CL_OK)
  expect(await cl.clEventPublish(event.value!, null, 0, ids[1]!)).toBe(CL_OK)
  await expect
    .poll(() => delivered)
    .toEqual([
      [1, 'me', 'hello', 'cookie'],
      [1, 'me', '', 'cookie'],
    ])
  expect(ids[1]!.value).toBe(ids[0]!.value + 1n)
  expect(error(await cl.clEventPublish(kept[0]!, null, 0, ids[0]!))).toBe(0x105)

  // One 32-bit type for a pattern, and a rule over it.
  const rule = new RuleExpression(1)
  rule.flags = RULE_FLAG.LITTLE_END | RULE_FLAG.NON_ZERO_MATCH
  rule.mask[0] = 0x100
  expect(await cl.clEventExtSubscribe(both, 0x1234, 3)).toBe(CL_OK)
  expect(await cl.clEventExtWithRbeSubscribe(both, rule, 4)).toBe(CL_OK)
  for (const type of [0x1234, 0x0100]) {
    expect(cl.clEventExtAttributesSet(event.value!, type, 3, 60_000_000_000n, '')).toBe(CL_OK)
    const data = bytes(String(type))
    expect(await cl.clEventPublish(event.value!, data, data.length, ids[0]!)).toBe(CL_OK)
  }
  await expect
    .poll(() => delivered.slice(2).map(([id, , text]) => `${id} ${text}`))
    .toEqual([`3 ${0x1234}`, `4 ${0x0100}`])
  const type = { value: 0 }
  expect(cl.clEventExtAttributesGet(kept.at(-1)!, type, got)).toBe(CL_OK)
  expect(type.value).toBe(0x0100)
  expect(error(cl.clEventExtAttributesGet(kept[0]!, type, got))).toBe(0x102)
  expect(await cl.clEventRetentionTimeClear(both, ids[0]!.value)).toBe(CL_OK)
  expect(rcError(await cl.clEventRetentionTimeClear(both, ids[0]!.value))).toBe(0x04)

  expect(cl.clEventFree(event.value!)).toBe(CL_OK)
  expect(error(cl.clEventFree(event.value!))).toBe(0x105)
  expect(await cl.clEventUnsubscribe(both, 1)).toBe(CL_OK)
  expect(rcError(await cl.clEventUnsubscribe(both, 1))).toBe(0x04)
  expect(cl.clEventAllocate(both, event)).toBe(CL_OK)
  expect(await cl.clEventChannelUnlink(handle, 'c')).toBe(CL_OK)
  expect(rcError(await cl.clEventChannelUnlink(handle, 'c'))).toBe(0x04)
  expect(await cl.clEventChannelClose(both)).toBe(CL_OK)
  expect(error(await cl.clEventChannelClose(both))).toBe(0x109)
  expect(error(await cl.clEventPublish(event.value!, null, 0, ids[0]!))).toBe(0x109)
  expect(error(set(1))).toBe(0x109)
  expect(error(cl.clEventAttributesGet(event.value!, 4, got))).toBe(0x109)
  expect(cl.clEventFree(event.value!)).toBe(CL_OK)
  expect(error(await cl.clEventSubscribe(none, null, 1))).toBe(0x105)
  for (const one of [silent, handle]) expect(await cl.clEventFinalize(one)).toBe(CL_OK)
  expect(error(await cl.clEventFinalize(handle))).toBe(0x100)
})
