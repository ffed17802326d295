import { type LibraryContext, pushTable, type ServiceLibrary } from '../service.ts'
import { negotiateVersion } from '../version.ts'
import { AgentHandle, type TransactionAgentHandle } from './agent-handle.ts'
import { AgentJobs } from './agent-jobs.ts'
import {
  ClientHandle,
  type TransactionClientHandle,
  type TransactionCompletion,
} from './client-handle.ts'
import { TransactionPush, TransactionService } from './interface.ts'

/**
 * Transactions over components, `clTxn...` of the original. SAFplus, section 17. Switched on by the flag `transaction`
 * of `clEoClientLibs`.
 */
export interface TransactionClient {
  /**
   * Opens a handle that makes transactions; there may be several.
   * @throws SdkError VERSION_MISMATCH with the supported one in its context.
   */
  initialize(options?: {
    /** Told of the end of what `startAsync` has started. */
    readonly completion?: TransactionCompletion
    readonly version?: string
  }): TransactionClientHandle
  /** Opens a handle of an agent, which carries jobs out. @throws SdkError VERSION_MISMATCH. */
  agentInitialize(version?: string): TransactionAgentHandle
}

/** The component's side of transactions. */
export function transactionLibrary(context: LibraryContext): ServiceLibrary<TransactionClient> {
  const jobs = new AgentJobs((err, transaction) => {
    context.log.error({ err, transaction }, 'the end of a transaction failed')
  })
  return {
    client: new Transactions(context, jobs),
    pushes: [
      pushTable(TransactionPush, {
        perform: async ({ phase, ...job }) => ({ failure: await jobs.perform(job, phase) }),
        stop: ({ agent, transaction }) => {
          jobs.stop(agent, transaction)
          return {}
        },
        read: (job) => jobs.read(job),
      }),
    ],
    // What the component has registered goes with its connection.
    close: () => Promise.resolve(),
  }
}

class Transactions implements TransactionClient {
  readonly #context: LibraryContext
  readonly #jobs: AgentJobs
  #lastNumber = 0

  constructor(context: LibraryContext, jobs: AgentJobs) {
    this.#context = context
    this.#jobs = jobs
  }

  initialize({
    completion = null,
    version = TransactionService.version,
  }: {
    readonly completion?: TransactionCompletion | null
    readonly version?: string
  } = {}): TransactionClientHandle {
    return new ClientHandle(this.#context, {
      version: negotiateVersion('transaction.initialize', version, TransactionService.version),
      completion,
      nextNumber: () => ++this.#lastNumber,
    })
  }

  agentInitialize(version: string = TransactionService.version): TransactionAgentHandle {
    const place = 'transaction.agentInitialize'
    const negotiated = negotiateVersion(place, version, TransactionService.version)
    return new AgentHandle(this.#context, this.#jobs, negotiated)
  }
}
