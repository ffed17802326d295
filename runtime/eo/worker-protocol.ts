import type { MessagePort } from 'node:worker_threads'
import type { EoIdentity } from './my-eo.ts'

/** Between the EO and a worker thread. Plain data only; both ends are of the same build. */

/** The one piscina task that a worker gets: it serves jobs from the port until the port closes. */
export interface WorkerSession {
  /** The EO that the thread is bound to: what `myEo()` answers there. */
  readonly eo: EoIdentity
  readonly port: MessagePort
  /** One 32-bit cell a job slot, see {@link SLOT}. Survives the worker. */
  readonly slots: Int32Array
  /** Loaded before the first job. One that fails to load is reported by the jobs that need it. */
  readonly modules: readonly string[]
}

/** What a slot's cell says of its job. The worker claims a job by exchanging WAITING for RUNNING. */
export const SLOT = { FREE: 0, WAITING: 1, RUNNING: 2, WITHDRAWN: 3 } as const

/** Jobs that one worker may hold. */
export const SLOT_COUNT = 128

/** The call's context on its way to a worker. The deadline is wall-clock time: monotonic clocks differ by thread. */
export interface WorkerCall {
  readonly source: { readonly node: number; readonly port: number }
  readonly caller: string
  readonly messageId: number
  readonly priority: string
  readonly deadlineEpochMs: number
  readonly epoch: number
  /** Left out where there is none: every field is cloned for every job. */
  readonly trace?: string
}

/** One job: slot, module, exported function, input, context. */
export type WorkerJobMessage = readonly [
  slot: number,
  module: string,
  name: string,
  input: unknown,
  call: WorkerCall,
]

/** The slot of a job whose caller waits no more. It comes on the port of the jobs: before the slot is used again. */
export type WorkerCancelMessage = number

/** Answer to one job, posted at once so that a worker's death takes no finished job along. */
export type WorkerAnswer =
  | readonly [slot: number, ok: true, value: unknown, elapsedMs: number]
  | readonly [slot: number, ok: false, error: WorkerErrorMessage, elapsedMs: number]
  /** The worker module has no such function, or does not load. */
  | readonly [slot: number, ok: null, message: string, elapsedMs: number]
  /** The EO had taken the job back: the slot is free again. */
  | readonly [slot: number, ok: 'skipped', nothing: null, elapsedMs: 0]

/** An error as it crosses threads; `code` where it was an SdkError. */
export interface WorkerErrorMessage {
  readonly code: string | null
  readonly name: string
  readonly message: string
  readonly stack: string
  readonly context: Readonly<Record<string, unknown>>
}
