import { afterEach, expect, it } from 'vitest'
import { CL_CID, CL_ERR, CL_OK, rcComponent, rcError } from '../../idl/index.ts'
import * as cl from '../../runtime/cl/index.ts'
import { bindMyEo, type GroupInfo, type GroupMember } from '../../runtime/index.ts'
import type { GroupNotification } from '../../runtime/services/group/interface.ts'
import { groupLibrary } from '../../runtime/services/group/client.ts'
import { groupServerOf } from '../../runtime/services/group/server.ts'
import { ServiceRig } from './services/rig.ts'

const rig = new ServiceRig(groupServerOf(20))
afterEach(() => rig.close())

const out = <T>(): { value: T | undefined } => ({ value: undefined })

/** The low half of a code of this library; 0 for OK. */
function error(rc: number): number {
  if (rc !== CL_OK) expect(rcComponent(rc)).toBe(CL_CID.GMS)
  return rcError(rc)
}

const CURRENT = cl.CL_GMS_TRACK_CURRENT
const CHANGES = cl.CL_GMS_TRACK_CHANGES
const { NO_CALLBACK } = CL_ERR

it('the names of the original, with its codes', async () => {
  const none = undefined as never
  expect(error(await cl.clGmsFinalize(none))).toBe(CL_ERR.INVALID_HANDLE)
  await rig.start(1)
  const { client, rmd } = await rig.component(1, 'one', groupLibrary)
  bindMyEo({ component: 'one', node: 'node1', address: rmd.address, rmd, group: client } as never)

  const user = out<cl.ClGmsHandleT>()
  const version = { value: 'B.1.1' }
  expect(error(cl.clGmsInitialize(none, null, version))).toBe(CL_ERR.NULL_POINTER)
  expect(error(cl.clGmsInitialize(user, null, none))).toBe(CL_ERR.NULL_POINTER)
  const old = { value: 'A.1.1' }
  expect(error(cl.clGmsInitialize(user, null, old))).toBe(CL_ERR.VERSION_MISMATCH)
  expect(old.value).toBe('B.1.1')
  const mute = out<cl.ClGmsHandleT>()
  expect(cl.clGmsInitialize(mute, null, version)).toBe(CL_OK)
  const told: unknown[] = []
  const callbacks: cl.ClGmsCallbacksT = {
    clGmsClusterTrackCallback: (_view, count, rc) => told.push(['cluster', count, rc]),
    clGmsClusterMemberGetCallback: (invocation, member, rc) =>
      told.push(['member', invocation, member?.memberId, rcError(rc)]),
    clGmsGroupTrackCallback: (group, _view, count, rc) => told.push(['group', group, count, rc]),
  }
  expect(cl.clGmsInitialize(user, callbacks, version)).toBe(CL_OK)
  const [handle, other] = [user.value!, mute.value!]

  const view: cl.ClOut<GroupNotification | null> = { value: null }
  for (const flags of [0, 8, 6, 9]) {
    expect(error(await cl.clGmsClusterTrack(handle, flags, view))).toBe(CL_ERR.BAD_FLAG)
  }
  expect(error(await cl.clGmsClusterTrack(other, CURRENT, null))).toBe(NO_CALLBACK)
  expect(error(await cl.clGmsClusterTrack(other, CHANGES, null))).toBe(NO_CALLBACK)
  expect(error(await cl.clGmsClusterTrackStop(handle))).toBe(CL_ERR.NOT_EXIST)
  await expect
    .poll(async () => {
      await cl.clGmsClusterTrack(handle, CURRENT, view)
      return view.value?.leader
    })
    .toBe(1)
  expect(await cl.clGmsClusterTrack(handle, CURRENT, null)).toBe(CL_OK)
  expect(told.splice(0)).toEqual([['cluster', 1, CL_OK]])

  const member = out<GroupMember>()
  expect(await cl.clGmsClusterMemberGet(handle, cl.CL_GMS_LOCAL_NODE_ID, 0n, member)).toBe(CL_OK)
  expect(member.value?.memberId).toBe(1)
  expect(error(await cl.clGmsClusterMemberGet(handle, 1, 0n, none))).toBe(CL_ERR.NULL_POINTER)
  expect(error(cl.clGmsClusterMemberGetAsync(other, 1, 1))).toBe(NO_CALLBACK)
  expect(cl.clGmsClusterMemberGetAsync(handle, 7, 1)).toBe(CL_OK)
  expect(cl.clGmsClusterMemberGetAsync(handle, 8, 9)).toBe(CL_OK)
  await expect
    .poll(() => told)
    .toEqual([
      ['member', 7, 1, 0],
      ['member', 8, undefined, CL_ERR.NOT_EXIST],
    ])
  told.length = 0
  const leader: cl.ClOut<number | null> = { value: null }
  const changed = { value: true }
  expect(await cl.clGmsClusterLeaderElect(handle, 0, leader, { value: null }, changed)).toBe(CL_OK)
  expect([leader.value, changed.value]).toEqual([1, false])
  expect(error(await cl.clGmsClusterLeaderElect(handle, 9, leader, { value: null }, changed))).toBe(
    CL_ERR.INVALID_PARAMETER,
  )

  const id = { value: 0 }
  expect(error(await cl.clTmsGroupCreate(handle, none, null, id))).toBe(CL_ERR.NULL_POINTER)
  expect(await cl.clTmsGroupCreate(handle, 'g', null, id)).toBe(CL_OK)
  expect(error(await cl.clTmsGroupCreate(handle, 'g', null, id))).toBe(CL_ERR.ALREADY_EXIST)
  const group = id.value
  const heard: unknown[] = []
  const deliver: cl.ClTmsGroupDeliveryCallbackT = (_group, sender, data, size) =>
    heard.push([sender, Buffer.from(data).toString(), size])
  const joinGroup = (): Promise<number> => cl.clTmsGroupJoin(handle, group, 5, null, 1, deliver, 0n)
  expect(await cl.clTmsGroupTrack(handle, group, CHANGES, null)).toBe(CL_OK)
  expect(await joinGroup()).toBe(CL_OK)
  expect(error(await joinGroup())).toBe(CL_ERR.ALREADY_EXIST)
  expect(error(await cl.clTmsGroupDestroy(handle, group))).toBe(CL_ERR.INUSE)
  expect(await cl.clTmsSendAll(handle, group, 5, 0n, 2, Buffer.from('hello'))).toBe(CL_OK)
  expect(error(await cl.clTmsSendAll(handle, group, 6, 0n, 2, Buffer.from('x')))).toBe(
    CL_ERR.DOESNT_EXIST,
  )
  await expect.poll(() => [heard, told]).toEqual([[[5, 'he', 2]], [['group', group, 1, CL_OK]]])
  expect(await cl.clTmsGroupTrack(handle, group, CURRENT, view)).toBe(CL_OK)
  expect(view.value?.items.map((item) => item.member.memberId)).toEqual([5])
  expect(await cl.clTmsGroupTrackStop(handle, group)).toBe(CL_OK)
  const ejected: number[] = []
  const manage: cl.ClGmsClusterManageCallbacksT = {
    clGmsMemberEjectCallback: (reason) => ejected.push(reason),
  }
  const LOCAL = cl.CL_GMS_LOCAL_NODE_ID
  const { NULL_POINTER, INVALID_HANDLE, INVALID_PARAMETER } = CL_ERR
  const mutes = { clGmsMemberEjectCallback: null } as never
  const { clGmsClusterJoin: enter, clGmsClusterJoinAsync: enterAsync } = cl
  const { clGmsClusterLeave: leave, clGmsClusterLeaveAsync: leaveAsync } = cl
  const eject = cl.clGmsClusterMemberEject
  for (const [title, call, expected] of [
    ['join: handle', () => enter(none, manage, 1, 0n, LOCAL, 'n'), INVALID_HANDLE],
    ['join: null callbacks', () => enter(handle, none, 1, 0n, LOCAL, 'n'), NULL_POINTER],
    ['join: callback null', () => enter(handle, mutes, 1, 0n, LOCAL, 'n'), NULL_POINTER],
    ['join: null name', () => enter(handle, manage, 1, 0n, LOCAL, none), NULL_POINTER],
    ['join: other node', () => enter(handle, manage, 1, 0n, 9, 'n'), INVALID_PARAMETER],
    ['join: a member', () => enter(handle, manage, 1, 0n, LOCAL, 'n'), 0],
    ['async join: handle', () => enterAsync(none, manage, 1, LOCAL, 'n'), INVALID_HANDLE],
    ['async join: null callbacks', () => enterAsync(handle, none, 1, LOCAL, 'n'), NULL_POINTER],
    ['async join: callback null', () => enterAsync(handle, mutes, 1, LOCAL, 'n'), NULL_POINTER],
    ['async join: null name', () => enterAsync(handle, manage, 1, LOCAL, none), NULL_POINTER],
    ['async join: other node', () => enterAsync(handle, manage, 1, 9, 'n'), INVALID_PARAMETER],
    ['leave: handle', () => leave(none, 0n, 1), INVALID_HANDLE],
    ['leave: unknown node', () => leave(handle, 0n, 100), INVALID_PARAMETER],
    ['async leave: handle', () => leaveAsync(none, 1), INVALID_HANDLE],
    ['async leave: unknown node', () => leaveAsync(handle, 100), INVALID_PARAMETER],
    ['eject: handle', () => eject(none, 1, 1), INVALID_HANDLE],
    ['eject: unknown node', () => eject(handle, 100, 1), INVALID_PARAMETER],
    ['eject: reason', () => eject(handle, 1, 2), INVALID_PARAMETER],
    ['eject', () => eject(handle, 1, cl.CL_GMS_MEMBER_EJECT_REASON_API_REQUEST), 0],
    ['eject: no member', () => eject(handle, LOCAL, 0), INVALID_PARAMETER],
    ['leave: no member', () => leave(handle, 0n, LOCAL), INVALID_PARAMETER],
    ['async leave: no member', () => leaveAsync(handle, LOCAL), INVALID_PARAMETER],
    ['async join', () => enterAsync(handle, manage, 1, 1, 'n'), 0],
  ] as const) {
    expect(error(await call()), title).toBe(expected)
  }
  expect(ejected).toEqual([cl.CL_GMS_MEMBER_EJECT_REASON_API_REQUEST])
  const isMember = async (): Promise<boolean> => {
    return (await cl.clGmsClusterMemberGet(handle, LOCAL, 0n, member)) === CL_OK
  }
  await expect.poll(isMember).toBe(true)
  expect(await leave(handle, 0n, LOCAL)).toBe(CL_OK)
  expect(await isMember()).toBe(false)
  expect(await enter(handle, manage, 1, 0n, 1, 'n')).toBe(CL_OK)
  expect(await leaveAsync(handle, 1)).toBe(CL_OK)
  await expect.poll(isMember).toBe(false)
  expect(await enter(handle, manage, 1, 0n, 1, 'n')).toBe(CL_OK)
  expect(await joinGroup()).toBe(CL_OK)
  const groups: cl.ClOut<readonly GroupInfo[]> = { value: [] }
  const info = out<GroupInfo>()
  expect(await cl.clTmsListGroups(handle, groups)).toBe(CL_OK)
  expect(await cl.clTmsGetGroupInfo(handle, group, info)).toBe(CL_OK)
  expect([groups.value.length, info.value?.memberCount]).toEqual([1, 1])
  expect(error(await cl.clTmsGetGroupInfo(handle, 99, info))).toBe(CL_ERR.NOT_EXIST)
  expect(await cl.clTmsGroupLeave(handle, group, 5)).toBe(CL_OK)
  expect(error(await cl.clTmsGroupLeave(handle, 99, 5))).toBe(0x103)
  expect(await cl.clTmsGroupDestroy(handle, group)).toBe(CL_OK)
  expect(await cl.clGmsFinalize(handle)).toBe(CL_OK)
  expect(error(await cl.clGmsFinalize(handle))).toBe(CL_ERR.INVALID_HANDLE)
})
