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
  readonly #self: OcEvNode
  /** What was last reported, and whether it had quorum. */
  #last: AgreedView | null = null
  #hasQuorum = true
  /** What the nodes last agreed on. */
  #agreed: AgreedView | null = null
  #isUncertain = false

  /** @param self - the local node, as it is before anybody agreed on it. */
  constructor(self: { readonly nodeId: number; readonly name: string }) {
    this.#self = { ...self, bornOn: 0 }
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
    if (!members.some(({ nodeId }) => nodeId === this.#self.nodeId)) return this.#evicted()
    this.#agreed = view
    return this.#reported(view, true, nodeCount)
  }

  /** What the nodes last agreed on may be wrong by now. */
  uncertain(nodeCount: number): MembershipNews | null {
    if (this.#last === null || this.#isUncertain) return null
    this.#isUncertain = true
    return this.#present(EVENT.notPrimary, this.#last, nodeCount)
  }

  /**
   * A membership on which no quorum agreed. Only for reports that go to those who asked for these (`oc_ev_special` of
   * the library that was shipped); others stay uncertain.
   */
  withoutQuorum({ instance, members }: AgreedView, nodeCount: number): MembershipNews | null {
    return this.#reported({ instance, members: members.toSorted(byAge) }, false, nodeCount)
  }

  /** Who is left of what was agreed on. @param isConnected - whether the local node hears another one. */
  left(isConnected: (nodeId: number) => boolean): AgreedView {
    const { nodeId: self } = this.#self
    const { instance, members } = this.#agreed ?? { instance: 0, members: [this.#self] }
    return {
      instance,
      members: members.filter(({ nodeId }) => nodeId === self || isConnected(nodeId)),
    }
  }

  /** What the nodes last agreed on is right, and was. */
  settled(nodeCount: number): MembershipNews | null {
    if (this.#agreed === null) return null
    if (!this.#hasQuorum) return this.#reported(this.#agreed, true, nodeCount)
    return this.#restored(nodeCount)
  }

  /** What somebody is told who comes now. */
  initial(nodeCount: number): readonly MembershipNews[] {
    if (this.#last === null) return []
    const descriptor = this.#hasQuorum ? EVENT.newMembership : EVENT.invalid
    const first = { descriptor, data: firstMembership(this.#last, nodeCount) }
    if (!this.#isUncertain) return [first]
    return [first, this.#present(EVENT.notPrimary, this.#last, nodeCount)]
  }

  /** The table of OCF events, section 7.3. */
  #reported(view: AgreedView, hasQuorum: boolean, nodeCount: number): MembershipNews | null {
    const base = this.#last
    const isKnown = base !== null && isSame(base, view) && hasQuorum === this.#hasQuorum
    this.#last = view
    this.#hasQuorum = hasQuorum
    if (isKnown) return this.#restored(nodeCount)
    this.#isUncertain = false
    const data =
      base === null ? firstMembership(view, nodeCount) : membership(view, base, nodeCount)
    return { descriptor: hasQuorum ? EVENT.newMembership : EVENT.invalid, data }
  }

  #restored(nodeCount: number): MembershipNews | null {
    if (this.#last === null || !this.#isUncertain) return null
    this.#isUncertain = false
    return this.#present(EVENT.primaryRestored, this.#last, nodeCount)
  }

  #evicted(): MembershipNews | null {
    this.#agreed = null
    if (this.#last === null) return null
    this.#last = null
    this.#hasQuorum = true
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
