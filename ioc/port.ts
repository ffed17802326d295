// Longer than usual: the contract of a port stands beside the one class that keeps it.
import { randomBytes, randomInt } from 'node:crypto'
import { isSdkError, SdkError } from '../idl/index.ts'
import { addressKey, addressText, isListenAddress } from './address-text.ts'
import {
  IOC_PORT_RANGE,
  type IocAddress,
  type IocDestination,
  type NameResolver,
} from './address.ts'
import { type Clock, systemClock } from './clock.ts'
import { Connection, describeConnectionFault } from './connection.ts'
import type { ConnectionEvents } from './connection-events.ts'
import { closedError, invalidParameter } from './errors.ts'
import {
  encodeHello,
  type FrameHeader,
  type Heartbeat,
  makeFrameHeader,
  PROTOCOL,
} from './frame.ts'
import { encodeGroups } from './groups.ts'
import type { LaneName } from './lane.ts'
import { completeLimits, type IocLimits } from './limits.ts'
import { type IocLog, LimitedLog, silentLog } from './log.ts'
import type { ManyDestination } from './destination-text.ts'
import {
  type IocMessage,
  type IocSendOptions,
  type IocSendReport,
  Messenger,
  type SentToMany,
} from './messenger.ts'
import { type NodePresenceEvent, type PeerInfo, Presence } from './presence.ts'
import type { PresenceEvent } from './rmd/rmd.ts'
import { addTraffic, NO_TRAFFIC, type PortStatistics } from './statistics.ts'
import type { Link, LinkFailure, Listener, Refusal, Transport } from './transport/transport.ts'

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
  /** Who is behind `@name`, for {@link Port.send}. Without it every name is unknown. */
  readonly names?: NameResolver
  /** A watchdog's beat, with the name of its hello. True: the beat is sent back, which renews the role lease. */
  readonly onHeartbeat?: (heartbeat: Heartbeat, name: string) => boolean
}

/** Who receives what arrives at a port: RMD. */
export interface PortUser {
  /** @returns false when the protocol is not known: the message is dropped and counted. */
  onMessage(connection: Connection, header: Readonly<FrameHeader>, payload: Uint8Array): boolean
  onLinkOpen(connection: Connection): void
  /** What the peer said of itself is known from now on. */
  onHello(connection: Connection): void
  onClose(connection: Connection, cause: LinkFailure | null): void
}

/**
 * A lane of the send queue to one peer refuses since it is full, or takes messages again. Each `blocked` is followed by
 * one `resumed`, at the latest when the connection is gone: then the next send connects anew, or tells why it cannot.
 */
