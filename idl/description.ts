import { z } from 'zod'
import { makeShapeCodec, type ValueCodec } from './codec.ts'
import type { Interface, MethodSpecs } from './interface.ts'
import type { Shape } from './shape.ts'

const scalarKinds = ['null', 'void', 'boolean', 'number', 'string', 'bigint', 'date'] as const
const literalSchema = z.union([z.string(), z.number(), z.bigint(), z.boolean(), z.null()])

/** A {@link Shape} as it travels. */
export const shapeSchema: z.ZodType<Shape> = z.lazy(() =>
  z.discriminatedUnion('kind', [
    z.strictObject({ kind: z.enum([...scalarKinds, 'bytes', 'plain']) }),
    z.strictObject({ kind: z.literal('literal'), values: z.array(literalSchema) }),
    z.strictObject({ kind: z.enum(['array', 'set']), item: shapeSchema }),
    z.strictObject({
      kind: z.literal('tuple'),
      items: z.array(shapeSchema),
      rest: shapeSchema.nullable(),
    }),
    z.strictObject({ kind: z.literal('map'), key: shapeSchema, value: shapeSchema }),
    z.strictObject({ kind: z.literal('record'), value: shapeSchema }),
    z.strictObject({
      kind: z.literal('object'),
      members: z.array(
        z.strictObject({
          name: z.string().refine((name) => name !== '__proto__'),
          shape: shapeSchema,
          optional: z.boolean(),
        }),
      ),
      strict: z.boolean(),
    }),
    z.strictObject({ kind: z.enum(['optional', 'nullable']), inner: shapeSchema }),
    z.strictObject({ kind: z.literal('union'), options: z.array(shapeSchema) }),
    z.strictObject({
      kind: z.literal('choice'),
      key: z.string(),
      options: z.array(z.strictObject({ values: z.array(literalSchema), shape: shapeSchema })),
    }),
    z.strictObject({ kind: z.literal('recursive'), name: z.string(), inner: shapeSchema }),
    z.strictObject({ kind: z.literal('ref'), name: z.string() }),
  ]),
)

/** An interface as data: what a program that does not have its source needs in order to call it. */
export const interfaceDescriptionSchema = z.strictObject({
  name: z.string(),
  clientId: z.int(),
  version: z.string(),
  methods: z.array(
    z.strictObject({
      name: z.string(),
      serviceId: z.int(),
      staleReads: z.boolean(),
      input: shapeSchema,
      output: shapeSchema,
    }),
  ),
})
export type InterfaceDescription = z.infer<typeof interfaceDescriptionSchema>

/** One method of a description, ready to be called. */
export interface DescribedMethod {
  readonly name: string
  readonly functionNumber: number
  /** Checks the structure only; the callee checks the rest. */
  readonly input: ValueCodec
  readonly output: ValueCodec
}

/** Describes an interface. The result fits {@link interfaceDescriptionSchema}. */
export function describeInterface<M extends MethodSpecs>(face: Interface<M>): InterfaceDescription {
  return {
    name: face.name,
    clientId: face.clientId,
    version: face.version,
    methods: Object.values(face.methods).map((method) => ({
      name: method.name,
      serviceId: method.serviceId,
      staleReads: method.staleReads,
      input: method.input.shape,
      output: method.output.shape,
    })),
  }
}

/** Makes the methods of a description callable, in the order of the description. */
export function describedMethods(description: InterfaceDescription): readonly DescribedMethod[] {
  return description.methods.map((method) => {
    const place = `${description.name}.${method.name}`
    return {
      name: method.name,
      functionNumber: description.clientId * 64 + method.serviceId,
      input: makeShapeCodec(`${place} input`, method.input),
      output: makeShapeCodec(`${place} output`, method.output),
    }
  })
}
