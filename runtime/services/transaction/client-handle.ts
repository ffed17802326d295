import { isSdkError, SdkError } from '../../../idl/index.ts'
import type { LibraryContext } from '../service.ts'
import {
  type JobDefinition,
  type Participation,
  TRANSACTION_LIMITS,
  type TransactionFailure,
  type TransactionReport,
  TransactionService,
} from './interface.ts'

const CALL_TIMEOUT_MS = 15_000
const DEFAULTS = { jobTimeoutMs: 10_000, timeoutMs: 51_000 } as const

/** How a transaction is carried out. */
export interface TransactionOptions {
  /** TRANSACTION: all jobs or none. JOB: each job for itself. @defaultValue 'TRANSACTION' */
  readonly atomicity?: 'TRANSACTION' | 'JOB'
  /**
   * An agent that is lost is waited for: it prepares again, and is told to commit however late it comes. Without, its
   * loss before the decision rolls back. @defaultValue false
   */
  readonly restartOnResourceUnavailability?: boolean
  /** Components without the service are left out instead of NO_REGD_SERVICE. @defaultValue false */
  readonly ignoreNoServiceRegisteredAgent?: boolean
  /** For one answer of one agent, 10 to 200_000. @defaultValue 10_000 */
  readonly jobTimeoutMs?: number
  /** Until the decision, and once more until all have followed it, 10 to 200_000. @defaultValue 51_000 */
  readonly timeoutMs?: number
}

/** PRE_INIT while it is made, ACTIVE on its way to the node, then as the cluster has it. SAFplus, section 17. */
export type TransactionState = 'PRE_INIT' | 'ACTIVE' | TransactionReport['state']

/** What one agent says of a job. */
export interface AgentJobReading {
  readonly job: number
  readonly component: JobDefinition['participants'][number]['agent']
  readonly value: Uint8Array | null
  readonly failure: { readonly code: string; readonly message: string } | null
}

/** A transaction of this component. */
export interface Transaction {
  /** Counts the transactions of this process, from 1. */
  readonly number: number
  /** Adds a job. @returns its number. @throws SdkError INVALID_STATE after the start, NO_SPACE. */
  jobAdd(job: { readonly serviceType: number; readonly definition: Uint8Array }): number
  /** @throws SdkError NOT_EXIST, INVALID_STATE. */
  jobRemove(job: number): void
  /**
   * Who takes part in a job: the name of an agent, or the address of its EO. Again for the same one: otherwise.
   * @throws SdkError NOT_EXIST, INVALID_STATE, NO_SPACE.
   */
  componentSet(
    job: number,
    component: AgentJobReading['component'],
    participation: Participation,
  ): void
  /**
   * Carries it out. Resolves when it is committed everywhere.
   * @throws SdkError TRANSACTION_ROLLED_BACK, TRANSACTION_FAILURE (both with the report in their context), NO_JOBS,
   * NO_COMPONENTS, NO_REGD_SERVICE, INVALID_CMP_CAPABILITY, NO_SPACE, INVALID_STATE; TIMEOUT while it still goes on.
   */
  start(): Promise<TransactionReport>
  /** The same; the handle's `completion` is told. @throws SdkError NO_CALLBACK, INVALID_STATE. */
  startAsync(): void
  /** Gives it up. @throws SdkError INVALID_STATE when it is decided. */
  cancel(): Promise<void>
  state(): Promise<TransactionState>
  /** How a job stands, and which agents failed in it. @throws SdkError NOT_EXIST; INVALID_STATE before the start. */
  jobInfoGet(job: number): Promise<{
    readonly state: TransactionReport['state']
    readonly failures: readonly TransactionFailure[]
  }>
  /** Asks the agents of all jobs for what they have, by their function `read`; nothing is changed by it. */
  readAgentJobs(): Promise<readonly AgentJobReading[]>
}

/** @param error - null: committed. */
export type TransactionCompletion = (transaction: Transaction, error: SdkError | null) => void

/** A client of transactions. Every function throws INVALID_HANDLE after `finalize`. */
export interface TransactionClientHandle {
  readonly version: string
  create(options?: TransactionOptions): Transaction
  /** What was started goes on to its end. */
  finalize(): void
}

