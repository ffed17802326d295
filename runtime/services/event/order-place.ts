import { SdkError } from '../../../idl/index.ts'
import { systemClock } from '../../../ioc/index.ts'

const WAIT_MS = 1_500

interface Waiting {
  readonly revision: number
  readonly resolve: () => void
  readonly cancel: () => void
}

/** How far this node has come in the order, and who waits for it to come further. */
export class OrderPlace {
  #revision = 0
  readonly #waiting = new Set<Waiting>()

  get revision(): number {
    return this.#revision
  }

  reach(revision: number): void {
    this.#revision = Math.max(this.#revision, revision)
    for (const one of this.#waiting) if (one.revision <= this.#revision) this.#end(one)
  }

  /** Resolves when the place was reached. @throws SdkError TRY_AGAIN when that takes too long. */
  reached(revision: number): Promise<void> {
    if (revision <= this.#revision) return Promise.resolve()
    return new Promise((resolve, reject) => {
      const cancel = systemClock.after(WAIT_MS, () => {
        this.#waiting.delete(one)
        const message = `this node is at ${this.#revision} of the order, not yet at ${revision}`
        reject(new SdkError('TRY_AGAIN', message))
      })
      const one: Waiting = { revision, resolve, cancel }
      this.#waiting.add(one)
    })
  }

  close(): void {
    for (const one of this.#waiting) this.#end(one)
  }

  #end(one: Waiting): void {
    this.#waiting.delete(one)
    one.cancel()
    one.resolve()
  }
}
