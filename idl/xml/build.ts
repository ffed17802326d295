import { z } from 'zod'
import { defineInterface, type Interface, type MethodSpec } from '../interface.ts'
import { CL_TYPES, clBytes } from '../types.ts'
import type { IdlDescription, IdlMember, IdlNamedType, IdlPort, IdlType } from './description.ts'
import { methodName } from './names.ts'

/** The interfaces of IDL files, without generating anything: for comparing, and for tools. */
export function buildInterfaces(idl: IdlDescription): Interface[] {
  const types = new Map(idl.types.map((type) => [type.name, type]))
  const built = new Map<string, z.ZodType>()
  const typeOf = (name: string): z.ZodType => {
    const known = built.get(name)
    if (known !== undefined) return known
    const type = types.get(name)
    if (type === undefined) throw new Error(`type ${name} was not read`)
    const schema = named(type, typeOf)
    built.set(name, schema)
    return schema
  }
  return idl.ports.map((port) => build(port, typeOf))
}

function build(port: IdlPort, typeOf: (name: string) => z.ZodType): Interface {
  const methods: Record<string, MethodSpec> = {}
  for (const { name, serviceId, version, input, output } of port.operations) {
    methods[methodName(name)] = {
      serviceId,
      since: version,
      input: object(input, typeOf),
      output: object(output, typeOf),
    }
  }
  const { name, clientId, version } = port
  return defineInterface({ name, clientId, version, methods })
}

function named({ body }: IdlNamedType, typeOf: (name: string) => z.ZodType): z.ZodType {
  switch (body.kind) {
    case 'enum':
      return z.enum(Object.fromEntries(body.members))
    case 'struct':
      return object(body.members, typeOf)
    case 'union': {
      const options = body.members.map(({ name, type }) =>
        z.strictObject({ kind: z.literal(name), value: z.lazy(() => schemaOf(type, typeOf)) }),
      )
      const [first, ...others] = options
      if (first === undefined) throw new Error('a union without members')
      return z.discriminatedUnion('kind', [first, ...others])
    }
  }
}

/** Members that name other types wait until they are needed: types may contain themselves. */
function object(members: readonly IdlMember[], typeOf: (name: string) => z.ZodType): z.ZodType {
  const shape = members.map(({ name, type }) => [name, z.lazy(() => schemaOf(type, typeOf))])
  return z.strictObject(Object.fromEntries(shape) as Record<string, z.ZodType>)
}

function schemaOf(type: IdlType, typeOf: (name: string) => z.ZodType): z.ZodType {
  switch (type.kind) {
    case 'elementary':
      return CL_TYPES[type.name as keyof typeof CL_TYPES]
    case 'named':
      return typeOf(type.name)
    case 'nullable': {
      const inner = schemaOf(type.inner, typeOf)
      return z.nullable(inner)
    }
    case 'array': {
      const list = z.array(schemaOf(type.item, typeOf))
      if (type.max !== undefined) return list.max(type.max)
      return type.length === null ? list : list.length(type.length)
    }
    case 'bytes':
      if (type.max !== undefined) return clBytes({ max: type.max })
      return type.length === null ? clBytes() : clBytes({ length: type.length })
  }
}
