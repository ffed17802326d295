import { isSdkError, SdkError } from '../../../idl/index.ts'
import type { TrackFlag } from '../../cpm/protection-group.ts'
import { trackModeOf } from '../../cpm/protection-group.ts'
import { PushIntake } from '../push-queue.ts'
import { type LibraryContext, pushTable, type ServiceLibrary } from '../service.ts'
import { negotiateVersion } from '../version.ts'
import {
  type GroupEjectReason,
  type GroupInfo,
  type GroupMember,
  type GroupMessage,
  type GroupNews,
  type GroupNotification,
  GroupPush,
  GroupService,
} from './interface.ts'

const CALL_TIMEOUT_MS = 15_000

/** What a handle is told. `lost`: news dropped before this one, because the component was slow. */
export interface GroupCallbacks {
  readonly clusterTrack?: (notification: GroupNotification, lost: number) => void
  readonly groupTrack?: (notification: GroupNotification, lost: number) => void
  /**
   * The own node was ejected from the cluster's view, or another component of it made it leave (`UNKNOWN`): none of
   * them is in a group any more. Follows the views that say so.
   */
  readonly clusterMemberEject?: (ejection: GroupEjection, lost: number) => void
}

export interface GroupEjection {
  readonly reason: GroupEjectReason
}

/** What a component joins a group with. */
export interface GroupJoin {
  readonly group: number
  /** Chosen by the component, once in the group; 1 to 2^32 - 1. */
  readonly memberId: number
  readonly name?: string
  /** Higher ones are rather leaders, up to 1,023; 0: never. @defaultValue 1 */
  readonly credential?: number
  /** Messages of `sendAll`, in the one order, those of this member included. */
  readonly deliver?: (message: GroupMessage, lost: number) => void
}

/**
 * Group membership, `clGms...` and `clTms...` of the original. SAFplus GMS, section 12. Switched on by the flag `gms`
 * of `clEoClientLibs`.
 */
export interface GroupClient {
  /**
   * Opens a handle; there may be several.
   * @throws SdkError VERSION_MISMATCH with the supported one in its context.
   */
  initialize(callbacks?: GroupCallbacks, version?: string): GroupHandle
}

