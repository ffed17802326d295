import { AsyncLocalStorage } from 'node:async_hooks'
import type { Call } from './app.ts'

/**
 * Which call the running code works for, so that calls which it makes end with it and log lines carry its trace: behind
 * any number of `await`s, timers and callbacks. Only a storage can tell, and it makes every promise of the process
 * dearer. So that begins when somebody is there to ask: a client that makes calls for whoever uses it, or a trace. A
 * component without either never pays.
 */
export class CallContext {
  #storage: AsyncLocalStorage<Call | undefined> | null = null
  /** The function that is inside of its first step, while there is no storage. */
  #entered: Call | undefined

  /** True once functions are known. */
  get isFollowing(): boolean {
    return this.#storage !== null
  }

  /** Trace of the call that the running code works for. */
  get trace(): string | undefined {
    return this.current()?.trace
  }

  /** The call that a call made now is made for; undefined outside of functions. */
  current(): Call | undefined {
    return this.#storage?.getStore()
  }

  /**
   * Somebody will ask. Functions that run from now on are known, and the one that calls this before its first `await`;
   * those that are behind one already are not.
   */
  follow(): void {
    if (this.#storage !== null) return
    this.#storage = new AsyncLocalStorage()
    if (this.#entered !== undefined) this.#storage.enterWith(this.#entered)
  }

  /** Runs a function of a call. */
  run<T>(call: Call, step: () => T): T {
    if (call.trace !== undefined) this.follow()
    if (this.#storage !== null) return this.#storage.run(call, step)
    this.#entered = call
    try {
      return step()
    } finally {
      this.#entered = undefined
      // `follow` may have been called in it: what runs next in this turn is not for this call.
      this.#leave()
    }
  }

  #leave(): void {
    this.#storage?.enterWith(undefined)
  }
}
