import { z } from 'zod'
import { defineInterface, makeMethodCodec } from '../../../idl/index.ts'
import { CLIENT_ID } from '../../cpm/interface.ts'

/**
 * Cluster events as the OCF draft describes them. The server side of each node makes one stream of events: what the
 * nodes agreed on (views of the cluster and of groups, messages to groups) in the one order of all nodes, and between
 * them what the node alone sees. It hands the stream to its programs, which hand it to their handles.
 */

/** Bounds of one node. */
export const CLUSTER_EVENT_LIMITS = {
  /** Events under way to a program that is alone in wanting them. */
  aheadMax: 64,
  /** Events and bytes that wait; beyond either, who goes on holding the stream is evicted. */
  waitingCountMax: 4_096,
  waitingBytesMax: 64 * 1_024 * 1_024,
  /** Handles of one program. */
  handleCountMax: 1_024,
} as const

const nodeSchema = z.strictObject({
  nodeId: z.int(),
  name: z.string(),
  /** The instance with which it became a member: lower ones are older. */
  bornOn: z.int(),
})
/** A node of a membership. */
export type OcEvNode = z.infer<typeof nodeSchema>

const membershipSchema = z.strictObject({
  kind: z.literal('membership'),
  /** Of the view: the same on all nodes; never goes back. */
  instance: z.int(),
  /** Each pair is a section of `nodes`: how many from where. Sections may share places. */
  memberCount: z.int(),
  memberIndex: z.int(),
  inCount: z.int(),
  inIndex: z.int(),
  outCount: z.int(),
  outIndex: z.int(),
  /** Members oldest first. null: a place that no section has. */
  nodes: z.array(nodeSchema.nullable()),
})
/** Data of the membership class. */
export type OcEvMembership = z.infer<typeof membershipSchema>

const connectivitySchema = z.strictObject({
  kind: z.literal('connectivity'),
  /** INTERFACE: ADDED or FAILED; ELIGIBLE: ELIGIBLE or NOT_ELIGIBLE; CONNECT: MADE or LOST. */
  change: z.enum(['ADDED', 'FAILED', 'ELIGIBLE', 'NOT_ELIGIBLE', 'MADE', 'LOST']),
  /** Interfaces or nodes that it happened to. */
  names: z.array(z.string()),
  /** All that are known, as they are now. */
  interfaces: z.array(z.strictObject({ name: z.string(), health: z.enum(['UP', 'FAILED']) })),
  nodes: z.array(
    z.strictObject({
      nodeId: z.int(),
      name: z.string(),
      /** It is in the model. */
      isEligible: z.boolean(),
      /** With the local node, which is connected with itself. */
      isConnected: z.boolean(),
    }),
  ),
})
/** Data of the connectivity class. */
export type OcEvConnectivity = z.infer<typeof connectivitySchema>

const groupMemberSchema = z.strictObject({
  memberId: z.int(),
  name: z.string(),
  nodeId: z.int(),
})
export type OcEvGroupMember = z.infer<typeof groupMemberSchema>

const bytes: z.ZodType<Uint8Array, Uint8Array> = z.instanceof(Uint8Array)

const groupSchema = z.discriminatedUnion('kind', [
  /** JOIN and LEAVE. */
  z.strictObject({
    kind: z.literal('groupView'),
    group: z.int(),
    viewNumber: z.int(),
    /** Who joined or left. */
    changed: z.array(groupMemberSchema),
    /** All members, oldest first. */
    members: z.array(groupMemberSchema),
  }),
  /** CAST. */
  z.strictObject({
    kind: z.literal('groupMessage'),
    group: z.int(),
    /** Member that sent it. */
    from: z.int(),
    message: bytes,
  }),
])
/** Data of the group class. */
export type OcEvGroup = z.infer<typeof groupSchema>

export const eventDataCodec = makeMethodCodec(
  'data of a cluster event',
  z.discriminatedUnion('kind', [membershipSchema, connectivitySchema, ...groupSchema.options]),
)
export type OcEvData = OcEvMembership | OcEvConnectivity | OcEvGroup

const none = z.strictObject({})
const session = z.int().min(1)

/** What programs call on the agent of a node. */
export const ClusterEventService = defineInterface({
  name: 'ClusterEventService',
  clientId: CLIENT_ID.clusterEvents,
  version: 'B.1.1',
  methods: {
    /**
     * What a program wants and has completed, whole: a later one replaces it, a repeated one changes nothing. The first
     * one of a session begins it. Errors: NOT_INITIALIZED when the session is over.
     */
    report: {
      serviceId: 0,
      input: z.strictObject({
        session,
        /** Every item of the stream up to this one is complete. */
        completedUpTo: z.int(),
        /** Classes that its active handles want, each with the best priority; 4: `MEMB_SPECIAL`. */
        wanted: z
          .array(z.strictObject({ eventClass: z.int().min(1).max(4), priority: z.int().min(0) }))
          .max(4),
        /** Handles that are to become active, counted by `number`; with the classes whose state they are told first. */
        activating: z
          .array(
            z.strictObject({
              number: z.int(),
              handle: z.int(),
              initial: z.array(z.int()).max(3),
            }),
          )
          .max(CLUSTER_EVENT_LIMITS.handleCountMax),
      }),
      output: none,
    },
    /** Between nodes: makes a connection. */
    hello: { serviceId: 1, input: none, output: none },
  },
})

const streamItemSchema = z.discriminatedUnion('kind', [
  z.strictObject({
    kind: z.literal('event'),
    sequence: z.int(),
    descriptor: z.int(),
    /** What it goes by: that of the descriptor, or 4, `MEMB_SPECIAL`. */
    eventClass: z.int(),
    /** null: every handle that wants the class. */
    handle: z.int().nullable(),
    /** See `eventDataCodec`; empty: no data. */
    data: bytes,
  }),
  /** The handle is active from here on. */
  z.strictObject({ kind: z.literal('active'), sequence: z.int(), handle: z.int() }),
  /** Nothing follows. */
  z.strictObject({ kind: z.literal('ended'), why: z.enum(['shutdown', 'evicted']) }),
])
/** One item of what a program is told, in order. */
export type StreamItem = z.infer<typeof streamItemSchema>

/** What the agent calls on a program. */
export const ClusterEventPush = defineInterface({
  name: 'ClusterEventPush',
  clientId: CLIENT_ID.clusterEvents,
  version: 'B.1.1',
  methods: {
    items: {
      serviceId: 32,
      input: z.strictObject({ session, first: z.int(), items: z.array(streamItemSchema) }),
      output: none,
    },
  },
})
