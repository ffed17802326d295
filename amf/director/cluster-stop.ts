import type { Logger } from 'pino'
import { SdkError } from '../../idl/index.ts'
import type { Model } from '../model/model.ts'
import type { AgentLink } from './agent-link.ts'
import type { ClusterStatus } from './interface.ts'
import { ANY_INCARNATION, type RunningTable } from './running-table.ts'

/** Beyond the terminate time-outs of the model: for kills, clean-up and the way there and back. */
const GRACE_MS = 5_000
/** The other node processes leave before the director's own; then it does not wait longer. */
const NODES_TIMEOUT_MS = 5_000

export interface ClusterStopOptions {
  readonly model: Model
  readonly running: RunningTable
  /** Who was active when the stop was asked for. */
  readonly status: ClusterStatus
  readonly ownNode: string
  readonly links: ReadonlyMap<string, AgentLink>
  readonly log: Logger
}

interface Condition {
  readonly holds: () => boolean
  readonly resolve: () => void
}

/**
 * Stops everything once: components that hold ACTIVE first, so that their last writes are with every standby and the
 * cluster may be started again in any order; then the other components, higher instantiation levels first; then the
 * node processes, the director's own last. Nothing is assigned meanwhile.
 */
export class ClusterStop {
  /** Settles when no component is left. Rejects with TIMEOUT when some would not end; node processes end anyway. */
  readonly done: Promise<void>
  readonly #options: ClusterStopOptions
  readonly #conditions = new Set<Condition>()
  #nodesStopping = false

  constructor(options: ClusterStopOptions) {
    this.#options = options
    this.done = this.#stopComponents()
    // The answer leaves first: the processes that carry it end next.
    void this.done.catch(() => undefined).then(() => setTimeout(() => void this.#stopNodes(), 10))
  }

  /** True once node processes are expected to go away by themselves. */
  get nodesStopping(): boolean {
    return this.#nodesStopping
  }

  /** Something about components or nodes changed. */
  onChange(): void {
    for (const condition of [...this.#conditions]) {
      if (!condition.holds()) continue
      this.#conditions.delete(condition)
      condition.resolve()
    }
  }

  async #stopComponents(): Promise<void> {
    const { status, model, running } = this.#options
    const active = new Set<string>()
    for (const { assignments } of status.serviceInstances) {
      for (const { haState, components } of assignments) {
        if (haState !== 'STANDBY') for (const { name } of components) active.add(name)
      }
    }
    // What others act for goes first, while they can still end it.
    await this.#terminate(
      [...running.components.keys()].filter((name) => model.components.get(name)?.mediation),
    )
    await this.#terminate([...active])
    const levels = new Map<number, string[]>()
    for (const name of running.components.keys()) {
      const level = model.components.get(name)?.instantiationLevel ?? 0
      levels.set(level, [...(levels.get(level) ?? []), name])
    }
    for (const [, names] of [...levels].sort((a, b) => b[0] - a[0])) await this.#terminate(names)
    const left = [...running.components.keys()]
    if (left.length === 0) return
    throw new SdkError('TIMEOUT', `components did not end in time: ${left.join(', ')}`)
  }

  async #terminate(names: readonly string[]): Promise<void> {
    const { model, running, links } = this.#options
    let timeoutMs = 0
    for (const component of names) {
      const found = model.components.get(component)
      const incarnation = running.components.get(component)
      if (found === undefined || incarnation === undefined) continue
      // Whose node acts for it, that node knows.
      const own = links.get(found.node)
      const targets = found.mediation ? [...links.values()] : own ? [own] : []
      if (targets.length === 0) continue
      timeoutMs = Math.max(timeoutMs, found.terminateTimeoutMs)
      const kind = incarnation === ANY_INCARNATION ? 'cleanup' : 'terminate'
      const order = { component, incarnation, why: 'the cluster stops' }
      for (const link of targets) {
        if (kind === 'terminate') link.push({ kind, ...order })
        else link.push({ kind, ...order, mediation: null })
      }
    }
    for (const link of links.values()) link.flush()
    const gone = (): boolean => names.every((name) => !running.components.has(name))
    await this.#until(gone, timeoutMs + GRACE_MS)
  }

  async #stopNodes(): Promise<void> {
    const { links, ownNode, log } = this.#options
    this.#nodesStopping = true
    log.info('components stopped; node processes follow')
    for (const [node, link] of links) if (node !== ownNode) stopNode(link)
    const alone = (): boolean => [...links.keys()].every((node) => node === ownNode)
    await this.#until(alone, NODES_TIMEOUT_MS)
    const own = links.get(ownNode)
    if (own !== undefined) stopNode(own)
  }

  #until(holds: () => boolean, timeoutMs: number): Promise<void> {
    if (holds()) return Promise.resolve()
    return new Promise((resolve) => {
      const timer = setTimeout(() => {
        this.#conditions.delete(condition)
        resolve()
      }, timeoutMs)
      const condition: Condition = {
        holds,
        resolve: () => {
          clearTimeout(timer)
          resolve()
        },
      }
      this.#conditions.add(condition)
    })
  }
}

function stopNode(link: AgentLink): void {
  link.push({ kind: 'stopNode', why: 'the cluster stops' })
  link.flush()
}
