import type { Socket } from 'node:net'
import { Duplex } from 'node:stream'
import type { FaultWatch } from './fault-watch.ts'
import { FREE_PASSAGE, type Passage, passageBetween } from './faults.schema.ts'

/** What is held back in one direction. Beyond it the sender feels that nothing is taken. */
const HELD_BYTES_MAX = 1024 * 1024
/** A first message longer than this does not say who sent it. */
const IDENTITY_BYTES_MAX = 64 * 1024

export interface FaultySocketOptions {
  readonly faults: FaultWatch
  /** Number of this program's node, 0 when it listens nowhere. */
  readonly ownNode: () => number
  /** At the connecting end: the other end's node. */
  readonly peer?: () => number
  /** At the accepting end, instead: reads that from the first bytes; undefined when these are too few. */
  readonly identify?: (bytes: Buffer) => number | undefined
  /** Makes the socket, or gives it when it is there. Not called while the two nodes are cut. */
  readonly open: () => Socket
}

interface Held {
  readonly dueMs: number
  readonly bytes: number
  readonly release: () => void
}

/**
 * A socket between two nodes of a test, on which the faults of a {@link FaultWatch} act. Cut: it stands still in both
 * directions, and what happens at the other end, its death included, shows only when the cut is healed. Delay: the
 * accepting end holds everything back, both ways, in order. Without faults it hands everything on.
 */
export class FaultySocket extends Duplex {
  readonly #options: FaultySocketOptions
  readonly #inward: Held[] = []
  readonly #outward: Held[] = []
  #stopUse: () => void
  #socket: Socket | null = null
  #peerNode: number | undefined
  #firstBytes = Buffer.alloc(0)
  #passage: Passage = FREE_PASSAGE
  #inwardBytes = 0
  #outwardBytes = 0
  #waitingWriters: (() => void)[] = []
  #timer: NodeJS.Timeout | undefined

  constructor(options: FaultySocketOptions) {
    super({ allowHalfOpen: false })
    this.#options = options
    this.#stopUse = options.faults.use(() => this.#onChange())
    this.once('end', () => this.destroy())
    this.#onChange()
  }

  override _read(): void {
    this.#pump()
  }

  override _write(chunk: Buffer, _encoding: string, done: (error?: Error) => void): void {
    const socket = this.#socket
    if (socket !== null && !this.#passage.cut && !this.#isDelayed && this.#outward.length === 0) {
      let isLate = false
      socket.write(chunk, () => (isLate ? done() : undefined))
      if (socket.writableLength === 0) return done()
      isLate = true
      return
    }
    // The writer may use its buffer again.
    const copy = Buffer.from(chunk)
    this.#hold(this.#outward, copy.length, () => void this.#socket?.write(copy))
    if (this.#outwardBytes <= HELD_BYTES_MAX) done()
    else this.#waitingWriters.push(done)
  }

  override _final(done: (error?: Error) => void): void {
    this.#hold(this.#outward, 0, () => {
      if (this.#socket === null || this.#socket.destroyed) done()
      else this.#socket.end(done)
    })
  }

  /** The other end learns of it in its turn, which is not while the nodes are cut. */
  override _destroy(error: Error | null, done: (error: Error | null) => void): void {
    this.#inward.length = 0
    this.#outward.length = 0
    if (this.#socket === null) this.#stopUse()
    else {
      this.#hold(this.#outward, 0, () => {
        this.#stopUse()
        this.#socket?.destroy()
      })
    }
    done(error)
  }

  get #isDelayed(): boolean {
    return this.#options.identify !== undefined && this.#passage.delayMs > 0
  }

  #onChange(): void {
    const { faults, ownNode, peer } = this.#options
    const { table } = faults
    const peerNode = peer?.() ?? this.#peerNode
    if (peerNode !== undefined) this.#passage = passageBetween(table, ownNode(), peerNode)
    else {
      // Nobody knows yet whom a fault would be for.
      this.#passage = table.faults.length === 0 ? FREE_PASSAGE : { cut: true, delayMs: 0 }
    }
    const isWaited = this.#options.identify === undefined && this.#passage.cut
    if (!isWaited && this.#socket === null && !this.destroyed) this.#adopt()
    this.#pump()
  }

  #adopt(): void {
    const socket = this.#options.open()
    this.#socket = socket
    let cause: Error | null = null
    socket.on('connect', () => this.#hold(this.#inward, 0, () => this.emit('connect')))
    socket.on('data', (chunk: Buffer) => {
      if (this.destroyed) return
      this.#identify(chunk)
      this.#hold(this.#inward, chunk.length, () => this.push(chunk))
      if (this.#inwardBytes > HELD_BYTES_MAX) socket.pause()
    })
    socket.on('error', (error) => {
      cause = error
    })
    socket.on('close', () => {
      if (this.destroyed) return
      this.#hold(this.#inward, 0, () => (cause === null ? this.push(null) : this.destroy(cause)))
    })
  }

  #identify(chunk: Buffer): void {
    const { identify } = this.#options
    if (this.#peerNode !== undefined || identify === undefined) return
    this.#firstBytes = Buffer.concat([this.#firstBytes, chunk])
    const isTooMuch = this.#firstBytes.length > IDENTITY_BYTES_MAX
    this.#peerNode = identify(this.#firstBytes) ?? (isTooMuch ? 0 : undefined)
    if (this.#peerNode === undefined) return
    this.#firstBytes = Buffer.alloc(0)
    this.#onChange()
  }

  #hold(queue: Held[], bytes: number, release: () => void): void {
    const dueMs = this.#isDelayed ? performance.now() + this.#passage.delayMs : 0
    if (queue === this.#inward) this.#inwardBytes += bytes
    else this.#outwardBytes += bytes
    queue.push({ dueMs, bytes, release })
    this.#pump()
  }

  /** Hands on what is due. */
  #pump(): void {
    if (this.#passage.cut || this.#socket === null) return
    clearTimeout(this.#timer)
    const nowMs = performance.now()
    this.#outwardBytes -= releaseDue(this.#outward, nowMs)
    this.#inwardBytes -= releaseDue(this.#inward, nowMs)
    if (this.#inwardBytes <= HELD_BYTES_MAX) this.#socket.resume()
    if (this.#outwardBytes <= HELD_BYTES_MAX) {
      for (const done of this.#waitingWriters.splice(0)) done()
    }
    const nextMs = Math.min(this.#inward[0]?.dueMs ?? Infinity, this.#outward[0]?.dueMs ?? Infinity)
    if (nextMs === Infinity) return
    this.#timer = setTimeout(() => this.#pump(), Math.max(1, nextMs - nowMs))
  }
}

/** @returns the bytes that went. What is released may put more behind. */
function releaseDue(queue: Held[], nowMs: number): number {
  let bytes = 0
  for (let first = queue[0]; first !== undefined && first.dueMs <= nowMs; first = queue[0]) {
    queue.shift()
    bytes += first.bytes
    first.release()
  }
  return bytes
}
