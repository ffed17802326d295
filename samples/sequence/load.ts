import type { Connection } from 'holdfast/runtime'
import { Accounting, type Account } from './accounting.ts'
import { Sequence } from './sequence.ts'

const IN_FLIGHT = 64
const TIMEOUT_MS = 10_000
/** After a failed call one of the callers rests this long, so that a dead cluster is not hammered. */
const REST_MS = 50
const ERRORS_KEPT_MAX = 20

/** A load client of the sequence service: 64 calls in flight, each at most once, and books about every number. */
export class SequenceLoad {
  readonly #connection: Connection
  readonly #accounting = new Accounting()
  readonly #errors: string[] = []
  readonly #waiting: { readonly epoch: number; readonly resolve: (atMs: number) => void }[] = []
  readonly #next: (count: number) => Promise<{ first: number; last: number }>
  #stopping = false
  #running: Promise<unknown> = Promise.resolve()

  constructor(connection: Connection) {
    this.#connection = connection
    const options = { to: '@sequence', atMostOnce: true, timeoutMs: TIMEOUT_MS } as const
    const client = connection.rmd.client(Sequence, options)
    this.#next = (count) => client.next({ count })
  }

  get account(): Account {
    return this.#accounting.account
  }

  /** Texts of the first calls that failed. */
  get errors(): readonly string[] {
    return this.#errors
  }

  /** Numbers that nobody got, as ranges. */
  get gaps(): readonly (readonly [number, number])[] {
    return this.#accounting.gaps(ERRORS_KEPT_MAX)
  }

  /** Epoch of the active one that answers at present; 0 before the first. */
  get epoch(): number {
    return this.#connection.names.lookup('sequence')?.epoch ?? 0
  }

  /** Draws the first number, where the books begin, then starts all callers. */
  async start(): Promise<void> {
    this.#stopping = false
    await this.#draw(1)
    this.#running = Promise.all(
      Array.from({ length: IN_FLIGHT }, (_, index) => this.#callAgainAndAgain(index)),
    )
  }

  /**
   * When the first reply of a later grant of the role arrives, on `performance.now()`. A reply of an earlier active one
   * cannot pass for it: once a caller knows a newer epoch, older replies are dropped.
   */
  firstReplyAfter(epoch: number): Promise<number> {
    return new Promise((resolve) => this.#waiting.push({ epoch, resolve }))
  }

  /**
   * Ends the load when no call is under way, then draws one last number: what was issued to nobody lies below it.
   * Lasts at most two call time-outs.
   */
  async stop(): Promise<Account> {
    this.#stopping = true
    await this.#running
    await this.#draw(1)
    return this.account
  }

  async #callAgainAndAgain(index: number): Promise<void> {
    // Sizes differ, so that an answer given to the wrong call would show.
    const count = 1 + (index % 4)
    while (!this.#stopping) {
      const good = await this.#draw(count)
      if (!good) await new Promise((resolve) => setTimeout(resolve, REST_MS))
    }
  }

  async #draw(count: number): Promise<boolean> {
    try {
      const { first, last } = await this.#next(count)
      if (last - first + 1 !== count) throw new RangeError(`asked ${count}, got ${first}-${last}`)
      this.#accounting.answered(first, last)
      this.#notice()
      return true
    } catch (error) {
      this.#accounting.callFailed()
      if (this.#errors.length < ERRORS_KEPT_MAX) this.#errors.push(String(error))
      return false
    }
  }

  #notice(): void {
    if (this.#waiting.length === 0) return
    const epoch = this.epoch
    for (let index = this.#waiting.length - 1; index >= 0; index -= 1) {
      const one = this.#waiting[index]
      if (one === undefined || one.epoch >= epoch) continue
      this.#waiting.splice(index, 1)
      one.resolve(performance.now())
    }
  }
}
