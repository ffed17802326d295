import { randomBytes, randomInt } from 'node:crypto'
import { isSdkError, SdkError } from '../idl/index.ts'
import { addressKey, addressText, isListenAddress } from './address-text.ts'
import type { IocAddress } from './address.ts'
import { type Clock, systemClock } from './clock.ts'
import { Connection, type ConnectionFault, describeConnectionFault } from './connection.ts'
import { closedError, invalidParameter } from './errors.ts'
import { encodeHello, type FrameHeader, type Heartbeat } from './frame.ts'
import { DEFAULT_IOC_LIMITS, type IocLimits } from './limits.ts'
import { type IocLog, LimitedLog, silentLog } from './log.ts'
import { Presence } from './presence.ts'
import type { PresenceEvent } from './rmd/rmd.ts'
import type { Link, LinkFailure, Listener, Transport } from './transport/transport.ts'

/** First and last ephemeral port. SAFplus IOC, section 4.1. */
const EPHEMERAL_PORT = { first: 128, last: 1023 } as const
const SWEEP_INTERVAL_MS = 1_000

/** How a port is opened. */
export interface PortOptions {
  readonly transport: Transport
  /** 1 to 1023. Not needed when `port` is null. */
  readonly node?: number
  /** 1 to 1023; 0: an ephemeral one; null: none, for a program that only calls. */
  readonly port: number | null
  /** Said to peers in the hello; they show it. */
  readonly name: string
  readonly log?: IocLog
  readonly clock?: Clock
  readonly limits?: Partial<IocLimits>
  /** A watchdog's beat that arrived on a raw connection, with the name of its hello. */
  readonly onHeartbeat?: (heartbeat: Heartbeat, name: string) => void
}

/** Who receives what arrives at a port: RMD. */
export interface PortUser {
  /** @returns false when the protocol is not known: the message is dropped and counted. */
  onMessage(connection: Connection, header: Readonly<FrameHeader>, payload: Uint8Array): boolean
  onLinkOpen(connection: Connection): void
  onClose(connection: Connection, cause: LinkFailure | null): void
}

/**
 * One place in the cluster that sends and receives: it listens (or not), connects on first use, uses one connection a
 * peer for everything that it sends there, and tells who comes and goes.
 */
export interface Port {
  /** `{ node: 0, port: 0 }` when it listens nowhere. */
  readonly address: IocAddress
  /** 16 hex digits: this life of this program, drawn when the port opens. */
  readonly caller: string
  readonly name: string
  readonly limits: IocLimits
  readonly log: LimitedLog
  /**
   * The connection on which messages to an address go; it may still be connecting.
   * @throws SdkError NOT_INITIALIZED when the port is closed.
   */
  connectionTo(address: IocAddress): Connection
  /** The connection to a peer by its caller id, if it is connected. */
  connectionOf(caller: string): Connection | undefined
  /** Every connection, in the order in which they were made. */
  connections(): Iterable<Connection>
  /** Sets who receives messages. */
  attach(user: PortUser): void
  onPresence(listener: (event: PresenceEvent) => void): () => void
  /** How often what was wrong with peers' bytes, by reason. */
  faultCounts(): Readonly<Record<string, number>>
  /** Says goodbye, sends what is queued, frees the address. Idempotent, ends within about a second. */
  close(): Promise<void>
}

/**
 * Opens a port.
 * @throws SdkError ALREADY_EXIST when a living program has the number; NO_RESOURCE when every ephemeral number is
 * taken; INVALID_PARAMETER for a number out of range.
 */
export async function openPort(options: PortOptions): Promise<Port> {
  const port = new IocPort(options)
  await port.listen(options)
  return port
}

class IocPort implements Port {
  readonly caller = randomBytes(8).toString('hex')
  readonly name: string
  readonly limits: IocLimits
  readonly log: LimitedLog
  readonly #clock: Clock
  readonly #transport: Transport
  readonly #onHeartbeat: PortOptions['onHeartbeat']
  readonly #presence = new Presence(this.caller)
  readonly #connections = new Set<Connection>()
  readonly #listeners = new Set<(event: PresenceEvent) => void>()
  readonly #faults = new Map<string, number>()
  #address: IocAddress = { node: 0, port: 0 }
  #hello: Uint8Array = new Uint8Array(0)
  #listener: Listener | null = null
  #user: PortUser | null = null
  #cancelSweep: (() => void) | null = null
  #closing: Promise<void> | null = null
  #onEmpty: (() => void) | null = null

