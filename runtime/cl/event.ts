import {
  CL_CID,
  CL_ERR,
  CL_OK,
  CL_PRIVATE_ERR,
  type ClRcT,
  isSdkError,
  rcOf,
  SdkError,
} from '../../idl/index.ts'
import type { RuleExpression } from '../basic/rule/expression.ts'
import type { EventChannel, EventFilter } from '../services/event/channel.ts'
import type { ChannelFlag, EventHandle } from '../services/event/client.ts'
import type { DeliveredEvent, EventPriority } from '../services/event/delivered-event.ts'
import { given } from './library.ts'
import { boundApp, rcOfLibrary, type ClOut } from './process.ts'

/** Flags, priorities and filters of the event service. SAFplus, section 15. */
export const CL_EVENT_LOCAL_CHANNEL = 0x0
export const CL_EVENT_GLOBAL_CHANNEL = 0x1
export const CL_EVENT_CHANNEL_SUBSCRIBER = 0x2
export const CL_EVENT_CHANNEL_PUBLISHER = 0x4
export const CL_EVENT_CHANNEL_CREATE = 0x8
export const CL_EVENT_HIGHEST_PRIORITY = 0
export const CL_EVENT_LOWEST_PRIORITY = 3
export const CL_EVENT_PREFIX_FILTER = 1
export const CL_EVENT_SUFFIX_FILTER = 2
export const CL_EVENT_EXACT_FILTER = 3
export const CL_EVENT_PASS_ALL_FILTER = 4
export const CL_EVENT_NON_ZERO_FILTER = 5

const FLAGS: ReadonlyMap<number, ChannelFlag> = new Map([
  [CL_EVENT_GLOBAL_CHANNEL, 'GLOBAL'],
  [CL_EVENT_CHANNEL_SUBSCRIBER, 'SUBSCRIBER'],
  [CL_EVENT_CHANNEL_PUBLISHER, 'PUBLISHER'],
  [CL_EVENT_CHANNEL_CREATE, 'CREATE'],
])
const FILTERS: ReadonlyMap<number, EventFilter['type']> = new Map([
  [CL_EVENT_PREFIX_FILTER, 'PREFIX'],
  [CL_EVENT_SUFFIX_FILTER, 'SUFFIX'],
  [CL_EVENT_EXACT_FILTER, 'EXACT'],
  [CL_EVENT_PASS_ALL_FILTER, 'PASS_ALL'],
  [CL_EVENT_NON_ZERO_FILTER, 'NON_ZERO'],
])
const NS_PER_MS = 1_000_000n

/** One user of the library: what `clEventInitialize` gives. */
export type ClEventInitHandleT = EventHandle
/** An open channel. */
export type ClEventChannelHandleT = EventChannel

/** Handles of this thread that are not finalized. */
const USERS = new Set<EventHandle>()
/** Channels that were opened here. */
const CHANNELS = new WeakSet<EventChannel>()
/** Those that were closed: their events are of no use any more. */
const CLOSED = new WeakSet<EventChannel>()

/** What an event says of itself; times in nanoseconds. */
export interface ClEventAttributesT {
  patterns: readonly Uint8Array[]
  priority: number
  retentionTime: bigint
  publisherName: string
  /** Since 1970. 0 before it was published. */
  publishTime: bigint
  eventId: bigint
}

/** An event that is going to be published, or was delivered. */
export class ClEventHandleT {
  /** @internal */ readonly channel: EventChannel | null
  /** @internal */ readonly delivered: DeliveredEvent | null
  /** @internal */ attributes: ClEventAttributesT
  /** @internal */ isFree = false

  /** @internal */
  constructor(from: { channel: EventChannel } | { delivered: DeliveredEvent }) {
    this.channel = 'channel' in from ? from.channel : null
    this.delivered = 'delivered' in from ? from.delivered : null
    const event = this.delivered
    this.attributes = {
      patterns: event?.patterns ?? [],
      priority: event?.priority ?? CL_EVENT_LOWEST_PRIORITY,
      retentionTime: BigInt(event?.retentionMs ?? 0) * NS_PER_MS,
      publisherName: event?.publisherName ?? '',
      publishTime: BigInt(event?.publishTimeMs ?? 0) * NS_PER_MS,
      eventId: event?.id ?? 0n,
    }
  }
}

export interface ClEventCallbacksT {
  readonly clEvtChannelOpenCallback?: (
    invocation: number,
    channel: EventChannel | null,
    rc: ClRcT,
  ) => void
  readonly clEvtEventDeliverCallback?: (
    subscriptionId: number,
    event: ClEventHandleT,
    eventDataSize: number,
  ) => void
}

