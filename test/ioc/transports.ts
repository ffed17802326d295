import { randomInt } from 'node:crypto'
import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import {
  memoryTransport,
  type TcpNode,
  type TcpTls,
  tcpTransport,
  type Transport,
  unixTransport,
} from '../../ioc/index.ts'

/** Transports that reach each other, one a node, and how to clean up after them. */
export interface TransportSet {
  /** The transport of node 1 or 2. */
  of(node: number): Transport
  dispose(): void
}

/** Keys of the test fixtures by file name: `node-1`, `expired-node-2`... */
export function keys(name: string, ca = 'ca'): TcpTls {
  const read = (file: string): string =>
    readFileSync(new URL(`../fixtures/tls/${file}`, import.meta.url), 'utf8')
  return { ca: read(`${ca}.pem`), cert: read(`${name}.pem`), key: read(`${name}.key`) }
}

/** Addresses of nodes 1 and 2 that nobody else uses: a loopback host drawn by chance. */
export function loopbackNodes(ports: readonly number[] = []): Map<number, TcpNode> {
  const host = `127.${randomInt(1, 255)}.${randomInt(0, 256)}.${randomInt(1, 255)}`
  return new Map([
    [1, { host, basePort: 20_000, ports }],
    [2, { host, basePort: 22_000, ports }],
  ])
}

const shared = (transport: Transport, dispose = (): void => {}): TransportSet => ({
  of: () => transport,
  dispose,
})

/** Every transport of the package by its name. */
export const TRANSPORTS: Readonly<Record<string, () => TransportSet>> = {
  memory: () => shared(memoryTransport()),
  unix: () => {
    const runDir = mkdtempSync(join(tmpdir(), 'hf-'))
    return shared(unixTransport({ runDir }), () => rmSync(runDir, { recursive: true }))
  },
  tcp: () => shared(tcpTransport({ nodes: loopbackNodes([64, 65, 66, 67]) })),
  'tcp+tls': () => {
    const nodes = loopbackNodes([64, 65, 66, 67])
    const both = [1, 2].map((node) => tcpTransport({ nodes, tls: keys(`node-${node}`) }))
    return { of: (node) => both[node - 1]!, dispose: () => {} }
  },
}
