import type { Piscina } from 'piscina'
import { SdkError } from '../../idl/index.ts'
import { JobQueue, type QueueWatermarks } from './job-queue.ts'
import { JobTimes, nextWorker } from './job-shares.ts'
import type { EoIdentity } from './my-eo.ts'
import { OverdueJobs } from './overdue-jobs.ts'
import { WorkerFailure, type WorkerJob } from './worker-job.ts'
import type { WorkerAnswer, WorkerErrorMessage } from './worker-protocol.ts'
import { WorkerSession } from './worker-session.ts'

/** Bounds of a {@link WorkerPool}. */
export interface WorkerPoolOptions {
  readonly threads: number
  readonly queueCountMax: number
  readonly heapMiB: number
  /** A function that runs this much past its deadline is ended with its thread. At half of it, it is called stuck. */
  readonly overdueMs: number
  readonly watermarks?: QueueWatermarks
  /** Known when the first worker starts. */
  readonly identity: () => EoIdentity
  /** Monotonic milliseconds. */
  readonly clock: () => number
  readonly log: (message: string, fields: Readonly<Record<string, unknown>>) => void
}

/** A worker that gave no answer for this long gives its waiting jobs back when another one is free. */
const STALL_MS = 5
/** Workers that may end one after the other without finishing a job before the waiting jobs are failed. */
const FRUITLESS_DEATH_COUNT_MAX = 3

/** Deaths a thread within {@link DEATH_WINDOW_MS}; after that no thread starts for the rest of it. */
const DEATHS_PER_THREAD = 4
const DEATH_WINDOW_MS = 1_000

/**
 * Worker threads that run functions placed on them. piscina starts, limits and replaces the threads; each thread gets
 * one task, a session, and the session gets jobs in chunks through a port, so that a job costs no piscina task.
 *
 * I1 When a worker ends, the job it ran fails with WORKER_DIED, what it had finished is answered, and what it had not
 * started is queued again. I2 Waiting jobs are bounded; `submit` answers false at the bound. I3 What has not begun does
 * not wait for a worker that is stalled while there is another.
 */
export class WorkerPool {
  readonly #options: WorkerPoolOptions
  readonly #queue: JobQueue<WorkerJob>
  readonly #sessions: WorkerSession[] = []
  readonly #modules = new Set<string>()
  #startingCount = 0
  #piscina: Promise<Piscina> | undefined
  readonly #times = new JobTimes()
  #fruitlessDeathCount = 0
  #closed = false
  #pumping = false
  #diedCount = 0
  readonly #overdue: OverdueJobs<WorkerJob>
  #overdueCount = 0
  /** When workers ended, the latest last. */
  #deathsMs: number[] = []
  #finishedCount = 0

