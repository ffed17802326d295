import { SdkError } from '../../../idl/index.ts'
import type { SyslogTarget } from './syslog-way.ts'

/**
 * Variable of a node process: path of a unix socket, `/dev/log` when it is not set, or `udp://HOST:PORT`.
 */
export const SYSLOG_ENV = 'HOLDFAST_SYSLOG'
export const SYSLOG_TARGET_DEFAULT: SyslogTarget = { kind: 'local', path: '/dev/log' }
/** RFC 5426, section 3.3. */
const UDP_PORT_DEFAULT = 514

/** @throws SdkError INVALID_PARAMETER for what is neither a path nor such an address. */
export function parseSyslogTarget(text: string): SyslogTarget {
  if (text.startsWith('/')) return { kind: 'local', path: text }
  const url = text.startsWith('udp://') && URL.canParse(text) ? new URL(text) : null
  const isAddress = url !== null && url.hostname !== '' && /^\/?$/.test(url.pathname)
  if (isAddress && url.username + url.search + url.hash === '') {
    const host = url.hostname.replace(/^\[|\]$/g, '')
    return { kind: 'udp', host, port: url.port === '' ? UDP_PORT_DEFAULT : Number(url.port) }
  }
  const remedy = 'the absolute path of a unix socket, or udp://HOST:PORT'
  throw new SdkError('INVALID_PARAMETER', `${SYSLOG_ENV}: "${text}" is no syslog; give ${remedy}`)
}

/** The target as text. */
export function targetText(target: SyslogTarget): string {
  return target.kind === 'local' ? target.path : `udp://${target.host}:${target.port}`
}
