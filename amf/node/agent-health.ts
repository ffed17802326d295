import type { Logger } from 'pino'
import { isSaAware } from '../model/category.ts'
import type { ComponentModel } from '../model/model.ts'
import type { Life } from './component-life.ts'
import type { ComponentRunner } from './component-runner.ts'
import {
  createLiveness,
  forgetComponent,
  hearBeat,
  type LivenessChange,
  type LivenessState,
  tickLiveness,
  watchComponent,
} from './liveness.ts'

/** Judging is due this often within the shortest `hungMs`, and within these bounds. */
const TICKS_PER_WINDOW = 20
const TICK_MS = { min: 10, max: 100 } as const

/** What health watching takes from its node. */
export interface HealthPorts {
  /** State letter of a process as in `/proc/PID/stat`; undefined when there is none. */
  readonly processState: (pid: number) => string | undefined
  readonly nowMs: () => number
}

/** Health checks of one life that AMF invokes. */
interface Checks {
  readonly life: Life
  timer: NodeJS.Timeout | undefined
  sentMs: number
}

/**
 * Watches that components live, in two ways: beats of their watchdog threads (which come from outside the
 * application's event loop), and health checks that AMF invokes. Verdicts: no progress for `hungMs` is hung, no beat
 * for `hungMs` is frozen, both are failures; a stamp or an answer that is only late is busy, an alarm.
 */
export class AgentHealth {
  readonly #ports: HealthPorts & { readonly nextInvocation: () => number }
  readonly #log: Logger
  readonly #checks = new Map<ComponentRunner, Checks>()
  readonly #runners = new Map<string, ComponentRunner>()
  readonly #watched = new Map<ComponentRunner, Life>()
  #liveness: LivenessState | null = null
  #timer: NodeJS.Timeout | undefined

  constructor(ports: HealthPorts & { readonly nextInvocation: () => number }, log: Logger) {
    this.#ports = ports
    this.#log = log
  }

