import { readdir, stat } from 'node:fs/promises'
import { isSdkError, SdkError } from '../idl/index.ts'
import {
  createRmd,
  IOC_PORT,
  openPort,
  TIMEOUT_MS_MAX,
  unixTransport,
  type IncomingCall,
  type IocAddress,
  type IocLog,
  type NameResolver,
  type Rmd,
} from '../ioc/index.ts'
import { socketDirectory } from '../ioc/internal.ts'
import { GroupTracking, type TrackRequest } from './cpm/group-tracking.ts'
import { Cpm, CpmCallbacks } from './cpm/interface.ts'
import { NameWatch } from './cpm/name-watch.ts'
import type { ProtectionGroupNotification } from './cpm/protection-group.ts'
import { type ClusterEvents, EventSessions } from './services/cluster-events/client.ts'

/** What {@link connect} is given. */
export interface ConnectOptions {
  /** Names the cluster on this machine. */
  readonly runDir: string
  /** Closes the connection; before it is there, gives up with INTERRUPT. */
  readonly signal?: AbortSignal
  /** Shown to peers. @defaultValue `client PID` */
  readonly name?: string
  /** For the first answer of a node process, 1 to 600_000. @defaultValue 5_000 */
  readonly timeoutMs?: number
  readonly log?: IocLog
}

/** A program's way into a cluster without being a component of it. */
export interface Connection {
  readonly rmd: Pick<Rmd, 'client' | 'call' | 'statistics' | 'caller' | 'onPresence'>
  /** Who is behind each name at this moment. */
  readonly names: NameResolver
  /** Numbers of the nodes whose agents answer now. */
  nodes(): readonly number[]
  /**
   * Who has a CSI: as `app.cpm.protectionGroupTrack`, with the callback given here. Survives the end of any node.
   * @throws SdkError BAD_FLAG; NOT_EXIST for an unknown CSI; NOT_INITIALIZED when changes are asked for without
   * `onChange`; TRY_AGAIN while no director knows.
   */
  protectionGroupTrack(
    request: TrackRequest & { readonly onChange?: (news: ProtectionGroupNotification) => void },
  ): Promise<ProtectionGroupNotification | null>
  /** @throws SdkError NOT_EXIST when the CSI is not tracked. */
  protectionGroupTrackStop(request: { readonly csi: string }): Promise<void>
  /** Where `ocEv.register` registers, at one of the nodes: when it ends the handles hear of it, and register again. */
  readonly clusterEvents: ClusterEvents
  /** Fails pending calls and ends. Idempotent. */
  close(): Promise<void>
}

/** Node processes that came or came back are found this often. */
const SCAN_INTERVAL_MS = 500
const SCAN_SOON_MS = 20
const WATCH_TIMEOUT_MS = 2_000
const TIMEOUT_MS_DEFAULT = 5_000

/**
 * Connects to a cluster on this machine. The connection listens on no port. It takes names from every node process it
 * can reach, and so survives the end or standstill of any of them, and every change of director, without its user
 * noticing: calls to `@name` wait within their own time-out.
 * @throws SdkError NOT_EXIST when no cluster runs in the directory; TIMEOUT when its node processes do not answer;
 * INTERRUPT when the signal aborts first; INVALID_PARAMETER for a time-out out of its range.
 */
export async function connect(options: ConnectOptions): Promise<Connection> {
  const { runDir, signal, timeoutMs = TIMEOUT_MS_DEFAULT } = options
  if (!(typeof timeoutMs === 'number' && timeoutMs >= 1 && timeoutMs <= TIMEOUT_MS_MAX)) {
    const range = `give 1 to ${TIMEOUT_MS_MAX}`
    throw new SdkError('INVALID_PARAMETER', `timeoutMs is ${String(timeoutMs)}: ${range}`)
  }
  if (signal?.aborted === true) throw new SdkError('INTERRUPT', 'the signal was aborted before')
  if (!(await isDirectory(runDir))) throw noCluster(runDir, 'there is no such directory')
  const names = new NameWatch()
  const port = await openPort({
    transport: unixTransport({ runDir }),
    port: null,
    name: options.name ?? `client ${process.pid}`,
    ...(options.log === undefined ? {} : { log: options.log }),
  })
  const rmd = createRmd({ port, names })
  const groups = new GroupTracking((err, csi) => {
    options.log?.warn({ err, csi }, 'onChange of a protection group failed')
  })
  const watch = new AgentWatch(rmd, names, groups, {
    directory: socketDirectory(runDir),
    log: options.log ?? { warn: () => undefined },
  })
  const onAbort = (): void => void close()
  const close = async (): Promise<void> => {
    signal?.removeEventListener('abort', onAbort)
    watch.stop()
    await rmd.close()
  }
  try {
    await watch.start(runDir, timeoutMs, signal)
  } catch (error) {
    await close()
    throw error
  }
  signal?.addEventListener('abort', onAbort, { once: true })
  return {
    rmd,
    names,
    close,
    clusterEvents: watch.events,
    nodes: () => watch.nodes,
    protectionGroupTrack: ({ onChange, ...request }) => groups.track(request, onChange),
    protectionGroupTrackStop: ({ csi }) => groups.stop(csi),
  }
}

/** Subscribes to the names of every agent whose socket is in the directory, and keeps doing so. */
class AgentWatch {
  readonly #rmd: Rmd
  readonly #names: NameWatch
  readonly #directory: string
  readonly #groups: GroupTracking
  /** The node that tells of protection groups; null: none does. */
  #teller: number | null = null
  /** Nodes by number: `asking` until the agent answered. */
  readonly #agents = new Map<number, 'asking' | 'watched'>()
  #timer: NodeJS.Timeout | undefined
  #stopped = false
  readonly events: EventSessions

