import { SdkError } from '../../../idl/index.ts'
import { eventIdOf } from './event-id.ts'
import { EVENT_LIMITS } from './interface.ts'
import { type EventContent, RecordWriter } from './record.ts'

/** A socket takes a message of this size in one write. */
const BATCH_BYTES_MAX = 128 * 1_024
const BATCH_COUNT_MAX = 2_048

interface Batch {
  readonly records: Uint8Array
  readonly waiting: Waiting
}

/** Who waits for the events of a batch: of event `i` what is at `i` in both. */
interface Waiting {
  readonly resolves: ((id: bigint) => void)[]
  readonly rejects: ((error: unknown) => void)[]
}

/** Gives events to the node. @returns the id of the first one, whose followers have the next ones. */
export type PublishBatch = (
  records: Uint8Array,
) => Promise<{ readonly node: number; readonly counter: number }>

/**
 * The events that one open channel publishes, in their order: one message to the node under way at a time, what is
 * published meanwhile goes with the next. An event with a retention time goes alone, since it is answered later.
 */
export class Publisher {
  readonly #publish: PublishBatch
  readonly #writer = new RecordWriter()
  #waiting: Waiting = { resolves: [], rejects: [] }
  readonly #sealed: Batch[] = []
  #count = 0
  #bytes = 0
  #isRunning = false
  /** One for all promises: a closure for each event is what the collector would feel. */
  readonly #executor = (resolve: (id: bigint) => void, reject: (error: unknown) => void): void => {
    this.#waiting.resolves.push(resolve)
    this.#waiting.rejects.push(reject)
  }

  constructor(publish: PublishBatch) {
    this.#publish = publish
  }

  /** @returns the event's id, when the node has it; with a retention time, when all nodes have it. */
  publish(event: EventContent): Promise<bigint> {
    const { unpublishedCount, unpublishedBytes } = EVENT_LIMITS
    if (this.#count >= unpublishedCount || this.#bytes >= unpublishedBytes) {
      const message = `${this.#count} events wait to be published: await some of them first`
      return Promise.reject(new SdkError('TRY_AGAIN', message))
    }
    const isAlone = event.retentionMs > 0
    if (isAlone || this.#isFull()) this.#seal()
    const before = this.#writer.length
    this.#writer.event(event)
    this.#count += 1
    this.#bytes += this.#writer.length - before
    const published = new Promise<bigint>(this.#executor)
    if (isAlone) this.#seal()
    if (!this.#isRunning) void this.#run()
    return published
  }

  #isFull(): boolean {
    return this.#writer.length >= BATCH_BYTES_MAX || this.#writer.count >= BATCH_COUNT_MAX
  }

  #seal(): void {
    if (this.#waiting.resolves.length === 0) return
    this.#sealed.push({ records: this.#writer.take(), waiting: this.#waiting })
    this.#waiting = { resolves: [], rejects: [] }
  }

  async #run(): Promise<void> {
    this.#isRunning = true
    // What one turn publishes goes together.
    await Promise.resolve()
    for (;;) {
      if (this.#sealed.length === 0) this.#seal()
      const batch = this.#sealed.shift()
      if (batch === undefined) break
      try {
        const { node, counter } = await this.#publish(batch.records)
        this.#done(batch)
        let id = eventIdOf(node, counter)
        for (const resolve of batch.waiting.resolves) resolve(id++)
      } catch (error) {
        this.#done(batch)
        for (const reject of batch.waiting.rejects) reject(error)
      }
    }
    this.#isRunning = false
  }

  #done({ records, waiting }: Batch): void {
    this.#count -= waiting.resolves.length
    this.#bytes -= records.length
  }
}
