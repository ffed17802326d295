import type { Logger } from 'pino'
import { isSdkError } from '../../../idl/index.ts'
import type { Rmd } from '../../../ioc/index.ts'
import { CheckpointPush, type CheckpointSnapshot } from './interface.ts'

const { applied, replaced } = CheckpointPush.methods
const PUSH_TIMEOUT_MS = 10_000

interface Subscriber {
  readonly caller: string
  /** A push did not get through: it needs the whole content. */
  isBehind: boolean
  /** Attempts to give it the whole content that did not get through, in a row. */
  failures: number
  /** On the clock of the server. */
  retryAtMs: number
}

/** The whole content is offered again after so long, doubled by each failure. */
const RESYNC_AFTER_MS = { min: 20, max: 1_000 } as const

export interface SubscriptionsOptions {
  readonly csi: string
  readonly rmd: Rmd
  readonly log: Pick<Logger, 'info' | 'warn' | 'error'>
  readonly clock: () => number
  /** Somebody is behind: `resync` is wanted again and again while {@link Subscriptions.hasBehind}. */
  readonly onBehind: () => void
}

/**
 * Components that follow one CSI's checkpoint on this node, by the connection that attached. Pushes are one-way and in
 * order on that connection. Who is too slow gets no more of them until it took the whole content.
 */
export class Subscriptions {
  readonly #options: SubscriptionsOptions
  readonly #subscribers = new Map<string, Subscriber>()

  constructor(options: SubscriptionsOptions) {
    this.#options = options
  }

  get hasBehind(): boolean {
    for (const subscriber of this.#subscribers.values()) if (subscriber.isBehind) return true
    return false
  }

  /** From now on; the content up to here goes with the answer to `attach`. */
  add(caller: string): void {
    this.#subscribers.set(caller, { caller, isBehind: false, failures: 0, retryAtMs: 0 })
  }

  remove(caller: string): void {
    this.#subscribers.delete(caller)
  }

  /** @param payload - the batch as it travels; @param writer - who made it and needs no push. */
  pushApplied(payload: Uint8Array, writer: string | null): void {
    for (const subscriber of this.#subscribers.values()) {
      if (subscriber.caller === writer || subscriber.isBehind) continue
      this.#push(subscriber, applied.functionNumber, payload)
    }
  }

  pushReplaced(snapshot: CheckpointSnapshot): void {
    if (this.#subscribers.size === 0) return
    this.#pushSnapshot([...this.#subscribers.values()], snapshot)
  }

  /**
   * Gives the whole content to those who missed something, except the writer.
   * @param nowMs - leaves out who has to wait after an attempt that failed; without it nobody waits.
   */
  resync(makeSnapshot: () => CheckpointSnapshot, writer: string | null, nowMs = Infinity): void {
    const behind = [...this.#subscribers.values()].filter(
      ({ isBehind, caller, retryAtMs }) => isBehind && caller !== writer && retryAtMs <= nowMs,
    )
    if (behind.length > 0) this.#pushSnapshot(behind, makeSnapshot())
  }

  #pushSnapshot(subscribers: readonly Subscriber[], snapshot: CheckpointSnapshot): void {
    const payload = replaced.input.encode({ csi: this.#options.csi, snapshot })
    for (const subscriber of subscribers) {
      subscriber.isBehind = false
      this.#push(subscriber, replaced.functionNumber, payload)
    }
  }

  #push(subscriber: Subscriber, functionNumber: number, payload: Uint8Array): void {
    const options = { oneWay: true, timeoutMs: PUSH_TIMEOUT_MS }
    this.#options.rmd.call({ caller: subscriber.caller }, functionNumber, payload, options).then(
      () => {
        if (!subscriber.isBehind) subscriber.failures = 0
      },
      (error: unknown) => this.#notTaken(subscriber, error),
    )
  }

  #notTaken(subscriber: Subscriber, error: unknown): void {
    const { csi, log, clock, onBehind } = this.#options
    const { caller } = subscriber
    if (this.#subscribers.get(caller) !== subscriber) return
    if (isSdkError(error, 'COMP_UNREACHABLE')) {
      this.#subscribers.delete(caller)
      return
    }
    // Of several pushes that failed at once the first one counts.
    if (subscriber.isBehind) return
    subscriber.isBehind = true
    const { min, max } = RESYNC_AFTER_MS
    subscriber.retryAtMs = clock() + Math.min(max, min * 2 ** subscriber.failures)
    if (subscriber.failures === 0) {
      const message = 'a component does not take checkpoint pushes: it will get the whole content'
      log.warn({ err: error, csi, caller }, message)
    }
    subscriber.failures = Math.min(subscriber.failures + 1, 10)
    onBehind()
  }
}
