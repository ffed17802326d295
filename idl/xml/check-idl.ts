import { VALUE_DEPTH_MAX } from '../scan.ts'
import { CL_TYPES } from '../types.ts'
import type { IdlDescription, IdlNamedType, IdlPlace, IdlPort, IdlType } from './description.ts'
import { methodName } from './names.ts'

/** Names of interfaces and methods, as `defineInterface` takes them. */
const IDENTIFIER = /^[A-Za-z][A-Za-z0-9_]{0,63}$/

const IDENTIFIER_TEXT =
  'has to begin with a letter, after underscores, and to have 64 characters at most; rename it'

/** Tells of something that is wrong at a place. */
type Tell = (place: IdlPlace, text: string) => void

/** What can be said only of the whole: names that clash, values that could not be made or could not travel. */
export function checkIdl({ types, ports }: Omit<IdlDescription, 'notes'>, tell: Tell): void {
  checkExports([...types, ...ports], tell)
  for (const port of ports) checkPort(port, tell)
  checkContainment(types, tell)
}

function checkExports(all: readonly (IdlNamedType | IdlPort)[], tell: Tell): void {
  const taken = new Map<string, IdlPlace>()
  for (const { name, place } of all) {
    const other = taken.get(name)
    if (other !== undefined) {
      const where = `${other.file}:${other.line}`
      tell(place, `the name ${name} is taken already at ${where}; rename one`)
    } else if (Object.hasOwn(CL_TYPES, name)) {
      tell(place, `${name} is an elementary type; choose another name`)
    }
    taken.set(name, place)
  }
}

function checkPort({ name, place, operations }: IdlPort, tell: Tell): void {
  if (!IDENTIFIER.test(name)) {
    tell(place, `the port's name ${name} ${IDENTIFIER_TEXT}`)
  }
  for (const operation of operations) {
    if (IDENTIFIER.test(methodName(operation.name))) continue
    tell(operation.place, `the operation's name ${operation.name} ${IDENTIFIER_TEXT}`)
  }
}

/** @param types - each after those that it is made of, where that is possible. */
function checkContainment(types: readonly IdlNamedType[], tell: Tell): void {
  const depths = new Map<string, number>()
  for (let before = -1; before !== depths.size;) {
    before = depths.size
    for (const type of types) {
      if (depths.has(type.name)) continue
      const depth = depthOf(type, depths)
      if (depth !== null) depths.set(type.name, depth)
    }
  }
  for (const { name, place } of types) {
    const depth = depths.get(name)
    if (depth === undefined) {
      tell(place, `${name} contains itself, so no value of it ends; remedy: pointer="Single"`)
    } else if (depth >= VALUE_DEPTH_MAX) {
      tell(place, `${name} has ${depth} types inside each other; at most ${VALUE_DEPTH_MAX} travel`)
    }
  }
}

/** How many types are inside each other in the smallest value; null while that is not known. */
function depthOf({ body }: IdlNamedType, depths: ReadonlyMap<string, number>): number | null {
  if (body.kind === 'enum') return 0
  const inner = body.members.map(({ type }) => memberDepth(type, depths))
  const known = inner.filter((depth) => depth !== null)
  if (body.kind === 'union') return known.length === 0 ? null : 1 + Math.min(...known)
  return known.length < inner.length ? null : 1 + Math.max(...known)
}

function memberDepth(type: IdlType, depths: ReadonlyMap<string, number>): number | null {
  if (type.kind === 'named') return depths.get(type.name) ?? null
  if (type.kind !== 'array' || type.length === null) return 0
  const item = memberDepth(type.item, depths)
  return item === null ? null : 1 + item
}
