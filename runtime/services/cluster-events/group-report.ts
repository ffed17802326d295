import type { GroupEffect } from '../group/group-content.ts'
import type { GroupMember, GroupNotification } from '../group/interface.ts'
import { EVENT } from './descriptor.ts'
import type { OcEvGroup, OcEvGroupMember } from './interface.ts'

/** An event of the group class. */
export interface GroupNews {
  readonly descriptor: number
  readonly data: OcEvGroup
}

/**
 * Which events of the group class follow from the views of groups and the messages to them. A core. What came and went
 * is the difference of two views, so that a node that was away misses no member.
 */
export class GroupReport {
  /** Of each group that has members: those, by number. */
  readonly #groups = new Map<number, ReadonlyMap<number, GroupMember>>()

  take(effect: GroupEffect): readonly GroupNews[] {
    if (effect.kind === 'view') return this.#viewed(effect.notification)
    // The views before it have said so.
    if (effect.kind === 'ejected') return []
    const { group, from, data: message } = effect.message
    return [{ descriptor: EVENT.cast, data: { kind: 'groupMessage', group, from, message } }]
  }

  #viewed({ group, viewNumber, items }: GroupNotification): readonly GroupNews[] {
    if (group === null) return []
    const before = this.#groups.get(group) ?? new Map<number, GroupMember>()
    const present = items.filter(({ change }) => change !== 'LEFT').map(({ member }) => member)
    const now = new Map(present.map((member) => [member.memberId, member]))
    if (now.size === 0) this.#groups.delete(group)
    else this.#groups.set(group, now)
    const news = (descriptor: number, changed: readonly GroupMember[]): GroupNews[] => {
      if (changed.length === 0) return []
      const members = present.map(summary)
      const data = { group, viewNumber, changed: changed.map(summary), members }
      return [{ descriptor, data: { kind: 'groupView', ...data } }]
    }
    return [...news(EVENT.leave, without(before, now)), ...news(EVENT.join, without(now, before))]
  }
}

function without(
  members: ReadonlyMap<number, GroupMember>,
  others: ReadonlyMap<number, GroupMember>,
): readonly GroupMember[] {
  return [...members.values()].filter(({ memberId, initialViewNumber }) => {
    return others.get(memberId)?.initialViewNumber !== initialViewNumber
  })
}

function summary({ memberId, name, nodeId }: GroupMember): OcEvGroupMember {
  return { memberId, name, nodeId }
}
