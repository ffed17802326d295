import { type Add, TypeComparison } from './compare-types.ts'
import type { InterfaceDescription, MethodDescription } from './describe.ts'
import { servesVersion, versionDistance, versionNumber } from './version.ts'

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
 * apart by their position. Of several versions of a table that stand side by side, callers get the one that serves
 * them best, as in a running component.
 */
export function compareInterfaces(
  before: readonly InterfaceDescription[],
  after: readonly InterfaceDescription[],
): Difference[] {
  const differences: Difference[] = []
  const add: Add = (breaking, path, text) => void differences.push({ breaking, path, text })
  for (const old of before) {
    const family = after.filter(({ name }) => familyOf(name) === familyOf(old.name))
    const face = family.find(({ name }) => name === old.name)
    if (family.length === 0) add(true, old.name, 'the interface is gone')
    if (face !== undefined) compareHeads(old, face, add)
    if (family.length > 0) compareMethods(old, family, add)
    if (face !== undefined) findNewMethods(old, face, add)
  }
  const known = new Set(before.map(({ name }) => name))
  for (const { name } of after) if (!known.has(name)) add(false, name, 'a new interface')
  return differences
}

/** Tables of older versions are called by their port and the version, `name_4_0_0`. */
function familyOf(name: string): string {
  return name.replace(/_\d+_\d+_0$/, '')
}

function compareHeads(old: InterfaceDescription, face: InterfaceDescription, add: Add): void {
  if (old.clientId !== face.clientId) {
    add(true, old.name, `the client id was ${old.clientId} and is ${face.clientId}`)
  }
  compareVersions(old, face, add)
}

function compareMethods(
  old: InterfaceDescription,
  family: readonly InterfaceDescription[],
  add: Add,
): void {
  for (const [method, was] of Object.entries(old.methods)) {
    const path = `${old.name}.${method}`
    const found = servingMethod(old, method, family)
    if (found === undefined) {
      add(true, path, 'the method is gone')
      continue
    }
    const { is, serves } = found
    if (!serves) {
      const asked = was.since ?? old.version
      const text = `callers of ${asked} are refused: it has its present form since ${is.since}`
      add(true, path, text)
      continue
    }
    if (was.serviceId !== is.serviceId) {
      add(true, path, `the service id was ${was.serviceId} and is ${is.serviceId}`)
    }
    if ((was.stream ?? false) !== (is.stream ?? false)) {
      add(true, path, is.stream ? 'it answers with a stream now' : 'it answers with no stream now')
    }
    new TypeComparison('input', add).compare(`${path} input`, was.input, is.input)
    new TypeComparison('output', add).compare(`${path} output`, was.output, is.output)
  }
}

/** What a caller of the old release gets: the method of the nearest version that serves it. */
function servingMethod(
  old: InterfaceDescription,
  method: string,
  family: readonly InterfaceDescription[],
): { readonly is: MethodDescription; readonly serves: boolean } | undefined {
  const requested = versionNumber(old.methods[method]?.since ?? old.version)
  const candidates = family
    .filter((face) => Object.hasOwn(face.methods, method))
    .map((face) => {
      const is = face.methods[method] as MethodDescription
      const version = versionNumber(face.version)
      const since = is.since === undefined ? 0 : versionNumber(is.since)
      // That releases and majors fit is told once, of the interface as a whole.
      const isSame = face.name === old.name && is.since === undefined
      const serves = isSame || servesVersion(version, since, requested)
      return { is, serves, distance: versionDistance(version, requested) }
    })
  const serving = candidates.filter(({ serves }) => serves)
  return serving.toSorted((a, b) => a.distance - b.distance)[0] ?? candidates[0]
}

function findNewMethods(old: InterfaceDescription, face: InterfaceDescription, add: Add): void {
  for (const [method, { serviceId }] of Object.entries(face.methods)) {
    if (Object.hasOwn(old.methods, method)) continue
    const former = Object.entries(old.methods).find(([, was]) => was.serviceId === serviceId)
    if (former === undefined) add(false, `${old.name}.${method}`, 'a new method')
    else add(true, `${old.name}.${method}`, `it has the service id ${serviceId} of ${former[0]}`)
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
