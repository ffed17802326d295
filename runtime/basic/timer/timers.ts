import { SdkError } from '../../../idl/index.ts'
import { systemClock, type Clock } from '../../../ioc/index.ts'
import { DueHeap, type Due } from './due-heap.ts'

/** oneShot fires once; repetitive again and again; volatile once, and is deleted by it. SAFplus, section 20.3. */
export type TimerType = 'oneShot' | 'repetitive' | 'volatile'
/**
 * task: called one after the other as they fall due, so the function has to be short. separate: called in a turn of
 * its own,
 * `separateMax` at a time; the others wait.
 */
export type TimerContext = 'task' | 'separate'

export interface TimerOptions {
  /** 0 to 2^53; repetitive at least 1. */
  readonly timeoutMs: number
  /** @defaultValue 'oneShot' */
  readonly type?: TimerType
  /** @defaultValue 'task' */
  readonly context?: TimerContext
  /**
   * A promise that it returns counts as running. What escapes from it ends the process, as from any Node.js timer.
   */
  readonly run: () => void | Promise<void>
}

/** What a timer is, and how long it still has. */
export interface TimerStatistics {
  readonly type: TimerType
  readonly context: TimerContext
  readonly timeoutMs: number
  /** null when it is stopped. */
  readonly remainingMs: number | null
}

export interface TimersOptions {
  readonly clock?: Clock
  /** Running timers at most; the next start gets NO_SPACE. @defaultValue 1_000_000 */
  readonly armedMax?: number
  /** Functions of context `separate` at a time. @defaultValue 32 */
  readonly separateMax?: number
}

const TYPES: ReadonlySet<string> = new Set<TimerType>(['oneShot', 'repetitive', 'volatile'])
const CONTEXTS: ReadonlySet<string> = new Set<TimerContext>(['task', 'separate'])
/** The longest a timer of Node.js can sleep. */
const SLEEP_MS_MAX = 2 ** 31 - 1

/** Any number of timers on one of Node.js's. */
export class Timers {
  readonly #clock: Clock
  readonly #armedMax: number
  readonly #separateMax: number
  readonly #heap = new DueHeap<Timer>()
  readonly #waiting: { readonly timer: Timer; readonly changes: number }[] = []
  /** Counts calls of `stopAll`: what was due before one is not armed again after it. */
  #generation = 0
  #separate = 0
  #order = 0
  /** When the real timer is set for, and what takes it back. */
  #sleep: { readonly untilMs: number; readonly cancel: () => void } | undefined

  constructor({ clock = systemClock, armedMax = 1_000_000, separateMax = 32 }: TimersOptions = {}) {
    this.#clock = clock
    this.#armedMax = armedMax
    this.#separateMax = separateMax
  }

  /** Timers that are running down. */
  get armed(): number {
    return this.#heap.size
  }

  /**
   * A stopped timer.
   * @throws SdkError NULL_TIMER_CALLBACK; INVALID_TIMER_TYPE; INVALID_TIMER_CONTEXT; INVALID_PARAMETER for the
   * time-out.
   */
  create(options: TimerOptions): Timer {
    return new Timer(options, {
      nowMs: () => this.#clock.nowMs(),
      generation: () => this.#generation,
      checkRoom: () => this.#checkRoom(),
      arm: (timer, dueMs) => this.#arm(timer, dueMs),
      disarm: (timer) => this.#heap.remove(timer),
    })
  }

  /** Stops every timer, those that are due and wait for their turn too. Functions that run go on. */
  stopAll(): void {
    this.#generation += 1
    for (let timer = this.#heap.peek(); timer !== undefined; timer = this.#heap.peek()) timer.stop()
    this.#waiting.length = 0
    this.#setSleep()
  }

  #checkRoom(): void {
    if (this.#heap.size < this.#armedMax) return
    throw new SdkError('NO_SPACE', `${this.#armedMax} timers are running: the bound is armedMax`)
  }

  #arm(timer: Timer, dueMs: number): void {
    timer.dueMs = dueMs
    timer.order = this.#order++
    this.#heap.add(timer)
    this.#setSleep()
  }

