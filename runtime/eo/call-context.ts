import { AsyncLocalStorage } from 'node:async_hooks'
import type { Call } from './app.ts'

/**
 * Which call the code that runs at present works for, through every `await`: so that calls which it makes end with it.
 * It costs nothing until the component makes its first client: only then are functions run in it.
 */
export class CallContext {
  #storage: AsyncLocalStorage<Call> | null = null

  /** The component makes calls: from now on functions run in their context. */
  enable(): void {
    this.#storage ??= new AsyncLocalStorage()
  }

  /** The call that is worked for; undefined outside of functions, and where one was running when `enable` came. */
  current(): Call | undefined {
    return this.#storage?.getStore()
  }

  /** Runs a function of a call. */
  run<T>(call: Call, step: () => T): T {
    return this.#storage === null ? step() : this.#storage.run(call, step)
  }
}
