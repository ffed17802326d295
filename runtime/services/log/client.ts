import { pino, type Logger } from 'pino'
import { SdkError } from '../../../idl/index.ts'
import { systemClock } from '../../../ioc/index.ts'
import { tapLog, tellTap } from '../../eo/logger.ts'
import { type LibraryContext, pushTable, type ServiceLibrary } from '../service.ts'
import { negotiateVersion } from '../version.ts'
import { PushQueue } from '../push-queue.ts'
import { OPEN_FILTER, passes } from './filter.ts'
import { LogFollower } from './follow.ts'
import { LogHandlers, type LogHandler, type LogHandlerRequest } from './handlers.ts'
import { SentAccount } from './intake.ts'
import {
  LOG_LIMITS,
  LOG_MASK_ALL,
  type LogAttributes,
  logAttributesSchema,
  type LogFileInfo,
  type LogFilter,
  type LogFilterFlag,
  LogPush,
  type LogScope,
  LogService,
  type LogStreamInfo,
  PERENNIAL,
  type SentRecord,
  type StoredRecord,
} from './interface.ts'
import { PERENNIAL_ATTRIBUTES } from './perennial.ts'
import { makeRecord, type LogEntry, recordOfLine } from './make-record.ts'
import { LOG_SEVERITY, type LogSeverity } from './severity.ts'

const CALL_TIMEOUT_MS = 15_000
const APPEND_TIMEOUT_MS = 5_000
const CLOSE_MS = 1_000
const ARRIVAL_LOOK_MS = 5
/** Between full messages: a component that floods its log leaves its node time for other things. */
const FLOOD_PAUSE_MS = 1
const FLOOD_COUNT = 64
/** Records of one `recordsGet` at most. */
const RECORDS_MAX = 1_000

/** Whether a record was taken: `filtered` by the stream's filter, `full` when its HALT file takes nothing more. */
export type LogOutcome = 'written' | 'filtered' | 'full'

/** What a filter is changed by; what is left out is all severities, or no ids. */
export interface LogFilterChange {
  /** @defaultValue `ASSIGN` */
  readonly flag?: LogFilterFlag
  /** Severities that pass. */
  readonly severities?: readonly LogSeverity[]
  /** Message ids that pass; none means all. */
  readonly messageIds?: readonly number[]
  /** Names of components that pass; none means all. */
  readonly components?: readonly string[]
}

/** A stream as a component has it open. */
export interface LogStream {
  readonly name: string
  readonly scope: LogScope
  readonly attributes: LogAttributes
  /** A pino logger that writes into the stream, at the level of `app.log`. */
  readonly log: Logger
  /**
   * Hands a record over. Never waits: 4,096 records wait for the node at most, then the oldest go, and a record says
   * how many. What a component has not handed over when it is killed is lost.
   * @throws SdkError INVALID_HANDLE after `close`; INVALID_PARAMETER.
   */
  write(entry: LogEntry): LogOutcome
  /** Changes the filter of the stream, for everybody. */
  filterSet(change: LogFilterChange): Promise<void>
  /** A stream ends with its last close; its files stay. @throws SdkError INVALID_HANDLE the second time. */
  close(): Promise<void>
}

/** What is opened. */
export interface LogStreamRequest {
  /** 1 to 128 characters. `sysStream` and `appStream` are always there. */
  readonly name: string
  /** `GLOBAL`: the same stream on all nodes. @defaultValue `LOCAL` */
  readonly scope?: LogScope
  /** Those of a stream that is open already must be the same. Left out: whatever it has. */
  readonly attributes?: Partial<LogAttributes>
  /** Makes the stream when it is not there. @defaultValue false */
  readonly create?: boolean
}

/** A file that is read. */
export interface LogFileReader {
  metaDataGet(): Promise<LogFileInfo>
  /** Records by their numbers, both ends included, 1,000 at most; those that are gone are left out. */
  recordsGet(range: {
    readonly start: number
    readonly end: number
  }): Promise<readonly StoredRecord[]>
}

/** Which file; what is left out may be anything, and the first match counts. */
export interface LogFileQuery {
  readonly stream?: string
  readonly scope?: LogScope
  /** Name of the node that has it. */
  readonly node?: string
  /** As `LogFileInfo.file`. */
  readonly file?: string
}

