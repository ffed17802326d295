import { once } from 'node:events'
import { connect as connectPlain, createServer, type Server, type Socket } from 'node:net'
import { connect as connectTls, type ConnectionOptions } from 'node:tls'
import { afterEach, describe, expect, it } from 'vitest'
import { isSdkError } from '../../idl/index.ts'
import {
  type Link,
  type LinkFailure,
  openPort,
  type Port,
  type PortOptions,
  type TcpTransportOptions,
  tcpTransport,
} from '../../ioc/index.ts'
import { Backoff } from '../../ioc/transport/backoff.ts'
import { keys, loopbackNodes } from './transports.ts'

async function until(holds: () => boolean): Promise<void> {
  while (!holds()) await new Promise((resolve) => setImmediate(resolve))
}

const ports: Port[] = []
const sockets: Socket[] = []
const servers: Server[] = []
const links: Link[] = []
afterEach(async () => {
  for (const socket of sockets.splice(0)) socket.destroy()
  for (const link of links.splice(0)) link.destroy()
  for (const server of servers.splice(0)) server.close()
  await Promise.all(ports.splice(0).map((port) => port.close()))
})

const lines: { reason: string; detail?: string }[] = []
const log = { warn: (fields: object) => void lines.push(fields as never), debug: () => {} }
async function open(
  options: Omit<PortOptions, 'port' | 'name'> & { port?: number | null },
): Promise<Port> {
  lines.length = 0
  const port = await openPort({ port: 64, name: `node${options.node}`, log, ...options })
  ports.push(port)
  return port
}

/** Connects on the transport's level and tells how it ends. */
async function failureOf(options: TcpTransportOptions, node = 1): Promise<LinkFailure | null> {
  const link = tcpTransport(options).connect({ node, port: 64 })
  links.push(link)
  return new Promise((resolve) => {
    link.start({ onOpen() {}, onData() {}, onWritten() {}, onClose: resolve })
  })
}

