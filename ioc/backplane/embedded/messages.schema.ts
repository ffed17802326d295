import { z } from 'zod'

/** What node processes say to each other over the leader's socket: one JSON document a line. */

export const PROTOCOL_VERSION = 1

const processSchema = z.object({ pid: z.int(), startTime: z.int(), bootId: z.string() })
const memberSchema = z.object({ node: z.string().max(255), process: processSchema })
const viewSchema = z.object({
  term: z.int(),
  number: z.int(),
  members: z.array(memberSchema),
})

/**
 * Unknown members are ignored, so that a later version may add some; an unknown kind is refused.
 */
export const messageSchema = z.discriminatedUnion('kind', [
  /** Follower's first message. */
  z.object({ kind: z.literal('hello'), version: z.int(), ...memberSchema.shape }),
  z.object({ kind: z.literal('beat'), term: z.int() }),
  /** Leader's answer to a hello, and each later view. */
  z.object({ kind: z.literal('view'), view: viewSchema }),
  /** The receiver of a hello does not lead, or does not take this node. */
  z.object({ kind: z.literal('refused'), leading: z.boolean(), reason: z.string() }),
  /** The leader gave the leadership up in order. */
  z.object({ kind: z.literal('released') }),
])
export type Message = z.infer<typeof messageSchema>
