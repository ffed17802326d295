import { describe, expect, it } from 'vitest'
import type { EventFilter } from '../../../runtime/services/event/channel.ts'
import type { ChannelOpenAnswer, EventHandle } from '../../../runtime/services/event/client.ts'
import { LOST_EVENT_PATTERN } from '../../../runtime/services/event/delivered-event.ts'
import { EventService } from '../../../runtime/services/event/interface.ts'
import { RULE_FLAG, RuleExpression } from '../../../runtime/basic/rule/expression.ts'
import { BOTH, channel, code, data, rigOf, settle, text, textsOf, user } from './event-users.ts'

describe('life cycle of handle and channel', () => {
  it.each([
    ['A.1.1', 'VERSION_MISMATCH'],
    ['C.1.1', 'VERSION_MISMATCH'],
    ['B.123.1', 'VERSION_MISMATCH'],
    ['', 'INVALID_PARAMETER'],
    ['B.1.200', null],
    ['B.0.1', null],
  ])('version %s: %s', async (version, expected) => {
    const one = await user(await rigOf(1), 1, 'a')
    const initialize = async (): Promise<unknown> => one.client.initialize({}, version)
    if (expected === null)
      expect((await initialize()) as EventHandle).toMatchObject({ version: 'B.1.1' })
    else expect(await code(initialize())).toBe(expected)
  })

  it('refuses what the reference refuses', async () => {
    const one = await user(await rigOf(1), 1, 'a')
    const { handle } = one
    expect(await code(handle.channelOpen({ name: 'c', flags: [] }))).toBe('BAD_FLAG')
    expect(await code(handle.channelOpen({ name: 'c', flags: ['GLOBAL', 'CREATE'] }))).toBe(
      'BAD_FLAG',
    )
    expect(await code(handle.channelOpen({ name: 'c', flags: ['ALL' as 'GLOBAL'] }))).toBe(
      'BAD_FLAG',
    )
    expect(await code(handle.channelOpen({ name: '', flags: BOTH }))).toBe('INVALID_PARAMETER')
    expect(await code(handle.channelOpen({ name: 'c', flags: ['GLOBAL', 'SUBSCRIBER'] }))).toBe(
      'NOT_EXIST',
    )
    expect(await code(handle.channelUnlink('c'))).toBe('NOT_EXIST')

    const c = await channel(one, 'c')
    expect(await code(channel(one, 'c'))).toBe('CHANNEL_ALREADY_OPENED')
    expect((await channel(one, 'c', ['SUBSCRIBER', 'CREATE'])).scope).toBe('LOCAL')
    await c.close()
    for (const use of [
      c.publish(),
      c.subscribe({ subscriptionId: 1 }),
      c.unsubscribe(1),
      c.close(),
    ]) {
      expect(await code(use)).toBe('CHANNEL_NOT_OPENED')
    }
    const reader = await channel(one, 'c', ['GLOBAL', 'SUBSCRIBER'])
    expect(await code(reader.publish())).toBe('NOT_OPENED_FOR_PUBLISH')
    await reader.subscribe({ subscriptionId: 1 })
    expect(await code(reader.subscribe({ subscriptionId: 1 }))).toBe('DUPLICATE_SUBSCRIPTION')
    expect(await code(reader.unsubscribe(2))).toBe('NOT_EXIST')
    await reader.close()
    const writer = await channel(one, 'c', ['GLOBAL', 'PUBLISHER'])
    expect(await code(writer.subscribe({ subscriptionId: 1 }))).toBe('NOT_OPENED_FOR_SUBSCRIPTION')
    const many = Array.from({ length: 33 }, () => 'p')
    for (const wrong of [
      { priority: 4 as 3 },
      { retentionMs: -1 },
      { patterns: many },
      { patterns: ['x'.repeat(1_025)] },
      { publisherName: 'x'.repeat(256) },
    ]) {
      expect(await code(writer.publish(wrong))).toBe('INVALID_PARAMETER')
    }
    expect(await code(writer.publish({ data: new Uint8Array(256 * 1_024 + 1) }))).toBe('TOO_BIG')
    expect(await code(writer.retentionTimeClear(12n))).toBe('NOT_EXIST')
    expect(await code(writer.retentionTimeClear(-1n))).toBe('INVALID_PARAMETER')

    await handle.finalize()
    for (const use of [handle.finalize(), channel(one, 'd'), handle.channelUnlink('c')]) {
      expect(await code(use)).toBe('INVALID_HANDLE')
    }
    expect(await code(writer.publish())).toBe('CHANNEL_NOT_OPENED')
    const silent = one.client.initialize()
    const unheard = await silent.channelOpen({ name: 'c', flags: BOTH })
    expect(await code(unheard.subscribe({ subscriptionId: 1 }))).toBe('NO_CALLBACK')
  })

  it('opens asynchronously: the callback has the invocation', async () => {
    const one = await user(await rigOf(1), 1, 'a')
    one.handle.channelOpenAsync({ invocation: 7, name: 'c', flags: BOTH })
    one.handle.channelOpenAsync({ invocation: 8, name: 'd', flags: ['GLOBAL', 'SUBSCRIBER'] })
    await expect.poll(() => one.answers.length).toBe(2)
    const byInvocation = (a: ChannelOpenAnswer, b: ChannelOpenAnswer): number =>
      a.invocation - b.invocation
    const [good, bad] = one.answers.toSorted(byInvocation)
    expect(good).toMatchObject({ invocation: 7, error: null })
    expect(good?.channel?.name).toBe('c')
    expect(bad).toMatchObject({ invocation: 8, channel: null, error: { code: 'NOT_EXIST' } })
    const silent = one.client.initialize()
    const request = { invocation: 1, name: 'c', flags: BOTH }
    expect(() => silent.channelOpenAsync(request)).toThrow(/callback channelOpen/)
  })

  it('keeps an unlinked channel for those who have it open; its name is free', async () => {
    const rig = await rigOf(1, 2)
    const [a, b] = [await user(rig, 1, 'a'), await user(rig, 2, 'b')]
    const [oldA, oldB] = [await channel(a, 'c'), await channel(b, 'c')]
    await oldB.subscribe({ subscriptionId: 1 })
    await a.handle.channelUnlink('c')
    expect(await code(a.handle.channelUnlink('c'))).toBe('NOT_EXIST')
    const second = a.client.initialize()
    expect(await code(second.channelOpen({ name: 'c', flags: ['GLOBAL', 'PUBLISHER'] }))).toBe(
      'NOT_EXIST',
    )
    const fresh = await second.channelOpen({ name: 'c', flags: BOTH })
    await fresh.publish({ data: data('fresh') })
    await oldA.publish({ data: data('old') })
    await settle(oldA, b)
    expect(textsOf(b)).toEqual(['old', 'end'])
  })

  it('refuses more open channels than its bound', async () => {
    const one = await user(await rigOf(1), 1, 'a')
    const flags = ['PUBLISHER', 'CREATE'] as const
    for (let i = 0; i < 256; i += 1) await one.handle.channelOpen({ name: `c${i}`, flags })
    expect(await code(one.handle.channelOpen({ name: 'more', flags }))).toBe('NO_RESOURCE')
  })
})