/**
 * Log streams, `clLog...` of the original: SAFplus log service, section 16. `app.log` has them, beside the component's
 * logger.
 */
export interface LogClient {
  /** `appStream` of this node. */
  readonly application: LogStream
  /** `sysStream` of this node. */
  readonly system: LogStream
  /** Negotiates the version, and opens the service again after `finalize`. @throws SdkError VERSION_MISMATCH. */
  initialize(version?: string): { readonly version: string }
  /**
   * @throws SdkError NOT_EXIST without `create`; ALREADY_EXIST when it is open with other attributes, or another stream
   * has that file; NO_SPACE beyond 256 streams; INVALID_PARAMETER.
   */
  streamOpen(request: LogStreamRequest): Promise<LogStream>
  /** Streams that are there now: global ones, and local ones of this node. */
  streamList(): Promise<readonly LogStreamInfo[]>
  /** Files of all nodes that can be reached, also of streams that are gone. */
  fileList(): Promise<readonly LogFileInfo[]>
  /** @throws SdkError NOT_EXIST */
  fileOpen(query: LogFileQuery): Promise<LogFileReader>
  /** From here on hands the records of a stream to a function, whoever writes them. */
  handlerRegister(request: LogHandlerRequest): Promise<LogHandler>
  /** Closes every stream and handler. @throws SdkError NOT_INITIALIZED the second time. */
  finalize(): Promise<void>
}

/** The component's side of the log service. */
export function logLibrary(context: LibraryContext): ServiceLibrary<LogClient> {
  const logs = new Logs(context)
  return {
    client: logs,
    pushes: [
      pushTable(LogPush, {
        filters: ({ filters }) => {
          for (const { stream, filter } of filters) logs.setFilter(stream, filter)
          return {}
        },
      }),
    ],
    close: () => logs.close(),
  }
}

/** What the streams of one component share. */
interface Shared {
  filterOf(stream: number): LogFilter
  isFull(stream: number): boolean
  push(stream: number, entry: LogEntry, attributes: LogAttributes): void
  filterSet(stream: number, change: LogFilterChange): Promise<void>
  closed(stream: Stream): Promise<void>
  readonly component: string
  readonly level: string
}

class Logs implements LogClient {
  readonly #context: LibraryContext
  readonly #service
  readonly #queue: PushQueue<SentRecord>
  readonly #account = new SentAccount()
  readonly #filters = new Map<number, LogFilter>()
  readonly #full = new Set<number>()
  readonly #streams = new Set<Stream>()
  readonly #handlers: LogHandlers
  readonly application: LogStream
  readonly system: LogStream
  readonly #levelChanged = (level: string): void => {
    for (const stream of this.#streams) stream.log.level = level
  }
  #sequence = 0
  #arrived = 0
  #isOpen = true

