import { spawn } from 'node:child_process'
import { createServer, connect as connectTo, type Socket } from 'node:net'
import { existsSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { frames } from '../rmd/frames.ts'
import { freePort } from '../rmd/systems.ts'

/** What is compared; the names are those of the rows. */
export const SYSTEMS = [
  /** Publisher and subscribers alone: frames, written to each of them. */
  'bare sockets',
  /** A process in between that passes frames on. */
  'bare broker',
  'holdfast event',
  /** Only where they are installed. */
  'nats',
  'redis',
] as const
export type EventSystem = (typeof SYSTEMS)[number]

export const SIZE_BYTES = 64

/** Publishes so many events; resolves when they are out of its hands. */
export type PublishMany = (count: number, payload: () => Uint8Array) => Promise<void>
export type OnEvent = (data: Uint8Array) => void

/** One way to get events from a publisher to subscribers, each part in a process of its own. */
export interface EventParts {
  /** What is in between. */
  readonly broker?: (directory: string) => Promise<void>
  readonly publisher: (directory: string) => Promise<PublishMany>
  /** One subscriber with a connection of its own. */
  readonly subscriber: (directory: string, onEvent: OnEvent) => Promise<void>
}

const socketOf = (directory: string, name: string): string => join(directory, `${name}.sock`)

async function connectSocket(path: string): Promise<Socket> {
  const socket = connectTo(path)
  await new Promise<void>((resolve, reject) =>
    socket.once('connect', resolve).once('error', reject),
  )
  return socket
}

/** Listens, and keeps who connects. */
async function listen(path: string, onSocket: (socket: Socket) => void): Promise<void> {
  const server = createServer(onSocket)
  await new Promise<void>((resolve) => server.listen(path, resolve))
}

const drained = (socket: Socket): Promise<void> | void =>
  socket.writableLength > 1_000_000
    ? new Promise((resolve) => socket.once('drain', () => resolve()))
    : undefined

const CHUNK = 256

const bareSockets: EventParts = {
  publisher: async (directory) => {
    const sockets = new Map<Socket, ReturnType<typeof frames>>()
    await listen(socketOf(directory, 'p'), (socket) => {
      sockets.set(
        socket,
        frames(socket, () => {}),
      )
    })
    return async (count, payload) => {
      for (let i = 0; i < count; i += 1) {
        const data = payload()
        for (const send of sockets.values()) send(i, data)
        if (i % CHUNK < CHUNK - 1) continue
        await new Promise((resolve) => setImmediate(resolve))
        for (const socket of sockets.keys()) await drained(socket)
      }
    }
  },
  subscriber: async (directory, onEvent) => {
    frames(await connectSocket(socketOf(directory, 'p')), (_, body) => onEvent(body))
  },
}

const bareBroker: EventParts = {
  broker: async (directory) => {
    const subscribers = new Set<Socket>()
    await listen(socketOf(directory, 's'), (socket) => void subscribers.add(socket))
    await listen(socketOf(directory, 'b'), (socket) => {
      const sends = new Map<Socket, ReturnType<typeof frames>>()
      frames(socket, (id, body) => {
        for (const one of subscribers) {
          if (!sends.has(one))
            sends.set(
              one,
              frames(one, () => {}),
            )
          sends.get(one)!(id, body)
        }
      })
    })
  },
  publisher: async (directory) => {
    const socket = await connectSocket(socketOf(directory, 'b'))
    const send = frames(socket, () => {})
    return async (count, payload) => {
      for (let i = 0; i < count; i += 1) {
        send(i, payload())
        if (i % CHUNK < CHUNK - 1) continue
        await new Promise((resolve) => setImmediate(resolve))
        await drained(socket)
      }
    }
  },
  subscriber: async (directory, onEvent) => {
    frames(await connectSocket(socketOf(directory, 's')), (_, body) => onEvent(body))
  },
}

/** A node process with this service alone, and programs that use the library of events. */
const holdfast: EventParts = {
  broker: async (directory) => {
    const { ioc, services, server } = await built()
    const transport = ioc.unixTransport({ runDir: directory })
    const port = await ioc.openPort({ transport, node: 1, port: 1, name: 'node1' })
    const rmd = ioc.createRmd({ port })
    const node = new services.NodeServices({
      node: 'node1',
      nodeId: 1,
      cluster: 'bench',
      directory,
      streams: {} as never,
      nodeName: () => 'node1',
      nodes: () => [{ nodeId: 1, name: 'node1' }],
      componentOf: () => null,
      namesRegistered: () => {},
      rmd,
      log: silent,
      services: [server.eventServer],
    })
    rmd.serve((call) => void node.dispatch(call))
    node.lead(1, [])
  },
  publisher: async (directory) => {
    const { client } = await library(directory)
    const flags = ['GLOBAL', 'PUBLISHER', 'CREATE'] as const
    const channel = await client.initialize().channelOpen({ name: 'bench', flags })
    return async (count, payload) => {
      // In order: with the last one all others are published. One that fails ends this process.
      let last: Promise<bigint> | undefined
      for (let i = 0; i < count; i += 1) last = channel.publish({ data: payload() })
      await last
    }
  },
  subscriber: async (directory, onEvent) => {
    const { client } = await library(directory)
    const handle = client.initialize({
      deliver: ({ data, lost }) => {
        if (lost > 0) throw new Error(`${lost} events are lost`)
        onEvent(data)
      },
    })
    const flags = ['GLOBAL', 'SUBSCRIBER', 'CREATE'] as const
    const channel = await handle.channelOpen({ name: 'bench', flags })
    await channel.subscribe({ subscriptionId: 1 })
  },
}

const silent = Object.assign(
  { info() {}, warn() {}, debug() {}, error: (why: unknown) => console.error(why) },
  { child: (): unknown => silent },
) as never

/** The built parts: what is measured runs from `dist/`. */
async function built() {
  const from = (path: string): Promise<unknown> =>
    import(new URL(`../../../dist/${path}`, import.meta.url).href)
  return {
    ioc: (await from('ioc/index.js')) as typeof import('../../../ioc/index.ts'),
    services: (await from(
      'runtime/services/internal.js',
    )) as typeof import('../../../runtime/services/internal.ts'),
    server: (await from(
      'runtime/services/event/server.js',
    )) as typeof import('../../../runtime/services/event/server.ts'),
    event: (await from(
      'runtime/services/event/client.js',
    )) as typeof import('../../../runtime/services/event/client.ts'),
    dispatcher: (await from(
      'runtime/services/dispatcher.js',
    )) as typeof import('../../../runtime/services/dispatcher.ts'),
  }
}

async function library(directory: string) {
  const { ioc, event, dispatcher } = await built()
  const transport = ioc.unixTransport({ runDir: directory })
  const port = await ioc.openPort({ transport, node: 1, port: 0, name: 'program' })
  const rmd = ioc.createRmd({ port })
  const made = event.eventLibrary({
    component: 'program',
    node: 'node1',
    nodeId: 1,
    rmd,
    agent: { node: 1, port: 1 },
    log: silent,
  })
  const serving = new dispatcher.Dispatcher(silent)
  for (const { face, handlers } of made.pushes) serving.install(face, handlers)
  rmd.serve((call) => serving.serve(call))
  return made
}

const nats: EventParts = {
  broker: async (directory) => {
    const port = await freePort()
    const child = spawn('nats-server', ['-a', '127.0.0.1', '-p', String(port)], { stdio: 'ignore' })
    process.on('exit', () => child.kill())
    writeFileSync(join(directory, 'port'), String(port))
    await (await natsConnection(directory)).close()
  },
  publisher: async (directory) => {
    const connection = await natsConnection(directory)
    return async (count, payload) => {
      for (let i = 0; i < count; i += 1) connection.publish('bench', payload())
      await connection.flush()
    }
  },
  subscriber: async (directory, onEvent) => {
    const connection = await natsConnection(directory)
    connection.subscribe('bench', { callback: (_, { data }) => onEvent(data) })
    await connection.flush()
  },
}

async function natsConnection(directory: string) {
  const { connect } = await import('@nats-io/transport-node')
  const servers = `127.0.0.1:${readFileSync(join(directory, 'port'), 'utf8')}`
  return connect({ servers, waitOnFirstConnect: true, reconnectTimeWait: 50 })
}

const REDIS_HEAD = Buffer.from(`*3\r\n$7\r\nPUBLISH\r\n$5\r\nbench\r\n$${SIZE_BYTES}\r\n`)
const REDIS_MESSAGE = Buffer.from(`*3\r\n$7\r\nmessage\r\n$5\r\nbench\r\n$${SIZE_BYTES}\r\n`)
const END = Buffer.from('\r\n')

/** Its protocol by hand, pipelined: the fastest that a client can be. */
const redis: EventParts = {
  broker: async (directory) => {
    const path = socketOf(directory, 'redis')
    const args = ['--port', '0', '--unixsocket', path, '--save', '', '--appendonly', 'no']
    const child = spawn('redis-server', [...args, '--dir', directory], { stdio: 'ignore' })
    process.on('exit', () => child.kill())
    while (!existsSync(path)) await new Promise((resolve) => setTimeout(resolve, 10))
  },
  publisher: async (directory) => {
    const socket = await connectSocket(socketOf(directory, 'redis'))
    let answers = 0
    let onAnswer = (): void => {}
    socket.on('data', (chunk: Buffer) => {
      for (const byte of chunk) if (byte === 10) answers += 1
      onAnswer()
    })
    return async (count, payload) => {
      answers = 0
      for (let sent = 0; sent < count; sent += CHUNK) {
        const parts: Uint8Array[] = []
        for (let i = sent; i < Math.min(count, sent + CHUNK); i += 1) {
          parts.push(REDIS_HEAD, payload().slice(), END)
        }
        socket.write(Buffer.concat(parts))
        await drained(socket)
      }
      await new Promise<void>((resolve) => {
        onAnswer = () => {
          if (answers >= count) resolve()
        }
        onAnswer()
      })
    }
  },
  subscriber: async (directory, onEvent) => {
    const socket = await connectSocket(socketOf(directory, 'redis'))
    const size = REDIS_MESSAGE.length + SIZE_BYTES + END.length
    let rest: Buffer = Buffer.alloc(0)
    let isReady = (): void => {}
    const ready = new Promise<void>((resolve) => (isReady = resolve))
    let isSubscribed = false
    socket.on('data', (chunk: Buffer) => {
      let bytes = rest.length === 0 ? chunk : Buffer.concat([rest, chunk])
      if (!isSubscribed) {
        // The answer to SUBSCRIBE ends with an integer.
        const end = bytes.indexOf(':1\r\n')
        if (end === -1) return void (rest = bytes)
        isSubscribed = true
        isReady()
        bytes = bytes.subarray(end + 4)
      }
      let at = 0
      for (; bytes.length - at >= size; at += size) {
        const from = at + REDIS_MESSAGE.length
        onEvent(bytes.subarray(from, from + SIZE_BYTES))
      }
      rest = bytes.subarray(at)
    })
    socket.write('*2\r\n$9\r\nSUBSCRIBE\r\n$5\r\nbench\r\n')
    await ready
  },
}

export const PARTS: { readonly [S in EventSystem]: EventParts } = {
  'bare sockets': bareSockets,
  'bare broker': bareBroker,
  'holdfast event': holdfast,
  nats,
  redis,
}
