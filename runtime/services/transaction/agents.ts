import { SdkError } from '../../../idl/index.ts'
import { SERVICE_TYPE_ANY, TRANSACTION_LIMITS, type JobDefinition } from './interface.ts'
import type { Agent, TransactionOperation } from './operations.ts'

type Register = Extract<TransactionOperation, { kind: 'register' }>
type Reference = JobDefinition['participants'][number]['agent']

/** Who performs jobs, by name: a component, or whichever of several is active. A core. */
export class Agents {
  readonly #agents = new Map<string, Agent>()

  /** @returns true when another EO had the name: that one is asked no more. @throws SdkError NO_SPACE. */
  register({ agent, life, eo, address, service, isTwoPhase }: Register): boolean {
    const known = this.#agents.get(agent)
    const isReplaced = known !== undefined && known.eo !== eo
    const services = isReplaced ? [] : (known?.services ?? [])
    const others = services.filter((one) => one.service !== service)
    const { agentCount, serviceCount } = TRANSACTION_LIMITS
    if (others.length >= serviceCount || (!known && this.#agents.size >= agentCount)) {
      const message = `${agentCount} agents and ${serviceCount} services of each are possible`
      throw new SdkError('NO_SPACE', message)
    }
    const now = { agent, life, eo, address, services: [...others, { service, isTwoPhase }] }
    this.#agents.set(agent, now)
    return isReplaced
  }

  /** @returns true when it was the last service: the agent is gone. @throws SdkError NOT_EXIST. */
  unregister(agent: string, eo: string, service: number): boolean {
    const known = this.#agents.get(agent)
    const kept = known?.services.filter((one) => one.service !== service) ?? []
    if (known?.eo !== eo || kept.length === known.services.length) {
      throw new SdkError('NOT_EXIST', `agent ${agent} has no service ${service} here`)
    }
    if (kept.length > 0) known.services = kept
    else this.#agents.delete(agent)
    return kept.length === 0
  }

  /** @returns names of those that are gone now. */
  drop(isGone: (agent: Agent) => boolean): string[] {
    const gone = [...this.#agents.values()].filter(isGone).map(({ agent }) => agent)
    for (const name of gone) this.#agents.delete(name)
    return gone
  }

  get(name: string): Agent | undefined {
    return this.#agents.get(name)
  }

  /** The agent that is meant by its name or its address. */
  find(reference: Reference): Agent | undefined {
    if (typeof reference === 'string') return this.#agents.get(reference)
    const { node, port } = reference
    return [...this.#agents.values()].find(
      ({ address }) => address.node === node && address.port === port,
    )
  }

  snapshot(): Agent[] {
    return [...this.#agents.values()]
  }

  restore(agents: readonly Agent[]): void {
    this.#agents.clear()
    for (const agent of agents) this.#agents.set(agent.agent, agent)
  }
}

/** What an agent has for jobs of a type. */
export function serviceOf(
  agent: Agent | undefined,
  type: number,
): Agent['services'][number] | null {
  const services = agent?.services ?? []
  const exact = services.find(({ service }) => service === type)
  return exact ?? services.find(({ service }) => service === SERVICE_TYPE_ANY) ?? null
}

/** A participant in words. */
export function referenceText(reference: Reference): string {
  return typeof reference === 'string' ? reference : `${reference.node}:${reference.port}`
}
