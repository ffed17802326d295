import { SdkError } from '../../../idl/index.ts'
import type { LogAttributes, LogRecord } from './interface.ts'
import { LOG_SEVERITY, type LogSeverity, severityName, severityOfLevel } from './severity.ts'

/** What is written into a stream. */
export interface LogEntry {
  readonly severity: LogSeverity
  /** Which part of the application, u16. @defaultValue 0 */
  readonly serviceId?: number
  /** 0: bytes in `data`; 1: text; others: the application's own. @defaultValue 1 */
  readonly messageId?: number
  /** Parts of the program, three letters each in the original. */
  readonly area?: string
  readonly context?: string
  readonly text?: string
  /** Anything that JSON can hold. */
  readonly fields?: Readonly<Record<string, unknown>>
  readonly data?: Uint8Array
}

/** Who writes it. */
export type LogSource = Pick<LogRecord, 'component' | 'node' | 'pid' | 'sequence' | 'timeMs'>

const PLACE_LENGTH_MAX = 16

/**
 * A record of an entry: what is beyond the stream's `recordSize` is cut, text last.
 * @throws SdkError INVALID_PARAMETER for ids that are no u16, and for no severity.
 */
export function makeRecord(
  entry: LogEntry,
  source: LogSource,
  { recordSize }: Pick<LogAttributes, 'recordSize'>,
): LogRecord {
  const { serviceId = 0, messageId = 1, area = '', context = '' } = entry
  const severity = LOG_SEVERITY[entry.severity]
  if (severity === undefined) {
    throw new SdkError('INVALID_PARAMETER', `log: ${String(entry.severity)} is no severity`)
  }
  for (const [name, id] of Object.entries({ serviceId, messageId })) {
    if (Number.isInteger(id) && id >= 0 && id <= 0xffff) continue
    throw new SdkError('INVALID_PARAMETER', `log: ${name} is ${id}: 0 to 65535`)
  }
  const places = {
    area: area.slice(0, PLACE_LENGTH_MAX),
    context: context.slice(0, PLACE_LENGTH_MAX),
  }
  return { ...source, severity, serviceId, messageId, ...places, ...fit(entry, recordSize) }
}

/** The entry of a line that pino has made; null for another line. */
export function recordOfLine(line: string): LogEntry | null {
  try {
    const {
      level,
      time: _time,
      msg,
      node: _n,
      component: _c,
      pid: _p,
      ...rest
    } = JSON.parse(line) as Readonly<Record<string, unknown>>
    if (typeof level !== 'number') return null
    const fields = Object.keys(rest).length === 0 ? {} : { fields: rest }
    return {
      severity: severityName(severityOfLevel(level)),
      text: typeof msg === 'string' ? msg : '',
      ...fields,
    }
  } catch {
    return null
  }
}

function fit(
  {
    text = '',
    fields,
    data = null,
  }: Pick<LogEntry, 'text' | 'fields'> & { data?: Uint8Array | null },
  sizeMax: number,
): Pick<LogRecord, 'text' | 'fields' | 'data' | 'isCut'> {
  const json = fields === undefined ? '' : jsonOf(fields)
  const wholeText = cutText(text, sizeMax)
  let left = sizeMax - Buffer.byteLength(wholeText)
  const keptFields = Buffer.byteLength(json) <= left ? json : ''
  left -= Buffer.byteLength(keptFields)
  const keptData = data === null ? null : data.subarray(0, left)
  const isCut =
    wholeText !== text ||
    keptFields !== json ||
    (data !== null && keptData !== null && keptData.length < data.length)
  return { text: wholeText, fields: keptFields, data: keptData && Uint8Array.from(keptData), isCut }
}

/** Whole characters of at most so many bytes. */
export function cutText(text: string, sizeMax: number): string {
  // No character of a string has more than three bytes.
  if (text.length * 3 <= sizeMax || Buffer.byteLength(text) <= sizeMax) return text
  const cut = Buffer.from(text.slice(0, sizeMax)).subarray(0, sizeMax).toString()
  return cut.replace(/\ufffd+$/, '')
}

function jsonOf(fields: Readonly<Record<string, unknown>>): string {
  try {
    return JSON.stringify(fields)
  } catch (error) {
    return JSON.stringify({ unwritable: error instanceof Error ? error.message : String(error) })
  }
}
