import type { Logger } from 'pino'
import { SdkError } from '../../idl/index.ts'
import type { ProcessError, Recovery } from '../../runtime/internal.ts'
import type { Life } from './component-life.ts'
import type { CallbackClient } from './component-ports.ts'
import type { ComponentRunner } from './component-runner.ts'
import {
  checkPassed,
  type HealthCheck,
  type HealthChecks,
  isLate,
  nextCheckMs,
  putOffChecks,
  startCheck,
  stopCheck,
  tickChecks,
} from './health-checks.ts'
import {
  type Monitor,
  monitorWith,
  monitorWithout,
  pollMonitor,
  type ProcessTableView,
} from './passive-monitor.ts'

/** Monitored processes are looked at this often. */
const POLL_MS = 1_000
/** Processes that one component may have monitored, descendants apart; one more is refused with NO_SPACE. */
const MONITOR_COUNT_MAX = 256
/** A timer that comes this much late means that the agent itself stood still. */
const LATE_MS = 100

const oneWay = { oneWay: true } as const

export interface MonitoringPorts {
  readonly nowMs: () => number
  readonly nextInvocation: () => number
  readonly callbacks: (caller: string) => CallbackClient
  readonly processes: ProcessTableView
}

/** What one life of a component has asked for. It ends with that life. */
interface Watch {
  readonly life: Life
  checks: HealthChecks
  readonly monitors: Map<number, Monitor>
  /** Calls that are out, by invocation. */
  readonly calls: Map<number, string>
  checkTimer: NodeJS.Timeout | undefined
  checkDueMs: number
}

/** Health checks and passive monitoring that components asked for themselves: the shell around their two cores. */
export class AgentMonitoring {
  readonly #ports: MonitoringPorts
  readonly #log: Logger
  readonly #watches = new Map<ComponentRunner, Watch>()
  #pollTimer: NodeJS.Timeout | undefined

  constructor(ports: MonitoringPorts, log: Logger) {
    this.#ports = ports
    this.#log = log
  }

