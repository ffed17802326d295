/** What is compared; the names are those of the rows. */
export const SYSTEMS = ['bare', 'minimal', 'holdfast', 'grpc-js'] as const
export type System = (typeof SYSTEMS)[number]

/** Bytes of text in each request and each reply. */
export const SIZE_BYTES = 64

export const TEXT = 'x'.repeat(SIZE_BYTES)

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
