import type { OrderMember, Position } from './interface.ts'

/**
 * A service whose content every node holds: the same messages come to it in the same order on every node, and its
 * content follows from them alone. So it must be deterministic: no clock, no chance, no look at anything local.
 */
export interface Replicated {
  /** Names the service in the order; at most 64 characters. */
  readonly topic: string
  /**
   * One message.
   * @returns what the submitter gets; an error that it throws goes to the submitter, and must leave the content as it
   * was.
   */
  apply(payload: Uint8Array, meta: MessageMeta): unknown
  /** Who takes part from here on, oldest first: what belonged to others is over. */
  viewChanged(members: readonly OrderMember[], at: Position): void
  /** The whole content. */
  snapshot(): Uint8Array
  /** Replaces the whole content. */
  restore(content: Uint8Array): void
}

export interface MessageMeta {
  readonly from: OrderMember
  readonly at: Position
  /** Submitted by this very node. */
  readonly isOwn: boolean
}
