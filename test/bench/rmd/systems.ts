import { createServer, Server, type AddressInfo, type ListenOptions } from 'node:net'
import type { ServiceBroker } from 'moleculer'

/** What is compared; the names are those of the rows. */
export const SYSTEMS = [
  'bare',
  'minimal',
  /** RMD alone: a dispatcher that answers on the receive path. */
  'holdfast',
  /** Through an Execution Object: tables, roles, job queue; functions on its thread, or on one worker. */
  'holdfast eo',
  /** Thread model `app`: the EO has a thread of its own, as where the main thread belongs to the application. */
  'holdfast eo app',
  'holdfast worker',
  'grpc-js',
  'moleculer tcp',
  /** Only where a `nats-server` is installed. */
  'nats',
] as const
export type System = (typeof SYSTEMS)[number]

/** Bytes of text in each request and each reply. */
export const SIZES_BYTES = [64, 1_024, 65_536]

/** A free port of the loopback, for the systems that know no unix sockets. */
export async function freePort(): Promise<number> {
  const server = createServer()
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const { port } = server.address() as AddressInfo
  await new Promise((resolve) => server.close(resolve))
  return port
}

/** Where the server of a pair says on which ports it is to be found. */
export interface PairPorts {
  readonly server: number
  readonly client: number
}

/** Moleculer's broker at one end of a pair, bound to the loopback, without what a user can turn off. */
export async function moleculerBroker(
  nodeID: keyof PairPorts,
  ports: PairPorts,
): Promise<ServiceBroker> {
  const { ServiceBroker } = (await import('moleculer')).default
  onLoopbackOnly()
  return new ServiceBroker({
    nodeID,
    logger: false,
    transporter: {
      type: 'TCP',
      options: {
        udpDiscovery: false,
        port: ports[nodeID],
        urls: Object.entries(ports).map(([id, port]) => `127.0.0.1:${String(port)}/${id}`),
        useHostname: false,
      },
    },
  })
}

/** Its TCP transporter would listen on every interface. */
function onLoopbackOnly(): void {
  const { listen } = Server.prototype
  Server.prototype.listen = function (this: Server, options: ListenOptions, ready: () => void) {
    return listen.call(this, { ...options, host: '127.0.0.1' }, ready)
  } as typeof listen
}

/** The package's own code as it is built, so that nothing of a loader is measured. */
export async function built(): Promise<{
  readonly ioc: typeof import('../../../ioc/index.ts')
  readonly idl: typeof import('../../../idl/index.ts')
}> {
  const load = (door: string): Promise<unknown> =>
    import(new URL(`../../../dist/${door}/index.js`, import.meta.url).href)
  return {
    ioc: (await load('ioc')) as typeof import('../../../ioc/index.ts'),
    idl: (await load('idl')) as typeof import('../../../idl/index.ts'),
  }
}

/** The interface of `holdfast`: one text there, one back, validated on both sides. */
export async function echoInterface() {
  const { idl } = await built()
  const { z } = await import('zod')
  return idl.defineInterface({
    name: 'Echo',
    clientId: 20,
    version: 'B.1.1',
    methods: {
      echo: {
        serviceId: 0,
        input: z.strictObject({ text: z.string() }),
        output: z.strictObject({ text: z.string() }),
      },
    },
  })
}

/** gRPC's method, encoded by msgpackr as the others are: the transport is compared, not protobuf. */
export const GRPC_PATH = '/bench.Echo/Echo'
