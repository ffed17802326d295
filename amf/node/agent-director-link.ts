import type { Logger } from 'pino'
import { isSdkError, SdkError } from '../../idl/index.ts'
import type { ClientOf } from '../../idl/index.ts'
import type { IocAddress, NameEntry, Rmd, RmdCallOptions } from '../../ioc/index.ts'
import type { ProtectionGroup } from '../../runtime/internal.ts'
import type { Recovery } from '../../runtime/internal.ts'
import type { AgentEvent } from '../director/interface.ts'
import { DirectorNode } from '../director/interface.ts'
import type { ComponentFactsRecord } from './component-facts.ts'

const CALL_TIMEOUT_MS = 2_000
/** Admission may have to wait until an earlier life of this node is proven gone. */
const JOIN_TIMEOUT_MS = 10_000
/** The director opens its port a moment after its election is known. */
const RETRY_DELAY_MS = { first: 5, max: 200 } as const

export interface DirectorLinkOptions {
  readonly rmd: Pick<Rmd, 'client'>
  readonly node: string
  readonly nodeId: number
  readonly pid: number
  readonly modelVersion: () => number
  readonly log: Logger
  /** The whole truth about this node, at this instant. */
  readonly facts: () => ComponentFactsRecord[]
  /** A director took this agent in: its name table is whole. */
  readonly onJoined: (names: readonly NameEntry[]) => void
}

interface Session {
  readonly term: number
  readonly client: ClientOf<(typeof DirectorNode)['spec'], RmdCallOptions>
  state: 'joining' | 'joined' | 'over'
}

/**
 * The agent's way to the present director. Joins it with facts, then reports events in order, one call at a time.
 *
 * Rule: facts stand for every event before them. While no director has taken this agent in, events are not kept: the
 * facts of the next join contain what they changed. An event that a director may not have got (its call failed) leads
 * to a new join, never to a repeated event.
 */
export class DirectorLink {
  readonly #options: DirectorLinkOptions
  #session: Session | null = null
  #events: AgentEvent[] = []
  #sending = false
  #joinCount = 0

  constructor(options: DirectorLinkOptions) {
    this.#options = options
  }

  /** Term whose commands are accepted now; 0: none. */
  get term(): number {
    return this.#session?.term ?? 0
  }

  /** Number of the newest facts that were taken: commands decided on older ones are refused. */
  get session(): number {
    return this.#joinCount
  }

  get isJoined(): boolean {
    return this.#session?.state === 'joined'
  }

  /** Another director leads: joins it, for as long as it takes. */
  follow(address: IocAddress, term: number): void {
    if (this.#session?.term === term) return
    this.lose()
    const to = address
    const client = this.#options.rmd.client(DirectorNode, { to, timeoutMs: CALL_TIMEOUT_MS })
    this.#session = { term, client, state: 'joining' }
    void this.#join(this.#session)
  }

  /** There is no director for now. */
  lose(): void {
    if (this.#session !== null) this.#session.state = 'over'
    this.#session = null
    this.#events = []
  }

  report(event: AgentEvent): void {
    const session = this.#session
    if (session === null) return
    this.#events.push(event)
    if (session.state === 'joined' && !this.#sending) void this.#send(session)
  }

  /** Records a change of an in-sync set. @throws SdkError STALE_EPOCH; TRY_AGAIN while there is no director. */
  async changeInSync(change: {
    readonly csi: string
    readonly epoch: number
    readonly node: number
    readonly inSync: boolean
  }): Promise<void> {
    const session = this.#session
    if (session?.state !== 'joined') throw new SdkError('TRY_AGAIN', 'there is no director now')
    try {
      await session.client.inSyncChange(change)
    } catch (error) {
      if (isSdkError(error, 'STALE_EPOCH') || isSdkError(error, 'INVALID_PARAMETER')) throw error
      throw new SdkError('TRY_AGAIN', 'the director did not record the change', { cause: error })
    }
  }

  /** Asks for protection groups: see `DirectorNode.protectionGroups`. @throws SdkError TRY_AGAIN. */
  async protectionGroups(
    track: readonly string[],
    read: readonly string[],
  ): Promise<ProtectionGroup[]> {
    const session = this.#session
    if (session?.state !== 'joined') throw new SdkError('TRY_AGAIN', 'there is no director now')
    const { term, client } = session
    const { node } = this.#options
    try {
      const input = { node, term, track: [...track], read: [...read] }
      return (await client.protectionGroups(input)).groups
    } catch (error) {
      throw new SdkError('TRY_AGAIN', 'the director did not answer', { cause: error })
    }
  }

  /** A component of another node failed. @throws SdkError NOT_EXIST; TRY_AGAIN while there is no director. */
  async errorReport(report: {
    readonly component: string
    readonly recovery: Recovery
    readonly cause: string
  }): Promise<void> {
    await this.#joinedClient().errorReport(report)
  }

  /** What failed works again. @throws SdkError NOT_EXIST, NO_OP; TRY_AGAIN while there is no director. */
  async errorClear(component: { readonly component: string }): Promise<void> {
    await this.#joinedClient().errorClear(component)
  }

  #joinedClient(): Session['client'] {
    if (this.#session?.state === 'joined') return this.#session.client
    throw new SdkError('TRY_AGAIN', 'there is no director now')
  }

  async #join(session: Session): Promise<void> {
    const { node, nodeId, pid, modelVersion, facts, log, onJoined } = this.#options
    session.state = 'joining'
    let delayMs: number = RETRY_DELAY_MS.first
    while (isJoining(session)) {
      // What happens from here on is not in the facts: it is kept, and reported after them.
      this.#events = []
      this.#joinCount += 1
      const input = {
        node,
        nodeId,
        term: session.term,
        pid,
        modelVersion: modelVersion(),
        session: this.#joinCount,
        facts: facts(),
      }
      try {
        const { names } = await session.client.join(input, { timeoutMs: JOIN_TIMEOUT_MS })
        if (!isJoining(session)) return
        session.state = 'joined'
        log.info({ term: session.term }, 'joined the director')
        onJoined(names)
        if (!this.#sending) void this.#send(session)
        return
      } catch (error) {
        log.debug({ err: error, term: session.term }, 'director not joined yet')
      }
      await new Promise((resolve) => setTimeout(resolve, delayMs))
      delayMs = Math.min(RETRY_DELAY_MS.max, delayMs * 2)
    }
  }

  /** Each call is bounded in time and a failed one ends in a join, which empties the queue: it cannot grow for ever. */
  async #send(session: Session): Promise<void> {
    this.#sending = true
    const { node, log } = this.#options
    while (session.state === 'joined' && this.#events.length > 0) {
      const events = this.#events
      this.#events = []
      try {
        await session.client.events({ node, term: session.term, events })
      } catch (error) {
        log.warn({ err: error, term: session.term }, 'events not taken by the director')
        if (session.state === 'joined') void this.#join(session)
      }
    }
    this.#sending = false
    // While the last call to a former director hung, a newer one may have taken this agent in.
    const next = this.#session
    if (next?.state === 'joined' && this.#events.length > 0) void this.#send(next)
  }
}

function isJoining(session: Session): boolean {
  return session.state === 'joining'
}
