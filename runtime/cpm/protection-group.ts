import { SdkError } from '../../idl/index.ts'
import type { HaReadiness, HaState, ProtectionGroup } from './interface.ts'

/**
 * What a tracker wants. `CURRENT`: the group as it is now, given back by the call. `CHANGES`: the whole group at each
 * change. `CHANGES_ONLY`: only those that changed. The last two exclude each other. SAF AMF B.04.01,
 * saAmfProtectionGroupTrack.
 */
export type TrackFlag = 'CURRENT' | 'CHANGES' | 'CHANGES_ONLY'

/** What happened to a member since the tracker last heard of the group. */
export type MemberChange = 'NO_CHANGE' | 'ADDED' | 'REMOVED' | 'STATE_CHANGE'

/** One component of a protection group, as a tracker hears of it. */
export interface ProtectionGroupMember {
  readonly component: string
  readonly haState: HaState
  readonly haReadiness: HaReadiness
  /** Place in the order of take-over, from 1; 0 unless STANDBY. */
  readonly rank: number
  readonly change: MemberChange
}

/** News about the components that have a CSI. */
export interface ProtectionGroupNotification {
  readonly csi: string
  /** All members, or those that changed; one that was removed is shown with what it last had. */
  readonly members: readonly ProtectionGroupMember[]
  /** Members that the group has now, whatever the list shows. */
  readonly numberOfMembers: number
}

type Member = ProtectionGroup['members'][number]

/** What tracking asks for, out of its flags. @param what - names them in errors. @throws SdkError BAD_FLAG. */
export function trackModeOf(
  flags: TrackFlag | readonly TrackFlag[],
  what = 'protectionGroupTrack: flags',
): {
  readonly current: boolean
  readonly changes: 'CHANGES' | 'CHANGES_ONLY' | null
} {
  const list: readonly string[] = typeof flags === 'string' ? [flags] : flags
  const unknown = list.find((flag) => !['CURRENT', 'CHANGES', 'CHANGES_ONLY'].includes(flag))
  if (unknown !== undefined) {
    const known = 'CURRENT, CHANGES and CHANGES_ONLY'
    throw new SdkError('BAD_FLAG', `${what}: ${unknown} is none of ${known}`)
  }
  if (list.length === 0) throw new SdkError('BAD_FLAG', `${what}: at least one is needed`)
  const whole = list.includes('CHANGES')
  const only = list.includes('CHANGES_ONLY')
  if (whole && only) {
    throw new SdkError('BAD_FLAG', `${what}: CHANGES and CHANGES_ONLY exclude each other`)
  }
  const changes = whole ? 'CHANGES' : only ? 'CHANGES_ONLY' : null
  return { current: list.includes('CURRENT'), changes }
}

/** Members with what happened to each, those that are gone last. */
export function membersSince(
  before: readonly Member[],
  now: readonly Member[],
): ProtectionGroupMember[] {
  const known = new Map(before.map((member) => [member.component, member]))
  const present = now.map((member): ProtectionGroupMember => {
    const old = known.get(member.component)
    known.delete(member.component)
    const change = old === undefined ? 'ADDED' : isSame(old, member) ? 'NO_CHANGE' : 'STATE_CHANGE'
    return { ...member, change }
  })
  const gone = [...known.values()].map((member) => ({ ...member, change: 'REMOVED' }) as const)
  return [...present, ...gone]
}

/** True when the first group is not later than the second. */
export function isNotLater(
  a: Pick<ProtectionGroup, 'term' | 'revision'>,
  b: Pick<ProtectionGroup, 'term' | 'revision'>,
): boolean {
  return a.term < b.term || (a.term === b.term && a.revision <= b.revision)
}

function isSame(a: Member, b: Member): boolean {
  return a.haState === b.haState && a.haReadiness === b.haReadiness && a.rank === b.rank
}
