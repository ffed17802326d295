import { CL_OK, isSdkError, SdkError, type ClRcT } from '../../idl/index.ts'
import type { LogClient, LogFileReader, LogStream } from '../services/log/client.ts'
import type { LogHandler } from '../services/log/handlers.ts'
import type {
  LogAttributes,
  LogFileInfo,
  LogFilterFlag,
  LogStreamInfo,
  StoredRecord,
} from '../services/log/interface.ts'
import type { LogEntry } from '../services/log/make-record.ts'
import {
  levelOfSeverity,
  LOG_SEVERITY,
  type LogSeverity,
  parseSeverity,
  severityName,
} from '../services/log/severity.ts'
import { ClLibrary, given, handle } from './library.ts'
import { printf } from './printf.ts'
import { boundApp, type ClOut } from './process.ts'

/** Severities. SAFplus, section 16. */
export const CL_LOG_EMERGENCY = LOG_SEVERITY.EMERGENCY
export const CL_LOG_ALERT = LOG_SEVERITY.ALERT
export const CL_LOG_CRITICAL = LOG_SEVERITY.CRITICAL
export const CL_LOG_ERROR = LOG_SEVERITY.ERROR
export const CL_LOG_WARNING = LOG_SEVERITY.WARNING
export const CL_LOG_NOTICE = LOG_SEVERITY.NOTICE
export const CL_LOG_INFO = LOG_SEVERITY.INFO
export const CL_LOG_DEBUG = LOG_SEVERITY.DEBUG
export const CL_LOG_TRACE = LOG_SEVERITY.TRACE
export const CL_LOG_STREAM_GLOBAL = 0
export const CL_LOG_STREAM_LOCAL = 1
export const CL_LOG_STREAM_CREATE = 1
export const CL_LOG_FILE_FULL_ACTION_ROTATE = 0
export const CL_LOG_FILE_FULL_ACTION_WRAP = 1
export const CL_LOG_FILE_FULL_ACTION_HALT = 2
export const CL_LOG_FILTER_ASSIGN = 1
export const CL_LOG_FILTER_MERGE_ADD = 2
export const CL_LOG_FILTER_MERGE_DELETE = 3
export const CL_LOG_MSGID_BUFFER = 0
export const CL_LOG_MSGID_PRINTF_FMT = 1
export const CL_LOG_HANDLER_WILL_ACK = 1
/** Tags of a message that is neither bytes nor text: pairs of tag and value, closed by the first one. */
export const CL_LOG_TAG_TERMINATE = 0
export const CL_LOG_TAG_BASIC_SIGNED = 1
export const CL_LOG_TAG_BASIC_UNSIGNED = 2
export const CL_LOG_TAG_STRING = 3
/** The streams that are always there. */
export const CL_LOG_HANDLE_SYS = 'sysStream'
export const CL_LOG_HANDLE_APP = 'appStream'

const FULL_ACTIONS = ['ROTATE', 'WRAP', 'HALT'] as const
const FLAGS: Readonly<Record<number, LogFilterFlag>> = {
  [CL_LOG_FILTER_ASSIGN]: 'ASSIGN',
  [CL_LOG_FILTER_MERGE_ADD]: 'MERGE_ADD',
  [CL_LOG_FILTER_MERGE_DELETE]: 'MERGE_DELETE',
}
const LIBRARY = new ClLibrary('LOG')

/** A stream that was opened, or one that is always there. */
export type ClLogStreamHandleT = LogStream | typeof CL_LOG_HANDLE_SYS | typeof CL_LOG_HANDLE_APP
/** What `clLogInitialize` gives. */
export type ClLogHandleT = LogClient

/** `flushInterval` is in microseconds. */
export interface ClLogStreamAttributesT {
  readonly fileName?: string
  readonly fileLocation?: string
  readonly fileUnitSize?: number
  readonly recordSize?: number
  readonly haProperty?: boolean
  readonly fileFullAction?: number
  readonly maxFilesRotated?: number
  readonly flushFreq?: number
  readonly flushInterval?: number
  readonly waterMark?: { readonly lowLimit: number; readonly highLimit: number }
  readonly syslog?: boolean
}

/** Bit n - 1 of the mask is severity n; empty sets let everything pass. */
export interface ClLogFilterT {
  readonly severityFilter: number
  readonly msgIdSet?: readonly number[]
  readonly compIdSet?: readonly string[]
}

/** `app.log.initialize`. `version` comes back as what is supported. */
export function clLogInitialize(
  out: ClOut<ClLogHandleT | undefined>,
  _callbacks: null,
  version: ClOut<string>,
): ClRcT {
  return LIBRARY.get(out, () => {
    const log = bound()
    const asked = given('version', version).value
    try {
      version.value = log.initialize(asked).version
    } catch (error) {
      const supported = isSdkError(error) ? error.context['supported'] : undefined
      if (typeof supported === 'string') version.value = supported
      throw error
    }
    return log
  })
}

/** `app.log.finalize`. */
export function clLogFinalize(logHandle: ClLogHandleT | undefined): Promise<ClRcT> {
  return LIBRARY.wait(() => handle(logHandle).finalize())
}