describe('tcp with mutual TLS', () => {
  it.each([
    ['another authority', 'unknownAuthority', keys('other-node-2', 'ca')],
    ['a certificate that ended', 'expiredCertificate', keys('expired-node-2')],
    ['the name of another node', 'wrongNode', keys('node-1')],
    ['a wildcard for a name', 'wrongNode', keys('wildcard')],
  ])('refuses a caller with %s: counted and logged as %s', async (_name, reason, tls) => {
    const nodes = loopbackNodes()
    const server = await open({ node: 1, transport: tcpTransport({ nodes, tls: keys('node-1') }) })
    const caller = await open({ node: 2, transport: tcpTransport({ nodes, tls }) })
    const received: unknown[] = []
    server.onMessage(0x80, (message) => void received.push(message))
    caller.send('1:64', new Uint8Array([1]), { protocol: 0x80 })
    await until(() => caller.statistics().connectionCount === 0)
    await until(() => server.statistics().drops[reason] !== undefined)
    expect(server.statistics().drops).toEqual({ [reason]: 1 })
    expect(lines).toMatchObject([{ reason }])
    expect(received).toEqual([])
    expect(server.peers()).toEqual([])
  })

  it.each([
    ['of another authority', 'unknownAuthority', keys('other-node-2')],
    ['whose certificate ended', 'expiredCertificate', keys('expired-node-2')],
    ['that is another node', 'wrongNode', keys('node-1')],
  ])('does not talk to a server %s: counted and logged as %s', async (_name, reason, tls) => {
    const nodes = loopbackNodes()
    // The server's node is 2 by its address, whatever its certificate says.
    await open({ node: 2, transport: tcpTransport({ nodes, tls }) })
    const caller = await open({
      node: 1,
      transport: tcpTransport({ nodes, tls: keys('node-1') }),
    })
    caller.send('2:64', new Uint8Array([1]), { protocol: 0x80 })
    await until(() => caller.statistics().drops[reason] === 1)
    expect(lines.filter((line) => line.detail?.startsWith('cannot connect to 2:64'))).toHaveLength(
      1,
    )
  })

  const raw = async (options: ConnectionOptions | null, bytes: string): Promise<Port> => {
    const nodes = loopbackNodes()
    const server = await open({
      node: 1,
      transport: tcpTransport({ nodes, tls: keys('node-1'), connectTimeoutMs: 200 }),
    })
    const at = { host: nodes.get(1)!.host, port: 20_064 }
    const socket = options === null ? connectPlain(at) : connectTls({ ...at, ...options })
    socket.on('error', () => {})
    sockets.push(socket)
    socket.write(bytes)
    await new Promise((resolve) => socket.on('close', resolve))
    await until(() => Object.keys(server.statistics().drops).length > 0)
    return server
  }

  it('uses renewed keys for new connections, on both sides, and keeps those that stand', async () => {
    const nodes = loopbackNodes()
    const near = tcpTransport({ nodes, tls: keys('node-1') })
    const far = tcpTransport({ nodes, tls: keys('expired-node-2') })
    const server = await open({ node: 1, transport: near })
    const late = await open({ node: 1, port: 65, transport: near })
    const caller = await open({ node: 2, transport: far })
    const received: number[] = []
    for (const port of [server, late, caller]) {
      port.onMessage(0x80, ({ payload }) => void received.push(payload[0]!))
    }
    const send = (from: Port, to: string, value: number): object =>
      from.send(to, new Uint8Array([value]), { protocol: 0x80 })
    send(caller, '1:64', 1)
    await until(() => server.statistics().drops['expiredCertificate'] === 1)
    expect(() => far.renewTls({ ...keys('node-2'), key: keys('node-1').key })).toThrow(
      'no matching',
    )
    far.renewTls(keys('node-2'))
    await until(() => caller.statistics().connectionCount === 0)
    send(caller, '1:64', 2)
    await until(() => received.includes(2))
    // The listener's turn: it believes another authority, and an old connection lives on.
    near.renewTls({ ...keys('node-1'), ca: keys('node-1', 'other-ca').ca })
    send(caller, '1:65', 3)
    await until(() => late.statistics().drops['unknownAuthority'] === 1)
    send(caller, '1:64', 4)
    await until(() => received.includes(4))
    near.renewTls(keys('node-1'))
    await until(() => caller.statistics().connectionCount === 1)
    send(caller, '1:65', 5)
    await until(() => received.includes(5))
    expect(received).toEqual([2, 4, 5])
  })

  it('has no keys to renew without tls', () => {
    const transport = tcpTransport({ nodes: loopbackNodes() })
    expect(() => transport.renewTls(keys('node-1'))).toThrow('without tls')
  })

  it('refuses a client without a certificate', async () => {
    const server = await raw({ ca: keys('node-1').ca as string, servername: 'node-1' }, 'x')
    expect(server.statistics().drops).toEqual({ noCertificate: 1 })
  })

  it('refuses TLS 1.2', async () => {
    const { ca, cert, key } = keys('node-2') as { ca: string; cert: string; key: string }
    const server = await raw({ ca, cert, key, servername: 'node-1', maxVersion: 'TLSv1.2' }, 'x')
    expect(server.statistics().drops).toEqual({ handshakeFailed: 1 })
  })

  it.each([
    ['text', 'GET / HTTP/1.1\r\n\r\n'],
    ['frames', '\0\0\0\x45\x01\x01\0\0\0\0\0\0'],
  ])('refuses plain %s', async (_name, bytes) => {
    const server = await raw(null, bytes)
    expect(server.statistics().drops).toEqual({ plaintext: 1 })
  })

  it('gives up a client that opens a connection and says nothing', async () => {
    const server = await raw(null, '')
    expect(server.statistics().drops).toEqual({ handshakeTimeout: 1 })
  })

  it('lets a program of any node that listens nowhere call with a good certificate', async () => {
    const nodes = loopbackNodes()
    const server = await open({ node: 1, transport: tcpTransport({ nodes, tls: keys('node-1') }) })
    const transport = tcpTransport({ nodes, tls: keys('node-2') })
    const caller = await open({ port: null, transport })
    const received: number[] = []
    server.onMessage(0x80, ({ payload }) => void received.push(payload[0]!))
    caller.send('1:64', new Uint8Array([7]), { protocol: 0x80 })
    await until(() => received.length === 1)
    expect(received).toEqual([7])
  })

  it('says at once that keys are none, or do not match', () => {
    const nodes = loopbackNodes()
    const { ca, cert } = keys('node-1')
    const { key } = keys('node-2')
    for (const tls of [
      { ca, cert, key },
      { ca, cert, key: 'no key' },
    ]) {
      expect(() => tcpTransport({ nodes, tls })).toThrow(/tls: ca, cert and key/)
    }
  })
})

