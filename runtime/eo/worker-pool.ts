import { MessageChannel, receiveMessageOnPort, type MessagePort } from 'node:worker_threads'
import type { Piscina } from 'piscina'
import { SdkError } from '../../idl/index.ts'
import type { RmdPriority } from '../../ioc/index.ts'
import { JobQueue, type QueueWatermarks } from './job-queue.ts'
import type { EoIdentity } from './my-eo.ts'
import { OverdueJobs } from './overdue-jobs.ts'
import {
  SLOT,
  SLOT_COUNT,
  type WorkerAnswer,
  type WorkerCall,
  type WorkerCancelMessage,
  type WorkerErrorMessage,
  type WorkerJobMessage,
  type WorkerSession,
} from './worker-protocol.ts'

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

/** A worker gets as many jobs at once as it should finish in this time. */
const BATCH_MS = 2
/** A worker that gave no answer for this long gives its waiting jobs back when another one is free. */
const STALL_MS = 5
/** Workers that may end one after the other without finishing a job before the waiting jobs are failed. */
const FRUITLESS_DEATH_COUNT_MAX = 3

/** Deaths a thread within {@link DEATH_WINDOW_MS}; after that no thread starts for the rest of it. */
const DEATHS_PER_THREAD = 4
const DEATH_WINDOW_MS = 1_000

interface Session {
  /** Ends the thread, whatever it runs. */
  readonly killer: AbortController
  readonly port: MessagePort
  readonly slots: Int32Array
  /** By slot, in the order they were assigned. */
  readonly jobs: Map<number, WorkerJob>
  readonly free: number[]
  batch: WorkerJobMessage[]
  lastAnswerMs: number
}

/**
 * Worker threads that run functions placed on them. piscina starts, limits and replaces the threads; each thread gets
 * one task, a session, and the session gets jobs in batches through a port, so that a job costs no piscina task.
 *
 * I1 A job is claimed by its worker in shared memory before it runs. I2 When a worker ends, the job it ran fails with
 * WORKER_DIED, what it had finished is answered, and what it had not started is queued again. I3 Waiting jobs are
 * bounded; `submit` answers false at the bound.
 */
export class WorkerPool {
  readonly #options: WorkerPoolOptions
  readonly #queue: JobQueue<WorkerJob>
  readonly #sessions = new Set<Session>()
  readonly #modules = new Set<string>()
  #startingCount = 0
  #piscina: Promise<Piscina> | undefined
  #jobMs = BATCH_MS
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
    if (this.#sessions.size + this.#startingCount === 0) this.#startSession()
  }

