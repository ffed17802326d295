import { z } from 'zod'
import { makeMethodCodec } from '../../../idl/index.ts'
import {
  logAttributesSchema,
  logFilterFlagSchema,
  logFilterSchema,
  streamNameSchema,
} from './interface.ts'

/** Who has a stream open: one life of a component, of one life of a node. */
export const holderSchema = z.strictObject({ eo: z.string(), life: z.string() })
export type Holder = z.infer<typeof holderSchema>

/** What changes the streams; the global ones by way of the order. */
export const streamOperationSchema = z.discriminatedUnion('kind', [
  z.strictObject({
    kind: z.literal('open'),
    name: streamNameSchema,
    /** null: whatever it has. */
    attributes: logAttributesSchema.nullable(),
    create: z.boolean(),
    /** Name of the node of who opens it. */
    node: z.string(),
    holder: holderSchema,
    /** How often the holder has it open, where that is told again; null: once more. */
    count: z.int().nullable(),
  }),
  z.strictObject({ kind: z.literal('close'), name: z.string(), eo: z.string() }),
  z.strictObject({
    kind: z.literal('filterSet'),
    name: z.string(),
    flag: logFilterFlagSchema,
    filter: logFilterSchema,
  }),
  /** The process is gone. */
  z.strictObject({ kind: z.literal('ended'), eo: z.string() }),
])
export type StreamOperation = z.infer<typeof streamOperationSchema>

/** What goes by way of the order: changes of streams, and that a node has files that it did not have. */
export const logMessageSchema = z.discriminatedUnion('kind', [
  ...streamOperationSchema.options,
  z.strictObject({ kind: z.literal('filesMade') }),
])
export type LogMessage = z.infer<typeof logMessageSchema>

const streamStateSchema = z.strictObject({
  name: z.string(),
  attributes: logAttributesSchema,
  /** Node whose disk it is; `*`: the oldest one. */
  home: z.string(),
  filter: logFilterSchema,
  holders: z.array(z.strictObject({ holder: holderSchema, count: z.int() })),
  isPerennial: z.boolean(),
})
export type StreamState = z.infer<typeof streamStateSchema>

export const logMessageCodec = makeMethodCodec('log message', logMessageSchema)
export const streamsCodec = makeMethodCodec('log streams of all nodes', z.array(streamStateSchema))
