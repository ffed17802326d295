import { z } from 'zod'
import { makeMethodCodec } from '../../../idl/index.ts'
import {
  credentialSchema,
  groupMemberSchema,
  groupNameSchema,
  memberIdSchema,
} from './interface.ts'

/** Whom a member depends on: a life of a node process, and a component's EO (empty for a node). */
const ownerSchema = z.strictObject({ life: z.string(), eo: z.string() })
export type MemberOwner = z.infer<typeof ownerSchema>

const bytes: z.ZodType<Uint8Array, Uint8Array> = z.instanceof(Uint8Array)

export const groupOperationSchema = z.discriminatedUnion('kind', [
  z.strictObject({
    kind: z.literal('nodeJoin'),
    owner: ownerSchema,
    nodeId: z.int(),
    name: z.string(),
    atMs: z.int(),
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

const snapshotSchema = z.strictObject({
  nextGroup: z.int(),
  cluster: viewSchema,
  groups: z.array(z.strictObject({ group: z.int(), name: z.string(), view: viewSchema })),
})
export type GroupsSnapshot = z.infer<typeof snapshotSchema>

export const groupOperationCodec = makeMethodCodec('group operation', groupOperationSchema)
export const groupsCodec = makeMethodCodec('groups', snapshotSchema)
