import type { IocAddress } from '../address.ts'

/**
 * The contract of a transport: it carries bytes, in order and without loss while both ends live, between the program
 * that listens at an address and those that connect to it. Frames, hellos, queues and limits are the business of the
 * floor's port, so that they are the same over every transport. One suite, `test/contract/`, holds every transport to
 * this page.
 */
export interface Transport {
  /** For log lines: `unix`, `memory`. */
  readonly kind: string
  /**
   * Listens at an address. Each link that arrives goes to `accept`, before any of its bytes.
   * @throws SdkError ALREADY_EXIST while a living program listens there. What a dead one left behind is replaced.
   */
  listen(address: IocAddress, accept: (link: Link) => void): Promise<Listener>
  /**
   * Starts to connect. Never throws: a failure is told through `onClose` of the link, before any `onOpen`, and soon:
   * nobody listening is known at once.
   */
  connect(address: IocAddress): Link
}

/** A place that accepts links. */
export interface Listener {
  /** Accepts no more and frees the address. Links that were accepted live on. Idempotent. */
  close(): Promise<void>
}

/** One end of a connection. The bytes of one `write` stay in one piece in the stream; pieces stay in order. */
export interface Link {
  /** Sets who is told what happens. Called once, in the turn in which the link was made or accepted. */
  start(events: LinkEvents): void
  /**
   * Hands bytes over; only after `onOpen`, and never while an earlier write is unfinished.
   * @returns true: the bytes are with the receiver's side and the buffer may be used again. false: the transport holds
   * on to the buffer until it calls `onWritten`.
   */
  write(bytes: Uint8Array): boolean
  /** Orderly: what was written still arrives, then the other end sees the close. Ends by itself within a second. */
  end(): void
  /** At once; unsent bytes are lost. `onClose` still comes, in a later turn. Idempotent. */
  destroy(): void
}

/** How a link tells what happens. Nothing is called before {@link Link.start} has returned. */
export interface LinkEvents {
  /** Connected. Once, and on accepted links too. */
  onOpen(): void
  /** Bytes that arrived. The receiver may keep the view; it is never written again. */
  onData(chunk: Uint8Array): void
  /** The write that returned false is finished. */
  onWritten(): void
  /** The end, exactly once, nothing after it. @param cause - why, unless this or the other end closed in order. */
  onClose(cause: LinkFailure | null): void
}

/** Why a link failed. `unreachable`: nobody listens there, so nothing was carried. */
export interface LinkFailure {
  readonly kind: 'unreachable' | 'busy' | 'broken'
  readonly message: string
}
