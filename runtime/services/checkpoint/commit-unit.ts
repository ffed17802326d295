import type { SdkError } from '../../../idl/index.ts'
import type { Epoch } from '../../../ioc/index.ts'
import type { Call } from '../../eo/app.ts'
import type { CallKey } from './commit-gate.ts'
import type { TransactionView } from './checkpoint-view.ts'
import type { CachedReply } from './interface.ts'
import type { Transaction } from './transaction-table.ts'

/** Calls are known by their object. */
export type CallOf = Pick<Call, 'caller' | 'messageId'>

/** One call, one write outside any call, or one housekeeping record, until its commit is through. */
export interface CommitUnit {
  readonly key: CallKey | null
  /** Begun when the call first looks at the checkpoint. */
  transaction: Transaction | null
  view: TransactionView | null
  /** `finishing`: waits for calls whose writes it saw. `committing`: handed over; nobody takes it back any more. */
  phase: 'running' | 'finishing' | 'committing' | 'ended'
  reply: CachedReply | null
  /** Until when its owner waits. */
  deadlineMs: number
  resolve: (result: { epoch: Epoch }) => void
  reject: (error: SdkError) => void
}

/** @param key - of a call; null for what no caller waits for. */
export function newUnit(key: CallKey | null, deadlineMs: number): CommitUnit {
  return {
    key,
    transaction: null,
    view: null,
    phase: 'running',
    reply: null,
    deadlineMs,
    resolve: () => undefined,
    reject: () => undefined,
  }
}
