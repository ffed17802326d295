import { SdkError } from '../../../idl/index.ts'
import type { IocLog } from '../../../ioc/index.ts'
import { type Activation, openActivation } from './activation.ts'
import {
  CONN,
  type GROUP,
  isEventClass,
  MEMB,
  MEMB_SPECIAL,
  OC_EV_CONSTANTS,
  type OcEvClass,
} from './descriptor.ts'
import type { OcEvConnectivity, OcEvData, OcEvGroup, OcEvMembership } from './interface.ts'
import { frozen, revocable } from './revocable.ts'

/** Data of each class. */
export interface OcEvDataOf {
  readonly [CONN]: OcEvConnectivity
  readonly [MEMB]: OcEvMembership
  readonly [GROUP]: OcEvGroup
}

/**
 * A callback: the event's descriptor; the cookie of this invocation; the size of the data in bytes; the data, read-only
 * and valid until `callbackDone`, null where the event has none. What it returns is not looked at; what it throws is
 * logged, and completes the event.
 */
export type OcEvCallback<C extends OcEvClass = OcEvClass> = (
  event: number,
  cookie: OcEvCookie,
  size: number,
  data: OcEvDataOf[C] | null,
) => unknown

/** One registration. Made by `ocEv.register`; the functions of `ocEv` take it. */
export interface OcEvHandle {
  /** Number of the node whose service it is registered with. */
  readonly nodeId: number
}

/** Names one invocation of a callback, once. */
export interface OcEvCookie {
  readonly handle: OcEvHandle
}

/** An event as a handle gets it. */
export interface OfferedEvent {
  readonly sequence: number
  readonly descriptor: number
  readonly eventClass: number
  readonly sizeBytes: number
  /** A copy of its own each time. */
  decode(): OcEvData | null
  /** Nothing follows: the service ended. */
  readonly isLast: boolean
}

/** What a handle needs of the session that it belongs to. */
export interface HandleOwner {
  readonly nodeId: number
  /** Takes data back at completion. */
  readonly isChecked: boolean
  readonly log: Pick<IocLog, 'warn'>
  activated(handle: EventHandle, initial: readonly number[]): void
  wanted(handle: EventHandle, eventClass: number, priority: number | null): void
  started(handle: EventHandle, sequence: number): void
  completed(handle: EventHandle, sequence: number): void
  left(handle: EventHandle): void
}

interface Callback {
  readonly priority: number
  readonly run: OcEvCallback
}

type State = 'registered' | 'active' | 'closing' | 'closed' | 'ended'

/** @internal */
export class Cookie implements OcEvCookie {
  readonly handle: EventHandle
  readonly #complete: (cookie: Cookie) => void

  constructor(handle: EventHandle, complete: (cookie: Cookie) => void) {
    this.handle = handle
    this.#complete = complete
  }

  /** @throws SdkError NOT_EXIST when it was used, or its handle has gone. */
  complete(): void {
    this.#complete(this)
  }
}

/**
 * One registration of a program. OCF events, draft 0.1, section 3.
 *
 * I1 At most one event is offered to it, or under way in it, at a time. I2 Its callbacks run one inside of no other. I3
 * What it leaves open when it is unregistered outside of its callbacks is complete.
 * @internal
 */
export class EventHandle implements OcEvHandle {
  readonly number: number
  readonly #owner: HandleOwner
  readonly #callbacks = new Map<OcEvClass, Callback>()
  #state: State = 'registered'
  #activation: Activation | null = null
  #offered: OfferedEvent | null = null
  #current: { readonly cookie: Cookie; readonly revoke: () => void } | null = null
  #isInCallback = false
  /** Memberships without quorum are reported too. */
  #isSpecial = false

  constructor(number: number, owner: HandleOwner) {
    this.number = number
    this.#owner = owner
  }

  get nodeId(): number {
    return this.#owner.nodeId
  }

  get isActive(): boolean {
    return this.#state === 'active'
  }

  /** Priority of each class that has a callback, as the node knows it. */
  get priorities(): ReadonlyMap<number, number> {
    return new Map(
      [...this.#callbacks].map(([eventClass, { priority }]) => [this.#inner(eventClass), priority]),
    )
  }

  // --- what the program calls ---

  unregister(): void {
    this.check()
    if (this.#isInCallback && this.#current !== null) {
      this.#state = 'closing'
      return
    }
    this.#close()
  }

  setCallback(priority: number, eventClass: number, run: OcEvCallback | null): void {
    this.#checkOpen()
    if (!Number.isSafeInteger(priority) || priority < 0) {
      throw refusal(`priority ${String(priority)} is not an integer of at least 0`)
    }
    if (!isEventClass(eventClass)) throw refusal(`there is no event class ${String(eventClass)}`)
    if (run !== null && typeof run !== 'function') throw refusal('the callback is no function')
    if (run === null) this.#callbacks.delete(eventClass)
    else this.#callbacks.set(eventClass, { priority, run })
    this.#owner.wanted(this, this.#inner(eventClass), run === null ? null : priority)
    this.#skipUnwanted()
  }

  special(eventClass: number): void {
    this.#checkOpen()
    if (eventClass !== MEMB) {
      const message = `special: class ${String(eventClass)} has no events without quorum`
      throw new SdkError('INVALID_PARAMETER', message)
    }
    if (this.#state === 'active') {
      throw new SdkError('INVALID_STATE', 'special: call it before activate')
    }
    this.#isSpecial = true
  }

  activate(style: number, argument: unknown): void {
    this.#checkOpen()
    if (this.#state === 'active') {
      throw new SdkError('INVALID_STATE', 'activate: the handle is active')
    }
    if (this.#callbacks.size === 0) {
      throw new SdkError('NO_CALLBACK', 'activate: set a callback first')
    }
    this.#activation = openActivation(style, argument, {
      hasPending: () => this.#offered !== null,
      drain: () => this.#drain(),
      warn: (message) => this.#owner.log.warn({ handle: this.number }, message),
    })
    this.#state = 'active'
    this.#owner.activated(
      this,
      ([CONN, MEMB] as const)
        .filter((one) => this.#callbacks.has(one))
        .map((one) => this.#inner(one)),
    )
  }

