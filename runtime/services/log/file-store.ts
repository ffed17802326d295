import { readdir } from 'node:fs/promises'
import { dirname, join, relative } from 'node:path'
import type { Crossing } from '../../basic/watermark.ts'
import { LOG_LIMITS, type LogFileInfo } from './interface.ts'
import { LogFile } from './log-file.ts'
import { readLines } from './read-lines.ts'
import { type FileHeader, parseHeader } from './record-line.ts'

const HEADER_BYTES_MAX = 64 * 1024

export interface FileStoreOptions {
  /** Everything is below it. */
  readonly directory: string
  readonly nodeId: number
  readonly node: string
  readonly onWaterMark: (stream: string, crossing: Crossing) => void
  readonly onFailure: (stream: string, error: unknown) => void
  /** A stream has files for the first time here. */
  readonly onMade: () => void
}

/** All files of the log service on one node, those of earlier lives and ended streams too. */
export class FileStore {
  readonly #options: FileStoreOptions
  readonly #files = new Map<string, LogFile>()
  readonly #loaded: Promise<void>

  constructor(options: FileStoreOptions) {
    this.#options = options
    this.#loaded = this.#load().catch((error: unknown) => options.onFailure('', error))
  }

  /** The file of a stream, made when it is not there; null when there are too many. */
  use(file: string, header: Omit<FileHeader, 'first'>): LogFile | null {
    const known = this.#files.get(file)
    if (known === undefined) {
      const made = this.#add(file, header)
      if (made !== null) this.#options.onMade()
      return made
    }
    if (known.header.attributes !== header.attributes) known.use(header)
    return known
  }

  async get(file: string): Promise<LogFile | undefined> {
    await this.#loaded
    return this.#files.get(file)
  }

  async list(): Promise<LogFileInfo[]> {
    await this.#loaded
    const { nodeId, node } = this.#options
    return Promise.all(
      [...this.#files].map(async ([file, one]) => {
        const { stream, scope, attributes } = one.header
        return { nodeId, node, file, stream, scope, attributes, ...(await one.state()) }
      }),
    )
  }

  /** Its stream has ended; it can still be read. */
  release(file: string): void {
    void this.#files.get(file)?.close()
  }

  async close(): Promise<void> {
    await Promise.all([...this.#files.values()].map((file) => file.close()))
  }

  #add(file: string, header: Omit<FileHeader, 'first'>): LogFile | null {
    if (this.#files.size >= LOG_LIMITS.fileCount) return null
    const path = join(this.#options.directory, file)
    const { stream } = header
    const made = new LogFile({
      directory: dirname(path),
      name: path.slice(dirname(path).length + 1),
      header,
      onWaterMark: (crossing) => this.#options.onWaterMark(stream, crossing),
      onFailure: (error) => this.#options.onFailure(stream, error),
    })
    this.#files.set(file, made)
    return made
  }

  async #load(): Promise<void> {
    const { directory } = this.#options
    const entries = await readdir(directory, { recursive: true, withFileTypes: true }).catch(
      () => [],
    )
    // The last piece of each has the newest attributes.
    const newest = new Map<string, string>()
    const paths = entries
      .filter((entry) => entry.isFile())
      .map((entry) => join(entry.parentPath, entry.name))
    for (const path of paths.sort()) {
      const file = /^(.+)\.\d{8}\.log$/.exec(relative(directory, path))?.[1]
      if (file !== undefined) newest.set(file, path)
    }
    for (const [file, path] of newest) {
      if (this.#files.has(file)) continue
      const header = await headerOf(path)
      if (header !== null && !this.#files.has(file)) this.#add(file, header)
    }
  }
}

async function headerOf(path: string): Promise<Omit<FileHeader, 'first'> | null> {
  for await (const { line } of readLines(path, { from: 0, to: HEADER_BYTES_MAX })) {
    const header = parseHeader(line)
    if (header === null) return null
    const { stream, scope, attributes } = header
    return { stream, scope, attributes }
  }
  return null
}
