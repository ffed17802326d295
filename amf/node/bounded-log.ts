import { mkdirSync } from 'node:fs'
import { open, rename, type FileHandle } from 'node:fs/promises'
import { dirname } from 'node:path'

/** Not yet written bytes kept at most; what comes beyond is dropped and counted in the file. */
const PENDING_BYTES_MAX = 1024 * 1024
/** The first bytes wait so long for more: what a program says of its failover is written when that is over. */
const WRITE_AFTER_MS = 25

/**
 * A log file of bounded size: at the limit it becomes `FILE.1` (replacing the one before) and a new
 * one begins. Writing never blocks the caller and never fails it: a full disk loses lines, not
 * components.
 */
export class BoundedLog {
  readonly #path: string
  readonly #sizeBytesMax: number
  #pending: Uint8Array[] = []
  #pendingBytes = 0
  #droppedBytes = 0
  #writing: Promise<void> | null = null

  constructor(path: string, sizeBytesMax: number) {
    this.#path = path
    this.#sizeBytesMax = sizeBytesMax
    mkdirSync(dirname(path), { recursive: true, mode: 0o700 })
  }

  write(chunk: Uint8Array): void {
    if (this.#pendingBytes + chunk.length > PENDING_BYTES_MAX) {
      this.#droppedBytes += chunk.length
      return
    }
    this.#pending.push(chunk)
    this.#pendingBytes += chunk.length
    this.#writing ??= this.#drain()
  }

  /** Resolves when everything written so far is in the file, or lost. */
  async flushed(): Promise<void> {
    while (this.#writing !== null) await this.#writing
  }

  async #drain(): Promise<void> {
    await new Promise((resolve) => setTimeout(resolve, WRITE_AFTER_MS))
    let file: FileHandle | null = null
    try {
      file = await open(this.#path, 'a', 0o600)
      let sizeBytes = (await file.stat()).size
      while (this.#pending.length > 0) {
        if (sizeBytes >= this.#sizeBytesMax) {
          await file.close()
          await rename(this.#path, `${this.#path}.1`)
          file = await open(this.#path, 'a', 0o600)
          sizeBytes = 0
        }
        const chunk = this.#take(this.#sizeBytesMax - sizeBytes)
        await file.write(chunk)
        sizeBytes += chunk.length
      }
    } catch {
      this.#pending = []
      this.#pendingBytes = 0
    } finally {
      await file?.close().catch(() => undefined)
      this.#writing = null
    }
  }

  /** Whole chunks up to the limit, at least one. */
  #take(sizeBytesMax: number): Buffer {
    const chunks: Uint8Array[] = []
    let sizeBytes = 0
    for (let next = this.#pending[0]; next !== undefined; next = this.#pending[0]) {
      if (chunks.length > 0 && sizeBytes + next.length > sizeBytesMax) break
      chunks.push(next)
      sizeBytes += next.length
      this.#pending.shift()
    }
    this.#pendingBytes -= sizeBytes
    if (this.#droppedBytes > 0) {
      chunks.push(Buffer.from(`[${this.#droppedBytes} bytes of output dropped]\n`))
      this.#droppedBytes = 0
    }
    return Buffer.concat(chunks)
  }
}
