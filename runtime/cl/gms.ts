import { CL_CID, CL_OK, isSdkError, SdkError, type ClRcT } from '../../idl/index.ts'
import type { TrackFlag } from '../cpm/protection-group.ts'
import type { GroupHandle } from '../services/group/client.ts'
import type {
  GroupEjectReason,
  GroupInfo,
  GroupMember,
  GroupMessage,
  GroupNotification,
} from '../services/group/interface.ts'
import { given } from './library.ts'
import { boundApp, rcOfLibrary, type ClOut } from './process.ts'

/** Flags of tracking. SAFplus GMS, section 12. */
export const CL_GMS_TRACK_CURRENT = 1
export const CL_GMS_TRACK_CHANGES = 2
export const CL_GMS_TRACK_CHANGES_ONLY = 4

/** Stands for the own node. */
export const CL_GMS_LOCAL_NODE_ID = 0xffff_ffff

/** Why a node was ejected. SAFplus GMS, `ClGmsMemberEjectReasonT`. */
export const CL_GMS_MEMBER_EJECT_REASON_UNKNOWN = 0
export const CL_GMS_MEMBER_EJECT_REASON_API_REQUEST = 1

const REASONS: readonly GroupEjectReason[] = ['UNKNOWN', 'API_REQUEST']

const FLAGS: ReadonlyMap<number, TrackFlag> = new Map([
  [CL_GMS_TRACK_CURRENT, 'CURRENT'],
  [CL_GMS_TRACK_CHANGES, 'CHANGES'],
  [CL_GMS_TRACK_CHANGES_ONLY, 'CHANGES_ONLY'],
])

/** One user of the library: what `clGmsInitialize` gives. */
export type ClGmsHandleT = GroupHandle

export interface ClGmsCallbacksT {
  readonly clGmsClusterTrackCallback?: (
    buffer: GroupNotification,
    numberOfMembers: number,
    rc: ClRcT,
  ) => void
  readonly clGmsClusterMemberGetCallback?: (
    invocation: number,
    member: GroupMember | null,
    rc: ClRcT,
  ) => void
  readonly clGmsGroupTrackCallback?: (
    groupId: number,
    buffer: GroupNotification,
    numberOfMembers: number,
    rc: ClRcT,
  ) => void
}

/** What `clGmsClusterJoin` is given. */
export interface ClGmsClusterManageCallbacksT {
  /** The node was ejected. @param reason - CL_GMS_MEMBER_EJECT_REASON_... */
  readonly clGmsMemberEjectCallback: (reason: number) => void
}

/** Handles that are open, with their callbacks. */
const USERS = new WeakMap<GroupHandle, ClGmsCallbacksT>()
/** Of those that joined. */
const MANAGERS = new WeakMap<GroupHandle, ClGmsClusterManageCallbacksT>()

/** `app.group.initialize`; a version that is not served is replaced by the one that is. */
export function clGmsInitialize(
  out: ClOut<GroupHandle | undefined>,
  callbacks: ClGmsCallbacksT | null,
  version: ClOut<string>,
): ClRcT {
  return run(() => {
    given('handle', out)
    const wanted = given('version', version)
    const app = boundApp()
    if (app === undefined) throw new SdkError('NOT_INITIALIZED', 'this thread has no EO')
    const { clGmsClusterTrackCallback: cluster, clGmsGroupTrackCallback: group } = callbacks ?? {}
    const user: GroupHandle = versioned(wanted, () =>
      app.group.initialize(
        {
          clusterMemberEject: ({ reason }) =>
            MANAGERS.get(user)?.clGmsMemberEjectCallback(REASONS.indexOf(reason)),
          ...(cluster !== undefined && {
            clusterTrack: (view) => cluster(view, memberCount(view), CL_OK),
          }),
          ...(group !== undefined && {
            groupTrack: (view) => group(view.group ?? 0, view, memberCount(view), CL_OK),
          }),
        },
        wanted.value,
      ),
    )
    USERS.set(user, callbacks ?? {})
    out.value = user
  })
}

/** `handle.finalize`. */
export function clGmsFinalize(handle: GroupHandle): Promise<ClRcT> {
  return wait(() => userOf(handle).finalize())
}

