import { z } from 'zod'
import { makeMethodCodec } from '../../../idl/index.ts'
import { channelNameSchema } from './interface.ts'

const openerSchema = z.strictObject({
  /** Of the node process. */
  life: z.string(),
  eo: z.string(),
  /** Number that the program gave to it. */
  open: z.int(),
  isSubscriber: z.boolean(),
})
/** One program that has a channel open. */
export type Opener = z.infer<typeof openerSchema>

export const channelOperationSchema = z.discriminatedUnion('kind', [
  z.strictObject({
    kind: z.literal('open'),
    name: channelNameSchema,
    create: z.boolean(),
    opener: openerSchema,
  }),
  /** A node that was away says what its programs have open. */
  z.strictObject({
    kind: z.literal('reopen'),
    channel: z.int(),
    name: channelNameSchema,
    opener: openerSchema,
  }),
  z.strictObject({ kind: z.literal('close'), eo: z.string(), open: z.int() }),
  z.strictObject({ kind: z.literal('unlink'), name: channelNameSchema }),
  z.strictObject({ kind: z.literal('ended'), eo: z.string() }),
  z.strictObject({
    kind: z.literal('clear'),
    channel: z.int(),
    node: z.int(),
    counter: z.int(),
  }),
])
/** What changes the channels. */
export type ChannelOperation = z.infer<typeof channelOperationSchema>

const snapshotSchema = z.strictObject({
  nextChannel: z.int(),
  channels: z.array(
    z.strictObject({
      channel: z.int(),
      name: z.string(),
      isUnlinked: z.boolean(),
      openers: z.array(openerSchema),
    }),
  ),
})
export type ChannelsSnapshot = z.infer<typeof snapshotSchema>

export const channelOperationCodec = makeMethodCodec('channel operation', channelOperationSchema)
export const channelsCodec = makeMethodCodec(
  'channels',
  /** `revision`: the last place in the order that changed it. */
  z.strictObject({ revision: z.int(), content: snapshotSchema }),
)
