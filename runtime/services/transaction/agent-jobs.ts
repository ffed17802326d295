import { isSdkError } from '../../../idl/index.ts'
import { type JobOfAgent, SERVICE_TYPE_ANY, type TransactionPhase } from './interface.ts'

/** One job as its agent sees it. */
export interface TransactionJob {
  /** Names the transaction in the cluster. */
  readonly transaction: string
  readonly job: number
  readonly serviceType: number
  readonly definition: Uint8Array
}

/**
 * What an agent does for jobs of one service. SAFplus, section 17.
 *
 * Jobs of one transaction come one after the other. Each function may be called again for the same job, in another life
 * of the process, so it must be idempotent; and `commit` or `rollback` may come to a process that knows nothing of the
 * `prepare`: the definition comes along. An error of `prepare` is a no, and so is one of `commit` in one phase; after
 * the decision `commit` and `rollback` are called until they succeed, or the transaction's time is over.
 */
export interface TransactionCallbacks {
  /** Before the first job of a transaction. */
  readonly start?: (transaction: string) => void | Promise<void>
  /** Makes sure that `commit` can follow. null, like `rollback`: a service of one phase. */
  readonly prepare: ((job: TransactionJob) => void | Promise<void>) | null
  readonly commit: (job: TransactionJob) => void | Promise<void>
  readonly rollback: ((job: TransactionJob) => void | Promise<void>) | null
  /** After the last one. */
  readonly stop?: (transaction: string) => void | Promise<void>
  /** Answers `readAgentJobs`; nothing is under way for it. */
  readonly read?: (job: TransactionJob) => Uint8Array | Promise<Uint8Array>
}

export interface AgentFailure {
  readonly code: string
  readonly message: string
}

const KNOWN_COUNT_MAX = 4_096

interface Known {
  readonly started: Set<TransactionCallbacks>
  /** By job and phase: what was done, or is being done. */
  readonly done: Map<string, Promise<AgentFailure | null>>
  tail: Promise<unknown>
}

/** Runs the functions of this component's agents: one at a time for each transaction, each thing once. */
export class AgentJobs {
  /** By agent and type. */
  readonly #services = new Map<string, TransactionCallbacks>()
  readonly #known = new Map<string, Known>()
  readonly #onError: (error: unknown, transaction: string) => void

  /** @param onError - of `stop`, whose errors change nothing. */
  constructor(onError: (error: unknown, transaction: string) => void) {
    this.#onError = onError
  }

  add(agent: string, service: number, callbacks: TransactionCallbacks): void {
    this.#services.set(keyOf(agent, service), callbacks)
  }

  delete(agent: string, service: number): void {
    this.#services.delete(keyOf(agent, service))
  }

  /** @returns null when it is done, or was done before. */
  perform(job: JobOfAgent, phase: TransactionPhase): Promise<AgentFailure | null> {
    const known = this.#knownOf(keyOf(job.agent, job.transaction))
    const key = `${job.job} ${phase}`
    const before = known.done.get(key)
    if (before !== undefined) return before
    const doing = known.tail.then(() => this.#run(known, job, phase))
    known.tail = doing
    known.done.set(key, doing)
    void doing.then((failure) => {
      // What failed is done again when it is asked for again.
      if (failure !== null) known.done.delete(key)
    })
    return doing
  }

  async read(
    job: JobOfAgent,
  ): Promise<{ readonly value: Uint8Array | null; readonly failure: AgentFailure | null }> {
    const read = this.#callbacks(job)?.read
    if (read === undefined) {
      const message = `${job.agent} has no function to read jobs of type ${job.service}`
      return { value: null, failure: { code: 'NOT_IMPLEMENTED', message } }
    }
    try {
      return { value: await read(jobOf(job)), failure: null }
    } catch (error) {
      return { value: null, failure: failureOf(error) }
    }
  }

  stop(agent: string, transaction: string): void {
    const key = keyOf(agent, transaction)
    const known = this.#known.get(key)
    this.#known.delete(key)
    known?.tail
      .then(async () => {
        for (const { stop } of known.started) await stop?.(transaction)
      })
      .catch((error: unknown) => this.#onError(error, transaction))
  }

  async #run(known: Known, job: JobOfAgent, phase: TransactionPhase): Promise<AgentFailure | null> {
    const callbacks = this.#callbacks(job)
    const { agent, service, transaction } = job
    if (callbacks === undefined) {
      return { code: 'NO_REGD_SERVICE', message: `${agent} has no service for type ${service}` }
    }
    try {
      if (!known.started.has(callbacks)) await callbacks.start?.(transaction)
      known.started.add(callbacks)
      await callbacks[phase]?.(jobOf(job))
      return null
    } catch (error) {
      return failureOf(error)
    }
  }

  #callbacks({ agent, service }: JobOfAgent): TransactionCallbacks | undefined {
    const exact = this.#services.get(keyOf(agent, service))
    return exact ?? this.#services.get(keyOf(agent, SERVICE_TYPE_ANY))
  }

  #knownOf(key: string): Known {
    const before = this.#known.get(key)
    if (before !== undefined) return before
    const known: Known = { started: new Set(), done: new Map(), tail: Promise.resolve() }
    this.#known.set(key, known)
    // An end that was not told, long ago.
    const [oldest] = this.#known.keys()
    if (this.#known.size > KNOWN_COUNT_MAX && oldest !== undefined) this.#known.delete(oldest)
    return known
  }
}

function keyOf(agent: string, of: string | number): string {
  return `${of} ${agent}`
}

function jobOf({ transaction, job, service, definition }: JobOfAgent): TransactionJob {
  return { transaction, job, serviceType: service, definition }
}

function failureOf(error: unknown): AgentFailure {
  const message = error instanceof Error ? error.message : String(error)
  return { code: isSdkError(error) ? error.code : 'HANDLER_FAILED', message }
}
