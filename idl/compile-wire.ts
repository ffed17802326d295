import { SdkError } from './sdk-error.ts'
import type { Shape } from './shape.ts'
import {
  arrayWire,
  choiceWire,
  mapWire,
  objectWire,
  pairWire,
  recordWire,
  setWire,
  tupleWire,
  unionWire,
} from './wire-containers.ts'
import { BIGINT, BYTES, DATE, missingWire, PLAIN, TEXT, VOID } from './wire-scalars.ts'
import { ALL_TYPES, same, TYPE, typeOf, type Wire } from './wire.ts'

/** Compiles a shape. */
export function wireOf(shape: Shape): Wire {
  return new Compiler().compile(shape)
}

class Compiler {
  readonly #around = new Map<string, { wire: Wire | undefined }>()

  compile(shape: Shape): Wire {
    switch (shape.kind) {
      case 'null':
        return same(TYPE.nil, (value) => value === null)
      case 'void':
        return VOID
      case 'boolean':
        return same(TYPE.boolean, (value) => typeof value === 'boolean')
      case 'number':
        return same(TYPE.number, (value) => typeof value === 'number')
      case 'string':
        return TEXT
      case 'bigint':
        return BIGINT
      case 'date':
        return DATE
      case 'bytes':
        return BYTES
      case 'plain':
        return PLAIN
      case 'literal':
        return same(
          shape.values.reduce<number>((types, value) => types | typeOf(value), 0),
          (value) => (shape.values as readonly unknown[]).includes(value),
        )
      case 'array':
        return arrayWire(this.compile(shape.item))
      case 'set':
        return setWire(this.compile(shape.item))
      case 'map':
        return mapWire(this.compile(shape.key), this.compile(shape.value))
      case 'record':
        return recordWire(this.compile(shape.value))
      case 'tuple':
        return tupleWire(
          shape.items.map((item) => this.compile(item)),
          shape.rest === null ? null : this.compile(shape.rest),
        )
      case 'object':
        return this.#object(shape, undefined)
      case 'optional':
        // These two have a form for undefined already.
        return shape.inner.kind === 'plain' || shape.inner.kind === 'void'
          ? this.compile(shape.inner)
          : missingWire(this.compile(shape.inner), undefined)
      case 'nullable':
        return missingWire(this.compile(shape.inner), null)
      case 'union':
        return unionWire(shape.options.map((option) => this.compile(option)))
      case 'choice':
        return this.#choice(shape)
      case 'recursive':
        return this.#recursive(shape.name, shape.inner)
      case 'ref':
        return this.#ref(shape.name)
    }
  }

  #object(shape: ObjectShape, key: string | undefined): Wire {
    const members = shape.members.filter((member) => member.name !== key)
    const wires = members.map((member) => this.compile(member.shape))
    return objectWire({
      names: members.map((member) => member.name),
      wires,
      optional: members.map((member) => member.optional),
      strict: shape.strict,
      key,
    })
  }

  #choice(shape: Extract<Shape, { kind: 'choice' }>): Wire {
    const byValue = new Map<unknown, Wire>()
    for (const option of shape.options) {
      const wire =
        option.shape.kind === 'object'
          ? this.#object(option.shape, shape.key)
          : pairWire(shape.key, this.compile(option.shape))
      for (const value of option.values) byValue.set(value, wire)
    }
    return choiceWire(shape.key, byValue)
  }

  #recursive(name: string, inner: Shape): Wire {
    const entry: { wire: Wire | undefined } = { wire: undefined }
    this.#around.set(name, entry)
    const wire = this.compile(inner)
    entry.wire = wire
    return wire
  }

  #ref(name: string): Wire {
    const entry = this.#around.get(name)
    if (entry === undefined) {
      throw new SdkError('INVALID_PARAMETER', `the shape has no recursive part called ${name}`)
    }
    const wire = (): Wire => entry.wire as Wire
    return {
      toWire: (value) => wire().toWire(value),
      fromWire: (w) => wire().fromWire(w),
      matches: (value) => wire().matches(value),
      // What it is made of is not known yet: count on everything.
      types: ALL_TYPES,
    }
  }
}

type ObjectShape = Extract<Shape, { kind: 'object' }>
