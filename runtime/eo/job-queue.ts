import type { RmdPriority } from '../../ioc/index.ts'

/** What the queue looks at of a job. */
export interface QueuedJob {
  readonly priority: RmdPriority
  /** On the clock that `nowMs` is read from. */
  readonly deadlineMs: number
}

/** Bounds of a {@link JobQueue}. */
export interface JobQueueLimits {
  /** Jobs of one priority that may wait. */
  readonly queuedCountMax: number
  /** Jobs of one priority that may run at a time; `ordered` is always 1. */
  readonly runningCountMax: number
  /** Told when a queue fills up to the high mark, and when it is down at the low one again. */
  readonly watermarks?: QueueWatermarks
}

/** Marks of every queue, as counts of waiting jobs. */
export interface QueueWatermarks {
  readonly highCount: number
  readonly lowCount: number
  readonly onCrossing: (crossing: { type: 'HIGH' | 'LOW'; priority: RmdPriority }) => void
}

/** What became of jobs, since the queue was made. */
export interface JobQueueCounters {
  accepted: number
  overflowed: number
  expired: number
  started: number
  /** How often a queue reached its high mark. */
  watermarkHigh: number
}

/** First served first. Every {@link FAIRNESS_INTERVAL}th pick goes the other way, so that `low` never starves. */
const ORDER: readonly RmdPriority[] = [
  'reserved',
  'high',
  'notification',
  'ordered',
  'default',
  'low',
]
const REVERSE: readonly RmdPriority[] = [...ORDER].reverse()
const FAIRNESS_INTERVAL = 16

/**
 * Bounded priority queues of jobs: six, first in first out each. A core: time comes in, nothing is started here.
 *
 * I1 Jobs of one priority start in the order they were pushed. I2 At most one `ordered` job runs. I3 A job whose
 * deadline has passed is never handed out to run.
 */
export class JobQueue<T extends QueuedJob> {
  readonly counters: JobQueueCounters = {
    accepted: 0,
    overflowed: 0,
    expired: 0,
    started: 0,
    watermarkHigh: 0,
  }
  readonly #limits: JobQueueLimits
  readonly #lanes: Readonly<Record<RmdPriority, Lane<T>>>
  #queuedCount = 0
  #runningCount = 0
  #pickCount = 0

  constructor(limits: JobQueueLimits) {
    this.#limits = limits
    const lane = (): Lane<T> => new Lane<T>(limits.runningCountMax)
    this.#lanes = {
      reserved: lane(),
      high: lane(),
      notification: lane(),
      ordered: new Lane<T>(1),
      default: lane(),
      low: lane(),
    }
  }

  get queuedCount(): number {
    return this.#queuedCount
  }

  get runningCount(): number {
    return this.#runningCount
  }

  /** Takes a job in. False: its queue is full and the job was not taken (QUEUE_OVERFLOW). */
  push(job: T): boolean {
    const lane = this.#lanes[job.priority]
    if (lane.length >= this.#limits.queuedCountMax) {
      this.counters.overflowed++
      return false
    }
    lane.push(job)
    this.#queuedCount++
    this.counters.accepted++
    const { watermarks } = this.#limits
    if (watermarks !== undefined && !lane.isHigh && lane.length >= watermarks.highCount) {
      lane.isHigh = true
      this.counters.watermarkHigh++
      watermarks.onCrossing({ type: 'HIGH', priority: job.priority })
    }
    return true
  }

  /** Puts jobs that were handed out but never started back to the front, in their order, whatever the bound. */
  putBack(jobs: readonly T[]): void {
    for (let i = jobs.length - 1; i >= 0; i--) {
      const job = jobs[i]!
      this.#lanes[job.priority].unshift(job)
      this.#lanes[job.priority].runningCount--
      this.#queuedCount++
      this.#runningCount--
      this.counters.started--
    }
  }

  /**
   * The next job: `run` it and {@link release} its priority afterwards, or answer it as `expired`. Undefined when
   * nothing waits or every waiting priority runs as many as it may.
   */
  take(nowMs: number): { readonly kind: 'run' | 'expired'; readonly job: T } | undefined {
    if (this.#queuedCount === 0) return undefined
    const order = ++this.#pickCount % FAIRNESS_INTERVAL === 0 ? REVERSE : ORDER
    for (const priority of order) {
      const lane = this.#lanes[priority]
      if (lane.length === 0) continue
      const expired = lane.first.deadlineMs <= nowMs
      if (!expired && lane.runningCount >= lane.runningCountMax) continue
      const job = lane.shift()
      this.#queuedCount--
      if (lane.isHigh) this.#maybeLow(priority)
      if (expired) {
        this.counters.expired++
        return { kind: 'expired', job }
      }
      lane.runningCount++
      this.#runningCount++
      this.counters.started++
      return { kind: 'run', job }
    }
    return undefined
  }

  /** A job of that priority runs no more. */
  release(priority: RmdPriority): void {
    this.#lanes[priority].runningCount--
    this.#runningCount--
  }

  /** Takes out every waiting job that `drop` picks: by deadline, by table, or all. */
  remove(drop: (job: T) => boolean): T[] {
    if (this.#queuedCount === 0) return []
    const removed: T[] = []
    for (const priority of ORDER) this.#lanes[priority].remove(drop, removed)
    this.#queuedCount -= removed.length
    for (const priority of ORDER) if (this.#lanes[priority].isHigh) this.#maybeLow(priority)
    return removed
  }

  #maybeLow(priority: RmdPriority): void {
    const { watermarks } = this.#limits
    const lane = this.#lanes[priority]
    if (watermarks === undefined || lane.length > watermarks.lowCount) return
    lane.isHigh = false
    watermarks.onCrossing({ type: 'LOW', priority })
  }

  /** Takes out every waiting job whose deadline has passed, and counts it. */
  removeExpired(nowMs: number): T[] {
    const removed = this.remove((job) => job.deadlineMs <= nowMs)
    this.counters.expired += removed.length
    return removed
  }
}

/** One first-in-first-out lane: an array with a moving head. */
class Lane<T> {
  runningCount = 0
  isHigh = false
  readonly runningCountMax: number
  #items: T[] = []
  #head = 0

  constructor(runningCountMax: number) {
    this.runningCountMax = runningCountMax
  }

  get length(): number {
    return this.#items.length - this.#head
  }

  /** Only when `length` is not 0. */
  get first(): T {
    return this.#items[this.#head]!
  }

  push(item: T): void {
    this.#items.push(item)
  }

  unshift(item: T): void {
    if (this.#head > 0) this.#items[--this.#head] = item
    else this.#items.unshift(item)
  }

  shift(): T {
    const item = this.#items[this.#head]!
    this.#items[this.#head] = undefined as T
    this.#head++
    if (this.#head === this.#items.length) {
      this.#items = []
      this.#head = 0
    } else if (this.#head > 1_024 && this.#head * 2 > this.#items.length) {
      this.#items = this.#items.slice(this.#head)
      this.#head = 0
    }
    return item
  }

  remove(drop: (item: T) => boolean, removed: T[]): void {
    if (this.length === 0) return
    const kept: T[] = []
    for (let i = this.#head; i < this.#items.length; i++) {
      const item = this.#items[i]!
      ;(drop(item) ? removed : kept).push(item)
    }
    this.#items = kept
    this.#head = 0
  }
}
