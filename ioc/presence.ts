import { addressKey } from './address-text.ts'
import type { IocAddress } from './address.ts'
import type { Connection } from './connection.ts'
import type { PresenceEvent } from './rmd/rmd.ts'

/** A node of which the first program is connected, or the last one is gone. */
export interface NodePresenceEvent {
  readonly kind: 'nodeArrival' | 'nodeLeave'
  readonly node: number
}

/** One life of a peer program that is connected. */
export interface PeerInfo {
  /** `{ node: 0, port: 0 }` when it listens nowhere. */
  readonly address: IocAddress
  readonly caller: string
  readonly name: string
  /** When its oldest connection was made, on the port's clock. */
  readonly sinceMs: number
}

/**
 * Who is connected: the lives of peer programs, each with its connections, and which connection reaches an address.
 * A life arrives with its first connection and dies with its last. Pure book-keeping.
 */
export class Presence {
  readonly #ownCaller: string
  readonly #byCaller = new Map<string, Set<Connection>>()
  readonly #byAddress = new Map<number, Connection>()
  /** Lives a node. */
  readonly #nodes = new Map<number, number>()

  constructor(ownCaller: string) {
    this.#ownCaller = ownCaller
  }

  /** The connection that reaches an address, if there is one. */
  routeTo(key: number): Connection | undefined {
    const connection = this.#byAddress.get(key)
    return connection?.usable === true ? connection : undefined
  }

  /** A connection of one life, the oldest. */
  routeToCaller(caller: string): Connection | undefined {
    const connections = this.#byCaller.get(caller)
    if (connections === undefined) return undefined
    for (const connection of connections) if (connection.usable) return connection
    return undefined
  }

  /** This side starts to connect to an address: from now on its messages wait there. */
  dialing(key: number, connection: Connection): void {
    this.#byAddress.set(key, connection)
  }

  /** Everybody who is connected, in the order of arrival. */
  peers(): PeerInfo[] {
    const found: PeerInfo[] = []
    for (const connections of this.#byCaller.values()) {
      const [first] = connections
      if (first?.peer == null) continue
      const { address, caller, name } = first.peer
      found.push({ address, caller, name, sinceMs: first.sinceMs })
    }
    return found
  }

  /** Nodes with a connected program that listens there. */
  nodes(): number[] {
    return [...this.#nodes.keys()]
  }

  /** A peer said hello. @returns what arrived with the first connection of its life: its node before itself. */
  hello(connection: Connection): readonly (PresenceEvent | NodePresenceEvent)[] {
    const { peer } = connection
    if (peer === null || peer.monitor || peer.caller === this.#ownCaller) return NOTHING
    if (peer.address.node !== 0) this.#offerRoute(connection)
    const connections = this.#byCaller.get(peer.caller)
    if (connections !== undefined) {
      connections.add(connection)
      return NOTHING
    }
    this.#byCaller.set(peer.caller, new Set([connection]))
    const { address, caller, name } = peer
    const arrival = { kind: 'arrival', address, caller, name } as const
    const lives = (this.#nodes.get(address.node) ?? 0) + 1
    if (address.node === 0) return [arrival]
    this.#nodes.set(address.node, lives)
    return lives === 1 ? [{ kind: 'nodeArrival', node: address.node }, arrival] : [arrival]
  }

  /** A connection is gone. @returns what died with the last one of its life: its node after itself. */
  closed(connection: Connection): readonly (PresenceEvent | NodePresenceEvent)[] {
    const { peer, dialed } = connection
    if (dialed !== null) this.#withdrawRoute(addressKey(dialed), connection)
    if (peer === null) return NOTHING
    this.#withdrawRoute(addressKey(peer.address), connection)
    const connections = this.#byCaller.get(peer.caller)
    if (connections?.delete(connection) !== true) return NOTHING
    const [other] = connections
    if (other !== undefined) {
      if (peer.address.node !== 0) this.#offerRoute(other)
      return NOTHING
    }
    this.#byCaller.delete(peer.caller)
    const { address, caller, name } = peer
    const death = { kind: 'death', address, caller, name } as const
    if (address.node === 0) return [death]
    const lives = (this.#nodes.get(address.node) ?? 0) - 1
    if (lives > 0) {
      this.#nodes.set(address.node, lives)
      return [death]
    }
    this.#nodes.delete(address.node)
    return [death, { kind: 'nodeLeave', node: address.node }]
  }

  /** Takes the connection as the way to its peer, unless one is in use: messages must not overtake each other. */
  #offerRoute(connection: Connection): void {
    const key = addressKey(connection.peer!.address)
    const present = this.#byAddress.get(key)
    // Another life at the same address: the close of the old one is on its way.
    const successor = present?.peer != null && present.peer.caller !== connection.peer!.caller
    if (present === undefined || !present.usable || successor) this.#byAddress.set(key, connection)
  }

  #withdrawRoute(key: number, connection: Connection): void {
    if (this.#byAddress.get(key) === connection) this.#byAddress.delete(key)
  }
}

const NOTHING: readonly [] = []
