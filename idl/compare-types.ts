import type { Bounds, TypeDescription } from './describe.ts'

/** Tells of one difference; `path` is its place. */
export type Add = (breaking: boolean, path: string, text: string) => void
/** `input`: what callers send; `output`: what they get. */
export type Direction = 'input' | 'output'

type Tuple = Extract<TypeDescription, { kind: 'tuple' }>
type Union = Extract<TypeDescription, { kind: 'union' }>
type ObjectType = Extract<TypeDescription, { kind: 'object' }>

/** Compares the types of one method. Inputs may become wider, outputs narrower. */
export class TypeComparison {
  readonly #direction: Direction
  readonly #add: Add

  constructor(direction: Direction, add: Add) {
    this.#direction = direction
    this.#add = add
  }

  compare(path: string, was: TypeDescription, is: TypeDescription): void {
    const [oldType, type] = [bare(was), bare(is)]
    this.#presence(path, was, is)
    if (oldType.kind !== type.kind) {
      this.#add(true, path, `the type was ${oldType.kind} and is ${type.kind}`)
      return
    }
    this.#sameKind(path, oldType, type)
  }

  /** May be missing, or null. */
  #presence(path: string, was: TypeDescription, is: TypeDescription): void {
    for (const kind of ['optional', 'nullable'] as const) {
      const [before, now] = [has(was, kind), has(is, kind)]
      if (before === now) continue
      const word = kind === 'optional' ? 'left out' : 'null'
      if (now) this.#wider(path, `it may be ${word} now`)
      else this.#narrower(path, `it must not be ${word} any more`)
    }
    if (isWrapped(was) !== isWrapped(is)) {
      this.#add(true, path, 'its bytes differ: a missing value and null are told apart otherwise')
    }
  }

  #sameKind(path: string, was: TypeDescription, is: TypeDescription): void {
    if (was.kind === 'number' && is.kind === 'number' && was.integer !== is.integer) {
      if (is.integer) this.#narrower(path, 'only integers now')
      else this.#wider(path, 'fractions too now')
    }
    if ('bounds' in was && 'bounds' in is) this.#bounds(path, was.bounds, is.bounds)
    switch (was.kind) {
      case 'literal':
        return this.#literals(path, was.values, same(was, is).values)
      case 'array':
      case 'set':
        return this.compare(`${path}[]`, was.item, same(was, is).item)
      case 'map': {
        const map = same(was, is)
        this.compare(`${path}[key]`, was.key, map.key)
        return this.compare(`${path}[value]`, was.value, map.value)
      }
      case 'tuple':
        this.#rest(path, was, same(was, is))
        return this.#list(path, was.items, same(was, is).items, 'items')
      case 'union':
        return this.#union(path, was, same(was, is))
      case 'object':
        return this.#members(path, was, same(was, is))
      case 'ref':
        if (was.depth !== same(was, is).depth) this.#add(true, path, 'it contains another type')
        return
      default:
      // Nothing more to compare.
    }
  }

  #bounds(path: string, was: Bounds, is: Bounds): void {
    const from = compareBound(was.min, is.min, -1)
    const to = compareBound(was.max, is.max, 1)
    const said = `the range was ${rangeText(was)} and is ${rangeText(is)}`
    if (from > 0 || to < 0) this.#narrower(path, said)
    if (from < 0 || to > 0) this.#wider(path, said)
  }

  #literals(path: string, was: readonly string[], is: readonly string[]): void {
    const gone = was.filter((value) => !is.includes(value))
    const added = is.filter((value) => !was.includes(value))
    if (gone.length > 0) this.#narrower(path, `${gone.join(', ')} is no value any more`)
    if (added.length > 0) this.#wider(path, `${added.join(', ')} is a value now`)
  }

  #list(
    path: string,
    was: readonly TypeDescription[],
    is: readonly TypeDescription[],
    what: 'items' | 'options',
  ): void {
    was.forEach((type, index) => {
      const now = is[index]
      if (now !== undefined) this.compare(`${path}[${index}]`, type, now)
    })
    if (was.length === is.length) return
    const text = `there were ${was.length} ${what} and are ${is.length}`
    if (what === 'items' || is.length < was.length) this.#add(true, path, text)
    else this.#wider(path, text)
  }

  #rest(path: string, { rest: was }: Tuple, { rest: is }: Tuple): void {
    if (was !== undefined && is !== undefined) this.compare(`${path}[...]`, was, is)
    else if (is !== undefined) this.#wider(path, 'more items may follow now')
    else if (was !== undefined) this.#narrower(path, 'no more items may follow')
  }

  #union(path: string, was: Union, is: Union): void {
    if (was.key !== is.key || (was.tagged ?? false) !== (is.tagged ?? false)) {
      this.#add(true, path, 'its bytes differ: the options of the union are told apart otherwise')
      return
    }
    const [before, now] = [optionsByTag(was), optionsByTag(is)]
    if (before === null || now === null) {
      return this.#list(path, was.options, is.options, 'options')
    }
    for (const [tag, option] of before) {
      const present = now.get(tag)
      if (present === undefined) this.#narrower(path, `${was.key} ${tag} is no option any more`)
      else this.compare(`${path}(${tag})`, option, present)
    }
    for (const tag of now.keys()) {
      if (!before.has(tag)) this.#wider(path, `${was.key} ${tag} is an option now`)
    }
  }

  #members(path: string, old: ObjectType, is: ObjectType): void {
    const was = old.members
    const names = is.members.map(({ name }) => name)
    for (const [index, { name, type }] of was.entries()) {
      const at = `${path}.${name}`
      const now = is.members.find((member) => member.name === name)
      if (now === undefined) this.#add(true, at, 'the member is gone')
      else if (names[index] !== name) {
        this.#add(true, at, `it was member ${index + 1} and is member ${names.indexOf(name) + 1}`)
      } else this.compare(at, type, now.type)
    }
    for (const { name, type } of is.members) {
      if (was.some((member) => member.name === name)) continue
      this.#newMember(`${path}.${name}`, type, old.strict)
    }
  }

  /** @param strict - of the old release: its callers refuse members that they do not know. */
  #newMember(path: string, type: TypeDescription, strict: boolean): void {
    const mayBeMissing = has(type, 'optional')
    if (this.#direction === 'input') {
      const text = mayBeMissing ? 'that may be left out' : 'that must be there'
      this.#add(!mayBeMissing, path, `a new member ${text}`)
      return
    }
    const refused = ', which callers of the old release refuse (strictObject)'
    this.#add(strict, path, `a new member${strict ? refused : ' to get'}`)
  }

  #wider(path: string, text: string): void {
    this.#add(this.#direction === 'output', path, text)
  }

  #narrower(path: string, text: string): void {
    this.#add(this.#direction === 'input', path, text)
  }
}

