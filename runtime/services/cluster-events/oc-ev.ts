import { isSdkError, SdkError } from '../../../idl/index.ts'
import { myEo } from '../../eo/my-eo.ts'
import type { OcEvFd, OcEvSignal } from './activation.ts'
import type { ClusterEvents } from './client.ts'
import {
  CONN,
  getClass,
  getEvent,
  GROUP,
  makeDescriptor,
  MEMB,
  OC_EV_CONSTANTS,
  type OcEvClass,
  type OcEvStyle,
} from './descriptor.ts'
import { Cookie, EventHandle } from './handle.ts'
import type { OcEvCallback, OcEvCookie, OcEvHandle } from './handle.ts'
import type { OcEvData } from './interface.ts'

const { OC_SUCCESS, OC_FAILURE, OC_EV_AS_NORETURN, OC_EV_PRIO_MED } = OC_EV_CONSTANTS

/** Version of the draft, and of what serves it. */
export interface OcEvVersion {
  major?: number
  minor?: number
  implementation?: string
}

/** One event of `ocEv.events`. */
export interface OcEvEvent {
  readonly event: number
  readonly size: number
  readonly data: OcEvData | null
}

/** Who has a place to register at: the `App` of a component, or a connection. */
export interface OcEvOwner {
  readonly clusterEvents: ClusterEvents
}

/**
 * The functions of the OCF cluster event notification API, draft 0.1, without their `oc_ev_`. Those that return a
 * number return OC_SUCCESS or OC_FAILURE; `lastError` says why the last one failed.
 */
class OcEv {
  #lastError: SdkError | null = null

  constructor() {
    // Functions may be taken out of it, and handed on.
    for (const [name, { value }] of Object.entries(
      Object.getOwnPropertyDescriptors(OcEv.prototype),
    )) {
      if (typeof value !== 'function' || name === 'constructor') continue
      Object.defineProperty(this, name, { value: (value as () => unknown).bind(this) })
    }
  }

  /** Why the last call that failed did; null while none has. */
  get lastError(): SdkError | null {
    return this.#lastError
  }

