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
  readonly #reserved: Lane<T>
  readonly #high: Lane<T>
  readonly #notification: Lane<T>
  readonly #ordered: Lane<T>
  readonly #default: Lane<T>
  readonly #low: Lane<T>
  readonly #lanes: readonly Lane<T>[]
  readonly #reversed: readonly Lane<T>[]
  #queuedCount = 0
  #runningCount = 0
  #pickCount = 0

  constructor(limits: JobQueueLimits) {
    this.#limits = limits
    const { runningCountMax } = limits
    this.#reserved = new Lane('reserved', runningCountMax)
    this.#high = new Lane('high', runningCountMax)
    this.#notification = new Lane('notification', runningCountMax)
    this.#ordered = new Lane('ordered', 1)
    this.#default = new Lane('default', runningCountMax)
    this.#low = new Lane('low', runningCountMax)
    this.#lanes = [
      this.#reserved,
      this.#high,
      this.#notification,
      this.#ordered,
      this.#default,
      this.#low,
    ]
    this.#reversed = [...this.#lanes].reverse()
  }

  get queuedCount(): number {
    return this.#queuedCount
  }

  get runningCount(): number {
    return this.#runningCount
  }

  /** Takes a job in. False: its queue is full and the job was not taken (QUEUE_OVERFLOW). */
  push(job: T): boolean {
    const lane = this.#laneOf(job.priority)
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

  /**
   * Takes a job in and hands it out in one, as {@link take} does. False: something waits, its priority runs as many as
   * it may, or its deadline has passed; then {@link push} it.
   */
  start(job: T, nowMs: number): boolean {
    const lane = this.#laneOf(job.priority)
    if (this.#queuedCount > 0 || lane.runningCount >= lane.runningCountMax) return false
    if (job.deadlineMs <= nowMs) return false
    this.counters.accepted++
    this.counters.started++
    lane.runningCount++
    this.#runningCount++
    return true
  }

  /** Puts jobs that were handed out but never started back to the front, in their order, whatever the bound. */
  putBack(jobs: readonly T[]): void {
    for (let i = jobs.length - 1; i >= 0; i--) {
      const job = jobs[i]!
      const lane = this.#laneOf(job.priority)
      lane.unshift(job)
      lane.runningCount--
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
    const lanes = ++this.#pickCount % FAIRNESS_INTERVAL === 0 ? this.#reversed : this.#lanes
    for (const lane of lanes) {
      if (lane.length === 0) continue
      const expired = lane.first.deadlineMs <= nowMs
      if (!expired && lane.runningCount >= lane.runningCountMax) continue
      const job = lane.shift()
      this.#queuedCount--
      if (lane.isHigh) this.#maybeLow(lane)
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
    this.#laneOf(priority).runningCount--
    this.#runningCount--
  }

  /** Takes out every waiting job that `drop` picks: by deadline, by table, or all. */
  remove(drop: (job: T) => boolean): T[] {
    if (this.#queuedCount === 0) return []
    const removed: T[] = []
    for (const lane of this.#lanes) lane.remove(drop, removed)
    this.#queuedCount -= removed.length
    for (const lane of this.#lanes) if (lane.isHigh) this.#maybeLow(lane)
    return removed
  }

  #maybeLow(lane: Lane<T>): void {
    const { watermarks } = this.#limits
    if (watermarks === undefined || lane.length > watermarks.lowCount) return
    lane.isHigh = false
    watermarks.onCrossing({ type: 'LOW', priority: lane.priority })
  }

  /** Not by a key that is different each time: the engine finds those only by searching. */
  #laneOf(priority: RmdPriority): Lane<T> {
    switch (priority) {
      case 'reserved':
        return this.#reserved
      case 'high':
        return this.#high
      case 'notification':
        return this.#notification
      case 'ordered':
        return this.#ordered
      case 'default':
        return this.#default
      case 'low':
        return this.#low
    }
  }

  /** Takes out every waiting job whose deadline has passed, and counts it. */
  removeExpired(nowMs: number): T[] {
    const removed = this.remove((job) => job.deadlineMs <= nowMs)
    this.counters.expired += removed.length
    return removed
  }
}

/** Places of a lane at first, and those that an empty one keeps at most: powers of two. */
const PLACES_MIN = 16
const PLACES_KEPT = 4_096

/** One first-in-first-out lane: a ring that grows. An array made anew for every burst would be work of each call. */
class Lane<T> {
  runningCount = 0
  isHigh = false
  length = 0
  readonly priority: RmdPriority
  readonly runningCountMax: number
  #places: (T | undefined)[] = places(PLACES_MIN)
  #head = 0

  constructor(priority: RmdPriority, runningCountMax: number) {
    this.priority = priority
    this.runningCountMax = runningCountMax
  }

  /** Only when `length` is not 0. */
  get first(): T {
    return this.#places[this.#head]!
  }

  push(item: T): void {
    if (this.length === this.#places.length) this.#move(this.length * 2)
    this.#places[(this.#head + this.length) & (this.#places.length - 1)] = item
    this.length++
  }

  unshift(item: T): void {
    if (this.length === this.#places.length) this.#move(this.length * 2)
    this.#head = (this.#head - 1) & (this.#places.length - 1)
    this.#places[this.#head] = item
    this.length++
  }

  shift(): T {
    const item = this.#places[this.#head]!
    this.#places[this.#head] = undefined
    this.#head = (this.#head + 1) & (this.#places.length - 1)
    this.length--
    if (this.length === 0 && this.#places.length > PLACES_KEPT) this.#move(PLACES_MIN)
    return item
  }

  remove(drop: (item: T) => boolean, removed: T[]): void {
    for (let count = this.length; count > 0; count--) {
      const item = this.shift()
      if (drop(item)) removed.push(item)
      else this.push(item)
    }
  }

  #move(count: number): void {
    const old = this.#places
    const moved = places<T>(count)
    for (let i = 0; i < this.length; i++) moved[i] = old[(this.#head + i) & (old.length - 1)]
    this.#places = moved
    this.#head = 0
  }
}

const places = <T>(count: number): (T | undefined)[] =>
  new Array<T | undefined>(count).fill(undefined)
