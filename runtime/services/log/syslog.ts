import type { Logger } from 'pino'
import type { Clock } from '../../../ioc/index.ts'
import type { LogRecord } from './interface.ts'
import { syslogLine } from './record-line.ts'
import { openLocalSyslog } from './syslog-local.ts'
import { targetText } from './syslog-target.ts'
import { openUdpSyslog } from './syslog-udp.ts'
import type { SyslogLine, SyslogTarget, SyslogWay, SyslogWayEvents } from './syslog-way.ts'

/** Characters of lines that wait for syslog at most; beyond it new ones are dropped. */
const WAITING_SIZE_MAX = 1024 * 1024
const RETRY_MS = 5_000
/** Losses are told in the log so often at most. */
const TELL_MS = 10_000

export interface SyslogOptions {
  readonly target: SyslogTarget
  readonly log: Pick<Logger, 'info' | 'warn'>
  readonly clock: Clock
}

/**
 * Records for a syslog. Never waits and never fails its caller: what there is no room for is dropped, and the log says
 * how many. Nothing is opened before the first record; what is lost is opened again after 5 s.
 */
export class SyslogOutput {
  readonly #options: SyslogOptions
  #waiting: SyslogLine[] = []
  #waitingSize = 0
  #state:
    | { readonly kind: 'closed' | 'opening' | 'ended' }
    | { readonly kind: 'pausing'; readonly cancel: () => void }
    | { readonly kind: 'open'; readonly way: SyslogWay; isBlocked: boolean } = { kind: 'closed' }
  #isFailing = false
  #dropped = 0
  #cancelTelling: (() => void) | null = null

  constructor(options: SyslogOptions) {
    this.#options = options
  }

  write(stream: string, record: LogRecord): void {
    if (this.#state.kind === 'ended') return
    const line = syslogLine(stream, record)
    if (this.#waitingSize + sizeOf(line) > WAITING_SIZE_MAX) return this.#lost(1)
    this.#waiting.push(line)
    this.#waitingSize += sizeOf(line)
    if (this.#state.kind === 'closed') void this.#open()
    else this.#pump()
  }

  /** What waits goes while it is taken at once; lasts a second at most. */
  async close(): Promise<void> {
    const state = this.#state
    this.#state = { kind: 'ended' }
    if (state.kind === 'pausing') state.cancel()
    if (state.kind === 'open') await state.way.close()
    this.#dropped += this.#waiting.length
    this.#waiting = []
    this.#cancelTelling?.()
    this.#tell()
  }

  async #open(): Promise<void> {
    this.#state = { kind: 'opening' }
    const { target } = this.#options
    const events: SyslogWayEvents = {
      onDrain: () => {
        if (this.#state.kind === 'open') this.#state.isBlocked = false
        this.#pump()
      },
      onDown: (reason) => this.#down(reason),
    }
    try {
      const way =
        target.kind === 'udp'
          ? await openUdpSyslog(target, events)
          : await openLocalSyslog(target.path, events)
      if (this.#isEnded) return void way.close()
      this.#state = { kind: 'open', way, isBlocked: false }
    } catch (error) {
      return this.#down(error instanceof Error ? error : new Error(String(error)))
    }
    if (this.#isFailing) this.#options.log.info(`syslog: ${targetText(target)} is back`)
    this.#isFailing = false
    this.#pump()
  }

  #pump(): void {
    const state = this.#state
    if (state.kind !== 'open') return
    let count = 0
    for (const line of this.#waiting) {
      if (state.isBlocked) break
      count += 1
      this.#waitingSize -= sizeOf(line)
      const isFree = state.way.send(line, (isSent) => {
        if (!isSent) this.#lost(1)
      })
      state.isBlocked = !isFree
    }
    this.#waiting.splice(0, count)
  }

  #down(err: Error): void {
    if (this.#isEnded) return
    const { log, clock, target } = this.#options
    if (!this.#isFailing) log.warn({ err }, `syslog: ${targetText(target)} does not take records`)
    this.#isFailing = true
    const cancel = clock.after(RETRY_MS, () => {
      this.#state = { kind: 'closed' }
      if (this.#waiting.length > 0) void this.#open()
    })
    this.#state = { kind: 'pausing', cancel }
  }

  get #isEnded(): boolean {
    return this.#state.kind === 'ended'
  }

  #lost(count: number): void {
    this.#dropped += count
    this.#cancelTelling ??= this.#options.clock.after(TELL_MS, () => this.#tell())
  }

  #tell(): void {
    this.#cancelTelling = null
    if (this.#dropped === 0) return
    const { log, target } = this.#options
    log.warn({ dropped: this.#dropped }, `syslog: ${targetText(target)} lost records`)
    this.#dropped = 0
  }
}

const sizeOf = ({ header, tag, body }: SyslogLine): number =>
  header.length + tag.length + body.length
