import type { Logger } from 'pino'
import { isSdkError } from '../../idl/index.ts'
import type { ClientOf } from '../../idl/index.ts'
import type { NameEntry, Rmd, RmdCallOptions } from '../../ioc/index.ts'
import type { ProtectionGroup } from '../../runtime/internal.ts'
import type { AgentCommand } from './interface.ts'
import { AgentCommands } from './interface.ts'

/** One batch is answered at once: the agent only takes it in. */
const CALL_TIMEOUT_MS = 2_000
const RETRY_DELAY_MS = 50

export interface AgentLinkOptions {
  readonly rmd: Pick<Rmd, 'client'>
  readonly node: string
  readonly term: number
  /** The life of the agent that joined: commands reach it and no later one. */
  readonly caller: string
  /** The join whose facts the director goes by. */
  readonly session: number
  readonly log: Logger
  /** The agent has seen a newer term. */
  readonly onStale: () => void
  /** Whole name table, for an agent that missed a change. */
  readonly names: () => NameEntry[]
}

/**
 * The director's side of one joined agent: commands go out in order, one call at a time, and what gathers meanwhile
 * goes with the next. A call without an answer is repeated (commands may run twice) until the agent answers or is
 * fenced; whether it is to be fenced is judged elsewhere.
 */
export class AgentLink {
  readonly caller: string
  readonly #options: AgentLinkOptions
  readonly #client: ClientOf<(typeof AgentCommands)['spec'], RmdCallOptions>
  #waiting: AgentCommand[] = []
  #sending = false
  #closed = false
  #retryTimer: NodeJS.Timeout | undefined

  constructor(options: AgentLinkOptions) {
    this.caller = options.caller
    this.#options = options
    const to = { caller: options.caller }
    this.#client = options.rmd.client(AgentCommands, { to, timeoutMs: CALL_TIMEOUT_MS })
  }

  push(command: AgentCommand): void {
    this.#waiting.push(command)
  }

  flush(): void {
    if (!this.#sending && !this.#closed && this.#waiting.length > 0) void this.#send()
  }

  /** @param isEcho - another agent tells those who watch every node; this one makes sure. */
  sendNames(
    names: readonly NameEntry[],
    { complete = false, isEcho = false }: { complete?: boolean; isEcho?: boolean },
  ): void {
    if (this.#closed) return
    const { term, log, node } = this.#options
    this.#client
      .names({ term, names: [...names], complete, isEcho }, { oneWay: true })
      .catch((err: unknown) => {
        if (this.#closed) return
        log.warn({ err, node }, 'names not sent; the whole table follows')
        this.#retryTimer ??= setTimeout(() => {
          this.#retryTimer = undefined
          this.sendNames(this.#options.names(), { complete: true })
        }, RETRY_DELAY_MS)
      })
  }

  /** Tells of protection groups. Rejects when that cannot be sent now. */
  async sendGroups(groups: readonly ProtectionGroup[]): Promise<void> {
    if (this.#closed) return
    const { term } = this.#options
    await this.#client.protectionGroups({ term, groups: [...groups] }, { oneWay: true })
  }

  /** Nothing more is sent. */
  close(): void {
    this.#closed = true
    this.#waiting = []
    clearTimeout(this.#retryTimer)
  }

  async #send(): Promise<void> {
    this.#sending = true
    const { term, session } = this.#options
    while (this.#waiting.length > 0 && !this.#closed) {
      const commands = this.#waiting
      this.#waiting = []
      try {
        await this.#client.commands({ term, session, commands })
      } catch (error) {
        if ((await this.#judge(error)) === 'again') this.#waiting = [...commands, ...this.#waiting]
      }
    }
    this.#sending = false
  }

  async #judge(error: unknown): Promise<'again' | 'drop'> {
    const { log, node, onStale } = this.#options
    if (this.#closed) return 'drop'
    if (isSdkError(error, 'STALE_TERM')) {
      onStale()
      return 'drop'
    }
    log.warn({ err: error, node }, 'commands not taken by the agent')
    // A batch that the agent cannot even decode never passes: repeating it would block those behind it for ever.
    if (isSdkError(error, 'INVALID_PARAMETER') || isSdkError(error, 'MESSAGE_ERROR')) return 'drop'
    await new Promise((resolve) => setTimeout(resolve, RETRY_DELAY_MS))
    return this.#closed ? 'drop' : 'again'
  }
}
