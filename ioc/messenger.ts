import { SdkError } from '../idl/index.ts'
import { addressKey } from './address-text.ts'
import type { IocAddress, IocDestination, NameResolver } from './address.ts'
import type { Connection } from './connection.ts'
import {
  checkDestination,
  destinationText,
  type ManyDestination,
  parseDestination,
} from './destination-text.ts'
import { invalidParameter } from './errors.ts'
import {
  FLAG,
  type FrameHeader,
  makeFrameHeader,
  USER_PROTOCOL,
  WIRE_PRIORITY_MAX,
} from './frame.ts'
import { checkGroupName, encodeGroupMessage, encodeGroups } from './groups.ts'
import type { IocLimits } from './limits.ts'
import type { Transport } from './transport/transport.ts'

/** Priorities of a send by their number on the wire; 6 to 16 are the user's own. SAFplus IOC, section 4.2. */
export const SEND_PRIORITY = {
  default: 0,
  high: 1,
  low: 2,
  ordered: 3,
  notification: 4,
  reserved: 5,
} as const

/** How a message is sent. */
export interface IocSendOptions {
  /** 0x80 to 0xfe: which handler at the receiver gets it. */
  readonly protocol: number
  /** 0 to 16, see {@link SEND_PRIORITY}. @defaultValue 0 */
  readonly priority?: number
}

/** What became of a send. */
export interface IocSendReport {
  /** Receivers for whom the message was queued. One that is not there after all drops it. */
  readonly receiverCount: number
  /** Receivers of a message to many whose send queue was full: they do not get it. */
  readonly refused: readonly IocAddress[]
}

/** The connections on which a message to many was queued, and the receivers whose queue was full. */
export interface SentToMany {
  readonly sent: readonly Connection[]
  readonly refused: readonly IocAddress[]
}

/** A message of a program's own protocol that arrived. */
export interface IocMessage {
  /** Where the sender listens; `{ node: 0, port: 0 }` when nowhere. */
  readonly source: IocAddress
  /** One life of the sending program, and the name that it gave. */
  readonly caller: string
  readonly name: string
  readonly destination: IocDestination
  readonly protocol: number
  readonly priority: number
  /** May be kept. */
  readonly payload: Uint8Array
}

/** What a messenger works on: its port. */
export interface MessengerSetup {
  readonly address: () => IocAddress
  readonly caller: string
  readonly limits: IocLimits
  readonly names: NameResolver | null
  readonly known: Transport['known']
  connectionTo(address: IocAddress): Connection
  connectionOf(caller: string): Connection | undefined
  connections(): Iterable<Connection>
}

/**
 * Messages of programs' own protocols, to one or to many, and the groups of a port.
 *
 * I1 A message to many is queued once for each receiver, told apart by address, or by caller when it listens nowhere.
 * I2 A member that joined and whose frames were received is never left out; one of which nothing is known yet gets the
 * message and drops it itself when it is no member.
 */
export class Messenger {
  readonly #setup: MessengerSetup
  readonly #groups = new Set<string>()
  readonly #handlers = new Map<number, (message: IocMessage) => void>()
  readonly #header = makeFrameHeader()
  #lastId = 0

  constructor(setup: MessengerSetup) {
    this.#setup = setup
  }

