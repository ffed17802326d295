import type { Logger } from 'pino'
import { CONN, getClass, GROUP, MEMB, MEMB_SPECIAL } from './descriptor.ts'
import { EventBarrier } from './event-barrier.ts'
import {
  CLUSTER_EVENT_LIMITS,
  eventDataCodec,
  type OcEvData,
  type StreamItem,
} from './interface.ts'
import type { StreamClient } from './stream-client.ts'

/** A program that holds the stream for so long is told of in the log, once for each event. */
const HUNG_MS = 10_000
/** So far beyond the bound even who has only just got the event is evicted. */
const FAR = 4
/** What an event takes beside its data. */
const ITEM_BYTES = 64
const NO_DATA = new Uint8Array()

type Body =
  | { readonly kind: 'active'; readonly handle: number }
  | {
      readonly kind: 'event'
      readonly descriptor: number
      readonly eventClass: number
      readonly handle: number | null
      readonly data: Uint8Array
    }

/** An event before it has its place in the stream. */
export interface News {
  readonly descriptor: number
  readonly data: OcEvData | null
  /** What it goes by. @defaultValue the class of the descriptor */
  readonly eventClass?: number
}

/**
 * The one stream of a node, and its programs.
 *
 * I1 A program that leaves, or dies, has completed everything. I2 What waits is bounded: beyond the bound, whoever
 * holds the stream from one look to the next is evicted; far beyond it, whoever holds it.
 */
export class EventStream {
  readonly #log: Logger
  readonly #barrier = new EventBarrier<Body>(CLUSTER_EVENT_LIMITS.aheadMax)
  readonly #clients = new Map<number, StreamClient>()
  #sequence = 0
  #lastNumber = 0
  /** The event that held the stream when it was last looked at, and since when. */
  #held: { readonly sequence: number; readonly sinceMs: number; isTold: boolean } | null = null

  constructor(log: Logger) {
    this.#log = log
  }

  join(client: StreamClient): void {
    client.number = ++this.#lastNumber
    this.#clients.set(client.number, client)
    this.#barrier.join(client.number)
  }

  leave(client: StreamClient): void {
    client.close()
    this.#clients.delete(client.number)
    this.#barrier.leave(client.number)
    this.#push()
  }

  publish(news: News): void {
    if (this.#clients.size === 0) return
    this.#append(null, classOf(news), eventBody(news, null))
  }

  /** From here on the handle is active; the news are for it alone. */
  activate(client: StreamClient, handle: number, initial: readonly News[]): void {
    this.#append(client.number, 0, { kind: 'active', handle })
    for (const news of initial) {
      this.#append(client.number, classOf(news), eventBody(news, handle))
    }
  }

  reported(
    { number }: StreamClient,
    report: {
      readonly completedUpTo: number
      readonly wanted: readonly { readonly eventClass: number; readonly priority: number }[]
    },
  ): void {
    const priorities = new Map(
      report.wanted.map(({ eventClass, priority }) => [eventClass, priority]),
    )
    for (const eventClass of [CONN, MEMB, GROUP, MEMB_SPECIAL]) {
      this.#barrier.want(number, eventClass, priorities.get(eventClass) ?? null)
    }
    this.#barrier.completed(number, report.completedUpTo)
    this.#push()
  }

  /** To be called now and then. */
  lookForHung(nowMs: number): void {
    const { held } = this.#barrier
    if (held === null) this.#held = null
    else if (this.#held?.sequence !== held.sequence) {
      this.#held = { sequence: held.sequence, sinceMs: nowMs, isTold: false }
    } else if (this.#exceeds(1)) this.#evict(held.by)
    else if (!this.#held.isTold && nowMs - this.#held.sinceMs >= HUNG_MS) {
      this.#held.isTold = true
      const by = held.by.map((number) => this.#clients.get(number)?.name)
      const waiting = this.#barrier.waitingCount
      this.#log.warn({ by, waiting }, 'a cluster event is not completed: others wait')
    }
  }

  #append(only: number | null, eventClass: number, body: Body): void {
    const sizeBytes = ITEM_BYTES + (body.kind === 'event' ? body.data.byteLength : 0)
    this.#barrier.append({ sequence: ++this.#sequence, eventClass, only, sizeBytes, body })
    this.#push()
    if (this.#exceeds(FAR)) this.#evict(this.#barrier.held?.by ?? [])
  }

  /** I2. */
  #exceeds(times: number): boolean {
    const { waitingCountMax, waitingBytesMax } = CLUSTER_EVENT_LIMITS
    const { waitingCount, waitingBytes } = this.#barrier
    return waitingCount > times * waitingCountMax || waitingBytes > times * waitingBytesMax
  }

  #evict(numbers: readonly number[]): void {
    for (const number of numbers) {
      const client = this.#clients.get(number)
      const waiting = this.#barrier.waitingCount
      this.#log.error({ by: client?.name, waiting }, 'evicted: it holds cluster events')
      void client?.end('evicted')
      this.#clients.delete(number)
      this.#barrier.leave(number)
    }
    this.#push()
  }

  #push(): void {
    for (let opened = this.#barrier.takeOpened(); opened.length > 0;) {
      for (const { participant, event } of opened) {
        const { sequence, body } = event
        this.#clients.get(participant)?.push({ ...body, sequence } satisfies StreamItem)
        this.#barrier.started(participant, sequence)
      }
      opened = this.#barrier.takeOpened()
    }
  }
}

function classOf({ descriptor, eventClass = getClass(descriptor) }: News): number {
  return eventClass
}

function eventBody(news: News, handle: number | null): Body {
  const { descriptor, data } = news
  const encoded = data === null ? NO_DATA : eventDataCodec.encode(data)
  return { kind: 'event', descriptor, eventClass: classOf(news), handle, data: encoded }
}
