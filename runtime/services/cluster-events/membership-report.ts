import { EVENT } from './descriptor.ts'
import type { OcEvMembership, OcEvNode } from './interface.ts'

/** An event of the membership class. */
export interface MembershipNews {
  readonly descriptor: number
  /** null: the event has no data. */
  readonly data: OcEvMembership | null
}

/** A view of the cluster as the nodes agreed on it. */
export interface AgreedView {
  /** Never goes back. */
  readonly instance: number
  readonly members: readonly OcEvNode[]
}

/**
 * Which events of the membership class follow from the views of one node. A core. OCF events, drafts 0.2 and 0.3: rules
 * of the membership class; layout of the data as in the library that was shipped.
 *
 * I1 What was last reported is the base of what came in and went out. I2 The local node is a member of every membership
 * that is reported. I3 After EVICTED nothing is known any more: the next report is a first one.
 */
export class MembershipReport {
  readonly #self: number
  #last: AgreedView | null = null
  #isUncertain = false

  /** @param self - number of the local node. */
  constructor(self: number) {
    this.#self = self
  }

  get isUncertain(): boolean {
    return this.#isUncertain
  }

  /** Numbers of the members of what was last reported. */
  get members(): ReadonlySet<number> {
    return new Set(this.#last?.members.map(({ nodeId }) => nodeId))
  }

  /** The nodes have agreed. @param nodeCount - nodes of the model, for the places in the data. */
  agreed({ instance, members }: AgreedView, nodeCount: number): MembershipNews | null {
    const view = { instance, members: members.toSorted(byAge) }
    if (!members.some(({ nodeId }) => nodeId === this.#self)) return this.#evicted()
    const base = this.#last
    this.#last = view
    if (base !== null && isSame(base, view)) return this.settled(nodeCount)
    this.#isUncertain = false
    const data =
      base === null ? firstMembership(view, nodeCount) : membership(view, base, nodeCount)
    return { descriptor: EVENT.newMembership, data }
  }

  /** What the nodes last agreed on may be wrong by now. */
  uncertain(nodeCount: number): MembershipNews | null {
    if (this.#last === null || this.#isUncertain) return null
    this.#isUncertain = true
    return this.#present(EVENT.notPrimary, this.#last, nodeCount)
  }

  /** What the nodes last agreed on is right, and was. */
  settled(nodeCount: number): MembershipNews | null {
    if (this.#last === null || !this.#isUncertain) return null
    this.#isUncertain = false
    return this.#present(EVENT.primaryRestored, this.#last, nodeCount)
  }

  /** What somebody is told who comes now. */
  initial(nodeCount: number): readonly MembershipNews[] {
    if (this.#last === null) return []
    const first = { descriptor: EVENT.newMembership, data: firstMembership(this.#last, nodeCount) }
    if (!this.#isUncertain) return [first]
    return [first, this.#present(EVENT.notPrimary, this.#last, nodeCount)]
  }

  #evicted(): MembershipNews | null {
    if (this.#last === null) return null
    this.#last = null
    this.#isUncertain = false
    return { descriptor: EVENT.evicted, data: null }
  }

  #present(descriptor: number, view: AgreedView, nodeCount: number): MembershipNews {
    return { descriptor, data: membership(view, view, nodeCount) }
  }
}

/** Oldest first; the same on all nodes. */
function byAge(a: OcEvNode, b: OcEvNode): number {
  return a.bornOn - b.bornOn || a.nodeId - b.nodeId
}

function isSame(a: AgreedView, b: AgreedView): boolean {
  if (a.members.length !== b.members.length) return false
  return a.members.every(({ nodeId, bornOn }, index) => {
    const other = b.members[index]
    return other?.nodeId === nodeId && other.bornOn === bornOn
  })
}

/** Everybody is new: the section of the new ones is the one of the members. */
function firstMembership({ instance, members }: AgreedView, nodeCount: number): OcEvMembership {
  const count = members.length
  return {
    kind: 'membership',
    instance,
    memberCount: count,
    memberIndex: 0,
    inCount: count,
    inIndex: 0,
    outCount: 0,
    outIndex: count + Math.max(nodeCount, count),
    nodes: [...members],
  }
}

/** Members from 0, then room for as many new ones, then as many as the model has nodes for those that are gone. */
function membership(view: AgreedView, base: AgreedView, nodeCount: number): OcEvMembership {
  const added = without(view.members, base.members)
  const gone = without(base.members, view.members)
  const inIndex = view.members.length
  const outIndex = inIndex + Math.max(nodeCount, inIndex)
  const nodes: (OcEvNode | null)[] = [...view.members, ...added]
  if (gone.length > 0) {
    while (nodes.length < outIndex) nodes.push(null)
    nodes.push(...gone)
  }
  return {
    kind: 'membership',
    instance: view.instance,
    memberCount: view.members.length,
    memberIndex: 0,
    inCount: added.length,
    inIndex,
    outCount: gone.length,
    outIndex,
    nodes,
  }
}

/** By number alone: one that left and came back in between is in neither list. */
function without(nodes: readonly OcEvNode[], others: readonly OcEvNode[]): readonly OcEvNode[] {
  const known = new Set(others.map(({ nodeId }) => nodeId))
  return nodes.filter(({ nodeId }) => !known.has(nodeId))
}