/** `app.event.initialize`. */
export function clEventInitialize(
  out: ClOut<EventHandle | undefined>,
  callbacks: ClEventCallbacksT | null,
  version: string | null,
): ClRcT {
  return run(() => {
    const { clEvtChannelOpenCallback: opened, clEvtEventDeliverCallback: deliver } = callbacks ?? {}
    if (isNone(out) || isNone(version)) throw invalid('handle and version')
    const app = boundApp()
    if (app === undefined) throw new SdkError('NOT_INITIALIZED', 'this thread has no EO')
    const user = app.event.initialize(
      {
        ...(opened !== undefined && {
          channelOpen: ({ invocation, channel, error }) => {
            if (channel !== null) CHANNELS.add(channel)
            opened(invocation, channel, error === null ? CL_OK : rcOfEvents(error))
          },
        }),
        ...(deliver !== undefined && {
          deliver: (event) => {
            const { subscriptionId, data } = event
            deliver(subscriptionId, new ClEventHandleT({ delivered: event }), data.length)
          },
        }),
      },
      version,
    )
    USERS.add(user)
    out.value = user
  })
}

/** `handle.finalize`. */
export function clEventFinalize(evtHandle: EventHandle): Promise<ClRcT> {
  return wait(async () => {
    await userOf(evtHandle).finalize()
    USERS.delete(evtHandle)
  })
}

/** `handle.channelOpen`; the time-out is in nanoseconds. */
export function clEventChannelOpen(
  evtHandle: EventHandle,
  name: string,
  flags: number,
  timeout: bigint,
  out: ClOut<EventChannel | undefined>,
): Promise<ClRcT> {
  return wait(async () => {
    const user = userOf(evtHandle)
    const request = requestOf(name, flags)
    if (isNone(out)) throw invalid('channelHandle')
    const timeoutMs = Number(timeout / NS_PER_MS)
    const limit = timeoutMs > 0 ? { timeoutMs: Math.min(timeoutMs, 600_000) } : {}
    out.value = await user.channelOpen({ ...request, ...limit })
    CHANNELS.add(out.value)
  })
}

/** `handle.channelOpenAsync`. */
export function clEventChannelOpenAsync(
  evtHandle: EventHandle,
  invocation: number,
  name: string,
  flags: number,
): ClRcT {
  return run(() => {
    userOf(evtHandle).channelOpenAsync({ invocation, ...requestOf(name, flags) })
  })
}

/** `channel.close`. */
export function clEventChannelClose(channel: EventChannel): Promise<ClRcT> {
  return wait(async () => {
    await channelOf(channel).close()
    CLOSED.add(channel)
  })
}

/** `handle.channelUnlink`: of the global channel with that name, else of the local one. */
export function clEventChannelUnlink(evtHandle: EventHandle, name: string): Promise<ClRcT> {
  return wait(async () => {
    const user = userOf(evtHandle)
    given('channelName', name)
    try {
      await user.channelUnlink(name, 'GLOBAL')
    } catch (error) {
      if (!isSdkError(error, 'NOT_EXIST')) throw error
      await user.channelUnlink(name, 'LOCAL')
    }
  })
}

/** An event to be published on the channel. */
export function clEventAllocate(
  channel: EventChannel,
  out: ClOut<ClEventHandleT | undefined>,
): ClRcT {
  return run(() => {
    const on = channelOf(channel)
    if (isNone(out)) throw invalid('eventHandle')
    if (!on.isPublisher) {
      throw new SdkError('NOT_OPENED_FOR_PUBLISH', `${on.name}: open it with PUBLISHER to publish`)
    }
    out.value = new ClEventHandleT({ channel: on })
  })
}

/** The event is not used any more. */
export function clEventFree(event: ClEventHandleT): ClRcT {
  return run(() => {
    if (event instanceof ClEventHandleT && !event.isFree) event.isFree = true
    else throw badHandle('it is no event, or it was freed')
  })
}

/** Times in nanoseconds. */
export function clEventAttributesSet(
  event: ClEventHandleT,
  patterns: readonly Uint8Array[] | null,
  priority: EventPriority,
  retentionTime: bigint,
  publisherName: string,
): ClRcT {
  return run(() => {
    const known = eventOf(event)
    if (!Number.isInteger(priority) || priority < 0 || priority > CL_EVENT_LOWEST_PRIORITY) {
      throw invalid('priority')
    }
    known.attributes = {
      ...known.attributes,
      patterns: patterns ?? [],
      priority,
      retentionTime,
      publisherName,
    }
  })
}

