import { z } from 'zod'
import { defineInterface } from '../../../idl/index.ts'
import { CLIENT_ID } from '../../cpm/interface.ts'

/**
 * One order of messages over all nodes, and the services that are made of it.
 *
 * The leading node numbers what nodes submit. A message is delivered, in the order of its number, when every node of
 * the view holds it. What one node has delivered outlives every single failure; nodes that were away get what they
 * missed, or the whole content.
 */

const bytes: z.ZodType<Uint8Array, Uint8Array> = z.instanceof(Uint8Array)

/** A place in the order. Terms are those of the backplane's leadership. */
export const positionSchema = z.strictObject({ term: z.int(), sequence: z.int() })
export type Position = z.infer<typeof positionSchema>

/** One life of one node's member. */
export const memberSchema = z.strictObject({ node: z.int(), life: z.string() })
export type OrderMember = z.infer<typeof memberSchema>

export const submissionSchema = z.strictObject({
  /** Counts the submissions of one life of a node, from 1, without a gap. */
  number: z.int(),
  topic: z.string(),
  payload: bytes,
})
export type Submission = z.infer<typeof submissionSchema>

export const orderEntrySchema = z.discriminatedUnion('kind', [
  z.strictObject({
    kind: z.literal('message'),
    at: positionSchema,
    from: memberSchema,
    submission: submissionSchema,
  }),
  /** Who takes part from here on, oldest first. */
  z.strictObject({
    kind: z.literal('view'),
    at: positionSchema,
    members: z.array(memberSchema),
  }),
])
export type OrderEntry = z.infer<typeof orderEntrySchema>

/** Everything that follows from the entries up to `at`. */
export const orderSnapshotSchema = z.strictObject({
  at: positionSchema,
  members: z.array(memberSchema),
  /** The last number that was ordered of each life. */
  ordered: z.array(z.strictObject({ from: memberSchema, number: z.int() })),
  topics: z.array(z.strictObject({ topic: z.string(), content: bytes })),
})
export type OrderSnapshot = z.infer<typeof orderSnapshotSchema>

const none = z.strictObject({})

/** What nodes call on the leading one. */
export const OrderLead = defineInterface({
  name: 'OrderLead',
  clientId: CLIENT_ID.orderLead,
  version: 'B.1.1',
  methods: {
    /** A node takes part under `term`. Errors: STALE_TERM; TRY_AGAIN while the leader does not lead yet. */
    join: {
      serviceId: 0,
      input: z.strictObject({
        term: z.int(),
        member: memberSchema,
        /** The last entry that it delivered, and the last one that it holds. */
        delivered: positionSchema,
        held: positionSchema,
      }),
      output: none,
    },
    /** Errors: STALE_TERM, TRY_AGAIN; OUT_OF_SYNC when a number is missing before the first one. */
    submit: {
      serviceId: 1,
      input: z.strictObject({
        term: z.int(),
        member: memberSchema,
        submissions: z.array(submissionSchema),
      }),
      output: none,
    },
  },
})

/** What the leading node calls on the others. */
export const OrderFollow = defineInterface({
  name: 'OrderFollow',
  clientId: CLIENT_ID.orderFollow,
  version: 'B.1.1',
  methods: {
    /**
     * Entries to hold, after what the node delivered or after the snapshot, and up to where they may be delivered.
     * Answered when they are held. Errors: STALE_TERM; OUT_OF_SYNC when entries before them are missing.
     */
    order: {
      serviceId: 0,
      input: z.strictObject({
        term: z.int(),
        snapshot: orderSnapshotSchema.nullable(),
        /** The entry before the first of `entries`. */
        after: positionSchema,
        entries: z.array(orderEntrySchema),
        stable: z.int(),
      }),
      output: none,
    },
    /** What a node holds after `after`; with the whole content when it does not reach back so far. */
    pull: {
      serviceId: 1,
      input: z.strictObject({ term: z.int(), after: positionSchema }),
      output: z.strictObject({
        snapshot: orderSnapshotSchema.nullable(),
        entries: z.array(orderEntrySchema),
      }),
    },
  },
})
