import { z } from 'zod'
import { makeMethodCodec } from '../../../idl/index.ts'
import { attributesSchema } from './interface.ts'

/** A component that has a checkpoint open, and the life of the node process that it depends on. */
const openerSchema = z.strictObject({ eo: z.string(), life: z.string(), node: z.int() })
export type Opener = z.infer<typeof openerSchema>

/** Revisions of one life of the directory up to which a node has heard everything: from, to. */
const coverageSchema = z.array(z.tuple([z.int(), z.int()]))
export type Coverage = z.infer<typeof coverageSchema>

const entrySchema = z.strictObject({
  id: z.string(),
  name: z.string(),
  /** As it was created. */
  attributes: attributesSchema,
  retentionDurationMs: z.number().nullable(),
  isUnlinked: z.boolean(),
  openers: z.array(z.strictObject({ opener: openerSchema, count: z.int() })),
  /** Grows when it is opened: a retention that was begun before does not count. */
  generation: z.int(),
  /** Nobody had it open for so long before this life of the directory took it over. */
  idleMs: z.number(),
  /** Where the active replica is, under which epoch. */
  active: z.int().nullable(),
  epoch: z.int(),
  /** Nodes that are to hold replicas. */
  replicas: z.array(z.int()),
  /** Nodes that hold everything that was acknowledged; null: nothing was yet. */
  inSync: z.array(z.int()).nullable(),
  /** Where in the order it changed last. */
  revision: z.int(),
})
/** One checkpoint in the directory. */
export type DirectoryEntry = z.infer<typeof entrySchema>

/** What a node's store says of one checkpoint, after all nodes may have ended. */
const recoveredSchema = z.strictObject({
  id: z.string(),
  /** As the node heard of it last; null: it holds a replica, and had not heard of it. */
  entry: entrySchema.nullable(),
  /** Nodes that it had asked to add to those in sync, under the epoch of the entry, without hearing what came of it. */
  joining: z.array(z.int()),
  /** Its replica: `isSound` false: what was stored does not check. null: it has none. */
  replica: z
    .strictObject({ isSound: z.boolean(), lastEpoch: z.int(), sequence: z.int() })
    .nullable(),
})
export type RecoveredCheckpoint = z.infer<typeof recoveredSchema>

/** What changes the directory. */
export const directoryOperationSchema = z.discriminatedUnion('kind', [
  z.strictObject({
    kind: z.literal('open'),
    name: z.string(),
    attributes: attributesSchema.nullable(),
    /** Of the checkpoint, if it is created by it. */
    id: z.string(),
    opener: openerSchema,
  }),
  z.strictObject({ kind: z.literal('close'), id: z.string(), eo: z.string() }),
  /** The component is gone. */
  z.strictObject({ kind: z.literal('ended'), eo: z.string() }),
  z.strictObject({ kind: z.literal('unlink'), name: z.string() }),
  z.strictObject({
    kind: z.literal('retentionSet'),
    id: z.string(),
    durationMs: z.number().nullable(),
  }),
  /** The time for which it is kept unopened has passed, unless it was opened again meanwhile. */
  z.strictObject({ kind: z.literal('retentionPassed'), id: z.string(), generation: z.int() }),
  z.strictObject({ kind: z.literal('activeSet'), id: z.string(), node: z.int() }),
  /** The active replica of this epoch cannot go on. */
  z.strictObject({ kind: z.literal('activeLost'), id: z.string(), epoch: z.int() }),
  z.strictObject({
    kind: z.literal('inSync'),
    id: z.string(),
    epoch: z.int(),
    node: z.int(),
    inSync: z.boolean(),
  }),
  /** A node process that starts tells what its store has, in parts. */
  z.strictObject({
    kind: z.literal('recovered'),
    node: z.int(),
    /** The life of the directory that the store knew. */
    incarnation: z.string().nullable(),
    isFirst: z.boolean(),
    checkpoints: z.array(recoveredSchema),
  }),
  /** That was all. */
  z.strictObject({
    kind: z.literal('reported'),
    node: z.int(),
    life: z.string(),
    incarnation: z.string().nullable(),
    covered: coverageSchema,
    /** Nodes that may have heard more. */
    others: z.array(z.int()),
  }),
  /** Names that nobody here knows are free: these nodes have been waited for. */
  z.strictObject({ kind: z.literal('excused'), nodes: z.array(z.int()) }),
  /** The model has this node no more: nothing will be heard of it. */
  z.strictObject({ kind: z.literal('departed'), node: z.int() }),
])
export type DirectoryOperation = z.infer<typeof directoryOperationSchema>

const recoverySchema = z.strictObject({
  incarnation: z.string().nullable(),
  /** Where in the order this life of the directory began. */
  begun: z.int(),
  heard: z.array(z.strictObject({ node: z.int(), covered: coverageSchema })),
  awaited: z.array(z.int()),
  excused: z.array(z.int()),
  departed: z.array(z.int()),
  pending: z.array(
    z.strictObject({
      id: z.string(),
      entry: entrySchema.nullable(),
      reports: z.array(
        z.strictObject({
          node: z.int(),
          /** The node had heard of it. */
          isKnown: z.boolean(),
          /** Nodes that it had asked to add under this epoch. */
          joining: recoveredSchema.shape.joining,
          epoch: z.int(),
          replica: recoveredSchema.shape.replica,
        }),
      ),
    }),
  ),
  buried: z.array(z.string()),
  /** Live ones that came from stores. */
  restored: z.array(z.string()),
})
export type RecoverySnapshot = z.infer<typeof recoverySchema>

const directorySchema = z.strictObject({
  revision: z.int(),
  members: z.array(z.strictObject({ node: z.int(), life: z.string() })),
  entries: z.array(entrySchema),
  recovery: recoverySchema,
})
export type DirectorySnapshot = z.infer<typeof directorySchema>

export const directoryOperationCodec = makeMethodCodec(
  'checkpoint directory operation',
  directoryOperationSchema,
)
export const directoryCodec = makeMethodCodec('checkpoint directory', directorySchema)

/** A checkpoint as a node's store has it. */
export const storedEntrySchema = z.strictObject({
  entry: entrySchema,
  /** See {@link RecoveredCheckpoint}. */
  joining: recoveredSchema.shape.joining,
  /** Since when nobody has it open; null: somebody has. */
  idleSince: z
    .strictObject({ bootId: z.string(), monotonicMs: z.number(), wallMs: z.number() })
    .nullable(),
})
export type StoredEntry = z.infer<typeof storedEntrySchema>

/** What a node's store has of the directory beside the checkpoints. */
export const storedDirectorySchema = z.strictObject({
  incarnation: z.string(),
  covered: coverageSchema,
  others: z.array(z.int()),
})
export type StoredDirectory = z.infer<typeof storedDirectorySchema>
