import type { IdlNamedType, IdlType } from './description.ts'

/** Types after those that they are made of. Where types contain each other the order of the file is kept. */
export function sortTypes(types: readonly IdlNamedType[]): IdlNamedType[] {
  const byName = new Map(types.map((type) => [type.name, type]))
  const sorted: IdlNamedType[] = []
  const state = new Map<string, 'open' | 'done'>()
  const visit = (type: IdlNamedType): void => {
    if (state.has(type.name)) return
    state.set(type.name, 'open')
    for (const name of usedBy(type)) {
      const used = byName.get(name)
      if (used !== undefined) visit(used)
    }
    state.set(type.name, 'done')
    sorted.push(type)
  }
  for (const type of types) visit(type)
  return sorted
}

/** Names of the types that a type has members of. */
function usedBy({ body }: IdlNamedType): string[] {
  if (body.kind === 'enum') return []
  return body.members.flatMap(({ type }) => namesIn(type))
}

/** Names of the types that a type is written with. */
export function namesIn(type: IdlType): string[] {
  switch (type.kind) {
    case 'named':
      return [type.name]
    case 'nullable':
      return namesIn(type.inner)
    case 'array':
      return namesIn(type.item)
    default:
      return []
  }
}
