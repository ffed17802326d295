import type { Logger } from 'pino'
import { SdkError } from '../../idl/index.ts'
import type { HaReadiness, Recovery } from '../../runtime/internal.ts'
import type { PresenceState } from '../engine/contract.ts'
import { ANY_INCARNATION } from '../director/running-table.ts'
import type { CommandModel, ComponentModel } from '../model/model.ts'
import { type ComponentFactsRecord, factsOf } from './component-facts.ts'
import {
  type End,
  forgetPending,
  forgetPendingOf,
  type Life,
  type Pending,
  type Phase,
  startLife,
} from './component-life.ts'
import type {
  CsiRemoveCommand,
  CsiSetCommand,
  ProcessExit,
  RunnerPorts,
} from './component-ports.ts'
import { ComponentRoles } from './component-roles.ts'
import { exitText, tailText, textOf } from './exit-text.ts'

/** SIGKILL works at once, unless the process sleeps uninterruptibly: then this passes and the failure is reported. */
const KILL_TIMEOUT_MS = 10_000

/**
 * Life-cycle of one component on its node: launch, registration, roles, end. Everything that the director hears of
 * it comes from here, in the order in which it happened.
 *
 * R1 An event that says "nothing of it is left" is emitted only after the exit of the process was seen.
 * R2 A command for another life than the present one does nothing to it: `terminate` and `cleanup` of a life that is
 *    gone are answered with `componentTerminated`, the others are dropped (the end of that life is reported already).
 * R3 A repeated command is harmless: one still being worked on is not started again, one that is done is answered
 * again. R4 Without a director a component that failed is launched again only when its recovery is
 * `componentRestart`, and it
 *    gets no role: ACTIVE needs a new epoch, and only a director gives one.
 */
export class ComponentRunner {
  #model: ComponentModel
  readonly #ports: RunnerPorts
  readonly #log: Logger
  readonly #roles: ComponentRoles
  #phase: Phase = { kind: 'idle', presence: 'UNINSTANTIATED' }
  #timer: NodeJS.Timeout | undefined
  /** `instantiate` came while the former life was ending. */
  #launchAfterEnd = false
  #idleWaiters: (() => void)[] = []
  #busy = { stamp: false, healthCheck: false, started: false }

