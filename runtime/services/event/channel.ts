import { type ClientOf, SdkError } from '../../../idl/index.ts'
import type { RmdCallOptions } from '../../../ioc/index.ts'
import { packRule } from '../../basic/rule/pack.ts'
import type { RuleExpression } from '../../basic/rule/expression.ts'
import type { DeliveredEvent, DeliveredTo, EventPriority } from './delivered-event.ts'
import { partsOfEventId } from './event-id.ts'
import { type ChannelScope, EVENT_LIMITS, type EventService, type FilterType } from './interface.ts'
import { Publisher } from './publisher.ts'
import { type EventContent, PRIORITY_LOWEST } from './record.ts'

/** A filter of one pattern. PASS_ALL needs no pattern; text stands for its UTF-8 bytes. */
export interface EventFilter {
  readonly type: FilterType
  /** NON_ZERO: a mask; an empty one is all ones. @defaultValue empty */
  readonly pattern?: Uint8Array | string
}

/** What is published. */
export interface PublishRequest {
  /** What filters look at, in order; text stands for its UTF-8 bytes. At most 32, of 1 KiB each. @defaultValue none */
  readonly patterns?: readonly (Uint8Array | string)[]
  /** @defaultValue 3, the lowest */
  readonly priority?: EventPriority
  /** For so long later subscribers get it too. @defaultValue 0: they do not */
  readonly retentionMs?: number
  /** @defaultValue empty */
  readonly publisherName?: string
  /** At most 256 KiB. @defaultValue none */
  readonly data?: Uint8Array
}

/** Which events of a channel are wanted. */
export interface SubscribeRequest {
  /** Chosen by the program; once on the channel. */
  readonly subscriptionId: number
  /** Filter `i` is for pattern `i`; all must match. @defaultValue all events */
  readonly filters?: readonly EventFilter[]
  /**
   * Instead of filters: a rule over the patterns one after the other, each filled up with zeros to whole words, which
   * are little-endian. SAFplus, section 20.7.
   */
  readonly rule?: RuleExpression
  /** Comes with each event. */
  readonly cookie?: unknown
}

/** An open channel. Every function throws CHANNEL_NOT_OPENED once it is closed. */
export interface EventChannel {
  readonly name: string
  readonly scope: ChannelScope
  readonly isSubscriber: boolean
  readonly isPublisher: boolean
  /**
   * Publishes an event. Events of one channel are delivered in the order of these calls, those of a higher priority
   * earlier. Each subscriber gets it once at most, without a gap while it is neither too slow nor cut off for long;
   * else a lost-events event says so. A publisher never waits for subscribers.
   * @returns its id, when the own node has it; with a retention time, when every node holds it.
   * @throws SdkError NOT_OPENED_FOR_PUBLISH; INVALID_PARAMETER; TOO_BIG; TRY_AGAIN when 65,536 events or 16 MiB wait to
   * be published; NO_SPACE when too much is retained; TIMEOUT when not every node may retain it.
   */
  publish(event?: PublishRequest): Promise<bigint>
  /**
   * Wants events: first what is retained, then what comes.
   * @throws SdkError NOT_OPENED_FOR_SUBSCRIPTION; DUPLICATE_SUBSCRIPTION; NO_CALLBACK without `deliver`;
   * INVALID_PARAMETER; NO_RESOURCE.
   */
  subscribe(request: SubscribeRequest): Promise<void>
  /** Events that wait for it are dropped. @throws SdkError NOT_EXIST for an unknown id. */
  unsubscribe(subscriptionId: number): Promise<void>
  /** Later subscribers get the event no more. @throws SdkError NOT_EXIST when it is not retained. */
  retentionTimeClear(eventId: bigint): Promise<void>
  close(): Promise<void>
}

/** The server side of the own node. */
export type EventServiceClient = ClientOf<(typeof EventService)['spec'], RmdCallOptions>

/** The part of the library that channels use. */
interface ChannelEvents {
  readonly service: EventServiceClient
  number(): number
  watch(number: number, target: DeliveryTarget): void
  unwatch(number: number): void
}

/** Where the events of one subscription go. @internal */
export interface DeliveryTarget {
  readonly to: DeliveredTo
  readonly deliver: (event: DeliveredEvent) => void | Promise<void>
}

interface ChannelOptions {
  readonly open: number
  readonly name: string
  readonly scope: ChannelScope
  readonly isSubscriber: boolean
  readonly isPublisher: boolean
  readonly events: ChannelEvents
  readonly deliver: ((event: DeliveredEvent) => void | Promise<void>) | null
  readonly onClosed: () => void
}

export class Channel implements EventChannel {
  readonly name: string
  readonly scope: ChannelScope
  readonly isSubscriber: boolean
  readonly isPublisher: boolean
  readonly #options: ChannelOptions
  readonly #publisher: Publisher
  /** By id: the number under which the node knows it. */
  readonly #numbers = new Map<number, number>()
  #isOpen = true

