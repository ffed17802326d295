import type { ReplyStream } from '../../ioc/index.ts'

/** What a {@link pumpStream} works on. */
export interface StreamPump {
  readonly stream: ReplyStream
  /** What the function gave. */
  readonly source: AsyncIterable<unknown> | Iterable<unknown>
  readonly encode: (item: unknown) => Uint8Array
  /** Epoch of the role under which the items are made. */
  readonly epoch: number
  /** The stream was over before its source was: the caller gave it up, or it was answered. Called once at most. */
  readonly onOver: () => void
}

/**
 * Takes items from a source as fast as the caller has room for them. Resolves when the source has no more; rejects with
 * what it threw. When the stream is over first, the source is asked to end (`return`), which an async generator does at
 * its next `yield`.
 */
export async function pumpStream(pump: StreamPump): Promise<void> {
  const { stream, source } = pump
  const iterator =
    Symbol.asyncIterator in source ? source[Symbol.asyncIterator]() : source[Symbol.iterator]()
  const leave = async (): Promise<void> => {
    await iterator.return?.()
  }
  let isDone = false
  stream.onOver = () => {
    if (isDone) return
    pump.onOver()
    // Nobody is left to tell of an error in its cleaning up.
    leave().catch(() => undefined)
  }
  try {
    while (!stream.isOver) {
      const { done, value } = await iterator.next()
      if (done === true) break
      if (!stream.send(pump.encode(value), pump.epoch)) await stream.ready()
    }
    isDone = true
  } catch (error) {
    isDone = true
    await leave().catch(() => undefined)
    throw error
  }
}

/** Whether a value can be iterated, as what a stream method must give. */
export function isIterable(value: unknown): value is AsyncIterable<unknown> | Iterable<unknown> {
  return (
    typeof value === 'object' &&
    value !== null &&
    (Symbol.asyncIterator in value || Symbol.iterator in value)
  )
}
