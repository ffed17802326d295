import { X509Certificate } from 'node:crypto'
import { connect, createServer, type Socket } from 'node:net'
import type { ConnectionOptions, Server as TlsServer } from 'node:tls'
import { SdkError } from '../../idl/index.ts'
import { addressKey, addressText } from '../address-text.ts'
import type { IocAddress } from '../address.ts'
import { systemClock } from '../clock.ts'
import { invalidParameter } from '../errors.ts'
import { ADDRESS_NUMBER_MAX } from '../frame.ts'
import { Backoff } from './backoff.ts'
import { errorCode, SocketLink, startServer, stopServer } from './socket-link.ts'
import {
  certificateName,
  namesNode,
  nodeTls,
  reasonOf,
  refusalOf,
  type TcpTls,
  tlsBasis,
  voucher,
  WRONG_NODE,
} from './tcp-tls.ts'
import type { Link, LinkFailure, Listener, Refusal, Transport } from './transport.ts'
import { isWanted } from './wanted.ts'

/** Where one node is reached: each of its IOC ports has the tcp port `basePort + port`. */
export interface TcpNode {
  /** Host name or IP address. The node itself listens there and nowhere else. */
  readonly host: string
  /** 0 to 64_512. SAFplus IOC, section 4.6, uses 18_000. */
  readonly basePort: number
  /** Ports that may listen there, for messages to groups and to the whole node. @defaultValue none */
  readonly ports?: readonly number[]
}

/** Settings of {@link tcpTransport}. */
export interface TcpTransportOptions {
  /** Every node by its number. Read at each use: nodes that are found later are simply added. */
  readonly nodes: ReadonlyMap<number, TcpNode>
  /** Mutual TLS 1.3. Without it only loopback addresses are used. */
  readonly tls?: TcpTls
  /** Plain tcp beyond loopback: anybody in that network can send anything. @defaultValue false */
  readonly allowPlaintext?: boolean
  /** Connecting, handshake included, takes at most so long. @defaultValue 3_000 */
  readonly connectTimeoutMs?: number
  /** After so long in silence the kernel asks the other end ten times, a second apart. @defaultValue 5_000 */
  readonly keepAliveMs?: number
}

/** A {@link Transport} over tcp. */
export interface TcpTransport extends Transport {
  /**
   * Uses other keys from now on: connections that are made afterwards, on either side, show and believe these, and
   * those that stand go on. Call it when the files have changed, on SIGHUP for instance.
   * @throws SdkError INVALID_PARAMETER for keys that do not match, and the old ones stay; INVALID_STATE without `tls`.
   */
  renewTls(tls: TcpTls): void
}

type Setup = Required<Omit<TcpTransportOptions, 'tls'>> & {
  tls: ReturnType<typeof tlsBasis> | null
  backoff: Backoff
  /** Listeners that make TLS connections. */
  readonly servers: Set<TlsServer>
}

const BACKLOG = 1024
const END_GRACE_MS = 1_000
const TCP_PORT_MAX = 65_535

/**
 * Tcp, for nodes on several machines. Every IOC port of a node is one tcp port: there is no broker process that could
 * die, and a connection belongs to exactly two programs, as over `unix`.
 * @throws SdkError INVALID_PARAMETER for an option that is wrong, keys that do not match, or plain tcp beyond loopback.
 */
export function tcpTransport(options: TcpTransportOptions): TcpTransport {
  if (typeof options?.nodes?.get !== 'function') {
    throw invalidParameter('nodes: give a Map of every node by its number')
  }
  const setup: Setup = {
    nodes: options.nodes,
    allowPlaintext: options.allowPlaintext ?? false,
    connectTimeoutMs: positive('connectTimeoutMs', options.connectTimeoutMs ?? 3_000),
    keepAliveMs: positive('keepAliveMs', options.keepAliveMs ?? 5_000),
    tls: options.tls === undefined ? null : tlsBasis(options.tls),
    backoff: new Backoff(),
    servers: new Set(),
  }
  for (const node of options.nodes.keys()) endpointOf(setup, { node, port: 1 })
  return {
    kind: setup.tls === null ? 'tcp' : 'tcp+tls',
    listen: (address, accept, refused) => listenAt(setup, address, accept, refused),
    connect: (address) => connectTo(setup, address),
    known: (wanted) => knownOf(setup.nodes, wanted),
    renewTls: (tls) => renew(setup, tls),
  }
}

