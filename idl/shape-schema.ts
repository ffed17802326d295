import { z } from 'zod'
import type { Shape } from './shape.ts'

const scalarKinds = ['null', 'void', 'boolean', 'number', 'string', 'bigint', 'date'] as const
const literalSchema = z.union([z.string(), z.number(), z.bigint(), z.boolean(), z.null()])

/** A {@link Shape} as it travels: what a peer gives is checked by it. */
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
