import { isSdkError, SdkError } from '../../idl/index.ts'
import { IOC_PORT, systemClock } from '../../ioc/index.ts'
import type { Connection, LogFileInfo, StoredRecord } from '../../runtime/index.ts'
import { LogFollower, LogService } from '../../runtime/internal.ts'

const ASK_TIMEOUT_MS = 5_000
const PACKET_COUNT = 100

/** Which records an operator wants to see. */
export interface LogSelection {
  readonly stream: string | null
  readonly node: string | null
  /** Names of components; null: all. */
  readonly components: ReadonlySet<string> | null
  /** The least grave severity, as a number. */
  readonly severityMax: number
}

/** A record, and whose file it is in. */
export interface SeenRecord extends StoredRecord {
  readonly stream: string
}

/** Reads log files of all nodes through whichever node answers. */
export class LogReader {
  readonly #connection: Pick<Connection, 'nodes' | 'rmd'>
  readonly #selection: LogSelection
  #silent: readonly string[] = []

  constructor(connection: Pick<Connection, 'nodes' | 'rmd'>, selection: LogSelection) {
    this.#connection = connection
    this.#selection = selection
  }

  /** Nodes that did not answer when files were last asked for: their records are missing. */
  get silent(): readonly string[] {
    return this.#silent
  }

  /** Files that may have such records. */
  async files(): Promise<readonly LogFileInfo[]> {
    return (await this.#allFiles()).filter((file) => this.#wants(file))
  }

  /** The last records, oldest first. */
  async last(count: number): Promise<readonly SeenRecord[]> {
    return this.#last(await this.files(), count)
  }

  async #last(files: readonly LogFileInfo[], count: number): Promise<readonly SeenRecord[]> {
    const lists = await Promise.all(files.map((file) => this.#lastOf(file, count)))
    const inOrder = lists.flat().sort((a, b) => a.timeMs - b.timeMs)
    return count === 0 ? [] : inOrder.slice(-count)
  }

  /**
   * Hands over records from now on, and the last ones before, of each file in its order.
   * @returns what stops it.
   */
  async follow(
    lines: number,
    onRecord: (record: SeenRecord) => void,
    onLost: (file: LogFileInfo, lost: number) => void,
  ): Promise<() => void> {
    const files = await this.files()
    for (const record of await this.#last(files, lines)) onRecord(record)
    const nextOf = new Map(files.map((file) => [keyOf(file), file.next]))
    const follower = new LogFollower({
      files: () => this.#allFiles(),
      filesChanged: (known, waitMs) =>
        this.#ask(async (service) => {
          const timeoutMs = waitMs + ASK_TIMEOUT_MS
          return (await service.filesChanged({ known, waitMs }, { timeoutMs })).version
        }),
      read: (nodeId, request) =>
        this.#ask((service) =>
          service.read({ nodeId, ...request }, { timeoutMs: request.waitMs + ASK_TIMEOUT_MS }),
        ),
      wants: (file) => this.#wants(file),
      from: (file) => nextOf.get(keyOf(file)) ?? file.first,
      onRecords: (file, records, lost) => {
        if (lost > 0) onLost(file, lost)
        for (const record of records) {
          if (this.#shows(record)) onRecord({ ...record, stream: file.stream })
        }
      },
      clock: systemClock,
    })
    await follower.start()
    return () => follower.stop()
  }

  async #allFiles(): Promise<readonly LogFileInfo[]> {
    const { files, silent } = await this.#ask((service) =>
      service.files({}, { timeoutMs: ASK_TIMEOUT_MS }),
    )
    this.#silent = silent
    return files
  }

  async #lastOf(file: LogFileInfo, count: number): Promise<SeenRecord[]> {
    const found: SeenRecord[] = []
    // Backwards in packets, so that few are read where few are asked for.
    for (let end = file.next; end > file.first && found.length < count; end -= PACKET_COUNT) {
      const from = Math.max(file.first, end - PACKET_COUNT)
      const request = { nodeId: file.nodeId, file: file.file, from, waitMs: 0 }
      const { records } = await this.#ask((service) =>
        service.read({ ...request, countMax: end - from }, { timeoutMs: ASK_TIMEOUT_MS }),
      )
      const shown = records.filter((record) => record.number < end && this.#shows(record))
      found.unshift(...shown.map((record) => ({ ...record, stream: file.stream })))
    }
    return count === 0 ? [] : found.slice(-count)
  }

  #wants(file: LogFileInfo): boolean {
    const { stream, node } = this.#selection
    return (stream === null || file.stream === stream) && (node === null || file.node === node)
  }

  #shows({ severity, component }: StoredRecord): boolean {
    const { severityMax, components } = this.#selection
    return severity <= severityMax && (components === null || components.has(component))
  }

  async #ask<T>(question: (service: ReturnType<typeof serviceOf>) => Promise<T>): Promise<T> {
    let reason: unknown
    for (const node of this.#connection.nodes()) {
      try {
        return await question(serviceOf(this.#connection, node))
      } catch (error) {
        // Another node may answer for one that is going.
        if (!isSdkError(error, 'COMP_UNREACHABLE')) throw error
        reason = error
      }
    }
    throw new SdkError('TRY_AGAIN', 'no node answers', { cause: reason })
  }
}

function serviceOf({ rmd }: Pick<Connection, 'rmd'>, node: number) {
  return rmd.client(LogService, { to: { node, port: IOC_PORT.agent } })
}

const keyOf = ({ nodeId, file }: LogFileInfo): string => `${nodeId} ${file}`