  constructor(model: ComponentModel, ports: RunnerPorts, log: Logger) {
    this.#model = model
    this.#ports = ports
    this.#log = log.child({ component: model.name })
    this.#roles = new ComponentRoles(model, ports, (life, cause) =>
      this.#fail(life, cause, 'noRecommendation'),
    )
  }

  get model(): ComponentModel {
    return this.#model
  }

  /** The same component, described anew: counts for everything that is begun from now on. */
  useModel(model: ComponentModel): void {
    this.#model = model
    this.#roles.useModel(model)
  }

  get phase(): Phase {
    return this.#phase
  }

  /** The life that has a process, registered or not. */
  get life(): Life | null {
    const phase = this.#phase
    return phase.kind === 'starting' || phase.kind === 'running' || phase.kind === 'ending'
      ? phase.life
      : null
  }

  get facts(): ComponentFactsRecord {
    return factsOf(this.model.name, this.#phase, this.isBusy)
  }

  get presence(): PresenceState {
    return this.facts.presence
  }

  // --- commands of the director ---

  instantiate(why: string): void {
    const phase = this.#phase
    switch (phase.kind) {
      case 'idle':
        this.#log.info({ why }, 'instantiating')
        this.#launch(1)
        return
      case 'running':
        this.#reportRegistered(phase.life)
        return
      case 'ending':
      case 'cleaning':
        this.#launchAfterEnd = true
        return
      case 'starting':
      case 'pausing':
        return
    }
  }

  /** Orderly end: callback (or command), then SIGKILL when it takes too long. */
  terminate(incarnation: number, why: string): void {
    this.#launchAfterEnd = false
    const phase = this.#phase
    if (!this.#isPresent(incarnation)) return this.#reportTerminated(incarnation)
    if (phase.kind !== 'running') return this.cleanup(incarnation, why)
    this.#log.info({ why }, 'terminating')
    const { life } = phase
    this.#phase = { kind: 'ending', life, end: { kind: 'terminated' } }
    forgetPendingOf(life)
    this.#armKill(life, this.model.terminateTimeoutMs)
    if (this.model.category !== 'saAware') void this.#terminateByCommand(life)
    else this.#terminateByCallback(life)
  }

  /** Abrupt end. */
  cleanup(incarnation: number, why: string): void {
    this.#launchAfterEnd = false
    const phase = this.#phase
    if (!this.#isPresent(incarnation)) return this.#reportTerminated(incarnation)
    if (phase.kind === 'pausing') {
      clearTimeout(phase.timer)
      this.#becomeIdle('UNINSTANTIATED')
      return this.#reportTerminated(incarnation)
    }
    if (phase.kind === 'idle') return this.#reportTerminated(incarnation)
    if (phase.kind === 'cleaning') return
    this.#log.info({ why }, 'cleaning up')
    const end: End =
      phase.kind === 'ending' && phase.end.kind === 'failed' ? phase.end : { kind: 'terminated' }
    this.#kill(phase.life, end)
  }

  csiSet(command: CsiSetCommand): void {
    const life = this.#runningLife(command.incarnation)
    if (life !== null) this.#roles.set(life, command)
  }

  csiRemove(command: CsiRemoveCommand): void {
    const life = this.#runningLife(command.incarnation)
    if (life !== null) this.#roles.remove(life, command)
  }

  // --- what the component says ---

  /** Binds a connection to the present life. @throws SdkError when the process is not the one that was launched. */
  initialized(caller: string, pid: number): void {
    const { life } = this
    if (life === null || life.process.pid !== pid || this.#phase.kind === 'ending') {
      const expected = life === null ? 'it was not launched' : `process ${life.process.pid} was`
      const message = `component ${this.model.name} refused for process ${pid}: ${expected}`
      throw new SdkError('INVALID_STATE', message)
    }
    life.caller = caller
  }

  registered(life: Life, address: NonNullable<Life['address']>): void {
    const phase = this.#phase
    if (phase.kind !== 'starting' || phase.life !== life) return
    clearTimeout(this.#timer)
    life.address = address
    this.#phase = { kind: 'running', life }
    this.#log.info({ pid: life.process.pid, address }, 'registered')
    this.#reportRegistered(life)
    for (const [csi, state] of life.haReadiness) this.#reportHaReadiness(life, csi, state)
  }

  /** Answer to a callback. @returns the kind of callback it answers; null for a late one. */
  answered(life: Life, invocation: number, rc: number, message: string): Pending['kind'] | null {
    const pending = forgetPending(life, invocation)
    if (pending === undefined) return null
    if (rc === 0) this.#roles.answered(life, invocation, pending)
    else if (pending.kind === 'terminate') life.process.kill()
    else {
      const what = `${pending.kind} ${pending.csi}`.trim()
      this.#fail(life, `${what} answered with an error: ${message}`, 'noRecommendation')
    }
    return pending.kind
  }

  quiesced(life: Life, invocation: number, rc: number): void {
    this.#roles.quiesced(life, invocation, rc)
  }

  /** Its connection closed: a hint that it is dead, and a reason to make sure of it. */
  disconnected(caller: string): void {
    const { life } = this
    if (life === null || life.caller !== caller || this.#phase.kind === 'ending') return
    // A process that is dead already tells by its exit what happened to it: the cause is left open then.
    const dead = this.#ports.isDead(life.process.pid)
    this.#fail(life, dead ? null : 'it closed its connection to the agent', 'noRecommendation')
  }

  /** Somebody found out that the component does not work. Kills it, waits for its exit, then reports. */
  fail(cause: string, recovery: Recovery): void {
    if (this.life !== null && this.#phase.kind !== 'ending') this.#fail(this.life, cause, recovery)
    else if (this.life !== null) this.life.process.kill()
  }

  /** Raises or clears the alarm "busy", for one of its reasons. */
  setBusy(reason: 'stamp' | 'healthCheck' | 'started', busy: boolean, delayMs: number): void {
    const before = this.isBusy
    this.#busy[reason] = busy
    const after = this.isBusy
    if (before === after) return
    this.#ports.emit({ kind: 'busy', component: this.model.name, busy: after, delayMs })
  }

  get isBusy(): boolean {
    return Object.values(this.#busy).includes(true)
  }

  /** Calls the health check of a registered component. */
  checkHealth(life: Life, invocation: number, timeoutMs: number, onLate: () => void): void {
    const timer = setTimeout(onLate, timeoutMs)
    life.pending.set(invocation, { kind: 'healthCheck', csi: '', timer })
    const component = this.model.name
    if (life.caller === null) return
    const client = this.#ports.callbacks(life.caller)
    // One that cannot be sent is one that is not answered: judged by `onLate`.
    client.healthCheck({ invocation, component, key: '' }, oneWay).catch(() => undefined)
  }

  /** How far the component is able to take a CSI; null: all of them, whatever was said before. */
  setHaReadiness(life: Life, csi: string | null, state: HaReadiness): void {
    if (csi === null) life.haReadiness.clear()
    life.haReadiness.set(csi, state)
    // Before it is registered nothing is assigned, and nobody knows of this life: it is told then.
    if (this.#runningLife(life.incarnation) === life) this.#reportHaReadiness(life, csi, state)
  }

  /** Resolves when nothing of the component is left. */
  whenIdle(): Promise<void> {
    if (this.#phase.kind === 'idle') return Promise.resolve()
    return new Promise((resolve) => this.#idleWaiters.push(resolve))
  }

  // --- launching ---

  #launch(attempt: number): void {
    this.#launchAfterEnd = false
    let life: Life
    const incarnation = this.#ports.nextIncarnation()
    try {
      life = startLife(incarnation, this.#ports.launch(this.model))
    } catch (error) {
      this.#afterAttempt(attempt, `it could not be started: ${textOf(error)}`)
      return
    }
    this.#phase = { kind: 'starting', life, attempt }
    this.#log.info({ pid: life.process.pid, incarnation, attempt }, 'launched')
    void life.process.exited.then((exit) => this.#onExit(life, exit))
    if (this.model.category !== 'saAware') {
      this.registered(life, { node: this.#ports.nodeId, port: 0 })
      return
    }
    const { timeoutMs } = this.model.instantiate
    this.#timer = setTimeout(() => {
      const cause = `it did not register within ${timeoutMs} ms`
      this.#kill(life, { kind: 'retry', attempt, cause })
    }, timeoutMs)
  }

  #afterAttempt(attempt: number, cause: string): void {
    const { name, instantiateAttemptsMax, instantiateDelayMs } = this.model
    this.#log.warn({ attempt, cause }, 'not instantiated')
    if (attempt < instantiateAttemptsMax) {
      const timer = setTimeout(() => this.#launch(attempt + 1), instantiateDelayMs)
      this.#phase = { kind: 'pausing', attempt, timer }
      return
    }
    const text = `${name} not instantiated in ${attempt} attempts; the last: ${cause}`
    this.#becomeIdle('INSTANTIATION_FAILED')
    this.#ports.emit({ kind: 'instantiationFailed', component: name, cause: text })
  }

  #runningLife(incarnation: number): Life | null {
    const phase = this.#phase
    return phase.kind === 'running' && phase.life.incarnation === incarnation ? phase.life : null
  }

  // --- ending ---

  /** Whether a command for this life is for the present one. */
  #isPresent(incarnation: number): boolean {
    if (incarnation === ANY_INCARNATION) return this.#phase.kind !== 'idle'
    const phase = this.#phase
    return 'life' in phase && phase.life.incarnation === incarnation
  }

  #terminateByCallback(life: Life): void {
    const invocation = this.#ports.nextInvocation()
    const component = this.model.name
    // It has no time-out of its own: what is waited for is the exit, whatever the answer says.
    life.pending.set(invocation, { kind: 'terminate', csi: '', timer: undefined })
    if (life.caller === null) return life.process.kill()
    const client = this.#ports.callbacks(life.caller)
    client.terminate({ invocation, component }, oneWay).catch(() => life.process.kill())
  }

  async #terminateByCommand(life: Life): Promise<void> {
    const command = this.model.terminate
    if (command !== null) await this.#ports.runCommand(this.model, command)
    life.process.kill()
  }

  #fail(life: Life, cause: string | null, recovery: Recovery): void {
    const phase = this.#phase
    if (phase.kind === 'starting' && phase.life === life) {
      this.#kill(life, { kind: 'retry', attempt: phase.attempt, cause })
    } else if (phase.kind === 'running' && phase.life === life) {
      this.#kill(life, { kind: 'failed', recovery, cause })
    }
  }

  #kill(life: Life, end: End): void {
    this.#phase = { kind: 'ending', life, end }
    forgetPendingOf(life)
    life.process.kill()
    this.#armKill(life, 0)
  }

  /** SIGKILL after `delayMs`; when that does not end it either, the failure is reported and the wait goes on. */
  #armKill(life: Life, delayMs: number): void {
    clearTimeout(this.#timer)
    const report = (): void => {
      const cause = `process ${life.process.pid} survives SIGKILL`
      this.#log.error({ cause }, 'clean-up failed')
      this.#ports.emit({ kind: 'cleanupFailed', component: this.model.name, cause })
    }
    this.#timer = setTimeout(() => {
      life.process.kill()
      this.#timer = setTimeout(report, KILL_TIMEOUT_MS)
    }, delayMs)
  }

  #onExit(life: Life, exit: ProcessExit): void {
    const phase = this.#phase
    if (!('life' in phase) || phase.life !== life || phase.kind === 'cleaning') return
    clearTimeout(this.#timer)
    forgetPendingOf(life)
    if (phase.kind === 'starting') {
      const end: End = { kind: 'retry', attempt: phase.attempt, cause: null }
      this.#phase = { kind: 'ending', life, end }
      // Nobody waits for a component that did not start: its last words are worth a moment.
      void life.process.drained.then(() => this.#afterExit(life, exit))
      return
    }
    this.#afterExit(life, exit)
  }

  #afterExit(life: Life, exit: ProcessExit): void {
    const phase = this.#phase
    if (!('life' in phase) || phase.life !== life || phase.kind === 'cleaning') return
    clearTimeout(this.#timer)
    const end = this.#endOf(phase, life, exit)
    setImmediate(() => this.#log.info({ pid: life.process.pid, ...exit, end }, 'process ended'))
    if (this.model.cleanup === null) return this.#finish(life, end)
    this.#phase = { kind: 'cleaning', life, end }
    void this.#cleanByCommand(life, end, this.model.cleanup)
  }

  #endOf(phase: Exclude<Phase, { kind: 'idle' | 'pausing' }>, life: Life, exit: ProcessExit): End {
    const unasked: End = { kind: 'failed', recovery: 'noRecommendation', cause: null }
    const end = 'end' in phase ? phase.end : unasked
    if (end.kind === 'terminated' || end.cause !== null) return end
    const { pid } = life.process
    const said = this.#ports.crashText(this.model.name, pid) ?? tailText(life.process.stderrTail())
    const how = exitText(pid, exit)
    return { ...end, cause: said === '' ? how : `${how}: ${said}` }
  }

  async #cleanByCommand(life: Life, end: End, command: CommandModel): Promise<void> {
    const outcome = await this.#ports.runCommand(this.model, command)
    if (outcome.code === 0) return this.#finish(life, end)
    const how = outcome.timedOut ? `took over ${command.timeoutMs} ms` : exitText(0, outcome)
    const cause = `the clean-up command of ${this.model.name} failed: ${how}`
    this.#log.error({ cause, stderr: tailText(outcome.stderrTail) }, 'clean-up failed')
    this.#ports.ended(life.caller)
    this.#becomeIdle('TERMINATION_FAILED')
    this.#ports.emit({ kind: 'cleanupFailed', component: this.model.name, cause })
  }

  /** Nothing of the life is left: says so, and starts the next one when that is due. */
  #finish(life: Life, end: End): void {
    const { name, recovery, disableRestart } = this.model
    const { incarnation } = life
    for (const reason of ['stamp', 'healthCheck', 'started'] as const) {
      this.setBusy(reason, false, 0)
    }
    if (end.kind === 'retry') {
      this.#ports.ended(life.caller)
      this.#afterAttempt(end.attempt, end.cause ?? 'it ended')
    } else {
      this.#becomeIdle('UNINSTANTIATED')
      if (end.kind === 'terminated') this.#reportTerminated(incarnation)
      else {
        const cause = `${name}: ${end.cause ?? 'it ended'}`
        const failed = { component: name, incarnation, recovery: end.recovery, cause }
        this.#ports.emit({ kind: 'componentFailed', ...failed })
      }
      this.#ports.ended(life.caller)
    }
    const alone = end.kind === 'failed' && !this.#ports.isDirected()
    const restart = alone && recovery === 'componentRestart' && !disableRestart
    if (this.#phase.kind === 'idle' && (this.#launchAfterEnd || restart)) {
      this.#launchAfterEnd = false
      this.#launch(1)
    }
  }

  #becomeIdle(presence: Extract<Phase, { kind: 'idle' }>['presence']): void {
    this.#phase = { kind: 'idle', presence }
    const waiters = this.#idleWaiters
    this.#idleWaiters = []
    for (const resolve of waiters) resolve()
  }

  #reportRegistered(life: Life): void {
    if (life.address === null) return
    const { incarnation, address } = life
    const { pid } = life.process
    const component = this.model.name
    this.#ports.emit({ kind: 'componentRegistered', component, incarnation, pid, address })
  }

  #reportHaReadiness({ incarnation }: Life, csi: string | null, state: HaReadiness): void {
    const component = this.model.name
    this.#ports.emit({ kind: 'haReadiness', component, incarnation, csi, state })
  }

  #reportTerminated(incarnation: number): void {
    this.#ports.emit({ kind: 'componentTerminated', component: this.model.name, incarnation })
  }
}

const oneWay = { oneWay: true } as const
