import { type Rmd, systemClock } from '../../../ioc/index.ts'
import { PushQueue } from '../push-queue.ts'
import { CLUSTER_EVENT_LIMITS, ClusterEventPush, type StreamItem } from './interface.ts'

const PUSH_TIMEOUT_MS = 10_000

/** One program of this node that hears the stream: one session of it. */
export class StreamClient {
  /** Its place among the programs of the node: set by the stream that it joins. */
  number = 0
  /** For the log: the component, else the caller id. */
  readonly name: string
  readonly session: number
  /** Number of the last activation that is in the stream. */
  lastActivation = 0
  readonly #queue: PushQueue<StreamItem>
  #isEnded = false
  #onTold: (() => void) | null = null

  constructor({
    caller,
    name,
    session,
    rmd,
  }: {
    readonly caller: string
    readonly name: string
    readonly session: number
    readonly rmd: Rmd
  }) {
    this.name = name
    this.session = session
    const push = rmd.client(ClusterEventPush, { to: { caller }, timeoutMs: PUSH_TIMEOUT_MS })
    this.#queue = new PushQueue<StreamItem>({
      // Never reached: what is under way to a program is bounded by `aheadMax`.
      countMax: 4 * CLUSTER_EVENT_LIMITS.aheadMax,
      send: async (first, items) => {
        await push.items({ session, first, items: [...items] })
        if (items.some(({ kind }) => kind === 'ended')) this.#onTold?.()
      },
      clock: systemClock,
    })
  }

  /** True once it was told that nothing follows. */
  get isEnded(): boolean {
    return this.#isEnded
  }

  push(item: StreamItem): void {
    if (!this.#isEnded) this.#queue.push(item)
  }

  /** The last that it hears. Resolves when it has. */
  end(why: 'shutdown' | 'evicted'): Promise<void> {
    if (this.#isEnded) return Promise.resolve()
    this.push({ kind: 'ended', why })
    this.#isEnded = true
    return new Promise((resolve) => {
      this.#onTold = resolve
    })
  }

  close(): void {
    this.#isEnded = true
    this.#queue.close()
  }
}