/** `handle.clusterTrack`: CL_GMS_TRACK_CURRENT fills `buffer`, or calls the callback where that is null. */
export function clGmsClusterTrack(
  handle: GroupHandle,
  flags: number,
  buffer: ClOut<GroupNotification | null> | null,
): Promise<ClRcT> {
  return wait(async () => {
    const tell = USERS.get(userOf(handle))?.clGmsClusterTrackCallback
    const words = wordsOf(flags, buffer, tell)
    deliver(await handle.clusterTrack(words), buffer, (view) => {
      tell?.(view, memberCount(view), CL_OK)
    })
  })
}

/** `handle.clusterTrackStop`. */
export function clGmsClusterTrackStop(handle: GroupHandle): Promise<ClRcT> {
  return wait(() => userOf(handle).clusterTrackStop())
}

/** `handle.clusterMemberGet`. Calls have their own limit: `timeout` is there for the port of old code. */
export function clGmsClusterMemberGet(
  handle: GroupHandle,
  nodeId: number,
  _timeout: bigint,
  member: ClOut<GroupMember | undefined>,
): Promise<ClRcT> {
  return wait(async () => {
    const user = userOf(handle)
    const out = given('member', member)
    out.value = await user.clusterMemberGet(nodeOf(nodeId))
  })
}

/** The same, with its answer to the callback. */
export function clGmsClusterMemberGetAsync(
  handle: GroupHandle,
  invocation: number,
  nodeId: number,
): ClRcT {
  return run(() => {
    const user = userOf(handle)
    const tell = USERS.get(user)?.clGmsClusterMemberGetCallback
    if (tell === undefined) throw noCallback('clGmsClusterMemberGetCallback')
    user.clusterMemberGet(nodeOf(nodeId)).then(
      (member) => tell(invocation, member, CL_OK),
      (error: unknown) => tell(invocation, null, rcOfGms(error)),
    )
  })
}

/** `handle.clusterLeaderElect`. @param preferred - 0: nobody in particular. */
export function clGmsClusterLeaderElect(
  handle: GroupHandle,
  preferred: number,
  leader: ClOut<number | null>,
  deputy: ClOut<number | null>,
  leadershipChanged: ClOut<boolean>,
): Promise<ClRcT> {
  return wait(async () => {
    const user = userOf(handle)
    given('leader', leader)
    given('deputy', deputy)
    given('leadershipChanged', leadershipChanged)
    const node = nodeOf(preferred)
    const elected = await user.clusterLeaderElect(
      node === 0 ? {} : { preferred: node ?? (await user.clusterMemberGet()).memberId },
    )
    leader.value = elected.leader
    deputy.value = elected.deputy
    leadershipChanged.value = elected.leadershipChanged
  })
}

/**
 * `handle.clusterJoin`, for the own node only. A node is a member from the start: then it has this name and these
 * credentials from now on, and `manage` is told of an ejection. @param credentials - 0: never leads.
 */
export function clGmsClusterJoin(
  handle: GroupHandle,
  manage: ClGmsClusterManageCallbacksT,
  credentials: number,
  _timeout: bigint,
  nodeId: number,
  nodeName: string,
): Promise<ClRcT> {
  return wait(() => join(handle, manage, credentials, nodeId, nodeName))
}

/** The same; what becomes of it is told by tracking. */
export function clGmsClusterJoinAsync(
  handle: GroupHandle,
  manage: ClGmsClusterManageCallbacksT,
  credentials: number,
  nodeId: number,
  nodeName: string,
): ClRcT {
  return run(() => {
    unwatched('join', join(handle, manage, credentials, nodeId, nodeName))
  })
}

/** `handle.clusterLeave`, for the own node only. */
export function clGmsClusterLeave(
  handle: GroupHandle,
  _timeout: bigint,
  nodeId: number,
): Promise<ClRcT> {
  return wait(() => {
    const user = userOf(handle)
    checkOwn(nodeId)
    return user.clusterLeave()
  })
}

