import { SdkError, type HandlersOf, type Interface, type MethodSpecs } from '../../idl/index.ts'
import type { IncomingCall } from '../../ioc/index.ts'
import type { CheckpointService } from '../services/checkpoint/commit-gate.ts'
import type { EoClient } from './app.ts'
import type { CallContext } from './call-context.ts'
import { ClientTable, type Service } from './client-table.ts'
import type { EoConfig } from './config.schema.ts'
import { createEoClient } from './eo-client.ts'
import type { EoState } from './health.ts'
import { JobRunner } from './job-runner.ts'
import type { CustomAction } from './management.ts'
import type { EoIdentity } from './my-eo.ts'
import { Receiver } from './receiver.ts'
import { RoleTable, type RoleState } from './role-table.ts'

/** What an {@link ExecutionObject} is given. */
export interface ExecutionObjectOptions {
  readonly config: EoConfig
  /** Null until the checkpoint service is there; functions without a checkpoint need none. */
  readonly checkpoint: () => CheckpointService | null
  /** Whether the name table says that another component is active for the CSI. */
  readonly isElsewhere: (csi: string) => boolean
  /** Monotonic milliseconds, the clock of deadlines. @defaultValue `performance.now` */
  readonly clock?: () => number
  readonly log: (message: string, fields: Readonly<Record<string, unknown>>) => void
  /** Told with each change of role whether the component may be doing an active's work. */
  readonly onActive?: (active: boolean) => void
  /** Told which function the EO's thread enters, and -1 when it is inside of none. */
  readonly onRunning?: (functionNumber: number) => void
  /** Told which functions are stuck, whenever that changes: by name, none when all came back. */
  readonly onStuck?: (functions: readonly string[]) => void
  /** In which functions on the EO's thread run. */
  readonly context?: CallContext
  /** What workers are bound to; asked for when the first one starts. */
  readonly identity: () => EoIdentity
  /** The compiled worker entry, where this code runs from sources. */
  readonly workerEntry?: URL
}

/** Deadlines are looked at this often while there is anything to look at. */
const SWEEP_INTERVAL_MS = 20

/**
 * One Execution Object: the client table, the receive path, the job queues, the workers, and the state that suspends
 * or stops them. One a component process. It is driven from outside: calls come in by `dispatch`, roles by `setRole`.
 */
export class ExecutionObject {
  readonly client: EoClient
  readonly #tables: ClientTable
  readonly #roles = new RoleTable()
  readonly #receiver: Receiver
  readonly #runner: JobRunner
  readonly #clock: () => number
  readonly #checkpoint: () => CheckpointService | null
  readonly #onActive: ((active: boolean) => void) | undefined
  #sweepTimer: NodeJS.Timeout | undefined
  #customAction: CustomAction | undefined

