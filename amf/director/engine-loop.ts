import type { Logger } from 'pino'
import { isSdkError } from '../../idl/index.ts'
import type { EngineCommand, EngineEvent } from '../engine/contract.ts'
import type { Model } from '../model/model.ts'
import type { Engine } from './engine-port.ts'
import type { RecordStore } from './record-store.ts'

/** Commands that leave the director once everything is durable. */
export type OutgoingCommand = Exclude<EngineCommand, { readonly kind: 'persist' }>

/** Timers in Node.js hold at most this; a later deadline is armed again. */
const TIMER_MS_MAX = 2_147_483_647

export interface EngineLoopOptions<State> {
  readonly engine: Engine<State>
  /** The model of the first step; a step with `useModel` changes it. */
  readonly model: Model
  readonly records: RecordStore
  readonly nowMs: () => number
  /** Check the engine's invariants after each step; a broken one is logged as an error and counted. */
  readonly check: boolean
  /** Whether an answer's id is an operator's: such answers are kept for those who ask again. */
  readonly isOperation: (id: string) => boolean
  readonly log: Logger
  /** Called with the commands of one or more steps, after their records are durable. */
  readonly perform: (commands: readonly OutgoingCommand[]) => void
  /** Another director has taken office: nothing was written and nothing was performed. */
  readonly onStale: () => void
}

/**
 * Runs the engine: events go into one queue and are stepped one at a time; what they persist is durable before any
 * command leaves. Steps that wait together share one transaction. An event posted while commands are performed waits
 * its turn. There is no delay anywhere: `post` returns when the commands are with the transport.
 */
export class EngineLoop<State> {
  readonly #options: EngineLoopOptions<State>
  readonly #queue: EngineEvent[] = []
  #model: Model
  #state: State
  #running = false
  #stopped = false
  #timer: NodeJS.Timeout | undefined
  #violationCount = 0

  constructor(options: EngineLoopOptions<State>) {
    this.#options = options
    this.#model = options.model
    this.#state = options.engine.initialState(options.model)
  }

  get state(): State {
    return this.#state
  }

  /** The model that {@link state} belongs to. */
  get model(): Model {
    return this.#model
  }

  /** Broken invariants seen; always 0 without `check`. */
  get violationCount(): number {
    return this.#violationCount
  }

  post(event: EngineEvent): void {
    if (this.#stopped) return
    this.#queue.push(event)
    if (!this.#running) this.#run()
  }

  /** No event is stepped and no command leaves from now on. */
  stop(): void {
    this.#stopped = true
    this.#queue.length = 0
    clearTimeout(this.#timer)
  }

  #run(): void {
    this.#running = true
    try {
      while (this.#queue.length > 0 && !this.#stopped) {
        const commands: OutgoingCommand[] = []
        for (const event of this.#queue.splice(0)) this.#step(event, commands)
        if (!this.#persist()) return
        this.#options.perform(commands)
      }
    } catch (error) {
      // The state has moved on and its commands are lost: the next director starts from the facts.
      this.stop()
      setImmediate(() => {
        throw error
      })
      return
    } finally {
      this.#running = false
    }
    this.#arm()
  }

  #step(event: EngineEvent, out: OutgoingCommand[]): void {
    const { engine, records, nowMs, check, isOperation, log } = this.#options
    if (event.kind === 'modelChange') log.debug({ id: event.id }, 'engine event: model change')
    else if (event.kind !== 'tick') log.debug({ event }, 'engine event')
    const { state, commands } = engine.step(this.#model, this.#state, event, nowMs())
    this.#state = state
    for (const command of commands) {
      if (command.kind === 'persist') {
        records.putEngine(command.record)
        continue
      }
      if (command.kind === 'useModel') {
        this.#model = command.model
        records.putModel(command.source)
      }
      if (command.kind === 'answer' && isOperation(command.id)) {
        records.putAnswer(command.id, command.result)
      }
      out.push(command)
    }
    if (!check) return
    for (const violation of engine.checkInvariants(this.#model, state)) {
      this.#violationCount += 1
      log.error({ violation, event }, 'invariant broken')
    }
  }

  #persist(): boolean {
    try {
      this.#options.records.flush()
      return true
    } catch (error) {
      if (!isSdkError(error, 'STALE_TERM')) throw error
      this.stop()
      this.#options.onStale()
      return false
    }
  }

  #arm(): void {
    clearTimeout(this.#timer)
    if (this.#stopped) return
    const { engine, nowMs } = this.#options
    const dueMs = engine.nextDeadlineMs(this.#model, this.#state)
    if (dueMs === null) return
    // Node.js rounds timers down: one that fires early would tick once more for nothing.
    const delayMs = Math.min(TIMER_MS_MAX, Math.max(0, Math.ceil(dueMs - nowMs())))
    this.#timer = setTimeout(() => this.post({ kind: 'tick' }), delayMs)
  }
}
