import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'
import {
  type Clock,
  createRmd,
  type Link,
  type LinkEvents,
  openPort,
  type Transport,
} from '../../ioc/index.ts'
import { Chance, HELLO, mutateInto, seedFrames } from './frames.ts'

/** What a run did. Two runs with the same seed and count differ in times and memory only. */
export interface FuzzReport {
  readonly seed: number
  /** Mutated frames that a living connection was given. */
  readonly frames: number
  readonly connections: number
  /** What the receiver made of them. */
  readonly messages: number
  readonly requests: number
  readonly drops: Readonly<Record<string, number>>
  readonly seconds: number
  /** Longest time for one chunk of frames. */
  readonly slowestMs: number
  /** Heap and buffers after a collection, MB: after the first tenth and at the end. */
  readonly memoryMb: readonly [early: number, end: number]
  readonly residentMb: number
}

/** Readings along a run lie within 0.5 MiB of each other, however long it is. */
export const GROWTH_MIB_MAX = 4

const BATCH_FRAMES = 128
const BATCH_BYTES = BATCH_FRAMES * 400
const LIMITS = {
  frameSizeBytesMax: 1_024,
  messageSizeBytesMax: 4_096,
  partialCountMax: 8,
  sendQueueBytesMax: 64 * 1024,
} as const

/** Gives a port with RMD on it mutated frames, cut into chunks anywhere, over one connection after the other. */
export async function fuzz(seed: number, frameCount: number): Promise<FuzzReport> {
  const chance = new Chance(seed)
  const seeds = seedFrames(chance)
  const clock = new ManualClock()
  const listener = new FeedTransport()
  const port = await openPort({
    transport: listener,
    node: 1,
    port: 64,
    name: 'fuzz',
    clock,
    limits: LIMITS,
  })
  const rmd = createRmd({ port, clock, limits: { entryCountMax: 1_000 } })
  let messages = 0
  port.joinGroup('news')
  port.onMessage(0x80, ({ payload }) => {
    if (payload.length > LIMITS.messageSizeBytesMax) throw new Error('a message above the limit')
    messages += 1
  })
  rmd.serve((call) => call.reply(call.payload))
  const startedMs = performance.now()
  let slowestMs = 0
  let frames = 0
  let early = 0
  let link: FeedLink | null = null
  while (frames < frameCount) {
    if (link === null || link.closed) {
      link = listener.dial()
      link.feed(HELLO)
    }
    const beganMs = performance.now()
    frames += feedBatch(link, seeds, chance)
    slowestMs = Math.max(slowestMs, performance.now() - beganMs)
    clock.advance(20)
    await new Promise(setImmediate) // what is queued for writing leaves
    if (early === 0 && frames >= frameCount / 10) early = await memoryMb()
  }
  const end = await memoryMb()
  const { drops, connectionsMade: connections } = port.statistics()
  const requests = rmd.statistics()['nRmdRequests'] ?? 0
  const closing = rmd.close()
  clock.advance(5_000)
  await closing
  const seconds = (performance.now() - startedMs) / 1_000
  const residentMb = process.memoryUsage.rss() / 2 ** 20
  const memory = [early, end] as const
  return {
    seed,
    frames,
    connections,
    messages,
    requests,
    drops,
    seconds,
    slowestMs,
    memoryMb: memory,
    residentMb,
  }
}

/** One buffer of frames in chunks cut anywhere. @returns how many frames a living connection was given. */
function feedBatch(link: FeedLink, seeds: readonly Uint8Array[], chance: Chance): number {
  const buffer = new Uint8Array(BATCH_BYTES)
  const ends: number[] = []
  let length = 0
  // Neighbours in the list are pieces of one message: mostly in order, so that many come to an end.
  const first = chance.under(8) === 0 ? chance.under(seeds.length) : 0
  for (let i = 0; i < BATCH_FRAMES; i += 1) {
    length += mutateInto(buffer, length, seeds[(first + i) % seeds.length]!, chance)
    ends.push(length)
  }
  let at = 0
  while (at < length && !link.closed) {
    const size = chance.under(4) === 0 ? 1 + chance.under(80) : 1 + chance.under(4_000)
    const next = Math.min(length, at + size)
    link.feed(buffer.subarray(at, next))
    at = next
  }
  return ends.findIndex((end) => end >= at) + 1
}

const collect = ((): (() => void) => {
  setFlagsFromString('--expose-gc')
  return runInNewContext('gc') as () => void
})()

const READING_COUNT_MAX = 100
const SAME_BYTES = 64 * 1024

/**
 * Memory in use. A thread of its own gives back buffers that a collection found dead, up to 12 MB of them here, and the
 * figure is right once it is through: so two readings in a row have to agree.
 */
async function memoryMb(): Promise<number> {
  let before = Number.POSITIVE_INFINITY
  for (let i = 0; i < READING_COUNT_MAX; i += 1) {
    collect()
    const { heapUsed, external } = process.memoryUsage()
    const now = heapUsed + external
    if (Math.abs(now - before) < SAME_BYTES) return now / 2 ** 20
    before = now
    await new Promise(setImmediate)
  }
  throw new Error('memory does not come to rest while nothing runs')
}

/** A clock that stands still until it is told otherwise. */
class ManualClock implements Clock {
  #nowMs = 0
  readonly #timers = new Set<{ atMs: number; run: () => void }>()

  nowMs(): number {
    return this.#nowMs
  }

  after(delayMs: number, run: () => void): () => void {
    const timer = { atMs: this.#nowMs + delayMs, run }
    this.#timers.add(timer)
    return () => void this.#timers.delete(timer)
  }

  advance(ms: number): void {
    this.#nowMs += ms
    for (const timer of this.#timers) {
      if (timer.atMs > this.#nowMs) continue
      this.#timers.delete(timer)
      timer.run()
    }
  }
}

/** A listener whose links are fed by hand. What it sends is read by nobody and never in the way. */
class FeedTransport implements Transport {
  readonly kind = 'feed'
  #accept: (link: Link) => void = () => {}

  async listen(
    _address: unknown,
    accept: (link: Link) => void,
  ): Promise<{ close(): Promise<void> }> {
    this.#accept = accept
    return { close: async () => {} }
  }

  connect(): Link {
    return new FeedLink()
  }

  known(): [] {
    return []
  }

  dial(): FeedLink {
    const link = new FeedLink()
    this.#accept(link)
    link.open()
    return link
  }
}

class FeedLink implements Link {
  closed = false
  #events: LinkEvents | null = null

  start(events: LinkEvents): void {
    this.#events = events
  }

  open(): void {
    this.#events?.onOpen()
  }

  feed(bytes: Uint8Array): void {
    if (!this.closed) this.#events?.onData(bytes)
  }

  write(): boolean {
    return true
  }

  end(): void {
    this.destroy()
  }

  destroy(): void {
    if (this.closed) return
    this.closed = true
    setImmediate(() => this.#events?.onClose(null))
  }
}
