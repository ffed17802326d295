/**
 * Where the stream to a secondary stands.
 * `closed`: opened again at `retryAtMs`. `opening`: asked where it stands. `catchingUp`: gets what it lacks, in
 * parts, or everything. `streaming`: gets each batch as it comes.
 */
export type StreamState = 'closed' | 'opening' | 'catchingUp' | 'streaming'

/**
 * What the director's in-sync set says of the secondary, as far as the primary may rely on it. Only `out` lets a commit
 * go without it: while a change is asked for, its answer may be lost after it was recorded.
 */
export type Membership = 'out' | 'adding' | 'in' | 'removing'

/** The primary's knowledge of one secondary. */
export interface ReplicaLink {
  readonly node: number
  /** False: it is to hold a replica no more, and leaves the set. */
  isWanted: boolean
  stream: StreamState
  /** Grows with each opening: answers of an earlier stream are not counted. */
  attempt: number
  /** When the present state of the stream began. */
  sinceMs: number
  retryAtMs: number
  backoffMs: number
  /** Last record that it is known to hold. */
  ackedSequence: number
  /** Last entry of the pipeline that it confirmed (records held and epoch accepted). */
  ackedIndex: number
  /** Send times of entries after `ackedIndex`, oldest first. */
  unconfirmed: { readonly index: number; readonly sentMs: number }[]
  membership: Membership
  /** A change of the set is being asked for. */
  isAsking: boolean
  askAgainAtMs: number
  askBackoffMs: number
}

export const LINK_BACKOFF_MS = { min: 10, max: 1_000 } as const
export const ASK_BACKOFF_MS = { min: 5, max: 200 } as const

export function newLink(node: number, membership: Membership, nowMs: number): ReplicaLink {
  return {
    node,
    isWanted: true,
    stream: 'closed',
    attempt: 0,
    sinceMs: nowMs,
    retryAtMs: nowMs,
    backoffMs: LINK_BACKOFF_MS.min,
    ackedSequence: 0,
    ackedIndex: 0,
    unconfirmed: [],
    membership,
    isAsking: false,
    askAgainAtMs: nowMs,
    askBackoffMs: ASK_BACKOFF_MS.min,
  }
}

/** Gives the stream up; it is opened again after a back-off that doubles. */
export function closeStream(link: ReplicaLink, nowMs: number): void {
  link.attempt++
  link.stream = 'closed'
  link.sinceMs = nowMs
  link.unconfirmed = []
  link.retryAtMs = nowMs + link.backoffMs
  link.backoffMs = Math.min(link.backoffMs * 2, LINK_BACKOFF_MS.max)
}

/** Notes that an entry was confirmed: with it all earlier ones, since a stream is in order. */
export function confirmEntry(link: ReplicaLink, index: number, lastSequence: number): void {
  link.ackedIndex = Math.max(link.ackedIndex, index)
  link.ackedSequence = Math.max(link.ackedSequence, lastSequence)
  while ((link.unconfirmed[0]?.index ?? Infinity) <= index) link.unconfirmed.shift()
}