/** @param patternsMax - patterns for which the caller has room; NO_SPACE when there are more. */
export function clEventAttributesGet(
  event: ClEventHandleT,
  patternsMax: number,
  out: ClOut<ClEventAttributesT | undefined>,
): ClRcT {
  return run(() => {
    const { attributes } = eventOf(event)
    if (isNone(out)) throw invalid('attributes')
    if (attributes.patterns.length > patternsMax) {
      throw new SdkError('NO_SPACE', `there are ${attributes.patterns.length} patterns`)
    }
    out.value = attributes
  })
}

/** Data of a delivered event, into `buffer`. */
export function clEventDataGet(
  event: ClEventHandleT,
  buffer: Uint8Array,
  size: ClOut<number>,
): ClRcT {
  return run(() => {
    const { data } = deliveredOf(event)
    if (isNone(buffer) || isNone(size)) throw invalid('buffer and size')
    size.value = data.length
    if (buffer.length < data.length) {
      throw new SdkError('NO_SPACE', `the data has ${data.length} bytes`)
    }
    buffer.set(data)
  })
}

/** What was given with the subscription. */
export function clEventCookieGet(event: ClEventHandleT, out: ClOut<unknown>): ClRcT {
  return run(() => {
    const { cookie } = deliveredOf(event)
    if (isNone(out)) throw invalid('cookie')
    out.value = cookie
  })
}

/** `channel.publish` of the first `size` bytes; the same event may be published again. */
export function clEventPublish(
  event: ClEventHandleT,
  data: Uint8Array | null,
  size: number,
  eventId: ClOut<bigint>,
): Promise<ClRcT> {
  return wait(async () => {
    if (USERS.size > 0 && isNone(event)) throw invalid('eventHandle')
    const known = eventOf(event)
    if (isNone(eventId)) throw invalid('eventId')
    if (!(size >= 0 && size <= (data?.length ?? 0))) throw invalid('size')
    if (known.channel === null) throw new SdkError('INVALID_HANDLE', 'it was delivered to here')
    const { patterns, priority, retentionTime, publisherName } = known.attributes
    known.attributes.eventId = await known.channel.publish({
      patterns,
      priority: priority as EventPriority,
      retentionMs: Number(retentionTime / NS_PER_MS),
      publisherName,
      ...(!isNone(data) && { data: data.subarray(0, size) }),
    })
    eventId.value = known.attributes.eventId
  })
}

/** `channel.subscribe`. */
export function clEventSubscribe(
  channel: EventChannel,
  filters: readonly { readonly filterType: number; readonly filter?: Uint8Array }[] | null,
  subscriptionId: number,
  cookie?: unknown,
): Promise<ClRcT> {
  return wait(() => {
    const wanted = (filters ?? []).map(({ filterType, filter }) => {
      const type = FILTERS.get(filterType)
      if (type === undefined) throw invalid(`filter type ${filterType}`)
      return { type, ...(filter !== undefined && { pattern: filter }) }
    })
    return channelOf(channel).subscribe({ subscriptionId, filters: wanted, cookie })
  })
}

/** `channel.unsubscribe`. */
export function clEventUnsubscribe(channel: EventChannel, subscriptionId: number): Promise<ClRcT> {
  return wait(() => channelOf(channel).unsubscribe(subscriptionId))
}

/** `channel.retentionTimeClear`. */
export function clEventRetentionTimeClear(channel: EventChannel, eventId: bigint): Promise<ClRcT> {
  return wait(() => channelOf(channel).retentionTimeClear(eventId))
}

/** Subscribes to events of one type, which is their only pattern. */
export function clEventExtSubscribe(
  channel: EventChannel,
  eventType: number,
  subscriptionId: number,
  cookie?: unknown,
): Promise<ClRcT> {
  const filter = wordOf(eventType)
  return clEventSubscribe(
    channel,
    [{ filterType: CL_EVENT_EXACT_FILTER, filter }],
    subscriptionId,
    cookie,
  )
}

/** Subscribes with a rule over the patterns; an event type is one word. */
export function clEventExtWithRbeSubscribe(
  channel: EventChannel,
  rule: RuleExpression,
  subscriptionId: number,
  cookie?: unknown,
): Promise<ClRcT> {
  return wait(() =>
    channelOf(channel).subscribe({ subscriptionId, rule: given('rule', rule), cookie }),
  )
}

