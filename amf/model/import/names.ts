/** An entity that needs a name of its own. */
export interface Unnamed {
  /** What it is referred to by while importing. */
  readonly id: string
  readonly kind: 'node' | 'NodeGroup' | 'SG' | 'SU' | 'Comp' | 'SI' | 'CSI'
  /** The name it has in the source, among others of its kind and parent. */
  readonly value: string
  /** Names of what it is in, the nearest first. */
  readonly within: readonly string[]
}

/**
 * In a model one name means one thing; in the sources a name is unique below its parent only. An entity keeps its name
 * when no other has it; else it gets its parent's name (units, components) or its kind (the rest) behind it; when that
 * is taken its parent's name, then the names of everything it is in, at last a number. Nodes go first. A name of digits
 * only gets its kind in front. The result depends on the entities and their order only.
 */
export function assignNames(entities: readonly Unnamed[]): ReadonlyMap<string, string> {
  const names = new Map<string, string>()
  const taken = new Set<string>(['amf'])
  const take = (entity: Unnamed, name: string): void => {
    names.set(entity.id, name)
    taken.add(name)
  }
  const nodes = entities.filter(({ kind }) => kind === 'node')
  for (const node of nodes) take(node, firstFree(plain(node), taken))
  let open = entities.filter(({ kind }) => kind !== 'node')
  for (const candidate of [plain, qualified, withParent, full]) {
    const counts = new Map<string, number>()
    for (const entity of open) {
      const name = candidate(entity)
      counts.set(name, (counts.get(name) ?? 0) + 1)
    }
    const left: Unnamed[] = []
    for (const entity of open) {
      const name = candidate(entity)
      if (counts.get(name) === 1 && !taken.has(name)) take(entity, name)
      else left.push(entity)
    }
    open = left
  }
  for (const entity of open) take(entity, firstFree(full(entity), taken))
  return names
}

function firstFree(name: string, taken: ReadonlySet<string>): string {
  if (!taken.has(name)) return name
  for (let number = 2; ; number += 1) {
    const numbered = cut(name, `-${String(number)}`)
    if (!taken.has(numbered)) return numbered
  }
}

function plain({ kind, value }: Unnamed): string {
  return asName(kind !== 'node' && /^\d+$/.test(value) ? `${kind}${value}` : value)
}

function qualified(entity: Unnamed): string {
  const { kind, within } = entity
  const parent = within[0]
  const behind = (kind === 'SU' || kind === 'Comp') && parent !== undefined ? parent : kind
  return cut(plain(entity), `-${asName(behind)}`)
}

function withParent(entity: Unnamed): string {
  return asName([plain(entity), entity.within[0] ?? entity.kind].join('-'))
}

function full(entity: Unnamed): string {
  return asName([plain(entity), ...entity.within, entity.kind].join('-'))
}

/** Letters, digits, `_`, `.` and `-`, the first one a letter or digit, at most 64. */
export function asName(text: string): string {
  const clean = text.replace(/[^A-Za-z0-9_.-]/g, '_').replace(/^[^A-Za-z0-9]+/, '')
  return (clean === '' ? 'x' : clean).slice(0, LENGTH_MAX)
}

const LENGTH_MAX = 64

function cut(name: string, tail: string): string {
  return `${name.slice(0, Math.max(1, LENGTH_MAX - tail.length))}${tail}`.slice(0, LENGTH_MAX)
}
