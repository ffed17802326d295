import { setImmediate as turn } from 'node:timers/promises'
import type { Logger } from 'pino'
import { CL_ERR, isSdkError, SdkError, type HandlersOf } from '../../idl/index.ts'
import type { IncomingCall, IocAddress, Rmd } from '../../ioc/index.ts'
import type {
  CpmCallbackTable,
  CpmClient,
  CpmMediationCallbacks,
  CpmRegisterOptions,
  MonitorRequest,
} from '../eo/app.ts'
import type { ExecutionObject } from '../eo/execution-object.ts'
import type { CheckpointService } from '../services/checkpoint/commit-gate.ts'
import { GroupTracking, type TrackRequest } from './group-tracking.ts'
import {
  Cpm,
  type CpmCallbacks,
  type CsiDescriptor,
  type HaReadiness,
  type HaState,
  processErrorSchema,
  type Recovery,
} from './interface.ts'
import type { ProtectionGroupNotification } from './protection-group.ts'
import { InvocationLog } from './invocation-log.ts'

/** What a {@link CpmComponent} is given. */
export interface CpmComponentOptions {
  readonly component: string
  readonly agent: IocAddress
  readonly rmd: Rmd
  readonly eo: ExecutionObject
  readonly checkpoint: CheckpointService
  readonly log: Logger
  /** The terminate callback is done and answered: the process is to end. */
  readonly onTerminated: () => void
  /**
   * Told of each role of the component itself as it comes, before its callback runs. STANDBY is answered when what it
   * returns has resolved too; it must not reject.
   */
  readonly onRole?: (haState: HaState) => Promise<void>
}

type Handlers = HandlersOf<(typeof CpmCallbacks)['spec'], IncomingCall>
/** How a callback was answered; for QUIESCING the last word is `quiescingComplete`. */
interface Answer {
  readonly by: 'response' | 'quiescingComplete'
  readonly rc: number
  readonly message: string
}
interface RoleOfAnother {
  readonly component: string
  readonly haState: HaState
  readonly descriptor: CsiDescriptor
}
interface CsiSetAsk {
  readonly invocation: number
  readonly haState: HaState
  readonly timeoutMs: number
  readonly prepared: Promise<void> | undefined
}
/** Terminate waits this long for running calls. */
const DRAIN_MS = 1_000
/** Callbacks that give a role up wait so long for what runs, where the agent did not say how long it waits itself. */
const DRAIN_MS_MAX = 10_000

/**
 * The component's side of the component manager: what `app.cpm` is, and the functions that the agent calls.
 *
 * I1 Callbacks for one CSI run one after the other, in the order in which the agent sent them. I2 Every callback is
 * answered once, by error too; one sent again gets the same answer. I3 Calls are served for a CSI from the moment its
 * csiSet(ACTIVE) callback has returned until a csiSet for another state arrives. I4 QUIESCING is complete when
 * no call of the CSI runs, the callback has returned, and every write is committed.
 */
export class CpmComponent implements CpmClient {
  readonly #options: CpmComponentOptions
  readonly #agent
  readonly #invocations = new InvocationLog<Answer>()
  readonly #turns = new Map<string, Promise<void>>()
  readonly #groups: GroupTracking
  #callbacks: CpmCallbackTable | undefined
  #stage: 'fresh' | 'registered' | 'finalized' = 'fresh'
  #terminating: Promise<void> | undefined