  constructor(context: LibraryContext) {
    this.#context = context
    this.#service = context.rmd.client(LogService, {
      to: context.agent,
      timeoutMs: CALL_TIMEOUT_MS,
    })
    this.#queue = new PushQueue({
      countMax: LOG_LIMITS.waitingCount,
      send: (first, records) => this.#send(first, records),
      clock: systemClock,
    })
    this.#handlers = new LogHandlers((options) => {
      return new LogFollower({
        ...options,
        files: () => this.fileList(),
        filesChanged: async (known, waitMs) => {
          const timeoutMs = waitMs + CALL_TIMEOUT_MS
          return (await this.#service.filesChanged({ known, waitMs }, { timeoutMs })).version
        },
        read: (nodeId, request) =>
          this.#service.read(
            { nodeId, ...request },
            { timeoutMs: request.waitMs + CALL_TIMEOUT_MS },
          ),
        clock: systemClock,
      })
    }, context)
    this.system = this.#perennial('system')
    this.application = this.#perennial('application')
    context.log.on('level-change', this.#levelChanged)
    tapLog(context.log, (lines) => {
      if (!this.#isOpen) return
      const { stream } = PERENNIAL.application
      for (const entry of lines.map(recordOfLine)) {
        if (entry !== null) this.#push(stream, entry, PERENNIAL_ATTRIBUTES.application)
      }
    })
  }

  initialize(version: string = LogService.version): { readonly version: string } {
    const negotiated = negotiateVersion('log.initialize', version, LogService.version)
    this.#isOpen = true
    return { version: negotiated }
  }

  async streamOpen(request: LogStreamRequest): Promise<LogStream> {
    this.#check()
    const { name, scope = 'LOCAL', create = false } = request
    const isNamed = request.attributes !== undefined || create
    const attributes = isNamed ? parseAttributes(name, request.attributes ?? {}) : null
    const opened = await this.#service.streamOpen({ name, scope, attributes, create })
    this.#filters.set(opened.stream, opened.filter)
    return this.#add(opened.stream, { name, scope, attributes: opened.attributes })
  }

  async streamList(): Promise<readonly LogStreamInfo[]> {
    this.#check()
    return (await this.#service.streams({})).streams
  }

  async fileList(): Promise<readonly LogFileInfo[]> {
    this.#check()
    return (await this.#service.files({})).files
  }

  async fileOpen(query: LogFileQuery): Promise<LogFileReader> {
    const find = async (): Promise<LogFileInfo> => {
      const wanted = Object.entries(query)
      const found = (await this.fileList()).find((file) =>
        wanted.every(([key, value]) => file[key as keyof LogFileQuery] === value),
      )
      if (found !== undefined) return found
      throw new SdkError('NOT_EXIST', `there is no log file with ${JSON.stringify(query)}`)
    }
    const { nodeId, file } = await find()
    return {
      metaDataGet: find,
      recordsGet: (range) => this.#records({ nodeId, file }, range),
    }
  }

  handlerRegister(request: LogHandlerRequest): Promise<LogHandler> {
    this.#check()
    return this.#handlers.register(request)
  }

  async finalize(): Promise<void> {
    this.#check()
    tellTap(this.#context.log)
    this.#isOpen = false
    this.#handlers.close()
    const open = [...this.#streams].filter((stream) => !stream.isPerennial)
    await Promise.all(open.map((stream) => stream.close()))
  }

  setFilter(stream: number, filter: LogFilter): void {
    this.#filters.set(stream, filter)
    // Told anew when other files take over; the next record finds out whether they are full, too.
    this.#full.delete(stream)
  }

  /** The process ends: what was written goes on its way for a moment. */
  async close(): Promise<void> {
    tapLog(this.#context.log, null)
    this.#context.log.off('level-change', this.#levelChanged)
    this.#handlers.close()
    this.#isOpen = false
    await this.#arrival(this.#sequence, CLOSE_MS)
    this.#queue.close()
  }

  /** Resolves when so many records are at the node or lost, at the latest after a time. */
  async #arrival(count: number, timeoutMs: number): Promise<void> {
    const deadlineMs = systemClock.nowMs() + timeoutMs
    while (this.#arrived < count && systemClock.nowMs() < deadlineMs) await pause(ARRIVAL_LOOK_MS)
  }

  async #records(
    { nodeId, file }: { readonly nodeId: number; readonly file: string },
    { start, end }: { readonly start: number; readonly end: number },
  ): Promise<readonly StoredRecord[]> {
    if (end - start >= RECORDS_MAX || start < 1) {
      const message = `recordsGet: ${start} to ${end}: from 1 on, ${RECORDS_MAX} at a time`
      throw new SdkError('INVALID_PARAMETER', message)
    }
    const found: StoredRecord[] = []
    for (let from = start; from <= end;) {
      const countMax = Math.min(LOG_LIMITS.packetCount, end - from + 1)
      const answer = await this.#service.read({ nodeId, file, from, countMax, waitMs: 0 })
      found.push(...answer.records.filter(({ number }) => number <= end))
      if (answer.next <= from) break
      from = answer.next
    }
    return found
  }

  #perennial(kind: keyof typeof PERENNIAL): Stream {
    const { name, stream } = PERENNIAL[kind]
    return this.#add(stream, { name, scope: 'LOCAL', attributes: PERENNIAL_ATTRIBUTES[kind] })
  }

  #add(id: number, of: Pick<LogStream, 'name' | 'scope' | 'attributes'>): Stream {
    const shared: Shared = {
      component: this.#context.component,
      level: this.#context.log.level,
      filterOf: (stream) => this.#filters.get(stream) ?? OPEN_FILTER,
      isFull: (stream) => this.#full.has(stream),
      push: (stream, entry, attributes) => {
        tellTap(this.#context.log)
        this.#push(stream, entry, attributes)
      },
      filterSet: (stream, change) => this.#filterSet(stream, change),
      closed: async (stream) => {
        this.#streams.delete(stream)
        // A stream that ends takes nothing more: what was written before has to be there.
        await this.#arrival(this.#sequence, CALL_TIMEOUT_MS)
        await this.#service.streamClose({ stream: stream.id })
      },
    }
    const stream = new Stream(id, of, shared)
    this.#streams.add(stream)
    return stream
  }

  #push(stream: number, entry: LogEntry, attributes: LogAttributes): void {
    const { component, node } = this.#context
    const timeMs = Math.trunc(performance.timeOrigin + performance.now())
    const from = { component, node, pid: process.pid, sequence: this.#sequence + 1, timeMs }
    const record = makeRecord(entry, from, attributes)
    this.#sequence += 1
    this.#queue.push({ stream, record })
  }

  async #send(first: number, records: readonly SentRecord[]): Promise<void> {
    const lost = this.#account.lostBefore(first)
    const { full } = await this.#service.append(
      { first, lost, records: [...records] },
      { timeoutMs: APPEND_TIMEOUT_MS },
    )
    this.#account.arrived(first, records.length)
    this.#arrived = first + records.length - 1
    for (const stream of full) this.#full.add(stream)
    if (records.length >= FLOOD_COUNT) await pause(FLOOD_PAUSE_MS)
  }

  async #filterSet(stream: number, change: LogFilterChange): Promise<void> {
    const { flag = 'ASSIGN', severities, messageIds = [], components = [] } = change
    const none = flag === 'ASSIGN' ? LOG_MASK_ALL : 0
    const mask = severities?.reduce((bits, one) => bits | (1 << (LOG_SEVERITY[one] - 1)), 0)
    const filter = {
      severities: mask ?? none,
      messageIds: [...messageIds],
      components: [...components],
    }
    await this.#service.filterSet({ stream, flag, filter })
  }

  #check(): void {
    if (this.#isOpen) return
    throw new SdkError('NOT_INITIALIZED', 'the log service was finalized: initialize it first')
  }
}