/** `app.log.streamOpen`. The service's own time-out counts, whatever `timeout` says. */
export function clLogStreamOpen(
  logHandle: ClLogHandleT | undefined,
  streamName: string,
  streamScope: number,
  attributes: ClLogStreamAttributesT | null,
  flags: number,
  _timeout: number,
  out: ClOut<LogStream | undefined>,
): Promise<ClRcT> {
  return LIBRARY.wait(async () => {
    const create = flags === CL_LOG_STREAM_CREATE
    if (flags !== 0 && !create) throw new SdkError('BAD_FLAG', `flags ${flags}: 0 or CREATE`)
    given('out', out).value = await handle(logHandle).streamOpen({
      name: given('streamName', streamName),
      scope: streamScope === CL_LOG_STREAM_GLOBAL ? 'GLOBAL' : 'LOCAL',
      create,
      ...(attributes === null ? {} : { attributes: attributesOf(attributes) }),
    })
  })
}

/** `stream.close`. */
export function clLogStreamClose(stream: LogStream | undefined): Promise<ClRcT> {
  return LIBRARY.wait(() => handle(stream).close())
}

/**
 * `stream.write`: bytes for message id 0; a format with its arguments for 1; else pairs of tag and value, closed by
 * `CL_LOG_TAG_TERMINATE`. FILE_FULL when the stream takes nothing more.
 */
export function clLogWriteAsync(
  stream: ClLogStreamHandleT | undefined,
  severity: number,
  serviceId: number,
  msgId: number,
  ...args: readonly unknown[]
): ClRcT {
  return write(stream, { severity: named(severity), serviceId, ...message(msgId, args) })
}

/** The same, with the parts of the program that say it. */
export function clLogWriteAsyncWithHeader(
  stream: ClLogStreamHandleT | undefined,
  severity: number,
  serviceId: number,
  msgId: number,
  header: { readonly area: string; readonly context: string },
  ...args: readonly unknown[]
): ClRcT {
  const entry = { severity: named(severity), serviceId, ...message(msgId, args) }
  return write(stream, { ...entry, ...given('header', header) })
}

/**
 * A line for a stream by a service's name, as of the original's first releases; not below the component's level, which
 * `holdfast log --level` sets.
 */
export function clLogWrite(
  stream: ClLogStreamHandleT | undefined,
  severity: number,
  serviceName: string,
  format: string,
  ...args: readonly unknown[]
): ClRcT {
  const fields = { service: serviceName }
  if (isBelowLevel(severity)) return CL_OK
  return write(stream, { severity: named(severity), text: printf(format, args), fields })
}

/**
 * A line for `appStream` from a part of the program, not below the component's level: `area` and `context` have three
 * letters each.
 */
export function clLog(
  severity: number,
  area: string,
  context: string,
  format: string,
  ...args: readonly unknown[]
): ClRcT {
  if (isBelowLevel(severity)) return CL_OK
  const text = printf(format, args)
  return write(CL_LOG_HANDLE_APP, { severity: named(severity), area, context, text })
}

/** `stream.filterSet`. */
export function clLogFilterSet(
  stream: ClLogStreamHandleT | undefined,
  flags: number,
  filter: ClLogFilterT,
): Promise<ClRcT> {
  return LIBRARY.wait(async () => {
    const flag = FLAGS[flags]
    if (flag === undefined) throw new SdkError('BAD_FLAG', `filter flag ${flags}: 1, 2 or 3`)
    const { severityFilter, msgIdSet = [], compIdSet = [] } = given('filter', filter)
    const severities = Object.values(LOG_SEVERITY)
      .filter((number) => (severityFilter & (1 << (number - 1))) !== 0)
      .map(severityName)
    const change = { flag, severities, messageIds: msgIdSet, components: compIdSet }
    await streamOf(stream).filterSet(change)
  })
}

/** `app.log.handlerRegister`. */
export function clLogHandlerRegister(
  logHandle: ClLogHandleT | undefined,
  deliver: (sequence: number, records: readonly StoredRecord[], numRecords: number) => unknown,
  streamName: string,
  streamScope: number,
  flags: number,
  out: ClOut<LogHandler | undefined>,
): Promise<ClRcT> {
  return LIBRARY.wait(async () => {
    given('out', out).value = await handle(logHandle).handlerRegister({
      stream: streamName,
      scope: streamScope === CL_LOG_STREAM_GLOBAL ? 'GLOBAL' : 'LOCAL',
      willAck: (flags & CL_LOG_HANDLER_WILL_ACK) !== 0,
      onRecords: (sequence, records) => void deliver(sequence, records, records.length),
    })
  })
}

/** `handler.deregister`. */
export function clLogHandlerDeregister(handler: LogHandler | undefined): ClRcT {
  return LIBRARY.run(() => handle(handler).deregister())
}

/** `handler.recordAck`. */
export function clLogHandlerRecordAck(
  handler: LogHandler | undefined,
  sequence: number,
  numRecords: number,
): ClRcT {
  return LIBRARY.run(() => handle(handler).recordAck(sequence, numRecords))
}

