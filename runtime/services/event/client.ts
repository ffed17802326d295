import { isSdkError, SdkError } from '../../../idl/index.ts'
import { type LibraryContext, pushTable, type ServiceLibrary } from '../service.ts'
import { negotiateVersion } from '../version.ts'
import {
  Channel,
  type DeliveryTarget,
  type EventChannel,
  type EventServiceClient,
} from './channel.ts'
import { deliveredEvent, type DeliveredEvent } from './delivered-event.ts'
import { type ChannelScope, EventPush, EventService } from './interface.ts'
import { Records } from './record.ts'

const CALL_TIMEOUT_MS = 15_000
const OPEN_TIMEOUT_MS = 10_000
/** The answer comes a little after the time within which the node does it. */
const ANSWER_MS = 2_000

export const CHANNEL_FLAGS = ['GLOBAL', 'SUBSCRIBER', 'PUBLISHER', 'CREATE'] as const
/**
 * GLOBAL: the channel of all nodes with this name, else that of the own node. SUBSCRIBER, PUBLISHER: what it is opened
 * for, one of them at least. CREATE: it is made when there is none. SAFplus, section 15.
 */
export type ChannelFlag = (typeof CHANNEL_FLAGS)[number]

/** What a handle is told. */
export interface EventCallbacks {
  /**
   * An event for a subscription, one after the other; the next one comes when the promise that this returned is
   * settled. What waits meanwhile is bounded: see `DeliveredEvent.lost`.
   */
  readonly deliver?: (event: DeliveredEvent) => void | Promise<void>
  /** The end of `channelOpenAsync`. */
  readonly channelOpen?: (answer: ChannelOpenAnswer) => void
}

/** Either `channel` or `error` is null. */
export interface ChannelOpenAnswer {
  readonly invocation: number
  readonly channel: EventChannel | null
  readonly error: SdkError | null
}

/** Which channel is opened, and what for. */
export interface ChannelOpenRequest {
  readonly name: string
  readonly flags: readonly ChannelFlag[]
  /** @defaultValue 10 s */
  readonly timeoutMs?: number
}

/**
 * The event service, `clEvent...` of the original: publishers and subscribers of a channel that do not know each other.
 * SAFplus, section 15. Switched on by the flag `event` of `clEoClientLibs`.
 */
export interface EventClient {
  /**
   * Opens a handle; there may be several.
   * @throws SdkError VERSION_MISMATCH with the supported one in its context.
   */
  initialize(callbacks?: EventCallbacks, version?: string): EventHandle
}

/** One user of the service in this program. Every function throws INVALID_HANDLE after `finalize`. */
export interface EventHandle {
  readonly version: string
  /**
   * Opens a channel. Once it is open to subscribe, every event that is published anywhere comes to those who subscribe.
   * @throws SdkError BAD_FLAG; INVALID_PARAMETER for the name; NOT_EXIST without CREATE; CHANNEL_ALREADY_OPENED with
   * this handle; NO_RESOURCE; TIMEOUT.
   */
  channelOpen(request: ChannelOpenRequest): Promise<EventChannel>
  /**
   * The same, answered by the callback `channelOpen`.
   * @throws SdkError NO_CALLBACK; BAD_FLAG.
   */
  channelOpenAsync(request: ChannelOpenRequest & { readonly invocation: number }): void
  /**
   * The name is free from now on; the channel goes, with what it retains, when nobody has it open any more.
   * @throws SdkError NOT_EXIST. @defaultValue GLOBAL
   */
  channelUnlink(name: string, scope?: ChannelScope): Promise<void>
  /** Closes the channels that were opened with this handle. */
  finalize(): Promise<void>
}

/** The side of the event service in a component, or in another program. */
export function eventLibrary(context: LibraryContext): ServiceLibrary<EventClient> {
  const events = new Events(context)
  return {
    client: events,
    pushes: [
      pushTable(EventPush, {
        deliver: async (message) => {
          await events.receive(message)
          return {}
        },
      }),
    ],
    // What the program has open goes with its connection.
    close: () => Promise.resolve(),
  }
}

interface Delivery {
  readonly batch: number
  readonly runs: readonly { readonly count: number; readonly subscriptions: readonly number[] }[]
  readonly records: Uint8Array
}

class Events implements EventClient {
  readonly service: EventServiceClient
  readonly #context: LibraryContext
  /** By the numbers under which the node knows the subscriptions. */
  readonly #subscriptions = new Map<number, DeliveryTarget>()
  #last: { readonly batch: number; readonly done: Promise<void> } | null = null
  #nextNumber = 1

  constructor(context: LibraryContext) {
    this.#context = context
    this.service = context.rmd.client(EventService, {
      to: context.agent,
      timeoutMs: CALL_TIMEOUT_MS,
    })
  }

  initialize(callbacks: EventCallbacks = {}, version: string = EventService.version): EventHandle {
    const negotiated = negotiateVersion('event.initialize', version, EventService.version)
    return new Handle(this, callbacks, negotiated)
  }

  /** A number that this program has not used yet. */
  number(): number {
    return this.#nextNumber++
  }

  watch(number: number, target: DeliveryTarget): void {
    this.#subscriptions.set(number, target)
  }

