import { describe, expect, it } from 'vitest'
import { ocEv, type GroupHandle } from '../../../../runtime/index.ts'
import { CLUSTER_EVENT_LIMITS } from '../../../../runtime/services/cluster-events/interface.ts'
import { groupLibrary } from '../../../../runtime/services/group/client.ts'
import { CONN, EventRig, FAILED, GROUP, live, MEMB, OK, recorder, type Recorder } from './kit.ts'

const { OC_EV_AS_DIRECT, OC_EV_AS_NORETURN } = ocEv

const direct = (record: Recorder): Recorder => {
  expect(ocEv.activate(record.handle, OC_EV_AS_DIRECT)).toBe(OK)
  return record
}

async function group(rig: EventRig, node: number): Promise<GroupHandle> {
  const { client } = await rig.rig.component(node, `group${node}`, groupLibrary)
  return client.initialize()
}

describe('several programs of one node', () => {
  it('27: wait for each other, and for none that died', async () => {
    const rig = await EventRig.start(1)
    const components = [await rig.component(1, 'a'), await rig.component(1, 'b')] as const
    const [a, b] = components.map((component) => direct(recorder(component))) as [
      Recorder,
      Recorder,
    ]
    await live(rig, 1, a, b)
    b.isDone = false
    rig.publish(1, 'x')
    rig.publish(1, 'y')
    await expect.poll(() => [a.got, b.got]).toEqual([['x'], ['x']])
    ocEv.callbackDone(b.cookies.pop()!)
    await expect
      .poll(() => [a.got, b.got])
      .toEqual([
        ['x', 'y'],
        ['x', 'y'],
      ])
    rig.publish(1, 'z')
    await rig.rig.kill(components[1])
    await expect.poll(() => a.got).toEqual(['x', 'y', 'z'])
  })

  it('are evicted when they hold the stream beyond its bound, and may register again', async () => {
    const rig = await EventRig.start(1)
    const [good, hung] = [await rig.component(1, 'good'), await rig.component(1, 'hung')]
    const a = direct(recorder(good))
    const b = direct(recorder(hung, { classes: [MEMB, GROUP] }))
    await live(rig, 1, a, b)
    b.isDone = false
    const count = CLUSTER_EVENT_LIMITS.waitingCountMax + 2
    for (let index = 0; index < count; index++) rig.publish(1, String(index))
    await expect.poll(() => a.got.length, { timeout: 10_000 }).toBe(count)
    expect(a.got).toEqual(Array.from({ length: count }, (_, index) => String(index)))
    expect(b.got).toEqual(['0'])
    ocEv.callbackDone(b.cookies.pop()!)
    await expect.poll(() => b.got).toEqual(['0', '2.4'])
    ocEv.callbackDone(b.cookies.pop()!)
    expect(ocEv.handleEvent(b.handle)).toBe(FAILED)
    const again = direct(recorder(hung))
    await live(rig, 1, a, again)
  })

  it('28: hear last that the service ends', async () => {
    const rig = await EventRig.start(1)
    const component = await rig.component(1, 'a')
    const told = direct(recorder(component, { classes: [MEMB, GROUP] }))
    const mute = recorder(component)
    ocEv.activate(mute.handle, OC_EV_AS_NORETURN)
    const ended = ocEv.handleEvent(mute.handle)
    await live(rig, 1, told, mute)
    rig.publish(1, 'before')
    await rig.servers.get(1)?.close()
    rig.publish(1, 'after')
    await expect.poll(() => told.got).toEqual(['before', '2.5'])
    expect([mute.got, await ended]).toEqual([['before'], FAILED])
    expect(ocEv.handleEvent(told.handle)).toBe(FAILED)
    expect(ocEv.setCallback(told.handle, 0, CONN, null)).toBe(FAILED)
    expect(ocEv.lastError?.code).toBe('NOT_INITIALIZED')
    expect([ocEv.unregister(told.handle), ocEv.unregister(told.handle)]).toEqual([OK, FAILED])
  })

  it('28: hear it from their own library too', async () => {
    const rig = await EventRig.start(1)
    const component = await rig.component(1, 'a')
    const told = direct(recorder(component, { classes: [MEMB] }))
    await expect.poll(() => told.got).toEqual(['2.1 1'])
    await component.library.close()
    expect(told.got).toEqual(['2.1 1', '2.5'])
  })
})

