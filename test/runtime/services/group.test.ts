import { afterEach, describe, expect, it } from 'vitest'
import {
  type GroupCallbacks,
  type GroupClient,
  type GroupHandle,
  groupLibrary,
} from '../../../runtime/services/group/client.ts'
import { GroupContent } from '../../../runtime/services/group/group-content.ts'
import { groupsCodec } from '../../../runtime/services/group/operations.ts'
import type { GroupNotification } from '../../../runtime/services/group/interface.ts'
import { electLeader } from '../../../runtime/services/group/leader.ts'
import { groupServerOf } from '../../../runtime/services/group/server.ts'
import { rejection } from '../../ioc/rmd-kit.ts'
import { type RigComponent, ServiceRig } from './rig.ts'

const open: ServiceRig[] = []
afterEach(async () => {
  for (const rig of open.splice(0)) await rig.close()
})

async function rigOf(...ids: readonly number[]): Promise<ServiceRig> {
  const rig = new ServiceRig(groupServerOf(300))
  open.push(rig)
  await rig.start(...ids)
  return rig
}

interface Member extends RigComponent<GroupClient> {
  readonly handle: GroupHandle
  readonly views: GroupNotification[]
  readonly messages: string[]
  /** Reasons for which its node was ejected. */
  readonly ejected: string[]
}

async function member(rig: ServiceRig, node: number, name: string): Promise<Member> {
  const component = await rig.component(node, name, groupLibrary)
  const views: GroupNotification[] = []
  const note = (view: GroupNotification): void => void views.push(view)
  const ejected: string[] = []
  const callbacks: GroupCallbacks = {
    clusterTrack: note,
    groupTrack: note,
    clusterMemberEject: ({ reason }) => ejected.push(reason),
  }
  const handle = component.client.initialize(callbacks)
  return { ...component, handle, views, messages: [], ejected }
}

async function join(one: Member, group: number, memberId: number, credential = 1): Promise<void> {
  await one.handle.groupJoin({
    group,
    memberId,
    credential,
    deliver: ({ from, data }) => one.messages.push(`${from}:${Buffer.from(data).toString()}`),
  })
}

const code = async (promise: Promise<unknown>): Promise<unknown> =>
  ((await rejection(promise)) as { code: string }).code

const changesOf = ({ items }: GroupNotification): string[] =>
  items.map(({ member: { memberId }, change }) => `${memberId} ${change}`)

describe('who leads', () => {
  const one = (memberId: number, more: object = {}) => ({
    memberId,
    credential: 1,
    isPreferredLeader: false,
    isCurrentLeader: false,
    ...more,
  })
  it.each([
    ['nobody of none', [], null, null],
    ['the highest number', [one(1), one(3), one(2)], 3, 2],
    ['not without credential', [one(1), one(3, { credential: 0 })], 1, null],
    ['the present one sticks', [one(1, { isCurrentLeader: true }), one(3)], 1, 3],
    [
      'a preferred one before the present one',
      [one(3, { isCurrentLeader: true }), one(1, { isPreferredLeader: true }), one(2)],
      1,
      3,
    ],
  ])('%s', (_, candidates, leader, deputy) => {
    expect(electLeader(candidates, ({ memberId }) => memberId)).toEqual({ leader, deputy })
  })
})

describe('the cluster', () => {
  it('has one view on all nodes, a leader after the boot time, another after it', async () => {
    const rig = await rigOf(1, 2, 3)
    const [a, b] = [await member(rig, 1, 'a'), await member(rig, 2, 'b')]
    await a.handle.clusterTrack('CHANGES')
    await expect
      .poll(async () => (await b.handle.clusterTrack('CURRENT'))?.leader, { timeout: 5_000 })
      .toBe(3)
    expect((await b.handle.clusterTrack('CURRENT'))?.deputy).toBe(2)
    await expect.poll(() => a.views.at(-1)?.leadershipChanged).toBe(true)
    expect(await a.handle.clusterMemberGet()).toMatchObject({ memberId: 1, name: 'node1' })
    expect(await code(a.handle.clusterMemberGet(9))).toBe('NOT_EXIST')
    expect(await b.handle.clusterLeaderElect({ preferred: 1 })).toEqual({
      leader: 1,
      deputy: 3,
      leadershipChanged: true,
    })
    expect(await code(b.handle.clusterLeaderElect({ preferred: 9 }))).toBe('INVALID_PARAMETER')
    await rig.killNode(3)
    await expect.poll(() => a.views.at(-1) && changesOf(a.views.at(-1)!)).toContain('3 LEFT')
    expect(a.views.at(-1)).toMatchObject({ leader: 1, deputy: 2, leadershipChanged: false })
    await rig.killNode(1, 2)
    await expect.poll(async () => (await b.handle.clusterTrack('CURRENT'))?.leader).toBe(2)
  })
})

