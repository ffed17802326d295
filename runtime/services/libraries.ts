import { SdkError } from '../../idl/index.ts'
import type { ClusterEvents } from './cluster-events/client.ts'
import type { DebugClient } from './debug/client.ts'
import type { EventClient } from './event/client.ts'
import type { GroupClient } from './group/client.ts'
import { carryStreams, type ComponentLog } from './log/component-log.ts'
import type { NameClient } from './name/client.ts'
import type { LibraryContext, ServiceLibrary } from './service.ts'
import type { TransactionClient } from './transaction/client.ts'

/** Client libraries that a component switches on in `clEoClientLibs`, by their place in `app`. */
export interface Libraries {
  readonly name: NameClient
  readonly group: GroupClient
  readonly transaction: TransactionClient
  readonly debug: DebugClient
  readonly clusterEvents: ClusterEvents
  readonly event: EventClient
  readonly log: ComponentLog
}

type CreateLibrary<K extends keyof Libraries> = (
  context: LibraryContext,
) => ServiceLibrary<Libraries[K]>

/**
 * The flag of each library in `clEoClientLibs` (null: it is always there), and where what makes it comes from: a
 * component does not load what it has not switched on.
 */
interface Library<K extends keyof Libraries> {
  readonly flag: string | null
  readonly load: () => Promise<CreateLibrary<K>>
  /** What is in its place while it is switched off. @defaultValue reading it throws NOT_INITIALIZED */
  readonly without?: (context: LibraryContext) => Libraries[K]
}

const LIBRARIES: { readonly [K in keyof Libraries]: Library<K> } = {
  name: { flag: 'name', load: async () => (await import('./name/client.ts')).nameLibrary },
  group: { flag: 'gms', load: async () => (await import('./group/client.ts')).groupLibrary },
  transaction: {
    flag: 'transaction',
    load: async () => (await import('./transaction/client.ts')).transactionLibrary,
  },
  debug: { flag: 'debug', load: async () => (await import('./debug/client.ts')).debugLibrary },
  clusterEvents: {
    flag: null,
    load: async () => (await import('./cluster-events/client.ts')).clusterEventLibrary,
  },
  event: { flag: 'event', load: async () => (await import('./event/client.ts')).eventLibrary },
  log: {
    flag: 'log',
    load: async () => {
      const { logLibrary } = await import('./log/client.ts')
      return (context) => {
        const library = logLibrary(context)
        return { ...library, client: carryStreams(context.log, library.client) }
      }
    },
    without: ({ log }) => carryStreams(log, null),
  },
}

/** Flags of `clEoClientLibs` that have a library. */
export const LIBRARY_FLAGS: ReadonlySet<string> = new Set(
  Object.values<Library<keyof Libraries>>(LIBRARIES).flatMap(({ flag }) => flag ?? []),
)

/** The libraries of one component process. */
export interface OpenLibraries {
  /** Reading one that is switched off throws NOT_INITIALIZED; of `log`, what is more than a logger. */
  readonly app: Libraries
  readonly open: readonly ServiceLibrary<unknown>[]
}

/** What makes the libraries whose flags are set. */
export type LoadedLibraries = ReadonlyMap<string, CreateLibrary<keyof Libraries>>

/** Loads the libraries whose flags are set. */
export async function loadLibraries(flags: ReadonlySet<string>): Promise<LoadedLibraries> {
  const wanted = Object.entries<Library<keyof Libraries>>(LIBRARIES).filter(
    ([, { flag }]) => flag === null || flags.has(flag),
  )
  return new Map(
    await Promise.all(wanted.map(async ([place, { load }]) => [place, await load()] as const)),
  )
}

/** Makes the libraries that were loaded. */
export function openLibraries(context: LibraryContext, loaded: LoadedLibraries): OpenLibraries {
  const app = {}
  const open: ServiceLibrary<unknown>[] = []
  for (const [place, library] of Object.entries<Library<keyof Libraries>>(LIBRARIES)) {
    const { flag, without } = library
    const made = loaded.get(place)?.(context) ?? null
    if (made !== null) open.push(made)
    const client = made === null ? without?.(context) : made.client
    const get = (): unknown => {
      if (client !== undefined) return client
      throw new SdkError(
        'NOT_INITIALIZED',
        `app.${place}: switch the library on with clEoClientLibs = { ${flag}: true }`,
      )
    }
    Object.defineProperty(app, place, { get, enumerable: true })
  }
  return { app: app as Libraries, open }
}
