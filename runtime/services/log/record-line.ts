import type { z } from 'zod'
import { fileHeaderSchema, type LogRecord, type StoredRecord } from './interface.ts'
import { levelOfSeverity, severityName } from './severity.ts'
import type { SyslogLine } from './syslog-way.ts'

/** First line of each file. */
export type FileHeader = z.infer<typeof fileHeaderSchema>

const FORMAT = 1

/** The header as a line. */
export function headerLine(header: FileHeader): string {
  return `${JSON.stringify({ holdfastLog: FORMAT, ...header })}\n`
}

/** The header of a line; null when it is none of this format. */
export function parseHeader(line: string): FileHeader | null {
  const value = parseObject(line)
  if (value?.['holdfastLog'] !== FORMAT) return null
  const { holdfastLog: _, ...header } = value
  return fileHeaderSchema.safeParse(header).data ?? null
}

/**
 * A record as a JSON line that tools for pino's lines read too: `level`, `time`, `msg`. What is empty is left out.
 */
export function recordLine(record: LogRecord): string {
  const { timeMs, severity, text, fields, data, isCut, area, context } = record
  const head = JSON.stringify({
    level: levelOfSeverity(severity).number,
    time: timeMs,
    severity: severityName(severity),
    node: record.node,
    component: record.component,
    pid: record.pid,
    sequence: record.sequence,
    serviceId: record.serviceId,
    messageId: record.messageId,
    ...(area === '' ? {} : { area }),
    ...(context === '' ? {} : { context }),
    msg: text,
    ...(data === null ? {} : { data: Buffer.from(data).toString('base64') }),
    ...(isCut ? { cut: true } : {}),
  })
  return fields === '' ? `${head}\n` : `${head.slice(0, -1)},"fields":${fields}}\n`
}

/** The record of a line; null for a line that is none. */
export function parseRecord(line: string, number: number): StoredRecord | null {
  const value = parseObject(line)
  if (value === null || typeof value['time'] !== 'number') return null
  const text = (name: string): string => {
    const member = value[name]
    return typeof member === 'string' ? member : ''
  }
  const count = (name: string): number => {
    const member = value[name]
    return typeof member === 'number' ? member : 0
  }
  const { fields } = value
  return {
    number,
    timeMs: value['time'],
    severity: severityNumber(text('severity')),
    serviceId: count('serviceId'),
    messageId: count('messageId'),
    sequence: count('sequence'),
    node: text('node'),
    component: text('component'),
    pid: count('pid'),
    area: text('area'),
    context: text('context'),
    text: text('msg'),
    fields: fields === undefined ? '' : JSON.stringify(fields),
    data: typeof value['data'] === 'string' ? Buffer.from(value['data'], 'base64') : null,
    isCut: value['cut'] === true,
  }
}

/** `time (node.pid : component.area.context.sequence : severity) text`, as in the reference. */
export function recordText(record: LogRecord): string {
  const { node, pid, component, area, context, sequence } = record
  const place = `${component}.${area || '---'}.${context || '---'}.${sequence}`
  const time = new Date(record.timeMs).toISOString().slice(0, -1).replace('T', ' ')
  const fields = record.fields === '' ? '' : ` ${record.fields}`
  const data =
    record.data === null
      ? ''
      : ` [${record.data.length} bytes] ${hexOf(record.data.subarray(0, 32))}`
  const severity = severityName(record.severity)
  return `${time} (${node}.${pid} : ${place} : ${severity}) ${record.text}${fields}${data}`
}

const hexOf = (data: Uint8Array): string => Buffer.from(data).toString('hex')

/** "user-level messages". RFC 5424, section 6.2.1. */
const FACILITY = 1
/** The number that RFC 5612 keeps for examples: there is no registered one. */
const SD_ID = 'holdfast@32473'

/** A record as a line of RFC 5424 in its parts. */
export function syslogLine(stream: string, record: LogRecord): SyslogLine {
  const text = record.text.replace(/[\r\n]+/g, ' ')
  const parameters = [
    ['stream', stream],
    ['sequence', String(record.sequence)],
    ['serviceId', String(record.serviceId)],
    ...(record.fields === '' ? [] : [['fields', record.fields]]),
  ].map(([name, value = '']) => `${name}="${value.replace(/["\\\]]/g, '\\$&')}"`)
  const [node, component] = [token(record.node, 255), token(record.component, 48)]
  const time = new Date(record.timeMs).toISOString()
  return {
    priority: FACILITY * 8 + Math.min(record.severity, 8) - 1,
    header: `${time} ${node} ${component} ${record.pid} ${record.messageId}`,
    tag: `${component}[${record.pid}] ${node}`,
    body: `[${SD_ID} ${parameters.join(' ')}] ${text}`,
  }
}

function token(text: string, lengthMax: number): string {
  return text.replace(/[^\x21-\x7e]/g, '_').slice(0, lengthMax) || '-'
}

function severityNumber(name: string): number {
  for (let number = 1; number <= 16; number += 1) if (severityName(number) === name) return number
  return 7
}

function parseObject(line: string): Readonly<Record<string, unknown>> | null {
  try {
    const value: unknown = JSON.parse(line)
    return typeof value === 'object' && value !== null ? (value as Record<string, unknown>) : null
  } catch {
    return null
  }
}