export interface FlowEvent {
  readonly kind: 'blocked' | 'resumed'
  readonly lane: LaneName
  /** Where the peer listens; null while that is not known. */
  readonly address: IocAddress | null
  /** Null before the peer's hello. */
  readonly caller: string | null
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
   * @throws SdkError NOT_INITIALIZED when the port is closed; NO_RESOURCE when it has as many connections as it may.
   */
  connectionTo(address: IocAddress): Connection
  /** The connection to a peer by its caller id, if it is connected. */
  connectionOf(caller: string): Connection | undefined
  /** Every connection, in the order in which they were made. */
  connections(): Iterable<Connection>
  /** Sets who receives messages. */
  attach(user: PortUser): void
  /**
   * Sends a message of a program's own protocol. Best effort: a receiver that is gone, or does not know the protocol,
   * drops it. Messages of one priority to one receiver keep their order; higher ones overtake.
   * @throws SdkError INVALID_PARAMETER for a destination, protocol or priority that is none; TOO_BIG; TRY_AGAIN when
   * the one receiver's queue is full (see {@link Port.onFlow}); COMP_UNREACHABLE, NAME_NOT_FOUND,
   * TL_ACTIVE_INST_NOT_PRESENT; NO_RESOURCE for more receivers than `fanOutCountMax`; NOT_INITIALIZED after `close`.
   */
  send(to: IocDestination | string, payload: Uint8Array, options: IocSendOptions): IocSendReport
  /**
   * Queues one frame for many, as {@link Port.send} does. The destination of the header is filled here. For RMD.
   * @param traced - the payload with its trace, for receivers that are known to read it.
   * @throws SdkError TOO_BIG; NO_RESOURCE for more receivers than `fanOutCountMax`, or connections than there may be.
   */
  sendToMany(
    to: ManyDestination,
    header: FrameHeader,
    payload: Uint8Array,
    traced?: Uint8Array,
  ): SentToMany
  /**
   * Sets who receives messages of one of the programs' protocols. @returns the function that takes it away.
   * @throws SdkError ALREADY_EXIST when it has a handler; INVALID_PARAMETER outside of 0x80 to 0xff.
   */
  onMessage(protocol: number, handler: (message: IocMessage) => void): () => void
  /**
   * Becomes a member of a multicast group. Connected peers know at once, others when they connect.
   * @throws SdkError INVALID_PARAMETER, ALREADY_EXIST, NO_RESOURCE above `groupCountMax`.
   */
  joinGroup(group: string): void
  /** @throws SdkError NOT_EXIST when the port is no member. */
  leaveGroup(group: string): void
  readonly groups: readonly string[]
  /** Tells when a peer's send queue refuses and when it takes messages again. */
  onFlow(listener: (event: FlowEvent) => void): () => void
  onPresence(listener: (event: PresenceEvent) => void): () => void
  /** A node arrives before its first program, and leaves after its last. */
  onNodePresence(listener: (event: NodePresenceEvent) => void): () => void
  /** Programs that are connected now, in the order of arrival. */
  peers(): readonly PeerInfo[]
  /** Nodes of which a listening program is connected now. */
  nodes(): readonly number[]
  /**
   * Closes every connection to a node that is known to be gone, from membership for instance: what is pending there
   * ends at once, also when the network says nothing.
   */
  disconnectNode(node: number): void
  /** Traffic, drops by reason and queue depths, of the port and of each connection. */
  statistics(): PortStatistics
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
  if (typeof options?.transport?.connect !== 'function') {
    throw invalidParameter('transport: give one, such as unixTransport({ runDir })')
  }
  const port = new IocPort(options)
  await port.listen(options)
  return port
}

