import { z } from 'zod'
import { makeMethodCodec } from '../../../idl/index.ts'
import { addressSchema } from '../../cpm/interface.ts'
import {
  attributesSchema,
  cookieSchema,
  nameAttributeSchema,
  namePrioritySchema,
  nameSchema,
  objectReferenceSchema,
} from './interface.ts'

/** One life of a component: its EO, and the life of the node process that it depends on. */
export const ownerSchema = z.strictObject({
  component: z.string(),
  /** Its caller id. */
  eo: z.string(),
  life: z.string(),
})

/** What changes the content; the global one by way of the order. */
export const nameOperationSchema = z.discriminatedUnion('kind', [
  z.strictObject({
    kind: z.literal('register'),
    context: z.int(),
    name: nameSchema,
    priority: namePrioritySchema,
    attributes: attributesSchema,
    /** null: the next one. */
    objectReference: objectReferenceSchema.nullable(),
    isGenerated: z.boolean(),
    overwrite: z.boolean(),
    owner: ownerSchema,
    address: addressSchema,
  }),
  z.strictObject({
    kind: z.literal('serviceDeregister'),
    context: z.int(),
    name: z.string(),
    component: z.string(),
  }),
  z.strictObject({ kind: z.literal('componentDeregister'), component: z.string() }),
  /** The process is gone. */
  z.strictObject({ kind: z.literal('ended'), eo: z.string() }),
  z.strictObject({ kind: z.literal('contextCreate'), cookie: cookieSchema }),
  z.strictObject({ kind: z.literal('contextDelete'), context: z.int() }),
])
export type NameOperation = z.infer<typeof nameOperationSchema>

const providerSchema = z.strictObject({
  owner: ownerSchema,
  address: addressSchema,
  priority: namePrioritySchema,
  /** Counts registrations. */
  order: z.int(),
})
export type Provider = z.infer<typeof providerSchema>

const namesSnapshotSchema = z.strictObject({
  /** Next context id, reference and order. */
  next: z.array(z.int()),
  contexts: z.array(
    z.strictObject({
      id: z.int(),
      cookie: z.int(),
      entries: z.array(
        z.strictObject({
          name: z.string(),
          attributes: z.array(nameAttributeSchema),
          objectReference: z.int(),
          isGenerated: z.boolean(),
          providers: z.array(providerSchema),
        }),
      ),
    }),
  ),
})
export type NamesSnapshot = z.infer<typeof namesSnapshotSchema>

export const operationCodec = makeMethodCodec('name operation', nameOperationSchema)
export const globalNamesCodec = makeMethodCodec(
  'names of all nodes',
  z.strictObject({ revision: z.int(), content: namesSnapshotSchema }),
)
