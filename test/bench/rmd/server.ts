import { Server, ServerCredentials } from '@grpc/grpc-js'
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { writeFileSync } from 'node:fs'
import { createServer } from 'node:net'
import { parentPort, Worker } from 'node:worker_threads'
import { pack, unpack } from 'msgpackr'
import { frames } from './frames.ts'
import {
  built,
  echoInterface,
  freePort,
  GRPC_PATH,
  moleculerBroker,
  type PairPorts,
  type System,
} from './systems.ts'

/** The serving process of one system: `server.ts SYSTEM DIRECTORY`. */
const [system, directory = ''] = process.argv.slice(2)

const serve: Record<System, () => Promise<void>> = {
  bare: () => listen((send) => (id, body) => send(id, body)),
  minimal: () =>
    listen((send) => (id, body) => {
      const { text } = unpack(body) as { text: string }
      send(id, pack({ text }))
    }),
  holdfast: async () => {
    const { ioc } = await built()
    const { echo } = (await echoInterface()).methods
    const transport = ioc.unixTransport({ runDir: directory })
    const port = await ioc.openPort({ transport, node: 1, port: 64, name: 'server' })
    ioc.createRmd({ port }).serve((call) => {
      const { text } = echo.input.decode(call.payload)
      call.reply(echo.output.encode({ text }))
    })
  },
  'holdfast eo': () => serveEo(false),
  'holdfast eo app': async () => {
    const eo: System = 'holdfast eo'
    // A thread's entry has to be JavaScript: the loader comes with its first import.
    const entry = `import('tsx/esm/api').then(({ register }) => {
      register()
      return import(${JSON.stringify(import.meta.url)})
    })`
    await once(new Worker(entry, { eval: true, argv: [eo, directory] }), 'message')
  },
  'holdfast worker': () => serveEo(true),
  'moleculer tcp': async () => {
    const broker = await moleculerBroker('server', await choosePorts())
    broker.createService({
      name: 'bench',
      actions: { echo: (context: { params: { text: string } }) => ({ text: context.params.text }) },
    })
    await broker.start()
  },
  nats: async () => {
    const { connect } = await import('@nats-io/transport-node')
    const { server } = await choosePorts()
    const args = ['-a', '127.0.0.1', '-p', String(server)]
    const child = spawn('nats-server', args, { stdio: 'ignore' })
    process.on('exit', () => child.kill())
    const servers = `127.0.0.1:${String(server)}`
    const connection = await connect({ servers, waitOnFirstConnect: true, reconnectTimeWait: 50 })
    connection.subscribe('echo', {
      callback: (_, message) => {
        const { text } = unpack(message.data) as { text: string }
        message.respond(pack({ text }))
      },
    })
    await connection.flush()
  },
  'grpc-js': async () => {
    const server = new Server()
    const codec = { serialize: (value: unknown) => pack(value), deserialize: unpack }
    const definition = {
      echo: {
        path: GRPC_PATH,
        requestStream: false,
        responseStream: false,
        requestSerialize: codec.serialize,
        requestDeserialize: codec.deserialize,
        responseSerialize: codec.serialize,
        responseDeserialize: codec.deserialize,
      },
    }
    server.addService(definition, {
      echo: (
        call: { request: { text: string } },
        done: (error: null, value: { text: string }) => void,
      ) => done(null, { text: call.request.text }),
    })
    await new Promise<void>((resolve, reject) => {
      server.bindAsync(`unix:${directory}.sock`, ServerCredentials.createInsecure(), (error) =>
        error === null ? resolve() : reject(error),
      )
    })
  },
}

async function choosePorts(): Promise<PairPorts> {
  const ports = { server: await freePort(), client: await freePort() }
  writeFileSync(`${directory}.json`, JSON.stringify(ports))
  return ports
}

const DIST = new URL('../../../dist/', import.meta.url)

/** An Execution Object as a component process has it, without an agent. */
async function serveEo(worker: boolean): Promise<void> {
  const { ioc } = await built()
  const load = (path: string): Promise<unknown> => import(new URL(path, DIST).href)
  const { ExecutionObject } = (await load(
    'runtime/eo/execution-object.js',
  )) as typeof import('../../../runtime/eo/execution-object.ts')
  const { parseComponentModule } = (await load(
    'runtime/eo/config.schema.js',
  )) as typeof import('../../../runtime/eo/config.schema.ts')
  const clEoConfig = { name: 'bench', threads: 1, initialize: () => undefined }
  const eo = new ExecutionObject({
    config: parseComponentModule({ clEoConfig }, 'bench'),
    identity: () => ({ component: 'bench', node: 'node1', address: { node: 1, port: 64 } }),
    checkpoint: () => null,
    isElsewhere: () => false,
    log: () => undefined,
  })
  const face = await echoInterface()
  const module = new URL('test/fixtures/bench/echo.js', DIST)
  if (worker) eo.client.clientInstall(face, null, { csi: null, worker: module })
  else eo.client.clientInstall(face, { echo: ({ text }) => ({ text }) }, { csi: null })
  eo.setState('active')
  const transport = ioc.unixTransport({ runDir: directory })
  const port = await ioc.openPort({ transport, node: 1, port: 64, name: 'server' })
  ioc.createRmd({ port, dedupe: eo.dedupes }).serve(eo.dispatch, eo.cancelled)
}

type Send = (id: number, body: Uint8Array) => void

const listen = (handler: (send: Send) => (id: number, body: Buffer) => void): Promise<void> =>
  new Promise((resolve) => {
    const server = createServer((socket) => {
      let onFrame: (id: number, body: Buffer) => void = () => {}
      const send = frames(socket, (id, body) => onFrame(id, body))
      onFrame = handler(send)
    })
    server.listen(`${directory}.sock`, resolve)
  })

process.on('disconnect', () => process.exit())
process.on('message', () => {
  const { user, system: inKernel } = process.cpuUsage()
  process.send!(user + inKernel)
})
await serve[system as System]()
if (parentPort === null) process.send!('ready')
else parentPort.postMessage('ready')