export class ClientHandle implements TransactionClientHandle {
  readonly version: string
  readonly #context: LibraryContext
  readonly #completion: TransactionCompletion | null
  readonly #nextNumber: () => number
  #isOpen = true

  constructor(
    context: LibraryContext,
    options: {
      readonly version: string
      readonly completion: TransactionCompletion | null
      /** Never the same twice in this process. */
      readonly nextNumber: () => number
    },
  ) {
    this.#context = context
    this.version = options.version
    this.#completion = options.completion
    this.#nextNumber = options.nextNumber
  }

  create(options: TransactionOptions = {}): Transaction {
    this.#check()
    return new OwnTransaction(this.#nextNumber(), {
      context: this.#context,
      options,
      completion: this.#completion,
      check: () => this.#check(),
    })
  }

  finalize(): void {
    this.#check()
    this.#isOpen = false
  }

  #check(): void {
    if (this.#isOpen) return
    throw new SdkError('INVALID_HANDLE', 'the handle was finalized: initialize another one')
  }
}

interface Setup {
  readonly context: LibraryContext
  readonly options: TransactionOptions
  readonly completion: TransactionCompletion | null
  readonly check: () => void
}

type Stage = 'PRE_INIT' | 'ACTIVE' | 'STARTED' | 'CANCELLED'
type Job = Omit<JobDefinition, 'participants'> & {
  readonly participants: Map<string, JobDefinition['participants'][number]>
}

class OwnTransaction implements Transaction {
  readonly number: number
  readonly #setup: Setup
  readonly #service
  readonly #jobs = new Map<number, Job>()
  #lastJob = 0
  #stage: Stage = 'PRE_INIT'

  constructor(number: number, setup: Setup) {
    this.number = number
    this.#setup = setup
    const { rmd, agent: to } = setup.context
    this.#service = rmd.client(TransactionService, { to, timeoutMs: CALL_TIMEOUT_MS })
  }

  jobAdd({
    serviceType: service,
    definition,
  }: {
    readonly serviceType: number
    readonly definition: Uint8Array
  }): number {
    this.#checkMade()
    if (this.#jobs.size >= TRANSACTION_LIMITS.jobCount) {
      throw new SdkError(
        'NO_SPACE',
        `a transaction has ${TRANSACTION_LIMITS.jobCount} jobs at most`,
      )
    }
    const job = ++this.#lastJob
    this.#jobs.set(job, { job, service, definition, participants: new Map() })
    return job
  }

  jobRemove(job: number): void {
    this.#checkMade()
    this.#jobs.delete(this.#job(job).job)
  }

  componentSet(
    job: number,
    component: AgentJobReading['component'],
    participation: Participation,
  ): void {
    this.#checkMade()
    const { participants } = this.#job(job)
    const key = JSON.stringify(component)
    const { participantCount } = TRANSACTION_LIMITS
    if (!participants.has(key) && participants.size >= participantCount) {
      throw new SdkError('NO_SPACE', `a job has ${participantCount} components at most`)
    }
    participants.set(key, { agent: component, participation })
  }

  async start(): Promise<TransactionReport> {
    this.#checkMade()
    const options = completeOptions(this.#setup.options)
    const jobs = [...this.#jobs.values()].map(({ participants, ...job }) => {
      return { ...job, participants: [...participants.values()] }
    })
    this.#stage = 'ACTIVE'
    try {
      const call = { timeoutMs: 2 * options.timeoutMs + CALL_TIMEOUT_MS }
      const report = await this.#service.start({ number: this.number, options, jobs }, call)
      this.#stage = 'STARTED'
      throwFailure(report)
      return report
    } catch (error) {
      // Refused as it is: it can be put right, and started then.
      const isRefused = isSdkError(error) && !error.mayHaveRun && this.#stage === 'ACTIVE'
      this.#stage = isRefused ? 'PRE_INIT' : 'STARTED'
      throw error
    }
  }

  startAsync(): void {
    const { completion, context } = this.#setup
    this.#checkMade()
    if (completion === null) {
      throw new SdkError('NO_CALLBACK', 'give the callback completion to initialize')
    }
    const tell = (error: SdkError | null): void => {
      try {
        completion(this, error)
      } catch (err) {
        context.log.error({ err }, 'the completion of a transaction failed')
      }
    }
    this.start().then(
      () => tell(null),
      (error: unknown) => tell(asSdkError(error)),
    )
  }

