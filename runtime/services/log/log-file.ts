import { constants } from 'node:fs'
import { mkdir, open, readdir, rm, stat, truncate, type FileHandle } from 'node:fs/promises'
import { join } from 'node:path'
import { SdkError } from '../../../idl/index.ts'
import { crossings, type Crossing } from '../../basic/watermark.ts'
import { type Piece, pieceOf, pieceRules, placeLine, surplus } from './file-rules.ts'
import { LOG_LIMITS, type LogRead, type LogReadAnswer, type StoredRecord } from './interface.ts'
import { readLines } from './read-lines.ts'
import { type FileHeader, headerLine, parseHeader, parseRecord } from './record-line.ts'

/** Bytes that wait for the disk at most. */
const WAITING_BYTES_MAX = 8 * 1024 * 1024
/** After a failed write, so long until the next one. */
const RETRY_MS = 1_000
/** Opens what is there: a file that somebody removed is not to come again without its header. */
const APPEND = constants.O_WRONLY | constants.O_APPEND
/** Places of readers that are remembered, so that going on needs no search. */
const PLACE_COUNT_MAX = 64

export interface LogFileOptions {
  readonly directory: string
  /** Without number and ending. */
  readonly name: string
  readonly header: Omit<FileHeader, 'first'>
  /** A mark of `waterMark` was passed. */
  readonly onWaterMark: (crossing: Crossing) => void
  /** Told once when writing fails, and once when it works again. */
  readonly onFailure: (error: unknown) => void
}

/**
 * The files of one stream on this node: pieces `NAME.00000001.log`, each with a header line that says which record is
 * its first. Writing never blocks and never fails the caller: what the disk does not take is dropped and counted.
 */
export class LogFile {
  readonly #options: LogFileOptions
  #header: Omit<FileHeader, 'first'>
  #pieces: Piece[] = []
  /** Number of the first record that was never in a file. */
  #next = 1
  #waiting: Buffer[] = []
  #waitingBytes = 0
  #handle: FileHandle | null = null
  #timer: NodeJS.Timeout | undefined
  #work: Promise<void>
  #isLoaded = false
  #isFull = false
  #isFailing = false
  #dropped = 0
  /** Lost records that no line tells of. */
  #untold = 0
  #lossLine: ((lost: number) => string) | null = null
  #above: ReadonlySet<string> = new Set()
  readonly #readers = new Set<() => void>()
  /** Byte offsets of records, by `piece number`: where readers go on. */
  readonly #places = new Map<string, number>()

  constructor(options: LogFileOptions) {
    this.#options = options
    this.#header = options.header
    this.#work = this.#write()
  }

  get header(): Omit<FileHeader, 'first'> {
    return this.#header
  }

  /** What is in the files, for listings; what still waits is not counted. */
  async state() {
    await this.#work
    return {
      first: this.#pieces[0]?.first ?? this.#next,
      next: this.#next,
      sizeBytes: this.#pieces.reduce((sum, { sizeBytes }) => sum + sizeBytes, 0),
      isFull: this.#isFull,
      dropped: this.#dropped,
    }
  }

  get isFull(): boolean {
    return this.#isFull
  }

  /** So many records were lost before they came here. */
  lose(count: number): void {
    this.#untold += count
  }

  /**
   * Tells by a line of its own how many records are lost: in their place if there is room, else as soon as there is.
   * @param lossLine - makes that line.
   */
  tellLosses(lossLine: (lost: number) => string): void {
    this.#lossLine = lossLine
    this.#tellLosses()
  }

  /** From here on these are the stream's attributes: they count from the next piece on. */
  use(header: Omit<FileHeader, 'first'>): void {
    this.#header = header
    const { fileFullAction } = header.attributes
    if (fileFullAction !== 'HALT') this.#isFull = false
  }