  stop(): void {
    clearInterval(this.#pollTimer)
    for (const { checkTimer } of this.#watches.values()) clearTimeout(checkTimer)
    this.#watches.clear()
  }

  // --- health checks ---

  /** @throws SdkError NOT_EXIST for a key that the model lacks; ALREADY_EXIST; OP_NOT_PERMITTED. */
  startCheck(
    runner: ComponentRunner,
    life: Life,
    key: string,
    request: Pick<HealthCheck, 'invocation' | 'recovery'>,
  ): void {
    const times = runner.model.healthChecks.get(key)
    const { name } = runner.model
    if (times === undefined) {
      throw new SdkError('NOT_EXIST', `component ${name} has no healthChecks.${key} in the model`)
    }
    checkWidth('healthCheckStart', request.recovery)
    const watch = this.#watch(runner, life)
    if (watch.checks.has(key)) {
      throw new SdkError('ALREADY_EXIST', `health check ${key} of ${name} was started before`)
    }
    watch.checks = startCheck(watch.checks, key, { ...request, ...times }, this.#ports.nowMs())
    this.#check(runner, watch)
  }

  /** @throws SdkError NOT_EXIST when no such check was started, or the agent invokes it. */
  confirmCheck(
    runner: ComponentRunner,
    life: Life,
    key: string,
    result: { readonly rc: number; readonly message: string },
  ): void {
    const watch = this.#watch(runner, life)
    if (watch.checks.get(key)?.invocation !== 'COMPONENT_INVOKED') {
      const message = `component ${runner.model.name} confirms no health check ${key}: start it first`
      throw new SdkError('NOT_EXIST', message)
    }
    this.#passed(runner, watch, key, result)
  }

  /** @throws SdkError NOT_EXIST when no such check was started. */
  stopCheck(runner: ComponentRunner, life: Life, key: string): void {
    const watch = this.#watch(runner, life)
    if (!watch.checks.has(key)) {
      throw new SdkError('NOT_EXIST', `health check ${key} of ${runner.model.name} is not started`)
    }
    watch.checks = stopCheck(watch.checks, key)
    for (const [invocation, other] of watch.calls) if (other === key) watch.calls.delete(invocation)
    this.#check(runner, watch)
  }

  /** @returns whether the answer was to a call of a check that was started. */
  answered(
    runner: ComponentRunner,
    life: Life,
    invocation: number,
    result: { readonly rc: number; readonly message: string },
  ): boolean {
    const watch = this.#watches.get(runner)
    const key = watch?.life === life ? watch.calls.get(invocation) : undefined
    if (watch === undefined || key === undefined) return false
    watch.calls.delete(invocation)
    this.#passed(runner, watch, key, result)
    return true
  }

  #passed(
    runner: ComponentRunner,
    watch: Watch,
    key: string,
    { rc, message }: { readonly rc: number; readonly message: string },
  ): void {
    const check = watch.checks.get(key)
    if (check === undefined) return
    if (rc === 0) {
      watch.checks = checkPassed(watch.checks, key, this.#ports.nowMs())
      this.#check(runner, watch)
    } else
      this.#fail(runner, watch, `health check ${key} found an error: ${message}`, check.recovery)
  }

  #check(runner: ComponentRunner, watch: Watch): void {
    if (runner.life !== watch.life) return this.#end(runner, watch)
    const tick = tickChecks(watch.checks, this.#ports.nowMs())
    const { failure } = tick
    if (failure !== null) return this.#fail(runner, watch, failure.cause, failure.recovery)
    watch.checks = tick.checks
    runner.setBusy('started', isLate(watch.checks), 0)
    for (const key of tick.calls) this.#call(runner, watch, key)
    this.#arm(runner, watch)
  }

  #call({ model }: ComponentRunner, { life, calls }: Watch, key: string): void {
    const { nextInvocation, callbacks } = this.#ports
    const invocation = nextInvocation()
    calls.set(invocation, key)
    if (life.caller === null) return
    const input = { invocation, component: model.name, key }
    // One that cannot be sent is one that is not answered.
    callbacks(life.caller)
      .healthCheck(input, oneWay)
      .catch(() => undefined)
  }

  #arm(runner: ComponentRunner, watch: Watch): void {
    clearTimeout(watch.checkTimer)
    const dueMs = nextCheckMs(watch.checks)
    if (dueMs === null) return
    watch.checkDueMs = dueMs
    watch.checkTimer = setTimeout(
      () => {
        const lateMs = this.#ports.nowMs() - watch.checkDueMs
        if (lateMs > LATE_MS) watch.checks = putOffChecks(watch.checks, lateMs)
        this.#check(runner, watch)
      },
      Math.max(0, Math.ceil(dueMs - this.#ports.nowMs())),
    )
  }

  // --- passive monitoring ---

  /** @throws SdkError NOT_EXIST when there is no such process; NO_SPACE; OP_NOT_PERMITTED. */
  startMonitor(
    runner: ComponentRunner,
    life: Life,
    request: {
      readonly pid: number
      readonly depth: number
      readonly errors: readonly ProcessError[]
      readonly recovery: Recovery
    },
  ): void {
    const { pid, recovery } = request
    checkWidth('pmStart', recovery)
    const view = this.#ports.processes.look(pid)
    if (view === null || view.ended !== null) {
      throw new SdkError('NOT_EXIST', `pmStart: there is no process ${pid}`)
    }
    const { monitors } = this.#watch(runner, life)
    if (!monitors.has(pid) && monitors.size >= MONITOR_COUNT_MAX) {
      const message = `pmStart: ${MONITOR_COUNT_MAX} processes are monitored already; stop some`
      throw new SdkError('NO_SPACE', message)
    }
    const { startTime } = view
    const monitor = monitorWith(monitors.get(pid), { ...request, startTime })
    monitors.set(pid, pollMonitor(monitor, this.#ports.processes).monitor ?? monitor)
    this.#pollTimer ??= setInterval(() => this.#pollAll(), POLL_MS)
  }

  /** @throws SdkError NOT_EXIST when the process is not monitored. */
  stopMonitor(
    runner: ComponentRunner,
    life: Life,
    request: {
      readonly pid: number
      readonly scope: 'PROCESS' | 'PROCESS_AND_DESCENDANTS' | 'ALL'
      readonly errors: readonly ProcessError[]
    },
  ): void {
    const { pid, scope, errors } = request
    const { monitors } = this.#watch(runner, life)
    const found = scope === 'ALL' ? [...monitors.values()] : [monitors.get(pid)]
    if (found.length === 0 || found[0] === undefined) {
      throw new SdkError('NOT_EXIST', `pmStop: process ${pid} is not monitored`)
    }
    for (const monitor of found) {
      if (monitor === undefined) continue
      const left = monitorWithout(monitor, errors)
      const alone = { depth: 0, descendants: new Map<number, never>() }
      monitors.delete(monitor.pid)
      if (left !== null) monitors.set(left.pid, scope === 'PROCESS' ? { ...left, ...alone } : left)
      if (scope === 'PROCESS') adoptDescendants(monitors, monitor)
    }
  }

  #pollAll(): void {
    let count = 0
    for (const [runner, watch] of this.#watches) {
      if (runner.life !== watch.life) this.#end(runner, watch)
      else this.#poll(runner, watch)
      count += watch.monitors.size
    }
    if (count > 0) return
    clearInterval(this.#pollTimer)
    this.#pollTimer = undefined
  }

  #poll(runner: ComponentRunner, watch: Watch): void {
    for (const [pid, before] of watch.monitors) {
      const { monitor, failure } = pollMonitor(before, this.#ports.processes)
      if (failure !== null) return this.#fail(runner, watch, failure.cause, failure.recovery)
      if (monitor === null) watch.monitors.delete(pid)
      else watch.monitors.set(pid, monitor)
    }
  }

  // --- both ---

  #watch(runner: ComponentRunner, life: Life): Watch {
    const known = this.#watches.get(runner)
    if (known?.life === life) return known
    clearTimeout(known?.checkTimer)
    const maps = { monitors: new Map(), calls: new Map() }
    const watch: Watch = { life, checks: new Map(), ...maps, checkTimer: undefined, checkDueMs: 0 }
    this.#watches.set(runner, watch)
    return watch
  }

  #fail(runner: ComponentRunner, watch: Watch, cause: string, recovery: Recovery): void {
    this.#log.warn({ component: runner.model.name, cause, recovery }, 'monitoring found an error')
    this.#end(runner, watch)
    if (runner.life === watch.life) runner.fail(cause, recovery)
  }

  #end(runner: ComponentRunner, watch: Watch): void {
    clearTimeout(watch.checkTimer)
    watch.monitors.clear()
    if (this.#watches.get(runner) === watch) this.#watches.delete(runner)
  }
}

/** What the process alone was monitored for goes on for those below it. */
function adoptDescendants(monitors: Map<number, Monitor>, monitor: Monitor): void {
  for (const [pid, { startTime, depth }] of monitor.descendants) {
    if (monitors.has(pid)) continue
    monitors.set(pid, { ...monitor, pid, startTime, depth, descendants: new Map() })
  }
}

/** SAF AMF B.04.01: these are for operators and for the availability manager itself. */
function checkWidth(what: string, recovery: Recovery): void {
  if (recovery !== 'clusterReset' && recovery !== 'applicationRestart') return
  const message = `${what}: recovery ${recovery} may not be recommended here; use a narrower one`
  throw new SdkError('OP_NOT_PERMITTED', message)
}
