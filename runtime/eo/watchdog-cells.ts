/** What the watchdog thread is started with. */
export interface WatchdogData {
  readonly socketPath: string
  readonly component: string
  /** 16 hex digits for the hello. */
  readonly caller: string
  readonly nodeId: number
  readonly beatMs: number
  /** Without an agent for this long, the process is ended. */
  readonly graceMs: number
  /** 0: not checked. */
  readonly parentPid: number
  /** See {@link CELL}. */
  readonly cells: Int32Array
}

/** Cells of the memory that the judged thread and the watchdog share. */
export const CELL = {
  /** The judged thread's progress: {@link monotonicMs} of its last sign of life, as a 32-bit integer. */
  stamp: 0,
  /** The component's port; 0 until it is open. */
  port: 1,
  /** 1: the component ends in order, and no beat is missed any more. */
  stop: 2,
} as const
export const CELL_COUNT = 4

/** Monotonic milliseconds, the same on every thread (performance.now() counts from the thread's start). */
export function monotonicMs(): number {
  const [seconds, nanoseconds] = process.hrtime()
  return seconds * 1_000 + nanoseconds / 1e6
}