describe('tcp', () => {
  it.each([
    [{ nodes: new Map([[1, { host: '192.0.2.1', basePort: 20_000 }]]) }, /beyond loopback/],
    [{ nodes: new Map([[1, { host: '127.0.0.1', basePort: 65_000 }]]) }, /basePort is 65000/],
    [{ nodes: loopbackNodes(), connectTimeoutMs: 0 }, /connectTimeoutMs is 0/],
  ])('refuses wrong options at once: %#', (options, message) => {
    expect(() => tcpTransport(options)).toThrow(message)
  })

  it('takes plain tcp beyond loopback when that is allowed, and only then at a later node', async () => {
    const nodes = new Map([[1, { host: '192.0.2.1', basePort: 20_000 }]])
    expect(tcpTransport({ nodes, allowPlaintext: true }).kind).toBe('tcp')
    const later = loopbackNodes()
    const transport = tcpTransport({ nodes: later })
    later.set(2, { host: '192.0.2.1', basePort: 20_000 })
    const link = transport.connect({ node: 2, port: 64 })
    const cause = await new Promise<LinkFailure | null>((resolve) => {
      link.start({ onOpen() {}, onData() {}, onWritten() {}, onClose: resolve })
    })
    expect(cause).toMatchObject({ kind: 'unreachable', message: /beyond loopback/ })
  })

  it('says of which node it has no address', async () => {
    const transport = tcpTransport({ nodes: loopbackNodes() })
    const error = await open({ node: 3, transport }).catch((cause: unknown) => cause)
    expect(isSdkError(error, 'INVALID_PARAMETER')).toBe(true)
    expect(String(error)).toMatch(/node 3 has no tcp address; known nodes: 1, 2/)
    expect(await failureOf({ nodes: loopbackNodes() }, 3)).toMatchObject({ kind: 'unreachable' })
  })

  it('says that a host is not this machine', async () => {
    const nodes = new Map([[1, { host: '192.0.2.1', basePort: 20_000 }]])
    const transport = tcpTransport({ nodes, allowPlaintext: true })
    const error = await open({ node: 1, transport }).catch((cause: unknown) => cause)
    expect(isSdkError(error, 'INVALID_PARAMETER')).toBe(true)
    expect(String(error)).toMatch(/no address of this machine/)
  })

  it('gives a connection up that is not there in time, then waits before the next try', async () => {
    const nodes = loopbackNodes()
    // Accepts and says nothing: a handshake that never comes to an end.
    const server = createServer((socket) => void sockets.push(socket))
    servers.push(server)
    server.listen({ host: nodes.get(1)!.host, port: 20_064 })
    await once(server, 'listening')
    const transport = tcpTransport({ nodes, tls: keys('node-2'), connectTimeoutMs: 50 })
    const attempt = (): Promise<LinkFailure | null> => {
      const link = transport.connect({ node: 1, port: 64 })
      links.push(link)
      return new Promise((resolve) => {
        link.start({ onOpen() {}, onData() {}, onWritten() {}, onClose: resolve })
      })
    }
    const first = await attempt()
    expect(first).toMatchObject({ kind: 'unreachable', message: /no connection within 50 ms/ })
    const second = await attempt()
    expect(second?.message).toMatch(/within 50 ms; tried again in \d+ ms/)
  })

  it('finds a listener that starts just after nobody was there', async () => {
    const nodes = loopbackNodes()
    const transport = tcpTransport({ nodes })
    const caller = await open({ port: null, transport })
    caller.send('1:64', new Uint8Array(1), { protocol: 0x80 })
    await until(() => caller.statistics().connectionCount === 0)
    const server = await open({ node: 1, transport })
    const received: unknown[] = []
    server.onMessage(0x80, (message) => void received.push(message))
    caller.send('1:64', new Uint8Array(1), { protocol: 0x80 })
    await until(() => received.length === 1)
    expect(caller.statistics().drops).toEqual({})
  })
})

describe('back-off', () => {
  it('doubles the wait from 100 ms to 5 s, and forgets after a success', () => {
    const backoff = new Backoff()
    const waits: (number | undefined)[] = []
    let nowMs = 1_000
    for (let i = 0; i < 8; i += 1) {
      backoff.failed(7, 'no route', nowMs)
      const waitMs = backoff.check(7, nowMs)!.waitMs
      waits.push(waitMs)
      expect(backoff.check(8, nowMs)).toBe(null)
      nowMs += waitMs
      expect(backoff.check(7, nowMs)).toBe(null)
    }
    expect(waits).toEqual([100, 200, 400, 800, 1_600, 3_200, 5_000, 5_000])
    backoff.succeeded(7)
    backoff.failed(7, 'no route', nowMs)
    expect(backoff.check(7, nowMs)).toEqual({ waitMs: 100, why: 'no route' })
  })
})
