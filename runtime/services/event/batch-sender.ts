import { isSdkError } from '../../../idl/index.ts'
import type { Clock } from '../../../ioc/index.ts'
import type { EventBatch, Outbox } from './outbox.ts'

const RETRY_MS = 50

export interface BatchSenderOptions {
  readonly outbox: Outbox
  /** Rejects when the receiver may not have taken it: it is sent again then. */
  readonly send: (batch: EventBatch) => Promise<unknown>
  readonly clock: Clock
}

/** Empties an outbox: one message under way at a time, what comes meanwhile goes with the next. */
export class BatchSender {
  readonly #options: BatchSenderOptions
  /** Under way, or to be sent again. */
  #batch: EventBatch | null = null
  #isRunning = false
  #isPaused = false
  #isClosed = false

  constructor(options: BatchSenderOptions) {
    this.#options = options
  }

  /** Something was put into the outbox. */
  kick(): void {
    if (!this.#isRunning && !this.#isPaused && !this.#isClosed) void this.#run()
  }

  /** Sends nothing until `resume`; what is under way stays so. */
  pause(): void {
    this.#isPaused = true
  }

  resume(): void {
    this.#isPaused = false
    this.kick()
  }

  /** @param isTaken - what those are told who wait for a record. */
  close(isTaken: boolean): void {
    this.#isClosed = true
    this.#batch?.end(isTaken)
    this.#batch = null
    this.#options.outbox.clear(isTaken)
  }

  /** The receiver cannot read it: it is lost, and the gap is seen by the next one. */
  #giveUp(batch: EventBatch): void {
    if (this.#batch === batch) this.#batch = null
    batch.end(false)
  }

  async #run(): Promise<void> {
    this.#isRunning = true
    // What one turn puts in goes together.
    await Promise.resolve()
    while (!this.#isPaused && !this.#isClosed) {
      this.#batch ??= this.#options.outbox.take()
      const batch = this.#batch
      if (batch === null) break
      try {
        await this.#options.send(batch)
        if (this.#batch === batch) this.#batch = null
        batch.end(true)
      } catch (error) {
        // Nobody listens any more: presence ends this, or has done so.
        if (isSdkError(error, 'FUNC_NOT_REGISTERED')) this.close(false)
        else if (isSdkError(error, 'MESSAGE_ERROR')) this.#giveUp(batch)
        else await new Promise<void>((resolve) => this.#options.clock.after(RETRY_MS, resolve))
      }
    }
    this.#isRunning = false
  }
}
