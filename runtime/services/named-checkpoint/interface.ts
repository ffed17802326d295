import { z } from 'zod'
import { defineInterface } from '../../../idl/index.ts'
import { CLIENT_ID } from '../../cpm/interface.ts'
import { withCodecs } from '../checkpoint/with-codecs.ts'
import { performCodec, resultCodec } from './operation-codec.ts'

/**
 * Checkpoints with a name of their own: sections of bytes, kept on several nodes. SAFplus checkpoint service, section
 * 14; SAF AIS CKPT.
 *
 * A component calls the server side of its own node. One node of each checkpoint has the *active replica*: there all of
 * its operations come into one order, and from there they go to the other replicas. Which node that is, who has the
 * checkpoint open and which replicas are in sync is the *directory*, the same on all nodes by way of their one order.
 * Contents travel and are stored like those of hot-standby checkpoints of CSIs: see `../checkpoint`.
 */

/** Bounds; beyond the first three INVALID_PARAMETER, beyond the others what is said there. */
export const CHECKPOINT_BOUNDS = {
  nameLength: 255,
  sectionIdLength: 256,
  sectionCount: 1_000_000,
  /** Checkpoints of a cluster; one more gets NO_SPACE. */
  checkpointCount: 1_000,
  /** Bytes of one checkpoint on one node, with about 60 for each section; beyond NO_SPACE. */
  contentBytes: 512 * 1_024 * 1_024,
  /** Bytes of all elements of one call, of requests and of answers; beyond TOO_BIG: use several calls with offsets. */
  callBytes: 8 * 1_024 * 1_024,
  /** Elements of one vector; beyond TOO_BIG. */
  elementCount: 4_096,
  /** Handles of one component; beyond NO_SPACE. */
  openCount: 1_024,
} as const

const bytes: z.ZodType<Uint8Array, Uint8Array> = z.instanceof(Uint8Array)
const name = z.string().min(1).max(CHECKPOINT_BOUNDS.nameLength)
const sectionId = z.string().max(CHECKPOINT_BOUNDS.sectionIdLength)
const size = z.int().min(0)
/** Wall-clock milliseconds since 1970; null: never. */
const instant = z.number().nullable()

export const creationFlagSchema = z.enum([
  'WR_ALL_REPLICAS',
  'WR_ACTIVE_REPLICA',
  'WR_ACTIVE_REPLICA_WEAK',
  'WR_ALL_SAFE',
  'COLLOCATED',
  'DISTRIBUTED',
  'ALL_OPEN_ARE_REPLICAS',
  'PEER_TO_PEER_REPLICA',
])
/**
 * When a write returns: `WR_ALL_REPLICAS` when every replica in sync holds it (also without any of the four);
 * `WR_ALL_SAFE` the same, and a replica of a living node that does not answer fails it; `WR_ACTIVE_REPLICA` when the
 * active replica has it; `WR_ACTIVE_REPLICA_WEAK` as that, and of a vector the elements before a wrong one are written.
 *
 * Where replicas are: two nodes, of them the one that creates. `COLLOCATED`: the active one is where
 * `activeReplicaSet` was called; together with an asynchronous flag there is none before. `DISTRIBUTED` (hot standby,
 * with update callbacks), `ALL_OPEN_ARE_REPLICAS`, `PEER_TO_PEER_REPLICA`: also every node that has it open. SAFplus,
 * section 14.1.
 */
export type CreationFlag = z.infer<typeof creationFlagSchema>

export const attributesSchema = z.strictObject({
  creationFlags: z.array(creationFlagSchema),
  /** Bytes of all sections; 0: no bound but that of {@link CHECKPOINT_BOUNDS}. */
  checkpointSize: size,
  /** How long it is kept when nobody has it open; null: for ever. */
  retentionDurationMs: z.number().min(0).nullable(),
  /** 1: there is the default section only, whose id is empty. */
  maxSections: z.int().min(1).max(CHECKPOINT_BOUNDS.sectionCount),
  /** 0: unlimited. */
  maxSectionSize: size,
  maxSectionIdSize: z.int().min(0).max(CHECKPOINT_BOUNDS.sectionIdLength),
  /** True: a write is answered when it is on the disks of all replicas in sync. */
  durable: z.boolean().optional(),
})
export type CheckpointAttributes = z.infer<typeof attributesSchema>