function renew(setup: Setup, tls: TcpTls): void {
  if (setup.tls === null) {
    throw new SdkError('INVALID_STATE', 'this transport was made without tls: it has no keys')
  }
  setup.tls = tlsBasis(tls)
  for (const server of setup.servers) server.setSecureContext(setup.tls)
  // What was refused for its old keys is tried again at once.
  setup.backoff = new Backoff()
}

interface Endpoint {
  readonly host: string
  readonly port: number
}

/** @throws SdkError INVALID_PARAMETER, OP_NOT_PERMITTED. */
function endpointOf(setup: Setup, address: IocAddress): Endpoint {
  const node = setup.nodes.get(address.node)
  if (node === undefined) {
    const known = [...setup.nodes.keys()].join(', ') || 'none'
    throw invalidParameter(`node ${address.node} has no tcp address; known nodes: ${known}`)
  }
  const { host, basePort } = node
  if (!Number.isInteger(basePort) || basePort < 0 || basePort + ADDRESS_NUMBER_MAX > TCP_PORT_MAX) {
    const most = TCP_PORT_MAX - ADDRESS_NUMBER_MAX
    throw invalidParameter(`nodes[${address.node}].basePort is ${basePort}: give 0 to ${most}`)
  }
  if (setup.tls === null && !setup.allowPlaintext && !isLoopback(host)) {
    const remedy = 'give tls, or allowPlaintext if that network is yours alone'
    throw invalidParameter(`nodes[${address.node}]: ${host} is beyond loopback: ${remedy}`)
  }
  return { host, port: basePort + address.port }
}

async function listenAt(
  setup: Setup,
  address: IocAddress,
  accept: (link: Link) => void,
  refused: (refusal: Refusal) => void = () => {},
): Promise<Listener> {
  const endpoint = endpointOf(setup, address)
  const server =
    setup.tls === null
      ? createServer((socket) => adopt(setup, socket, new SocketLink(END_GRACE_MS), accept))
      : tlsServer(setup, setup.tls, accept, refused)
  const forget = (): void => void setup.servers.delete(server as TlsServer)
  try {
    await startServer(server, { ...endpoint, backlog: BACKLOG, exclusive: true }, address)
  } catch (error) {
    forget()
    throw error
  }
  let closed = false
  return {
    close: async () => {
      if (!closed) await stopServer(server)
      closed = true
      forget()
    },
  }
}

function tlsServer(
  setup: Setup,
  basis: ReturnType<typeof tlsBasis>,
  accept: (link: Link) => void,
  refused: (refusal: Refusal) => void,
): TlsServer {
  // Judged below, so that each refusal has its reason: Node.js itself would close without a word.
  const mutual = { requestCert: true, rejectUnauthorized: false }
  const handshakeTimeout = setup.connectTimeoutMs
  const server = nodeTls().createServer({ ...basis, ...mutual, handshakeTimeout }, (socket) => {
    const reason = refusalOf(socket)
    if (reason === null) {
      return adopt(setup, socket, new SocketLink(END_GRACE_MS, voucher(socket)), accept)
    }
    socket.on('error', () => {})
    const from = socket.remoteAddress
    socket.destroy()
    refused({ reason, message: `${from} shows no certificate that this node believes: ${reason}` })
  })
  server.on('tlsClientError', (error, socket) => {
    const message = `${socket.remoteAddress ?? 'somebody'} finished no handshake: ${error.message}`
    refused({ reason: reasonOf(errorCode(error)), message })
    socket.destroy()
  })
  setup.servers.add(server)
  return server
}

