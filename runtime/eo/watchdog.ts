import { randomBytes } from 'node:crypto'
import { Worker } from 'node:worker_threads'
import {
  BUCKET_COUNT,
  bucketLimitUs,
  CELL,
  CELL_COUNT,
  monotonicMs,
  roundTripBucket,
  type WatchdogData,
} from './watchdog-cells.ts'

/** What {@link startWatchdog} is given. */
export interface WatchdogOptions {
  /** The agent's socket. */
  readonly socketPath: string
  readonly component: string
  readonly nodeId: number
  /** After which the agent calls a silent component dead; the beat follows from it. */
  readonly hungMs: number
  /** @defaultValue `hungMs` */
  readonly graceMs?: number
  /** See {@link WatchdogData}. @defaultValue 0 */
  readonly leaseMs?: number
  /** 0: not checked. */
  readonly parentPid: number
  /** The watchdog itself failed: nobody would notice a hang any more, so the process must end. */
  readonly onFailure: (error: Error) => void
}

/** The watchdog as the thread has it that it judges. */
export interface WatchdogLink {
  /** Tells it the component's port, which beats carry as their source. */
  setPort(port: number): void
  /** Tells it whether the component holds an ACTIVE role: only then the lease counts. */
  setActive(active: boolean): void
  /** Tells it which function the judged thread enters; -1: none. Named when there is no progress. */
  setRunning(functionNumber: number): void
  /** Round trips of beats to the agent and back: p50 and p99 in us. */
  statistics(): Readonly<Record<string, number>>
  /** Ends it in order: beats stop, and the process lives on. */
  stop(): Promise<void>
}

/** A running watchdog, held by the main thread. It judges main until main hands over. */
export interface Watchdog extends WatchdogLink {
  /** Main is judged no more: another thread takes its place by {@link joinWatchdog} on these cells. */
  handOver(): Int32Array
}

/** The judged thread shows progress this often. */
const STAMP_INTERVAL_MS = 20
const BEAT_MS_MAX = 100
const BEAT_MS_MIN = 10

/** Starts the watchdog thread. The calling thread is the one that it judges, until it hands over. */
export function startWatchdog(options: WatchdogOptions): Watchdog {
  const cells = new Int32Array(new SharedArrayBuffer(4 * CELL_COUNT))
  const beatMs = Math.max(BEAT_MS_MIN, Math.min(BEAT_MS_MAX, Math.floor(options.hungMs / 4)))
  const data: WatchdogData = {
    socketPath: options.socketPath,
    component: options.component,
    caller: randomBytes(8).toString('hex'),
    nodeId: options.nodeId,
    beatMs,
    graceMs: options.graceMs ?? options.hungMs,
    leaseMs: options.leaseMs ?? 0,
    parentPid: options.parentPid,
    cells,
  }
  const stopStamping = keepStamping(cells)
  const worker = new Worker(new URL(import.meta.resolve('#dist/runtime/eo/watchdog-thread.js')), {
    workerData: data,
    execArgv: [],
    name: 'watchdog',
    resourceLimits: { maxOldGenerationSizeMb: 16, maxYoungGenerationSizeMb: 4 },
  })
  const ended = new Promise<void>((resolve) => {
    worker.once('exit', () => {
      resolve()
      if (Atomics.load(cells, CELL.stop) === 0)
        options.onFailure(new Error('the watchdog thread ended'))
    })
  })
  worker.once('error', (error) => {
    options.onFailure(error instanceof Error ? error : new Error(String(error)))
  })
  worker.unref()
  return {
    ...linkOf(cells),
    stop: async () => {
      stopStamping()
      Atomics.store(cells, CELL.stop, 1)
      void worker.terminate()
      await ended
    },
    handOver: () => {
      stopStamping()
      return cells
    },
  }
}

/** Makes the calling thread the one that a running watchdog judges. */
export function joinWatchdog(cells: Int32Array): WatchdogLink {
  const stopStamping = keepStamping(cells)
  return {
    ...linkOf(cells),
    stop: () => {
      stopStamping()
      Atomics.store(cells, CELL.stop, 1)
      return Promise.resolve()
    },
  }
}

function linkOf(cells: Int32Array): Omit<WatchdogLink, 'stop'> {
  return {
    setPort: (port) => {
      Atomics.store(cells, CELL.port, port)
    },
    setActive: (active) => {
      Atomics.store(cells, CELL.active, active ? 1 : 0)
    },
    // A plain store: twice a job, and the watchdog reads it only when nothing moves any more.
    setRunning: (functionNumber) => {
      cells[CELL.running] = functionNumber + 1
    },
    statistics: () => ({
      beatRoundTripP50Us: roundTripUs(cells, 0.5),
      beatRoundTripP99Us: roundTripUs(cells, 0.99),
      // Counts that only grow: two looks at them tell of the time between.
      beatRoundTrips: countAbove(cells, 0),
      beatRoundTripsOver1Ms: countAbove(cells, roundTripBucket(1_024) + 1),
    }),
  }
}

/** Beats that took longer than what the buckets before `first` count. */
function countAbove(cells: Int32Array, first: number): number {
  const counts = cells.subarray(CELL.roundTrips + first, CELL.roundTrips + BUCKET_COUNT)
  return counts.reduce((sum, count) => sum + count, 0)
}

/** 0 while no beat came back. */
function roundTripUs(cells: Int32Array, share: number): number {
  const counts = cells.subarray(CELL.roundTrips, CELL.roundTrips + BUCKET_COUNT)
  const total = counts.reduce((sum, count) => sum + count, 0)
  let seen = 0
  for (const [bucket, count] of counts.entries()) {
    seen += count
    if (total > 0 && seen >= share * total) return Math.round(bucketLimitUs(bucket))
  }
  return 0
}

function keepStamping(cells: Int32Array): () => void {
  const stamp = (): void => {
    // 0 stands for "not started": a stamp that happens to be 0 is moved by one.
    Atomics.store(cells, CELL.stamp, Math.floor(monotonicMs()) | 0 || 1)
  }
  stamp()
  const timer = setInterval(stamp, STAMP_INTERVAL_MS)
  return () => {
    clearInterval(timer)
  }
}