const NO_BYTES = new Uint8Array(0)

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
  readonly #nodeListeners = new Set<(event: NodePresenceEvent) => void>()
  readonly #flowListeners = new Set<(event: FlowEvent) => void>()
  readonly #faults = new Map<string, number>()
  readonly #messenger: Messenger
  /** Of connections that are gone. */
  #traffic = NO_TRAFFIC
  #connectionsMade = 0
  readonly #echo: FrameHeader = { ...makeFrameHeader(), protocol: PROTOCOL.heartbeat }
  #address: IocAddress = { node: 0, port: 0 }
  #listener: Listener | null = null
  #user: PortUser | null = null
  #cancelSweep: (() => void) | null = null
  #sweptMs = 0
  #closing: Promise<void> | null = null
  #onEmpty: (() => void) | null = null

  constructor(options: PortOptions) {
    this.name = options.name
    this.limits = completeLimits(options.limits)
    this.#clock = options.clock ?? systemClock
    this.log = new LimitedLog(options.log ?? silentLog, this.#clock)
    this.#transport = options.transport
    this.#onHeartbeat = options.onHeartbeat
    this.#messenger = new Messenger({
      address: () => this.#address,
      caller: this.caller,
      limits: this.limits,
      names: options.names ?? null,
      known: (wanted) => this.#transport.known(wanted),
      connectionTo: (address) => this.connectionTo(address),
      connectionOf: (caller) => this.connectionOf(caller),
      connections: () => this.#connections,
    })
  }

  async listen(options: PortOptions): Promise<void> {
    if (options.port === null) return
    if (options.port === 0) await this.#listenEphemeral(options.node ?? 0)
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
    const { connectionCountMax } = this.limits
    if (this.#connections.size >= connectionCountMax) {
      const why = `no connection to ${addressText(address)}: this port has its limit of ${connectionCountMax}`
      throw new SdkError('NO_RESOURCE', why, { context: { connectionCountMax } })
    }
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

  send(to: IocDestination | string, payload: Uint8Array, options: IocSendOptions): IocSendReport {
    if (this.#closing !== null) throw closedError('the port')
    return this.#messenger.send(to, payload, options)
  }

  sendToMany(
    to: ManyDestination,
    header: FrameHeader,
    payload: Uint8Array,
    traced?: Uint8Array,
  ): SentToMany {
    return this.#messenger.sendToMany(to, header, payload, traced)
  }

  onMessage(protocol: number, handler: (message: IocMessage) => void): () => void {
    return this.#messenger.onMessage(protocol, handler)
  }

  joinGroup(group: string): void {
    this.#messenger.join(group)
  }

  leaveGroup(group: string): void {
    this.#messenger.leave(group)
  }

  get groups(): readonly string[] {
    return this.#messenger.groups
  }

  onFlow(listener: (event: FlowEvent) => void): () => void {
    this.#flowListeners.add(listener)
    return () => void this.#flowListeners.delete(listener)
  }

  onNodePresence(listener: (event: NodePresenceEvent) => void): () => void {
    this.#nodeListeners.add(listener)
    return () => void this.#nodeListeners.delete(listener)
  }

  peers(): readonly PeerInfo[] {
    return this.#presence.peers()
  }

  nodes(): readonly number[] {
    return this.#presence.nodes()
  }

  disconnectNode(node: number): void {
    for (const connection of this.#connections) {
      if ((connection.peer?.address ?? connection.dialed)?.node === node) connection.destroy()
    }
  }

  statistics(): PortStatistics {
    const peers = [...this.#connections].map((connection) => ({
      address: connection.peer?.address ?? connection.dialed,
      caller: connection.peer?.caller ?? '',
      name: connection.peer?.name ?? '',
      ...connection.statistics(),
    }))
    return {
      ...peers.reduce(addTraffic, this.#traffic),
      connectionCount: peers.length,
      connectionsMade: this.#connectionsMade,
      drops: this.faultCounts(),
      peers,
    }
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

  /** What every connection starts with. */
  #greeting(): Uint8Array {
    const { groups } = this.#messenger
    const groupsFollow = groups.length > 0
    const own = { address: this.#address, caller: this.caller, name: this.name }
    const hello = encodeHello({ ...own, groupsFollow, readsTraces: true })
    return groupsFollow ? Buffer.concat([hello, encodeGroups(groups)]) : hello
  }

  async #listenAt(address: IocAddress): Promise<void> {
    if (!isListenAddress(address)) {
      throw invalidParameter(
        `cannot listen at ${addressText(address)}: node and port are 1 to 1023`,
        { address: addressText(address) },
      )
    }
    this.#address = address
    this.#listener = await this.#transport.listen(
      address,
      (link) => this.#accept(link),
      (refusal) => this.#onRefused(refusal),
    )
  }

  /** Starts at a number drawn by chance: one that was just freed should not soon be another program's. */
  async #listenEphemeral(node: number): Promise<void> {
    const { first, last } = IOC_PORT_RANGE.ephemeral
    const count = last - first + 1
    const start = randomInt(count)
    for (let i = 0; i < count; i += 1) {
      const port = first + ((start + i) % count)
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
      hello: this.#greeting(),
      nowMs: () => this.#clock.nowMs(),
      events: this.#events,
    })
    this.#connections.add(connection)
    this.#connectionsMade += 1
    if (this.#closing !== null) connection.destroy()
    else if (dialed === null && this.#connections.size > this.limits.connectionCountMax) {
      this.#count('tooManyConnections')
      this.log.warn('tooManyConnections', { max: this.limits.connectionCountMax }, 'peer refused')
      connection.turnAway()
    }
    if (this.#cancelSweep === null) {
      this.#sweptMs = this.#clock.nowMs()
      this.#cancelSweep = this.#clock.after(SWEEP_INTERVAL_MS, () => this.#sweep())
    }
    return connection
  }

  readonly #events: ConnectionEvents = {
    onHello: (connection) => {
      this.#tell(this.#presence.hello(connection))
      this.#user?.onHello(connection)
    },
    onMessage: (connection, header, payload) => {
      if (this.#user?.onMessage(connection, header, payload) === true) return
      this.#onOwnProtocol(connection, header, payload, null)
    },
    onGroupMessage: (connection, group, { header, payload }) => {
      // Its sender did not know yet, or the group was just left.
      if (!this.#messenger.isMember(group)) return this.#count('notInGroup')
      if (this.#user?.onMessage(connection, header, payload) === true) return
      this.#onOwnProtocol(connection, header, payload, group)
    },
    onHeartbeat: (connection, heartbeat) => {
      if (this.#onHeartbeat?.(heartbeat, connection.peer?.name ?? '') !== true) return
      this.#echo.messageId = heartbeat.beat
      connection.send(this.#echo, NO_BYTES)
    },
    onFault: (connection, fault) => {
      this.#count(fault.kind)
      const detail = describeConnectionFault(fault)
      const fields = { detail, ...this.#peerOf(connection) }
      this.log.warn(fault.kind, fields, 'connection closed: the peer broke the protocol')
    },
    onFlow: (connection, lane, kind) => {
      const address = connection.peer?.address ?? connection.dialed
      const event: FlowEvent = { kind, lane, address, caller: connection.peer?.caller ?? null }
      if (kind === 'blocked') this.#count('sendQueueFull')
      for (const listener of this.#flowListeners) listener(event)
    },
    onLinkOpen: (connection) => this.#user?.onLinkOpen(connection),
    onClose: (connection, cause) => {
      this.#connections.delete(connection)
      this.#traffic = addTraffic(this.#traffic, { ...connection.statistics(), queuedBytes: 0 })
      if (cause?.kind === 'refused') this.#onRefused(cause)
      const events = this.#presence.closed(connection)
      this.#user?.onClose(connection, cause)
      this.#tell(events)
      if (this.#connections.size === 0) this.#onEmpty?.()
    },
  }

  #onOwnProtocol(
    connection: Connection,
    header: Readonly<FrameHeader>,
    payload: Uint8Array,
    group: string | null,
  ): void {
    if (this.#messenger.deliver(connection, header, payload, group)) return
    this.#count('unknownProtocol')
    const { protocol } = header
    this.log.warn('unknownProtocol', { protocol, ...this.#peerOf(connection) }, 'frame dropped')
  }

  #onRefused(refusal: Refusal): void {
    this.#count(refusal.reason)
    this.log.warn(refusal.reason, { detail: refusal.message }, 'peer refused')
  }

  #sweep(): void {
    this.#cancelSweep = null
    const nowMs = this.#clock.nowMs()
    const lateMs = nowMs - this.#sweptMs - SWEEP_INTERVAL_MS
    this.#sweptMs = nowMs
    const pausedMs = lateMs > SWEEP_INTERVAL_MS ? lateMs : 0
    for (const connection of this.#connections) connection.sweep(nowMs, pausedMs)
    if (this.#connections.size === 0 || this.#closing !== null) return
    this.#cancelSweep = this.#clock.after(SWEEP_INTERVAL_MS, () => this.#sweep())
  }

  #tell(events: readonly (PresenceEvent | NodePresenceEvent)[]): void {
    for (const event of events) {
      if ('node' in event) for (const listener of this.#nodeListeners) listener(event)
      else for (const listener of this.#listeners) listener(event)
    }
  }

  #count(reason: string): void {
    this.#faults.set(reason, (this.#faults.get(reason) ?? 0) + 1)
  }

  #peerOf(connection: Connection): object {
    const { peer } = connection
    return peer === null ? {} : { peer: peer.name, address: addressText(peer.address) }
  }
}