  constructor(options: PortOptions) {
    this.name = options.name
    this.limits = { ...DEFAULT_IOC_LIMITS, ...options.limits }
    this.#clock = options.clock ?? systemClock
    this.log = new LimitedLog(options.log ?? silentLog, this.#clock)
    this.#transport = options.transport
    this.#onHeartbeat = options.onHeartbeat
  }

  async listen(options: PortOptions): Promise<void> {
    if (options.port === null) this.#become({ node: 0, port: 0 })
    else if (options.port === 0) await this.#listenEphemeral(options.node ?? 0)
    else await this.#listenAt({ node: options.node ?? 0, port: options.port })
  }

  get address(): IocAddress {
    return this.#address
  }

  connectionTo(address: IocAddress): Connection {
    const key = addressKey(address)
    const present = this.#presence.routeTo(key)
    if (present !== undefined) return present
    if (this.#closing !== null) throw closedError('the port')
    const connection = this.#add(this.#transport.connect(address), address)
    this.#presence.dialing(key, connection)
    return connection
  }

  connectionOf(caller: string): Connection | undefined {
    return this.#presence.routeToCaller(caller)
  }

  connections(): Iterable<Connection> {
    return this.#connections
  }

  attach(user: PortUser): void {
    this.#user = user
  }

  onPresence(listener: (event: PresenceEvent) => void): () => void {
    this.#listeners.add(listener)
    return () => void this.#listeners.delete(listener)
  }

  faultCounts(): Readonly<Record<string, number>> {
    return Object.fromEntries(this.#faults)
  }

  close(): Promise<void> {
    this.#closing ??= this.#close()
    return this.#closing
  }

  async #close(): Promise<void> {
    await this.#listener?.close()
    if (this.#connections.size > 0) {
      const empty = new Promise<void>((resolve) => {
        this.#onEmpty = resolve
      })
      for (const connection of this.#connections) connection.end()
      const cancel = this.#clock.after(SWEEP_INTERVAL_MS, () => {
        for (const connection of this.#connections) connection.destroy()
      })
      await empty
      cancel()
    }
    this.#cancelSweep?.()
  }

  #become(address: IocAddress): void {
    this.#address = address
    this.#hello = encodeHello({ address, caller: this.caller, name: this.name })
  }

  async #listenAt(address: IocAddress): Promise<void> {
    if (!isListenAddress(address)) {
      throw invalidParameter(
        `cannot listen at ${addressText(address)}: node and port are 1 to 1023`,
        { address: addressText(address) },
      )
    }
    this.#become(address)
    this.#listener = await this.#transport.listen(address, (link) => this.#accept(link))
  }

  /** Starts at a number drawn by chance: one that was just freed should not soon be another program's. */
  async #listenEphemeral(node: number): Promise<void> {
    const count = EPHEMERAL_PORT.last - EPHEMERAL_PORT.first + 1
    const start = randomInt(count)
    for (let i = 0; i < count; i += 1) {
      const port = EPHEMERAL_PORT.first + ((start + i) % count)
      try {
        await this.#listenAt({ node, port })
        return
      } catch (error) {
        if (!isSdkError(error, 'ALREADY_EXIST')) throw error
      }
    }
    throw new SdkError('NO_RESOURCE', `all ${count} ephemeral ports of node ${node} are taken`)
  }

  #accept(link: Link): void {
    this.#add(link, null)
  }

  #add(link: Link, dialed: IocAddress | null): Connection {
    const connection = new Connection({
      link,
      dialed,
      limits: this.limits,
      hello: this.#hello,
      nowMs: () => this.#clock.nowMs(),
      events: this.#events,
    })
    this.#connections.add(connection)
    if (this.#closing !== null) connection.destroy()
    else if (dialed === null && this.#connections.size > this.limits.connectionCountMax) {
      this.#count('tooManyConnections')
      this.log.warn('tooManyConnections', { max: this.limits.connectionCountMax }, 'peer refused')
      connection.destroy()
    }
    this.#cancelSweep ??= this.#clock.after(SWEEP_INTERVAL_MS, () => this.#sweep())
    return connection
  }

  readonly #events = {
    onHello: (connection: Connection): void => this.#tell(this.#presence.hello(connection)),
    onMessage: (
      connection: Connection,
      header: Readonly<FrameHeader>,
      payload: Uint8Array,
    ): void => {
      if (this.#user?.onMessage(connection, header, payload) === true) return
      this.#count('unknownProtocol')
      const { protocol } = header
      this.log.warn('unknownProtocol', { protocol, ...this.#peerOf(connection) }, 'frame dropped')
    },
    onHeartbeat: (connection: Connection, heartbeat: Heartbeat): void =>
      this.#onHeartbeat?.(heartbeat, connection.peer?.name ?? ''),
    onFault: (connection: Connection, fault: ConnectionFault): void => {
      this.#count(fault.kind)
      const detail = describeConnectionFault(fault)
      const fields = { detail, ...this.#peerOf(connection) }
      this.log.warn(fault.kind, fields, 'connection closed: the peer broke the protocol')
    },
    onLinkOpen: (connection: Connection): void => this.#user?.onLinkOpen(connection),
    onClose: (connection: Connection, cause: LinkFailure | null): void => {
      this.#connections.delete(connection)
      const event = this.#presence.closed(connection)
      this.#user?.onClose(connection, cause)
      this.#tell(event)
      if (this.#connections.size === 0) this.#onEmpty?.()
    },
  }

  #sweep(): void {
    this.#cancelSweep = null
    const nowMs = this.#clock.nowMs()
    for (const connection of this.#connections) connection.sweep(nowMs)
    if (this.#connections.size === 0 || this.#closing !== null) return
    this.#cancelSweep = this.#clock.after(SWEEP_INTERVAL_MS, () => this.#sweep())
  }

  #tell(event: PresenceEvent | null): void {
    if (event === null) return
    for (const listener of this.#listeners) listener(event)
  }

  #count(reason: string): void {
    this.#faults.set(reason, (this.#faults.get(reason) ?? 0) + 1)
  }

  #peerOf(connection: Connection): object {
    const { peer } = connection
    return peer === null ? {} : { peer: peer.name, address: addressText(peer.address) }
  }
}
