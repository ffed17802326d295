import { type HandlersOf, SdkError } from '../../../idl/index.ts'
import { IOC_PORT, type IncomingCall, systemClock } from '../../../ioc/index.ts'
import type { Dispatcher } from '../dispatcher.ts'
import { PushQueue } from '../push-queue.ts'
import type { OrderMember } from '../replicated/interface.ts'
import type { Replicated } from '../replicated/replicated.ts'
import type { NodeService, ServiceHost } from '../service.ts'
import { Telling } from '../telling.ts'
import { passes } from './filter.ts'
import { FileNews } from './file-news.ts'
import { LogIntake } from './intake.ts'
import {
  type LogFileInfo,
  type LogFilter,
  LogNode,
  LogPush,
  type LogRead,
  type LogReadAnswer,
  type LogRecord,
  type LogScope,
  LogService,
  type LogStreamInfo,
  PERENNIAL,
} from './interface.ts'
import { GlobalQueues } from './global-queues.ts'
import {
  type LogMessage,
  logMessageCodec,
  type StreamOperation,
  type StreamState,
  streamsCodec,
} from './operations.ts'
import { PERENNIAL_ATTRIBUTES } from './perennial.ts'
import { RecordStore } from './record-store.ts'
import { openCountOf, StreamContent } from './stream-content.ts'
import { parseSyslogTarget, SYSLOG_ENV, SYSLOG_TARGET_DEFAULT } from './syslog-target.ts'
import type { SyslogTarget } from './syslog-way.ts'

const FILTER_COUNT_MAX = 1_024
const PUSH_TIMEOUT_MS = 10_000
const NODE_TIMEOUT_MS = 2_000
const READ_GRACE_MS = 3_000
const FIRST_STREAM = 16

type Open = Extract<StreamOperation, { kind: 'open' }>

/** A component that uses the service. */
interface Session {
  readonly component: string
  readonly intake: LogIntake
  readonly push: PushQueue<{ stream: number; filter: LogFilter }>
  /** Ids of the streams that it has open. */
  readonly open: Set<number>
}

/** The log service of one node process. @throws SdkError INVALID_PARAMETER for what is no syslog in its environment. */
export function logServer(host: ServiceHost): NodeService {
  const named = process.env[SYSLOG_ENV]
  return new LogServer(host, named ? parseSyslogTarget(named) : SYSLOG_TARGET_DEFAULT)
}

/** The same with another syslog. @internal */
export function logServerOf(syslog: string): (host: ServiceHost) => NodeService {
  return (host) => new LogServer(host, parseSyslogTarget(syslog))
}

