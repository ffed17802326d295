import { isSdkError, SdkError } from '../../idl/index.ts'
import type { CallContext } from './call-context.ts'
import type { EoConfig } from './config.schema.ts'
import { EoCall } from './eo-call.ts'
import { asSdkError, JobAnswers, type JobCounters } from './job-answers.ts'
import { JobQueue } from './job-queue.ts'
import { JobStreams } from './job-streams.ts'
import { LiveJobs } from './live-jobs.ts'
import { OverdueJobs } from './overdue-jobs.ts'
import { watermarks } from './queue-watermarks.ts'
import type { Job } from './job.ts'
import type { EoIdentity } from './my-eo.ts'
import { Quarantine } from './quarantine.ts'
import { cancelled, isThenable, where } from './receiver.ts'
import type { WorkerFailure } from './worker-job.ts'
import { WorkerPool } from './worker-pool.ts'

/** What a {@link JobRunner} is given. */
export interface JobRunnerOptions {
  readonly config: Pick<
    EoConfig,
    | 'threads'
    | 'queueCountMax'
    | 'queueHighPercent'
    | 'queueLowPercent'
    | 'onWatermark'
    | 'overdueMs'
    | 'workerHeapMiB'
  >
  /** Monotonic milliseconds: the clock of deadlines. */
  readonly clock: () => number
  readonly log: (message: string, fields: Readonly<Record<string, unknown>>) => void
  /** What workers are bound to. */
  readonly identity: () => EoIdentity
  /** In which functions on the EO's thread run; left out: nobody asks for whom. */
  readonly context?: CallContext
  readonly onRunning?: (functionNumber: number) => void
  /** Told the names of the functions that are stuck, whenever those change. */
  readonly onStuck?: (functions: readonly string[]) => void
  readonly workerEntry?: URL
}

/** Functions of one priority that may be awaited at a time on the EO's thread. */
const RUNNING_COUNT_MAX = 1_024
/** The queue is drained for this long at most before input and output get their turn. */
const SLICE_MS = 2
/** A handler that ignores its deadline keeps its uncommitted writes this much longer. */
const ABANDONED_GRACE_MS = 10_000
const SLICE_CHECK_COUNT = 4

interface DrainWaiter {
  readonly csi: string | null
  readonly resolve: () => void
}

/**
 * Runs admitted jobs, on the EO's thread or on workers, and sends their answers through the commit gate.
 *
 * I1 A job ends once: answered, or given up with its gate aborted. I2 A reply never leaves before its commit. I3 A job
 * that runs past its deadline gives its place in the queue back; what it does then still commits or aborts whole.
 */
