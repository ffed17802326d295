import { EVENT } from './descriptor.ts'
import type { OcEvConnectivity } from './interface.ts'

/** An event of the connectivity class. */
export interface ConnectivityNews {
  readonly descriptor: number
  readonly data: OcEvConnectivity
}

export interface KnownNode {
  readonly nodeId: number
  readonly name: string
}

type Change = OcEvConnectivity['change']

/** Failed interfaces are remembered up to so many; then the one that failed first is forgotten. */
export const FAILED_INTERFACE_COUNT_MAX = 64

/**
 * What one node can reach, and by what. A core. OCF events, draft 0.1, section 2.1: known interfaces and their health,
 * known nodes and their connection state. Each event carries the whole of it, and what changed.
 */
export class Connectivity {
  readonly #self: number
  readonly #interfaces = new Map<string, 'UP' | 'FAILED'>()
  #eligible: ReadonlyMap<number, string> = new Map()
  /** Nodes that are or were eligible and are connected. */
  readonly #connected = new Map<number, string>()

  /** @param self - number of the local node. */
  constructor(self: number) {
    this.#self = self
  }

  isConnected(nodeId: number): boolean {
    return this.#connected.has(nodeId)
  }

  /** Names of the interfaces that work at this moment. */
  interfaces(up: readonly string[]): readonly ConnectivityNews[] {
    const added = up.filter((name) => this.#interfaces.get(name) !== 'UP')
    const failed = [...this.#interfaces]
      .filter(([name, health]) => health === 'UP' && !up.includes(name))
      .map(([name]) => name)
    for (const name of added) this.#interfaces.set(name, 'UP')
    for (const name of failed) {
      // The one that failed last is the last one.
      this.#interfaces.delete(name)
      this.#interfaces.set(name, 'FAILED')
    }
    const gone = [...this.#interfaces].filter(([, health]) => health === 'FAILED')
    const forgotten = Math.max(0, gone.length - FAILED_INTERFACE_COUNT_MAX)
    for (const [name] of gone.slice(0, forgotten)) this.#interfaces.delete(name)
    return [
      ...this.#news(EVENT.interface, 'ADDED', added),
      ...this.#news(EVENT.interface, 'FAILED', failed),
    ]
  }

  /** The nodes that may be members at this moment. */
  eligible(nodes: readonly KnownNode[]): readonly ConnectivityNews[] {
    const before = this.#eligible
    this.#eligible = new Map(nodes.map(({ nodeId, name }) => [nodeId, name]))
    const added = nodes.filter(({ nodeId }) => !before.has(nodeId)).map(({ name }) => name)
    const removed = [...before].filter(([nodeId]) => !this.#eligible.has(nodeId))
    return [
      ...this.#news(EVENT.eligible, 'ELIGIBLE', added),
      ...this.#news(
        EVENT.eligible,
        'NOT_ELIGIBLE',
        removed.map(([, name]) => name),
      ),
    ]
  }

  /** The connection to another node was made or lost. */
  connection(nodeId: number, isMade: boolean): readonly ConnectivityNews[] {
    if (nodeId === this.#self || this.#connected.has(nodeId) === isMade) return []
    const name = this.#eligible.get(nodeId) ?? this.#connected.get(nodeId) ?? String(nodeId)
    if (isMade) this.#connected.set(nodeId, name)
    else this.#connected.delete(nodeId)
    return this.#news(EVENT.connect, isMade ? 'MADE' : 'LOST', [name])
  }

  /** What somebody is told who comes now: interfaces and nodes, as if all had just come. */
  initial(): readonly ConnectivityNews[] {
    const up = [...this.#interfaces].filter(([, health]) => health === 'UP')
    const names = up.map(([name]) => name)
    return [
      { descriptor: EVENT.interface, data: this.#data('ADDED', names) },
      { descriptor: EVENT.eligible, data: this.#data('ELIGIBLE', [...this.#eligible.values()]) },
    ]
  }

  #news(descriptor: number, change: Change, names: readonly string[]): ConnectivityNews[] {
    return names.length === 0 ? [] : [{ descriptor, data: this.#data(change, names) }]
  }

  #data(change: Change, names: readonly string[]): OcEvConnectivity {
    const nodes = new Map([...this.#eligible, ...this.#connected])
    return {
      kind: 'connectivity',
      change,
      names: [...names],
      interfaces: [...this.#interfaces].map(([name, health]) => ({ name, health })),
      nodes: [...nodes]
        .sort(([a], [b]) => a - b)
        .map(([nodeId, name]) => ({
          nodeId,
          name,
          isEligible: this.#eligible.has(nodeId),
          isConnected: nodeId === this.#self || this.#connected.has(nodeId),
        })),
    }
  }
}
