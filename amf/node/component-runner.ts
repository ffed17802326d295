// Longer than usual: one state machine, whose transitions are to be read in one place.
import type { Logger } from 'pino'
import { SdkError } from '../../idl/index.ts'
import type { HaReadiness, Recovery } from '../../runtime/internal.ts'
import type { PresenceState } from '../engine/contract.ts'
import { ANY_INCARNATION } from '../director/running-table.ts'
import { isSaAware } from '../model/category.ts'
import type { CommandModel, ComponentModel } from '../model/model.ts'
import { BusyAlarm, type BusyReason } from './busy-alarm.ts'
import { NO_RETRY_EXIT_CODE, runLifeCycleCommand } from './component-commands.ts'
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
  InstantiateCommand,
  MediationOrder,
  ProcessExit,
  RunnerPorts,
} from './component-ports.ts'
import { ComponentRoles } from './component-roles.ts'
import { exitText, tailText, textOf } from './exit-text.ts'
import { ExternalMonitor } from './external-monitor.ts'
import { MediatedLife } from './mediated-life.ts'
import { MediatedProcess } from './mediated-process.ts'

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
 *    again.
 * R4 Without a director a component that failed is launched again only when its recovery is `componentRestart`, and it
 *    gets no role: ACTIVE needs a new epoch, and only a director gives one.
 * R5 A component that others act for is here as long as the one that acts for it is. Nothing is said about its end
 *    when that one is gone: it may live on.
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
  #order: Order = { mediation: null, descriptor: null }
  /** Connection that registered the component before it was asked to. */
  #registeredBy: string | null = null
  #idleWaiters: (() => void)[] = []
  readonly #busy: BusyAlarm
  readonly #mediated: MediatedLife
  readonly #monitor: ExternalMonitor

  constructor(model: ComponentModel, ports: RunnerPorts, log: Logger) {
    this.#model = model
    this.#ports = ports
    this.#log = log.child({ component: model.name })
    this.#roles = new ComponentRoles(model, ports, (life, cause) =>
      this.#fail(life, cause, 'noRecommendation'),
    )
    this.#mediated = new MediatedLife(model, ports)
    this.#busy = new BusyAlarm(
      () => this.model.busyHoldMs,
      (news) => ports.emit({ kind: 'busy', component: this.model.name, ...news }),
    )
    this.#monitor = new ExternalMonitor(ports, this.#log)
  }

  get model(): ComponentModel {
    return this.#model
  }

  /** The same component, described anew: counts for everything that is begun from now on. */
  useModel(model: ComponentModel): void {
    this.#model = model
    this.#roles.useModel(model)
    this.#mediated.useModel(model)
  }

  get phase(): Phase {
    return this.#phase
  }

  /** The life that has a process, registered or not, or that somebody who acts for it still cleans up. */
  get life(): Life | null {
    const phase = this.#phase
    if (!('life' in phase)) return null
    return phase.kind === 'cleaning' && phase.life.mediator === null ? null : phase.life
  }

  get facts(): ComponentFactsRecord {
    const { life } = this
    const monitored = life !== null && this.#monitor.isOn(life)
    return factsOf(this.model.name, this.#phase, { busy: this.#busy.isRaised, monitored })
  }

  get presence(): PresenceState {
    return this.facts.presence
  }

  // --- commands of the director ---

  instantiate({ mediation, descriptor, why }: Order & { readonly why: string }): void {
    const { life } = this
    if (mediation !== null && life !== null && life.incarnation !== mediation.incarnation) {
      this.abandon()
    }
    this.#order = { mediation, descriptor }
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
    void this.#terminate(life)
  }

  /** Abrupt end. */
  cleanup(incarnation: number, why: string, mediation: MediationOrder | null = null): void {
    this.#launchAfterEnd = false
    if (mediation !== null && this.life?.incarnation !== mediation.incarnation) {
      this.abandon()
      this.#order = { mediation, descriptor: null }
      return this.#clean(this.#mediatedLife(mediation), { kind: 'terminated' })
    }
    const phase = this.#phase
    if (!this.#isPresent(incarnation)) return this.#reportTerminated(incarnation)
    if (phase.kind === 'pausing') {
      clearTimeout(phase.timer)
      this.#becomeIdle('UNINSTANTIATED')
      return this.#reportTerminated(incarnation)
    }
    if (phase.kind === 'idle') return this.#reportTerminated(incarnation)
    if (phase.kind === 'cleaning') {
      // A repair: what failed is tried again.
      if (phase.failed === true) this.#clean(phase.life, phase.end)
      return
    }
    this.#log.info({ why }, 'cleaning up')
    const end: End =
      phase.kind === 'ending' && phase.end.kind === 'failed' ? phase.end : { kind: 'terminated' }
    this.#kill(phase.life, end)
  }

  /** Starts or stops its external active monitor. */
  monitor(incarnation: number, monitored: boolean): void {
    const life = this.#runningLife(incarnation)
    if (life === null) return
    if (!monitored) void this.#stopMonitor(life)
    else if (!this.#monitor.isFor(life)) this.#startMonitor(life)
    else if (this.#monitor.isOn(life)) this.#reportMonitoring(life)
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

  registered(life: Life, address: Life['address']): void {
    const phase = this.#phase
    if (phase.kind !== 'starting' || phase.life !== life) return
    clearTimeout(this.#timer)
    life.address = address
    this.#phase = { kind: 'running', life }
    this.#log.info({ pid: life.process.pid, address }, 'registered')
    // To run and to be ACTIVE are one thing for what is not pre-instantiable.
    if (life.assigned !== null) for (const role of life.assignments.values()) role.confirmed = true
    this.#reportRegistered(life)
    for (const [csi, state] of life.haReadiness) this.#reportHaReadiness(life, csi, state)
    this.#ports.running(this.model.name, life)
    this.#startMonitor(life)
  }

  /** Whoever acts for the component registers it; what it was not asked for yet is noted for when it is. */
  registeredBy(caller: string, address: Life['address']): void {
    const phase = this.#phase
    if (phase.kind === 'starting' && phase.life.caller === caller) {
      this.registered(phase.life, address)
    } else this.#registeredBy = caller
  }

  /** Who acted for it is gone, or acts for it no more. What it does now is not known here. */
  abandon(): void {
    const { life } = this
    const phase = this.#phase
    this.#registeredBy = null
    clearTimeout(this.#timer)
    if (phase.kind === 'pausing') clearTimeout(phase.timer)
    if (phase.kind === 'cleaning') forgetPendingOf(phase.life)
    if (life !== null) forgetPendingOf(life)
    this.setBusy('healthCheck', false, 0)
    this.#becomeIdle('UNINSTANTIATED')
  }

  #startMonitor(life: Life): void {
    this.#monitor.start(this.model, life, {
      started: () => this.#reportMonitoring(life),
      failed: (cause) => this.#fail(life, cause, 'noRecommendation'),
    })
  }

  async #stopMonitor(life: Life): Promise<void> {
    const isStopped = await this.#monitor.stop(this.model, life)
    if (isStopped) this.#reportMonitoring(life)
    else this.#fail(life, 'its external monitor could not be stopped', 'noRecommendation')
  }

  /** Runs the health-check command. @returns true when it passed; a component that did not pass has failed. */
  async checkByCommand(life: Life, command: CommandModel): Promise<boolean> {
    const run = { model: this.model, what: 'health check', command, assigned: life.assigned }
    const cause = await runLifeCycleCommand(this.#ports, run)
    if (cause !== null) this.#fail(life, cause, 'noRecommendation')
    return cause === null
  }

  /** Answer to a callback. @returns the kind of callback it answers; null for a late one. */
  answered(life: Life, invocation: number, rc: number, message: string): Pending['kind'] | null {
    const pending = forgetPending(life, invocation)
    if (pending === undefined) return null
    if (pending.kind === 'instantiate') this.#instantiated(life, rc, message)
    else if (pending.kind === 'cleanup') {
      this.#cleaned(life, rc === 0 ? null : `its clean-up was answered with an error: ${message}`)
    } else if (pending.kind === 'terminate' && life.mediator !== null) this.#released(life, rc)
    else if (rc === 0) this.#roles.answered(life, invocation, pending)
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
    const { pid } = life.process
    const dead = pid !== null && this.#ports.isDead(pid)
    this.#fail(life, dead ? null : 'it closed its connection to the agent', 'noRecommendation')
  }

  /** Somebody found out that the component does not work. Kills it, waits for its exit, then reports. */
  fail(cause: string, recovery: Recovery): void {
    if (this.life !== null && this.#phase.kind !== 'ending') this.#fail(this.life, cause, recovery)
    else if (this.life !== null) this.life.process.kill()
  }

  /** Raises or clears the alarm "busy", for one of its reasons. */
  setBusy(reason: BusyReason, busy: boolean, delayMs: number, why?: string): void {
    this.#busy.set(reason, { busy, delayMs, ...(why === undefined ? {} : { why }) })
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
    const { mediation, descriptor } = this.#order
    let life: Life
    try {
      if (mediation !== null) life = this.#mediatedLife(mediation)
      else {
        const process = this.#ports.launch(this.model, descriptor)
        const origin = { assigned: descriptor, mediator: null }
        life = startLife(this.#ports.nextIncarnation(), process, origin)
      }
    } catch (error) {
      this.#afterAttempt(attempt, `it could not be started: ${textOf(error)}`)
      return
    }
    this.#phase = { kind: 'starting', life, attempt }
    const { incarnation } = life
    this.#log.info({ pid: life.process.pid, incarnation, attempt }, 'launched')
    void life.process.exited.then((exit) => this.#onExit(life, exit))
    if (descriptor !== null) {
      const { csi, epoch } = descriptor
      const rest = { confirmed: false, isPrimary: false, invocation: 0, told: null }
      life.assignments.set(csi, { haState: 'ACTIVE', epoch, ...rest })
    }
    const { started } = life.process
    if (started !== null) void started.then((exit) => this.#commandEnded(life, exit))
    else if (!isSaAware(this.model) && mediation === null) return this.registered(life, null)
    const { timeoutMs } = this.model.instantiate
    this.#timer = setTimeout(() => this.#startIsLate(life, attempt), timeoutMs)
    if (mediation !== null) this.#mediate(life, mediation)
  }

  #startIsLate(life: Life, attempt: number): void {
    const { foreground, instantiate } = this.model
    const cause = `it did not ${foreground ? 'register' : 'start'} within ${instantiate.timeoutMs} ms`
    if (this.#order.mediation?.kept == null) this.#kill(life, { kind: 'retry', attempt, cause })
    else this.#kill(life, { kind: 'failed', recovery: 'componentFailover', cause })
  }

  /** The command that starts the component has returned; a failed one is a failed attempt by its exit. */
  #commandEnded(life: Life, exit: ProcessExit): void {
    if (exit.code === 0) this.registered(life, null)
  }

  // --- a component that others act for ---

  #mediatedLife({ mediator, incarnation }: MediationOrder): Life {
    const origin = { assigned: this.#order.descriptor, mediator }
    const life = startLife(incarnation, new MediatedProcess(), origin)
    life.caller = this.#ports.mediator(mediator)?.caller ?? null
    return life
  }

  #mediate(life: Life, { mediator, kept }: MediationOrder): void {
    const present = this.#ports.mediator(mediator)
    const fail = (cause: string): void => this.#fail(life, cause, 'noRecommendation')
    if (present === null) return fail(`${mediator} is not here to act for it`)
    if (kept === null) {
      this.#registeredBy = null
      this.#mediated.instantiate(life, fail)
      return
    }
    for (const { csi, haState, epoch } of kept) {
      const rest = { confirmed: true, isPrimary: false, invocation: 0, told: null }
      life.assignments.set(csi, { haState, epoch, ...rest })
    }
    if (this.#registeredBy === life.caller) this.registered(life, present.address)
  }

  /** The callback that instantiates it was answered; one that is pre-instantiable has to be registered as well. */
  #instantiated(life: Life, rc: number, message: string): void {
    const present = this.#ports.mediator(life.mediator ?? '')
    if (rc !== 0) {
      this.#fail(life, `it could not be instantiated: ${message}`, 'noRecommendation')
    } else if (!this.model.preInstantiable) this.registered(life, present?.address ?? null)
  }

  /** The callback that terminates it was answered: with OK nothing of it is left. */
  #released(life: Life, rc: number): void {
    if (this.#phase.kind !== 'ending' || this.#phase.life !== life) return
    if (rc === 0) this.#phase = { ...this.#phase, end: { kind: 'terminated', clean: true } }
    life.process.kill()
  }

  #afterAttempt(attempt: number, cause: string, final = false): void {
    const { name, instantiateAttemptsMax } = this.model
    this.#log.warn({ attempt, cause }, 'not instantiated')
    if (attempt < instantiateAttemptsMax && !final) {
      const { instantiateWithoutDelayMax, instantiateDelayMs } = this.model
      const delayMs = attempt < instantiateWithoutDelayMax ? 0 : instantiateDelayMs
      const timer = setTimeout(() => this.#launch(attempt + 1), delayMs)
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

  /** The external monitor first, then the component; SIGKILL, or the clean-up, when that takes too long. */
  async #terminate(life: Life): Promise<void> {
    const { model } = this
    if (this.#monitor.isFor(life)) {
      const isStopped = await this.#monitor.stop(model, life)
      if (this.#phase.kind !== 'ending' || this.#phase.life !== life) return
      if (!isStopped) return this.#kill(life, { kind: 'terminated' })
    }
    this.#armKill(life, model.terminate?.timeoutMs ?? model.terminateTimeoutMs)
    if (model.mediation !== null) this.#mediated.terminate(life, () => life.process.kill())
    else if (isSaAware(model)) this.#terminateByCallback(life)
    else if (model.terminate === null) life.process.terminate()
    else {
      const run = { model, what: 'terminate', command: model.terminate, assigned: life.assigned }
      const cause = await runLifeCycleCommand(this.#ports, run)
      if (cause !== null) this.#log.warn({ cause }, 'not terminated in good order')
      life.process.kill()
    }
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
      const cause = `process ${life.process.pid ?? 'of it'} survives SIGKILL`
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
      const final = exit.code === NO_RETRY_EXIT_CODE
      const end: End = { kind: 'retry', attempt: phase.attempt, cause: null, final }
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
    this.#clean(life, end)
  }

  /** After its process is gone: by command or callback, where the component has one. */
  #clean(life: Life, end: End): void {
    const { model } = this
    const isClean = end.kind === 'terminated' && end.clean === true
    const isCommanded = model.cleanup !== null || this.#monitor.isFor(life)
    if (isClean || (!isCommanded && life.mediator === null)) return this.#finish(life, end)
    this.#phase = { kind: 'cleaning', life, end }
    if (life.mediator !== null) this.#mediated.cleanup(life, (cause) => this.#cleaned(life, cause))
    else void this.#cleanByCommand(life).then((cause) => this.#cleaned(life, cause))
  }

  /** A monitor of what has failed is no reason to keep its role from others: that is in the log. */
  async #cleanByCommand(life: Life): Promise<string | null> {
    const { model } = this
    await this.#monitor.stop(model, life)
    const { cleanup: command } = model
    if (command === null) return null
    const run = { model, what: 'clean-up', command, assigned: life.assigned }
    return await runLifeCycleCommand(this.#ports, run)
  }

  #cleaned(life: Life, cause: string | null): void {
    const phase = this.#phase
    if (phase.kind !== 'cleaning' || phase.life !== life || phase.failed === true) return
    if (cause === null) return this.#finish(life, phase.end)
    this.#log.error({ cause }, 'clean-up failed')
    this.#phase = { ...phase, failed: true }
    this.#wakeIdleWaiters()
    this.#ports.emit({ kind: 'cleanupFailed', component: this.model.name, cause })
  }

  #endOf(phase: Exclude<Phase, { kind: 'idle' | 'pausing' }>, life: Life, exit: ProcessExit): End {
    const unasked: End = { kind: 'failed', recovery: 'noRecommendation', cause: null }
    const end = 'end' in phase ? phase.end : unasked
    if (end.kind === 'terminated' || end.cause !== null) return end
    const { pid } = life.process
    const crash = pid === null ? null : this.#ports.crashText(this.model.name, pid)
    const said = crash ?? tailText(life.process.stderrTail())
    const how = exitText(pid, exit)
    return { ...end, cause: said === '' ? how : `${how}: ${said}` }
  }

  /** Nothing of the life is left: says so, and starts the next one when that is due. */
  #finish(life: Life, end: End): void {
    const { name, recovery, disableRestart } = this.model
    const { incarnation } = life
    this.#busy.clear()
    if (end.kind === 'retry') {
      this.#ports.ended(life.mediator === null ? life.caller : null)
      this.#afterAttempt(end.attempt, end.cause ?? 'it ended', end.final)
    } else {
      this.#becomeIdle('UNINSTANTIATED')
      if (end.kind === 'terminated') this.#reportTerminated(incarnation)
      else {
        const cause = `${name}: ${end.cause ?? 'it ended'}`
        const failed = { component: name, incarnation, recovery: end.recovery, cause }
        this.#ports.emit({ kind: 'componentFailed', ...failed })
      }
      this.#ports.ended(life.mediator === null ? life.caller : null)
    }
    const alone = end.kind === 'failed' && !this.#ports.isDirected()
    const restart =
      alone && recovery === 'componentRestart' && !disableRestart && isSaAware(this.model)
    if (this.#phase.kind === 'idle' && (this.#launchAfterEnd || restart)) {
      this.#launchAfterEnd = false
      this.#launch(1)
    }
  }

  #becomeIdle(presence: Extract<Phase, { kind: 'idle' }>['presence']): void {
    this.#phase = { kind: 'idle', presence }
    this.#wakeIdleWaiters()
  }

  #wakeIdleWaiters(): void {
    const waiters = this.#idleWaiters
    this.#idleWaiters = []
    for (const resolve of waiters) resolve()
  }

  #reportRegistered(life: Life): void {
    const { incarnation, address } = life
    const { pid } = life.process
    const component = this.model.name
    this.#ports.emit({ kind: 'componentRegistered', component, incarnation, pid, address })
  }

  #reportHaReadiness({ incarnation }: Life, csi: string | null, state: HaReadiness): void {
    const component = this.model.name
    this.#ports.emit({ kind: 'haReadiness', component, incarnation, csi, state })
  }

  #reportMonitoring(life: Life): void {
    const { incarnation } = life
    if (this.#runningLife(incarnation) !== life) return
    const component = this.model.name
    const monitored = this.#monitor.isOn(life)
    this.#ports.emit({ kind: 'monitoring', component, incarnation, monitored })
  }

  #reportTerminated(incarnation: number): void {
    this.#ports.emit({ kind: 'componentTerminated', component: this.model.name, incarnation })
  }
}

const oneWay = { oneWay: true } as const

/** What the present life was ordered for. */
type Order = Pick<InstantiateCommand, 'mediation' | 'descriptor'>
