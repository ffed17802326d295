import type { IdlNamedType, IdlType } from './description.ts'

/** Types after those that they are made of. Where types contain each other the order of the file is kept. */
export function sortTypes(types: readonly IdlNamedType[]): IdlNamedType[] {
  const byName = new Map(types.map((type) => [type.name, type]))
  const sorted: IdlNamedType[] = []
  const seen = new Set<IdlNamedType>()
  // Not by recursion: a file may have a chain of as many types as it likes.
  const open: { readonly type: IdlNamedType; readonly uses: string[] }[] = []
  const enter = (type: IdlNamedType): void => {
    if (seen.has(type)) return
    seen.add(type)
    open.push({ type, uses: usedBy(type).reverse() })
  }
  for (const type of types) {
    enter(type)
    for (let top = open.at(-1); top !== undefined; top = open.at(-1)) {
      const name = top.uses.pop()
      const used = name === undefined ? undefined : byName.get(name)
      if (used !== undefined) enter(used)
      if (name === undefined) sorted.push(open.pop()!.type)
    }
  }
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
