import { tapLog } from '../../eo/logger.ts'
import { systemClock } from '../../../ioc/index.ts'
import type { ServiceHost } from '../service.ts'
import { FileStore } from './file-store.ts'
import { type LogRecord, type LogScope, PERENNIAL } from './interface.ts'
import { type LogEntry, makeRecord, recordOfLine } from './make-record.ts'
import type { StreamState } from './operations.ts'
import { PERENNIAL_ATTRIBUTES } from './perennial.ts'
import { recordLine } from './record-line.ts'
import { LOG_SEVERITY } from './severity.ts'
import { fileOf } from './stream-content.ts'
import { SyslogOutput } from './syslog.ts'
import type { SyslogTarget } from './syslog-way.ts'

/** In place of a component's name, where the node process speaks. */
const PLATFORM = 'platform'

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

  constructor(host: ServiceHost, target: SyslogTarget, onMade: () => void) {
    this.#host = host
    this.#syslog = new SyslogOutput({ target, log: host.log, clock: systemClock })
    this.files = new FileStore({
      directory: `${host.directory}/log`,
      nodeId: host.nodeId,
      node: host.node,
      onMade,
      onWaterMark: (stream, { type, percent }) => {
        const text = `log file of ${stream}: ${type} water mark at ${percent} %`
        const severity = type === 'HIGH' ? 'WARNING' : 'NOTICE'
        this.#system({ severity, text, fields: { stream, type, percent } })
      },
      onFailure: (stream, err) => {
        // By way of its tap into the system stream, too, where that is another one.
        host.log.error({ err, stream }, 'a log file cannot be written')
      },
    })
    tapLog(host.log, (lines) => {
      for (const entry of lines.map(recordOfLine)) if (entry !== null) this.#system(entry)
    })
  }

  /**
   * @param lost - how many records before these never came; a record tells of them.
   * @returns true when the file takes nothing more.
   */
  write(stream: StreamFile, scope: LogScope, records: readonly LogRecord[], lost: number): boolean {
    const { name, attributes } = stream
    const id = `${this.#placeOf(stream, scope)}/${fileOf(attributes)}`
    const file = this.files.use(id, { stream: name, scope, attributes })
    const [first] = records
    if (file === null || first === undefined) return false
    this.#names.set(`${scope} ${name}`, id)
    const lossLine = (count: number): string => recordLine(lossRecord(first, count))
    file.lose(lost)
    file.tellLosses(lossLine)
    for (const record of records) {
      if (file.append(recordLine(record)) && attributes.syslog) {
        this.#syslog.write(name, record)
      }
    }
    file.tellLosses(lossLine)
    if (file.isFull) this.#haltedOnce(id, name)
    else this.#halted.delete(id)
    return file.isFull
  }

  /**
   * Resolves when what was written for a stream is in its files, or counted as lost.
   * @throws SdkError TRY_AGAIN while the disk takes nothing.
   */
  async settle(stream: StreamFile, scope: LogScope): Promise<void> {
    const id = `${this.#placeOf(stream, scope)}/${fileOf(stream.attributes)}`
    await (await this.files.get(id))?.settle()
  }

  /** The stream is gone; its files stay. */
  ended(scope: LogScope, name: string): void {
    const id = this.#names.get(`${scope} ${name}`)
    this.#names.delete(`${scope} ${name}`)
    if (id !== undefined) this.files.release(id)
  }

  async close(): Promise<void> {
    tapLog(this.#host.log, null)
    await Promise.all([this.#syslog.close(), this.files.close()])
  }

  /** Files that stand in for those of an absent node have a place of their own: another stream's have the same name. */
  #placeOf({ home }: StreamFile, scope: LogScope): string {
    if (scope === 'LOCAL') return 'local'
    if (home === '*') return 'leader'
    return home === this.#host.node ? 'global' : `for-${home}`
  }

  #haltedOnce(id: string, stream: string): void {
    if (this.#halted.has(id)) return
    this.#halted.add(id)
    const text = `log file of ${stream} is full and takes nothing more`
    this.#system({ severity: 'WARNING', text, fields: { stream } })
  }

  /** What the platform has to say: lines of the node process's log, and what becomes of log files. */
  #system(entry: LogEntry): void {
    const attributes = PERENNIAL_ATTRIBUTES.system
    const source = {
      timeMs: Math.trunc(performance.timeOrigin + performance.now()),
      node: this.#host.node,
      component: PLATFORM,
      pid: process.pid,
      sequence: (this.#sequence += 1),
    }
    const record = makeRecord(entry, source, attributes)
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