  handleEvent(): void | Promise<number> {
    this.#checkOpen()
    if (this.#activation === null) {
      throw new SdkError('INVALID_STATE', 'handleEvent: activate the handle first')
    }
    if (this.#isInCallback) {
      throw new SdkError('INVALID_STATE', 'handleEvent: called by a callback of the same handle')
    }
    return this.#activation.handleEvent()
  }

  /** @throws SdkError INVALID_HANDLE after unregister. */
  check(): void {
    if (this.#state === 'closed' || this.#state === 'closing') {
      throw new SdkError('INVALID_HANDLE', 'the handle is unregistered')
    }
  }

  /** What a callback did not see to. */
  failed(err: unknown, event: number): void {
    this.#owner.log.warn({ err, event }, 'a callback of cluster events failed')
  }

  // --- what the session calls ---

  /** The next event for it. */
  offer(event: OfferedEvent): void {
    this.#offered = event
    this.#skipUnwanted()
    if (this.#offered === null || this.#isInCallback) return
    // Not inside of whoever completed the event before.
    queueMicrotask(() => {
      if (this.#offered === event) this.#activation?.notify()
    })
  }

  /** Nothing comes any more, and nothing is left. */
  ended(): void {
    if (this.#state === 'closed') return
    this.#state = 'ended'
    this.#activation?.end(OC_EV_CONSTANTS.OC_FAILURE)
  }

  /** The class by which the node gives out its events. */
  #inner(eventClass: OcEvClass): number {
    return eventClass === MEMB && this.#isSpecial ? MEMB_SPECIAL : eventClass
  }

  #checkOpen(): void {
    this.check()
    if (this.#state === 'ended') {
      const message = 'the event service of the node has ended: unregister, and register again'
      throw new SdkError('NOT_INITIALIZED', message)
    }
  }

  #drain(): void {
    while (this.#offered !== null && this.#state === 'active' && !this.#isInCallback) {
      this.#invoke(this.#offered)
    }
  }

  #invoke(event: OfferedEvent): void {
    const callback = this.#callbacks.get(event.eventClass as OcEvClass)
    this.#offered = null
    const { value, revoke } = this.#dataOf(event)
    const cookie = new Cookie(this, (used) => this.#complete(used, event))
    this.#current = { cookie, revoke }
    this.#isInCallback = true
    try {
      this.#owner.started(this, event.sequence)
      callback?.run(event.descriptor, cookie, event.sizeBytes, value as never)
    } catch (err) {
      this.failed(err, event.descriptor)
      if (this.#current?.cookie === cookie) cookie.complete()
    } finally {
      this.#isInCallback = false
    }
  }

  #dataOf(event: OfferedEvent): { readonly value: OcEvData | null; revoke(): void } {
    const data = event.decode()
    if (this.#owner.isChecked) return revocable(data)
    return { value: frozen(data), revoke: () => undefined }
  }

  #complete(cookie: Cookie, event: OfferedEvent): void {
    if (this.#current?.cookie !== cookie) {
      throw new SdkError('NOT_EXIST', 'callbackDone: the cookie was used, or its handle is gone')
    }
    this.#current.revoke()
    this.#current = null
    if (this.#state === 'closing') return this.#close()
    this.#owner.completed(this, event.sequence)
    if (event.isLast) this.ended()
  }

  /** An event that waits for a callback that is not there any more. */
  #skipUnwanted(): void {
    const event = this.#offered
    if (event === null || this.#callbacks.has(event.eventClass as OcEvClass)) return
    this.#offered = null
    this.#owner.started(this, event.sequence)
    this.#owner.completed(this, event.sequence)
    if (event.isLast) this.ended()
  }

  /** I3. */
  #close(): void {
    this.#state = 'closed'
    this.#current?.revoke()
    this.#current = null
    this.#offered = null
    this.#owner.left(this)
    this.#activation?.end(OC_EV_CONSTANTS.OC_SUCCESS)
  }
}

function refusal(what: string): SdkError {
  return new SdkError('INVALID_PARAMETER', `setCallback: ${what}`)
}
