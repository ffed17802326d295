import type { IocAddress } from '../address.ts'

/**
 * The contract of a transport: it carries bytes, in order and without loss while both ends live, between the program
 * that listens at an address and those that connect to it. Frames, hellos, queues and limits are the business of the
 * floor's port, so that they are the same over every transport. One suite, `test/contract/`, holds every transport to
 * this page.
 */
export interface Transport {
  /** For log lines: `unix`, `memory`, `tcp`. */
  readonly kind: string
  /**
   * Listens at an address. Each link that arrives goes to `accept`, before any of its bytes; one that the transport
   * itself turns away is told to `refused` and never seen.
   * @throws SdkError ALREADY_EXIST while a living program listens there. What a dead one left behind is replaced.
   * OP_NOT_PERMITTED, NO_RESOURCE, INVALID_PARAMETER: what the operating system says, with the remedy.
   */
  listen(
    address: IocAddress,
    accept: (link: Link) => void,
    refused?: (refusal: Refusal) => void,
  ): Promise<Listener>
  /**
   * Starts to connect. Never throws: a failure is told through `onClose` of the link, before any `onOpen`, and soon:
   * nobody listening is known at once.
   */
  connect(address: IocAddress): Link
  /**
   * Addresses at which somebody may listen, for messages to many: all of one port number, or all of one node, or all.
   * What is listed may be gone; what listens and is not listed is reached only while it is connected. May look at a
   * directory: not for every call.
   */
  known(wanted: { readonly node?: number; readonly port?: number }): readonly IocAddress[]
}

/** Somebody whom a listening transport turned away before it could say anything. */
export interface Refusal {
  readonly reason: RefusalReason
  readonly message: string
}

/** Why a peer is no peer: a closed set, counted by the port under these words. */
export type RefusalReason =
  | 'plaintext'
  | 'noCertificate'
  | 'unknownAuthority'
  | 'expiredCertificate'
  | 'wrongNode'
  | 'handshakeTimeout'
  | 'handshakeFailed'

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
  /**
   * Whether the other end proved that it belongs to a node; 0, a program that listens nowhere, needs no proof. Left out
   * by transports that ask for none. Asked only after `onOpen`.
   */
  vouchesFor?(node: number): boolean
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

/**
 * Why a link failed. `unreachable`: nobody listens there, so nothing was carried. `refused`: somebody does, but one of
 * the two does not accept the other, for `reason`.
 */
export type LinkFailure =
  | { readonly kind: 'unreachable' | 'busy' | 'broken'; readonly message: string }
  | { readonly kind: 'refused'; readonly reason: RefusalReason; readonly message: string }
