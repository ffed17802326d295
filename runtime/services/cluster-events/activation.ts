import { constants } from 'node:os'
import { isMainThread } from 'node:worker_threads'
import { SdkError } from '../../../idl/index.ts'
import { type OcEvStyle, STYLE } from './descriptor.ts'
import { type OcEvReadiness, Readiness } from './readiness.ts'

/** Where GET_FD puts what it gives. */
export interface OcEvFd {
  fd: OcEvReadiness | null
}

/** A signal by number or name; with `target` an event of the signal's name goes there instead. */
export type OcEvSignal =
  | number
  | NodeJS.Signals
  | { readonly signal: number | NodeJS.Signals; readonly target?: EventTarget }

/** What an activation style is made for. */
export interface Activated {
  /** True while the handle has something to deliver. */
  hasPending(): boolean
  drain(): void
  warn(message: string): void
}

/** How one handle is told, and how its events come to its callbacks. */
export interface Activation {
  /** Something is pending. */
  notify(): void
  /** `handleEvent` of the handle: how many of the draft's rules it follows depends on the style. */
  handleEvent(): void | Promise<number>
  /** @param code - what a blocked `handleEvent` returns. */
  end(code: number): void
}

/** @throws SdkError INVALID_PARAMETER for an unknown style, or an argument that does not fit it. */
export function openActivation(style: number, argument: unknown, handle: Activated): Activation {
  switch (style as OcEvStyle) {
    case STYLE.NORETURN:
      return new Keeping(handle)
    case STYLE.GET_FD:
      return reading(argument, handle)
    case STYLE.SIGNAL:
      return signalling(argument, handle)
    case STYLE.DIRECT:
      return { notify: () => handle.drain(), handleEvent: () => undefined, end: () => undefined }
  }
  throw new SdkError('INVALID_PARAMETER', `activate: there is no style ${String(style)}`)
}

/** NORETURN: `handleEvent` lasts until the handle ends, and delivers what comes meanwhile. */
class Keeping implements Activation {
  readonly #handle: Activated
  #resolve: ((code: number) => void) | null = null

  constructor(handle: Activated) {
    this.#handle = handle
  }

  notify(): void {
    if (this.#resolve !== null) this.#handle.drain()
  }

  handleEvent(): Promise<number> {
    if (this.#resolve !== null) {
      throw new SdkError('INVALID_STATE', 'handleEvent: it has the control already')
    }
    const ended = new Promise<number>((resolve) => {
      this.#resolve = resolve
    })
    this.#handle.drain()
    return ended
  }

  end(code: number): void {
    this.#resolve?.(code)
  }
}

function reading(argument: unknown, handle: Activated): Activation {
  if (typeof argument !== 'object' || argument === null) {
    const message = 'activate: GET_FD needs an object, whose `fd` it fills'
    throw new SdkError('INVALID_PARAMETER', message)
  }
  const readiness = new Readiness(() => handle.hasPending())
  const place = argument as OcEvFd
  place.fd = readiness
  return {
    notify: () => readiness.signal(),
    handleEvent: () => handle.drain(),
    end: () => readiness.close(),
  }
}

function signalling(argument: unknown, handle: Activated): Activation {
  const { signal, target } = parseSignal(argument ?? 'SIGUSR2')
  const raise = (): void => {
    if (target !== undefined) target.dispatchEvent(new Event(signal))
    else if (process.listenerCount(signal) > 0) process.kill(process.pid, signal)
    else handle.warn(`nobody listens to ${signal}: the signal was not raised`)
  }
  return {
    notify: () => {
      if (handle.hasPending()) raise()
    },
    handleEvent: () => handle.drain(),
    end: () => undefined,
  }
}

function parseSignal(argument: unknown): { signal: NodeJS.Signals; target?: EventTarget } {
  const given = (typeof argument === 'object' && argument !== null ? argument : undefined) as
    { readonly signal?: unknown; readonly target?: unknown } | undefined
  const wanted = given === undefined ? argument : given.signal
  const found = Object.entries(constants.signals).find(
    ([name, number]) => name === wanted || number === wanted,
  )
  const name = found?.[0] as NodeJS.Signals | undefined
  if (name === undefined || name === 'SIGKILL' || name === 'SIGSTOP') {
    const message = `activate: ${String(wanted)} is no signal that a program can take`
    throw new SdkError('INVALID_PARAMETER', message)
  }
  const target = given?.target
  if (target instanceof EventTarget) return { signal: name, target }
  if (isMainThread) return { signal: name }
  const message = 'activate: signals reach the main thread only: give { signal, target } here'
  throw new SdkError('INVALID_PARAMETER', message)
}