class Stream implements LogStream {
  readonly id: number
  readonly name: string
  readonly scope: LogScope
  readonly attributes: LogAttributes
  readonly log: Logger
  readonly #shared: Shared
  #isOpen = true

  constructor(id: number, of: Pick<LogStream, 'name' | 'scope' | 'attributes'>, shared: Shared) {
    this.id = id
    this.name = of.name
    this.scope = of.scope
    this.attributes = of.attributes
    this.#shared = shared
    const write = (line: string): void => {
      const entry = recordOfLine(line)
      if (entry !== null && this.#isOpen) this.write(entry)
    }
    this.log = pino({ level: shared.level, base: null }, { write })
  }

  get isPerennial(): boolean {
    return this.id === PERENNIAL.system.stream || this.id === PERENNIAL.application.stream
  }

  write(entry: LogEntry): LogOutcome {
    this.#check()
    const { component } = this.#shared
    const { severity, messageId = 1 } = entry
    const seen = { severity: LOG_SEVERITY[severity], messageId, component }
    if (!passes(this.#shared.filterOf(this.id), seen)) return 'filtered'
    if (this.#shared.isFull(this.id)) return 'full'
    this.#shared.push(this.id, entry, this.attributes)
    return 'written'
  }

  async filterSet(change: LogFilterChange): Promise<void> {
    this.#check()
    await this.#shared.filterSet(this.id, change)
  }

  async close(): Promise<void> {
    this.#check()
    if (this.isPerennial) {
      throw new SdkError('OP_NOT_PERMITTED', `${this.name} is always open`)
    }
    this.#isOpen = false
    await this.#shared.closed(this)
  }

  #check(): void {
    if (this.#isOpen) return
    throw new SdkError('INVALID_HANDLE', `the log stream ${this.name} is closed`)
  }
}

function pause(ms: number): Promise<void> {
  return new Promise((resolve) => systemClock.after(ms, resolve))
}

function parseAttributes(name: string, attributes: Partial<LogAttributes>): LogAttributes {
  const outcome = logAttributesSchema.safeParse(attributes)
  if (outcome.success) return outcome.data
  const places = outcome.error.issues.map((one) => `${one.path.join('.')}: ${one.message}`)
  throw new SdkError('INVALID_PARAMETER', `log stream ${name}: ${places.join('; ')}`)
}
