/** Bounds of one port and its connections. Each has a default; what happens at the bound is said with it. */
export interface IocLimits {
  /** Larger frames close the connection. @defaultValue 1 MiB */
  readonly frameSizeBytesMax: number
  /**
   * Larger messages are refused with `TOO_BIG` by the sender and close the connection at a receiver.
   * @defaultValue 64 MiB
   */
  readonly messageSizeBytesMax: number
  /** Bytes waiting for one peer. Above it the sender gets `TRY_AGAIN`. @defaultValue 16 MiB */
  readonly sendQueueBytesMax: number
  /** Incomplete long messages of one connection. One more closes it. @defaultValue 16 */
  readonly partialCountMax: number
  /** An incomplete long message is dropped after so long without a next piece. @defaultValue 5_000 */
  readonly partialAgeMsMax: number
  /** Connections of one port. One more is closed at once. @defaultValue 4_096 */
  readonly connectionCountMax: number
  /** A peer that says no hello for so long is closed. @defaultValue 5_000 */
  readonly helloTimeoutMs: number
}

/** The defaults of {@link IocLimits}. */
export const DEFAULT_IOC_LIMITS: IocLimits = {
  frameSizeBytesMax: 1024 * 1024,
  messageSizeBytesMax: 64 * 1024 * 1024,
  sendQueueBytesMax: 16 * 1024 * 1024,
  partialCountMax: 16,
  partialAgeMsMax: 5_000,
  connectionCountMax: 4_096,
  helloTimeoutMs: 5_000,
}
