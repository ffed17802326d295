import { readdir } from 'node:fs/promises'
import { pino } from 'pino'
import { isSdkError, SdkError } from '../../idl/index.ts'
import { createRmd, IOC_PORT, openPort, type Rmd, unixTransport } from '../../ioc/index.ts'
import { socketDirectory } from '../../ioc/internal.ts'
import { type DeliveredEvent, EVENT_LIMITS } from '../../runtime/index.ts'
import { Dispatcher, eventLibrary } from '../../runtime/internal.ts'

const LOOK_AGAIN_MS = 200

/** An event of a channel, as tools show it. */
export interface ChannelEvent {
  readonly channel: string
  /** Decimal digits: the id has 64 bits. */
  readonly id: string
  readonly publisher: string
  readonly priority: number
  /** Milliseconds since 1970. */
  readonly publishTimeMs: number
  readonly patterns: readonly string[]
  readonly data: string
  /** Above 0: so many events are missing here, and this is none. */
  readonly lost: number
}

export interface ChannelWatchOptions {
  readonly runDir: string
  readonly channel: string
  readonly signal: AbortSignal
  readonly onEvent: (event: ChannelEvent) => void
  /** The node that told of events is gone; another one will, and what came in between may be missing. */
  readonly onMoved: () => void
}

/**
 * Tells of the events of a global channel until the signal aborts: what is retained first, then what comes. When the
 * node that it listens to ends, another one goes on; what is retained is told once.
 * @throws SdkError NOT_EXIST when there is no such channel.
 */
export async function watchChannel(options: ChannelWatchOptions): Promise<void> {
  const { runDir, signal, onMoved } = options
  const seen = new Set<string>()
  const log = pino({ level: 'silent' })
  while (!signal.aborted) {
    for (const node of await agents(runDir)) {
      const transport = unixTransport({ runDir })
      const port = await openPort({ transport, port: null, name: `events ${process.pid}` })
      const rmd = createRmd({ port })
      const isGone = goneOf(rmd, node, signal)
      try {
        const agent = { node, port: IOC_PORT.agent }
        const library = eventLibrary({ component: '', node: '', nodeId: node, rmd, agent, log })
        const dispatcher = new Dispatcher(log)
        for (const { face, handlers } of library.pushes) dispatcher.install(face, handlers)
        rmd.serve((call) => dispatcher.serve(call))
        const handle = library.client.initialize({ deliver: (event) => tell(event, seen, options) })
        const flags = ['GLOBAL', 'SUBSCRIBER'] as const
        const channel = await handle.channelOpen({ name: options.channel, flags })
        await channel.subscribe({ subscriptionId: 1 })
        await isGone
        if (!signal.aborted) onMoved()
      } catch (error) {
        if (isSdkError(error, 'NOT_EXIST')) {
          const message = `there is no channel ${options.channel}`
          throw new SdkError('NOT_EXIST', message, { cause: error })
        }
        const isLater = ['COMP_UNREACHABLE', 'TIMEOUT', 'TRY_AGAIN'].some((code) =>
          isSdkError(error, code),
        )
        if (!isLater) throw error
      } finally {
        await rmd.close()
      }
      if (signal.aborted) return
    }
    await pause(LOOK_AGAIN_MS, signal)
  }
}

/** What is retained comes again from the next node; other events do not. */
function tell(event: DeliveredEvent, seen: Set<string>, options: ChannelWatchOptions): void {
  const id = event.id.toString()
  if (event.retentionMs > 0) {
    if (seen.has(id)) return
    seen.add(id)
    for (const oldest of seen) {
      if (seen.size <= EVENT_LIMITS.retainedCount) break
      seen.delete(oldest)
    }
  }
  const text = (bytes: Uint8Array): string => Buffer.from(bytes).toString()
  options.onEvent({
    channel: event.channelName,
    id,
    publisher: event.publisherName,
    priority: event.priority,
    publishTimeMs: event.publishTimeMs,
    patterns: event.patterns.map(text),
    data: text(event.data),
    lost: event.lost,
  })
}

/** Resolves when the connection to the agent of a node is gone, or nobody wants to know any more. */
function goneOf(rmd: Rmd, node: number, signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    rmd.onPresence(({ kind, address }) => {
      if (kind === 'death' && address.node === node && address.port === IOC_PORT.agent) resolve()
    })
    signal.addEventListener('abort', () => resolve(), { once: true })
  })
}

/** Numbers of the nodes whose agents listen on this machine. */
async function agents(runDir: string): Promise<number[]> {
  const files = await readdir(socketDirectory(runDir)).catch(() => [])
  const pattern = new RegExp(`^(\\d+)\\.${IOC_PORT.agent}\\.sock$`)
  return files.flatMap((file) => {
    const node = pattern.exec(file)?.[1]
    return node === undefined ? [] : Number(node)
  })
}

function pause(ms: number, signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    const timer = setTimeout(resolve, ms)
    const stop = (): void => {
      clearTimeout(timer)
      resolve()
    }
    signal.addEventListener('abort', stop, { once: true })
  })
}
