import type { GroupMember, GroupMemberChange, GroupNotification } from './interface.ts'
import { electLeader } from './leader.ts'
import type { MemberOwner, ViewSnapshot } from './operations.ts'

export interface ViewMember {
  readonly member: GroupMember
  readonly owner: MemberOwner
}

/**
 * The members of one group, or of the cluster, oldest first. A core.
 *
 * I1 Each change is one view with the next number. I2 From the first election on somebody leads whenever somebody may.
 */
export class View {
  readonly #group: number | null
  readonly #rank: (member: GroupMember) => number
  #members: ViewMember[] = []
  #viewNumber = 0
  #leader: number | null = null
  #deputy: number | null = null
  #hasElected: boolean

  /** @param electsAtOnce - false: nobody leads before `elect`. */
  constructor(group: number | null, rank: (member: GroupMember) => number, electsAtOnce: boolean) {
    this.#group = group
    this.#rank = rank
    this.#hasElected = electsAtOnce
  }

  get members(): readonly ViewMember[] {
    return this.#members
  }

  get viewNumber(): number {
    return this.#viewNumber
  }

  get hasElected(): boolean {
    return this.#hasElected
  }

  find(memberId: number): ViewMember | undefined {
    return this.#members.find(({ member }) => member.memberId === memberId)
  }

  /** The view as it is. */
  current(): GroupNotification {
    return this.#notification(new Map(), [], false)
  }

  join(
    member: Omit<GroupMember, 'initialViewNumber' | 'isCurrentLeader' | 'isPreferredLeader'>,
    owner: MemberOwner,
  ): GroupNotification {
    const initialViewNumber = this.#viewNumber + 1
    const flags = { isCurrentLeader: false, isPreferredLeader: false }
    this.#members.push({ member: { ...member, initialViewNumber, ...flags }, owner })
    return this.#next(new Map([[member.memberId, 'JOINED']]), [])
  }

  /** A member has another name or credential from now on. */
  reconfigure(memberId: number, to: Pick<GroupMember, 'name' | 'credential'>): GroupNotification {
    this.#members = this.#members.map((one) =>
      one.member.memberId === memberId ? { ...one, member: { ...one.member, ...to } } : one,
    )
    return this.#next(new Map([[memberId, 'RECONFIGURED']]), [])
  }

  /** @returns null when nobody left. */
  leave(isGone: (one: ViewMember) => boolean): GroupNotification | null {
    const gone = this.#members.filter(isGone)
    if (gone.length === 0) return null
    this.#members = this.#members.filter((one) => !gone.includes(one))
    return this.#next(
      new Map(),
      gone.map(({ member }) => member),
    )
  }

  /** @param preferred - preferred from now on, in place of any other; null: as it is. */
  elect(preferred: number | null): GroupNotification {
    this.#hasElected = true
    if (preferred === null) return this.#next(new Map(), [])
    this.#members = this.#members.map((one) => ({
      ...one,
      member: { ...one.member, isPreferredLeader: one.member.memberId === preferred },
    }))
    return this.#next(new Map([[preferred, 'LEADER_ELECT_API_REQUEST']]), [])
  }

  snapshot(): ViewSnapshot {
    return {
      viewNumber: this.#viewNumber,
      hasElected: this.#hasElected,
      leader: this.#leader,
      deputy: this.#deputy,
      members: [...this.#members],
    }
  }

  restore({ viewNumber, hasElected, leader, deputy, members }: ViewSnapshot): void {
    this.#viewNumber = viewNumber
    this.#hasElected = hasElected
    this.#leader = leader
    this.#deputy = deputy
    this.#members = [...members]
  }

  #next(
    changes: ReadonlyMap<number, GroupMemberChange>,
    gone: readonly GroupMember[],
  ): GroupNotification {
    this.#viewNumber++
    const before = this.#leader
    if (this.#hasElected) {
      const elected = electLeader(
        this.#members.map(({ member }) => member),
        this.#rank,
      )
      this.#leader = elected.leader
      this.#deputy = elected.deputy
    }
    this.#members = this.#members.map(({ member, owner }) => ({
      member: { ...member, isCurrentLeader: member.memberId === this.#leader },
      owner,
    }))
    return this.#notification(changes, gone, this.#leader !== before)
  }

  #notification(
    changes: ReadonlyMap<number, GroupMemberChange>,
    gone: readonly GroupMember[],
    leadershipChanged: boolean,
  ): GroupNotification {
    const present = this.#members.map(({ member }) => ({
      member,
      change: changes.get(member.memberId) ?? ('NO_CHANGE' as const),
    }))
    const left = gone.map((member) => ({
      member: { ...member, isCurrentLeader: false },
      change: 'LEFT' as const,
    }))
    return {
      group: this.#group,
      viewNumber: this.#viewNumber,
      items: [...present, ...left],
      leader: this.#leader,
      deputy: this.#deputy,
      leadershipChanged,
    }
  }
}