  #tick(): void {
    this.#sleep = undefined
    const nowMs = this.#clock.nowMs()
    try {
      for (let timer = this.#heap.peek(); timer !== undefined; timer = this.#heap.peek()) {
        if (timer.dueMs > nowMs) return
        this.#heap.remove(timer)
        if (timer.context === 'task') void timer.fire(nowMs)
        else this.#fireSeparately(timer, timer.changes)
      }
    } finally {
      this.#setSleep()
    }
  }

  /** @param changes - of the timer when it fell due: one that was stopped or started since does not fire for it. */
  #fireSeparately(timer: Timer, changes: number): void {
    if (this.#separate >= this.#separateMax) {
      this.#waiting.push({ timer, changes })
      return
    }
    this.#separate += 1
    const generation = this.#generation
    this.#clock.after(0, () => {
      let running = Promise.resolve()
      const isDue = timer.changes === changes && generation === this.#generation
      try {
        if (isDue) running = timer.fire(this.#clock.nowMs())
      } finally {
        void running.finally(() => this.#separateDone())
      }
    })
  }

  #separateDone(): void {
    this.#separate -= 1
    const next = this.#waiting.shift()
    if (next !== undefined) this.#fireSeparately(next.timer, next.changes)
  }

  #setSleep(): void {
    const first = this.#heap.peek()
    if (this.#sleep !== undefined) {
      if (this.#sleep.untilMs === first?.dueMs) return
      this.#sleep.cancel()
      this.#sleep = undefined
    }
    if (first === undefined) return
    const delayMs = Math.ceil(Math.max(0, first.dueMs - this.#clock.nowMs()))
    const cancel = this.#clock.after(Math.min(delayMs, SLEEP_MS_MAX), () => this.#tick())
    this.#sleep = { untilMs: first.dueMs, cancel }
  }
}

/** What a timer needs of those that it belongs to. */
interface TimerHome {
  nowMs(): number
  generation(): number
  /** @throws SdkError NO_SPACE when no timer more may run. */
  checkRoom(): void
  arm(timer: Timer, dueMs: number): void
  disarm(timer: Timer): void
}

/** One timer of {@link Timers}. Every use after `delete` is refused with INVALID_HANDLE. */
export class Timer implements Due {
  readonly type: TimerType
  readonly context: TimerContext
  /** @internal */
  dueMs = 0
  /** @internal */
  order = 0
  /** @internal */
  place = -1
  /**
   * Counts starts and stops: a function that is done arms the timer again only if there was none meanwhile.
   * @internal
   */
  changes = 0
  readonly #home: TimerHome
  readonly #run: () => void | Promise<void>
  #timeoutMs: number
  #running = 0
  #deleted = false

  /** @internal */
  constructor(options: TimerOptions, home: TimerHome) {
    const { run, type = 'oneShot', context = 'task', timeoutMs } = options
    if (typeof run !== 'function') throw new SdkError('NULL_TIMER_CALLBACK', 'run is no function')
    if (!TYPES.has(type)) throw new SdkError('INVALID_TIMER_TYPE', `there is no type ${type}`)
    if (!CONTEXTS.has(context)) {
      throw new SdkError('INVALID_TIMER_CONTEXT', `there is no context ${context}`)
    }
    this.type = type
    this.context = context
    this.#run = run
    this.#home = home
    this.#timeoutMs = this.#checked(timeoutMs)
  }

  /** True while its function runs. */
  get isRunning(): boolean {
    this.#check()
    return this.#running > 0
  }

  /** True when it does not run down. */
  get isStopped(): boolean {
    this.#check()
    return this.place < 0
  }

  /** Runs down from the full time-out; one that runs down already begins again. @throws SdkError NO_SPACE. */
  start(): void {
    this.stop()
    this.#home.checkRoom()
    this.#home.arm(this, this.#home.nowMs() + this.#timeoutMs)
  }

  /** Nothing on a stopped timer. A function that runs goes on. */
  stop(): void {
    this.#check()
    this.changes += 1
    this.#home.disarm(this)
  }

  /** Changes the time-out and starts with it. @throws SdkError INVALID_PARAMETER; NO_SPACE. */
  update(timeoutMs: number): void {
    this.#check()
    this.#timeoutMs = this.#checked(timeoutMs)
    this.start()
  }

  /**
   * Ends the timer; a function that runs goes on, also when it is the one that calls.
   * @throws SdkError OP_NOT_PERMITTED for a volatile timer: it deletes itself.
   */
  delete(): void {
    if (this.type === 'volatile') {
      throw new SdkError('OP_NOT_PERMITTED', 'a volatile timer is deleted when it has fired')
    }
    this.stop()
    this.#deleted = true
  }

  statistics(): TimerStatistics {
    const { type, context } = this
    const remainingMs = this.isStopped ? null : Math.max(0, this.dueMs - this.#home.nowMs())
    return { type, context, timeoutMs: this.#timeoutMs, remainingMs }
  }

  /** Calls the function, then does what the type says. @internal */
  fire(nowMs: number): Promise<void> {
    if (this.#deleted) return Promise.resolve()
    const { changes } = this
    const generation = this.#home.generation()
    this.#running += 1
    const settle = (): void => {
      this.#running -= 1
      if (this.type === 'volatile') {
        // Its function may have started it again.
        this.#home.disarm(this)
        this.#deleted = true
      }
      if (this.type !== 'repetitive' || changes !== this.changes || this.#deleted) return
      if (generation !== this.#home.generation()) return
      // A place is kept for it while it runs: no bound is looked at.
      const dueMs = this.dueMs + this.#timeoutMs
      this.#home.arm(this, dueMs > nowMs ? dueMs : nowMs + this.#timeoutMs)
    }
    let outcome: void | Promise<void> = undefined
    try {
      outcome = this.#run()
    } finally {
      if (!(outcome instanceof Promise)) settle()
    }
    return outcome instanceof Promise ? outcome.finally(settle) : Promise.resolve()
  }

  #checked(timeoutMs: number): number {
    const atLeast = this.type === 'repetitive' ? 1 : 0
    if (timeoutMs >= atLeast && timeoutMs <= Number.MAX_SAFE_INTEGER) return timeoutMs
    const message = `a time-out of ${timeoutMs} ms: at least ${atLeast} is needed`
    throw new SdkError('INVALID_PARAMETER', message)
  }

  #check(): void {
    if (this.#deleted) throw new SdkError('INVALID_HANDLE', 'the timer is deleted')
  }
}
