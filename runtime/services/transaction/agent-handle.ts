import { SdkError } from '../../../idl/index.ts'
import type { LibraryContext } from '../service.ts'
import type { AgentJobs, TransactionCallbacks } from './agent-jobs.ts'
import { TransactionService } from './interface.ts'

const CALL_TIMEOUT_MS = 15_000

/** How an agent registers for jobs of a type. */
export interface TransactionServiceRegistration {
  /** 0 to 0xFFFFFFFF; the last one takes jobs of all types without a service of their own. */
  readonly serviceType: number
  /**
   * What participants are called by: the component, or a name that active and standby share. Whoever registered last
   * has it, so the new active takes over what is under way. @defaultValue the component's name
   */
  readonly name?: string
  readonly callbacks: TransactionCallbacks
}

/** The agent of this component: a resource manager. Every function throws INVALID_HANDLE after `finalize`. */
export interface TransactionAgentHandle {
  readonly version: string
  /**
   * From here on jobs come, those of transactions under way too.
   * @throws SdkError INVALID_PARAMETER when only one of prepare and rollback is given; ALREADY_EXIST, NO_SPACE.
   */
  serviceRegister(registration: TransactionServiceRegistration): Promise<void>
  /** @throws SdkError NOT_EXIST. */
  serviceUnregister(service: {
    readonly serviceType: number
    readonly name?: string
  }): Promise<void>
  /** Unregisters what this handle has registered. */
  finalize(): Promise<void>
}

export class AgentHandle implements TransactionAgentHandle {
  readonly version: string
  readonly #context: LibraryContext
  readonly #jobs: AgentJobs
  readonly #service
  readonly #registered = new Map<string, { readonly serviceType: number; readonly name: string }>()
  #isOpen = true

  constructor(context: LibraryContext, jobs: AgentJobs, version: string) {
    this.#context = context
    this.#jobs = jobs
    this.version = version
    const options = { to: context.agent, timeoutMs: CALL_TIMEOUT_MS }
    this.#service = context.rmd.client(TransactionService, options)
  }

  async serviceRegister(registration: TransactionServiceRegistration): Promise<void> {
    this.#check()
    const { serviceType, name = this.#context.component, callbacks } = registration
    const { prepare, rollback } = callbacks
    if ((prepare === null) !== (rollback === null)) {
      const message = 'transaction callbacks: give both prepare and rollback, or null for both'
      throw new SdkError('INVALID_PARAMETER', message)
    }
    const key = `${serviceType} ${name}`
    if (this.#registered.has(key)) {
      throw new SdkError('ALREADY_EXIST', `agent ${name} has a service ${serviceType} already`)
    }
    // Jobs may come before the answer does.
    this.#jobs.add(name, serviceType, callbacks)
    this.#registered.set(key, { serviceType, name })
    try {
      const isTwoPhase = prepare !== null
      await this.#service.agentServiceRegister({ agent: name, service: serviceType, isTwoPhase })
    } catch (error) {
      this.#registered.delete(key)
      // Another handle of this component has it.
      if ((error as SdkError).code !== 'ALREADY_EXIST') this.#jobs.delete(name, serviceType)
      throw error
    }
  }

  async serviceUnregister({
    serviceType,
    name = this.#context.component,
  }: {
    readonly serviceType: number
    readonly name?: string
  }): Promise<void> {
    this.#check()
    await this.#service.agentServiceUnregister({ agent: name, service: serviceType })
    this.#jobs.delete(name, serviceType)
    this.#registered.delete(`${serviceType} ${name}`)
  }

  async finalize(): Promise<void> {
    this.#check()
    for (const service of [...this.#registered.values()]) await this.serviceUnregister(service)
    this.#isOpen = false
  }

  #check(): void {
    if (this.#isOpen) return
    throw new SdkError('INVALID_HANDLE', 'the agent was finalized: initialize another one')
  }
}
