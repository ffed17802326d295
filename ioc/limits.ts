import { invalidParameter } from './errors.ts'

/**
 * Bounds of one port and its connections, bytes, counts or ms, 1 to 2^31 - 1. Each has a default; what happens at the
 * bound is said with it.
 */
export interface IocLimits {
  /** Larger frames close the connection. @defaultValue 1 MiB */
  readonly frameSizeBytesMax: number
  /**
   * Larger messages are refused with `TOO_BIG` by the sender and close the connection at a receiver.
   * @defaultValue 64 MiB
   */
  readonly messageSizeBytesMax: number
  /**
   * High watermark: bytes waiting for one peer in one lane (urgent, normal, low). Above it senders of that lane get
   * `TRY_AGAIN` until the low watermark. Replies may use twice as much before they are dropped. @defaultValue 16 MiB
   */
  readonly sendQueueBytesMax: number
  /**
   * Low watermark: a lane that refused takes messages again, and `onFlow` tells so, once no more than this waits.
   * @defaultValue half of `sendQueueBytesMax`
   */
  readonly sendQueueBytesLow: number
  /** Incomplete long messages of one connection. One more closes it. @defaultValue 16 */
  readonly partialCountMax: number
  /**
   * A connection on which an incomplete long message got no next piece for so long is closed: a message that is dropped
   * without a word would be worse. A busy sender may take long. SAFplus drops after 5 s. @defaultValue 30_000
   */
  readonly partialAgeMsMax: number
  /** Connections of one port. One more is closed at once. @defaultValue 4_096 */
  readonly connectionCountMax: number
  /** A program that connects and says no hello for so long is closed. @defaultValue 5_000 */
  readonly helloTimeoutMs: number
  /** Groups of one port. One more: `NO_RESOURCE`; a peer that names more is closed. @defaultValue 64 */
  readonly groupCountMax: number
  /** Receivers of one message to many. More are refused with `NO_RESOURCE`, nothing is sent. @defaultValue 1_024 */
  readonly fanOutCountMax: number
}

/** A hello with the longest name must fit into a frame, and a piece of a message too. */
const FRAME_SIZE_BYTES_MIN = 512

/** Highest of every limit: sizes travel as u32. */
const LIMIT_MAX = 2 ** 31 - 1

/** The defaults of {@link IocLimits}. */
export const DEFAULT_IOC_LIMITS: IocLimits = {
  frameSizeBytesMax: 1024 * 1024,
  messageSizeBytesMax: 64 * 1024 * 1024,
  sendQueueBytesMax: 16 * 1024 * 1024,
  sendQueueBytesLow: 8 * 1024 * 1024,
  partialCountMax: 16,
  partialAgeMsMax: 30_000,
  connectionCountMax: 4_096,
  helloTimeoutMs: 5_000,
  groupCountMax: 64,
  fanOutCountMax: 1_024,
}

/**
 * Completes the limits of a port: what is left out has its default.
 * @throws SdkError INVALID_PARAMETER for one that is no integer from 1 to 2^31 - 1, or for watermarks in the wrong
 * order.
 */
export function completeLimits(given: Partial<IocLimits> = {}): IocLimits {
  const limits = { ...DEFAULT_IOC_LIMITS, ...given }
  for (const [name, value] of Object.entries(limits)) {
    if (!(name in DEFAULT_IOC_LIMITS)) {
      throw invalidParameter(`limits.${name} is no limit: see IocLimits`)
    }
    if (!Number.isInteger(value) || value < 1 || value > LIMIT_MAX) {
      throw invalidParameter(`limits.${name} is ${value}: give an integer from 1 to ${LIMIT_MAX}`)
    }
  }
  const { sendQueueBytesMax, frameSizeBytesMax } = limits
  if (frameSizeBytesMax < FRAME_SIZE_BYTES_MIN) {
    const least = `give ${FRAME_SIZE_BYTES_MIN} or more`
    throw invalidParameter(`limits.frameSizeBytesMax is ${frameSizeBytesMax}: ${least}`)
  }
  if (given.sendQueueBytesLow === undefined) {
    return { ...limits, sendQueueBytesLow: Math.ceil(sendQueueBytesMax / 2) }
  }
  if (limits.sendQueueBytesLow > sendQueueBytesMax) {
    const both = `sendQueueBytesLow is ${limits.sendQueueBytesLow}, sendQueueBytesMax ${sendQueueBytesMax}`
    throw invalidParameter(`limits: ${both}: the low watermark must not be above the high one`)
  }
  return limits
}
