import { z } from 'zod'
import { makeMethodCodec } from '../../../idl/index.ts'
import { attributesSchema } from './interface.ts'

/** A component that has a checkpoint open, and the life of the node process that it depends on. */
const openerSchema = z.strictObject({ eo: z.string(), life: z.string(), node: z.int() })
export type Opener = z.infer<typeof openerSchema>

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
])
export type DirectoryOperation = z.infer<typeof directoryOperationSchema>

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
  /** Where the active replica is, under which epoch. */
  active: z.int().nullable(),
  epoch: z.int(),
  /** Nodes that are to hold replicas. */
  replicas: z.array(z.int()),
  /** Nodes that hold everything that was acknowledged; null: nothing was yet. */
  inSync: z.array(z.int()).nullable(),
})
/** One checkpoint in the directory. */
export type DirectoryEntry = z.infer<typeof entrySchema>

const directorySchema = z.strictObject({
  members: z.array(z.strictObject({ node: z.int(), life: z.string() })),
  entries: z.array(entrySchema),
})
export type DirectorySnapshot = z.infer<typeof directorySchema>

export const directoryOperationCodec = makeMethodCodec(
  'checkpoint directory operation',
  directoryOperationSchema,
)
export const directoryCodec = makeMethodCodec('checkpoint directory', directorySchema)