/** Which sections an iteration gives; times compare with the expiration time. SAFplus, section 14.1. */
export const sectionsChosenSchema = z.enum([
  'FOREVER',
  'LEQ_EXPIRATION',
  'GEQ_EXPIRATION',
  'CORRUPTED',
  'ANY',
])
export type SectionsChosen = z.infer<typeof sectionsChosenSchema>

export const sectionDescriptorSchema = z.strictObject({
  id: z.string(),
  expiresAtMs: instant,
  size,
  lastUpdateMs: z.number(),
})
export type SectionDescriptor = z.infer<typeof sectionDescriptorSchema>

/** What is done at the active replica. Errors name the element of a vector in `context.errorIndex`. */
export const sectionOperationSchema = z.discriminatedUnion('kind', [
  z.strictObject({
    kind: z.literal('create'),
    /** null: one is generated. */
    id: sectionId.nullable(),
    expiresAtMs: instant,
    data: bytes,
  }),
  z.strictObject({ kind: z.literal('delete'), id: sectionId }),
  z.strictObject({ kind: z.literal('expire'), id: sectionId, atMs: instant }),
  z.strictObject({
    kind: z.literal('write'),
    elements: z.array(z.strictObject({ id: sectionId, offset: size, data: bytes })),
  }),
  z.strictObject({
    kind: z.literal('overwrite'),
    elements: z.array(z.strictObject({ id: sectionId, data: bytes })),
  }),
  z.strictObject({
    kind: z.literal('read'),
    elements: z.array(
      z.strictObject({
        id: sectionId,
        offset: size,
        /** null: all of it. */
        size: size.nullable(),
      }),
    ),
  }),
  z.strictObject({
    kind: z.literal('list'),
    /** Ids after this one, in ascending order; null: from the first. */
    after: z.string().nullable(),
    chosen: sectionsChosenSchema,
    timeMs: z.number(),
    count: z.int().min(1).max(1_000),
  }),
  z.strictObject({ kind: z.literal('status') }),
  /** Waits until every replica in sync holds what was written before. */
  z.strictObject({ kind: z.literal('synchronize') }),
])
export type SectionOperation = z.infer<typeof sectionOperationSchema>

export const sectionResultSchema = z.discriminatedUnion('kind', [
  z.strictObject({ kind: z.literal('done') }),
  z.strictObject({ kind: z.literal('created'), id: z.string() }),
  z.strictObject({ kind: z.literal('data'), data: z.array(bytes) }),
  z.strictObject({
    kind: z.literal('sections'),
    sections: z.array(sectionDescriptorSchema),
    /** `after` of the call for the next ones; null: there are none. */
    next: z.string().nullable(),
  }),
  z.strictObject({ kind: z.literal('status'), sectionCount: z.int(), memoryUsed: z.int() }),
  /** A weak write stopped at a wrong element; what was before it is written. `error`: its wire form. */
  z.strictObject({ kind: z.literal('partial'), error: bytes }),
])
export type SectionResult = z.infer<typeof sectionResultSchema>

const none = z.strictObject({})
const id = z.string()