  unwatch(number: number): void {
    this.#subscriptions.delete(number)
  }

  /** Resolves when the callbacks are done; a message that comes again waits for the same. */
  receive(message: Delivery): Promise<void> {
    if (this.#last?.batch !== message.batch) {
      this.#last = { batch: message.batch, done: this.#deliver(message) }
    }
    return this.#last.done
  }

  async #deliver({ runs, records: bytes }: Delivery): Promise<void> {
    const records = new Records(bytes)
    let at = 0
    for (const { count, subscriptions } of runs) {
      for (let i = 0; i < count; i += 1) {
        for (const number of subscriptions) {
          const done = this.#deliverOne(number, records, at)
          if (done instanceof Promise) await done
        }
        at = records.after(at)
      }
    }
  }

  /** What was unsubscribed meanwhile is dropped. */
  #deliverOne(number: number, records: Records, at: number): void | Promise<void> {
    const target = this.#subscriptions.get(number)
    if (target === undefined) return undefined
    try {
      const done = target.deliver(deliveredEvent(records, at, target.to))
      return done instanceof Promise ? this.#logged(done, target) : undefined
    } catch (err) {
      return this.#failed(err, target)
    }
  }

  async #logged(done: Promise<void>, target: DeliveryTarget): Promise<void> {
    try {
      await done
    } catch (err) {
      this.#failed(err, target)
    }
  }

  #failed(err: unknown, { to: { channelName: channel } }: DeliveryTarget): void {
    this.#context.log.error({ err, channel }, 'a callback of events failed')
  }
}

class Handle implements EventHandle {
  readonly version: string
  readonly #events: Events
  readonly #callbacks: EventCallbacks
  /** By scope and name; null while it is being opened. */
  readonly #channels = new Map<string, Channel | null>()
  #isOpen = true

  constructor(events: Events, callbacks: EventCallbacks, version: string) {
    this.#events = events
    this.#callbacks = callbacks
    this.version = version
  }

  async channelOpen(request: ChannelOpenRequest): Promise<EventChannel> {
    this.#check()
    const { name, flags, timeoutMs = OPEN_TIMEOUT_MS } = request
    checkFlags(flags)
    const scope = flags.includes('GLOBAL') ? 'GLOBAL' : 'LOCAL'
    const key = `${scope} ${name}`
    if (this.#channels.has(key)) {
      throw new SdkError('CHANNEL_ALREADY_OPENED', `${name} is open with this handle`)
    }
    this.#channels.set(key, null)
    const open = this.#events.number()
    try {
      const node = this.#events.service
      const [isSubscriber, isPublisher] = [
        flags.includes('SUBSCRIBER'),
        flags.includes('PUBLISHER'),
      ]
      const create = flags.includes('CREATE')
      const wanted = { open, name, scope, create, isSubscriber, isPublisher, timeoutMs } as const
      await node.channelOpen(wanted, { timeoutMs: timeoutMs + ANSWER_MS })
      const channel = new Channel({
        open,
        name,
        scope,
        isSubscriber,
        isPublisher,
        events: this.#events,
        deliver: this.#callbacks.deliver ?? null,
        onClosed: () => this.#channels.delete(key),
      })
      if (!this.#isOpen) {
        await channel.close()
        this.#check()
      }
      this.#channels.set(key, channel)
      return channel
    } catch (error) {
      this.#channels.delete(key)
      throw error
    }
  }

  channelOpenAsync(request: ChannelOpenRequest & { readonly invocation: number }): void {
    this.#check()
    const { channelOpen } = this.#callbacks
    if (channelOpen === undefined) {
      throw new SdkError('NO_CALLBACK', 'give the callback channelOpen to initialize')
    }
    checkFlags(request.flags)
    const { invocation } = request
    void this.channelOpen(request).then(
      (channel) => channelOpen({ invocation, channel, error: null }),
      (error: unknown) => channelOpen({ invocation, channel: null, error: error as SdkError }),
    )
  }

  async channelUnlink(name: string, scope: ChannelScope = 'GLOBAL'): Promise<void> {
    this.#check()
    await this.#events.service.channelUnlink({ name, scope })
  }

  async finalize(): Promise<void> {
    this.#check()
    this.#isOpen = false
    for (const channel of [...this.#channels.values()]) {
      await channel?.close().catch((error: unknown) => {
        if (!isSdkError(error, 'CHANNEL_NOT_OPENED')) throw error
      })
    }
  }

  #check(): void {
    if (this.#isOpen) return
    throw new SdkError('INVALID_HANDLE', 'the handle was finalized: initialize another one')
  }
}

function checkFlags(flags: readonly ChannelFlag[]): void {
  const unknown = flags.find((flag) => !CHANNEL_FLAGS.includes(flag))
  if (unknown !== undefined) {
    throw new SdkError('BAD_FLAG', `${unknown} is no flag: ${CHANNEL_FLAGS.join(', ')}`)
  }
  if (flags.includes('SUBSCRIBER') || flags.includes('PUBLISHER')) return
  throw new SdkError('BAD_FLAG', 'flags: give SUBSCRIBER, PUBLISHER or both')
}
