import { connect, type Socket } from 'node:net'
import type { Logger } from 'pino'

/** Variable of a node process: path of a stream socket that takes lines of RFC 5424, each ended by a line feed. */
export const SYSLOG_ENV = 'HOLDFAST_SYSLOG'
export const SYSLOG_PATH_DEFAULT = '/dev/log'
/** Bytes that wait for syslog at most. */
const WAITING_BYTES_MAX = 1024 * 1024
const RETRY_MS = 5_000

/**
 * Lines for the machine's syslog over a unix stream socket (line feeds between them: RFC 6587, section 3.4.2). Node.js
 * has no unix datagrams: where `/dev/log` takes only those, another socket is to be named. What it does not take is
 * dropped and counted in the log.
 */
export class SyslogOutput {
  readonly #path: string
  readonly #log: Logger
  #socket: Socket | null = null
  #isOpen = false
  #isFailing = false
  #dropped = 0
  #notBeforeMs = 0

  constructor(path: string, log: Logger) {
    this.#path = path
    this.#log = log
  }

  write(line: string, nowMs: number): void {
    if (this.#socket === null && nowMs >= this.#notBeforeMs) this.#connect(nowMs)
    if (this.#socket === null || this.#socket.writableLength > WAITING_BYTES_MAX) {
      this.#dropped += 1
      return
    }
    this.#socket.write(`${line}\n`)
  }

  close(): void {
    this.#socket?.end()
    this.#socket?.unref()
  }

  #connect(nowMs: number): void {
    this.#notBeforeMs = nowMs + RETRY_MS
    const socket = connect(this.#path)
    this.#socket = socket
    this.#isOpen = false
    socket.on('connect', () => {
      this.#isOpen = true
      if (this.#isFailing) this.#log.info({ dropped: this.#dropped }, 'syslog is back')
      this.#isFailing = false
      this.#dropped = 0
    })
    socket.on('error', (err: NodeJS.ErrnoException) => {
      if (this.#isFailing) return
      this.#isFailing = true
      const remedy = `name a stream socket with ${SYSLOG_ENV}`
      const why = err.code === 'EPROTOTYPE' ? 'takes datagrams only' : 'cannot be reached'
      this.#log.warn({ err }, `syslog: ${this.#path} ${why}; remedy: ${remedy}`)
    })
    socket.on('close', () => {
      if (!this.#isOpen) this.#dropped += 1
      if (this.#socket === socket) this.#socket = null
    })
    socket.on('data', () => undefined)
  }
}