describe('several nodes', () => {
  it('19: have 1000 events of three publishers in one order', async () => {
    const rig = await EventRig.start(1, 2, 3)
    const records: Recorder[] = []
    for (const node of [1, 2, 3]) {
      const component = await rig.component(node, `c${node}`)
      records.push(direct(recorder(component)), direct(recorder(component, { priority: 0 })))
    }
    const handles = [await group(rig, 1), await group(rig, 2), await group(rig, 3)]
    const id = await handles[0]!.groupCreate('g')
    for (const [index, handle] of handles.entries()) {
      await expect.poll(() => handle.groupList()).toHaveLength(1)
      await handle.groupJoin({ group: id, memberId: index + 1 })
    }
    const sent = Array.from({ length: 1_000 }, (_, index) => {
      const memberId = 1 + ((index * 7) % 3)
      const data = Buffer.from(`${memberId}:${index}`)
      return handles[memberId - 1]!.sendAll({ group: id, memberId, data })
    })
    await Promise.all(sent)
    const casts = ({ got }: Recorder): string[] => got.filter((text) => text.includes(':'))
    await expect
      .poll(() => records.map((one) => casts(one).length), { timeout: 10_000 })
      .toEqual(records.map(() => 1_000))
    const [first] = records
    expect(new Set(casts(first!)).size).toBe(1_000)
    for (const one of records) {
      expect(casts(one)).toEqual(casts(first!))
      // Some may have come too late for the joins; the order of what they have is the same.
      expect(first!.got.slice(-one.got.length)).toEqual(one.got.slice(-first!.got.length))
    }
  }, 30_000)

  it('agree on members; uncertain while nobody leads, certain again with the next view', async () => {
    const rig = await EventRig.start(1, 2, 3)
    const b = direct(recorder(await rig.component(2, 'b'), { classes: [MEMB, GROUP] }))
    const c = direct(recorder(await rig.component(3, 'c'), { classes: [MEMB, GROUP] }))
    await expect.poll(() => [b, c].map(({ got }) => got.at(-1))).toEqual(['2.1 1,2,3', '2.1 1,2,3'])
    for (const { got } of [b, c]) got.length = 0
    // Ejected from the view of groups, node 3 is no member until it joins.
    await (await group(rig, 1)).clusterMemberEject({ nodeId: 3 })
    await expect.poll(() => [b.got, c.got]).toEqual([['2.1 1,2'], ['2.4']])
    await (await group(rig, 3)).clusterJoin()
    await expect.poll(() => [b, c].map(({ got }) => got.at(-1))).toEqual(['2.1 1,2,3', '2.1 1,2,3'])
    for (const { got } of [b, c]) got.length = 0
    // Another leader, the same members.
    rig.rig.lead(3)
    await expect
      .poll(() => [b, c].map(({ got }) => got.join()))
      .toEqual(Array(2).fill('2.2 1,2,3,2.3 1,2,3'))
    for (const { got } of [b, c]) got.length = 0
    await rig.rig.killNode(1)
    await expect.poll(() => [b, c].map(({ got }) => got.join())).toEqual(Array(2).fill('2.1 2,3'))
    for (const { got } of [b, c]) got.length = 0
    await rig.rig.killNode(3, 2)
    await expect.poll(() => b.got).toEqual(['2.2 2,3', '2.1 2'])
  })

  it('tell of memberships without quorum, but only whoever asked for them', async () => {
    const rig = await EventRig.start(1, 2, 3)
    const component = await rig.component(2, 'b')
    const usual = direct(recorder(component, { classes: [MEMB] }))
    const special = recorder(component, { classes: [MEMB] })
    expect(ocEv.special(special.handle, CONN)).toBe(FAILED)
    expect(ocEv.special(special.handle, MEMB)).toBe(OK)
    direct(special)
    expect(ocEv.special(special.handle, MEMB)).toBe(FAILED)
    await expect
      .poll(() => [usual, special].map(({ got }) => got.at(-1)))
      .toEqual(Array(2).fill('2.1 1,2,3'))
    for (const { got } of [usual, special]) got.length = 0
    rig.quorumLostMs = 20
    rig.rig.nodes.get(2)?.services.leaderLost()
    await expect.poll(() => special.got.at(-1)).toBe('2.0 1,2,3')
    const late = recorder(component, { classes: [MEMB] })
    ocEv.special(late.handle, MEMB)
    direct(late)
    await expect.poll(() => late.got).toEqual(['2.0 1,2,3'])
    expect(usual.got).toEqual(['2.2 1,2,3'])
    rig.quorumLostMs = 60_000
    rig.rig.lead(3)
    // The members are the same: the quorum alone is news to those who knew that there was none.
    await expect.poll(() => special.got.at(-1)).toBe('2.1 1,2,3')
    await expect.poll(() => usual.got).toEqual(['2.2 1,2,3', '2.3 1,2,3'])
  })

  it('tell what each of them can reach', async () => {
    const rig = await EventRig.start(1, 2, 3)
    const component = await rig.component(2, 'b')
    const one = direct(recorder(component, { classes: [CONN] }))
    await expect.poll(() => one.got).toContain('1.2 ELIGIBLE node1,node2,node3')
    rig.rig.model = [1, 2]
    await expect.poll(() => one.got).toContain('1.2 NOT_ELIGIBLE node3')
    await expect
      .poll(() => {
        const late = recorder(component, { classes: [CONN] })
        const connected: (number | undefined)[] = []
        ocEv.setCallback(late.handle, 0, CONN, (_event, cookie, _size, data) => {
          const nodes = data?.nodes.filter(({ isConnected }) => isConnected) ?? []
          connected.push(...nodes.map(({ nodeId }) => nodeId))
          ocEv.callbackDone(cookie)
        })
        direct(late)
        return new Promise((resolve) => {
          setTimeout(() => resolve([...new Set(connected)]), 20)
        })
      })
      .toEqual([1, 2, 3])
    one.got.length = 0
    rig.interfaces = ['eth0', 'eth1']
    await expect.poll(() => one.got).toEqual(['1.1 ADDED eth1'])
    rig.interfaces = ['eth1']
    await expect.poll(() => one.got.at(-1)).toBe('1.1 FAILED eth0')
    await rig.rig.killNode(1, 2)
    await expect.poll(() => one.got.at(-1)).toBe('1.3 LOST node1')
  })

  it('20: a node that was given up is evicted, and comes back with a first membership', async () => {
    const rig = await EventRig.start(1, 2, 3)
    const c = direct(recorder(await rig.component(3, 'c'), { classes: [MEMB, GROUP] }))
    const a = direct(recorder(await rig.component(1, 'a'), { classes: [MEMB, GROUP] }))
    await expect.poll(() => [a, c].map(({ got }) => got.at(-1))).toEqual(['2.1 1,2,3', '2.1 1,2,3'])
    const handle = await group(rig, 1)
    const id = await handle.groupCreate('g')
    await handle.groupJoin({ group: id, memberId: 1 })
    const send = (text: string): Promise<void> =>
      handle.sendAll({ group: id, memberId: 1, data: Buffer.from(text) })
    await send('both')
    await expect.poll(() => c.got).toContain('both')
    const before = c.got.length
    // Nobody leads for node 3, and the others go on without it.
    rig.rig.nodes.get(3)?.services.leaderLost()
    const third = rig.rig.nodes.get(3)!
    rig.rig.nodes.delete(3)
    rig.rig.lead(1)
    await expect.poll(() => a.got.at(-1), { timeout: 5_000 }).toBe('2.1 1,2')
    await send('without')
    rig.rig.nodes.set(3, third)
    rig.rig.lead(1)
    await expect.poll(() => a.got.at(-1), { timeout: 5_000 }).toBe('2.1 1,2,3')
    await send('again')
    await expect.poll(() => c.got.at(-1), { timeout: 5_000 }).toBe('again')
    // What it missed comes where it stands in the order.
    expect(c.got.slice(before)).toEqual(['2.2 1,2,3', '2.4', 'without', '2.1 1,2,3', 'again'])
    expect(
      new Set(a.got.filter((text) => !text.startsWith('2.') && !text.startsWith('3.'))),
    ).toEqual(new Set(['both', 'without', 'again']))
  }, 20_000)

  it('tell of groups: who joined, who left, what was sent', async () => {
    const rig = await EventRig.start(1, 2)
    const a = direct(recorder(await rig.component(1, 'a')))
    const seen: unknown[] = []
    ocEv.setCallback(a.handle, 0, GROUP, (event, cookie, _size, data) => {
      const ids = (members: readonly { memberId: number }[]): string =>
        members.map(({ memberId }) => memberId).join()
      if (data?.kind === 'groupView') {
        seen.push([event, ids(data.changed), ids(data.members), data.viewNumber])
      } else if (data !== null) seen.push([event, data.from, Buffer.from(data.message).toString()])
      ocEv.callbackDone(cookie)
    })
    const [first, second] = [await group(rig, 1), await group(rig, 2)]
    const id = await first.groupCreate('g')
    await expect.poll(() => second.groupList()).toHaveLength(1)
    await first.groupJoin({ group: id, memberId: 10 })
    await second.groupJoin({ group: id, memberId: 20 })
    await second.sendAll({ group: id, memberId: 20, data: Buffer.from('hello') })
    await rig.rig.killNode(2)
    await expect
      .poll(() => seen)
      .toEqual([
        [ocEv.OC_EV_GS_JOIN, '10', '10', 1],
        [ocEv.OC_EV_GS_JOIN, '20', '10,20', 2],
        [ocEv.OC_EV_GS_CAST, 20, 'hello'],
        [ocEv.OC_EV_GS_LEAVE, '20', '10', 3],
      ])
  })
})
