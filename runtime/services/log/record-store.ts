import type { ServiceHost } from '../service.ts'
import { FileStore } from './file-store.ts'
import { type LogRecord, type LogScope, PERENNIAL } from './interface.ts'
import type { StreamState } from './operations.ts'
import { PERENNIAL_ATTRIBUTES } from './perennial.ts'
import { recordLine, syslogLine } from './record-line.ts'
import { LOG_SEVERITY } from './severity.ts'
import { fileOf } from './stream-content.ts'
import { SyslogOutput } from './syslog.ts'

/** Of a stream, what its files need to know. */
export type StreamFile = Pick<StreamState, 'name' | 'attributes' | 'home'>

/** Puts records into the files of this node, and into syslog. */
export class RecordStore {
  readonly files: FileStore
  readonly #host: ServiceHost
  readonly #syslog: SyslogOutput
  /** File of each stream that was written to. */
  readonly #names = new Map<string, string>()
  readonly #halted = new Set<string>()
  #sequence = 0

  constructor(host: ServiceHost, syslogPath: string) {
    this.#host = host
    this.#syslog = new SyslogOutput(syslogPath, host.log)
    this.files = new FileStore({
      directory: `${host.directory}/log`,
      nodeId: host.nodeId,
      node: host.node,
      onWaterMark: (stream, { type, percent }) => {
        const text = `log file of ${stream}: ${type} water mark at ${percent} %`
        this.#system(type === 'HIGH' ? 'WARNING' : 'NOTICE', text, { stream, type, percent })
      },
      onFailure: (stream, err) => {
        host.log.error({ err, stream }, 'a log file cannot be written')
        const text = `log file of ${stream} cannot be written: ${String(err)}`
        if (stream !== PERENNIAL.system.name) this.#system('ERROR', text, { stream })
      },
    })
  }

  /**
   * @param lost - how many records before these never came; a record tells of them.
   * @returns true when the file takes nothing more.
   */
  write(stream: StreamFile, scope: LogScope, records: readonly LogRecord[], lost: number): boolean {
    const { name, attributes, home } = stream
    const place = `${scope === 'LOCAL' ? 'local' : home === '*' ? 'leader' : 'global'}`
    const id = `${place}/${fileOf(attributes)}`
    const file = this.files.use(id, { stream: name, scope, attributes })
    const [first] = records
    if (file === null || first === undefined) return false
    this.#names.set(`${scope} ${name}`, id)
    if (lost > 0) file.append(recordLine(lossRecord(first, lost)))
    for (const record of records) {
      if (file.append(recordLine(record)) && attributes.syslog) {
        this.#syslog.write(syslogLine(name, record), this.#host.nowMs())
      }
    }
    const untold = file.takeUntold()
    if (untold > 0) file.append(recordLine(lossRecord(first, untold)))
    if (file.isFull) this.#haltedOnce(id, name)
    else this.#halted.delete(id)
    return file.isFull
  }

  /** The stream is gone; its files stay. */
  ended(scope: LogScope, name: string): void {
    const id = this.#names.get(`${scope} ${name}`)
    this.#names.delete(`${scope} ${name}`)
    if (id !== undefined) this.files.release(id)
  }

  async close(): Promise<void> {
    this.#syslog.close()
    await this.files.close()
  }

  #haltedOnce(id: string, stream: string): void {
    if (this.#halted.has(id)) return
    this.#halted.add(id)
    this.#system('WARNING', `log file of ${stream} is full and takes nothing more`, { stream })
  }

  /** What the platform has to say about the log itself. */
  #system(severity: keyof typeof LOG_SEVERITY, text: string, fields: object): void {
    const attributes = PERENNIAL_ATTRIBUTES.system
    const record: LogRecord = {
      timeMs: performance.timeOrigin + performance.now(),
      severity: LOG_SEVERITY[severity],
      serviceId: 0,
      messageId: 1,
      sequence: (this.#sequence += 1),
      node: this.#host.node,
      component: 'log',
      pid: process.pid,
      area: 'LOG',
      context: 'SVR',
      text,
      fields: JSON.stringify(fields),
      data: null,
      isCut: false,
    }
    this.write({ name: PERENNIAL.system.name, attributes, home: '' }, 'LOCAL', [record], 0)
  }
}

/** Says in the place of records that are lost how many they are. */
function lossRecord(next: LogRecord, lost: number): LogRecord {
  return {
    ...next,
    severity: LOG_SEVERITY.WARNING,
    serviceId: 0,
    messageId: 1,
    area: 'LOG',
    context: 'LST',
    text: `${lost} records were lost here: more came than could be stored`,
    fields: JSON.stringify({ lost }),
    data: null,
    isCut: false,
  }
}