  async cancel(): Promise<void> {
    this.#setup.check()
    if (this.#stage === 'CANCELLED') {
      throw new SdkError('INVALID_STATE', 'the transaction was cancelled')
    }
    if (this.#stage === 'PRE_INIT') {
      this.#stage = 'CANCELLED'
      return
    }
    await this.#service.cancel({ number: this.number })
  }

  async state(): Promise<TransactionState> {
    this.#setup.check()
    if (this.#stage === 'PRE_INIT') return 'PRE_INIT'
    if (this.#stage === 'CANCELLED') return 'ROLLED_BACK'
    try {
      return (await this.#service.report({ number: this.number })).state
    } catch (error) {
      // Not there yet; or so long ago that nobody knows.
      if (isSdkError(error, 'NOT_EXIST')) return this.#stage === 'ACTIVE' ? 'ACTIVE' : 'UNKNOWN'
      throw error
    }
  }

  async jobInfoGet(job: number): Promise<{
    readonly state: TransactionReport['state']
    readonly failures: readonly TransactionFailure[]
  }> {
    this.#setup.check()
    this.#job(job)
    if (this.#stage === 'PRE_INIT' || this.#stage === 'CANCELLED') {
      throw new SdkError('INVALID_STATE', 'the transaction was not started')
    }
    const report = await this.#service.report({ number: this.number })
    const state = report.jobs.find((one) => one.job === job)?.state ?? report.state
    return { state, failures: report.failures.filter((one) => one.job === job) }
  }

  async readAgentJobs(): Promise<readonly AgentJobReading[]> {
    this.#setup.check()
    const { jobTimeoutMs: timeoutMs } = completeOptions(this.#setup.options)
    const asked = [...this.#jobs.values()].flatMap(({ job, service, definition, participants }) =>
      [...participants.values()].map(async ({ agent }): Promise<AgentJobReading> => {
        const request = { agent, job, service, definition, timeoutMs }
        try {
          const call = { timeoutMs: timeoutMs + CALL_TIMEOUT_MS }
          return { job, component: agent, ...(await this.#service.read(request, call)) }
        } catch (error) {
          const { code, message } = asSdkError(error)
          return { job, component: agent, value: null, failure: { code, message } }
        }
      }),
    )
    return Promise.all(asked)
  }

  #job(job: number): Job {
    const found = this.#jobs.get(job)
    if (found !== undefined) return found
    throw new SdkError('NOT_EXIST', `the transaction has no job ${job}`)
  }

  #checkMade(): void {
    this.#setup.check()
    if (this.#stage === 'PRE_INIT') return
    throw new SdkError('INVALID_STATE', 'the transaction was started or cancelled: create another')
  }
}

function completeOptions(options: TransactionOptions) {
  const { jobTimeoutMs = DEFAULTS.jobTimeoutMs, timeoutMs = DEFAULTS.timeoutMs } = options
  return {
    atomicity: options.atomicity ?? 'TRANSACTION',
    restartOnResourceUnavailability: options.restartOnResourceUnavailability ?? false,
    ignoreNoServiceRegisteredAgent: options.ignoreNoServiceRegisteredAgent ?? false,
    jobTimeoutMs,
    timeoutMs,
  }
}

/** @throws SdkError unless all of it was committed. */
function throwFailure(report: TransactionReport): void {
  const { state, failures } = report
  // Who was told to commit and is asked no more may have done it, or not.
  const isInDoubt = failures.some(
    ({ code, phase }) => code === 'AGENT_FAILED_VOID' && phase === 'commit',
  )
  if (state === 'COMMITTED' && !isInDoubt) return
  const isClean = !isInDoubt && (state === 'ROLLED_BACK' || state === 'ROLLING_BACK')
  const [first] = failures
  const why =
    first === undefined
      ? ''
      : `: ${first.agent} failed to ${first.phase} job ${first.job}: ${first.message}`
  const code = isClean ? 'TRANSACTION_ROLLED_BACK' : 'TRANSACTION_FAILURE'
  throw new SdkError(code, `the transaction is ${state}${why}`, { context: { report } })
}

function asSdkError(error: unknown): SdkError {
  if (isSdkError(error)) return error
  return new SdkError('UNSPECIFIED', String(error), { cause: error })
}
