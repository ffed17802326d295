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
  /** While ACTIVE without an answered beat for this long, the process is ended. 0: no lease. */
  readonly leaseMs: number
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
  /** 1: the component holds an ACTIVE role, and needs its lease. */
  active: 3,
  /** Number of the function that the judged thread is inside of, plus 1; 0: inside of none. */
  running: 4,
  /** Round trips of beats by {@link roundTripBucket}: {@link BUCKET_COUNT} cells from here. */
  roundTrips: 5,
} as const
export const BUCKET_COUNT = 32
export const CELL_COUNT = CELL.roundTrips + BUCKET_COUNT

/** Two buckets an octave, from 16 us on. */
export function roundTripBucket(us: number): number {
  const bucket = Math.ceil(2 * Math.log2(Math.max(16, us) / 16))
  return Math.min(BUCKET_COUNT - 1, bucket)
}

/** The longest round trip in us that a bucket counts. */
export function bucketLimitUs(bucket: number): number {
  return 16 * 2 ** (bucket / 2)
}

/** Monotonic milliseconds, the same on every thread (performance.now() counts from the thread's start). */
export function monotonicMs(): number {
  const [seconds, nanoseconds] = process.hrtime()
  return seconds * 1_000 + nanoseconds / 1e6
}
