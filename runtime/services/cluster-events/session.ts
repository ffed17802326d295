import { isSdkError, SdkError } from '../../../idl/index.ts'
import { type IocAddress, type Rmd, systemClock } from '../../../ioc/index.ts'
import { PushIntake } from '../push-queue.ts'
import { EVENT, getClass, MEMB } from './descriptor.ts'
import { EventBarrier } from './event-barrier.ts'
import { EventHandle, type HandleOwner, type OfferedEvent } from './handle.ts'
import {
  CLUSTER_EVENT_LIMITS,
  ClusterEventService,
  eventDataCodec,
  type StreamItem,
} from './interface.ts'

const CALL_TIMEOUT_MS = 10_000
const RETRY_MS = 50

export interface SessionOptions {
  readonly rmd: Pick<Rmd, 'client'>
  readonly agent: IocAddress
  readonly log: HandleOwner['log']
  /** Counts the sessions of this program, from 1. */
  readonly number: number
  readonly isChecked: boolean
}

type EventItem = Extract<StreamItem, { kind: 'event' }>

/**
 * All handles of one program at one node, from the first registration until the service there ends.
 *
 * I1 The node hears the whole of what this program wants and has completed, again and again until nothing is new: one
 * report at a time. I2 A handle is part of the stream from the place that the node says. I3 After its end the events
 * that came before are delivered, then that it ended, then nothing.
 */
export class EventSession implements HandleOwner {
  readonly nodeId: number
  readonly isChecked: boolean
  readonly log: HandleOwner['log']
  readonly #options: SessionOptions
  readonly #barrier = new EventBarrier<OfferedEvent>(1)
  readonly #intake = new PushIntake()
  readonly #handles = new Map<number, EventHandle>()
  /** Handles that are part of the stream. */
  readonly #live = new Set<number>()
  /** The others that shall be, with the classes whose state they are told first. */
  readonly #activating = new Map<
    number,
    { readonly number: number; readonly initial: readonly number[] }
  >()
  #lastActivation = 0
  #lastHandle = 0
  #last = 0
  #isEnded = false
  #isReporting = false
  #reported = ''

  constructor(options: SessionOptions) {
    this.#options = options
    this.nodeId = options.agent.node
    this.isChecked = options.isChecked
    this.log = options.log
  }

  get isEnded(): boolean {
    return this.#isEnded
  }

  get number(): number {
    return this.#options.number
  }