class LogServer implements NodeService, Replicated {
  readonly topic = 'log'
  readonly replicated = this
  readonly #host: ServiceHost
  readonly #store: RecordStore
  readonly #queues: GlobalQueues
  readonly #news: FileNews
  readonly #contents: Readonly<Record<LogScope, StreamContent>> = {
    GLOBAL: new StreamContent(),
    LOCAL: new StreamContent(),
  }
  /** Streams that components of this node have open, or had; by the ids that they know. */
  readonly #byId = new Map<number, { readonly scope: LogScope; readonly name: string }>()
  readonly #ids = new Map<string, number>()
  #nextId = FIRST_STREAM
  readonly #sessions = new Map<string, Session>()
  /** What living components of this node have open of global streams, by their callers. */
  readonly #own = new Map<string, Map<string, Open>>()
  readonly #telling: Telling<LogMessage>

  constructor(host: ServiceHost, syslog: SyslogTarget) {
    this.#host = host
    this.#telling = new Telling((operation) => this.#submit(operation), host.log)
    this.#news = new FileNews(host.self.life, systemClock)
    this.#store = new RecordStore(host, syslog, () => {
      this.#news.changed()
      this.#telling.tell({ kind: 'filesMade' })
    })
    this.#queues = new GlobalQueues(host, this.#store)
    for (const [kind, { name, stream }] of Object.entries(PERENNIAL)) {
      const attributes = PERENNIAL_ATTRIBUTES[kind as keyof typeof PERENNIAL]
      this.#contents.LOCAL.addPerennial(name, attributes)
      this.#byId.set(stream, { scope: 'LOCAL', name })
      this.#ids.set(`LOCAL ${name}`, stream)
    }
  }

  // --- the order ---

  apply(payload: Uint8Array): StreamState | null {
    const message = logMessageCodec.decode(payload)
    if (message.kind !== 'filesMade') return this.#apply('GLOBAL', message)
    this.#news.changed()
    return null
  }

  viewChanged(members: readonly OrderMember[]): void {
    this.#contents.GLOBAL.keepLives(new Set(members.map(({ life }) => life)))
    this.#dropEnded('GLOBAL')
    for (const name of this.#queues.viewChanged()) {
      const state = this.#contents.GLOBAL.get(name)
      if (state !== undefined) this.#tellFilter('GLOBAL', state)
    }
    // Files came and went with the nodes.
    this.#news.changed()
  }

  snapshot(): Uint8Array {
    return streamsCodec.encode(this.#contents.GLOBAL.snapshot())
  }

  restore(bytes: Uint8Array): void {
    const states = streamsCodec.decode(bytes)
    this.#contents.GLOBAL.restore(states)
    this.#dropEnded('GLOBAL')
    for (const state of states) this.#tellFilter('GLOBAL', state)
  }

  #apply(scope: LogScope, operation: StreamOperation): StreamState | null {
    const state = this.#contents[scope].apply(operation)
    if (operation.kind === 'filterSet' && state !== null) this.#tellFilter(scope, state)
    this.#dropEnded(scope)
    return state
  }

  #dropEnded(scope: LogScope): void {
    for (const name of this.#contents[scope].takeEnded()) {
      const id = this.#ids.get(`${scope} ${name}`)
      this.#ids.delete(`${scope} ${name}`)
      if (id !== undefined) this.#byId.delete(id)
      if (scope === 'GLOBAL') this.#queues.ended(name)
      this.#store.ended(scope, name)
    }
  }

  #tellFilter(scope: LogScope, { name, filter }: StreamState): void {
    const stream = this.#ids.get(`${scope} ${name}`)
    if (stream === undefined) return
    const isForAll = stream < FIRST_STREAM
    for (const { push, open } of this.#sessions.values()) {
      if (isForAll || open.has(stream)) push.push({ stream, filter })
    }
  }

  // --- components of this node ---

  install(dispatcher: Dispatcher): void {
    dispatcher.install(LogService, this.#handlers())
    dispatcher.install(LogNode, {
      append: async (request) => ({ isFull: await this.#queues.receive(request) }),
      files: async () => ({ files: await this.#store.files.list() }),
      read: (request) => this.#read(request),
    })
  }

  callerGone(caller: string): void {
    this.#sessions.get(caller)?.push.close()
    this.#sessions.delete(caller)
    this.#apply('LOCAL', { kind: 'ended', eo: caller })
    if (!this.#own.delete(caller)) return
    this.#telling.tell({ kind: 'ended', eo: caller })
  }

  entered(): void {
    this.#telling.again()
    for (const operation of [...this.#own.values()].flatMap((own) => [...own.values()])) {
      this.#submit(operation).catch((err: unknown) => {
        this.#host.log.error({ err, stream: operation.name }, 'a log stream is not open again')
      })
    }
  }

  async close(): Promise<void> {
    this.#telling.close()
    this.#news.wake()
    for (const { push } of this.#sessions.values()) push.close()
    this.#queues.close()
    await this.#store.close()
  }

  #handlers(): HandlersOf<(typeof LogService)['spec'], IncomingCall> {
    return {
      streamOpen: (request, call) => this.#open(request, call),
      streamClose: async ({ stream }, call) => {
        const { scope, name } = this.#opened(stream, call)
        await this.#change(scope, { kind: 'close', name, eo: call.caller })
        this.#closed(call.caller, { stream, scope, name })
        return {}
      },
      append: ({ first, lost, records }, call) => {
        const { component, intake } = this.#session(call)
        const taken = intake.take(first, lost, records)
        const full = new Set<number>()
        let missing = taken.lost
        for (const { stream, record } of taken.fresh) {
          const stamped = { ...record, component, node: this.#host.node }
          if (this.#route(stream, stamped, missing)) full.add(stream)
          missing = 0
        }
        return { full: [...full] }
      },
      filterSet: async ({ stream, flag, filter }, call) => {
        const { scope, name } = this.#opened(stream, call)
        await this.#change(scope, { kind: 'filterSet', name, flag, filter })
        return {}
      },
      streams: () => ({
        streams: [...this.#infos('GLOBAL'), ...this.#infos('LOCAL')],
      }),
      files: () => this.#files(),
      filesChanged: async ({ known, waitMs }) => ({
        version: await this.#news.wait(known, waitMs),
      }),
      read: ({ nodeId, ...request }) => {
        if (nodeId === this.#host.nodeId) return this.#read(request)
        const timeoutMs = request.waitMs + READ_GRACE_MS
        return this.#node(nodeId).read(request, { timeoutMs })
      },
    }
  }

  async #open(
    request: Pick<Open, 'name' | 'attributes' | 'create'> & { readonly scope: LogScope },
    call: IncomingCall,
  ) {
    const { open } = this.#session(call)
    const isPerennial = this.#contents.LOCAL.get(request.name)?.isPerennial === true
    const scope = isPerennial ? 'LOCAL' : request.scope
    const { name, attributes, create } = request
    const holder = { eo: call.caller, life: this.#host.self.life }
    const node = this.#host.node
    const operation: Open = { kind: 'open', name, attributes, create, node, holder, count: null }
    // From here on its end has to be told.
    const own = this.#own.get(call.caller) ?? new Map<string, Open>()
    if (scope === 'GLOBAL') this.#own.set(call.caller, own)
    const state = await this.#change(scope, operation)
    if (state === null) throw new SdkError('FAILED_OPERATION', `${name} was not opened`)
    if (scope === 'GLOBAL') {
      const count = (own.get(name)?.count ?? 0) + 1
      own.set(name, { ...operation, attributes: state.attributes, create: true, count })
    }
    const stream = this.#ids.get(`${scope} ${name}`) ?? this.#nextId++
    this.#ids.set(`${scope} ${name}`, stream)
    this.#byId.set(stream, { scope, name })
    open.add(stream)
    return { stream, attributes: state.attributes, filter: state.filter }
  }

  #closed(
    caller: string,
    { stream, scope, name }: { stream: number; scope: LogScope; name: string },
  ): void {
    const state = this.#contents[scope].get(name)
    const left = state === undefined ? 0 : openCountOf(state, caller)
    if (left === 0) this.#sessions.get(caller)?.open.delete(stream)
    const own = this.#own.get(caller)
    const operation = own?.get(name)
    if (scope !== 'GLOBAL' || own === undefined || operation === undefined) return
    if (left === 0) own.delete(name)
    else own.set(name, { ...operation, count: left })
  }

  /** @returns true when the stream's file is full. */
  #route(stream: number, record: LogRecord, lost: number): boolean {
    const entry = this.#byId.get(stream)
    const state = entry && this.#contents[entry.scope].get(entry.name)
    if (entry === undefined || state === undefined || !passes(state.filter, record)) return false
    if (entry.scope === 'GLOBAL') return this.#queues.push(state, record, lost)
    return this.#store.write(state, 'LOCAL', [record], lost)
  }

  #session(call: IncomingCall): Session {
    const { caller } = call
    const known = this.#sessions.get(caller)
    if (known !== undefined) return known
    const component = this.#host.componentOf(caller)
    if (component === null) {
      throw new SdkError('OP_NOT_PERMITTED', 'log streams are for components of this node')
    }
    const push = this.#host.rmd.client(LogPush, { to: { caller }, timeoutMs: PUSH_TIMEOUT_MS })
    const session: Session = {
      component,
      intake: new LogIntake(),
      push: new PushQueue({
        countMax: FILTER_COUNT_MAX,
        send: (_, filters) => push.filters({ filters: [...filters] }),
        clock: systemClock,
      }),
      open: new Set(),
    }
    this.#sessions.set(caller, session)
    for (const { name, stream } of Object.values(PERENNIAL)) {
      const state = this.#contents.LOCAL.get(name)
      if (state !== undefined) session.push.push({ stream, filter: state.filter })
    }
    return session
  }

  #opened(stream: number, call: IncomingCall) {
    const session = this.#session(call)
    const entry = this.#byId.get(stream)
    if (entry !== undefined && (stream < FIRST_STREAM || session.open.has(stream))) return entry
    throw new SdkError('INVALID_HANDLE', `${session.component} has no log stream ${stream} open`)
  }

  // --- changes ---

  #change(scope: LogScope, operation: StreamOperation): Promise<StreamState | null> {
    if (scope === 'GLOBAL') return this.#submit(operation)
    return Promise.resolve(this.#apply('LOCAL', operation))
  }

  async #submit(message: LogMessage): Promise<StreamState | null> {
    const payload = logMessageCodec.encode(message)
    return (await this.#host.submit(this.topic, payload)) as StreamState | null
  }

  // --- readers ---

  #infos(scope: LogScope): LogStreamInfo[] {
    return this.#contents[scope].list().map((state) => {
      const { name, attributes, filter } = state
      const member = scope === 'LOCAL' ? this.#host.self : this.#queues.ownerOf(state)
      const owner = member === null ? null : (this.#host.nodeName(member.node) ?? null)
      return { name, scope, attributes, filter, owner, openCount: openCountOf(state) }
    })
  }

  async #files(): Promise<{ files: LogFileInfo[]; silent: string[] }> {
    const others = this.#host.members().filter(({ node }) => node !== this.#host.nodeId)
    const silent: string[] = []
    const lists = await Promise.all([
      this.#store.files.list(),
      ...others.map(async ({ node }) => {
        try {
          return (await this.#node(node).files({}, { timeoutMs: NODE_TIMEOUT_MS })).files
        } catch {
          silent.push(this.#host.nodeName(node) ?? String(node))
          return []
        }
      }),
    ])
    return { files: lists.flat(), silent }
  }

  async #read(request: LogRead): Promise<LogReadAnswer> {
    const file = await this.#store.files.get(request.file)
    if (file !== undefined) return file.read(request)
    throw new SdkError('NOT_EXIST', `${this.#host.node} has no log file ${request.file}`)
  }

  #node(node: number) {
    return this.#host.rmd.client(LogNode, { to: { node, port: IOC_PORT.agent } })
  }
}