/** The same; what becomes of it is told by tracking. */
export function clGmsClusterLeaveAsync(handle: GroupHandle, nodeId: number): Promise<ClRcT> {
  return wait(async () => {
    const user = userOf(handle)
    checkOwn(nodeId)
    const { items } = (await user.clusterTrack('CURRENT')) ?? { items: [] }
    const own = ownNode()
    if (!items.some(({ member }) => member.memberId === own)) {
      throw new SdkError('INVALID_PARAMETER', `node ${own} is no member of the cluster`)
    }
    unwatched('leave', user.clusterLeave())
  })
}

/** `handle.clusterMemberEject`. @param reason - CL_GMS_MEMBER_EJECT_REASON_... */
export function clGmsClusterMemberEject(
  handle: GroupHandle,
  nodeId: number,
  reason: number,
): Promise<ClRcT> {
  return wait(() => {
    const user = userOf(handle)
    const word = REASONS[reason]
    if (word !== undefined) {
      return user.clusterMemberEject({ nodeId: nodeOf(nodeId) ?? ownNode(), reason: word })
    }
    throw new SdkError('INVALID_PARAMETER', `${reason} is no reason: 0 (unknown), 1 (API request)`)
  })
}

/** `handle.groupCreate`. There are no parameters of groups to give. */
export function clTmsGroupCreate(
  handle: GroupHandle,
  groupName: string,
  _params: unknown,
  groupId: ClOut<number>,
): Promise<ClRcT> {
  return wait(async () => {
    const user = userOf(handle)
    given('groupName', groupName)
    given('groupId', groupId).value = await user.groupCreate(groupName)
  })
}

/** `handle.groupDestroy`. */
export function clTmsGroupDestroy(handle: GroupHandle, groupId: number): Promise<ClRcT> {
  return wait(() => userOf(handle).groupDestroy(groupId))
}

/** Messages of a group, to one member. */
export type ClTmsGroupDeliveryCallbackT = (
  groupId: number,
  sender: number,
  data: Uint8Array,
  size: number,
) => void

/** `handle.groupJoin`. @param credentials - 0: never leads. */
export function clTmsGroupJoin(
  handle: GroupHandle,
  groupId: number,
  memberId: number,
  memberName: string | null,
  credentials: number,
  deliveryCallback: ClTmsGroupDeliveryCallbackT | null,
  _timeout: bigint,
): Promise<ClRcT> {
  return wait(() => {
    const deliver = ({ from, data }: GroupMessage): void => {
      deliveryCallback?.(groupId, from, data, data.byteLength)
    }
    const as = { name: memberName ?? '', credential: credentials }
    return userOf(handle).groupJoin({ group: groupId, memberId, ...as, deliver })
  })
}

/** `handle.groupLeave`. */
export function clTmsGroupLeave(
  handle: GroupHandle,
  groupId: number,
  memberId: number,
): Promise<ClRcT> {
  return wait(() => userOf(handle).groupLeave({ group: groupId, memberId }))
}

/** `handle.groupTrack`: as `clGmsClusterTrack`. */
export function clTmsGroupTrack(
  handle: GroupHandle,
  groupId: number,
  flags: number,
  buffer: ClOut<GroupNotification | null> | null,
): Promise<ClRcT> {
  return wait(async () => {
    const tell = USERS.get(userOf(handle))?.clGmsGroupTrackCallback
    const words = wordsOf(flags, buffer, tell)
    deliver(await handle.groupTrack({ group: groupId, flags: words }), buffer, (view) => {
      tell?.(groupId, view, memberCount(view), CL_OK)
    })
  })
}

/** `handle.groupTrackStop`. */
export function clTmsGroupTrackStop(handle: GroupHandle, groupId: number): Promise<ClRcT> {
  return wait(() => userOf(handle).groupTrackStop(groupId))
}

/** `handle.groupList`. */
export function clTmsListGroups(
  handle: GroupHandle,
  groups: ClOut<readonly GroupInfo[]>,
): Promise<ClRcT> {
  return wait(async () => {
    given('groups', groups).value = await userOf(handle).groupList()
  })
}

/** `handle.groupInfo`. */
export function clTmsGetGroupInfo(
  handle: GroupHandle,
  groupId: number,
  info: ClOut<GroupInfo | undefined>,
): Promise<ClRcT> {
  return wait(async () => {
    given('info', info).value = await userOf(handle).groupInfo(groupId)
  })
}