  constructor(options: WorkerPoolOptions) {
    this.#options = options
    this.#overdue = new OverdueJobs(options.overdueMs / 2)
    this.#queue = new JobQueue({
      queuedCountMax: options.queueCountMax,
      runningCountMax: Number.MAX_SAFE_INTEGER,
      ...(options.watermarks === undefined ? {} : { watermarks: options.watermarks }),
    })
  }

  /** Makes a module known and starts the first worker, so that the first job waits for neither. */
  place(module: string): void {
    this.#modules.add(module)
    if (this.#sessions.length + this.#startingCount === 0) this.#startSession()
  }

  /** Takes a job in. False: too many wait (QUEUE_OVERFLOW). */
  submit(job: WorkerJob): boolean {
    if (this.#closed || !this.#queue.push(job)) return false
    this.#schedule()
    return true
  }

  statistics(): Readonly<Record<string, number>> {
    return {
      workers: this.#sessions.length,
      workersDied: this.#diedCount,
      overdueEnded: this.#overdueCount,
      ...this.#overdue.statistics(),
      watermarkHigh: this.#queue.counters.watermarkHigh,
      jobsQueued: this.#queue.queuedCount,
      jobsRunning: this.#queue.runningCount,
      jobsFinished: this.#finishedCount,
      jobsOverflowed: this.#queue.counters.overflowed,
      jobsExpired: this.#queue.counters.expired,
    }
  }

  /** Answers jobs whose deadline passed, and takes jobs back from stalled workers. The EO calls it now and then. */
  sweep(nowMs: number): void {
    for (const job of this.#queue.removeExpired(nowMs)) expire(job)
    if (this.#queue.runningCount === 0) return
    this.#lookForOverdue(nowMs)
    this.#rebalance(nowMs)
  }

  /** Names of the functions that are called stuck and have neither come back nor been ended. */
  stuck(): string[] {
    return this.#overdue.stuck().map((job) => job.where())
  }

  get runningCount(): number {
    return this.#queue.runningCount
  }

  /**
   * The caller of a job waits no more: one that no worker has begun fails with `error`; the signal of one that runs
   * aborts.
   */
  cancel(caller: string, messageId: number, error: SdkError): void {
    const isIt = ({ call }: WorkerJob): boolean =>
      call.messageId === messageId && call.caller === caller
    for (const job of this.#queue.remove(isIt)) job.failed(error, false)
    for (const session of this.#sessions) {
      for (const [slot, job] of session.jobs()) {
        if (!isIt(job)) continue
        if (session.withdraw(slot)) {
          this.#queue.release(job.priority)
          this.#schedule()
          job.failed(error, false)
        } else session.giveUp(slot)
      }
    }
  }

  /** Fails what waits or runs, and ends the threads. */
  async close(): Promise<void> {
    this.#closed = true
    const error = new SdkError('INTERRUPT', 'the execution object stops')
    for (const job of this.#queue.remove(() => true)) job.failed(error, false)
    for (const session of this.#sessions.splice(0)) {
      for (const [, job] of session.jobs()) job.failed(error, true)
      session.close()
    }
    const piscina = await this.#piscina
    await piscina?.destroy()
  }

  #schedule(): void {
    if (this.#pumping) return
    this.#pumping = true
    // After every answer of this turn: what those made room for leaves as one chunk.
    setImmediate(() => {
      this.#pumping = false
      this.#pump()
    })
  }

  #pump(): void {
    if (this.#closed) return
    const nowMs = this.#options.clock()
    for (;;) {
      const session = nextWorker(this.#sessions)
      if (session === undefined) break
      const taken = this.#queue.take(nowMs)
      if (taken === undefined) break
      if (taken.kind === 'expired') expire(taken.job)
      else session.give(taken.job, this.#times.expectedMs(taken.job))
    }
    for (const session of this.#sessions) session.flush(nowMs)
    const wanted = this.#sessions.length + this.#startingCount
    if (this.#queue.queuedCount <= this.#startingCount || wanted >= this.#options.threads) return
    const waitMs = this.#startDelayMs(nowMs)
    if (waitMs <= 0) this.#startSession()
    else setTimeout(() => this.#schedule(), waitMs).unref()
  }

  /** Threads that die one after the other are not replaced as fast as they die. */
  #startDelayMs(nowMs: number): number {
    const count = DEATHS_PER_THREAD * this.#options.threads
    const first = this.#deathsMs.at(-count)
    return first === undefined ? 0 : first + DEATH_WINDOW_MS - nowMs
  }

  /**
   * A function that ignores its deadline keeps its thread from everybody else: it is called stuck, and then both end.
   * Neighbours run elsewhere; those whose deadline has passed behind it are not run at all.
   */
  #lookForOverdue(nowMs: number): void {
    for (const session of this.#sessions) {
      for (const [slot, job] of session.jobs()) {
        if (nowMs < job.deadlineMs) continue
        if (session.withdraw(slot)) {
          this.#queue.release(job.priority)
          expire(job)
        }
        if (!session.hasBegun(slot)) continue
        this.#overdue.add(job, job.deadlineMs)
        if (nowMs - job.deadlineMs < this.#options.overdueMs) continue
        if (session.killer.signal.aborted) continue
        this.#overdueCount++
        session.killer.abort(new Error(`${job.name} ran past its deadline for too long`))
      }
    }
    for (const job of this.#overdue.sweep(nowMs)) {
      const overdueMs = Math.round(nowMs - job.deadlineMs)
      this.#options.log('a function on a worker is stuck', { function: job.where(), overdueMs })
    }
  }

  /** What waits behind a function that takes its time goes to the others. */
  #rebalance(nowMs: number): void {
    for (const session of this.#sessions) session.isStalled = session.silentMs(nowMs) >= STALL_MS
    const stalled = this.#sessions.filter((session) => session.isStalled)
    const workers = this.#sessions.length + this.#startingCount
    if (stalled.length === workers && workers === this.#options.threads) return
    for (const session of stalled) {
      const back = session.withdrawWaiting()
      if (back.length === 0) continue
      this.#queue.putBack(back)
      this.#schedule()
    }
  }

  #startSession(): void {
    this.#startingCount++
    this.#piscina ??= this.#createPiscina()
    this.#piscina.then(
      (piscina) => {
        this.#startingCount--
        if (!this.#closed) this.#runSession(piscina)
      },
      (error: unknown) => {
        this.#startingCount--
        this.#failAll(`worker threads cannot start: ${String(error)}`)
      },
    )
  }

  #runSession(piscina: Piscina): void {
    const session = new WorkerSession(this.#options.clock(), (first) => {
      const nowMs = this.#options.clock()
      for (let answer: WorkerAnswer | undefined = first; answer !== undefined;) {
        this.#answered(session, answer, nowMs)
        answer = session.takeAnswer()
      }
      if (this.#queue.queuedCount > 0) this.#schedule()
    })
    this.#sessions.push(session)
    const { component, node, address } = this.#options.identity()
    const task = session.task({ component, node, address }, [...this.#modules])
    piscina
      .run(task, {
        name: 'session',
        transferList: [task.port],
        signal: session.killer.signal,
      })
      .then(
        () => {
          this.#ended(session, 'its session ended')
        },
        (error: unknown) => {
          this.#ended(session, error instanceof Error ? error.message : String(error))
        },
      )
    this.#schedule()
  }

  #answered(session: WorkerSession, answer: WorkerAnswer, nowMs: number): void {
    const job = session.release(answer[0], nowMs)
    if (job === undefined) return
    if (this.#overdue.count > 0) this.#overdue.done(job)
    this.#queue.release(job.priority)
    this.#times.ran(job, session.elapsedMs(answer[0]))
    this.#fruitlessDeathCount = 0
    this.#finishedCount++
    if (answer.length === 2) job.done(answer[1])
    else if (answer[1] === 'threw') job.failed(revive(answer[2]), false)
    else job.failed(new SdkError('NOT_IMPLEMENTED', String(answer[2])), false)
  }

  /** The worker is gone: answers, fails or requeues what it held, and lets the pool start another. */
  #ended(session: WorkerSession, cause: string): void {
    const place = this.#sessions.indexOf(session)
    if (this.#closed || place < 0) return
    this.#sessions.splice(place, 1)
    const nowMs = this.#options.clock()
    for (let left = session.takeAnswer(); left !== undefined; left = session.takeAnswer()) {
      this.#answered(session, left, nowMs)
    }
    const back = session.withdrawWaiting()
    const running = session.jobs().map(([, job]) => job)
    session.close()
    this.#queue.putBack(back)
    this.#diedCount++
    const deathCountMax = DEATHS_PER_THREAD * this.#options.threads
    this.#deathsMs = [...this.#deathsMs, nowMs].slice(-deathCountMax)
    this.#fruitlessDeathCount = running.length > 0 ? 0 : this.#fruitlessDeathCount + 1
    this.#options.log('a worker thread ended', { cause, failed: running.length, back: back.length })
    for (const job of running) {
      this.#overdue.done(job)
      this.#queue.release(job.priority)
      const message = `the worker thread ended while it ran ${job.name}: ${cause}`
      // One that was ended for its time did not end the worker by itself.
      job.failed(new SdkError('WORKER_DIED', message), !session.killer.signal.aborted)
    }
    if (this.#fruitlessDeathCount >= FRUITLESS_DEATH_COUNT_MAX) {
      this.#fruitlessDeathCount = 0
      this.#failAll(`${FRUITLESS_DEATH_COUNT_MAX} worker threads ended without a job: ${cause}`)
    }
    this.#schedule()
  }

  #failAll(message: string): void {
    const error = new SdkError('NO_RESOURCE', message)
    this.#options.log('waiting jobs are failed', { cause: message })
    for (const job of this.#queue.remove(() => true)) job.failed(error, false)
  }

  async #createPiscina(): Promise<Piscina> {
    // Loaded on first use: components without worker functions do not pay for it.
    const { Piscina } = await import('piscina')
    const piscina = new Piscina({
      filename: import.meta.resolve('#dist/runtime/eo/worker-thread.js'),
      minThreads: 0,
      maxThreads: this.#options.threads,
      idleTimeout: 60_000,
      concurrentTasksPerWorker: 1,
      recordTiming: false,
      resourceLimits: { maxOldGenerationSizeMb: this.#options.heapMiB },
    })
    piscina.on('error', (error: Error) => {
      this.#options.log('a worker thread failed outside any job', { cause: error.message })
    })
    return piscina
  }
}

function expire(job: WorkerJob): void {
  job.failed(new SdkError('DEADLINE_PASSED', `${job.name} waited past its deadline`), false)
}

function revive(message: WorkerErrorMessage): SdkError | WorkerFailure {
  if (message.code === null) return new WorkerFailure(message)
  return new SdkError(message.code, message.message, { context: message.context })
}
