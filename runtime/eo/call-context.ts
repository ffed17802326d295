import { AsyncLocalStorage } from 'node:async_hooks'
import type { Call } from './app.ts'

/**
 * Which call the code that runs at present works for, so that calls which it makes end with it and log lines carry its
 * trace. Up to a function's first `await` a field says so; behind it only a storage can, which makes every promise of
 * the process dearer. So that begins with the first call that carries a trace, or that is made while functions run: a
 * component whose functions make no calls never pays. Functions that were awaiting at that moment, once in the life of
 * a process, are not known behind their `await`; `within` says for them what a call is made for.
 */
export class CallContext {
  /** Whether functions run on this thread: set by who runs them. */
  isWorking: () => boolean = () => false
  #storage: AsyncLocalStorage<Call> | null = null
  #entered: Call | undefined

  /** True once functions are known behind their first `await`. */
  get isFollowing(): boolean {
    return this.#storage !== null
  }

  /** Trace of the call that the running code works for. Asking begins nothing. */
  get trace(): string | undefined {
    return (this.#storage?.getStore() ?? this.#entered)?.trace
  }

  /** The call that a call made now is made for; undefined outside of functions. */
  current(): Call | undefined {
    if (this.#storage !== null) return this.#storage.getStore() ?? this.#entered
    if (this.#entered !== undefined || this.isWorking()) this.#storage = new AsyncLocalStorage()
    return this.#entered
  }

  /** Runs a function of a call. */
  run<T>(call: Call, step: () => T): T {
    if (call.trace !== undefined) this.#storage ??= new AsyncLocalStorage()
    if (this.#storage !== null) return this.#storage.run(call, step)
    this.#entered = call
    try {
      return step()
    } finally {
      this.#entered = undefined
    }
  }
}