  /** Takes a job in. False: too many wait (QUEUE_OVERFLOW). */
  submit(job: WorkerJob): boolean {
    if (this.#closed || !this.#queue.push(job)) return false
    this.#schedule()
    return true
  }

  statistics(): Readonly<Record<string, number>> {
    return {
      workers: this.#sessions.size,
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
      for (const [slot, job] of session.jobs) {
        if (!isIt(job)) continue
        if (withdraw(session, slot)) {
          this.#queue.release(job.priority)
          this.#schedule()
          job.failed(error, false)
        } else session.port.postMessage(slot satisfies WorkerCancelMessage)
      }
    }
  }

  /** Fails what waits or runs, and ends the threads. */
  async close(): Promise<void> {
    this.#closed = true
    const error = new SdkError('INTERRUPT', 'the execution object stops')
    for (const job of this.#queue.remove(() => true)) job.failed(error, false)
    for (const session of this.#sessions) {
      for (const job of session.jobs.values()) job.failed(error, true)
      session.jobs.clear()
      session.port.close()
    }
    this.#sessions.clear()
    const piscina = await this.#piscina
    await piscina?.destroy()
  }

  #schedule(): void {
    if (this.#pumping) return
    this.#pumping = true
    // After every answer of this turn: what those made room for leaves as one batch.
    setImmediate(() => {
      this.#pumping = false
      this.#pump()
    })
  }

  #pump(): void {
    if (this.#closed) return
    const nowMs = this.#options.clock()
    const depth = Math.max(1, Math.min(SLOT_COUNT, Math.floor(BATCH_MS / this.#jobMs)))
    for (;;) {
      const session = this.#leastLoaded()
      if (session === undefined || SLOT_COUNT - session.free.length >= depth) break
      const taken = this.#queue.take(nowMs)
      if (taken === undefined) break
      if (taken.kind === 'expired') expire(taken.job)
      else assign(session, taken.job)
    }
    for (const session of this.#sessions) flush(session, nowMs)
    const wanted = this.#sessions.size + this.#startingCount
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
   * Neighbours run elsewhere.
   */
  #lookForOverdue(nowMs: number): void {
    for (const session of this.#sessions) {
      for (const [slot, job] of session.jobs) {
        if (nowMs < job.deadlineMs) continue
        if (Atomics.load(session.slots, slot) !== SLOT.RUNNING) continue
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

  #leastLoaded(): Session | undefined {
    let best: Session | undefined
    for (const session of this.#sessions) {
      if (best === undefined || session.free.length > best.free.length) best = session
    }
    return best
  }

  #rebalance(nowMs: number): void {
    const idle = [...this.#sessions].some((session) => session.free.length === SLOT_COUNT)
    const room = this.#sessions.size + this.#startingCount < this.#options.threads
    if ((!idle && !room) || this.#queue.queuedCount > 0) return
    for (const session of this.#sessions) {
      if (nowMs - session.lastAnswerMs < STALL_MS) continue
      const back = withdrawWaiting(session)
      if (back.length === 0) continue
      this.#jobMs = BATCH_MS
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
    const { port1, port2 } = new MessageChannel()
    const session: Session = {
      killer: new AbortController(),
      port: port1,
      slots: new Int32Array(new SharedArrayBuffer(4 * SLOT_COUNT)),
      jobs: new Map(),
      free: Array.from({ length: SLOT_COUNT }, (_, i) => SLOT_COUNT - 1 - i),
      batch: [],
      lastAnswerMs: this.#options.clock(),
    }
    this.#sessions.add(session)
    port1.on('message', (answer: WorkerAnswer) => {
      this.#answered(session, answer)
    })
    const { component, node, address } = this.#options.identity()
    const task: WorkerSession = {
      eo: { component, node, address },
      port: port2,
      slots: session.slots,
      modules: [...this.#modules],
    }
    piscina
      .run(task, {
        name: 'session',
        transferList: [port2],
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

  #answered(session: Session, answer: WorkerAnswer): void {
    const [slot, ok, outcome, elapsedMs] = answer
    const job = session.jobs.get(slot)
    release(session, slot)
    if (job === undefined || ok === 'skipped') return
    if (this.#overdue.count > 0) this.#overdue.done(job)
    session.lastAnswerMs = this.#options.clock()
    this.#queue.release(job.priority)
    this.#jobMs += (Math.max(elapsedMs, 0.005) - this.#jobMs) / 8
    this.#fruitlessDeathCount = 0
    this.#finishedCount++
    if (ok === true) job.done(outcome)
    else if (ok === false) job.failed(revive(outcome), false)
    else job.failed(new SdkError('NOT_IMPLEMENTED', outcome), false)
    if (this.#queue.queuedCount > 0) this.#schedule()
  }

  /** The worker is gone: answers, fails or requeues what it held, and lets the pool start another. */
  #ended(session: Session, cause: string): void {
    if (this.#closed || !this.#sessions.delete(session)) return
    for (;;) {
      const left = receiveMessageOnPort(session.port) as { message: WorkerAnswer } | undefined
      if (left === undefined) break
      this.#answered(session, left.message)
    }
    session.port.close()
    const back = withdrawWaiting(session)
    const running = [...session.jobs.values()]
    this.#queue.putBack(back)
    this.#diedCount++
    const deathCountMax = DEATHS_PER_THREAD * this.#options.threads
    this.#deathsMs = [...this.#deathsMs, this.#options.clock()].slice(-deathCountMax)
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

function assign(session: Session, job: WorkerJob): void {
  const slot = session.free.pop()!
  session.jobs.set(slot, job)
  Atomics.store(session.slots, slot, SLOT.WAITING)
  session.batch.push([slot, job.module, job.name, job.input, job.call])
}

function flush(session: Session, nowMs: number): void {
  if (session.batch.length === 0) return
  if (session.free.length + session.batch.length === SLOT_COUNT) session.lastAnswerMs = nowMs
  const { batch } = session
  session.batch = []
  session.port.postMessage(batch)
}

function release(session: Session, slot: number): void {
  session.jobs.delete(slot)
  Atomics.store(session.slots, slot, SLOT.FREE)
  session.free.push(slot)
}

/**
 * Takes back what the worker did not claim yet, in the order it was given. The slot stays taken until the worker says
 * that it skipped it: a cell used again before that would let the old message claim the new job.
 */
function withdrawWaiting(session: Session): WorkerJob[] {
  const back: WorkerJob[] = []
  for (const [slot, job] of session.jobs) if (withdraw(session, slot)) back.push(job)
  return back
}

/** @returns false when the worker has begun it, or is done with it. */
function withdraw(session: Session, slot: number): boolean {
  const before = Atomics.compareExchange(session.slots, slot, SLOT.WAITING, SLOT.WITHDRAWN)
  return before === SLOT.WAITING && session.jobs.delete(slot)
}

function expire(job: WorkerJob): void {
  job.failed(new SdkError('DEADLINE_PASSED', `${job.name} waited past its deadline`), false)
}

function revive(message: WorkerErrorMessage): SdkError | WorkerFailure {
  if (message.code === null) return new WorkerFailure(message)
  return new SdkError(message.code, message.message, { context: message.context })
}