const nodesOf = async ({ handle }: Member): Promise<unknown> =>
  (await handle.clusterTrack('CURRENT'))?.items.map(({ member: { memberId } }) => memberId).sort()

describe('a node that is ejected', () => {
  it('is out of the view, its components of their groups, until it joins again', async () => {
    const rig = await rigOf(1, 2, 3)
    const [a, b, c] = [
      await member(rig, 1, 'a'),
      await member(rig, 2, 'b'),
      await member(rig, 3, 'c'),
    ]
    const mute = await rig.component(2, 'mute', groupLibrary)
    const group = await a.handle.groupCreate('g')
    await expect.poll(() => b.handle.groupList()).toHaveLength(1)
    for (const [one, id] of [
      [a, 1],
      [b, 2],
    ] as const)
      await join(one, group, id)
    await mute.client.initialize().groupJoin({ group, memberId: 9 })
    await expect.poll(() => nodesOf(a)).toEqual([1, 2, 3])
    await c.handle.clusterLeaderElect({ preferred: 2 })
    await expect
      .poll(() => a.handle.clusterTrack(['CURRENT', 'CHANGES_ONLY']))
      .toMatchObject({ leader: 2 })
    await a.handle.groupTrack({ group, flags: 'CHANGES_ONLY' })
    await a.handle.clusterMemberEject({ nodeId: 2 })
    await expect
      .poll(() => a.views.map((view) => [changesOf(view), view.leader]))
      .toEqual([
        [['2 LEFT'], 3],
        [['2 LEFT', '9 LEFT'], 1],
      ])
    await expect.poll(() => [a.ejected, b.ejected]).toEqual([[], ['API_REQUEST']])
    expect(await code(a.handle.clusterMemberEject({ nodeId: 2 }))).toBe('INVALID_PARAMETER')
    expect(await code(a.handle.clusterLeaderElect({ preferred: 2 }))).toBe('INVALID_PARAMETER')
    expect(await code(b.handle.clusterMemberGet())).toBe('NOT_EXIST')
    expect(await code(join(b, group, 2))).toBe('OP_NOT_PERMITTED')
    // Its node process goes on, and leads the order of messages next.
    await rig.killNode(1, 2)
    await expect.poll(() => nodesOf(c), { timeout: 5_000 }).toEqual([3])
    expect(await nodesOf(b)).toEqual([3])
    await b.handle.clusterJoin()
    await join(b, group, 2)
    await b.handle.sendAll({ group, memberId: 2, data: Buffer.from('back') })
    await expect.poll(() => [b.messages, nodesOf(c)]).toEqual([['2:back'], expect.anything()])
    expect(await nodesOf(c)).toEqual([2, 3])
    expect(await c.handle.clusterTrack('CURRENT')).toMatchObject({ leader: 3, deputy: 2 })
  })

  it('stays out when the others had given it up and it comes again', async () => {
    const rig = await rigOf(1, 2)
    const [a, b] = [await member(rig, 1, 'a'), await member(rig, 2, 'b')]
    await expect.poll(() => nodesOf(a)).toEqual([1, 2])
    const group = await a.handle.groupCreate('g')
    await a.handle.clusterMemberEject({ nodeId: 2 })
    const second = rig.nodes.get(2)!
    second.services.leaderLost()
    rig.nodes.delete(2)
    rig.lead(1)
    await join(a, group, 1)
    expect((await b.handle.groupInfo(group)).memberCount).toBe(0)
    rig.nodes.set(2, second)
    rig.lead(1)
    await expect.poll(async () => (await b.handle.groupInfo(group)).memberCount).toBe(1)
    // It takes part in the order.
    await b.handle.groupCreate('h')
    expect([await nodesOf(a), await nodesOf(b)]).toEqual([[1], [1]])
    await b.handle.clusterJoin()
    await expect.poll(() => nodesOf(a)).toEqual([1, 2])
  })

  it('is back when its process starts anew', async () => {
    const rig = await rigOf(1, 2)
    const a = await member(rig, 1, 'a')
    await expect.poll(() => nodesOf(a)).toEqual([1, 2])
    await a.handle.clusterMemberEject({ nodeId: 2, reason: 'UNKNOWN' })
    expect(await nodesOf(a)).toEqual([1])
    await rig.killNode(2)
    await rig.node(2)
    await expect.poll(() => nodesOf(a), { timeout: 5_000 }).toEqual([1, 2])
  })

  it('hears of it also by the content that it gets after a time away', () => {
    const [here, there] = [new GroupContent(), new GroupContent()]
    const [life, nodeId, name, atMs] = ['n1.1', 1, 'node1', 0]
    const owner = { life, eo: 'a', turn: 4 }
    const one = { memberId: 7, name: 'm', credential: 1, nodeId, port: 9 }
    for (const content of [here, there]) {
      content.apply({ kind: 'nodeJoin', life, nodeId, name, atMs })
      content.apply({ kind: 'create', name: 'g' })
      content.apply({ kind: 'join', group: 1, owner, ...one, atMs })
    }
    there.apply({ kind: 'clusterEject', nodeId, life, reason: 'API_REQUEST', leaver: null })
    const content = groupsCodec.encode(there.snapshot())
    here.takeEffects()
    here.restore(groupsCodec.decode(content))
    expect(here.takeEffects().at(-1)).toMatchObject({ kind: 'ejected', life, members: [{ owner }] })
    here.restore(groupsCodec.decode(content))
    expect(here.takeEffects()).toEqual([])
    expect(here.apply({ kind: 'nodeJoin', life, nodeId, name, atMs })).toBe(0)
    expect(here.cluster.members).toEqual([])
  })
})