/** One user of the service in this component. Every function throws INVALID_HANDLE after `finalize`. */
export interface GroupHandle {
  readonly version: string
  /**
   * The cluster's view: the nodes, oldest first. With `CURRENT` the present one comes back, else null; with `CHANGES`
   * each later one goes to the callback whole, with `CHANGES_ONLY` only the members that changed. The later of two
   * calls counts.
   * @throws SdkError BAD_FLAG; NO_CALLBACK when changes are asked for without one.
   */
  clusterTrack(flags: TrackFlag | readonly TrackFlag[]): Promise<GroupNotification | null>
  /** @throws SdkError NOT_EXIST when changes are not tracked. */
  clusterTrackStop(): Promise<void>
  /** @throws SdkError NOT_EXIST when the node is no member. @defaultValue the own node */
  clusterMemberGet(nodeId?: number): Promise<GroupMember>
  /**
   * Elects again. The preferred node leads while it is there, until another one is preferred. Answers what this
   * election did: changes by views before or after it are told by these.
   * @throws SdkError INVALID_PARAMETER when it is no member.
   */
  clusterLeaderElect(request?: { readonly preferred?: number }): Promise<{
    readonly leader: number | null
    readonly deputy: number | null
    readonly leadershipChanged: boolean
  }>
  /**
   * The own node comes back into the cluster's view, which it left or was ejected from. Where it is there, it has this
   * name and credential from now on (RECONFIGURED).
   * @throws SdkError INVALID_PARAMETER; after a TIMEOUT it may happen still.
   */
  clusterJoin(request?: {
    /** 1 to 255 characters. @defaultValue its name in the model */
    readonly name?: string
    /** 0: it never leads; others are told with the view. @defaultValue 1 */
    readonly credential?: number
  }): Promise<void>
  /**
   * The own node leaves the cluster's view, and its components their groups, until `clusterJoin` or until the node
   * process starts anew. Neither AMF nor the services know of it.
   * @throws SdkError INVALID_PARAMETER when it is no member; after a TIMEOUT it may happen still.
   */
  clusterLeave(): Promise<void>
  /**
   * The same for any node, whose components hear of it by the callback `clusterMemberEject`.
   * @throws SdkError INVALID_PARAMETER for no member; after a TIMEOUT it may happen still.
   */
  clusterMemberEject(request: {
    readonly nodeId: number
    /** @defaultValue `API_REQUEST` */
    readonly reason?: GroupEjectReason
  }): Promise<void>
  /** @returns its id. @throws SdkError ALREADY_EXIST, NO_SPACE. */
  groupCreate(name: string): Promise<number>
  /** @throws SdkError DOESNT_EXIST; INUSE while it has members. */
  groupDestroy(group: number): Promise<void>
  /**
   * @throws SdkError DOESNT_EXIST, NO_SPACE; ALREADY_EXIST when the member id is in the group; OP_NOT_PERMITTED while
   * the own node is out of the cluster's view.
   */
  groupJoin(request: GroupJoin): Promise<void>
  /**
   * After a TIMEOUT the member leaves as soon as that can be ordered; it may join again at once.
   * @throws SdkError GROUP_DOESNT_EXIST; DOESNT_EXIST for no member of this component.
   */
  groupLeave(request: { readonly group: number; readonly memberId: number }): Promise<void>
  /** As `clusterTrack`. @throws SdkError NOT_EXIST for an unknown group. */
  groupTrack(request: {
    readonly group: number
    readonly flags: TrackFlag | readonly TrackFlag[]
  }): Promise<GroupNotification | null>
  /** @throws SdkError NOT_EXIST when the group's changes are not tracked. */
  groupTrackStop(group: number): Promise<void>
  groupList(): Promise<readonly GroupInfo[]>
  /** @throws SdkError NOT_EXIST. */
  groupInfo(group: number): Promise<GroupInfo>
  /**
   * A message to every member, in one order with all others and with the views. Resolves when no single failure can
   * take it away any more. At most 256 KiB; 4,096 news wait for a slow member, then the oldest go.
   * @throws SdkError DOESNT_EXIST when the group is unknown or the member none of this component.
   */
  sendAll(request: {
    readonly group: number
    readonly memberId: number
    readonly data: Uint8Array
  }): Promise<void>
  /** Leaves the groups that were joined with this handle, and ends its tracking. */
  finalize(): Promise<void>
}

/** The component's side of group membership. */
export function groupLibrary(context: LibraryContext): ServiceLibrary<GroupClient> {
  const groups = new Groups(context)
  return {
    client: groups,
    pushes: [
      pushTable(GroupPush, {
        news: ({ first, items }) => {
          groups.receive(first, items)
          return {}
        },
      }),
    ],
    // What the component belonged to goes with its connection.
    close: () => Promise.resolve(),
  }
}

const serviceOf = ({ rmd, agent }: LibraryContext) =>
  rmd.client(GroupService, { to: agent, timeoutMs: CALL_TIMEOUT_MS })

class Groups implements GroupClient {
  readonly context: LibraryContext
  readonly service: ReturnType<typeof serviceOf>
  readonly #handles = new Set<Handle>()
  readonly #intake = new PushIntake()
  #isListening = false
  #turn = 0

  constructor(context: LibraryContext) {
    this.context = context
    this.service = serviceOf(context)
  }

  initialize(callbacks: GroupCallbacks = {}, version: string = GroupService.version): GroupHandle {
    const negotiated = negotiateVersion('group.initialize', version, GroupService.version)
    const handle = new Handle(this, callbacks, negotiated)
    this.#handles.add(handle)
    if (callbacks.clusterMemberEject !== undefined) void this.#listen()
    return handle
  }

  /** Goes before whatever this process calls next. */
  async #listen(): Promise<void> {
    if (this.#isListening) return
    this.#isListening = true
    try {
      await this.service.listen({})
    } catch (err) {
      this.#isListening = false
      this.context.log.error({ err }, 'ejections of this node may not be heard of')
    }
  }

  /** Of one more membership. */
  nextTurn(): number {
    return ++this.#turn
  }

  forget(handle: Handle): void {
    this.#handles.delete(handle)
  }