  constructor(options: ChannelOptions) {
    this.#options = options
    this.name = options.name
    this.scope = options.scope
    this.isSubscriber = options.isSubscriber
    this.isPublisher = options.isPublisher
    const { events, open } = options
    this.#publisher = new Publisher((records) =>
      events.service.publish({ open, records }, { atMostOnce: true }),
    )
  }

  publish(event: PublishRequest = {}): Promise<bigint> {
    try {
      this.#service()
      if (this.isPublisher) return this.#publisher.publish(contentOf(event))
      const message = `${this.name}: open it with PUBLISHER to publish`
      throw new SdkError('NOT_OPENED_FOR_PUBLISH', message)
    } catch (error) {
      return Promise.reject(error as SdkError)
    }
  }

  async subscribe(request: SubscribeRequest): Promise<void> {
    const service = this.#service()
    const { subscriptionId, filters = [], rule, cookie } = request
    const { deliver, events, open } = this.#options
    if (!this.isSubscriber) {
      const message = `${this.name}: open it with SUBSCRIBER to subscribe`
      throw new SdkError('NOT_OPENED_FOR_SUBSCRIPTION', message)
    }
    if (deliver === null) {
      throw new SdkError('NO_CALLBACK', 'give the callback deliver to initialize')
    }
    if (this.#numbers.has(subscriptionId)) {
      const message = `${this.name} has a subscription ${subscriptionId}`
      throw new SdkError('DUPLICATE_SUBSCRIPTION', message)
    }
    if (rule !== undefined && filters.length > 0) {
      throw new SdkError('INVALID_PARAMETER', 'subscribe: give filters or a rule, not both')
    }
    const number = events.number()
    // Events may come before the answer does.
    this.#numbers.set(subscriptionId, number)
    events.watch(number, { to: { subscriptionId, cookie, channelName: this.name }, deliver })
    try {
      await service.subscribe({
        open,
        subscription: number,
        filter:
          rule === undefined
            ? { kind: 'patterns', filters: filters.map(filterOf) }
            : { kind: 'rule', rule: packRule(rule) },
      })
    } catch (error) {
      this.#forget(subscriptionId, number)
      throw error
    }
  }

  async unsubscribe(subscriptionId: number): Promise<void> {
    const service = this.#service()
    const number = this.#numbers.get(subscriptionId)
    if (number === undefined) {
      throw new SdkError('NOT_EXIST', `${this.name} has no subscription ${subscriptionId}`)
    }
    this.#forget(subscriptionId, number)
    await service.unsubscribe({ open: this.#options.open, subscription: number })
  }

  async retentionTimeClear(eventId: bigint): Promise<void> {
    const service = this.#service()
    await service.retentionTimeClear({ open: this.#options.open, ...partsOfEventId(eventId) })
  }

  async close(): Promise<void> {
    const service = this.#service()
    this.#isOpen = false
    for (const [id, number] of [...this.#numbers]) this.#forget(id, number)
    this.#options.onClosed()
    await service.channelClose({ open: this.#options.open })
  }

  #forget(subscriptionId: number, number: number): void {
    this.#numbers.delete(subscriptionId)
    this.#options.events.unwatch(number)
  }

  #service(): EventServiceClient {
    if (this.#isOpen) return this.#options.events.service
    throw new SdkError('CHANNEL_NOT_OPENED', `${this.name} was closed: open it again`)
  }
}

const encoder = new TextEncoder()
const NOTHING = new Uint8Array()
const NONE: readonly Uint8Array[] = []

function bytesOf(pattern: Uint8Array | string): Uint8Array {
  return typeof pattern === 'string' ? encoder.encode(pattern) : pattern
}

function filterOf({ type, pattern = NOTHING }: EventFilter): {
  type: FilterType
  pattern: Uint8Array
} {
  return { type, pattern: bytesOf(pattern) }
}

/** @throws SdkError INVALID_PARAMETER, TOO_BIG. */
function contentOf(request: PublishRequest): EventContent {
  const { patterns = [], priority = 3, retentionMs = 0, publisherName = '' } = request
  const { data = NOTHING } = request
  const { patternCount, patternBytes, dataBytes, nameLength } = EVENT_LIMITS
  if (!Number.isInteger(priority) || priority < 0 || priority > PRIORITY_LOWEST) {
    throw invalid(`priority is ${priority}: give 0 to ${PRIORITY_LOWEST}`)
  }
  if (!Number.isInteger(retentionMs) || retentionMs < 0 || retentionMs > EVENT_LIMITS.retentionMs) {
    throw invalid(`retentionMs is ${retentionMs}: give 0 to ${EVENT_LIMITS.retentionMs}`)
  }
  if (patterns.length > patternCount) {
    throw invalid(`there are ${patterns.length} patterns: give at most ${patternCount}`)
  }
  if (publisherName.length > nameLength) {
    throw invalid(`publisherName has ${publisherName.length} characters, at most ${nameLength}`)
  }
  const bytes = patterns.length === 0 ? NONE : patterns.map(bytesOf)
  for (let i = 0; i < bytes.length; i += 1) {
    const { length } = bytes[i]!
    if (length <= patternBytes) continue
    throw invalid(`patterns[${i}] has ${length} bytes, at most ${patternBytes}`)
  }
  if (data.length > dataBytes) {
    throw new SdkError('TOO_BIG', `data has ${data.length} bytes, at most ${dataBytes}`)
  }
  return { priority, retentionMs, publisherName, patterns: bytes, data }
}

function invalid(what: string): SdkError {
  return new SdkError('INVALID_PARAMETER', `publish: ${what}`)
}
