import type { Logger } from 'pino'
import { isSdkError } from '../../idl/index.ts'
import { systemClock } from '../../ioc/index.ts'

const RETRY_MS = 500

/**
 * What all nodes have to hear, however long it takes: submitted one after the other, and again while the order does not
 * take it. What is refused for good is left out. What timed out is not submitted again: the order has it, or takes it
 * before all that this node submits later, and a second one would undo what came between.
 */
export class Telling<T extends { readonly kind: string }> {
  readonly #submit: (operation: T) => Promise<unknown>
  readonly #log: Pick<Logger, 'debug'>
  readonly #untold: T[] = []
  #isTelling = false
  #isClosed = false
  #cancelRetry: (() => void) | null = null

  constructor(submit: (operation: T) => Promise<unknown>, log: Pick<Logger, 'debug'>) {
    this.#submit = submit
    this.#log = log
  }

  tell(operation: T): void {
    this.#untold.push(operation)
    this.again()
  }

  /** The order may take now what it did not take before. */
  again(): void {
    void this.#tellAll()
  }

  /** What is not told yet stays untold: this node ends, and its end tells it. */
  close(): void {
    this.#isClosed = true
    this.#cancelRetry?.()
  }

  async #tellAll(): Promise<void> {
    if (this.#isTelling || this.#isClosed) return
    this.#isTelling = true
    this.#cancelRetry?.()
    for (let next = this.#untold[0]; next !== undefined; next = this.#untold[0]) {
      try {
        await this.#submit(next)
      } catch (err) {
        this.#log.debug({ err, kind: next.kind }, 'not taken by the order')
        if (isSdkError(err, 'TRY_AGAIN')) {
          if (this.#isClosed) break
          this.#cancelRetry = systemClock.after(RETRY_MS, () => void this.#tellAll())
          break
        }
      }
      this.#untold.shift()
    }
    this.#isTelling = false
  }
}
