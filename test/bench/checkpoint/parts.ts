import type * as Idl from '../../../idl/index.ts'
import type * as Ioc from '../../../ioc/index.ts'
import type { createCheckpointClient } from '../../../runtime/services/checkpoint/client.ts'
import type { namedCheckpointLibrary } from '../../../runtime/services/named-checkpoint/client.ts'
import type { namedCheckpointServer } from '../../../runtime/services/named-checkpoint/server.ts'
import type * as Services from '../../../runtime/services/internal.ts'

export const CSI = 'bench'
/** Bytes of a section's value. */
export const SIZE_BYTES = 1_024

export const silent = { info() {}, warn() {}, error() {}, debug() {} } as never

/** The built parts: what is measured runs from `dist/`. */
export async function built() {
  const from = (path: string) => import(new URL(`../../../dist/${path}`, import.meta.url).href)
  return {
    idl: (await from('idl/index.js')) as typeof Idl,
    ioc: (await from('ioc/index.js')) as typeof Ioc,
  }
}

/** The node's side; it loads the store. */
export async function builtServer(): Promise<typeof Services> {
  const url = new URL('../../../dist/runtime/services/internal.js', import.meta.url)
  return (await import(url.href)) as typeof Services
}

export async function builtClient(): Promise<{
  createCheckpointClient: typeof createCheckpointClient
}> {
  const url = new URL('../../../dist/runtime/services/checkpoint/client.js', import.meta.url)
  return (await import(url.href)) as never
}

const NAMED = '../../../dist/runtime/services/named-checkpoint'

export async function builtNamedClient(): Promise<{
  namedCheckpointLibrary: typeof namedCheckpointLibrary
}> {
  return (await import(new URL(`${NAMED}/client.js`, import.meta.url).href)) as never
}

export async function builtNamedServer(): Promise<{
  namedCheckpointServer: typeof namedCheckpointServer
}> {
  return (await import(new URL(`${NAMED}/server.js`, import.meta.url).href)) as never
}
