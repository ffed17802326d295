import { z } from 'zod'
import { defineInterface } from '../../../idl/index.ts'
import { addressSchema, CLIENT_ID } from '../../cpm/interface.ts'

/**
 * Group membership: which nodes are there, in which order they came and who leads; groups of components, and messages
 * to them. SAFplus GMS, section 12. A component calls the server side of its own node; views and messages come to all
 * nodes in one order.
 */

export const GROUP_LIMITS = {
  nameLength: 255,
  groupCount: 1_024,
  /** Members of one group. */
  memberCount: 1_024,
  messageBytes: 256 * 1_024,
} as const

export const groupNameSchema = z.string().min(1).max(GROUP_LIMITS.nameLength)
export const memberIdSchema = z.int().min(1).max(0xffff_ffff)
/** 0: never leads. */
export const credentialSchema = z.int().min(0).max(1_023)
/** The same of a node; its number says who of several leads. */
export const nodeCredentialSchema = z.int().min(0).max(0xffff_ffff)

export const groupMemberSchema = z.strictObject({
  /** Number of the node in the cluster's view, what `groupJoin` gave in a group's. */
  memberId: z.int(),
  name: z.string(),
  nodeId: z.int(),
  /** Of the component; null for a node. */
  address: addressSchema.nullable(),
  credential: z.int(),
  /** When it came, milliseconds since 1970 by the clock of its node. */
  bootTimestamp: z.int(),
  /** The view with which it came: the instance number, in one order everywhere. */
  initialViewNumber: z.int(),
  isCurrentLeader: z.boolean(),
  isPreferredLeader: z.boolean(),
})
export type GroupMember = z.infer<typeof groupMemberSchema>

export const memberChangeSchema = z.enum([
  'NO_CHANGE',
  'JOINED',
  'LEFT',
  'RECONFIGURED',
  'LEADER_ELECT_API_REQUEST',
])
/** What happened to a member with a view. SAFplus, section 12. */
export type GroupMemberChange = z.infer<typeof memberChangeSchema>

export const groupNotificationSchema = z.strictObject({
  /** null: the cluster. */
  group: z.int().nullable(),
  viewNumber: z.int(),
  /** Oldest member first; those that left last. */
  items: z.array(z.strictObject({ member: groupMemberSchema, change: memberChangeSchema })),
  /** Member ids; null: nobody leads (yet). */
  leader: z.int().nullable(),
  deputy: z.int().nullable(),
  leadershipChanged: z.boolean(),
})
/** One view. */
export type GroupNotification = z.infer<typeof groupNotificationSchema>

export const groupInfoSchema = z.strictObject({
  group: z.int(),
  name: z.string(),
  memberCount: z.int(),
  viewNumber: z.int(),
})
export type GroupInfo = z.infer<typeof groupInfoSchema>

/** Why a node was taken out of the cluster's view. SAFplus GMS, `ClGmsMemberEjectReasonT`. */
export const ejectReasonSchema = z.enum(['UNKNOWN', 'API_REQUEST'])
export type GroupEjectReason = z.infer<typeof ejectReasonSchema>

const bytes: z.ZodType<Uint8Array, Uint8Array> = z.instanceof(Uint8Array)

export const groupMessageSchema = z.strictObject({
  group: z.int(),
  /** Member id of the sender. */
  from: z.int(),
  data: bytes,
})
export type GroupMessage = z.infer<typeof groupMessageSchema>

const none = z.strictObject({})
const ofGroup = z.strictObject({ group: z.int() })
const ofView = z.strictObject({ group: z.int().nullable() })

