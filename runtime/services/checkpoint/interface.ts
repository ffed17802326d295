import { z } from 'zod'
import { defineInterface } from '../../../idl/index.ts'
import { CLIENT_ID } from '../../cpm/interface.ts'
import { batchCodec, sequenceCodec } from './batch-codec.ts'
import { withCodecs } from './with-codecs.ts'

/**
 * The checkpoint protocol. A checkpoint belongs to one CSI and has one writer: the component that holds ACTIVE for it,
 * under the epoch of that grant. Each node process keeps one replica. The writer commits to the replica of its own node
 * (the *primary*); the primary sends each batch to the other replicas first, applies it itself when they have it, and
 * only then acknowledges. Each place that applies a batch compares its epoch and refuses an older one.
 */

const bytes: z.ZodType<Uint8Array, Uint8Array> = z.instanceof(Uint8Array)

/** A reply kept for at-most-once: key (caller, messageId). */
export const cachedReplySchema = z.strictObject({
  caller: z.string(),
  messageId: z.int(),
  functionNumber: z.int(),
  /** 0 is OK; else `payload` is the encoded wire error. */
  rc: z.int(),
  payload: bytes,
  /** Kept at least this long after the commit unless acknowledged earlier. */
  keepMs: z.int(),
})
export type CachedReply = z.infer<typeof cachedReplySchema>

/** What one finished call changed: applied whole or not at all. */
export const recordSchema = z.strictObject({
  /** Section id and its new value; null deletes. */
  writes: z.array(z.tuple([z.string(), bytes.nullable()])),
  reply: cachedReplySchema.nullable(),
  /** Callers and the id below which they hold every reply: older cached replies of them go. */
  acknowledged: z.array(z.tuple([z.string(), z.int()])),
  /** Replies whose time to be kept has passed: the active decides it, so that every replica holds the same ones. */
  expired: z.array(z.tuple([z.string(), z.int()])),
})
export type CheckpointRecord = z.infer<typeof recordSchema>

/** Records that travel and commit together, applied whole or not at all. An empty list confirms the epoch. */
export const batchSchema = z.strictObject({
  /** Of the ACTIVE grant under which the records were made. */
  epoch: z.int(),
  /** Sequence of the first record; sequences count records from 1 over the life of the checkpoint. */
  firstSequence: z.int(),
  records: z.array(recordSchema),
})
export type CheckpointBatch = z.infer<typeof batchSchema>

export const snapshotSchema = z.strictObject({
  /** Epoch and sequence of the last record it contains. */
  epoch: z.int(),
  sequence: z.int(),
  sections: z.array(z.tuple([z.string(), bytes])),
  replies: z.array(cachedReplySchema),
  /** For each caller that is known: the id below which it holds every reply. */
  acknowledged: z.array(z.tuple([z.string(), z.int()])),
})
export type CheckpointSnapshot = z.infer<typeof snapshotSchema>

const none = z.strictObject({})

const checkpoint = defineInterface({
  name: 'Checkpoint',
  clientId: CLIENT_ID.checkpoint,
  version: 'B.1.1',
  methods: {
    /**
     * Gives the present content; from then on each batch that is applied and did not come from this connection is
     * pushed on the same connection, in order, before any later callback of the agent. Error: `NOT_SUPPORTED` for a CSI
     * that several components are ACTIVE for at the same time.
     */
    attach: {
      serviceId: 0,
      /** `durable`: its batches are to wait for the disk. */
      input: z.strictObject({ csi: z.string(), durable: z.boolean().optional() }),
      output: snapshotSchema,
    },
    /**
     * Commits a batch of the ACTIVE component. Answered when every in-sync replica holds it.
     * Errors: `STALE_EPOCH` (the role is gone: the process must end), `TRY_AGAIN`, `NO_SPACE`.
     */
    commit: {
      serviceId: 1,
      input: z.strictObject({ csi: z.string(), batch: batchSchema }),
      output: z.strictObject({ sequence: z.int() }),
    },
    detach: { serviceId: 2, input: z.strictObject({ csi: z.string() }), output: none },
    status: {
      serviceId: 3,
      input: z.strictObject({ csi: z.string() }),
      output: z.strictObject({
        epoch: z.int(),
        sequence: z.int(),
        role: z.enum(['primary', 'secondary', 'none']),
        replicas: z.array(z.strictObject({ node: z.int(), state: z.string(), sequence: z.int() })),
        sectionCount: z.int(),
        replyCount: z.int(),
      }),
    },
  },
})

