import { describe, expect, it } from 'vitest'
import { channel, code, data, rigOf, settle, textsOf, user } from './event-users.ts'

describe('retention', () => {
  it('gives events to later subscribers on any node, until their time has passed', async () => {
    const rig = await rigOf(1, 2, 3)
    const a = await user(rig, 1, 'a')
    const from = await channel(a, 'c')
    await from.publish({ data: data('short'), retentionMs: 1 })
    const first = await from.publish({ data: data('one'), patterns: ['1'], retentionMs: 60_000 })
    await from.publish({ data: data('two'), patterns: ['2'], retentionMs: 60_000 })
    await from.publish({ data: data('not kept') })
    const c = await user(rig, 3, 'c')
    const to = await channel(c, 'c')
    await to.subscribe({ subscriptionId: 1 })
    await expect.poll(() => textsOf(c)).toEqual(['one', 'two'])
    expect(c.events[0]).toMatchObject({ id: first, retentionMs: 60_000 })
    await to.subscribe({ subscriptionId: 2, filters: [{ type: 'EXACT', pattern: '2' }] })
    await settle(from, c)
    expect(textsOf(c)).toEqual(['one', 'two', 'two', 'end', ...textsOf(c).slice(4)])
    const { events } = c
    expect(events.map(({ subscriptionId }) => subscriptionId).slice(0, 3)).toEqual([1, 1, 2])
  })

  it('outlives the publisher, its node, and reaches nodes that come later', async () => {
    const rig = await rigOf(1, 2)
    const a = await user(rig, 2, 'a')
    await (await channel(a, 'c')).publish({ data: data('kept'), retentionMs: 60_000 })
    await rig.kill(a)
    await rig.killNode(2)
    await rig.node(3)
    const c = await user(rig, 3, 'c')
    const to = await channel(c, 'c')
    await to.subscribe({ subscriptionId: 1 })
    await expect.poll(() => textsOf(c), { timeout: 5_000 }).toEqual(['kept'])
    const again = await user(rig, 1, 'd')
    await (await channel(again, 'c')).subscribe({ subscriptionId: 1 })
    await expect.poll(() => textsOf(again)).toEqual(['kept'])
    await settle(to, c, again)
    expect(textsOf(c)).toEqual(['kept', 'end'])
  })

  it('ends when it is cleared, on all nodes, and with the channel', async () => {
    const rig = await rigOf(1, 2)
    const [a, b] = [await user(rig, 1, 'a'), await user(rig, 2, 'b')]
    const [from, to] = [await channel(a, 'c'), await channel(b, 'c')]
    const gone = await from.publish({ data: data('gone'), retentionMs: 60_000 })
    await from.publish({ data: data('kept'), retentionMs: 60_000 })
    await to.retentionTimeClear(gone)
    expect(await code(to.retentionTimeClear(gone))).toBe('NOT_EXIST')
    await to.subscribe({ subscriptionId: 1 })
    await settle(from, b)
    expect(textsOf(b)).toEqual(['kept', 'end'])
    await a.handle.channelUnlink('c')
    await Promise.all([from.close(), to.close()])
    const anew = await channel(b, 'c')
    await anew.subscribe({ subscriptionId: 1 })
    await settle(anew, b)
    expect(textsOf(b).slice(2)).toEqual(['end'])
  })

  it('works on local channels, and has a bound', async () => {
    const rig = await rigOf(1)
    const a = await user(rig, 1, 'a')
    const local = await channel(a, 'c', ['SUBSCRIBER', 'PUBLISHER', 'CREATE'])
    const large = new Uint8Array(256 * 1_024)
    for (let i = 0; i < 31; i += 1) await local.publish({ data: large, retentionMs: 60_000 })
    expect(await code(local.publish({ data: large, retentionMs: 60_000 }))).toBe('NO_SPACE')
    const kept = await local.publish({ data: data('small'), retentionMs: 60_000 })
    await local.subscribe({ subscriptionId: 1 })
    await expect.poll(() => a.events.length, { timeout: 5_000 }).toBe(32)
    expect(a.events.at(-1)?.id).toBe(kept)
    await local.retentionTimeClear(kept)
  })
})

describe('faults', () => {
  it('a component that died is no subscriber any more; its node sends nothing for it', async () => {
    const rig = await rigOf(1, 2)
    const [a, b] = [await user(rig, 1, 'a'), await user(rig, 2, 'b')]
    const from = await channel(a, 'c')
    await (await channel(b, 'c')).subscribe({ subscriptionId: 1 })
    await a.handle.channelUnlink('c')
    await rig.kill(b)
    await from.publish({ data: data('x') })
    await from.close()
    // The last opener was b: with it the channel is gone, and its name makes a new one.
    await expect.poll(() => code(a.handle.channelUnlink('c'))).toBe('NOT_EXIST')
  })

  it('goes on in order while another node leads, and after one came', async () => {
    const rig = await rigOf(1, 2, 3)
    const [a, b] = [await user(rig, 2, 'a'), await user(rig, 3, 'b')]
    const [from, to] = [await channel(a, 'c'), await channel(b, 'c')]
    await to.subscribe({ subscriptionId: 1 })
    const numbers = Array.from({ length: 60 }, (_, i) => i)
    for (const i of numbers) {
      await from.publish({ data: data(String(i)) })
      if (i === 20) await rig.killNode(1, 2)
      if (i === 40) await rig.node(4)
    }
    const d = await user(rig, 4, 'd')
    const late = await channel(d, 'c')
    await late.subscribe({ subscriptionId: 1 })
    await settle(from, b, d)
    expect(textsOf(b)).toEqual([...numbers.map(String), 'end'])
    expect(textsOf(d)).toEqual(['end'])
    await settle(late, b)
  })
})
