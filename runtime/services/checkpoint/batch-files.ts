import { createHash } from 'node:crypto'
import {
  closeSync,
  constants,
  fdatasyncSync,
  fsyncSync,
  ftruncateSync,
  mkdirSync,
  openSync,
  readdirSync,
  readFileSync,
  unlinkSync,
  writevSync,
} from 'node:fs'
import { dirname, join } from 'node:path'
import { FRAME_HEADER_SIZE_BYTES, readFrame, writeFrameHeader } from './batch-frame.ts'
import type { BatchLog, BatchLogs } from './batch-log.ts'

/** Files open at the same time; at the bound the one that was opened first is closed. */
const OPEN_COUNT_MAX = 256
const OPEN_FLAGS = constants.O_WRONLY | constants.O_CREAT

/**
 * Logs of batches as files of one directory, a file for each piece. A write to the kernel costs a small part of a
 * transaction of the store, and each commit waits for one on every node; if `isDurable`, for the disk as well.
 */
export class BatchFiles implements BatchLogs {
  readonly #directory: string
  readonly #isDurable: boolean
  /** Pieces that were there at the start, by the first part of their names. */
  readonly #found = new Map<string, number[]>()
  readonly #open = new Set<FileBatchLog>()

  /** @param directory - made when missing (0700). @throws Error when it cannot be made or read. */
  constructor(directory: string, isDurable: boolean) {
    this.#directory = directory
    this.#isDurable = isDurable
    mkdirSync(directory, { recursive: true, mode: 0o700 })
    for (const file of readdirSync(directory)) {
      const [, stem, piece] = /^([0-9a-f]+)\.(\d+)$/.exec(file) ?? []
      if (stem === undefined) continue
      const pieces = this.#found.get(stem)
      if (pieces === undefined) this.#found.set(stem, [Number(piece)])
      else pieces.push(Number(piece))
    }
  }

  log(name: string): BatchLog {
    // Names of replicas may be longer than those of files, and have any characters.
    const stem = createHash('sha256').update(name).digest('hex').slice(0, 32)
    const pieces = (this.#found.get(stem) ?? []).toSorted((a, b) => a - b)
    this.#found.delete(stem)
    const log: FileBatchLog = new FileBatchLog({
      path: join(this.#directory, stem),
      isDurable: this.#isDurable,
      pieces,
      onOpen: (isOpen) => this.#note(log, isOpen),
    })
    return log
  }

  close(): void {
    for (const log of [...this.#open]) log.close()
  }

  #note(log: FileBatchLog, isOpen: boolean): void {
    this.#open.delete(log)
    if (!isOpen) return
    this.#open.add(log)
    const [oldest] = this.#open
    if (this.#open.size > OPEN_COUNT_MAX) oldest?.close()
  }
}

interface FileBatchLogOptions {
  /** Without the number of the piece. */
  readonly path: string
  readonly isDurable: boolean
  readonly pieces: number[]
  readonly onOpen: (isOpen: boolean) => void
}

class FileBatchLog implements BatchLog {
  readonly #options: FileBatchLogOptions
  readonly #header = Buffer.alloc(FRAME_HEADER_SIZE_BYTES)
  /** Those that have a file, ascending. */
  #pieces: number[]
  /** Where batches go. */
  #newest: number
  #descriptor: number | null = null
  /** Bytes of the newest piece that are whole batches. */
  #sizeBytes = 0
  /** Something may follow them: the rest of a write that failed. */
  #hasRest = false

  constructor(options: FileBatchLogOptions) {
    this.#options = options
    this.#pieces = options.pieces
    this.#newest = options.pieces.at(-1) ?? 1
  }

  append(payload: Uint8Array): void {
    const descriptor = this.#descriptor ?? this.#open()
    if (this.#hasRest) ftruncateSync(descriptor, this.#sizeBytes)
    this.#hasRest = true
    writeFrameHeader(this.#header, payload)
    const sizeBytes = this.#header.byteLength + payload.byteLength
    const written = writevSync(descriptor, [this.#header, payload], this.#sizeBytes)
    if (written < sizeBytes) {
      throw new Error(
        `${this.#fileOf(this.#newest)}: only ${written} of ${sizeBytes} bytes written`,
      )
    }
    if (this.#options.isDurable) fdatasyncSync(descriptor)
    this.#hasRest = false
    this.#sizeBytes += sizeBytes
  }

  turn(): number {
    if (!this.#pieces.includes(this.#newest)) return this.#newest
    this.close()
    this.#newest++
    this.#sizeBytes = 0
    this.#hasRest = false
    return this.#newest
  }

  dropBefore(piece: number): void {
    if (piece > this.#newest) {
      this.close()
      this.#sizeBytes = 0
      this.#hasRest = false
    }
    for (const each of this.#pieces) if (each < piece) unlinkIfThere(this.#fileOf(each))
    this.#pieces = this.#pieces.filter((each) => each >= piece)
  }

  read(from: number, take: (payload: Uint8Array) => string | undefined): string | undefined {
    this.dropBefore(from)
    this.#newest = this.#pieces.at(-1) ?? from
    for (const piece of this.#pieces) {
      const bytes = readFileSync(this.#fileOf(piece))
      let at = 0
      while (at < bytes.byteLength) {
        const frame = readFrame(bytes, at)
        if (frame.kind === 'cutShort' && piece === this.#newest) break
        const problem =
          frame.kind === 'batch'
            ? take(frame.payload)
            : `the log ${this.#fileOf(piece)} does not check at ${at}`
        if (frame.kind !== 'batch' || problem !== undefined) return problem
        at = frame.next
      }
      this.#sizeBytes = at
      this.#hasRest = at < bytes.byteLength
    }
    return undefined
  }

  close(): void {
    if (this.#descriptor === null) return
    closeSync(this.#descriptor)
    this.#descriptor = null
    this.#options.onOpen(false)
  }

  #open(): number {
    const descriptor = openSync(this.#fileOf(this.#newest), OPEN_FLAGS, 0o600)
    this.#descriptor = descriptor
    if (!this.#pieces.includes(this.#newest)) {
      this.#pieces.push(this.#newest)
      if (this.#options.isDurable) syncDirectory(dirname(this.#options.path))
    }
    this.#options.onOpen(true)
    return descriptor
  }

  #fileOf(piece: number): string {
    return `${this.#options.path}.${piece}`
  }
}

/** A new file is there after a loss of power only when its directory says so. */
function syncDirectory(directory: string): void {
  const descriptor = openSync(directory, constants.O_RDONLY)
  try {
    fsyncSync(descriptor)
  } finally {
    closeSync(descriptor)
  }
}

function unlinkIfThere(path: string): void {
  try {
    unlinkSync(path)
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw error
  }
}
