/**
 * What nodes share besides messages: membership, leadership and a small linearizable store. Two
 * adapters are planned behind this contract: `embedded` (one machine) and etcd (many). Only control
 * state goes in.
 */

/** One operating-system process, told apart from a later one with the same pid. */
export interface ProcessIdentity {
  readonly pid: number
  /** Field 22 of `/proc/PID/stat`: start time in clock ticks since boot. */
  readonly startTime: number
  /** `/proc/sys/kernel/random/boot_id`. */
  readonly bootId: string
}

/** Who leads: one term of one process. */
export interface Leader {
  readonly node: string
  /** Grows by one with each change of leader, over the life of the store. */
  readonly term: number
  readonly process: ProcessIdentity
}

/** A node that the leader hears. */
export interface Member {
  readonly node: string
  readonly process: ProcessIdentity
}

/**
 * The leader's view of who is there. Views come in one order everywhere; `number` grows with each
 * under one term.
 */
export interface MembershipView {
  readonly term: number
  readonly number: number
  readonly members: readonly Member[]
}

/** What a backplane tells its user, one at a time, in one order everywhere under one term. */
export type BackplaneEvent =
  /** This node leads from now on: the former leader is proven gone and the term is durable. */
  | { readonly kind: 'elected'; readonly term: number }
  /** Another node leads. */
  | { readonly kind: 'following'; readonly leader: Leader }
  /** The leader cannot be heard; a contest runs. */
  | { readonly kind: 'leaderLost'; readonly leader: Leader; readonly cause: string }
  /**
   * The leader works and cannot be heard: the way to it is cut. It leads on, and is going to fence
   * this node, which it does not hear either. After a heal comes `following` or `leaderLost`.
   */
  | { readonly kind: 'leaderCut'; readonly leader: Leader; readonly cause: string }
  /**
   * Only on the leader, and forwarded to followers: who is connected. A lost member is only
   * *unheard*, not proven gone.
   */
  | { readonly kind: 'membership'; readonly view: MembershipView }
  /** This node led and does so no more (it found a newer term). It must stop directing at once. */
  | { readonly kind: 'deposed'; readonly term: number }

/** One key of the store with its value. */
export interface StoreEntry {
  readonly key: string
  readonly value: Uint8Array
  /** Grows with each change of the store. */
  readonly revision: number
}

/** Small linearizable store, keys up to 500 bytes, values up to 1 MiB. */
export interface Store {
  get(key: string): StoreEntry | undefined
  list(prefix: string): readonly StoreEntry[]
  /**
   * Only for the leader; the embedded adapter throws INVALID_STATE for others.
   * @param expectedRevision - 0: the key must not exist.
   * @returns false when the condition does not hold.
   */
  putIf(key: string, value: Uint8Array, expectedRevision: number): boolean
  deleteIf(key: string, expectedRevision: number): boolean
  /**
   * Applies all changes in one transaction if `term` is still the present term.
   * @throws SdkError STALE_TERM otherwise, with nothing changed.
   */
  commit(
    term: number,
    changes: readonly { readonly key: string; readonly value: Uint8Array | null }[],
  ): void
}

/** What nodes share besides messages: who is there, who leads, and a small store. */
export interface Backplane {
  readonly store: Store
  readonly leader: Leader | null
  /**
   * Joins and takes part in leadership. Events come one at a time, in order, never before this
   * resolves.
   */
  start(onEvent: (event: BackplaneEvent) => void): Promise<void>
  /**
   * Proves that a member's process is gone: SIGKILL by (pid, start time), then waits until its
   * entry has vanished or is a zombie. Resolves at once when it already is. @throws SdkError
   * TIMEOUT after `timeoutMs` (uninterruptible sleep).
   */
  proveGone(process: ProcessIdentity, timeoutMs: number): Promise<void>
  /** Orderly: a leader gives the leadership up so that others contest at once. */
  stop(): Promise<void>
}