describe('delivery', () => {
  it('carries what was published, with unique ids and the cookie', async () => {
    const rig = await rigOf(1, 2)
    const [a, b] = [await user(rig, 1, 'a'), await user(rig, 2, 'b')]
    const [from, to] = [await channel(a, 'c'), await channel(b, 'c')]
    await to.subscribe({ subscriptionId: 5, cookie: 'mine' })
    const before = Date.now()
    const ids = [
      await from.publish({
        patterns: ['one', Uint8Array.of(0, 255)],
        priority: 1,
        publisherName: 'änne',
        data: data('hello'),
      }),
      ...(await Promise.all([from.publish(), from.publish()])),
    ]
    await settle(from, b)
    const [event, empty] = b.events
    expect(event).toMatchObject({
      subscriptionId: 5,
      cookie: 'mine',
      channelName: 'c',
      id: ids[0],
      priority: 1,
      retentionMs: 0,
      publisherName: 'änne',
      lost: 0,
    })
    expect(event?.patterns.map((pattern) => [...pattern])).toEqual([[...data('one')], [0, 255]])
    expect(event?.publishTimeMs).toBeGreaterThanOrEqual(before)
    expect(text(event!)).toBe('hello')
    expect(empty).toMatchObject({ id: ids[1], patterns: [], publisherName: '' })
    expect(empty?.data.length).toBe(0)
    expect(new Set(ids).size).toBe(3)
    expect(b.events.map(({ id }) => id).slice(0, 3)).toEqual(ids)
  })

  it('is to each subscriber on each node once, in order; local channels stay', async () => {
    const rig = await rigOf(1, 2, 3)
    const users = [
      await user(rig, 1, 'a'),
      await user(rig, 2, 'b'),
      await user(rig, 3, 'c'),
      await user(rig, 3, 'd'),
    ]
    const channels = await Promise.all(users.map((one) => channel(one, 'g')))
    await Promise.all(channels.map((one) => one.subscribe({ subscriptionId: 1 })))
    const locals = await Promise.all(
      users.map((one) => channel(one, 'g', ['SUBSCRIBER', 'PUBLISHER', 'CREATE'])),
    )
    await locals[0]?.subscribe({ subscriptionId: 2 })
    await locals[3]?.subscribe({ subscriptionId: 2 })
    await locals[1]?.publish({ data: data('of nobody') })
    await locals[2]?.publish({ data: data('local') })
    const numbers = Array.from({ length: 500 }, (_, i) => i)
    await Promise.all(
      channels.flatMap((one, k) => numbers.map((i) => one.publish({ data: data(`${k}:${i}`) }))),
    )
    for (const [k, one] of users.entries()) {
      const expected = k === 3 ? 2_001 : 2_000
      await expect.poll(() => one.events.length, { timeout: 5_000 }).toBe(expected)
      for (const from of users.keys()) {
        const got = textsOf(one).filter((each) => each.startsWith(`${from}:`))
        expect(got).toEqual(numbers.map((i) => `${from}:${i}`))
      }
    }
    expect(users[3]?.events.filter(({ subscriptionId }) => subscriptionId === 2).map(text)).toEqual(
      ['local'],
    )
    expect(users.flatMap(({ events }) => events).filter(({ lost }) => lost > 0)).toEqual([])
  })

  it.each<[string, readonly EventFilter[], readonly string[]]>([
    ['none: all', [], ['a/x', 'a/y', 'b/x', '']],
    ['EXACT', [{ type: 'EXACT', pattern: 'a' }], ['a/x', 'a/y']],
    [
      'PASS_ALL, then EXACT',
      [{ type: 'PASS_ALL' }, { type: 'EXACT', pattern: 'x' }],
      ['a/x', 'b/x'],
    ],
    [
      'PREFIX of one, SUFFIX of the other',
      [
        { type: 'PREFIX', pattern: 'a' },
        { type: 'SUFFIX', pattern: 'y' },
      ],
      ['a/y'],
    ],
    ['NON_ZERO', [{ type: 'NON_ZERO', pattern: Uint8Array.of(2) }], ['b/x']],
  ])('filters: %s', async (_, filters, expected) => {
    const rig = await rigOf(1, 2)
    const [a, b] = [await user(rig, 1, 'a'), await user(rig, 2, 'b')]
    const [from, to] = [await channel(a, 'c'), await channel(b, 'c')]
    await to.subscribe({ subscriptionId: 1, filters })
    for (const each of ['a/x', 'a/y', 'b/x', '']) {
      const patterns = each === '' ? [] : each.split('/')
      await from.publish({ patterns, data: data(each) })
    }
    const last = await channel(b, 'last')
    await last.subscribe({ subscriptionId: 2 })
    await settle(await channel(a, 'last'), b)
    expect(textsOf(b).slice(0, -1)).toEqual(expected)
  })

  it('takes a rule for a filter', async () => {
    const rig = await rigOf(1, 2)
    const [a, b] = [await user(rig, 1, 'a'), await user(rig, 2, 'b')]
    const [from, to] = [await channel(a, 'c'), await channel(b, 'c')]
    const rule = new RuleExpression(1)
    rule.flags = RULE_FLAG.LITTLE_END
    rule.offset = 1
    rule.mask[0] = 0xff
    rule.value[0] = 0x78
    await to.subscribe({ subscriptionId: 1, rule })
    for (const each of ['ab/x', 'ab/y', 'abcde/x', 'c']) {
      await from.publish({ patterns: each.split('/'), data: data(each) })
    }
    await from.publish({ patterns: ['ab', 'x'], data: data('end') })
    await expect.poll(() => textsOf(b).at(-1)).toBe('end')
    expect(textsOf(b)).toEqual(['ab/x', 'end'])
    expect(
      await code(to.subscribe({ subscriptionId: 2, rule, filters: [{ type: 'PASS_ALL' }] })),
    ).toBe('INVALID_PARAMETER')
  })

  it('goes by priority, in order within each', async () => {
    const rig = await rigOf(1, 2)
    const [a, b] = [await user(rig, 1, 'a'), await user(rig, 2, 'b')]
    const [from, to] = [await channel(a, 'c'), await channel(b, 'c')]
    await to.subscribe({ subscriptionId: 1 })
    let release = (): void => {}
    b.gate = new Promise((resolve) => (release = resolve))
    await from.publish({ data: data('first') })
    await expect.poll(() => b.events.length).toBe(1)
    for (const [i, priority] of ([3, 0, 2, 1, 0, 3] as const).entries()) {
      await from.publish({ priority, data: data(`${priority}.${i}`) })
    }
    // Waits at the receiver's node: a later event of another program has come by.
    const c = await user(rig, 2, 'c')
    await (await channel(c, 'c')).subscribe({ subscriptionId: 1 })
    await settle(from, c)
    release()
    b.gate = null
    await expect.poll(() => b.events.length).toBe(8)
    expect(textsOf(b)).toEqual(['first', '0.1', '0.4', '1.3', '2.2', '3.0', '3.5', 'end'])
  })

  it('ends with unsubscribe, also of what waits, and with close', async () => {
    const rig = await rigOf(1, 2)
    const [a, b] = [await user(rig, 1, 'a'), await user(rig, 2, 'b')]
    const [from, to] = [await channel(a, 'c'), await channel(b, 'c')]
    await to.subscribe({ subscriptionId: 1 })
    await to.subscribe({ subscriptionId: 2 })
    let release = (): void => {}
    b.gate = new Promise((resolve) => (release = resolve))
    await from.publish({ data: data('x') })
    await expect.poll(() => b.events.length).toBe(1)
    await from.publish({ data: data('y') })
    await to.unsubscribe(1)
    release()
    b.gate = null
    await settle(from, b)
    const got = b.events.map((event) => `${event.subscriptionId} ${text(event)}`)
    expect(got).toEqual(['1 x', '2 x', '2 y', '2 end'])
    await to.close()
    await from.publish({ data: data('late') })
    const again = await channel(b, 'c')
    await again.subscribe({ subscriptionId: 3 })
    await settle(from, b)
    expect(textsOf(b).slice(4)).toEqual(['end'])
  })

  it('goes on when a callback fails', async () => {
    const rig = await rigOf(1)
    const a = await user(rig, 1, 'a')
    const seen: string[] = []
    const handle = a.client.initialize({
      deliver: (event) => {
        seen.push(text(event))
        if (seen.length === 1) throw new Error('a mistake')
        if (seen.length === 2) return Promise.reject(new Error('another one'))
        return undefined
      },
    })
    const c = await handle.channelOpen({ name: 'c', flags: BOTH })
    await c.subscribe({ subscriptionId: 1 })
    for (const each of ['1', '2', '3']) await c.publish({ data: data(each) })
    await expect.poll(() => seen).toEqual(['1', '2', '3'])
  })

  it('tells a slow subscriber how much it lost; the others lose nothing', async () => {
    const rig = await rigOf(1, 2)
    const [a, slow, quick] = [
      await user(rig, 1, 'a'),
      await user(rig, 2, 's'),
      await user(rig, 2, 'q'),
    ]
    const from = await channel(a, 'c')
    for (const one of [slow, quick]) {
      const to = await channel(one, 'c')
      await to.subscribe({ subscriptionId: 1, filters: [{ type: 'EXACT', pattern: 'k' }] })
    }
    let release = (): void => {}
    slow.gate = new Promise((resolve) => (release = resolve))
    const large = new Uint8Array(64 * 1_024)
    const count = 400
    for (let i = 0; i < count; i += 1) {
      large.set(data(String(i).padStart(4)))
      await from.publish({ patterns: ['k'], data: large.slice() })
    }
    await expect.poll(() => quick.events.length, { timeout: 5_000 }).toBe(count)
    release()
    slow.gate = null
    const last = (): string => text({ data: slow.events.at(-1)!.data.subarray(0, 4) })
    await expect.poll(last, { timeout: 5_000 }).toBe(String(count - 1).padStart(4))
    const lost = slow.events.filter((event) => event.lost > 0)
    expect(lost).toHaveLength(1)
    expect(lost[0]?.patterns).toEqual([LOST_EVENT_PATTERN])
    expect(slow.events.length - 1 + lost[0]!.lost).toBe(count)
    expect(quick.events.every((event) => event.lost === 0)).toBe(true)
  })

  it('answers a batch that is malformed, and refuses numbers in use', async () => {
    const rig = await rigOf(1)
    const a = await user(rig, 1, 'a')
    await channel(a, 'c')
    const node = a.rmd.client(EventService, { to: { node: 1, port: 1 } })
    const open = { open: 1, name: 'd', scope: 'LOCAL', create: true, timeoutMs: 100 } as const
    const flags = { isSubscriber: true, isPublisher: true }
    expect(await code(node.channelOpen({ ...open, ...flags }))).toBe('CHANNEL_ALREADY_OPENED')
    const records = new Uint8Array(60).fill(1)
    expect(await code(node.publish({ open: 1, records }))).toBe('MESSAGE_ERROR')
    expect(await code(node.publish({ open: 9, records }))).toBe('CHANNEL_NOT_OPENED')
  })
})