  constructor(options: CpmComponentOptions) {
    this.#options = options
    this.#agent = options.rmd.client(Cpm, { to: options.agent })
    this.#groups = new GroupTracking((err, csi) => {
      options.log.error({ err, csi }, 'the callback protectionGroupTrack failed')
    })
    this.#groups.attach(this.#agent)
  }

  initialize(callbacks: CpmCallbackTable): Promise<void> {
    for (const name of ['csiSet', 'csiRemove', 'terminate'] as const) {
      if (typeof callbacks[name] === 'function') continue
      const message = `cpm.initialize: the callback ${name} must be a function`
      return Promise.reject(new SdkError('INVALID_PARAMETER', message))
    }
    if (this.#callbacks !== undefined) {
      return Promise.reject(new SdkError('INITIALIZED', 'cpm.initialize was called before'))
    }
    this.#callbacks = callbacks
    return Promise.resolve()
  }

  async register(options: CpmRegisterOptions = {}): Promise<void> {
    if (this.#callbacks === undefined) {
      throw new SdkError('NOT_INITIALIZED', 'cpm.register: call cpm.initialize first')
    }
    const { component: other } = options
    if (other !== undefined && other !== this.#options.component) {
      const { component: proxy, rmd } = this.#options
      await this.#agent.register({ component: other, proxy, address: rmd.address })
      return
    }
    if (this.#stage !== 'fresh') {
      throw new SdkError('ALREADY_EXIST', `cpm.register: the component is ${this.#stage} already`)
    }
    this.#stage = 'registered'
    const { component, rmd, checkpoint } = this.#options
    try {
      await checkpoint.attach()
      await this.#agent.register({ component, proxy: null, address: rmd.address })
    } catch (error) {
      this.#stage = 'fresh'
      throw error
    }
  }

  async unregister({ component: other }: CpmRegisterOptions = {}): Promise<void> {
    if (other !== undefined && other !== this.#options.component) {
      await this.#agent.unregister({ component: other })
      return
    }
    if (this.#stage !== 'registered') {
      throw new SdkError('BAD_OPERATION', 'cpm.unregister: the component is not registered')
    }
    this.#stage = 'fresh'
    await this.#agent.unregister({ component: this.#options.component })
  }

  async finalize(): Promise<void> {
    if (this.#stage === 'finalized') return
    if (this.#stage === 'registered' && this.#terminating !== undefined) await this.unregister()
    this.#stage = 'finalized'
    await this.#agent.finalize({})
  }

  async errorReport(
    message: string,
    recovery: Recovery = 'noRecommendation',
    component = this.#options.component,
    causes: readonly string[] = [],
  ): Promise<void> {
    await this.#agent.errorReport({ component, recovery, message, causes: [...causes] })
  }

  async errorClear(component = this.#options.component): Promise<void> {
    await this.#agent.errorClear({ component })
  }

  async haReadinessStateSet(request: {
    readonly csi: string
    readonly state: HaReadiness
  }): Promise<void> {
    const { component } = this.#options
    const csi = request.csi === 'all' ? null : request.csi
    await this.#agent.haReadinessSet({ component, csi, state: request.state })
  }

  async healthCheckStart(request: Parameters<CpmClient['healthCheckStart']>[0]): Promise<void> {
    const { key, invocation, recovery = 'noRecommendation' } = request
    if (invocation === 'AMF_INVOKED' && this.#callbacks?.healthCheck === undefined) {
      const message = `healthCheckStart of ${key}: cpm.initialize was given no callback healthCheck`
      throw new SdkError('NOT_INITIALIZED', message)
    }
    const { component } = this.#options
    await this.#agent.healthCheckStart({ component, key, invocation, recovery })
  }

  async healthCheckConfirm(request: {
    readonly key: string
    readonly error?: string
  }): Promise<void> {
    const { key, error } = request
    const rc = error === undefined ? 0 : CL_ERR.FAILED_OPERATION
    const { component } = this.#options
    await this.#agent.healthCheckConfirm({ component, key, rc, message: error ?? '' })
  }

  async healthCheckStop({ key }: { readonly key: string }): Promise<void> {
    await this.#agent.healthCheckStop({ component: this.#options.component, key })
  }

  async pmStart(request: MonitorRequest): Promise<void> {
    const { pid, descendants = 0, recovery = 'noRecommendation' } = request
    const errors = [...(request.errors ?? processErrorSchema.options)]
    const { component } = this.#options
    await this.#agent.pmStart({ component, pid, descendants, errors, recovery })
  }

  async pmStop(request: Parameters<CpmClient['pmStop']>[0]): Promise<void> {
    const { pid, scope = 'PROCESS_AND_DESCENDANTS' } = request
    const errors = [...(request.errors ?? processErrorSchema.options)]
    await this.#agent.pmStop({ component: this.#options.component, pid, scope, errors })
  }

  protectionGroupTrack(request: TrackRequest): Promise<ProtectionGroupNotification | null> {
    return this.#groups.track(request, this.#callbacks?.protectionGroupTrack)
  }

  protectionGroupTrackStop({ csi }: { readonly csi: string }): Promise<void> {
    return this.#groups.stop(csi)
  }

  haStateGet(csi: string): HaState | null {
    return this.#options.eo.roles.haState(csi)
  }

  /** The functions of `CpmCallbacks`, but for names: each answers at once, and by `Cpm.response` when it is done. */
  handlers(): Omit<Handlers, 'namesChanged'> {
    return {
      csiSet: ({ invocation, component, descriptor, haState, timeoutMs = DRAIN_MS_MAX }) => {
        if (component !== this.#options.component) {
          const set = { component, haState, descriptor }
          this.#inTurn(
            `${component} ${descriptor.csi}`,
            invocation,
            () => this.#csiSetFor(invocation, set),
            haState === 'QUIESCING' ? 'quiescingComplete' : 'response',
          )
          return {}
        }
        const prepared = this.#options.onRole?.(haState)
        const ask = { invocation, haState, timeoutMs, prepared }
        const run = (): Promise<void> => this.#csiSet(ask, descriptor)
        const by = haState === 'QUIESCING' ? 'quiescingComplete' : 'response'
        this.#inTurn(descriptor.csi, invocation, run, by)
        return {}
      },
      csiRemove: ({ invocation, component, csi, flags, timeoutMs = DRAIN_MS_MAX }) => {
        if (component !== this.#options.component) {
          this.#inTurn(`${component} ${csi}`, invocation, async () => {
            await this.#required().csiRemove(csi, component)
          })
          return {}
        }
        this.#inTurn(csi, invocation, async () => {
          const all = flags === 'TARGET_ALL' ? this.#options.eo.roles.csis() : [csi]
          for (const one of all) await this.#csiRemove(one, timeoutMs)
        })
        return {}
      },
      terminate: ({ invocation, component }) => {
        if (component !== this.#options.component) {
          void this.#once(invocation, async () => {
            await this.#required().terminate(component)
          })
          return {}
        }
        this.#once(invocation, async () => {
          await this.terminate()
        }).then(this.#options.onTerminated, this.#options.onTerminated)
        return {}
      },
      healthCheck: ({ invocation, component, key }) => {
        void this.#once(invocation, async () => {
          await this.#callbacks?.healthCheck?.(key, component)
        })
        return {}
      },
      protectionGroupChanged: ({ group }) => {
        this.#groups.receive(group)
        return {}
      },
      proxiedComponentInstantiate: (ask) => this.#actFor('proxiedComponentInstantiate', ask),
      proxiedComponentCleanup: (ask) => this.#actFor('proxiedComponentCleanup', ask),
      containedComponentInstantiate: (ask) => this.#actFor('containedComponentInstantiate', ask),
      containedComponentCleanup: (ask) => this.#actFor('containedComponentCleanup', ask),
    }
  }

  /** Stops serving, then runs the terminate callback, once. */
  terminate(): Promise<void> {
    this.#terminating ??= this.#terminate()
    return this.#terminating
  }

  async #terminate(): Promise<void> {
    const { eo } = this.#options
    eo.setState('stopping')
    await Promise.race([eo.drained(null), sleep(DRAIN_MS)])
    await this.#callbacks?.terminate(this.#options.component)
  }

  /** A role of a component that this one acts for: no function and no checkpoint here depends on it. */
  async #csiSetFor(invocation: number, set: RoleOfAnother): Promise<void> {
    const { component, haState, descriptor } = set
    if (haState === 'QUIESCING') {
      void this.#respond(invocation, { by: 'response', rc: 0, message: '' })
    }
    await this.#required().csiSet(haState, descriptor, component)
  }

  #actFor(
    name: keyof CpmMediationCallbacks,
    { invocation, component }: { readonly invocation: number; readonly component: string },
  ): Record<string, never> {
    void this.#once(invocation, async () => {
      const callback = this.#required()[name]
      if (callback !== undefined) return await callback(component)
      const message = `${this.#options.component} gave cpm.initialize no callback ${name}`
      throw new SdkError('NOT_SUPPORTED', message)
    })
    return {}
  }

  async #csiSet(
    { invocation, haState, timeoutMs, prepared }: CsiSetAsk,
    descriptor: CsiDescriptor,
  ): Promise<void> {
    const callbacks = this.#required()
    const { eo, checkpoint } = this.#options
    const { csi, epoch } = descriptor
    if (haState === 'ACTIVE') {
      eo.setRole(csi, 'promoting', epoch)
      try {
        await checkpoint.roleChanged(csi, 'ACTIVE', epoch)
        // What confirms the role leaves now, not behind the callback and the calls that waited for the role.
        await turn()
        await callbacks.csiSet('ACTIVE', descriptor, this.#options.component)
      } catch (error) {
        // Whoever waited for this role goes elsewhere.
        eo.setRole(csi, 'QUIESCED', epoch)
        throw error
      }
      eo.setRole(csi, 'ACTIVE', epoch)
      return
    }
    eo.setRole(csi, haState, epoch)
    if (haState === 'QUIESCING') {
      void this.#respond(invocation, { by: 'response', rc: 0, message: '' })
    }
    const endMs = performance.now() + timeoutMs
    if (haState !== 'STANDBY') {
      await inTime(eo.drained(csi), timeoutMs, `calls of ${csi} still run`)
    }
    if (haState === 'QUIESCING') {
      await checkpoint.roleChanged(csi, 'QUIESCING', epoch)
      await callbacks.csiSet('QUIESCING', descriptor, this.#options.component)
      await this.#committed(csi, endMs)
      await checkpoint.roleChanged(csi, 'QUIESCED', epoch)
      eo.setRole(csi, 'QUIESCED', epoch)
      return
    }
    if (haState === 'QUIESCED') await this.#committed(csi, endMs)
    await checkpoint.roleChanged(csi, haState, epoch)
    await callbacks.csiSet(haState, descriptor, this.#options.component)
    if (haState === 'STANDBY') await prepared
  }

  async #csiRemove(csi: string, timeoutMs: number): Promise<void> {
    const callbacks = this.#required()
    const { eo, checkpoint } = this.#options
    if (eo.roles.state(csi) === 'ACTIVE') eo.setRole(csi, 'QUIESCED', eo.roles.epoch())
    const endMs = performance.now() + timeoutMs
    await inTime(eo.drained(csi), timeoutMs, `calls of ${csi} still run`)
    await this.#committed(csi, endMs)
    await callbacks.csiRemove(csi, this.#options.component)
    await checkpoint.roleChanged(csi, null, 0)
    eo.setRole(csi, null, 0)
  }

  #committed(csi: string, endMs: number): Promise<void> {
    const leftMs = Math.max(0, endMs - performance.now())
    const drained = this.#options.checkpoint.drained(csi)
    return inTime(drained, leftMs, `commits of ${csi} are under way`)
  }

  #required(): CpmCallbackTable {
    if (this.#callbacks !== undefined) return this.#callbacks
    throw new SdkError('NOT_INITIALIZED', 'the component never called cpm.initialize')
  }

  /** Runs a callback after every earlier one of the CSI, whatever became of those. */
  #inTurn(
    csi: string,
    invocation: number,
    run: () => Promise<void>,
    by: Answer['by'] = 'response',
  ): void {
    if (this.#invocations.isKnown(invocation)) {
      void this.#once(invocation, run)
      return
    }
    const before = this.#turns.get(csi) ?? Promise.resolve()
    this.#invocations.start(invocation)
    const turn = before.then(() => this.#perform(invocation, run, by))
    this.#turns.set(csi, turn)
    void turn.then(() => {
      if (this.#turns.get(csi) === turn) this.#turns.delete(csi)
    })
  }

  /** Runs a callback and answers; one that was sent again is answered again, or already runs. */
  async #once(invocation: number, run: () => Promise<void>): Promise<void> {
    if (this.#invocations.isKnown(invocation)) {
      const answer = this.#invocations.answer(invocation)
      if (answer !== undefined) await this.#respond(invocation, answer)
      return
    }
    this.#invocations.start(invocation)
    await this.#perform(invocation, run, 'response')
  }

  async #perform(invocation: number, run: () => Promise<void>, by: Answer['by']): Promise<void> {
    let answer: Answer = { by, rc: 0, message: '' }
    try {
      await run()
    } catch (error) {
      this.#options.log.error({ err: error, invocation }, 'a callback failed')
      const rc = isSdkError(error) && error.rc !== 0 ? error.rc : CL_ERR.FAILED_OPERATION
      answer = { by, rc, message: error instanceof Error ? error.message : String(error) }
    }
    this.#invocations.finish(invocation, answer)
    await this.#respond(invocation, answer)
  }

  async #respond(invocation: number, answer: Answer): Promise<void> {
    try {
      const { by, rc, message } = answer
      if (by === 'response') await this.#agent.response({ invocation, rc, message })
      else await this.#agent.quiescingComplete({ invocation, rc })
    } catch (error) {
      // The agent is gone, and this process ends with it; or it no longer waits for this answer.
      this.#options.log.warn({ err: error, invocation }, 'an answer to the agent was not delivered')
    }
  }
}

/** @throws SdkError TIMEOUT when the promise is not settled in time. */
async function inTime(promise: Promise<void>, timeoutMs: number, why: string): Promise<void> {
  let timer: NodeJS.Timeout | undefined
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(() => {
      reject(new SdkError('TIMEOUT', `${why} after ${timeoutMs.toFixed(0)} ms`))
    }, timeoutMs)
  })
  await Promise.race([promise, late]).finally(() => {
    clearTimeout(timer)
  })
}

function sleep(ms: number): Promise<void> {
  return new Promise((resolve) => {
    setTimeout(resolve, ms).unref()
  })
}
