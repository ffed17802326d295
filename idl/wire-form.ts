import type { z } from 'zod'
import { wireOf } from './compile-wire.ts'
import { shapeOf } from './shape-of.ts'
import type { Shape } from './shape.ts'
import { disjoint } from './wire-containers.ts'
import { TYPE } from './wire.ts'

/** Whether values of an optional or nullable schema travel wrapped: the inner value may be nil itself. */
export function isWrapped(schema: unknown): boolean {
  const { shape, typesOf } = read(schema)
  if (shape.kind !== 'optional' && shape.kind !== 'nullable') return false
  const isNilItself = shape.inner.kind === 'plain' || shape.inner.kind === 'void'
  if (shape.kind === 'optional' && isNilItself) return false
  return (typesOf(shape.inner) & TYPE.nil) !== 0
}

/** Whether values of a union travel with the number of their option. */
export function isTagged(schema: unknown): boolean {
  const { shape, typesOf } = read(schema)
  if (shape.kind !== 'union') return false
  return !disjoint(shape.options.map((option) => ({ types: typesOf(option) })))
}

/** The schema's shape, and what says the msgpack types of its parts, which may refer to it. */
function read(schema: unknown): {
  readonly shape: Shape
  readonly typesOf: (part: Shape) => number
} {
  const whole = shapeOf('a part of an interface', schema as z.ZodType)
  if (whole.kind !== 'recursive') return { shape: whole, typesOf: (part) => wireOf(part).types }
  const { name, inner } = whole
  return { shape: inner, typesOf: (part) => wireOf({ kind: 'recursive', name, inner: part }).types }
}