/** What components call on the agent of their node. */
export const GroupService = defineInterface({
  name: 'GroupService',
  clientId: CLIENT_ID.group,
  version: 'B.1.1',
  methods: {
    /** The view now. Errors: NOT_EXIST for an unknown group. */
    view: { serviceId: 0, input: ofView, output: groupNotificationSchema },
    /** Views follow by `news`, on this connection; the present one comes back. Errors: NOT_EXIST. */
    watch: { serviceId: 1, input: ofView, output: groupNotificationSchema },
    unwatch: { serviceId: 2, input: ofView, output: none },
    /** Elects again, with the preferred node (null: as it is). Errors: INVALID_PARAMETER for no member. */
    clusterLeaderElect: {
      serviceId: 3,
      input: z.strictObject({ preferred: z.int().nullable() }),
      output: groupNotificationSchema,
    },
    /** Errors: ALREADY_EXIST, NO_SPACE. */
    groupCreate: {
      serviceId: 4,
      input: z.strictObject({ name: groupNameSchema }),
      output: ofGroup,
    },
    /** Errors: DOESNT_EXIST; INUSE while it has members. */
    groupDestroy: { serviceId: 5, input: ofGroup, output: none },
    /** Errors: DOESNT_EXIST, ALREADY_EXIST, NO_SPACE; OP_NOT_PERMITTED when its node left the cluster. */
    groupJoin: {
      serviceId: 6,
      input: z.strictObject({
        group: z.int(),
        memberId: memberIdSchema,
        name: z.string().max(GROUP_LIMITS.nameLength),
        credential: credentialSchema,
        /** Tells this membership from later ones of the same member: news name it. */
        turn: z.int(),
      }),
      output: none,
    },
    /** Errors: GROUP_DOESNT_EXIST; DOESNT_EXIST for no member of this component. */
    groupLeave: {
      serviceId: 7,
      input: z.strictObject({ group: z.int(), memberId: z.int() }),
      output: none,
    },
    groupList: {
      serviceId: 8,
      input: none,
      output: z.strictObject({ groups: z.array(groupInfoSchema) }),
    },
    /** Errors: DOESNT_EXIST for an unknown group or sender. */
    sendAll: {
      serviceId: 9,
      input: z.strictObject({
        group: z.int(),
        memberId: z.int(),
        data: bytes.refine((data) => data.byteLength <= GROUP_LIMITS.messageBytes, {
          error: `at most ${GROUP_LIMITS.messageBytes} bytes`,
        }),
      }),
      output: none,
    },
    /** The caller's node comes into the cluster's view, or is there with another name or credential. */
    clusterJoin: {
      serviceId: 10,
      input: z.strictObject({
        /** null: its name in the model. */
        name: groupNameSchema.nullable(),
        credential: nodeCredentialSchema,
      }),
      output: none,
    },
    /** The caller's node goes out of it. Errors: INVALID_PARAMETER when it is no member. */
    clusterLeave: { serviceId: 11, input: none, output: none },
    /** Errors: INVALID_PARAMETER for no member. */
    clusterMemberEject: {
      serviceId: 12,
      input: z.strictObject({ nodeId: z.int(), reason: ejectReasonSchema }),
      output: none,
    },
    /** From now on the caller is told by `news` when its node is ejected, whatever else it watches. */
    listen: { serviceId: 13, input: none, output: none },
  },
})

export const groupNewsSchema = z.discriminatedUnion('kind', [
  z.strictObject({ kind: z.literal('view'), notification: groupNotificationSchema }),
  /** @param turns - memberships of the component that get it. */
  z.strictObject({
    kind: z.literal('message'),
    message: groupMessageSchema,
    turns: z.array(z.int()),
  }),
  /** The own node left the cluster's view, and with it these memberships their groups; null: by the receiver's will. */
  z.strictObject({
    kind: z.literal('ejected'),
    reason: ejectReasonSchema.nullable(),
    turns: z.array(z.int()),
  }),
])
/** Views, messages and ejections, in their one order. */
export type GroupNews = z.infer<typeof groupNewsSchema>

/** What the agent calls on a component. */
export const GroupPush = defineInterface({
  name: 'GroupPush',
  clientId: CLIENT_ID.group,
  version: 'B.1.1',
  methods: {
    news: {
      serviceId: 32,
      input: z.strictObject({ first: z.int(), items: z.array(groupNewsSchema) }),
      output: none,
    },
  },
})
