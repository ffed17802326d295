import { eventIdOf } from './event-id.ts'
import { RECORD_KIND, type Records } from './record.ts'

/** The only pattern of an event that says how many were lost. SAF AIS EVT B.03.01, SA_EVT_LOST_EVENT. */
export const LOST_EVENT_PATTERN: Uint8Array = new TextEncoder().encode('SA_EVT_LOST_EVENT_PATTERN')

/** 0 is delivered first, 3 last. */
export type EventPriority = 0 | 1 | 2 | 3

/** An event as a subscriber gets it, once for each subscription that wants it. */
export interface DeliveredEvent {
  /** The subscription that wanted it, and what was given with that. */
  readonly subscriptionId: number
  readonly cookie: unknown
  readonly channelName: string
  /** Unique in the cluster; 0 for a lost-events event. */
  readonly id: bigint
  readonly patterns: readonly Uint8Array[]
  readonly priority: EventPriority
  readonly retentionMs: number
  readonly publisherName: string
  /** Milliseconds since 1970, by the clock of the publisher's node. */
  readonly publishTimeMs: number
  /** Holds the whole message that it came with in memory: copy what is to be kept for long. */
  readonly data: Uint8Array
  /**
   * 0; in a lost-events event how many events of the channel this subscription may have missed at this place. Such an
   * event has the pattern {@link LOST_EVENT_PATTERN}, the highest priority and no data, and no filter keeps it back.
   */
  readonly lost: number
}

/** What the library knows of the subscription. */
export interface DeliveredTo {
  readonly subscriptionId: number
  readonly cookie: unknown
  readonly channelName: string
}

/** Reads a record when it is asked for: most subscribers look at little of it. */
class RecordEvent implements DeliveredEvent {
  readonly subscriptionId: number
  readonly cookie: unknown
  readonly channelName: string
  readonly #records: Records
  readonly #at: number

  constructor(records: Records, at: number, to: DeliveredTo) {
    this.#records = records
    this.#at = at
    this.subscriptionId = to.subscriptionId
    this.cookie = to.cookie
    this.channelName = to.channelName
  }

  get id(): bigint {
    return eventIdOf(this.#records.node(this.#at), this.#records.counter(this.#at))
  }

  get patterns(): readonly Uint8Array[] {
    return this.lost > 0 ? [LOST_EVENT_PATTERN] : this.#records.patterns(this.#at)
  }

  get priority(): EventPriority {
    return this.#records.priority(this.#at) as EventPriority
  }

  get retentionMs(): number {
    return this.#records.retentionMs(this.#at)
  }

  get publisherName(): string {
    return this.#records.publisherName(this.#at)
  }

  get publishTimeMs(): number {
    return this.#records.publishTimeMs(this.#at)
  }

  get data(): Uint8Array {
    return this.#records.data(this.#at)
  }

  get lost(): number {
    const isLost = this.#records.kind(this.#at) === RECORD_KIND.lost
    return isLost ? this.#records.sequence(this.#at) : 0
  }
}

/** The event of a record. */
export function deliveredEvent(records: Records, at: number, to: DeliveredTo): DeliveredEvent {
  return new RecordEvent(records, at, to)
}