  /** Watches these from now on; again with another set when the model changes. */
  start(runners: Iterable<ComponentRunner>): void {
    this.#runners.clear()
    for (const runner of runners) {
      // Others have no watchdog thread.
      if (isSaAware(runner.model)) this.#runners.set(runner.model.name, runner)
    }
    clearInterval(this.#timer)
    if (this.#runners.size === 0) return
    const hungMs = Math.min(...[...this.#runners.values()].map(({ model }) => model.hungMs))
    const tickMs = Math.min(TICK_MS.max, Math.max(TICK_MS.min, hungMs / TICKS_PER_WINDOW))
    const fresh = createLiveness({ tickMs, hungMs }, this.#ports.nowMs())
    const known = [...(this.#liveness?.components ?? [])]
    const components = new Map(known.filter(([name]) => this.#runners.has(name)))
    this.#liveness = { ...fresh, components }
    this.#timer = setInterval(() => this.#tick(), tickMs)
  }

  stop(): void {
    clearInterval(this.#timer)
    for (const checks of this.#checks.values()) clearTimeout(checks.timer)
    this.#checks.clear()
  }

  /** A beat of a component's watchdog thread. */
  onHeartbeat(component: string, number: number, stampAgeMs: number): void {
    if (this.#liveness === null) return
    const beat = { component, number, stampAgeMs }
    this.#liveness = hearBeat(this.#liveness, beat, this.#ports.nowMs())
  }

  /** A component registered: its health checks begin. */
  registered(runner: ComponentRunner, life: Life): void {
    const { healthCheck } = runner.model
    clearTimeout(this.#checks.get(runner)?.timer)
    if (healthCheck === null) return
    const checks: Checks = { life, timer: undefined, sentMs: 0 }
    this.#checks.set(runner, checks)
    this.#arm(runner, checks, healthCheck.periodMs)
  }

  /** A health check was answered well. */
  answered(runner: ComponentRunner, life: Life): void {
    const checks = this.#checks.get(runner)
    const { healthCheck } = runner.model
    if (checks?.life !== life || healthCheck === null) return
    runner.setBusy('healthCheck', false, 0)
    const sinceMs = this.#ports.nowMs() - checks.sentMs
    this.#arm(runner, checks, Math.max(0, healthCheck.periodMs - sinceMs))
  }

  #arm(runner: ComponentRunner, checks: Checks, delayMs: number): void {
    clearTimeout(checks.timer)
    checks.timer = setTimeout(() => this.#check(runner, checks), delayMs)
  }

  /** One check is out at a time: a component that is slow gets no second one. */
  #check(runner: ComponentRunner, checks: Checks): void {
    const phase = runner.phase
    const { healthCheck } = runner.model
    if (phase.kind !== 'running' || phase.life !== checks.life || healthCheck === null) return
    checks.sentMs = this.#ports.nowMs()
    const { command, timeoutMs } = healthCheck
    if (command !== null) {
      const check = runner.checkByCommand(checks.life, { argv: command, timeoutMs })
      void check.then((passed) => passed && this.answered(runner, checks.life))
      return
    }
    runner.checkHealth(checks.life, this.#ports.nextInvocation(), timeoutMs, () => {
      this.#log.warn({ component: runner.model.name, timeoutMs }, 'health check answered late')
      runner.setBusy('healthCheck', true, timeoutMs)
    })
  }

  #tick(): void {
    if (this.#liveness === null) return
    const nowMs = this.#ports.nowMs()
    this.#liveness = this.#watchLives(this.#liveness, nowMs)
    const outcome = tickLiveness(this.#liveness, (name) => this.#stateOf(name, nowMs), nowMs)
    this.#liveness = outcome.state
    if (outcome.late) this.#log.warn('the agent itself was late: nobody is judged')
    for (const change of outcome.changes) this.#judged(change)
  }

  /** Each launch is a new window; what has no process is not watched. */
  #watchLives(before: LivenessState, nowMs: number): LivenessState {
    let state = before
    for (const runner of this.#runners.values()) {
      const { life, model } = runner
      if (life === (this.#watched.get(runner) ?? null)) continue
      if (life === null) {
        this.#watched.delete(runner)
        state = forgetComponent(state, model.name)
      } else {
        this.#watched.set(runner, life)
        state = watchComponent(state, model.name, thresholdsOf(model), nowMs)
      }
    }
    return state
  }

  /** Looked up only for those whose beats stay away: reading it for all would cost more than it tells. */
  #stateOf(component: string, nowMs: number): string {
    const runner = this.#runners.get(component)
    const liveness = this.#liveness?.components.get(component)
    if (runner?.life == null || liveness === undefined) return ''
    const silentMs = nowMs - (liveness.lastBeatMs ?? liveness.launchedMs)
    if (silentMs < liveness.thresholds.hungMs / 4) return ''
    return this.#ports.processState(runner.life.process.pid ?? 0) ?? ''
  }

  #judged({ component, verdict, delayMs, cause }: LivenessChange): void {
    const runner = this.#runners.get(component)
    if (runner?.life == null || runner.life !== this.#watched.get(runner)) return
    this.#log.warn({ component, verdict, delayMs, cause }, 'liveness changed')
    switch (verdict) {
      case 'alive':
      case 'busy':
        return runner.setBusy('stamp', verdict === 'busy', delayMs)
      case 'hung':
      case 'frozen':
        return runner.fail(`${verdict}: ${cause}`, 'noRecommendation')
    }
  }
}

function thresholdsOf(model: ComponentModel): Parameters<typeof watchComponent>[2] {
  const { hungMs, busyMs, busyHoldMs } = model
  // Registration has a time-out of its own; the first beat must not be judged by a shorter one.
  return { hungMs, busyMs, busyHoldMs, startGraceMs: model.instantiate.timeoutMs + hungMs }
}