  constructor(options: ExecutionObjectOptions) {
    const clock = options.clock ?? (() => performance.now())
    this.#clock = clock
    this.#checkpoint = options.checkpoint
    this.#onActive = options.onActive
    this.#tables = new ClientTable(options.config.userClients)
    this.#runner = new JobRunner({
      config: options.config,
      clock,
      log: options.log,
      identity: options.identity,
      ...(options.context === undefined ? {} : { context: options.context }),
      ...(options.onRunning === undefined ? {} : { onRunning: options.onRunning }),
      ...(options.onStuck === undefined ? {} : { onStuck: options.onStuck }),
      ...(options.workerEntry === undefined ? {} : { workerEntry: options.workerEntry }),
    })
    this.#receiver = new Receiver({
      tables: this.#tables,
      roles: this.#roles,
      gate: (csi) => options.checkpoint()?.gate(csi),
      onlyCheckpoint: () => {
        const opened = options.checkpoint()?.opened() ?? []
        return opened.length === 1 ? opened[0] : undefined
      },
      isElsewhere: options.isElsewhere,
      accept: (job, isAlone) => this.#runner.accept(job, isAlone),
      clock,
      parkedCountMax: options.config.queueCountMax,
    })
    this.client = createEoClient({
      tables: this.#tables,
      place: (module) => {
        this.#runner.place(module)
      },
      setCustomAction: (action) => {
        this.#customAction = action
      },
    })
  }

  get state(): EoState {
    return this.#receiver.state
  }

  /** Starts to serve what is not the platform's, suspends it, or stops it for good. */
  setState(state: EoState): void {
    this.#receiver.state = state
  }

  /** Installs a platform table, whose functions run on arrival in every role and state. */
  installPlatform<M extends MethodSpecs>(
    face: Interface<M>,
    functions: HandlersOf<M, IncomingCall>,
  ): void {
    const table = functions as Readonly<Record<string, unknown>>
    this.#tables.install(face as unknown as Interface, table, { kind: 'platform' })
  }

  /** Takes a request in. Hand this to `Rmd.serve`. */
  readonly dispatch = (incoming: IncomingCall): void => {
    this.#receiver.dispatch(incoming)
    if (this.#sweepTimer === undefined && this.#isBusy()) this.#startSweep()
  }

  /** A caller waits for a call no more. Hand this to `Rmd.serve` too. */
  readonly cancelled = (caller: string, messageId: number): void => {
    this.#receiver.cancel(caller, messageId)
    this.#runner.cancel(caller, messageId)
  }

  /** Whether RMD itself keeps at-most-once replies of a function: those without a checkpoint. */
  readonly dedupes = (functionNumber: number, interfaceVersion = 0): boolean => {
    const service = this.#tables.lookup(functionNumber, interfaceVersion)
    if (service instanceof SdkError) return true
    const binding = this.#receiver.binding(service)
    if (binding.kind !== 'csi') return true
    return this.#checkpoint()?.gate(binding.csi) === undefined
  }

  /** Sets where the component stands with a CSI. Calls that waited for it run, or are refused. */
  setRole(csi: string, state: RoleState | null, epoch: number): void {
    this.#roles.set(csi, state, epoch)
    this.#onActive?.(this.#roles.holdsActive())
    if (state !== 'ACTIVE') this.#runner.endStreams(csi)
    this.#receiver.unpark()
  }

  get customAction(): CustomAction | undefined {
    return this.#customAction
  }

  get roles(): Pick<RoleTable, 'state' | 'haState' | 'epoch' | 'epochOf' | 'csis'> {
    return this.#roles
  }

  /** Resolves when no call of the CSI (of any, when null) runs or waits for its commit. */
  drained(csi: string | null): Promise<void> {
    return this.#runner.drained(csi)
  }

  services(withPlatform: boolean): Service[] {
    return this.#tables.services(withPlatform)
  }

  statistics(): Readonly<Record<string, number>> {
    return {
      ...this.#receiver.counters,
      parkedNow: this.#receiver.parkedCount,
      ...this.#runner.statistics(),
    }
  }

  /** Refuses new calls, waits for running ones up to `deadlineMs`, then gives them up and ends the workers. */
  async stop(deadlineMs: number): Promise<void> {
    this.setState('stopping')
    await within(this.drained(null), deadlineMs)
    clearInterval(this.#sweepTimer)
    await this.#runner.close()
  }

  #isBusy(): boolean {
    return this.#runner.liveCount > 0 || this.#receiver.parkedCount > 0
  }

  #startSweep(): void {
    this.#sweepTimer = setInterval(() => {
      const nowMs = this.#clock()
      this.#receiver.sweep(nowMs)
      this.#runner.sweep(nowMs)
      if (this.#isBusy()) return
      clearInterval(this.#sweepTimer)
      this.#sweepTimer = undefined
    }, SWEEP_INTERVAL_MS)
  }
}

/** Waits for a promise, but not longer than that. */
async function within(promise: Promise<unknown>, ms: number): Promise<void> {
  let timer: NodeJS.Timeout | undefined
  const late = new Promise<void>((resolve) => {
    timer = setTimeout(resolve, ms)
  })
  await Promise.race([promise, late])
  clearTimeout(timer)
}