describe('a node that leaves the cluster', () => {
  it('does so by the will of one of its components, and tells the others', async () => {
    const rig = await rigOf(1, 2)
    const [a, b, c] = [
      await member(rig, 1, 'a'),
      await member(rig, 2, 'b'),
      await member(rig, 2, 'c'),
    ]
    await expect.poll(() => nodesOf(a)).toEqual([1, 2])
    const group = await b.handle.groupCreate('g')
    await join(b, group, 2)
    await b.handle.clusterLeave()
    await expect.poll(() => [b.ejected, c.ejected]).toEqual([[], ['UNKNOWN']])
    expect(await code(b.handle.clusterLeave())).toBe('INVALID_PARAMETER')
    await a.handle.clusterTrack('CHANGES_ONLY')
    await b.handle.clusterJoin({ name: 'other', credential: 0 })
    await b.handle.clusterJoin({ name: 'other', credential: 0 })
    await join(b, group, 2)
    await b.handle.sendAll({ group, memberId: 2, data: Buffer.from('x') })
    await expect.poll(() => b.messages).toEqual(['2:x'])
    expect((await a.handle.clusterLeaderElect()).leader).toBe(1)
    expect((await a.handle.clusterTrack('CURRENT'))?.deputy).toBeNull()
    await c.handle.clusterJoin()
    await expect.poll(() => a.views.map(changesOf)).toEqual([['2 JOINED'], [], ['2 RECONFIGURED']])
    expect(await a.handle.clusterMemberGet(2)).toMatchObject({ name: 'node2', credential: 1 })
    expect(await code(b.handle.clusterJoin({ name: '' }))).toBe('INVALID_PARAMETER')
    expect(await code(b.handle.clusterJoin({ credential: -1 }))).toBe('INVALID_PARAMETER')
  })
})

describe('tracking', () => {
  it('keeps the rules of its flags', async () => {
    const rig = await rigOf(1)
    const a = await member(rig, 1, 'a')
    const mute = a.client.initialize()
    expect(await code(a.handle.clusterTrack([]))).toBe('BAD_FLAG')
    expect(await code(a.handle.clusterTrack(['CHANGES', 'CHANGES_ONLY']))).toBe('BAD_FLAG')
    expect(await code(mute.clusterTrack('CHANGES'))).toBe('NO_CALLBACK')
    expect(await mute.clusterTrack('CURRENT')).toMatchObject({ group: null })
    expect(await code(a.handle.clusterTrackStop())).toBe('NOT_EXIST')
    await a.handle.clusterTrack('CURRENT')
    expect(await code(a.handle.clusterTrackStop())).toBe('NOT_EXIST')
    expect(await a.handle.clusterTrack('CHANGES')).toBeNull()
    expect(await a.handle.clusterTrack(['CURRENT', 'CHANGES_ONLY'])).not.toBeNull()
    await a.handle.clusterTrackStop()
    expect(await code(a.handle.clusterTrackStop())).toBe('NOT_EXIST')
    expect(await code(a.handle.groupTrack({ group: 7, flags: 'CHANGES' }))).toBe('NOT_EXIST')
  })

  it('shows all members with CHANGES, the changed ones with CHANGES_ONLY', async () => {
    const rig = await rigOf(1, 2)
    const [a, b] = [await member(rig, 1, 'a'), await member(rig, 2, 'b')]
    const group = await a.handle.groupCreate('g')
    await expect.poll(() => b.handle.groupList()).toHaveLength(1)
    await a.handle.groupTrack({ group, flags: 'CHANGES' })
    await b.handle.groupTrack({ group, flags: 'CHANGES_ONLY' })
    await join(a, group, 10)
    await join(b, group, 20)
    await rig.kill(b)
    await expect
      .poll(() => a.views.map(changesOf))
      .toEqual([['10 JOINED'], ['10 NO_CHANGE', '20 JOINED'], ['10 NO_CHANGE', '20 LEFT']])
    expect(b.views.slice(0, 2).map(changesOf)).toEqual([['10 JOINED'], ['20 JOINED']])
    expect(a.views.map(({ viewNumber, leader }) => [viewNumber, leader])).toEqual([
      [1, 10],
      [2, 10],
      [3, 10],
    ])
  })
})

