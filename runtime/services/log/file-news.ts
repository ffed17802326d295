import { SdkError } from '../../../idl/index.ts'
import type { Clock } from '../../../ioc/index.ts'
import { LOG_LIMITS } from './interface.ts'

/**
 * Tells whoever follows log files that there are others than before: files of any node, as far as this one heard. A
 * version is of one life of one node: another life's is never the present one.
 */
export class FileNews {
  readonly #life: string
  readonly #clock: Clock
  readonly #waiting = new Set<() => void>()
  #count = 0

  constructor(life: string, clock: Clock) {
    this.#life = life
    this.#clock = clock
  }

  changed(): void {
    this.#count += 1
    this.wake()
  }

  /** Nobody waits any longer. */
  wake(): void {
    for (const done of this.#waiting) done()
  }

  /**
   * The present version: at once when it is another one than `known`, else when it changes, at the latest after a time.
   * @throws SdkError TRY_AGAIN when too many wait already.
   */
  async wait(known: string, waitMs: number): Promise<string> {
    if (known !== this.#version || waitMs === 0) return this.#version
    if (this.#waiting.size >= LOG_LIMITS.followerCount) {
      throw new SdkError('TRY_AGAIN', `${this.#waiting.size} followers wait for log files already`)
    }
    await new Promise<void>((resolve) => {
      const done = (): void => {
        cancel()
        this.#waiting.delete(done)
        resolve()
      }
      const cancel = this.#clock.after(waitMs, done)
      this.#waiting.add(done)
    })
    return this.#version
  }

  get #version(): string {
    return `${this.#life}.${this.#count}`
  }
}