/** `handle.sendAll`: the first `size` bytes. */
export function clTmsSendAll(
  handle: GroupHandle,
  groupId: number,
  memberId: number,
  _timeout: bigint,
  size: number,
  data: Uint8Array,
): Promise<ClRcT> {
  return wait(() => {
    const bytes = given('data', data).subarray(0, size)
    return userOf(handle).sendAll({ group: groupId, memberId, data: bytes })
  })
}

/** @throws SdkError INVALID_HANDLE for what `clGmsInitialize` did not give. */
function userOf(handle: GroupHandle): GroupHandle {
  if (handle !== null && handle !== undefined && USERS.has(handle)) return handle
  throw new SdkError('INVALID_HANDLE', 'this is no handle of clGmsInitialize')
}

/** @throws SdkError as the parameters are, before anything is awaited. */
function join(
  handle: GroupHandle,
  manage: ClGmsClusterManageCallbacksT,
  credential: number,
  nodeId: number,
  nodeName: string,
): Promise<void> {
  const user = userOf(handle)
  given('manage.clGmsMemberEjectCallback', given('manage', manage).clGmsMemberEjectCallback)
  const name = given('nodeName', nodeName)
  checkOwn(nodeId)
  MANAGERS.set(user, manage)
  return user.clusterJoin({ name, credential })
}

function ownNode(): number {
  const app = boundApp()
  if (app === undefined) throw new SdkError('NOT_INITIALIZED', 'this thread has no EO')
  return app.address.node
}

/** @throws SdkError INVALID_PARAMETER: a node joins and leaves by itself only. */
function checkOwn(nodeId: number): void {
  const own = ownNode()
  if (nodeId === own || nodeId === CL_GMS_LOCAL_NODE_ID) return
  const message = `node ${nodeId} is not this one (${own}): use clGmsClusterMemberEject for others`
  throw new SdkError('INVALID_PARAMETER', message)
}

function unwatched(what: string, outcome: Promise<void>): void {
  outcome.catch((err: unknown) => {
    boundApp()?.log.warn({ err }, `the node did not ${what} the cluster`)
  })
}

/** @returns undefined for the own node. */
function nodeOf(nodeId: number): number | undefined {
  return nodeId === CL_GMS_LOCAL_NODE_ID ? undefined : nodeId
}

function memberCount({ items }: GroupNotification): number {
  return items.filter(({ change }) => change !== 'LEFT').length
}

/** @throws SdkError BAD_FLAG; NO_CALLBACK when the present view has nowhere to go. */
function wordsOf(flags: number, buffer: unknown, callback: unknown): TrackFlag[] {
  const words = [...FLAGS].filter(([bit]) => (flags & bit) !== 0).map(([, word]) => word)
  const known = [...FLAGS.keys()].reduce((mask, bit) => mask | bit, 0)
  if (words.length === 0 || (flags & ~known) !== 0) {
    throw new SdkError('BAD_FLAG', `${flags} is no combination of the flags of tracking`)
  }
  if (words.includes('CURRENT') && buffer === null && callback === undefined) {
    throw noCallback('the callback of tracking')
  }
  return words
}

function deliver(
  view: GroupNotification | null,
  buffer: ClOut<GroupNotification | null> | null,
  tell: (view: GroupNotification) => void,
): void {
  if (view === null) return
  if (buffer === null) tell(view)
  else buffer.value = view
}

function noCallback(name: string): SdkError {
  return new SdkError('NO_CALLBACK', `give ${name} to clGmsInitialize`)
}

function versioned<T>(version: ClOut<string>, step: () => T): T {
  try {
    return step()
  } catch (error) {
    const supported = isSdkError(error, 'VERSION_MISMATCH') ? error.context['supported'] : undefined
    if (typeof supported === 'string') version.value = supported
    throw error
  }
}

function run(step: () => void): ClRcT {
  try {
    step()
    return CL_OK
  } catch (error) {
    return rcOfGms(error)
  }
}

async function wait(step: () => Promise<unknown>): Promise<ClRcT> {
  try {
    await step()
    return CL_OK
  } catch (error) {
    return rcOfGms(error)
  }
}

/** Errors of this library carry its component id. */
function rcOfGms(error: unknown): ClRcT {
  return rcOfLibrary(CL_CID.GMS, error)
}
