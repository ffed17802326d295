import { Client, credentials } from '@grpc/grpc-js'
import { once } from 'node:events'
import { readFileSync } from 'node:fs'
import { connect } from 'node:net'
import { pack, unpack } from 'msgpackr'
import { quantile } from '../bench.ts'
import { frames } from './frames.ts'
import {
  built,
  echoInterface,
  GRPC_PATH,
  moleculerBroker,
  type PairPorts,
  type System,
} from './systems.ts'

/** Result of one round. `cpuUs`: of one call, client and server. */
export interface Measured {
  readonly perSecond: number
  readonly p50Us: number
  readonly p99Us: number
  readonly cpuUs: number
}

/** One round: so long, or so many calls. */
export interface Order {
  readonly inFlight: number
  readonly sizeBytes: number
  readonly ms: number
  readonly callCountMax: number
}

/** The calling process of one system: `client.ts SYSTEM DIRECTORY`. */
const [system, directory = ''] = process.argv.slice(2)

type Call = (text: string) => Promise<unknown>

const rmdClient = async (): Promise<Call> => {
  const { ioc } = await built()
  const transport = ioc.unixTransport({ runDir: directory })
  const port = await ioc.openPort({ transport, port: null, name: 'client' })
  const client = ioc.createRmd({ port }).client(await echoInterface(), { to: '1:64' })
  return (text) => client.echo({ text })
}

const ports = (): PairPorts => JSON.parse(readFileSync(`${directory}.json`, 'utf8')) as PairPorts

/** Makes the function that makes one call. */
const callers: Record<System, () => Promise<Call>> = {
  bare: async () => {
    const waiting = new Map<number, (value: unknown) => void>()
    let lastId = 0
    const socket = connect(`${directory}.sock`)
    const send = frames(socket, (id, reply) => finish(waiting, id, reply))
    await once(socket, 'connect')
    return (text) =>
      new Promise((resolve) => {
        lastId += 1
        waiting.set(lastId, resolve)
        send(lastId, Buffer.from(text))
      })
  },
  minimal: async () => {
    const waiting = new Map<number, (value: unknown) => void>()
    let lastId = 0
    const socket = connect(`${directory}.sock`)
    const send = frames(socket, (id, reply) => finish(waiting, id, unpack(reply)))
    await once(socket, 'connect')
    return (text) =>
      new Promise((resolve) => {
        lastId += 1
        waiting.set(lastId, resolve)
        send(lastId, pack({ text }))
      })
  },
  holdfast: rmdClient,
  'holdfast eo': rmdClient,
  'holdfast eo app': rmdClient,
  'holdfast worker': rmdClient,
  'moleculer tcp': async () => {
    const broker = await moleculerBroker('client', ports())
    await broker.start()
    await broker.waitForServices('bench')
    return (text) => broker.call('bench.echo', { text })
  },
  nats: async () => {
    const { connect: connectNats } = await import('@nats-io/transport-node')
    const connection = await connectNats({ servers: `127.0.0.1:${String(ports().server)}` })
    return async (text) => unpack((await connection.request('echo', pack({ text }))).data)
  },
  'grpc-js': async () => {
    const client = new Client(`unix:${directory}.sock`, credentials.createInsecure())
    return (text) =>
      new Promise((resolve, reject) => {
        client.makeUnaryRequest(GRPC_PATH, pack, unpack, { text }, (error, value) =>
          error === null ? resolve(value) : reject(error),
        )
      })
  },
}

function finish(waiting: Map<number, (value: unknown) => void>, id: number, value: unknown): void {
  const resolve = waiting.get(id)
  waiting.delete(id)
  resolve?.(value)
}

async function measure(call: Call, order: Order): Promise<Measured & { calls: number }> {
  const text = 'x'.repeat(order.sizeBytes)
  const timesMs: number[] = []
  const before = process.cpuUsage()
  const startMs = performance.now()
  const endMs = startMs + order.ms
  const chain = async (): Promise<void> => {
    for (;;) {
      const sentMs = performance.now()
      if (sentMs >= endMs || timesMs.length >= order.callCountMax) return
      await call(text)
      timesMs.push(performance.now() - sentMs)
    }
  }
  await Promise.all(Array.from({ length: order.inFlight }, chain))
  const lastedMs = performance.now() - startMs
  const { user, system: inKernel } = process.cpuUsage(before)
  const times = Float64Array.from(timesMs)
  return {
    calls: times.length,
    perSecond: (times.length / lastedMs) * 1_000,
    p50Us: quantile(times, 0.5) * 1_000,
    p99Us: quantile(times, 0.99) * 1_000,
    cpuUs: (user + inKernel) / times.length,
  }
}

process.on('disconnect', () => process.exit())
const call = await callers[system as System]()
process.on('message', (order: Order) => {
  void measure(call, order).then((measured) => process.send!(measured))
})
process.send!('ready')
