import type { MessagePort } from 'node:worker_threads'
import type { RmdPriority } from '../../ioc/index.ts'
import type { EoIdentity } from './my-eo.ts'

/** Between the EO and a worker thread. Plain data only; both ends are of the same build. */

/** The one piscina task that a worker gets: it serves jobs from the port until the port closes. */
export interface SessionTask {
  /** The EO that the thread is bound to: what `myEo()` answers there. */
  readonly eo: EoIdentity
  readonly port: MessagePort
  /** One 32-bit cell a job slot, see {@link SLOT}. Survives the worker. */
  readonly slots: Int32Array
  /** {@link NUMBER_COUNT} numbers a job slot, see {@link NUMBER}: shared memory costs no clone. */
  readonly numbers: Float64Array
  /** Loaded before the first job. One that fails to load is reported by the jobs that need it. */
  readonly modules: readonly string[]
}

/** What a slot's cell says of its job. The worker claims a job by exchanging WAITING for RUNNING. */
export const SLOT = { FREE: 0, WAITING: 1, RUNNING: 2, WITHDRAWN: 3 } as const

/** Where the numbers of a slot's job are: the EO writes them before the job leaves, ELAPSED_MS is the worker's. */
export const NUMBER = {
  /** Place of its module in the chunk's `functions`. */
  FUNCTION: 0,
  SOURCE_NODE: 1,
  SOURCE_PORT: 2,
  MESSAGE_ID: 3,
  /** Place in {@link PRIORITIES}. */
  PRIORITY: 4,
  DEADLINE_EPOCH_MS: 5,
  EPOCH: 6,
  ELAPSED_MS: 7,
} as const
export const NUMBER_COUNT = 8

export const PRIORITIES: readonly RmdPriority[] = [
  'default',
  'high',
  'low',
  'ordered',
  'notification',
  'reserved',
]

/** The call's context on its way to a worker. The deadline is wall-clock time: monotonic clocks differ by thread. */
export interface WorkerCall {
  readonly source: { readonly node: number; readonly port: number }
  readonly caller: string
  readonly messageId: number
  readonly priority: RmdPriority
  readonly deadlineEpochMs: number
  readonly epoch: number
  readonly trace?: string
}

/**
 * Jobs that leave together, as columns and not as objects: those cost their keys for each job, and three times as much
 * to clone.
 */
export interface WorkerChunk {
  /** Module, exported function, in turns: each function once. */
  readonly functions: string[]
  readonly slots: number[]
  readonly inputs: unknown[]
  readonly callers: string[]
  /** By slot, of those that have one. */
  readonly traces: Record<number, string>
}

/** The slot of a job whose caller waits no more. It comes on the port of the jobs: before the slot is used again. */
export type WorkerCancelMessage = number

/** Answer to one job, posted at once so that a worker's death takes no finished job along. */
export type WorkerAnswer =
  | readonly [slot: number, value: unknown]
  | readonly [slot: number, kind: 'threw', error: WorkerErrorMessage]
  /** The worker module has no such function, or does not load. */
  | readonly [slot: number, kind: 'missing', message: string]
  /** The EO had taken the job back: the slot is free again. */
  | readonly [slot: number, kind: 'skipped', nothing: null]

/** An error as it crosses threads; `code` where it was an SdkError. */
export interface WorkerErrorMessage {
  readonly code: string | null
  readonly name: string
  readonly message: string
  readonly stack: string
  readonly context: Readonly<Record<string, unknown>>
}
