import type { Epoch, IncomingCall, IocAddress, RmdPriority } from '../../ioc/index.ts'
import type { Call } from './app.ts'
import { myEo, type EoIdentity } from './my-eo.ts'

/** The context that a function gets: a copy of what outlives the request, and a signal made when it is asked for. */
export class EoCall implements Call {
  readonly source: IocAddress
  readonly caller: string
  readonly messageId: number
  readonly priority: RmdPriority
  readonly deadlineMs: number
  readonly epoch: Epoch
  readonly trace: string | undefined
  readonly data: unknown
  #controller: AbortController | undefined
  #abortReason: unknown

  constructor(incoming: IncomingCall, data?: unknown) {
    this.source = incoming.source
    this.caller = incoming.caller
    this.messageId = incoming.messageId
    this.priority = incoming.priority
    this.deadlineMs = incoming.deadlineMs
    this.epoch = incoming.epoch
    this.trace = incoming.trace
    this.data = data
  }

  get eo(): EoIdentity {
    return myEo()
  }

  get signal(): AbortSignal {
    this.#controller ??= new AbortController()
    if (this.#abortReason !== undefined) this.#controller.abort(this.#abortReason)
    return this.#controller.signal
  }

  /** Aborts the signal, now or when it is asked for. @internal */
  static abort(call: EoCall, reason: Error): void {
    call.#abortReason ??= reason
    call.#controller?.abort(reason)
  }
}
