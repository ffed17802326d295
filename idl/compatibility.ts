import type { Bounds, InterfaceDescription, Member, TypeDescription } from './describe.ts'

/** One thing that differs between two releases of an interface. */
export interface Difference {
  /** True: a program of one release cannot work with one of the other. */
  readonly breaking: boolean
  /** `Sequence.next input.count`. */
  readonly path: string
  readonly text: string
}

/**
 * Compares an interface with its next release: may callers of the old one call the new one, and understand its answers?
 * Callers are upgraded last. Inputs may become wider, outputs narrower, and never the other way round; members are told
 * apart by their position.
 */
export function compareInterfaces(
  before: readonly InterfaceDescription[],
  after: readonly InterfaceDescription[],
): Difference[] {
  const differences: Difference[] = []
  const add = (breaking: boolean, path: string, text: string): void => {
    differences.push({ breaking, path, text })
  }
  const next = new Map(after.map((face) => [face.name, face]))
  for (const old of before) {
    const face = next.get(old.name)
    if (face === undefined) add(true, old.name, 'the interface is gone')
    else compareOne(old, face, add)
  }
  const known = new Set(before.map(({ name }) => name))
  for (const { name } of after) if (!known.has(name)) add(false, name, 'a new interface')
  return differences
}

type Add = (breaking: boolean, path: string, text: string) => void
/** `input`: what callers send; `output`: what they get. */
type Direction = 'input' | 'output'

function compareOne(old: InterfaceDescription, face: InterfaceDescription, add: Add): void {
  const { name } = old
  if (old.clientId !== face.clientId) {
    add(true, name, `the client id was ${old.clientId} and is ${face.clientId}`)
  }
  compareVersions(old, face, add)
  for (const [method, was] of Object.entries(old.methods)) {
    const path = `${name}.${method}`
    const is = face.methods[method]
    if (is === undefined) {
      add(true, path, 'the method is gone')
      continue
    }
    if (was.serviceId !== is.serviceId) {
      add(true, path, `the service id was ${was.serviceId} and is ${is.serviceId}`)
    }
    new Comparison('input', add).compare(`${path} input`, was.input, is.input)
    new Comparison('output', add).compare(`${path} output`, was.output, is.output)
  }
  for (const [method, { serviceId }] of Object.entries(face.methods)) {
    if (Object.hasOwn(old.methods, method)) continue
    const former = Object.entries(old.methods).find(([, was]) => was.serviceId === serviceId)
    if (former === undefined) add(false, `${name}.${method}`, 'a new method')
    else add(true, `${name}.${method}`, `it has the service id ${serviceId} of ${former[0]}`)
  }
}

function compareVersions(old: InterfaceDescription, face: InterfaceDescription, add: Add): void {
  if (old.version === face.version) return
  const said = `the version was ${old.version} and is ${face.version}`
  const parts = ({ version }: InterfaceDescription): readonly string[] => version.split('.')
  const [oldRelease, oldMajor] = parts(old)
  const [release, major] = parts(face)
  if (oldRelease !== release) add(true, old.name, `${said}: releases do not serve each other`)
  else add(Number(major) < Number(oldMajor), old.name, said)
}

class Comparison {
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
        return this.#list(path, was.items, same(was, is).items, 'items')
      case 'union':
        return this.#list(path, was.options, same(was, is).options, 'options')
      case 'object':
        return this.#members(path, was.members, same(was, is))
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

  #members(
    path: string,
    was: readonly Member[],
    is: Extract<TypeDescription, { kind: 'object' }>,
  ): void {
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
      this.#newMember(`${path}.${name}`, type, is.strict)
    }
  }

  #newMember(path: string, type: TypeDescription, strict: boolean): void {
    if (!has(type, 'optional')) {
      this.#add(this.#direction === 'input' || strict, path, 'a new member that must be there')
      return
    }
    const refused = this.#direction === 'output' && strict
    const text = refused
      ? 'a new member, which callers of the old release refuse (strictObject)'
      : 'a new member that may be left out'
    this.#add(refused, path, text)
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
