import { SdkError } from '../../idl/index.ts'
import type { EntityStates } from './engine-port.ts'

interface Waiter {
  readonly entity: string
  readonly states: ReadonlySet<string>
  readonly resolve: (state: string) => void
  readonly reject: (error: SdkError) => void
  readonly timer: NodeJS.Timeout
}

const WAITER_COUNT_MAX = 1_000

/** Callers of `Management.wait`: each is answered as soon as its entity shows one of the states. */
export class StateWaiters {
  readonly #stateOf: (entity: string) => EntityStates | undefined
  readonly #waiters = new Set<Waiter>()

  constructor(stateOf: (entity: string) => EntityStates | undefined) {
    this.#stateOf = stateOf
  }

  /**
   * @param timeoutMs - what is left of the caller's own deadline.
   * @throws SdkError NOT_EXIST, TRY_AGAIN (too many wait, or the director ends), TIMEOUT.
   */
  wait(entity: string, states: readonly string[], timeoutMs: number): Promise<string> {
    const wanted = new Set(states.map((state) => state.toUpperCase()))
    if (this.#stateOf(entity) === undefined) {
      return Promise.reject(new SdkError('NOT_EXIST', `there is no entity ${entity}`))
    }
    const found = this.#match(entity, wanted)
    if (found !== undefined) return Promise.resolve(found)
    if (this.#waiters.size >= WAITER_COUNT_MAX) {
      return Promise.reject(new SdkError('TRY_AGAIN', `${WAITER_COUNT_MAX} callers wait already`))
    }
    return new Promise((resolve, reject) => {
      const expire = (): void => {
        this.#waiters.delete(waiter)
        reject(new SdkError('TIMEOUT', `${entity} did not become ${states.join(' or ')} in time`))
      }
      const timer = setTimeout(expire, Math.max(0, timeoutMs))
      const waiter: Waiter = { entity, states: wanted, resolve, reject, timer }
      this.#waiters.add(waiter)
    })
  }

  /** Looks again: called after each step. */
  check(): void {
    for (const waiter of [...this.#waiters]) {
      const found = this.#match(waiter.entity, waiter.states)
      if (found === undefined) continue
      this.#forget(waiter)
      waiter.resolve(found)
    }
  }

  close(message: string): void {
    for (const waiter of [...this.#waiters]) {
      this.#forget(waiter)
      waiter.reject(new SdkError('TRY_AGAIN', message))
    }
  }

  #forget(waiter: Waiter): void {
    clearTimeout(waiter.timer)
    this.#waiters.delete(waiter)
  }

  #match(entity: string, wanted: ReadonlySet<string>): string | undefined {
    const states = Object.values(this.#stateOf(entity)?.states ?? {})
    return states.find((state) => wanted.has(state.toUpperCase()))
  }
}