function bare(type: TypeDescription): TypeDescription {
  return type.kind === 'optional' || type.kind === 'nullable' ? bare(type.inner) : type
}

function has(type: TypeDescription, kind: 'optional' | 'nullable'): boolean {
  if (type.kind === kind) return true
  return type.kind === 'optional' || type.kind === 'nullable' ? has(type.inner, kind) : false
}

/** Whether a value that may be missing travels wrapped. */
function isWrapped(type: TypeDescription): boolean {
  if (type.kind !== 'optional' && type.kind !== 'nullable') return false
  return type.wrapped === true || isWrapped(type.inner)
}

/** Options by the value of the member that tells them; null where there is no such member. */
function optionsByTag({ key, options }: Union): ReadonlyMap<string, TypeDescription> | null {
  if (key === undefined) return null
  const byTag = new Map<string, TypeDescription>()
  for (const option of options) {
    const type = option.kind === 'object' ? option.members.find(({ name }) => name === key) : null
    if (type?.type.kind !== 'literal') return null
    for (const value of type.type.values) byTag.set(value, option)
  }
  return byTag
}

function same<T extends TypeDescription>(_was: T, is: TypeDescription): T {
  return is as T
}

/** Below 0: the bound moved down. A missing one is endless, in the direction of `side`. */
function compareBound(
  was: number | string | undefined,
  is: number | string | undefined,
  side: 1 | -1,
): number {
  if (was === is) return 0
  if (was === undefined) return -side
  if (is === undefined) return side
  const [a, b] = [numeric(was), numeric(is)]
  return a === b ? 0 : b > a ? 1 : -1
}

function numeric(value: number | string): number | bigint {
  return typeof value === 'string' ? BigInt(value) : value
}

function rangeText({ min, max }: Bounds): string {
  return `${min ?? 'any'} to ${max ?? 'any'}`
}
