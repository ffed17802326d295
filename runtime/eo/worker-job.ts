import type { SdkError } from '../../idl/index.ts'
import type { RmdPriority } from '../../ioc/index.ts'
import type { WorkerCall, WorkerErrorMessage } from './worker-protocol.ts'

/** One job for a worker. Exactly one of `done` and `failed` is called, once. */
export interface WorkerJob {
  readonly module: string
  readonly name: string
  /** What people call it: `Sequence.next`. */
  readonly where: () => string
  readonly input: unknown
  readonly call: WorkerCall
  readonly priority: RmdPriority
  readonly deadlineMs: number
  done(value: unknown): void
  /** `died`: the worker ended while it ran this job. */
  failed(error: SdkError | WorkerFailure, died: boolean): void
}

/** What a function on a worker threw. */
export class WorkerFailure extends Error {
  readonly stackText: string

  constructor(message: WorkerErrorMessage) {
    super(message.message)
    this.name = message.name
    this.stackText = message.stack
  }
}