/** `app.log.fileOpen` by name and location, `NODE:PATH`; `.` is this node, `*` any. */
export function clLogFileOpen(
  logHandle: ClLogHandleT | undefined,
  fileName: string,
  fileLocation: string,
  out: ClOut<LogFileReader | undefined>,
): Promise<ClRcT> {
  return LIBRARY.wait(async () => {
    const logs = handle(logHandle)
    const colon = fileLocation.indexOf(':')
    const [home, path] = [fileLocation.slice(0, colon), fileLocation.slice(colon + 1)]
    const node = home === '.' ? boundApp()?.node : home
    const wanted = path === '' ? fileName : `${path}/${fileName}`
    const found = (await logs.fileList()).find(
      ({ file, ...one }) =>
        file.slice(file.indexOf('/') + 1) === wanted && (home === '*' || one.node === node),
    )
    if (found === undefined) throw new SdkError('NOT_EXIST', `no file ${fileLocation}/${fileName}`)
    given('out', out).value = await logs.fileOpen({ file: found.file, node: found.node })
  })
}

/** Ends reading. */
export function clLogFileClose(file: ClOut<LogFileReader | undefined>): ClRcT {
  return LIBRARY.run(() => {
    handle(given('file', file).value)
    file.value = undefined
  })
}

/** `file.metaDataGet`. */
export function clLogFileMetaDataGet(
  file: LogFileReader | undefined,
  out: ClOut<LogFileInfo | undefined>,
): Promise<ClRcT> {
  return LIBRARY.wait(async () => {
    given('out', out).value = await handle(file).metaDataGet()
  })
}

/** `file.recordsGet`: both ends included. */
export function clLogFileRecordsGet(
  file: LogFileReader | undefined,
  start: number,
  end: number,
  out: ClOut<readonly StoredRecord[]>,
): Promise<ClRcT> {
  return LIBRARY.wait(async () => {
    given('out', out).value = await handle(file).recordsGet({ start, end })
  })
}

/** `app.log.streamList`. */
export function clLogStreamListGet(
  logHandle: ClLogHandleT | undefined,
  out: ClOut<readonly LogStreamInfo[]>,
): Promise<ClRcT> {
  return LIBRARY.wait(async () => {
    given('out', out).value = await handle(logHandle).streamList()
  })
}

/** Name of a severity. */
export function clLogSeverityStringGet(severity: number): string {
  return severityName(severity)
}

/** Number of a severity; 0 for no such name. */
export function clLogSeverityValueGet(name: string): number {
  try {
    return parseSeverity(name)
  } catch {
    return 0
  }
}

function bound(): LogClient {
  const app = boundApp()
  if (app !== undefined) return app.log
  throw new SdkError('INVALID_STATE', 'no EO is bound to this thread')
}

function streamOf(stream: ClLogStreamHandleT | undefined): LogStream {
  if (typeof stream !== 'string') return handle(stream)
  return stream === CL_LOG_HANDLE_SYS ? bound().system : bound().application
}

function write(stream: ClLogStreamHandleT | undefined, entry: LogEntry): ClRcT {
  return LIBRARY.run(() => {
    if (streamOf(stream).write(entry) !== 'full') return
    throw new SdkError('FILE_FULL', 'the files of the stream take nothing more')
  })
}

function isBelowLevel(severity: number): boolean {
  return boundApp()?.log.isLevelEnabled(levelOfSeverity(severity).level) === false
}

function named(severity: number): LogSeverity {
  return severityName(severity)
}

function message(
  messageId: number,
  args: readonly unknown[],
): Pick<LogEntry, 'messageId' | 'text' | 'fields' | 'data'> {
  const [first, ...rest] = args
  if (messageId === CL_LOG_MSGID_BUFFER) {
    return { messageId, ...(first instanceof Uint8Array ? { data: first } : {}) }
  }
  if (messageId === CL_LOG_MSGID_PRINTF_FMT) return { messageId, text: printf(String(first), rest) }
  const values: { tag: unknown; value: unknown }[] = []
  for (let i = 0; i + 1 < args.length && args[i] !== CL_LOG_TAG_TERMINATE; i += 2) {
    const value = args[i + 1]
    values.push({ tag: args[i], value: typeof value === 'bigint' ? String(value) : value })
  }
  return { messageId, fields: { values } }
}

function attributesOf(attributes: ClLogStreamAttributesT): Partial<LogAttributes> {
  const { fileFullAction, flushInterval, waterMark, ...same } = attributes
  const action = fileFullAction === undefined ? undefined : FULL_ACTIONS[fileFullAction]
  if (fileFullAction !== undefined && action === undefined) {
    throw new SdkError('INVALID_PARAMETER', `fileFullAction ${fileFullAction}: 0, 1 or 2`)
  }
  return {
    ...same,
    ...(action === undefined ? {} : { fileFullAction: action }),
    ...(flushInterval === undefined
      ? {}
      : { flushIntervalMs: Math.max(1, Math.round(flushInterval / 1_000)) }),
    ...(waterMark === undefined
      ? {}
      : { waterMark: { low: waterMark.lowLimit, high: waterMark.highLimit } }),
  }
}
