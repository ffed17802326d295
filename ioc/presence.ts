import { addressKey } from './address-text.ts'
import type { Connection } from './connection.ts'
import type { PresenceEvent } from './rmd/rmd.ts'

/**
 * Who is connected: the lives of peer programs, each with its connections, and which connection reaches an address.
 * A life arrives with its first connection and dies with its last. Pure book-keeping.
 */
export class Presence {
  readonly #ownCaller: string
  readonly #byCaller = new Map<string, Set<Connection>>()
  readonly #byAddress = new Map<number, Connection>()

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

  /** A peer said hello. @returns the arrival, if this is the first connection of its life. */
  hello(connection: Connection): PresenceEvent | null {
    const { peer } = connection
    if (peer === null || peer.monitor || peer.caller === this.#ownCaller) return null
    if (peer.address.node !== 0) this.#offerRoute(connection)
    const connections = this.#byCaller.get(peer.caller)
    if (connections !== undefined) {
      connections.add(connection)
      return null
    }
    this.#byCaller.set(peer.caller, new Set([connection]))
    return { kind: 'arrival', address: peer.address, caller: peer.caller, name: peer.name }
  }

  /** A connection is gone. @returns the death, if it was the last one of its life. */
  closed(connection: Connection): PresenceEvent | null {
    const { peer, dialed } = connection
    if (dialed !== null) this.#withdrawRoute(addressKey(dialed), connection)
    if (peer === null) return null
    this.#withdrawRoute(addressKey(peer.address), connection)
    const connections = this.#byCaller.get(peer.caller)
    if (connections?.delete(connection) !== true) return null
    const [other] = connections
    if (other !== undefined) {
      if (peer.address.node !== 0) this.#offerRoute(other)
      return null
    }
    this.#byCaller.delete(peer.caller)
    return { kind: 'death', address: peer.address, caller: peer.caller, name: peer.name }
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