/** What a component calls on the replica of its own node (the agent's port). */
export const Checkpoint = withCodecs(checkpoint, 'commit', (method) => ({
  ...method,
  input: batchCodec(method.input),
  output: sequenceCodec(method.output),
}))

const checkpointPush = defineInterface({
  name: 'CheckpointPush',
  clientId: CLIENT_ID.checkpointPush,
  version: 'B.1.1',
  methods: {
    applied: {
      serviceId: 0,
      input: z.strictObject({ csi: z.string(), batch: batchSchema }),
      output: none,
    },
    /** The replica was rebuilt from another one: forget everything and take this. */
    replaced: {
      serviceId: 1,
      input: z.strictObject({ csi: z.string(), snapshot: snapshotSchema }),
      output: none,
    },
  },
})

/** What the replica calls on an attached component. One-way. */
export const CheckpointPush = withCodecs(checkpointPush, 'applied', (method) => ({
  ...method,
  input: batchCodec(method.input),
}))

const checkpointReplica = defineInterface({
  name: 'CheckpointReplica',
  clientId: CLIENT_ID.checkpointReplica,
  version: 'B.1.1',
  methods: {
    /** The primary opens its stream under `epoch`; the secondary refuses an older one and says where it stands. */
    open: {
      serviceId: 0,
      input: z.strictObject({
        csi: z.string(),
        epoch: z.int(),
        /** The primary's batches wait for the disk: the secondary's are to do so too. */
        durable: z.boolean().optional(),
      }),
      output: z.strictObject({
        /**
         * Last record held: its epoch and sequence. The primary checks that it is a prefix of its own history.
         * Sequence -1: this node has no content that it may rely on (new, or damaged); it must be replaced whole.
         */
        lastEpoch: z.int(),
        lastSequence: z.int(),
      }),
    },
    /**
     * The next batch. Errors: `STALE_EPOCH`, `OUT_OF_SYNC` (a gap: the primary opens again).
     * `under`: the epoch of the stream, left out when it is the batch's own; so the bytes of a `commit` are those of
     * the
     * `append` and of the push that follow from it, and no one encodes them again.
     */
    append: {
      serviceId: 1,
      input: z.strictObject({
        csi: z.string(),
        batch: batchSchema,
        under: z.int().optional(),
      }),
      output: z.strictObject({ sequence: z.int() }),
    },
    /**
     * Replaces the whole replica, in one transaction. `history`: first sequence of each epoch, ascending. `parts`: so
     * many parts with further sections went before it. Error: `OUT_OF_SYNC` when one of them is missing.
     */
    replace: {
      serviceId: 2,
      input: z.strictObject({
        csi: z.string(),
        epoch: z.int(),
        snapshot: snapshotSchema,
        history: z.array(z.tuple([z.int(), z.int()])),
        parts: z.int().optional(),
      }),
      output: none,
    },
    /** Sections of a content that is too large for one message: numbered from 0, which begins anew. */
    replacePart: {
      serviceId: 3,
      input: z.strictObject({
        csi: z.string(),
        epoch: z.int(),
        part: z.int(),
        sections: z.array(z.tuple([z.string(), bytes])),
      }),
      output: none,
    },
  },
})

/** Between the replicas of two node processes (agents' ports). The primary calls, the secondary answers. */
export const CheckpointReplica = withCodecs(checkpointReplica, 'append', (method) => ({
  ...method,
  input: batchCodec(method.input),
  output: sequenceCodec(method.output),
}))

/**
 * What the node's replica server needs from the floor above (the agent, and through it the director).
 * Asking to change the in-sync set is the only thing that may wait for a director.
 */
export interface InSyncAuthority {
  /**
   * Removes or adds a node of the CSI's in-sync set, recorded durably by the director before it resolves.
   * @throws SdkError STALE_EPOCH when `epoch` is no longer the CSI's epoch; TRY_AGAIN while there is no director.
   */
  change(request: {
    readonly csi: string
    readonly epoch: number
    readonly node: number
    readonly inSync: boolean
  }): Promise<void>
}