  get groups(): readonly string[] {
    return [...this.#groups]
  }

  join(group: string): void {
    checkGroupName(group)
    if (this.#groups.has(group)) throw new SdkError('ALREADY_EXIST', `already in group #${group}`)
    const { groupCountMax } = this.#setup.limits
    if (this.#groups.size >= groupCountMax) {
      throw new SdkError('NO_RESOURCE', `a port is in ${groupCountMax} groups at most`)
    }
    this.#groups.add(group)
    this.#announce()
  }

  leave(group: string): void {
    if (!this.#groups.delete(group)) throw new SdkError('NOT_EXIST', `not in group #${group}`)
    this.#announce()
  }

  isMember(group: string): boolean {
    return this.#groups.has(group)
  }

  onMessage(protocol: number, handler: (message: IocMessage) => void): () => void {
    checkProtocol(protocol)
    if (this.#handlers.has(protocol)) {
      throw new SdkError('ALREADY_EXIST', `protocol 0x${protocol.toString(16)} has a handler`)
    }
    this.#handlers.set(protocol, handler)
    return () => {
      if (this.#handlers.get(protocol) === handler) this.#handlers.delete(protocol)
    }
  }

  send(to: IocDestination | string, payload: Uint8Array, options: IocSendOptions): IocSendReport {
    const destination = typeof to === 'string' ? parseDestination(to) : checkDestination(to)
    if (!(payload instanceof Uint8Array)) throw invalidParameter('payload: give a Uint8Array')
    const header = this.#headerOf(options)
    if (destination.kind === 'physical' || destination.kind === 'logical') {
      this.#checkSize(payload, payload)
      return this.#sendToOne(destination, header, payload)
    }
    const { sent, refused } = this.sendToMany(destination, header, payload)
    return { receiverCount: sent.length, refused }
  }

  /**
   * Queues a message once for each receiver. `header` is complete but for what says that it is to many. Receivers whose
   * hello says that they read traces get `traced` where it is given.
   * @throws SdkError TOO_BIG; NO_RESOURCE for more receivers than `fanOutCountMax`, or connections than there may be.
   */
  sendToMany(
    destination: ManyDestination,
    header: FrameHeader,
    payload: Uint8Array,
    traced?: Uint8Array,
  ): SentToMany {
    const isGroup = destination.kind === 'multicast'
    const contentOf = (bytes: Uint8Array): Uint8Array =>
      isGroup ? encodeGroupMessage(destination.group, bytes) : bytes
    const content = contentOf(payload)
    const tracedContent = traced === undefined ? null : contentOf(traced)
    this.#checkSize(tracedContent ?? content, payload)
    const flags = header.flags | (isGroup ? FLAG.group : 0)
    header.destinationNode = destination.kind === 'intranode' ? this.#setup.address().node : 0
    header.destinationPort = destination.kind === 'broadcast' ? destination.port : 0
    const sent: Connection[] = []
    const refused: IocAddress[] = []
    for (const connection of this.#receivers(destination)) {
      const isTraced = tracedContent !== null && connection.peer?.readsTraces === true
      header.flags = isTraced ? flags | FLAG.trace : flags
      const outcome = connection.send(header, isTraced ? tracedContent : content)
      if (outcome === 'sent') sent.push(connection)
      else if (outcome === 'full') refused.push(addressOf(connection))
    }
    return { sent, refused }
  }

  /** Hands a message to its handler. @returns false when there is none. */
  deliver(
    connection: Connection,
    header: Readonly<FrameHeader>,
    payload: Uint8Array,
    group: string | null,
  ): boolean {
    const handler = this.#handlers.get(header.protocol)
    if (handler === undefined) return false
    const { address, caller, name } = connection.peer!
    const { protocol, priority } = header
    const destination = this.#destinationOf(header, group)
    handler({ source: address, caller, name, destination, protocol, priority, payload })
    return true
  }

  #announce(): void {
    const frame = encodeGroups(this.#groups)
    for (const connection of this.#setup.connections()) connection.sendControl(frame)
  }

  #headerOf(options: IocSendOptions): FrameHeader {
    const { protocol, priority = 0 } = options
    checkProtocol(protocol)
    if (!Number.isInteger(priority) || priority < 0 || priority > WIRE_PRIORITY_MAX) {
      throw invalidParameter(`priority is ${priority}: give 0 to ${WIRE_PRIORITY_MAX}`)
    }
    const header = this.#header
    const own = this.#setup.address()
    header.protocol = protocol
    header.priority = priority
    header.flags = 0
    header.sourceNode = own.node
    header.sourcePort = own.port
    this.#lastId += 1
    header.messageId = this.#lastId
    return header
  }

  #sendToOne(
    destination: IocDestination & { readonly kind: 'physical' | 'logical' },
    header: FrameHeader,
    payload: Uint8Array,
  ): IocSendReport {
    const text = destinationText(destination)
    const address =
      destination.kind === 'physical' ? destination.address : this.#resolve(destination.name)
    header.destinationNode = address.node
    header.destinationPort = address.port
    const outcome = this.#setup.connectionTo(address).send(header, payload)
    if (outcome === 'sent') return { receiverCount: 1, refused: [] }
    if (outcome === 'closed') {
      throw new SdkError('COMP_UNREACHABLE', `the connection to ${text} is closing`)
    }
    const bytesMax = this.#setup.limits.sendQueueBytesMax
    const why = `${text} is slow: its send queue of ${bytesMax} bytes is full until onFlow says resumed`
    throw new SdkError('TRY_AGAIN', why, { context: { to: text, bytesMax } })
  }

  #checkSize(content: Uint8Array, payload: Uint8Array): void {
    const { messageSizeBytesMax } = this.#setup.limits
    if (content.length <= messageSizeBytesMax) return
    const text = `a message of ${payload.length} bytes is above the limit of ${messageSizeBytesMax}`
    throw new SdkError('TOO_BIG', text, { context: { bytes: payload.length } })
  }

  /** One connection a receiver. Connects to those that are known and not connected. */
  #receivers(destination: ManyDestination): Connection[] {
    const own = this.#setup.address()
    const wanted: { port?: number; node?: number } = {}
    if (destination.kind === 'broadcast') wanted.port = destination.port
    if (destination.kind === 'intranode') wanted.node = own.node
    const addresses = new Map<number, IocAddress>()
    const callers = new Set<string>()
    for (const address of this.#setup.known(wanted)) addresses.set(addressKey(address), address)
    for (const { peer, usable } of this.#setup.connections()) {
      if (peer === null || peer.monitor || !usable || peer.caller === this.#setup.caller) continue
      const { node, port } = peer.address
      if (node === 0) {
        if (destination.kind === 'multicast') callers.add(peer.caller)
      } else if ((wanted.node ?? node) === node && (wanted.port ?? port) === port) {
        addresses.set(addressKey(peer.address), peer.address)
      }
    }
    addresses.delete(addressKey(own))
    this.#checkCount(destination, addresses.size + callers.size)
    const found = [...addresses.values()].map((address) => this.#setup.connectionTo(address))
    for (const caller of callers) {
      const connection = this.#setup.connectionOf(caller)
      if (connection !== undefined) found.push(connection)
    }
    if (destination.kind !== 'multicast') return found
    return found.filter(({ peerGroups }) => peerGroups?.has(destination.group) ?? true)
  }

  #checkCount(destination: ManyDestination, count: number): void {
    const { fanOutCountMax } = this.#setup.limits
    if (count <= fanOutCountMax) return
    const text = destinationText(destination)
    throw new SdkError(
      'NO_RESOURCE',
      `${text} has ${count} possible receivers, above limits.fanOutCountMax of ${fanOutCountMax}: nothing was sent`,
      { context: { to: text, count, fanOutCountMax } },
    )
  }

  #resolve(name: string): IocAddress {
    const entry = this.#setup.names?.lookup(name)
    if (entry === undefined) {
      throw new SdkError('NAME_NOT_FOUND', `no logical name @${name} is known`, {
        context: { name },
      })
    }
    if (entry.address !== null) return entry.address
    throw new SdkError('TL_ACTIVE_INST_NOT_PRESENT', `nobody is active for @${name}`, {
      context: { name },
    })
  }

  #destinationOf(header: Readonly<FrameHeader>, group: string | null): IocDestination {
    const { destinationNode: node, destinationPort: port } = header
    if (group !== null) return { kind: 'multicast', group }
    if (node === 0 && port > 0) return { kind: 'broadcast', port }
    if (node > 0 && port === 0) return { kind: 'intranode' }
    return { kind: 'physical', address: this.#setup.address() }
  }
}

const addressOf = (connection: Connection): IocAddress =>
  connection.peer?.address ?? connection.dialed ?? { node: 0, port: 0 }

function checkProtocol(protocol: number): void {
  const { first, last } = USER_PROTOCOL
  if (Number.isInteger(protocol) && protocol >= first && protocol <= last) return
  throw invalidParameter(`protocol is ${protocol}: a program's own are 0x80 to 0xfe`)
}