  /** @throws SdkError NO_SPACE for too many. */
  register(): EventHandle {
    const { handleCountMax } = CLUSTER_EVENT_LIMITS
    if (this.#handles.size >= handleCountMax) {
      throw new SdkError('NO_SPACE', `register: ${handleCountMax} handles are there already`)
    }
    const handle = new EventHandle(++this.#lastHandle, this)
    this.#handles.set(handle.number, handle)
    return handle
  }

  // --- what the node tells ---

  receive(first: number, items: readonly StreamItem[]): void {
    for (const item of this.#intake.take(first, items).fresh) {
      if (this.#isEnded) return
      if (item.kind === 'ended') this.end(item.why)
      else if (item.kind === 'active') this.#becomeLive(item.sequence, item.handle)
      else this.#append(item)
    }
    this.#offer()
  }

  /** Nothing comes any more. `evicted`: nor did this program hear everything. */
  end(why: 'shutdown' | 'evicted'): void {
    if (this.#isEnded) return
    this.#isEnded = true
    const descriptor = why === 'shutdown' ? EVENT.serviceShutdown : EVENT.evicted
    for (const handle of this.#handles.values()) {
      if (!handle.isActive) {
        handle.ended()
        continue
      }
      this.#barrier.join(handle.number)
      this.#barrier.append({
        sequence: ++this.#last,
        eventClass: MEMB,
        only: handle.number,
        sizeBytes: 0,
        body: offered({ sequence: this.#last, descriptor, data: null, isLast: true }),
      })
    }
    this.#offer()
  }

  /** I2. */
  #becomeLive(sequence: number, number: number): void {
    this.#last = sequence
    this.#barrier.pass(sequence)
    this.#activating.delete(number)
    const handle = this.#handles.get(number)
    if (handle === undefined) return
    this.#live.add(number)
    this.#barrier.join(number)
    for (const [eventClass, priority] of handle.priorities) {
      this.#barrier.want(number, eventClass, priority)
    }
  }

  #append({ sequence, descriptor, eventClass, handle, data }: EventItem): void {
    this.#last = sequence
    this.#barrier.append({
      sequence,
      eventClass,
      only: handle,
      sizeBytes: data.byteLength,
      body: offered({ sequence, descriptor, data, isLast: false }),
    })
  }

  #offer(): void {
    for (let opened = this.#barrier.takeOpened(); opened.length > 0;) {
      for (const { participant, event } of opened) {
        this.#handles.get(participant)?.offer(event.body)
      }
      opened = this.#barrier.takeOpened()
    }
    void this.#report()
  }

  // --- what the handles tell ---

  activated({ number }: EventHandle, initial: readonly number[]): void {
    this.#activating.set(number, { number: ++this.#lastActivation, initial })
    void this.#report()
  }

  wanted({ number }: EventHandle, eventClass: number, priority: number | null): void {
    if (this.#live.has(number)) this.#barrier.want(number, eventClass, priority)
    void this.#report()
  }

  started({ number }: EventHandle, sequence: number): void {
    this.#barrier.started(number, sequence)
    this.#offer()
  }

  completed({ number }: EventHandle, sequence: number): void {
    this.#barrier.completed(number, sequence)
    this.#offer()
  }

  left({ number }: EventHandle): void {
    this.#handles.delete(number)
    this.#live.delete(number)
    this.#activating.delete(number)
    this.#barrier.leave(number)
    this.#offer()
  }

  // --- what the node is told ---

  /** I1. */
  async #report(): Promise<void> {
    if (this.#isReporting) return
    this.#isReporting = true
    // What one turn changes goes together.
    await Promise.resolve()
    const { rmd, agent, number: session } = this.#options
    const service = rmd.client(ClusterEventService, { to: agent, timeoutMs: CALL_TIMEOUT_MS })
    while (!this.#isEnded) {
      const content = this.#content()
      const text = JSON.stringify(content)
      if (text === this.#reported) break
      try {
        await service.report({ session, ...content })
        this.#reported = text
      } catch (error) {
        if (isSdkError(error, 'NOT_INITIALIZED') || isSdkError(error, 'COMP_UNREACHABLE')) {
          this.end('evicted')
        } else await new Promise<void>((resolve) => systemClock.after(RETRY_MS, resolve))
      }
    }
    this.#isReporting = false
  }

  #content(): {
    completedUpTo: number
    wanted: { eventClass: number; priority: number }[]
    activating: { number: number; handle: number; initial: number[] }[]
  } {
    const best = new Map<number, number>()
    for (const handle of this.#handles.values()) {
      if (!handle.isActive) continue
      for (const [eventClass, priority] of handle.priorities) {
        best.set(eventClass, Math.min(priority, best.get(eventClass) ?? Infinity))
      }
    }
    return {
      completedUpTo: this.#barrier.completedUpTo,
      wanted: [...best].map(([eventClass, priority]) => ({ eventClass, priority })),
      activating: [...this.#activating].map(([handle, { number, initial }]) => {
        return { number, handle, initial: [...initial] }
      }),
    }
  }
}

function offered(event: {
  readonly sequence: number
  readonly descriptor: number
  /** Encoded; empty or null: no data. */
  readonly data: Uint8Array | null
  readonly isLast: boolean
}): OfferedEvent {
  const { sequence, descriptor, data, isLast } = event
  const sizeBytes = data?.byteLength ?? 0
  return {
    sequence,
    descriptor,
    eventClass: getClass(descriptor),
    sizeBytes,
    decode: () => (data === null || sizeBytes === 0 ? null : eventDataCodec.decode(data)),
    isLast,
  }
}