function adopt(setup: Setup, socket: Socket, link: SocketLink, accept: (link: Link) => void): void {
  tune(setup, socket)
  accept(link)
  link.adopt(socket)
}

/** No waiting for more to send, and a dead machine is noticed. */
function tune(setup: Setup, socket: Socket): void {
  socket.setNoDelay(true)
  socket.setKeepAlive(true, setup.keepAliveMs)
}

function connectTo(setup: Setup, address: IocAddress): Link {
  const { backoff } = setup
  const key = addressKey(address)
  let socket: Socket
  let link: SocketLink
  try {
    const endpoint = endpointOf(setup, address)
    const wait = backoff.check(key, systemClock.nowMs())
    if (wait !== null) {
      const again = `tried again in ${Math.ceil(wait.waitMs)} ms`
      return failed(`cannot connect to ${addressText(address)}: ${wait.why}; ${again}`)
    }
    if (setup.tls === null) {
      socket = connect(endpoint)
      link = new SocketLink(END_GRACE_MS)
    } else {
      const secure = nodeTls().connect({ ...clientOptions(setup.tls, address.node), ...endpoint })
      socket = secure
      link = new SocketLink(END_GRACE_MS, (node) => voucher(secure)(node))
    }
  } catch (error) {
    return failed(error instanceof Error ? error.message : String(error))
  }
  tune(setup, socket)
  const openEvent = setup.tls === null ? 'connect' : 'secureConnect'
  const timer = setTimeout(() => {
    const message = `no connection within ${setup.connectTimeoutMs} ms`
    socket.destroy(Object.assign(new Error(message), { code: 'ETIMEDOUT' }))
  }, setup.connectTimeoutMs)
  socket.once('close', () => clearTimeout(timer))
  socket.once(openEvent, () => {
    clearTimeout(timer)
    backoff.succeeded(key)
  })
  link.dial(socket, openEvent, (error) => {
    const failure = failureOf(error, address)
    // A refused connect costs one packet, and whoever is started next should be found at once.
    if (errorCode(error) !== 'ECONNREFUSED') {
      backoff.failed(key, failure.message, systemClock.nowMs())
    }
    return { failure }
  })
  return link
}

function failed(message: string): Link {
  const link = new SocketLink(END_GRACE_MS)
  link.failSoon({ kind: 'unreachable', message })
  return link
}

function clientOptions(basis: ReturnType<typeof tlsBasis>, node: number): ConnectionOptions {
  const { secureContext } = basis
  return {
    secureContext,
    minVersion: 'TLSv1.3',
    rejectUnauthorized: true,
    servername: certificateName(node),
    checkServerIdentity: (_host, { raw }) => {
      if (namesNode(new X509Certificate(raw), node)) return undefined
      const message = `its certificate does not name ${certificateName(node)}`
      return Object.assign(new Error(message), { code: WRONG_NODE })
    },
  }
}

function failureOf(error: Error, address: IocAddress): LinkFailure {
  const at = addressText(address)
  const code = errorCode(error)
  if (code === 'ECONNREFUSED') return { kind: 'unreachable', message: `nobody listens at ${at}` }
  const message = `cannot connect to ${at}: ${error.message}`
  const reason = reasonOf(code)
  if (reason === 'handshakeFailed') return { kind: 'unreachable', message }
  return { kind: 'refused', reason, message }
}

function knownOf(
  nodes: ReadonlyMap<number, TcpNode>,
  wanted: { readonly node?: number; readonly port?: number },
): IocAddress[] {
  const { port } = wanted
  return [...nodes]
    .flatMap(([node, { ports = [] }]) =>
      (port === undefined ? ports : [port]).map((number) => ({ node, port: number })),
    )
    .filter(isWanted(wanted))
}

const isLoopback = (host: string): boolean =>
  host === 'localhost' || host === '::1' || /^127(\.\d{1,3}){3}$/.test(host)

function positive(name: string, value: number): number {
  if (Number.isSafeInteger(value) && value > 0) return value
  throw invalidParameter(`${name} is ${value}: give milliseconds from 1`)
}