  /** @param line - one whole line. @returns false when it is dropped. */
  append(line: string): boolean {
    const bytes = Buffer.from(line)
    const { attributes } = this.#header
    if (this.#isFull || !this.#hasRoom(bytes)) {
      this.#dropped += 1
      this.#untold += 1
      return false
    }
    this.#waiting.push(bytes)
    this.#waitingBytes += bytes.length
    if (this.#isFailing) return true
    if (this.#waiting.length === attributes.flushFreq) void this.flush()
    else this.#timer ??= setTimeout(() => void this.flush(), attributes.flushIntervalMs)
    return true
  }

  /** Writes what waits. @returns when it is written, or could not be. */
  flush(): Promise<void> {
    clearTimeout(this.#timer)
    this.#timer = undefined
    return this.#after(() => this.#write())
  }

  /**
   * As {@link flush}, where somebody has to know.
   * @throws SdkError TRY_AGAIN while the disk takes nothing.
   */
  async settle(): Promise<void> {
    if (!this.#isFailing) await this.flush()
    if (this.#isFailing) throw new SdkError('TRY_AGAIN', `${this.#options.name} cannot be written`)
  }

  /** Records from a number on; waits for the next one when there is none and there is time. */
  async read({ from, countMax, waitMs }: LogRead): Promise<LogReadAnswer> {
    await this.#work
    if (from >= this.#next && waitMs > 0) await this.#wait(from, waitMs)
    try {
      return await this.#read(from, countMax)
    } catch (error) {
      if (!isMissing(error)) throw error
      // Somebody removed it: what it had is lost, the others are read.
      await this.#after(() => this.#reload().catch(() => undefined))
      return this.#read(from, countMax)
    }
  }

  /** Writes what waits and lets go of the disk. Appending opens it again. */
  close(): Promise<void> {
    void this.flush()
    const closed = this.#after(() => this.#forget())
    for (const wake of this.#readers) wake()
    return closed
  }

  #hasRoom({ length }: Buffer): boolean {
    return (
      this.#waiting.length < LOG_LIMITS.waitingCount &&
      this.#waitingBytes + length <= WAITING_BYTES_MAX
    )
  }

  /** @returns whether there is a line more to write. */
  #tellLosses(): boolean {
    if (this.#untold === 0 || this.#lossLine === null || this.#isFull || this.#isFailing)
      return false
    const line = this.#lossLine(this.#untold)
    if (!this.#hasRoom(Buffer.from(line))) return false
    this.#untold = 0
    return this.append(line)
  }

  #after(step: () => Promise<void>): Promise<void> {
    this.#work = this.#work.then(step)
    return this.#work
  }

  /** Number behind the last record of the newest file: `#next`, unless somebody removed newer ones. */
  get #fileEnd(): number {
    const last = this.#pieces.at(-1)
    return last === undefined ? this.#next : last.first + last.count
  }

  async #wait(from: number, waitMs: number): Promise<void> {
    if (this.#readers.size >= LOG_LIMITS.readerCount) {
      throw new SdkError(
        'TRY_AGAIN',
        `${this.#readers.size} readers wait for ${this.#options.name}`,
      )
    }
    await new Promise<void>((resolve) => {
      const done = (): void => {
        clearTimeout(timer)
        this.#readers.delete(done)
        resolve()
      }
      const timer = setTimeout(done, waitMs)
      this.#readers.add(done)
    })
    if (from >= this.#next) await this.#work
  }

  async #read(from: number, countMax: number): Promise<LogReadAnswer> {
    const piece = pieceOf(this.#pieces, from)
    if (piece === undefined) {
      return { records: [], next: Math.max(from, this.#next), lost: Math.max(0, this.#next - from) }
    }
    const start = Math.max(from, piece.first)
    const { records, next } = await this.#readPiece(piece, start, countMax)
    return { records, next, lost: start - from }
  }

  async #readPiece(piece: Piece, from: number, countMax: number) {
    const key = `${piece.index} ${from}`
    const offset = this.#places.get(key)
    const records: StoredRecord[] = []
    // Without a known place the search begins at the header, whose line stands before the first record.
    let number = offset === undefined ? piece.first - 1 : from
    let end = 0
    const limit = { from: offset ?? 0, to: piece.sizeBytes }
    for await (const { line, endOffset } of readLines(this.#path(piece), limit)) {
      if (number >= from) {
        const record = parseRecord(line, number)
        if (record !== null) records.push(record)
      }
      number += 1
      end = endOffset
      if (records.length >= countMax) break
    }
    this.#places.delete(key)
    if (end > 0 && number > from) this.#remember(`${piece.index} ${number}`, end)
    // A piece that ended between two looks: the next one begins there.
    return { records, next: Math.max(number, from) }
  }

  #remember(key: string, offset: number): void {
    if (this.#places.size >= PLACE_COUNT_MAX) {
      for (const first of this.#places.keys()) {
        this.#places.delete(first)
        break
      }
    }
    this.#places.set(key, offset)
  }

  #path({ index }: Pick<Piece, 'index'>): string {
    const number = String(index).padStart(8, '0')
    return join(this.#options.directory, `${this.#options.name}.${number}.log`)
  }

  // --- one after the other in #work ---

  async #load(): Promise<void> {
    const { directory, name } = this.#options
    const pieces: Piece[] = []
    await mkdir(directory, { recursive: true, mode: 0o700 })
    const files = await readdir(directory)
    const indexes = files.flatMap((file) => pieceIndex(file, name) ?? []).sort((a, b) => a - b)
    for (const index of indexes) {
      const piece = await this.#loadPiece(index)
      // A piece without a whole header was being made when the node ended.
      if (piece === null) await rm(this.#path({ index }), { force: true })
      else pieces.push(piece)
    }
    this.#pieces = pieces
    // Numbers are never given twice, whatever somebody removed.
    this.#next = Math.max(this.#next, this.#fileEnd)
    this.#isLoaded = true
  }

  async #loadPiece(index: number): Promise<Piece | null> {
    const path = this.#path({ index })
    const { size } = await stat(path)
    let header: FileHeader | null = null
    let count = 0
    let sizeBytes = 0
    for await (const { line, endOffset } of readLines(path, { from: 0, to: size })) {
      if (header === null) header = parseHeader(line)
      else count += 1
      if (header === null) return null
      sizeBytes = endOffset
    }
    if (header === null) return null
    // What the node was writing when it ended: half a line is none.
    if (sizeBytes < size) await truncate(path, sizeBytes)
    return { index, first: header.first, count, sizeBytes }
  }

  async #write(): Promise<void> {
    try {
      await this.#writeAll().catch(async (error: unknown) => {
        if (!isMissing(error)) throw error
        await this.#reload()
        await this.#writeAll()
      })
      this.#isFailing = false
      if (this.#tellLosses()) await this.#writeAll()
    } catch (error) {
      this.#failed(error)
    }
    if (this.#isFull) this.#dropWaiting()
    for (const wake of this.#readers) wake()
  }

  async #writeAll(): Promise<void> {
    if (!this.#isLoaded) await this.#load()
    while (this.#waiting.length > 0 && !this.#isFull) await this.#writeSome()
  }

  /** As many lines as the last piece takes, in one write. */
  async #writeSome(): Promise<void> {
    const rules = pieceRules(this.#header.attributes)
    const newest = this.#pieces.at(-1)
    // Behind a gap that somebody made another piece begins.
    const last = this.#fileEnd === this.#next ? newest : undefined
    const lines: Buffer[] = []
    let piece = last
    for (const bytes of this.#waiting) {
      if (placeLine(rules, piece, bytes.length) !== 'here' || piece === undefined) break
      lines.push(bytes)
      piece = { ...piece, count: piece.count + 1, sizeBytes: piece.sizeBytes + bytes.length }
    }
    if (piece === undefined || lines.length === 0) {
      const placement = placeLine(rules, last, this.#waiting[0]?.length ?? 0)
      if (placement === 'full') this.#isFull = true
      else await this.#newPiece((newest?.index ?? 0) + 1)
      return
    }
    if (this.#handle === null) {
      this.#handle = await open(this.#path(piece), APPEND)
      // Half a line of a write that failed.
      await this.#handle.truncate(last?.sizeBytes ?? 0)
    }
    const bytes = Buffer.concat(lines)
    await this.#handle.appendFile(bytes)
    if ((await this.#handle.stat()).nlink === 0) throw new RemovedError()
    this.#pieces[this.#pieces.length - 1] = piece
    this.#next = piece.first + piece.count
    this.#waiting.splice(0, lines.length)
    this.#waitingBytes -= bytes.length
    this.#watch((100 * piece.sizeBytes) / rules.sizeBytesMax)
  }

  async #newPiece(index: number): Promise<void> {
    await this.#letGo()
    const first = this.#next
    const bytes = Buffer.from(headerLine({ ...this.#header, first }))
    const piece = { index, first, count: 0, sizeBytes: bytes.length }
    // The old ones go before: a full disk has room again.
    for (const gone of surplus(pieceRules(this.#header.attributes), [...this.#pieces, piece])) {
      await rm(this.#path(gone), { force: true })
      this.#pieces.shift()
    }
    this.#handle = await open(this.#path({ index }), 'w', 0o600)
    await this.#handle.appendFile(bytes)
    this.#pieces.push(piece)
    this.#watch(0)
  }

  async #reload(): Promise<void> {
    await this.#letGo()
    this.#isLoaded = false
    this.#places.clear()
    await this.#load()
  }

  /** What becomes of the files meanwhile is seen when the stream is there again. */
  async #forget(): Promise<void> {
    await this.#letGo()
    this.#isLoaded = false
    this.#isFull = false
  }

  async #letGo(): Promise<void> {
    const handle = this.#handle
    this.#handle = null
    await handle?.close().catch(() => undefined)
  }

  #watch(percent: number): void {
    const { low: lowPercent, high: highPercent } = this.#header.attributes.waterMark
    if (highPercent === 0) return
    const level = { name: 'file', highPercent, lowPercent }
    const { above, news } = crossings([level], this.#above, Math.min(100, Math.round(percent)))
    this.#above = above
    for (const crossing of news) this.#options.onWaterMark(crossing)
  }

  #failed(error: unknown): void {
    if (!this.#isFailing) this.#options.onFailure(error)
    this.#isFailing = true
    this.#handle?.close().catch(() => undefined)
    this.#handle = null
    clearTimeout(this.#timer)
    this.#timer = setTimeout(() => void this.flush(), RETRY_MS)
    this.#timer.unref()
  }

  #dropWaiting(): void {
    this.#dropped += this.#waiting.length
    this.#untold += this.#waiting.length
    this.#waiting = []
    this.#waitingBytes = 0
  }
}

/** The file that is written has no name any more. */
class RemovedError extends Error {
  readonly code = 'ENOENT'
}

const isMissing = (error: unknown): boolean =>
  error instanceof Error && 'code' in error && error.code === 'ENOENT'

/** Number of a piece in a file's name; null for another file. */
export function pieceIndex(file: string, name: string): number | null {
  const digits = /^(.*)\.(\d{8})\.log$/.exec(file)
  return digits === null || digits[1] !== name ? null : Number(digits[2])
}
