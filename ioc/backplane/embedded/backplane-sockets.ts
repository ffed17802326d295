import { connect, type Socket } from 'node:net'
import type { Duplex } from 'node:stream'
import { faultWatchOf, type FaultWatch } from '../../transport/fault-watch.ts'
import { FaultySocket } from '../../transport/faulty-socket.ts'
import { messageSchema } from './messages.schema.ts'

/** How node processes reach each other. */
export interface BackplaneSockets {
  connect(path: string, node: string): Duplex
  taken(socket: Socket): Duplex
}

/** Plain sockets, or in a test that gave a fault file those on which its faults act. */
export function backplaneSockets(self: string, env: NodeJS.ProcessEnv): BackplaneSockets {
  const faults = faultWatchOf(env)
  if (faults === null) return { connect: (path) => connect(path), taken: (socket) => socket }
  const numberOf = (node: string): number => faults.table.nodes[node] ?? 0
  const base = { faults, ownNode: () => numberOf(self) }
  return {
    connect: (path, node) =>
      new FaultySocket({ ...base, peer: () => numberOf(node), open: () => connect(path) }),
    taken: (socket) =>
      new FaultySocket({
        ...base,
        identify: (bytes) => senderOf(bytes, faults),
        open: () => socket,
      }),
  }
}

/** The node of a hello, once its line is there. Whoever says none is no node. */
function senderOf(bytes: Buffer, { table }: FaultWatch): number | undefined {
  const end = bytes.indexOf('\n')
  if (end < 0) return undefined
  try {
    const message = messageSchema.parse(JSON.parse(bytes.toString('utf8', 0, end)))
    return message.kind === 'hello' ? (table.nodes[message.node] ?? 0) : 0
  } catch {
    return 0
  }
}