describe('groups', () => {
  it('answer as the reference says', async () => {
    const rig = await rigOf(1, 2)
    const [a, b] = [await member(rig, 1, 'a'), await member(rig, 2, 'b')]
    const group = await a.handle.groupCreate('g')
    expect(await code(b.handle.groupCreate('g'))).toBe('ALREADY_EXIST')
    expect(await code(b.handle.groupCreate(''))).toBe('INVALID_PARAMETER')
    await join(a, group, 1)
    expect(await code(join(a, group, 1))).toBe('ALREADY_EXIST')
    expect(await code(join(b, group, 1))).toBe('ALREADY_EXIST')
    expect(await code(join(b, 99, 1))).toBe('DOESNT_EXIST')
    expect(await code(b.handle.groupDestroy(group))).toBe('INUSE')
    expect(await code(b.handle.groupDestroy(99))).toBe('DOESNT_EXIST')
    expect(await code(b.handle.groupLeave({ group: 99, memberId: 1 }))).toBe('GROUP_DOESNT_EXIST')
    expect(await code(b.handle.groupLeave({ group, memberId: 1 }))).toBe('DOESNT_EXIST')
    expect(await code(b.handle.groupInfo(99))).toBe('NOT_EXIST')
    expect(await a.handle.groupInfo(group)).toEqual({
      group,
      name: 'g',
      memberCount: 1,
      viewNumber: 1,
    })
    await a.handle.groupLeave({ group, memberId: 1 })
    await a.handle.groupDestroy(group)
    expect(await code(join(a, group, 1))).toBe('DOESNT_EXIST')
  })

  it('deliver messages and views in one order, while the leading node dies', async () => {
    const rig = await rigOf(1, 2, 3)
    const [b, c] = [await member(rig, 2, 'b'), await member(rig, 3, 'c')]
    const group = await b.handle.groupCreate('g')
    await expect.poll(() => c.handle.groupList()).toHaveLength(1)
    await join(b, group, 2)
    await join(c, group, 3)
    const sent = Array.from({ length: 40 }, (_, index) => {
      const [one, memberId] = index % 2 ? [b, 2] : [c, 3]
      return one.handle.sendAll({ group, memberId, data: Buffer.from(String(index)) })
    })
    await rig.killNode(1, 2)
    await Promise.all(sent)
    await expect.poll(() => b.messages.length + c.messages.length, { timeout: 5_000 }).toBe(80)
    expect(b.messages).toEqual(c.messages)
    expect(new Set(b.messages).size).toBe(40)
    expect(await code(b.handle.sendAll({ group, memberId: 3, data: Buffer.from('x') }))).toBe(
      'DOESNT_EXIST',
    )
  })

  it('take a node in that comes later, with the same instance numbers', async () => {
    const rig = await rigOf(1)
    const a = await member(rig, 1, 'a')
    const group = await a.handle.groupCreate('g')
    await join(a, group, 7, 5)
    await rig.node(2)
    const b = await member(rig, 2, 'b')
    await expect.poll(() => b.handle.groupList()).toHaveLength(1)
    await join(b, group, 8, 9)
    const view = await b.handle.groupTrack({ group, flags: 'CURRENT' })
    const numbers = view?.items.map(({ member: one }) => [one.memberId, one.initialViewNumber])
    expect(numbers).toEqual([
      [7, 1],
      [8, 2],
    ])
    expect(view).toMatchObject({ leader: 7, deputy: 8 })
  })
})

describe('handles', () => {
  it('negotiate versions, stand side by side and end once', async () => {
    const rig = await rigOf(1)
    const { client } = await member(rig, 1, 'a')
    expect(() => client.initialize({}, 'A.1.1')).toThrow('this is B.1.1')
    const [one, two] = [client.initialize({}, 'B.1.200'), client.initialize()]
    expect(one.version).toBe('B.1.1')
    const group = await one.groupCreate('g')
    await one.groupJoin({ group, memberId: 1 })
    await one.finalize()
    expect(await code(one.finalize())).toBe('INVALID_HANDLE')
    expect((await two.groupInfo(group)).memberCount).toBe(0)
  })
})
