import { SdkError } from '../../idl/index.ts'
import { type DebugClient, debugLibrary } from './debug/client.ts'
import { clusterEventLibrary, type ClusterEvents } from './cluster-events/client.ts'
import { type EventClient, eventLibrary } from './event/client.ts'
import { type GroupClient, groupLibrary } from './group/client.ts'
import { logLibrary } from './log/client.ts'
import { carryStreams, type ComponentLog } from './log/component-log.ts'
import { type NameClient, nameLibrary } from './name/client.ts'
import type { LibraryContext, ServiceLibrary } from './service.ts'
import { type TransactionClient, transactionLibrary } from './transaction/client.ts'

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

/** The flag of each library in `clEoClientLibs` (null: it is always there), and what makes it. */
interface Library<K extends keyof Libraries> {
  readonly flag: string | null
  readonly create: (context: LibraryContext) => ServiceLibrary<Libraries[K]>
  /** What is in its place while it is switched off. @defaultValue reading it throws NOT_INITIALIZED */
  readonly without?: (context: LibraryContext) => Libraries[K]
}

const LIBRARIES: { readonly [K in keyof Libraries]: Library<K> } = {
  name: { flag: 'name', create: nameLibrary },
  group: { flag: 'gms', create: groupLibrary },
  transaction: { flag: 'transaction', create: transactionLibrary },
  debug: { flag: 'debug', create: debugLibrary },
  clusterEvents: { flag: null, create: clusterEventLibrary },
  event: { flag: 'event', create: eventLibrary },
  log: {
    flag: 'log',
    create: (context) => {
      const library = logLibrary(context)
      return { ...library, client: carryStreams(context.log, library.client) }
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

/** Makes the libraries whose flags are set. */
export function openLibraries(context: LibraryContext, flags: ReadonlySet<string>): OpenLibraries {
  const app = {}
  const open: ServiceLibrary<unknown>[] = []
  for (const [place, library] of Object.entries<Library<keyof Libraries>>(LIBRARIES)) {
    const { flag, create, without } = library
    const made = flag === null || flags.has(flag) ? create(context) : null
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