  constructor(
    rmd: Rmd,
    names: NameWatch,
    groups: GroupTracking,
    { directory, log }: { readonly directory: string; readonly log: Pick<IocLog, 'warn'> },
  ) {
    this.#rmd = rmd
    this.#names = names
    this.#directory = directory
    this.#groups = groups
    this.events = new EventSessions({
      rmd,
      log,
      agent: () => (this.#teller === null ? null : { node: this.#teller, port: IOC_PORT.agent }),
    })
    rmd.serve((call) => {
      this.#receive(call)
    })
    rmd.onPresence((event) => {
      if (event.kind !== 'death' || event.address.port !== IOC_PORT.agent) return
      this.#agents.delete(event.address.node)
      if (this.#teller === event.address.node) this.#chooseTeller()
      this.events.nodeGone(event.address.node)
      this.#scanIn(SCAN_SOON_MS)
    })
  }

  /** Resolves when the first agent has answered. */
  async start(runDir: string, timeoutMs: number, signal: AbortSignal | undefined): Promise<void> {
    const nodes = await this.#nodes()
    if (nodes.length === 0) throw noCluster(runDir, 'no node process listens there')
    const limit = AbortSignal.timeout(timeoutMs)
    const stop = signal === undefined ? limit : AbortSignal.any([limit, signal])
    const answers = nodes.map((node) => this.#ask(node, { timeoutMs, signal: stop }))
    try {
      await Promise.any(answers)
    } catch (error) {
      if (signal?.aborted === true) {
        throw new SdkError('INTERRUPT', 'connect was given up by its signal')
      }
      const reasons: unknown[] = error instanceof AggregateError ? error.errors : [error]
      const gone = reasons.every((reason) => isSdkError(reason, 'COMP_UNREACHABLE'))
      if (gone) throw noCluster(runDir, 'its node processes are gone')
      const message = `no node process of ${runDir} answered within ${timeoutMs} ms`
      throw new SdkError('TIMEOUT', message, { cause: reasons[0], mayHaveRun: false })
    }
    this.#scanIn(SCAN_INTERVAL_MS)
  }

  get nodes(): readonly number[] {
    return [...this.#agents].flatMap(([node, state]) => (state === 'watched' ? [node] : []))
  }

  stop(): void {
    this.#stopped = true
    this.#groups.detach()
    this.events.close()
    clearTimeout(this.#timer)
  }

  async #ask(
    node: number,
    options: { readonly timeoutMs: number; readonly signal?: AbortSignal },
  ): Promise<void> {
    const to: IocAddress = { node, port: IOC_PORT.agent }
    this.#agents.set(node, 'asking')
    try {
      const news = await this.#rmd.client(Cpm, { to }).namesWatch({ everywhere: true }, options)
      this.#agents.set(node, 'watched')
      this.#names.receive(news)
      if (this.#teller === null) this.#chooseTeller()
    } catch (error) {
      this.#agents.delete(node)
      throw error
    }
  }

  #chooseTeller(): void {
    this.#teller = [...this.#agents].find(([, state]) => state === 'watched')?.[0] ?? null
    if (this.#teller === null) return this.#groups.detach()
    const to: IocAddress = { node: this.#teller, port: IOC_PORT.agent }
    this.#groups.attach(this.#rmd.client(Cpm, { to, timeoutMs: WATCH_TIMEOUT_MS }))
  }

  #scanIn(ms: number): void {
    if (this.#stopped) return
    clearTimeout(this.#timer)
    this.#timer = setTimeout(() => void this.#scan(), ms)
    this.#timer.unref()
  }

  async #scan(): Promise<void> {
    for (const node of await this.#nodes()) {
      if (this.#stopped || this.#agents.has(node)) continue
      this.#ask(node, { timeoutMs: WATCH_TIMEOUT_MS }).catch(() => undefined)
    }
    this.#scanIn(SCAN_INTERVAL_MS)
  }

  async #nodes(): Promise<number[]> {
    const files = await readdir(this.#directory).catch(() => [])
    const pattern = new RegExp(`^(\\d+)\\.${IOC_PORT.agent}\\.sock$`)
    return files.flatMap((file) => {
      const node = pattern.exec(file)?.[1]
      return node === undefined ? [] : [Number(node)]
    })
  }

  /** What agents call here: news of names and protection groups. */
  #receive(call: IncomingCall): void {
    const { namesChanged, protectionGroupChanged } = CpmCallbacks.methods
    const { functionNumber, payload } = call
    const isNames = functionNumber === namesChanged.functionNumber
    const isGroup = functionNumber === protectionGroupChanged.functionNumber
    try {
      if (call.source.port === IOC_PORT.agent && this.events.dispatch(call)) return
      if (!(isNames || isGroup) || call.source.port !== IOC_PORT.agent) {
        throw new SdkError('FUNC_NOT_REGISTERED', 'this program serves no functions')
      }
      if (isNames) this.#names.receive(namesChanged.input.decode(payload))
      else this.#groups.receive(protectionGroupChanged.input.decode(payload).group)
      call.reply(namesChanged.output.encode({}))
    } catch (error) {
      call.fail(isSdkError(error) ? error : new SdkError('MESSAGE_ERROR', String(error)))
    }
  }
}

function noCluster(runDir: string, why: string): SdkError {
  return new SdkError('NOT_EXIST', `no cluster runs in ${runDir}: ${why}`, { context: { runDir } })
}

async function isDirectory(path: string): Promise<boolean> {
  const stats = await stat(path).catch(() => null)
  return stats?.isDirectory() ?? false
}
