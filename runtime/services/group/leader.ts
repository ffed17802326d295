/** Who may lead. */
export interface Candidate {
  readonly memberId: number
  readonly credential: number
  readonly isPreferredLeader: boolean
  readonly isCurrentLeader: boolean
}

const BASE = 1_025
const PREFERRED = 4_096
const CURRENT = 3_072

/**
 * The one with the highest score leads, the next is its deputy; of equals the one that came first. Who leads goes on
 * leading, unless another one is preferred. A core. SAFplus GMS, section 12, "Leader election".
 * @param rank - what else counts, 0 to 1,023: the number of a node, the credential of a group's member.
 */
export function electLeader<C extends Candidate>(
  candidates: readonly C[],
  rank: (candidate: C) => number,
): { readonly leader: number | null; readonly deputy: number | null } {
  const score = (one: C): number =>
    BASE + rank(one) + (one.isPreferredLeader ? PREFERRED : 0) + (one.isCurrentLeader ? CURRENT : 0)
  const [leader, deputy] = candidates
    .filter(({ credential }) => credential > 0)
    .toSorted((a, b) => score(b) - score(a))
  return { leader: leader?.memberId ?? null, deputy: deputy?.memberId ?? null }
}
