import { z } from 'zod'
import { defineInterface } from '../../../idl/index.ts'
import { addressSchema, CLIENT_ID } from '../../cpm/interface.ts'

/**
 * The name service: contexts of names, each with the components that provide it. SAFplus name service, section 13.
 *
 * A component calls the server side of its own node. Contexts are global (the same on all nodes) or node-local.
 */

/** Id and cookie of the default contexts. SAFplus, section 13. */
export const NAME_CONTEXT = { global: 0xfffffff, nodeLocal: 0xffffffe } as const

/** Bounds of what is registered; beyond the last two LIMIT_EXCEEDED. */
export const NAME_LIMITS = {
  nameLength: 255,
  attributeCount: 5,
  attributeLength: 20,
  contextCount: 256,
  /** Providers of all names of all contexts, of the global ones and of those of each node. */
  providerCount: 16_384,
} as const

export const namePrioritySchema = z.enum(['LOW', 'MEDIUM', 'HIGH'])
/** Of several providers the one with the highest priority is found; of equals the first registered. */
export type NamePriority = z.infer<typeof namePrioritySchema>

const attributeTextSchema = z.string().min(1).max(NAME_LIMITS.attributeLength)
export const nameAttributeSchema = z.strictObject({
  type: attributeTextSchema,
  value: attributeTextSchema,
})
export type NameAttribute = z.infer<typeof nameAttributeSchema>

export const nameSchema = z.string().min(1).max(NAME_LIMITS.nameLength)
export const attributesSchema = z.array(nameAttributeSchema).max(NAME_LIMITS.attributeCount)
export const cookieSchema = z.int().min(0).max(0xffff_ffff)
/** 64 bits in the original; here a safe integer. */
export const objectReferenceSchema = z.int().min(0)

export const nameMappingSchema = z.strictObject({
  name: z.string(),
  objectReference: z.int(),
  attributes: z.array(nameAttributeSchema),
  /** Who provides it, the one that is found first. */
  providers: z.array(
    z.strictObject({
      component: z.string(),
      address: addressSchema,
      priority: namePrioritySchema,
    }),
  ),
})
/** One entry under a name, as a lookup finds it. */
export type NameMapping = z.infer<typeof nameMappingSchema>

/** Why a provider of a name came or went. SAFplus, section 13, "Lifecycle". */
export const nameChangeKindSchema = z.enum([
  'REGISTER',
  'SERVICE_DEREGISTER',
  'COMPONENT_DEREGISTER',
  'COMPONENT_DEATH',
  'NODE_DEREGISTER',
  'CONTEXT_DELETE',
])
export const nameChangeSchema = z.strictObject({
  kind: nameChangeKindSchema,
  context: z.int(),
  name: z.string(),
  objectReference: z.int(),
  component: z.string(),
})
/** One provider came or went. */
export type NameChange = z.infer<typeof nameChangeSchema>

const none = z.strictObject({})

/** What components call on the agent of their node. */
export const NameService = defineInterface({
  name: 'NameService',
  clientId: CLIENT_ID.name,
  version: 'B.1.1',
  methods: {
    /** Errors: CONTEXT_NOT_CREATED, LIMIT_EXCEEDED, OP_NOT_PERMITTED for programs that are no component. */
    register: {
      serviceId: 0,
      input: z.strictObject({
        context: z.int(),
        name: nameSchema,
        priority: namePrioritySchema,
        attributes: attributesSchema,
        /** null: one is generated. */
        objectReference: objectReferenceSchema.nullable(),
        /** Whatever stood under the name goes. */
        overwrite: z.boolean(),
      }),
      output: z.strictObject({ objectReference: z.int() }),
    },
    /** Errors: CONTEXT_NOT_CREATED, SERVICE_NOT_REGISTERED. */
    serviceDeregister: {
      serviceId: 1,
      input: z.strictObject({ context: z.int(), name: z.string() }),
      output: none,
    },
    /** Everything that the caller provides. */
    componentDeregister: { serviceId: 2, input: none, output: none },
    /** Errors: CONTEXT_ALREADY_CREATED, LIMIT_EXCEEDED. */
    contextCreate: {
      serviceId: 3,
      input: z.strictObject({ type: z.enum(['GLOBAL', 'NODE_LOCAL']), cookie: cookieSchema }),
      output: z.strictObject({ context: z.int() }),
    },
    /** Errors: CONTEXT_NOT_CREATED; OPERATION_NOT_PERMITTED for a default one. */
    contextDelete: { serviceId: 4, input: z.strictObject({ context: z.int() }), output: none },
    /** Errors: CONTEXT_NOT_CREATED, ENTRY_NOT_FOUND. */
    lookup: {
      serviceId: 5,
      input: z.strictObject({ cookie: z.int(), name: z.string(), attributes: attributesSchema }),
      output: nameMappingSchema,
    },
    /** Changes follow by `changed`, on this connection; again: from 1 anew. */
    watch: { serviceId: 6, input: none, output: none },
    unwatch: { serviceId: 7, input: none, output: none },
  },
})

/** What the agent calls on a component. */
export const NamePush = defineInterface({
  name: 'NamePush',
  clientId: CLIENT_ID.name,
  version: 'B.1.1',
  methods: {
    changed: {
      serviceId: 32,
      input: z.strictObject({ first: z.int(), changes: z.array(nameChangeSchema) }),
      output: none,
    },
  },
})
