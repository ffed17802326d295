import { z } from 'zod'
import { makeMethodCodec } from '../../../idl/index.ts'
import {
  credentialSchema,
  ejectReasonSchema,
  groupMemberSchema,
  groupNameSchema,
  memberIdSchema,
  nodeCredentialSchema,
} from './interface.ts'

/** Whom a member depends on: a life of a node process, and a component's EO and its turn (empty, 0 for a node). */
const ownerSchema = z.strictObject({ life: z.string(), eo: z.string(), turn: z.int() })
export type MemberOwner = z.infer<typeof ownerSchema>

const bytes: z.ZodType<Uint8Array, Uint8Array> = z.instanceof(Uint8Array)

export const groupOperationSchema = z.discriminatedUnion('kind', [
  /** A node process takes part in the order: it is in the cluster's view unless this life of it left. */
  z.strictObject({
    kind: z.literal('nodeJoin'),
    life: z.string(),
    nodeId: z.int(),
    name: z.string(),
    atMs: z.int(),
  }),
  /** By the will of a program of the node. */
  z.strictObject({
    kind: z.literal('clusterJoin'),
    life: z.string(),
    nodeId: z.int(),
    name: z.string(),
    credential: nodeCredentialSchema,
    atMs: z.int(),
  }),
  z.strictObject({
    kind: z.literal('clusterEject'),
    nodeId: z.int(),
    /** A later one of the node stays. */
    life: z.string(),
    reason: ejectReasonSchema,
    /** EO of the node itself that lets it leave; null: it is ejected. */
    leaver: z.string().nullable(),
  }),
  /** The time in which nodes may come before anybody leads has passed. */
  z.strictObject({ kind: z.literal('bootElection') }),
  z.strictObject({ kind: z.literal('clusterElect'), preferred: z.int().nullable() }),
  z.strictObject({ kind: z.literal('create'), name: groupNameSchema }),
  z.strictObject({ kind: z.literal('destroy'), group: z.int() }),
  z.strictObject({
    kind: z.literal('join'),
    group: z.int(),
    owner: ownerSchema,
    memberId: memberIdSchema,
    name: z.string(),
    credential: credentialSchema,
    nodeId: z.int(),
    port: z.int(),
    atMs: z.int(),
  }),
  z.strictObject({
    kind: z.literal('leave'),
    group: z.int(),
    memberId: z.int(),
    eo: z.string(),
  }),
  z.strictObject({
    kind: z.literal('send'),
    group: z.int(),
    memberId: z.int(),
    eo: z.string(),
    data: bytes,
  }),
  z.strictObject({ kind: z.literal('ended'), eo: z.string() }),
])
export type GroupOperation = z.infer<typeof groupOperationSchema>

const viewSchema = z.strictObject({
  viewNumber: z.int(),
  hasElected: z.boolean(),
  leader: z.int().nullable(),
  deputy: z.int().nullable(),
  members: z.array(z.strictObject({ member: groupMemberSchema, owner: ownerSchema })),
})
export type ViewSnapshot = z.infer<typeof viewSchema>

const nodeSchema = z.strictObject({
  nodeId: z.int(),
  life: z.string(),
  name: z.string(),
  credential: nodeCredentialSchema,
  /** Why it is out of the view; null: it is not. */
  out: ejectReasonSchema.nullable(),
})
/** What a node's present life is in the cluster's view, or would be. */
export type NodeStanding = z.infer<typeof nodeSchema>

const snapshotSchema = z.strictObject({
  nextGroup: z.int(),
  cluster: viewSchema,
  nodes: z.array(nodeSchema),
  groups: z.array(z.strictObject({ group: z.int(), name: z.string(), view: viewSchema })),
})
export type GroupsSnapshot = z.infer<typeof snapshotSchema>

export const groupOperationCodec = makeMethodCodec('group operation', groupOperationSchema)
export const groupsCodec = makeMethodCodec('groups', snapshotSchema)
