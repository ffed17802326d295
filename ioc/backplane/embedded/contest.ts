import type { ProcessIdentity } from '../backplane.ts'
import type { LeaderRecord } from './leader-record.ts'

/** What a node that has no leader does next. */
export type ContestStep =
  /** Set { this node, term + 1 }: nobody can lead. */
  | { readonly kind: 'claim'; readonly why: string }
  /** Kill the recorded leader and see that it is gone. */
  | { readonly kind: 'fence'; readonly why: string }
  | { readonly kind: 'follow'; readonly why: string }

export interface ContestFacts {
  readonly record: LeaderRecord | null
  readonly self: { readonly node: string; readonly process: ProcessIdentity }
  /** Whether the recorded leader's process runs now. */
  readonly leaderAlive: boolean
  /** The term whose leader this node could not hear, 0 when there is none. */
  readonly unheardTerm: number
}

/**
 * Decides from the record as it is now: a leader that was unheard is only fenced while the record
 * still names it, since another node may have done so already and lead.
 */
export function decideContest({
  record,
  self,
  leaderAlive,
  unheardTerm,
}: ContestFacts): ContestStep {
  if (record === null) return { kind: 'claim', why: 'there was no leader yet' }
  if (record.released) return { kind: 'claim', why: `${record.node} gave the leadership up` }
  if (!leaderAlive) return { kind: 'claim', why: `the process of ${record.node} is gone` }
  if (record.node === self.node && isProcess(record.process, self.process)) {
    return { kind: 'claim', why: 'the leader was an earlier start in this process' }
  }
  if (record.term === unheardTerm) return { kind: 'fence', why: `${record.node} is not heard` }
  return { kind: 'follow', why: `${record.node} leads` }
}

function isProcess(a: ProcessIdentity, b: ProcessIdentity): boolean {
  return a.pid === b.pid && a.startTime === b.startTime && a.bootId === b.bootId
}
