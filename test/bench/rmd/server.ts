import { Server, ServerCredentials } from '@grpc/grpc-js'
import { createServer } from 'node:net'
import { pack, unpack } from 'msgpackr'
import { frames } from './frames.ts'
import { built, echoInterface, GRPC_PATH, type System } from './systems.ts'

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
process.send!('ready')