const namedCheckpoint = defineInterface({
  name: 'NamedCheckpoint',
  clientId: CLIENT_ID.checkpoint,
  version: 'B.1.1',
  methods: {
    /**
     * Errors: NOT_EXIST; ALREADY_EXIST when it has other attributes; NO_SPACE; OP_NOT_PERMITTED for programs that are
     * no
     * component.
     */
    open: {
      serviceId: 16,
      input: z.strictObject({ name, attributes: attributesSchema.nullable() }),
      output: z.strictObject({ id, attributes: attributesSchema }),
    },
    close: { serviceId: 17, input: z.strictObject({ id }), output: none },
    /** Error: NOT_EXIST. */
    unlink: { serviceId: 18, input: z.strictObject({ name }), output: none },
    /** Errors: NOT_EXIST; BAD_OPERATION after unlink. */
    retentionSet: {
      serviceId: 19,
      input: z.strictObject({ id, durationMs: z.number().min(0).nullable() }),
      output: none,
    },
    /** The active replica is on this node from now on. Errors: NOT_EXIST, BAD_OPERATION, STALE_EPOCH. */
    activeReplicaSet: {
      serviceId: 20,
      input: z.strictObject({ id, epoch: z.int() }),
      output: none,
    },
    /**
     * `epoch`: of the CSI that the checkpoint goes with, 0 for none. Errors: STALE_EPOCH and those of SAFplus, 14.2.
     */
    perform: {
      serviceId: 21,
      input: z.strictObject({ id, epoch: z.int(), operation: sectionOperationSchema }),
      output: sectionResultSchema,
    },
    /** Who holds it; nodes by number. */
    describe: {
      serviceId: 22,
      input: z.strictObject({ id }),
      output: z.strictObject({
        active: z.int().nullable(),
        replicas: z.array(z.int()),
        inSync: z.array(z.int()),
        retentionDurationMs: z.number().nullable(),
        openCount: z.int(),
      }),
    },
    /** Updates follow by `updated` on this connection, from here on. Error: OP_NOT_PERMITTED unless DISTRIBUTED. */
    watch: { serviceId: 23, input: z.strictObject({ id }), output: none },
    unwatch: { serviceId: 24, input: z.strictObject({ id }), output: none },
  },
})

/** What components call on the agent of their node. */
export const NamedCheckpoint = withCodecs(namedCheckpoint, 'perform', (method) => ({
  ...method,
  input: performCodec(method.input),
  output: resultCodec(method.output),
}))

const namedCheckpointPeer = defineInterface({
  name: 'NamedCheckpointPeer',
  clientId: CLIENT_ID.checkpointReplica,
  version: 'B.1.1',
  methods: {
    /** Asked again under the same origin it is done once. Error: TRY_AGAIN while this node has no active replica. */
    perform: {
      serviceId: 16,
      input: z.strictObject({
        id,
        epoch: z.int(),
        origin: z.strictObject({
          caller: z.string(),
          messageId: z.int(),
          acknowledgedBelow: z.int(),
        }),
        operation: sectionOperationSchema,
      }),
      output: sectionResultSchema,
    },
  },
})

/** Between node processes: to the node of the active replica. */
export const NamedCheckpointPeer = withCodecs(namedCheckpointPeer, 'perform', (method) => ({
  ...method,
  output: resultCodec(method.output),
}))

export const sectionUpdateSchema = z.strictObject({
  checkpoint: id,
  /** True: the content was replaced as a whole; read what is needed. */
  isWhole: z.boolean(),
  elements: z.array(
    z.strictObject({
      id: z.string(),
      kind: z.enum(['WRITTEN', 'DELETED']),
      /** The section's size after it. */
      size,
      /** Null when it is too large to be pushed: read it. */
      data: bytes.nullable(),
    }),
  ),
})
/** What one commit changed. */
export type SectionUpdate = z.infer<typeof sectionUpdateSchema>

/** What the agent calls on a component. */
export const NamedCheckpointPush = defineInterface({
  name: 'NamedCheckpointPush',
  clientId: CLIENT_ID.checkpoint,
  version: 'B.1.1',
  methods: {
    updated: {
      serviceId: 48,
      input: z.strictObject({ first: z.int(), updates: z.array(sectionUpdateSchema) }),
      output: none,
    },
  },
})
