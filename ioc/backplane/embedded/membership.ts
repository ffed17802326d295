import type { Member, MembershipView } from '../backplane.ts'

/**
 * First view of a term: the leader alone. The leader stands first in every view, then others in
 * order of arrival.
 */
export function firstView(term: number, leader: Member): MembershipView {
  return { term, number: 1, members: [leader] }
}

/** A node came (again): it takes its place at the end, under the process that it has now. */
export function withMember(view: MembershipView, member: Member): MembershipView {
  const others = view.members.filter(({ node }) => node !== member.node)
  return { term: view.term, number: view.number + 1, members: [...others, member] }
}

/** A node is not heard any more. The same view when it is not in it. */
export function withoutMember(view: MembershipView, node: string): MembershipView {
  const members = view.members.filter((member) => member.node !== node)
  if (members.length === view.members.length) return view
  return { term: view.term, number: view.number + 1, members }
}
