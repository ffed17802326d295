import type { Epoch, IncomingCall, RmdPriority } from '../../ioc/index.ts'
import type { CommitGate } from '../services/checkpoint/commit-gate.ts'
import type { Service } from './client-table.ts'
import type { EoCall } from './eo-call.ts'
import type { LinkedJob } from './live-jobs.ts'

/** One admitted call on its way through queue, function and commit. */
export interface Job extends LinkedJob<Job> {
  readonly incoming: IncomingCall
  readonly call: EoCall
  readonly service: Service
  /** Where its writes and its reply commit; undefined when its CSI has no checkpoint here. */
  readonly gate: CommitGate | undefined
  /** The CSI whose role lets it run; null when it needs none. */
  readonly csi: string | null
  /** Epoch of that role on admission. */
  readonly epoch: Epoch
  readonly priority: RmdPriority
  readonly deadlineMs: number
  /**
   * `abandoned`: it ran past its deadline, its caller has an answer, and it holds no place in the queue any more.
   * `streaming`: its items go out, and it holds no place in the queue any more. `committing`: its function is done.
   */
  stage: 'queued' | 'running' | 'abandoned' | 'streaming' | 'committing' | 'ended'
}