export class JobRunner {
  readonly #counters: JobCounters = {
    replied: 0,
    failed: 0,
    abandoned: 0,
    cancelled: 0,
    commitFailed: 0,
  }
  readonly #options: JobRunnerOptions
  readonly #queue: JobQueue<Job>
  readonly #quarantine = new Quarantine({ deathCountMax: 2, windowMs: 60_000, jobCountMax: 1_000 })
  /** Admitted and not answered. */
  readonly #live = new LiveJobs<Job>()
  readonly #overdue: OverdueJobs<Job>
  /** Names of stuck functions, as they were told last. */
  #stuck: readonly string[] = []
  #drainWaiters: DrainWaiter[] = []
  #pool: WorkerPool | undefined
  #scheduled = false
  readonly #answers: JobAnswers
  readonly #streams: JobStreams

  constructor(options: JobRunnerOptions) {
    this.#options = options
    this.#queue = new JobQueue({
      queuedCountMax: options.config.queueCountMax,
      runningCountMax: RUNNING_COUNT_MAX,
      watermarks: watermarks('eo', options),
    })
    this.#overdue = new OverdueJobs(options.config.overdueMs)
    const counters = this.#counters
    const ended = (job: Job): void => this.#end(job)
    this.#answers = new JobAnswers({ counters, log: options.log, ended })
    const { context } = options
    const answers = this.#answers
    this.#streams = new JobStreams({ answers, counters, ended, ...(context && { context }) })
  }

  /** Prepares workers for the functions of a module. */
  place(module: string): void {
    this.#pool ??= new WorkerPool({
      threads: this.#options.config.threads,
      queueCountMax: this.#options.config.queueCountMax,
      heapMiB: this.#options.config.workerHeapMiB,
      overdueMs: this.#options.config.overdueMs,
      watermarks: watermarks('worker', this.#options),
      identity: this.#options.identity,
      clock: this.#options.clock,
      log: this.#options.log,
      ...(this.#options.workerEntry === undefined ? {} : { entry: this.#options.workerEntry }),
    })
    this.#pool.place(module)
  }

  /**
   * Takes an admitted job. False: its queue is full.
   * @param isAlone - no call came with it that could go first: when none waits either, it runs before this returns.
   */
  accept(job: Job, isAlone: boolean): boolean {
    this.#live.add(job)
    if (isAlone && this.#isStarted(job)) {
      this.#run(job)
      return true
    }
    const taken = isQueuedHere(job) ? this.#toQueue(job) : this.#toWorker(job)
    if (!taken) this.#live.delete(job)
    return taken
  }

  /** Calls that are not answered, and functions that run on after their answer: what `sweep` looks at. */
  get liveCount(): number {
    return this.#live.size + this.#overdue.count + (this.#pool?.runningCount ?? 0)
  }

  /** Resolves when no job of the CSI (of any, when null) is queued, running or committing. */
  drained(csi: string | null): Promise<void> {
    if (!this.#isBusy(csi)) return Promise.resolve()
    return new Promise((resolve) => {
      this.#drainWaiters.push({ csi, resolve })
    })
  }

  /**
   * The caller of a call waits no more. One that waits in a queue is dropped; the signal of one that runs aborts, on a
   * worker too, and what it does then still commits or aborts whole.
   */
  cancel(caller: string, messageId: number): void {
    const job = this.#live.find(
      ({ incoming }) => incoming.messageId === messageId && incoming.caller === caller,
    )
    if (job === undefined) return
    this.#counters.cancelled++
    const error = cancelled(job.service)
    if (this.#queue.remove((queued) => queued === job).length > 0) this.#answers.giveUp(job, error)
    else {
      EoCall.abort(job.call, error)
      if (job.service.placement.kind === 'worker') this.#pool?.cancel(caller, messageId, error)
    }
  }

  /** Ends the streams of a CSI whose role goes: nobody waits for their end. */
  endStreams(csi: string): void {
    for (const job of this.#live.all()) {
      if (job.stage !== 'streaming' || job.csi !== csi) continue
      const message = `${where(job.service)}: the component holds the role no more`
      job.incoming.fail(new SdkError('NOT_ACTIVE', message, { mayHaveRun: true }), job.epoch)
    }
  }

  /** Answers what passed its deadline. The EO calls it every few ms while there is work. */
  sweep(nowMs: number): void {
    for (const job of this.#queue.removeExpired(nowMs)) this.#expire(job)
    // Before the alarm is looked at: it is raised for a function on a worker before its thread ends.
    this.#pool?.sweep(nowMs)
    for (const job of this.#overdue.sweep(nowMs)) {
      const overdueMs = Math.round(nowMs - job.deadlineMs)
      this.#options.log('a function is stuck', { function: where(job.service), overdueMs })
    }
    this.#tellStuck()
    for (const job of this.#live.all()) {
      if (job.deadlineMs > nowMs) continue
      if (job.stage === 'running') this.#abandon(job)
      else if (job.stage === 'streaming') job.incoming.fail(timedOut(job))
    }
  }

  /** Fails what is left and ends the workers. */
  async close(): Promise<void> {
    for (const job of this.#queue.remove(() => true)) {
      this.#answers.giveUp(
        job,
        new SdkError('NOT_ACTIVE', `${where(job.service)}: the component stops`),
      )
    }
    for (const job of this.#live.all()) {
      if (job.stage === 'ended') continue
      const error = new SdkError('INTERRUPT', 'the component stops')
      EoCall.abort(job.call, error)
      if (job.stage === 'streaming') job.incoming.fail(error)
    }
    await this.#pool?.close()
  }

  statistics(): Readonly<Record<string, number>> {
    return {
      jobsLive: this.#live.size,
      jobsQueued: this.#queue.queuedCount,
      jobsRunning: this.#queue.runningCount,
      jobsStarted: this.#queue.counters.started,
      jobsOverflowed: this.#queue.counters.overflowed,
      jobsExpired: this.#queue.counters.expired,
      watermarkHigh: this.#queue.counters.watermarkHigh,
      ...this.#stuckCounts(),
      streamsOpen: this.#streams.openCount,
      ...this.#counters,
      ...prefixed('worker.', this.#pool?.statistics() ?? {}),
    }
  }

  #isStarted(job: Job): boolean {
    if (this.#scheduled || !isQueuedHere(job)) return false
    return this.#queue.start(job, this.#options.clock())
  }

  #toQueue(job: Job): boolean {
    if (!this.#queue.push(job)) return false
    if (!this.#scheduled) {
      this.#scheduled = true
      process.nextTick(this.#drain)
    }
    return true
  }

  readonly #drain = (): void => {
    // Still scheduled while it runs: a job that ends inside must not schedule another drain that skips the slice's end.
    const nowMs = this.#options.clock()
    for (let count = 1; ; count++) {
      const taken = this.#queue.take(nowMs)
      if (taken === undefined) {
        this.#scheduled = false
        return
      }
      if (taken.kind === 'expired') this.#expire(taken.job)
      else this.#run(taken.job)
      if (count % SLICE_CHECK_COUNT !== 0 || this.#options.clock() - nowMs < SLICE_MS) continue
      setImmediate(this.#drain)
      return
    }
  }

  #run(job: Job): void {
    job.stage = 'running'
    if (job.service.placement.kind === 'worker') {
      if (this.#toWorker(job)) return
      this.#leaveQueue(job)
      this.#answers.giveUp(job, workersFull(job))
      return
    }
    const { method, run } = job.service
    let input: unknown
    try {
      input = method.input.decode(job.incoming.payload)
    } catch (error) {
      this.#leaveQueue(job)
      this.#answers.giveUp(job, asSdkError(error, job))
      return
    }
    this.#options.onRunning?.(method.functionNumber)
    try {
      const { context } = this.#options
      const output =
        context === undefined
          ? run!(input, job.call)
          : context.run(job.call, () => run!(input, job.call))
      this.#options.onRunning?.(-1)
      if (job.service.method.stream) {
        this.#leaveQueue(job)
        this.#streams.open(job, output)
      } else if (isThenable(output)) {
        output.then(
          (value) => {
            this.#finished(job, value)
          },
          (error: unknown) => {
            this.#threw(job, error)
          },
        )
      } else this.#finished(job, output)
    } catch (error) {
      this.#options.onRunning?.(-1)
      this.#threw(job, error)
    }
  }

  #toWorker(job: Job): boolean {
    const { service, incoming, call } = job
    const { placement, method } = service
    if (placement.kind !== 'worker' || this.#pool === undefined) return false
    const nowMs = this.#options.clock()
    if (this.#quarantine.refuses(incoming.functionNumber, incoming.payload, nowMs)) {
      const message = `${where(service)}: a job like this ended several workers and is not run again`
      this.#leaveQueue(job)
      this.#answers.giveUp(job, new SdkError('JOB_QUARANTINED', message))
      return true
    }
    let input: unknown
    try {
      input = method.input.decode(incoming.payload)
    } catch (error) {
      this.#leaveQueue(job)
      this.#answers.giveUp(job, asSdkError(error, job))
      return true
    }
    job.stage = 'running'
    return this.#pool.submit({
      module: placement.module,
      name: method.name,
      where: () => where(service),
      input,
      call: {
        source: call.source,
        caller: call.caller,
        messageId: call.messageId,
        priority: call.priority,
        deadlineEpochMs: performance.timeOrigin + call.deadlineMs,
        epoch: call.epoch,
        ...(call.trace === undefined ? undefined : { trace: call.trace }),
      },
      priority: job.priority,
      deadlineMs: job.deadlineMs,
      done: (value) => {
        this.#finished(job, value)
      },
      failed: (error, died) => {
        this.#workerFailed(job, error, died)
      },
    })
  }

  #workerFailed(job: Job, error: SdkError | WorkerFailure, died: boolean): void {
    if (died) {
      const { functionNumber, payload } = job.incoming
      this.#quarantine.recordDeath(functionNumber, payload, this.#options.clock())
    }
    const isOfPlatform = isSdkError(error) && PLATFORM_CODES.has(error.code)
    if (!isOfPlatform) return this.#threw(job, error)
    this.#leaveQueue(job)
    // A job that may have run keeps its answer: asked again, it must not run again.
    if (error.code === 'WORKER_DIED') this.#answers.error(job, error)
    else this.#answers.giveUp(job, error)
  }

  #finished(job: Job, output: unknown): void {
    this.#leaveQueue(job)
    this.#answers.finished(job, output)
  }

  #threw(job: Job, thrown: unknown): void {
    this.#leaveQueue(job)
    this.#answers.threw(job, thrown)
  }

  #expire(job: Job): void {
    const message = `${where(job.service)}: waited past its deadline`
    this.#answers.giveUp(job, new SdkError('DEADLINE_PASSED', message))
  }

  #abandon(job: Job): void {
    const error = timedOut(job)
    this.#leaveQueue(job)
    job.stage = 'abandoned'
    if (job.service.placement.kind !== 'worker') this.#overdue.add(job, this.#options.clock())
    this.#counters.abandoned++
    EoCall.abort(job.call, error)
    job.incoming.fail(error)
    this.#live.delete(job)
    this.#wakeDrained()
    if (job.gate === null || job.gate === undefined) return
    // What it wrote and never finished must not hold up every later call that touches it.
    setTimeout(() => {
      if (job.stage === 'abandoned') job.gate?.abort(job.call)
    }, ABANDONED_GRACE_MS).unref()
  }

  #tellStuck(): void {
    const onWorkers = this.#pool?.stuck() ?? []
    if (this.#overdue.count + onWorkers.length + this.#stuck.length === 0) return
    const here = this.#overdue.stuck().map(({ service }) => where(service))
    const stuck = [...new Set([...here, ...onWorkers])].sort()
    if (stuck.join() === this.#stuck.join()) return
    this.#stuck = stuck
    this.#options.onStuck?.(stuck)
  }

  /** On the EO's thread and on workers. */
  #stuckCounts(): Readonly<Record<string, number>> {
    const { stuck, stuckNow } = this.#overdue.statistics()
    const onWorkers = this.#pool?.statistics() ?? {}
    return {
      stuck: stuck + (onWorkers['stuck'] ?? 0),
      stuckNow: stuckNow + (onWorkers['stuckNow'] ?? 0),
    }
  }

  #leaveQueue(job: Job): void {
    if (job.stage === 'abandoned') {
      this.#overdue.done(job)
      this.#tellStuck()
    }
    if (job.stage !== 'running' || !isQueuedHere(job)) return
    this.#queue.release(job.priority)
    if (this.#queue.queuedCount > 0 && !this.#scheduled) {
      this.#scheduled = true
      process.nextTick(this.#drain)
    }
  }

  #end(job: Job): void {
    job.stage = 'ended'
    this.#live.delete(job)
    this.#wakeDrained()
  }

  #isBusy(csi: string | null): boolean {
    if (csi === null) return this.#live.size > 0
    return this.#live.find((job) => job.csi === csi) !== undefined
  }

  #wakeDrained(): void {
    if (this.#drainWaiters.length === 0) return
    const left: DrainWaiter[] = []
    for (const waiter of this.#drainWaiters) {
      if (this.#isBusy(waiter.csi)) left.push(waiter)
      else waiter.resolve()
    }
    this.#drainWaiters = left
  }
}

/** Answers of the pool itself, as against what a function threw. */
const PLATFORM_CODES: ReadonlySet<string> = new Set([
  'DEADLINE_PASSED',
  'NO_RESOURCE',
  'NOT_IMPLEMENTED',
  'INTERRUPT',
  'WORKER_DIED',
])

/** Ordered calls wait in one queue wherever they run: else one on a worker could pass one on the EO's thread. */
const isQueuedHere = ({ service, priority }: Job): boolean =>
  service.placement.kind !== 'worker' || priority === 'ordered'

const workersFull = (job: Job): SdkError =>
  new SdkError('QUEUE_OVERFLOW', `${where(job.service)}: its workers are behind with ordered calls`)

function timedOut(job: Job): SdkError {
  const message = `${where(job.service)}: still runs at its deadline`
  return new SdkError('TIMEOUT', message, { mayHaveRun: true })
}

function prefixed(
  prefix: string,
  values: Readonly<Record<string, number>>,
): Readonly<Record<string, number>> {
  return Object.fromEntries(Object.entries(values).map(([key, value]) => [prefix + key, value]))
}