/** As `clEventAttributesSet`, with an event type for its only pattern. */
export function clEventExtAttributesSet(
  event: ClEventHandleT,
  eventType: number,
  priority: EventPriority,
  retentionTime: bigint,
  publisherName: string,
): ClRcT {
  const patterns = [wordOf(eventType)]
  return clEventAttributesSet(event, patterns, priority, retentionTime, publisherName)
}

/** INVALID_PARAMETER for an event whose only pattern is no type. */
export function clEventExtAttributesGet(
  event: ClEventHandleT,
  eventType: ClOut<number>,
  out: ClOut<ClEventAttributesT | undefined>,
): ClRcT {
  return run(() => {
    const { attributes } = eventOf(event)
    const [pattern, more] = attributes.patterns
    if (pattern?.length !== 4 || more !== undefined) throw invalid('the event has no type')
    eventType.value = new DataView(pattern.buffer, pattern.byteOffset).getUint32(0, true)
    out.value = attributes
  })
}

/** Little-endian, as rules read the words of patterns. */
function wordOf(eventType: number): Uint8Array {
  const pattern = new Uint8Array(4)
  new DataView(pattern.buffer).setUint32(0, eventType, true)
  return pattern
}

function requestOf(name: string, flags: number): { name: string; flags: ChannelFlag[] } {
  given('channelName', name)
  const known = [...FLAGS].flatMap(([bit, flag]) => ((flags & bit) === 0 ? [] : flag))
  const all = [...FLAGS.keys()].reduce((sum, bit) => sum | bit, 0)
  if ((flags & ~all) !== 0) throw new SdkError('BAD_FLAG', `${flags} has an unknown flag`)
  return { name, flags: known }
}

function userOf(evtHandle: EventHandle): EventHandle {
  if (USERS.has(evtHandle)) return evtHandle
  throw badHandle('it is no handle, or it was finalized')
}

/** Closed ones too: they say so themselves. */
function channelOf(channel: EventChannel): EventChannel {
  if (!isNone(channel) && CHANNELS.has(channel) && USERS.size > 0) return channel
  throw badHandle('it is no channel')
}

function eventOf(event: ClEventHandleT): ClEventHandleT {
  const isUsable = event instanceof ClEventHandleT && !event.isFree && USERS.size > 0
  if (!isUsable) throw badHandle('it is no event, or it was freed')
  const { channel } = event
  if (channel === null || !CLOSED.has(channel)) return event
  throw new SdkError('CHANNEL_NOT_OPENED', `the channel ${channel.name} was closed`)
}

function badHandle(why: string): SdkError {
  if (USERS.size > 0) return new SdkError('INVALID_HANDLE', why)
  return new SdkError('NOT_INITIALIZED', 'call clEventInitialize first')
}

function deliveredOf(event: ClEventHandleT): DeliveredEvent {
  const { delivered } = eventOf(event)
  if (delivered !== null) return delivered
  throw new SdkError('INVALID_HANDLE', 'the event was not delivered to here')
}

/** Programs without types leave things out. */
function isNone(value: unknown): value is null | undefined {
  return value === null || value === undefined
}

function invalid(what: string): SdkError {
  return new SdkError('INVALID_PARAMETER', `${what}: missing or wrong`)
}

/** The original's own codes for what other libraries have common ones for. */
const { EVENTS } = CL_PRIVATE_ERR
const OWN: ReadonlyMap<string, number> = new Map([
  ['NOT_INITIALIZED', EVENTS.INIT_NOT_DONE],
  ['INVALID_PARAMETER', EVENTS.INVALID_PARAM],
  ['BAD_FLAG', EVENTS.BAD_FLAGS],
  ['INVALID_HANDLE', EVENTS.BAD_HANDLE],
  ['NULL_POINTER', EVENTS.NULL_PTR],
  ['NO_CALLBACK', EVENTS.NULL_PTR],
  ['NO_SPACE', EVENTS.NO_SPACE],
  ['VERSION_MISMATCH', EVENTS.VERSION],
  ['NO_RESOURCE', EVENTS.NO_RESOURCE],
  ['TOO_BIG', CL_ERR.TOO_BIG],
])

function rcOfEvents(error: unknown): ClRcT {
  const own = isSdkError(error) ? OWN.get(error.code) : undefined
  return own === undefined ? rcOfLibrary(CL_CID.EVENTS, error) : rcOf(CL_CID.EVENTS, own)
}

function run(step: () => void): ClRcT {
  try {
    step()
    return CL_OK
  } catch (error) {
    return rcOfEvents(error)
  }
}

async function wait(step: () => Promise<void>): Promise<ClRcT> {
  try {
    await step()
    return CL_OK
  } catch (error) {
    return rcOfEvents(error)
  }
}