  /**
   * Registers with the event service of the local node.
   * @param owner - @defaultValue the component of the calling thread
   * @returns null when there is none, or no node can be heard.
   */
  register(owner?: OcEvOwner): OcEvHandle | null {
    let handle: OcEvHandle | null = null
    this.#attempt(() => {
      const { clusterEvents } = owner ?? (myEo() as Partial<OcEvOwner>)
      if (clusterEvents === undefined) {
        const message =
          'register: this thread does not run the functions of a component: give a connection'
        throw new SdkError('INVALID_STATE', message)
      }
      handle = clusterEvents.register()
    })
    return handle
  }

  /**
   * No callback of the handle is called any more; one that runs ends, and the handle lasts until its `callbackDone`.
   * Called elsewhere, what the handle has not completed is complete. Fails for a handle that is unregistered.
   */
  unregister(handle: OcEvHandle): number {
    return this.#attempt(() => known(handle).unregister())
  }

  /**
   * Sets or replaces the callback of a class, null: none. Takes effect with the next event; events that came while
   * there was none are not kept.
   * @param priority - among the callbacks of this node, nearer to 0 first; equal ones in the order of registration.
   * Between programs it orders only who is told first.
   */
  setCallback<C extends OcEvClass>(
    handle: OcEvHandle,
    priority: number,
    eventClass: C,
    callback: OcEvCallback<C> | null,
  ): number {
    return this.#attempt(() => {
      known(handle).setCallback(priority, eventClass, callback as OcEvCallback | null)
    })
  }

  /**
   * Memberships without quorum are reported to the handle too, as INVALID: who is left while nobody leads. Before
   * `activate`; for the membership class.
   * @param type - not looked at, as in the library that was shipped.
   */
  special(handle: OcEvHandle, eventClass: OcEvClass, type = 0): number {
    void type
    return this.#attempt(() => known(handle).special(eventClass))
  }

  /**
   * Events are delivered from here on; first of all, what is there now: the membership, and connectivity.
   * @param argument - GET_FD: an object whose `fd` is filled; SIGNAL: see {@link OcEvSignal}, SIGUSR2 when left out.
   */
  activate(handle: OcEvHandle, style: OcEvStyle, argument?: OcEvFd | OcEvSignal | null): number {
    return this.#attempt(() => known(handle).activate(style, argument))
  }

  /**
   * Calls the callbacks of what is pending, in order, until nothing is or one did not complete. With NORETURN a promise
   * that settles when the handle is unregistered (OC_SUCCESS) or the service ended (OC_FAILURE). With DIRECT it does
   * nothing. Fails inside of a callback of the same handle, and before activation.
   */
  handleEvent(handle: OcEvHandle): number | Promise<number> {
    let ended: Promise<number> | void = undefined
    const code = this.#attempt(() => {
      ended = known(handle).handleEvent()
    })
    return ended ?? code
  }

  /** Completes one invocation of a callback. Fails, and does nothing, for a cookie that is used or unknown. */
  callbackDone(cookie: OcEvCookie): number {
    return this.#attempt(() => {
      if (cookie instanceof Cookie) return cookie.complete()
      throw new SdkError('NOT_EXIST', 'callbackDone: this is no cookie')
    })
  }

  /** @param version - filled. */
  getVersion(handle: OcEvHandle, version: OcEvVersion): number {
    return this.#attempt(() => {
      known(handle)
      version.major = 0
      version.minor = 1
      version.implementation = 'Holdfast'
    })
  }

  /** @returns whether the handle's service is on this node. @throws SdkError INVALID_HANDLE. */
  isMyNodeId(handle: OcEvHandle, node: number | { readonly nodeId: number }): boolean {
    return (typeof node === 'number' ? node : node.nodeId) === known(handle).nodeId
  }

  /** A callback that completes by itself: when `run` returns, or its promise settles. */
  autoDone<C extends OcEvClass>(
    run: (...event: Parameters<OcEvCallback<C>>) => unknown,
  ): OcEvCallback<C> {
    return (event, cookie, size, data) => {
      const complete = (): void => void this.callbackDone(cookie)
      const result = run(event, cookie, size, data)
      if (!(result instanceof Promise)) return complete()
      void result.then(complete, (err: unknown) => {
        if (cookie instanceof Cookie) cookie.handle.failed(err, event)
        complete()
      })
    }
  }

  /**
   * The events of a handle that is not active yet, one by one: it is registered for `classes` and activated here. The
   * end of the loop's body completes the event; leaving the loop unregisters the handle. Ends when the service does.
   * @throws SdkError as `lastError` would be.
   */
  async *events(
    handle: OcEvHandle,
    {
      classes = [CONN, MEMB, GROUP],
      priority = OC_EV_PRIO_MED,
    }: { readonly classes?: readonly OcEvClass[]; readonly priority?: number } = {},
  ): AsyncGenerator<OcEvEvent, void> {
    let next: (OcEvEvent & { readonly cookie: OcEvCookie }) | null = null
    let wake = (): void => undefined
    let isOver = false
    for (const eventClass of classes) {
      known(handle).setCallback(priority, eventClass, (event, cookie, size, data) => {
        next = { event, cookie, size, data }
        wake()
      })
    }
    known(handle).activate(OC_EV_AS_NORETURN, null)
    void Promise.resolve(known(handle).handleEvent()).then(() => {
      isOver = true
      wake()
    })
    const take = (): typeof next => {
      const taken = next
      next = null
      return taken
    }
    try {
      for (;;) {
        const taken = take()
        if (taken !== null) {
          const { cookie, ...event } = taken
          yield event
          this.callbackDone(cookie)
        } else if (isOver) return
        else {
          await new Promise<void>((resolve) => {
            wake = resolve
          })
        }
      }
    } finally {
      this.unregister(handle)
    }
  }

  #attempt(run: () => void): number {
    try {
      run()
      return OC_SUCCESS
    } catch (error) {
      if (!isSdkError(error)) throw error
      this.#lastError = error
      return OC_FAILURE
    }
  }
}

/**
 * Cluster events as the OCF draft describes them: functions and constants under the draft's names.
 * @example
 * const handle = ocEv.register()
 * ocEv.setCallback(handle, ocEv.OC_EV_PRIO_MED, ocEv.OC_EV_MEMB_CLASS, (event, cookie, size, data) => {
 *   if (event === ocEv.OC_EV_MS_NEW_MEMBERSHIP) console.log(data.memberCount)
 *   ocEv.callbackDone(cookie)
 * })
 * ocEv.activate(handle, ocEv.OC_EV_AS_DIRECT)
 */
export const ocEv: OcEvFunctions & OcEvConstants = Object.freeze(
  Object.assign(new OcEv(), OC_EV_CONSTANTS, { getClass, getEvent, makeDescriptor }),
)

/** The functions of {@link ocEv}. */
export type OcEvFunctions = Omit<OcEv, never>
/** The constants of {@link ocEv}, and what takes descriptors apart. */
export type OcEvConstants = typeof OC_EV_CONSTANTS & {
  readonly getClass: typeof getClass
  readonly getEvent: typeof getEvent
  readonly makeDescriptor: typeof makeDescriptor
}

/** @throws SdkError INVALID_HANDLE for what is none, or was unregistered. */
function known(handle: OcEvHandle): EventHandle {
  if (!(handle instanceof EventHandle)) {
    throw new SdkError('INVALID_HANDLE', 'this is no handle of ocEv.register')
  }
  handle.check()
  return handle
}
