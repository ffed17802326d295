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
}

/**
 * Components that follow one CSI's checkpoint on this node, by the connection that attached. Pushes are one-way and in
 * order on that connection. Who is too slow gets no more of them until it took the whole content.
 */
export class Subscriptions {
  readonly #csi: string
  readonly #rmd: Rmd
  readonly #log: Pick<Logger, 'info' | 'warn' | 'error'>
  readonly #subscribers = new Map<string, Subscriber>()

  constructor(csi: string, rmd: Rmd, log: Pick<Logger, 'info' | 'warn' | 'error'>) {
    this.#csi = csi
    this.#rmd = rmd
    this.#log = log
  }

  get hasBehind(): boolean {
    for (const subscriber of this.#subscribers.values()) if (subscriber.isBehind) return true
    return false
  }

  /** From now on; the content up to here goes with the answer to `attach`. */
  add(caller: string): void {
    this.#subscribers.set(caller, { caller, isBehind: false })
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

  /** Gives the whole content to those who missed something, except the writer. */
  resync(makeSnapshot: () => CheckpointSnapshot, writer: string | null): void {
    const behind = [...this.#subscribers.values()].filter(
      (subscriber) => subscriber.isBehind && subscriber.caller !== writer,
    )
    if (behind.length > 0) this.#pushSnapshot(behind, makeSnapshot())
  }

  #pushSnapshot(subscribers: readonly Subscriber[], snapshot: CheckpointSnapshot): void {
    const payload = replaced.input.encode({ csi: this.#csi, snapshot })
    for (const subscriber of subscribers) {
      subscriber.isBehind = false
      this.#push(subscriber, replaced.functionNumber, payload)
    }
  }

  #push(subscriber: Subscriber, functionNumber: number, payload: Uint8Array): void {
    const options = { oneWay: true, timeoutMs: PUSH_TIMEOUT_MS }
    this.#rmd
      .call({ caller: subscriber.caller }, functionNumber, payload, options)
      .catch((error: unknown) => {
        if (this.#subscribers.get(subscriber.caller) !== subscriber) return
        if (isSdkError(error, 'COMP_UNREACHABLE')) {
          this.#subscribers.delete(subscriber.caller)
          return
        }
        if (!subscriber.isBehind) {
          const message =
            'a component does not take checkpoint pushes: it will get the whole content'
          this.#log.warn({ err: error, csi: this.#csi, caller: subscriber.caller }, message)
        }
        subscriber.isBehind = true
      })
  }
}
