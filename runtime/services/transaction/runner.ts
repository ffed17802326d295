import { isSdkError } from '../../../idl/index.ts'
import type { Clock } from '../../../ioc/index.ts'
import type { TransactionOperation } from './operations.ts'
import type { TransactionTask } from './transaction-content.ts'

export type Answer = Extract<TransactionOperation, { kind: 'done' }>

export interface RunnerOptions {
  /** Asks the agent. @returns what it refused with. Rejects when there was no answer. */
  readonly perform: (task: TransactionTask) => Promise<{
    readonly code: string
    readonly message: string
  } | null>
  /** Puts its answer into the order. Rejects when it is not there (yet). */
  readonly answer: (answer: Answer) => Promise<unknown>
  readonly isWanted: (task: TransactionTask) => boolean
  /** The unit is undecided: a no of its one-phase participant counts. */
  readonly mayRefuse: (task: TransactionTask) => boolean
  readonly warn: (task: TransactionTask, why: string) => void
  readonly clock: Clock
}

const RETRY_MS = { first: 50, max: 2_000 } as const

/**
 * Asks the agents of one node, one job of one transaction at a time, and again until it has the answer that is needed
 * or nobody wants it any more: a decision is followed, not answered with no.
 */
export class TaskRunner {
  readonly #options: RunnerOptions
  /** By transaction and EO: the last task, and all that are not done. */
  readonly #lanes = new Map<string, Promise<void>>()
  readonly #known = new Set<string>()
  #isClosed = false

  constructor(options: RunnerOptions) {
    this.#options = options
  }

  /** Takes care of a task, once. */
  run(task: TransactionTask): void {
    const { transaction, job, agent, eo, phase } = task
    const key = JSON.stringify([transaction, job, agent, eo, phase])
    if (this.#known.has(key)) return
    this.#known.add(key)
    const lane = `${transaction} ${eo}`
    const before = this.#lanes.get(lane) ?? Promise.resolve()
    const mine = before.then(async () => {
      await this.#finish(task)
      this.#known.delete(key)
      if (this.#lanes.get(lane) === mine) this.#lanes.delete(lane)
    })
    this.#lanes.set(lane, mine)
  }

  close(): void {
    this.#isClosed = true
  }

  async #finish(task: TransactionTask): Promise<void> {
    let retryMs: number = RETRY_MS.first
    while (!this.#isClosed && this.#options.isWanted(task)) {
      try {
        const failure = await this.#ask(task)
        if (failure !== 'again') {
          const { transaction: id, job, agent, eo, phase } = task
          await this.#options.answer({ kind: 'done', id, job, agent, eo, phase, failure })
          continue
        }
      } catch (error) {
        this.#options.warn(task, error instanceof Error ? error.message : String(error))
      }
      const delayMs = retryMs
      await new Promise<void>((resolve) => this.#options.clock.after(delayMs, resolve))
      retryMs = Math.min(RETRY_MS.max, retryMs * 2)
    }
  }

  /** @returns what to answer; `again` where only a yes will do. */
  async #ask(task: TransactionTask): Promise<Answer['failure'] | 'again'> {
    try {
      const failure = await this.#options.perform(task)
      if (failure === null || task.phase === 'prepare' || this.#options.mayRefuse(task)) {
        return failure === null ? null : { ...failure, mayHaveRun: false }
      }
      this.#options.warn(task, failure.message)
    } catch (error) {
      const message = error instanceof Error ? error.message : String(error)
      // Of an agent that is gone the order tells.
      if (task.phase === 'prepare' && !isSdkError(error, 'COMP_UNREACHABLE')) {
        if (!isSdkError(error)) return { code: 'UNSPECIFIED', message, mayHaveRun: true }
        return { code: error.code, message, mayHaveRun: error.mayHaveRun }
      }
      this.#options.warn(task, message)
    }
    return 'again'
  }
}
