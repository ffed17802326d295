import { SdkError } from '../../../idl/index.ts'
import {
  GROUP_LIMITS,
  type GroupEjectReason,
  type GroupInfo,
  type GroupMessage,
  type GroupNotification,
} from './interface.ts'
import type { GroupOperation, GroupsSnapshot, NodeStanding } from './operations.ts'
import { View, type ViewMember } from './view.ts'

/** What follows from an operation, in order. */
export type GroupEffect =
  | { readonly kind: 'view'; readonly notification: GroupNotification }
  /** @param to - turns of the members, by their EO. */
  | {
      readonly kind: 'message'
      readonly message: GroupMessage
      readonly to: ReadonlyMap<string, readonly number[]>
    }
  /** A node left the cluster's view, and these of its components their groups. */
  | {
      readonly kind: 'ejected'
      readonly life: string
      readonly reason: GroupEjectReason
      /** By the will of this EO of the node itself; null: it was ejected. */
      readonly leaver: string | null
      readonly members: readonly ViewMember[]
    }

/** Credential of a node that did not choose one: it may lead. */
const NODE_CREDENTIAL = 1

interface Group {
  readonly name: string
  readonly view: View
}

/**
 * The cluster's view and all groups. A core: the same operations in the same order give the same views everywhere.
 * SAFplus GMS, section 12.
 *
 * I1 An operation that throws has changed nothing. I2 A life of a node that left the view, or was ejected, comes back
 * only by `clusterJoin`, and no component of it is in a group meanwhile.
 */
export class GroupContent {
  readonly cluster = new View(null, ({ memberId }) => memberId, false)
  readonly #groups = new Map<number, Group>()
  /** By number: the last life of each node that was there. */
  #nodes = new Map<number, NodeStanding>()
  #nextGroup = 1
  #effects: GroupEffect[] = []

  /** What followed since it was last asked. */
  takeEffects(): readonly GroupEffect[] {
    return this.#effects.splice(0)
  }

  /** @returns the id of a created group, the view of an election that was asked for, or 0. @throws SdkError. */
  apply(operation: GroupOperation): number | GroupNotification {
    switch (operation.kind) {
      case 'nodeJoin':
        return this.#nodeJoin(operation)
      case 'clusterJoin':
        return this.#enter({ ...operation, out: null }, operation.atMs)
      case 'clusterEject':
        return this.#clusterEject(operation)
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

  /** This very membership is there. */
  isMember({ group, owner, memberId }: Extract<GroupOperation, { kind: 'join' }>): boolean {
    const found = this.#groups.get(group)?.view.find(memberId)?.owner
    return found?.eo === owner.eo && found.turn === owner.turn
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
      nodes: [...this.#nodes.values()],
      groups: [...this.#groups].map(([group, { name, view }]) => {
        return { group, name, view: view.snapshot() }
      }),
    }
  }

  /** Replaces the content; views that differ from the former ones are told, and who was ejected meanwhile. */
  restore({ nextGroup, cluster, nodes, groups }: GroupsSnapshot): void {
    const ejected = nodes.flatMap((node) => this.#ejectedMeanwhile(node))
    this.#nodes = new Map(nodes.map((node) => [node.nodeId, node]))
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
    this.#effects.push(...ejected)
  }

  #ejectedMeanwhile({ nodeId, life, out: reason }: NodeStanding): GroupEffect[] {
    const known = this.#nodes.get(nodeId)
    if (reason === null || known?.life !== life || known.out !== null) return []
    const views = [...this.#groups.values()].map(({ view }) => view.members)
    const members = views.flat().filter(({ owner }) => owner.life === life)
    return [{ kind: 'ejected', life, reason, leaver: null, members }]
  }

  #nodeJoin(operation: Extract<GroupOperation, { kind: 'nodeJoin' }>): number {
    const { nodeId, life, name, atMs } = operation
    const known = this.#nodes.get(nodeId)
    if (known?.life !== life) {
      return this.#enter({ nodeId, life, name, credential: NODE_CREDENTIAL, out: null }, atMs)
    }
    return known.out === null ? this.#enter(known, atMs) : 0
  }

  /** What the node is from now on. */
  #enter({ nodeId, life, name, credential }: NodeStanding, atMs: number): number {
    this.#nodes.set(nodeId, { nodeId, life, name, credential, out: null })
    const present = this.cluster.find(nodeId)
    if (present?.owner.life === life) {
      const { member } = present
      if (member.name === name && member.credential === credential) return 0
      this.#tell(this.cluster.reconfigure(nodeId, { name, credential }))
      return 0
    }
    // A new life of the node: its former one is gone, whatever is heard of it.
    this.#tell(this.cluster.leave(({ member }) => member.memberId === nodeId))
    const member = { memberId: nodeId, name, nodeId, address: null, credential }
    const owner = { life, eo: '', turn: 0 }
    this.#tell(this.cluster.join({ ...member, bootTimestamp: atMs }, owner))
    return 0
  }

  #clusterEject(operation: Extract<GroupOperation, { kind: 'clusterEject' }>): number {
    const { nodeId, life, reason, leaver } = operation
    const known = this.#nodes.get(nodeId)
    const isMember = this.cluster.find(nodeId)?.owner.life === life
    if (!isMember || known === undefined) throw noNode(nodeId)
    this.#nodes.set(nodeId, { ...known, out: reason })
    this.#tell(this.cluster.leave(({ member }) => member.memberId === nodeId))
    const members = this.#drop(({ owner }) => owner.life === life)
    this.#effects.push({ kind: 'ejected', life, reason, leaver, members })
    return 0
  }

  #clusterElect(preferred: number | null): GroupNotification {
    if (preferred !== null && this.cluster.find(preferred) === undefined) {
      throw noNode(preferred)
    }
    const elected = this.cluster.elect(preferred)
    this.#tell(elected)
    return elected
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
    const node = this.#nodes.get(nodeId)
    if (node?.life === owner.life && node.out !== null) {
      const message = `node ${nodeId} is out of the cluster's view: it has to join that first`
      throw new SdkError('OP_NOT_PERMITTED', message)
    }
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
    const to = new Map<string, number[]>()
    for (const { owner } of view.members) {
      const turns = to.get(owner.eo)
      if (turns === undefined) to.set(owner.eo, [owner.turn])
      else turns.push(owner.turn)
    }
    this.#effects.push({ kind: 'message', message: { group, from: memberId, data }, to })
    return 0
  }

  #checkMember(view: View, memberId: number, eo: string): void {
    if (view.find(memberId)?.owner.eo === eo) return
    throw new SdkError('DOESNT_EXIST', `${memberId} is no member of this component`)
  }

  /** @returns who left a group. */
  #drop(isGone: (one: ViewMember) => boolean): ViewMember[] {
    const gone: ViewMember[] = []
    for (const { view } of this.#groups.values()) {
      gone.push(...view.members.filter(isGone))
      this.#tell(view.leave(isGone))
    }
    return gone
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

/** Who asks for something of a node that is no member. */
export function noNode(nodeId: number): SdkError {
  return new SdkError('INVALID_PARAMETER', `node ${nodeId} is no member of the cluster`)
}