  /** Nobody is left in this process who tracks it. */
  isTracked(group: number | null): boolean {
    return [...this.#handles].some((handle) => handle.tracks(group))
  }

  receive(first: number, items: readonly GroupNews[]): void {
    const { fresh, lost } = this.#intake.take(first, items)
    for (const [index, news] of fresh.entries()) {
      for (const handle of this.#handles) handle.receive(news, index === 0 ? lost : 0)
    }
  }
}

/** The changes of one view that a handle tracks. */
interface Tracking {
  mode: 'CHANGES' | 'CHANGES_ONLY'
  /** The view that was there when it began: others of this component may still be told of older ones. null: unknown. */
  since: number | null
  /** What came before that was known. */
  readonly early: { readonly notification: GroupNotification; readonly lost: number }[]
}

class Handle implements GroupHandle {
  readonly version: string
  readonly #groups: Groups
  readonly #callbacks: GroupCallbacks
  readonly #tracked = new Map<number | null, Tracking>()
  /** By turn; two of one member while the news of the first one's ejection is under way. */
  readonly #joined = new Map<number, GroupJoin>()
  #isOpen = true

  constructor(groups: Groups, callbacks: GroupCallbacks, version: string) {
    this.#groups = groups
    this.#callbacks = callbacks
    this.version = version
  }

  tracks(group: number | null): boolean {
    return this.#tracked.has(group)
  }

  clusterTrack(flags: TrackFlag | readonly TrackFlag[]): Promise<GroupNotification | null> {
    return this.#track(null, flags)
  }

  clusterTrackStop(): Promise<void> {
    return this.#trackStop(null)
  }

  async clusterMemberGet(nodeId: number = this.#groups.context.nodeId): Promise<GroupMember> {
    const { items } = await this.#service().view({ group: null })
    const found = items.find(({ member }) => member.memberId === nodeId)
    if (found !== undefined) return found.member
    throw new SdkError('NOT_EXIST', `node ${nodeId} is no member of the cluster`)
  }

  async clusterLeaderElect({ preferred = null }: { readonly preferred?: number | null } = {}) {
    const view = await this.#service().clusterLeaderElect({ preferred })
    const { leader, deputy, leadershipChanged } = view
    return { leader, deputy, leadershipChanged }
  }

  async clusterJoin({
    name = null,
    credential = 1,
  }: { readonly name?: string | null; readonly credential?: number } = {}): Promise<void> {
    await this.#service().clusterJoin({ name, credential })
  }

  async clusterLeave(): Promise<void> {
    await this.#service().clusterLeave({})
  }

  async clusterMemberEject({
    nodeId,
    reason = 'API_REQUEST',
  }: {
    readonly nodeId: number
    readonly reason?: GroupEjectReason
  }): Promise<void> {
    await this.#service().clusterMemberEject({ nodeId, reason })
  }

  async groupCreate(name: string): Promise<number> {
    return (await this.#service().groupCreate({ name })).group
  }

  async groupDestroy(group: number): Promise<void> {
    await this.#service().groupDestroy({ group })
  }

  async groupJoin(request: GroupJoin): Promise<void> {
    const { group, memberId, name = '', credential = 1 } = request
    const service = this.#service()
    const turn = this.#groups.nextTurn()
    // Messages may come before the answer does.
    this.#joined.set(turn, request)
    try {
      await service.groupJoin({ group, memberId, name, credential, turn })
    } catch (error) {
      this.#joined.delete(turn)
      throw error
    }
  }

  async groupLeave({
    group,
    memberId,
  }: {
    readonly group: number
    readonly memberId: number
  }): Promise<void> {
    const service = this.#service()
    // Not what joins again meanwhile.
    const turns = [...this.#joined].flatMap(([turn, joined]) =>
      joined.group === group && joined.memberId === memberId ? turn : [],
    )
    try {
      await service.groupLeave({ group, memberId })
    } catch (error) {
      if (!isStillMember(error)) this.#forget(turns)
      throw error
    }
    this.#forget(turns)
  }

  #forget(turns: readonly number[]): void {
    for (const turn of turns) this.#joined.delete(turn)
  }

  groupTrack({
    group,
    flags,
  }: {
    readonly group: number
    readonly flags: TrackFlag | readonly TrackFlag[]
  }): Promise<GroupNotification | null> {
    return this.#track(group, flags)
  }

  groupTrackStop(group: number): Promise<void> {
    return this.#trackStop(group)
  }

  async groupList(): Promise<readonly GroupInfo[]> {
    return (await this.#service().groupList({})).groups
  }

  async groupInfo(group: number): Promise<GroupInfo> {
    const found = (await this.groupList()).find((one) => one.group === group)
    if (found !== undefined) return found
    throw new SdkError('NOT_EXIST', `there is no group ${group}`)
  }

  async sendAll(request: {
    readonly group: number
    readonly memberId: number
    readonly data: Uint8Array
  }): Promise<void> {
    await this.#service().sendAll({ ...request })
  }

  async finalize(): Promise<void> {
    this.#service()
    for (const { group, memberId } of [...this.#joined.values()]) {
      await this.groupLeave({ group, memberId }).catch((error: unknown) => {
        // Ejected, it is none any more, and the group may be gone.
        const isNone = isSdkError(error, 'DOESNT_EXIST') || isSdkError(error, 'GROUP_DOESNT_EXIST')
        if (!isNone) throw error
      })
    }
    for (const group of [...this.#tracked.keys()]) await this.#trackStop(group)
    this.#isOpen = false
    this.#groups.forget(this)
  }

  receive(news: GroupNews, lost: number): void {
    try {
      if (news.kind === 'view') this.#viewed(news.notification, lost)
      else if (news.kind === 'ejected') this.#ejected(news, lost)
      else for (const turn of news.turns) this.#joined.get(turn)?.deliver?.(news.message, lost)
    } catch (err) {
      this.#groups.context.log.error({ err, kind: news.kind }, 'a callback of groups failed')
    }
  }

  #viewed(notification: GroupNotification, lost: number): void {
    const { group, viewNumber, items } = notification
    const tracking = this.#tracked.get(group)
    if (tracking === undefined) return
    const { mode, since, early } = tracking
    if (since === null) return void early.push({ notification, lost })
    if (viewNumber <= since) return
    const tell = this.#callback(group)
    if (mode === 'CHANGES') return tell?.(notification, lost)
    const changed = items.filter(({ change }) => change !== 'NO_CHANGE')
    tell?.({ ...notification, items: changed }, lost)
  }

  #ejected({ reason, turns }: Extract<GroupNews, { kind: 'ejected' }>, lost: number): void {
    this.#forget(turns)
    if (reason !== null) this.#callbacks.clusterMemberEject?.({ reason }, lost)
  }

  #callback(group: number | null): GroupCallbacks['groupTrack'] {
    return group === null ? this.#callbacks.clusterTrack : this.#callbacks.groupTrack
  }

  async #track(
    group: number | null,
    flags: TrackFlag | readonly TrackFlag[],
  ): Promise<GroupNotification | null> {
    const service = this.#service()
    const { current, changes } = trackModeOf(flags, 'track: flags')
    if (changes === null) return service.view({ group })
    if (this.#callback(group) === undefined) {
      const which = group === null ? 'clusterTrack' : 'groupTrack'
      throw new SdkError('NO_CALLBACK', `give the callback ${which} to initialize`)
    }
    const known = this.#tracked.get(group)
    const tracking = known ?? { mode: changes, since: null, early: [] }
    const before = tracking.mode
    tracking.mode = changes
    // Views may come before the answer does.
    this.#tracked.set(group, tracking)
    try {
      const view = await service.watch({ group })
      this.#begin(tracking, view)
      return current ? view : null
    } catch (error) {
      if (known === undefined) this.#tracked.delete(group)
      else tracking.mode = before
      throw error
    }
  }

  #begin(tracking: Tracking, { viewNumber }: GroupNotification): void {
    if (tracking.since !== null) return
    tracking.since = viewNumber
    for (const { notification, lost } of tracking.early.splice(0)) {
      this.receive({ kind: 'view', notification }, lost)
    }
  }

  async #trackStop(group: number | null): Promise<void> {
    const service = this.#service()
    if (!this.#tracked.delete(group)) {
      throw new SdkError('NOT_EXIST', 'changes are not tracked here')
    }
    if (!this.#groups.isTracked(group)) await service.unwatch({ group })
  }

  #service(): Groups['service'] {
    if (this.#isOpen) return this.#groups.service
    throw new SdkError('INVALID_HANDLE', 'the handle was finalized: initialize another one')
  }
}

/** After a leave that failed so. One that may have run takes the member out, if late; it may join again. */
function isStillMember(error: unknown): boolean {
  if (!isSdkError(error)) return true
  return !error.mayHaveRun && error.code !== 'DOESNT_EXIST' && error.code !== 'GROUP_DOESNT_EXIST'
}
