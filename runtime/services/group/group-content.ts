import { SdkError } from '../../../idl/index.ts'
import {
  GROUP_LIMITS,
  type GroupInfo,
  type GroupMessage,
  type GroupNotification,
} from './interface.ts'
import type { GroupOperation, GroupsSnapshot } from './operations.ts'
import { View, type ViewMember } from './view.ts'

/** What follows from an operation, in order. */
export type GroupEffect =
  | { readonly kind: 'view'; readonly notification: GroupNotification }
  /** @param to - EOs of the members. */
  | { readonly kind: 'message'; readonly message: GroupMessage; readonly to: ReadonlySet<string> }

interface Group {
  readonly name: string
  readonly view: View
}

/**
 * The cluster's view and all groups. A core: the same operations in the same order give the same views everywhere.
 * SAFplus GMS, section 12.
 *
 * I1 An operation that throws has changed nothing.
 */
export class GroupContent {
  readonly cluster = new View(null, ({ memberId }) => memberId, false)
  readonly #groups = new Map<number, Group>()
  #nextGroup = 1
  #effects: GroupEffect[] = []

  /** What followed since it was last asked. */
  takeEffects(): readonly GroupEffect[] {
    return this.#effects.splice(0)
  }

  /** @returns the id of a group that was created, else 0. @throws SdkError */
  apply(operation: GroupOperation): number {
    switch (operation.kind) {
      case 'nodeJoin':
        return this.#nodeJoin(operation)
      case 'bootElection':
        if (!this.cluster.hasElected) this.#tell(this.cluster.elect(null))
        return 0
      case 'clusterElect':
        return this.#clusterElect(operation.preferred)
      case 'create':
        return this.#create(operation.name)
      case 'destroy':
        return this.#destroy(operation.group)
      case 'join':
        return this.#join(operation)
      case 'leave':
        return this.#leave(operation)
      case 'send':
        return this.#send(operation)
      case 'ended':
        this.#drop(({ owner }) => owner.eo === operation.eo)
        return 0
    }
  }

  /** Lives of node processes that are there: others, and their components, are no members any more. */
  keepNodes(lives: ReadonlySet<string>): void {
    const isGone = ({ owner }: ViewMember): boolean => !lives.has(owner.life)
    this.#tell(this.cluster.leave(isGone))
    this.#drop(isGone)
  }

  groups(): GroupInfo[] {
    return [...this.#groups].map(([group, { name, view }]) => {
      return { group, name, memberCount: view.members.length, viewNumber: view.viewNumber }
    })
  }

  /** null: the cluster's. @throws SdkError NOT_EXIST. */
  view(group: number | null): View {
    const view = group === null ? this.cluster : this.#groups.get(group)?.view
    if (view !== undefined) return view
    throw new SdkError('NOT_EXIST', `there is no group ${group}`)
  }

  snapshot(): GroupsSnapshot {
    return {
      nextGroup: this.#nextGroup,
      cluster: this.cluster.snapshot(),
      groups: [...this.#groups].map(([group, { name, view }]) => {
        return { group, name, view: view.snapshot() }
      }),
    }
  }

  /** Replaces the content; views that differ from the former ones are told. */
  restore({ nextGroup, cluster, groups }: GroupsSnapshot): void {
    const before = new Map([...this.#groups].map(([group, { view }]) => [group, view.viewNumber]))
    const clusterBefore = this.cluster.viewNumber
    this.#nextGroup = nextGroup
    this.cluster.restore(cluster)
    this.#groups.clear()
    if (this.cluster.viewNumber !== clusterBefore) this.#tell(this.cluster.current())
    for (const { group, name, view: content } of groups) {
      const view = groupView(group)
      view.restore(content)
      this.#groups.set(group, { name, view })
      if (view.viewNumber !== before.get(group)) this.#tell(view.current())
    }
  }

  #nodeJoin({ nodeId, name, owner, atMs }: Extract<GroupOperation, { kind: 'nodeJoin' }>): number {
    const known = this.cluster.find(nodeId)
    if (known?.owner.life === owner.life) return 0
    // A new life of the node: its former one is gone, whatever is heard of it.
    this.#tell(this.cluster.leave(({ member }) => member.memberId === nodeId))
    const member = { memberId: nodeId, name, nodeId, address: null, credential: 1 }
    this.#tell(this.cluster.join({ ...member, bootTimestamp: atMs }, owner))
    return 0
  }

  #clusterElect(preferred: number | null): number {
    if (preferred !== null && this.cluster.find(preferred) === undefined) {
      throw new SdkError('INVALID_PARAMETER', `node ${preferred} is no member of the cluster`)
    }
    this.#tell(this.cluster.elect(preferred))
    return 0
  }

  #create(name: string): number {
    for (const group of this.#groups.values()) {
      if (group.name === name) throw new SdkError('ALREADY_EXIST', `there is a group ${name}`)
    }
    if (this.#groups.size >= GROUP_LIMITS.groupCount) {
      throw new SdkError('NO_SPACE', `${GROUP_LIMITS.groupCount} groups are there already`)
    }
    const group = this.#nextGroup++
    this.#groups.set(group, { name, view: groupView(group) })
    return group
  }

  #destroy(group: number): number {
    if (this.#view(group).members.length > 0) {
      throw new SdkError('INUSE', `group ${group} has members`)
    }
    this.#groups.delete(group)
    return 0
  }

  #join(operation: Extract<GroupOperation, { kind: 'join' }>): number {
    const { group, owner, memberId, name, credential, nodeId, port, atMs } = operation
    const view = this.#view(group)
    if (view.find(memberId) !== undefined) {
      throw new SdkError('ALREADY_EXIST', `group ${group} has a member ${memberId}`)
    }
    if (view.members.length >= GROUP_LIMITS.memberCount) {
      throw new SdkError('NO_SPACE', `group ${group} has ${GROUP_LIMITS.memberCount} members`)
    }
    const address = { node: nodeId, port }
    const member = { memberId, name, nodeId, address, credential, bootTimestamp: atMs }
    this.#tell(view.join(member, owner))
    return 0
  }

  #leave({ group, memberId, eo }: Extract<GroupOperation, { kind: 'leave' }>): number {
    const view = this.#groups.get(group)?.view
    if (view === undefined) {
      throw new SdkError('GROUP_DOESNT_EXIST', `there is no group ${group}`)
    }
    this.#checkMember(view, memberId, eo)
    this.#tell(view.leave(({ member }) => member.memberId === memberId))
    return 0
  }

  #send({ group, memberId, eo, data }: Extract<GroupOperation, { kind: 'send' }>): number {
    const view = this.#view(group)
    this.#checkMember(view, memberId, eo)
    const to = new Set(view.members.map(({ owner }) => owner.eo))
    this.#effects.push({ kind: 'message', message: { group, from: memberId, data }, to })
    return 0
  }

  #checkMember(view: View, memberId: number, eo: string): void {
    if (view.find(memberId)?.owner.eo === eo) return
    throw new SdkError('DOESNT_EXIST', `${memberId} is no member of this component`)
  }

  #drop(isGone: (one: ViewMember) => boolean): void {
    for (const { view } of this.#groups.values()) this.#tell(view.leave(isGone))
  }

  #view(group: number): View {
    const view = this.#groups.get(group)?.view
    if (view === undefined) throw new SdkError('DOESNT_EXIST', `there is no group ${group}`)
    return view
  }

  #tell(notification: GroupNotification | null): void {
    if (notification !== null) this.#effects.push({ kind: 'view', notification })
  }
}

function groupView(group: number): View {
  return new View(group, ({ credential }) => credential, true)
}
