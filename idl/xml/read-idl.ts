import { SERVICE_ID_MAX } from '../interface.ts'
import { CL_TYPES } from '../types.ts'
import type {
  IdlDescription,
  IdlMember,
  IdlNamedType,
  IdlNote,
  IdlOperation,
  IdlPlace,
  IdlPort,
  IdlType,
} from './description.ts'
import { checkIdl } from './check-idl.ts'
import { clientIdOf, enumValueOf, KNOWN_TYPES, versionOf } from './known.ts'
import { exportName, methodName } from './names.ts'
import { sortTypes } from './sort-types.ts'
import { readXml, type XmlElement } from './xml.ts'

export interface IdlSource {
  readonly file: string
  readonly text: string
}

export interface IdlProblem {
  readonly place: IdlPlace
  readonly text: string
}

export interface IdlReadOptions {
  /** What names of headers stand for: `{ ClFooT: 'ClUint32T', MY_TABLE_ID: '21' }`. */
  readonly define?: ReadonlyMap<string, string>
}

/**
 * Reads SAFplus IDL files; types of one may be used in the others.
 * @returns what they say, or everything that is wrong with them, each with its place and the remedy.
 */
export function readIdl(
  sources: readonly IdlSource[],
  options: IdlReadOptions = {},
): { readonly idl: IdlDescription } | { readonly problems: readonly IdlProblem[] } {
  const reader = new IdlReader(options.define ?? new Map())
  for (const source of sources) reader.collect(source)
  const idl = reader.finish()
  return reader.problems.length > 0 ? { problems: reader.problems } : { idl }
}

interface Declared {
  readonly name: string
  readonly version: string
  readonly element: XmlElement
  readonly place: IdlPlace
}

const NAME = /^[A-Za-z_][A-Za-z0-9_]*$/
const BYTE_TYPES: ReadonlySet<string> = new Set(['ClInt8T', 'ClUint8T', 'ClCharT'])
const LENGTH_MAX = 1_000_000
/** An enumeration has 4 bytes, with a sign or without. */
const ENUM_MIN = -(2 ** 31)
const ENUM_MAX = 2 ** 32 - 1
const PARAMETER_TYPES: ReadonlySet<string> = new Set(['CL_IN', 'CL_OUT', 'CL_INOUT'])

class IdlReader {
  readonly problems: IdlProblem[] = []
  readonly #notes: IdlNote[] = []
  readonly #define: ReadonlyMap<string, string>
  readonly #declared = new Map<string, Declared[]>()
  readonly #ports: Declared[] = []
  /** Versions of each name, the oldest first; known once every file is collected. */
  readonly #sortedVersions = new Map<string, readonly string[]>()

  constructor(define: ReadonlyMap<string, string>) {
    this.#define = define
  }

  collect({ file, text }: IdlSource): void {
    const root = readXml(text, file, {
      fileError: (place, message) => this.problems.push({ place, text: message }),
    })
    if (root === null) return
    if (root.name !== 'IDLSpecs') {
      this.#wrong({ file, line: root.line }, `<${root.name}> is no IDL: <IDLSpecs> is expected`)
      return
    }
    this.#collectFrom(root, file)
  }

  finish(): IdlDescription {
    const declared = [...this.#declared.values()].flat().map((each) => this.#type(each))
    const ports = this.#ports.flatMap((port) => this.#port(port))
    const types = sortTypes(declared)
    // What is missing so far would only be told a second time.
    if (this.problems.length === 0) {
      checkIdl({ types, ports }, (place, text) => this.#wrong(place, text))
    }
    return { types, ports, notes: this.#notes }
  }

  #collectFrom(parent: XmlElement, file: string): void {
    this.#checkPortIds(parent, file)
    for (const element of parent.children) {
      const place = { file, line: element.line }
      switch (element.name) {
        case 'Service':
          this.#collectFrom(element, file)
          break
        case 'Comp':
          this.#collectFrom(element, file)
          break
        case 'Include':
          break
        case 'Enum':
        case 'Struct':
        case 'Union':
          this.#declare(element, place)
          break
        case 'Port': {
          const name = this.#nameOf(element, place)
          if (name !== null) this.#ports.push({ name, version: '', element, place })
          break
        }
        default:
          this.#note(place, `<${element.name}> has no counterpart`)
      }
    }
  }

  /** One component has one function table of a number. */
  #checkPortIds(parent: XmlElement, file: string): void {
    const taken = new Map<number, string>()
    for (const { name, attributes, line } of parent.children) {
      const written = attributes.get('ID')?.trim() ?? ''
      const id = clientIdOf(this.#define.get(written) ?? written)
      if (name !== 'Port' || id === null) continue
      const other = taken.get(id)
      const said = `ID ${id} is that of port ${other} in the same component; give it another one`
      if (other !== undefined) this.#wrong({ file, line }, said)
      taken.set(id, attributes.get('name') ?? '')
    }
  }

  #declare(element: XmlElement, place: IdlPlace): void {
    const name = this.#nameOf(element, place)
    if (name === null) return
    const version = this.#version(element, place)
    const others = this.#declared.get(name) ?? []
    const twin = others.find((other) => other.version === version)
    if (twin !== undefined) {
      // The same type is often declared in several files of one product.
      if (isSame(twin.element, element)) return
      const where = `${twin.place.file}:${twin.place.line}`
      this.#wrong(place, `${name} is defined otherwise at ${where}; rename one, or give a version`)
      return
    }
    if (Object.hasOwn(CL_TYPES, name)) {
      this.#wrong(place, `${name} is an elementary type; choose another name`)
      return
    }
    others.push({ name, version, element, place })
    this.#declared.set(name, others)
  }

  // --- types ---

  #type({ name, version, element, place }: Declared): IdlNamedType {
    const unique = this.#uniqueName(name, version)
    if (element.name === 'Enum') {
      return { name: unique, place, body: { kind: 'enum', members: this.#enum(element, place) } }
    }
    const kind = element.name === 'Union' ? 'union' : 'struct'
    const fields = this.#fields(element, 'DataMember', place)
    if (fields.length === 0) this.#wrong(place, `${name} has no <DataMember>`)
    return { name: unique, place, body: { kind, members: this.#members(fields, kind) } }
  }

  #enum(element: XmlElement, place: IdlPlace): Map<string, number> {
    const members = new Map<string, number>()
    let next = 0
    for (const child of element.children) {
      const at = { file: place.file, line: child.line }
      const name = child.name === 'EnumMember' ? this.#nameOf(child, at) : null
      if (child.name !== 'EnumMember') this.#note(at, `<${child.name}> has no counterpart`)
      if (name === null) continue
      const given = child.attributes.get('value')
      const value = given === undefined ? next : this.#enumValue(given, members)
      if (value === null || value < ENUM_MIN || value > ENUM_MAX) {
        const said = given === undefined ? String(value) : JSON.stringify(given)
        const wanted = 'a number of 32 bits, or an earlier member'
        this.#wrong(at, `value ${said} of ${name} is not ${wanted}; remedy: --define`)
        continue
      }
      if (members.has(name)) this.#wrong(at, `${name} stands twice in this enumeration`)
      members.set(name, value)
      next = value + 1
    }
    if (members.size === 0) this.#wrong(place, 'the enumeration has no <EnumMember>')
    return members
  }

  #enumValue(written: string, members: ReadonlyMap<string, number>): number | null {
    const name = written.trim()
    return members.get(name) ?? enumValueOf(this.#define.get(name) ?? name)
  }

  #fields(parent: XmlElement, childName: string, place: IdlPlace): Field[] {
    const fields: Field[] = []
    const seen = new Set<string>()
    for (const child of parent.children) {
      const at = { file: place.file, line: child.line }
      if (child.name !== childName) {
        this.#note(at, `<${child.name}> has no counterpart here`)
        continue
      }
      const name = this.#nameOf(child, at)
      if (name === null) continue
      if (seen.has(name)) this.#wrong(at, `${name} stands twice`)
      seen.add(name)
      fields.push({ name, element: child, place: at })
    }
    return fields
  }

  /** Members of one struct, union or argument list. Counts of arrays go: an array knows its length. */
  #members(fields: readonly Field[], kind: 'struct' | 'union'): IdlMember[] {
    const counts = new Set<string>()
    const types = new Map(fields.map((field) => [field.name, this.#typeOf(field)]))
    for (const { name, element, place } of fields) {
      const lengthVar = element.attributes.get('lengthVar')
      if (lengthVar === undefined) continue
      const type = types.get(lengthVar)
      if (type === undefined) this.#wrong(place, `lengthVar ${lengthVar} names no sibling`)
      else if (lengthVar === name || !isCount(type)) {
        this.#wrong(place, `lengthVar ${lengthVar} of ${name} is no sibling that holds a number`)
      } else counts.add(lengthVar)
    }
    return [...types]
      .filter(([name]) => kind === 'union' || !counts.has(name))
      .map(([name, type]) => ({ name, type }))
  }

  #typeOf({ element, place }: Field): IdlType {
    const { attributes } = element
    const base = this.#named(element, place)
    const isByte = base.kind === 'elementary' && BYTE_TYPES.has(base.name)
    const list = (length: number | null, max?: number): IdlType => {
      const bounds = max === undefined ? { length } : { length, max }
      return isByte ? { kind: 'bytes', ...bounds } : { kind: 'array', item: base, ...bounds }
    }
    const multiplicity = attributes.get('multiplicity')
    const places = multiplicity === undefined ? undefined : this.#length(multiplicity, place)
    // With a count the array has so many places, and some of them are in use.
    if (attributes.has('lengthVar')) return list(null, places)
    if (places !== undefined) return list(places)
    const pointer = attributes.get('pointer')
    if (pointer === undefined) return base
    if (pointer !== 'Single' && pointer !== 'Double') {
      this.#wrong(place, `pointer is ${JSON.stringify(pointer)}; it may be Single or Double`)
    }
    return { kind: 'nullable', inner: base }
  }

  #named(element: XmlElement, place: IdlPlace): IdlType {
    const written = element.attributes.get('type')
    if (written === undefined) {
      this.#wrong(place, `${element.name} has no type; remedy: type="ClUint32T"`)
      return { kind: 'elementary', name: 'ClUint32T' }
    }
    const name = written.trim()
    const declared = this.#declared.get(name)
    if (declared !== undefined) {
      const version = element.attributes.has('version')
        ? this.#version(element, place)
        : (this.#versionsOf(name).at(0) ?? '')
      if (declared.every((each) => each.version !== version)) {
        const there = declared.map((each) => each.version).join(', ')
        this.#wrong(place, `there is no ${name} of version ${version}, but of ${there}`)
      }
      return { kind: 'named', name: this.#uniqueName(name, version) }
    }
    const known = this.#define.get(name) ?? KNOWN_TYPES.get(name) ?? name
    if (Object.hasOwn(CL_TYPES, known)) return { kind: 'elementary', name: known }
    this.#wrong(
      place,
      `type ${name} is not defined; remedy: read the file that defines it too, ` +
        `or --define ${name}=ClUint32T`,
    )
    return { kind: 'elementary', name: 'ClUint32T' }
  }

  #versionsOf(name: string): readonly string[] {
    const known = this.#sortedVersions.get(name)
    if (known !== undefined) return known
    const versions = (this.#declared.get(name) ?? []).map((each) => each.version)
    const sorted = versions.toSorted(byVersion)
    this.#sortedVersions.set(name, sorted)
    return sorted
  }

  /** The newest version has the plain name. */
  #uniqueName(name: string, version: string): string {
    if (version === this.#versionsOf(name).at(-1)) return exportName(name)
    return `${name}_${version.slice(2).replace('.', '_')}_0`
  }

  // --- ports ---

  #port({ name: written, element, place }: Declared): IdlPort[] {
    const name = exportName(methodName(written))
    const clientId = this.#clientId(element, place)
    const operations = this.#operations(element, place)
    if (operations.length === 0) {
      this.#note(place, `port ${name} has no operation`)
      return []
    }
    const newest = new Map(operations.map((each) => [each.name, each]))
    const version =
      operations
        .map((each) => each.version)
        .toSorted(byVersion)
        .at(-1) ?? 'B.4.0'
    const tables: IdlPort[] = [{ name, place, clientId, version, operations: [...newest.values()] }]
    const older = operations.filter((each) => newest.get(each.name) !== each)
    for (const past of new Set(older.map((each) => each.version))) {
      const suffix = past.slice(2).replace('.', '_')
      tables.push({
        name: `${name}_${suffix}_0`,
        place,
        clientId,
        version: past,
        operations: older.filter((each) => each.version === past),
      })
    }
    return tables
  }

  #clientId(element: XmlElement, place: IdlPlace): number {
    const written = element.attributes.get('ID')?.trim() ?? ''
    const id = clientIdOf(this.#define.get(written) ?? written)
    if (id !== null) return id
    this.#wrong(
      place,
      `ID ${JSON.stringify(written)} of the port is not known; ` +
        `remedy: --define ${written || 'ID'}=21`,
    )
    return 0
  }

  /** In the order of the versions of each name. Operations of one name share a service id. */
  #operations(port: XmlElement, place: IdlPlace): IdlOperation[] {
    const ids = new Map<string, number>()
    const operations: IdlOperation[] = []
    for (const group of port.children) {
      const at = { file: place.file, line: group.line }
      if (group.name !== 'Group') {
        this.#note(at, `<${group.name}> has no counterpart here`)
        continue
      }
      for (const child of group.children) {
        const operation = this.#operation(child, { file: place.file, line: child.line }, ids)
        if (operation === null) continue
        // More of them would not be told apart any better.
        if (operation.serviceId > SERVICE_ID_MAX) return operations
        if (operations.some((each) => isSameOperation(each, operation))) {
          const said = `${operation.name} stands twice in version ${operation.version}`
          this.#wrong(operation.place, `${said}; rename one, or give it another version`)
        }
        operations.push(operation)
      }
    }
    return operations.toSorted((a, b) => byVersion(a.version, b.version))
  }

  #operation(element: XmlElement, place: IdlPlace, ids: Map<string, number>): IdlOperation | null {
    if (element.name !== 'Operation') {
      this.#note(place, `<${element.name}> has no counterpart here`)
      return null
    }
    const name = this.#nameOf(element, place)
    if (name === null) return null
    const twin = [...ids.keys()].find((known) => known !== name && isSameMethod(known, name))
    if (twin !== undefined) this.#wrong(place, `${name} and ${twin} get the same name; rename one`)
    const serviceId = ids.get(name) ?? ids.size
    ids.set(name, serviceId)
    if (serviceId > SERVICE_ID_MAX) {
      this.#wrong(place, `${name} is operation ${serviceId + 1}: a port has at most 64; divide it`)
    }
    const type = element.attributes.get('type')
    if (type !== undefined && type !== 'sync' && type !== 'async') {
      this.#wrong(place, `type of ${name} is ${JSON.stringify(type)}; it may be sync or async`)
    }
    const mode = type === 'sync' || type === 'async' ? type : 'both'
    const version = this.#version(element, place)
    return { name, place, serviceId, version, mode, ...this.#arguments(element, place) }
  }

  #arguments(element: XmlElement, place: IdlPlace): Pick<IdlOperation, 'input' | 'output'> {
    const fields = this.#fields(element, 'Argument', place)
    for (const field of fields) this.#checkArgument(field, fields)
    const directionOf = (field: Field): string =>
      field.element.attributes.get('ParameterType') ?? 'CL_IN'
    const members = new Map(this.#members(fields, 'struct').map((member) => [member.name, member]))
    const side = (directions: readonly string[]): IdlMember[] =>
      fields
        .filter((field) => directions.includes(directionOf(field)))
        .flatMap(({ name }) => members.get(name) ?? [])
    return { input: side(['CL_IN', 'CL_INOUT']), output: side(['CL_INOUT', 'CL_OUT']) }
  }

  #checkArgument({ name, element, place }: Field, fields: readonly Field[]): void {
    const direction = element.attributes.get('ParameterType')
    if (direction === undefined || !PARAMETER_TYPES.has(direction)) {
      const said = direction === undefined ? 'missing' : JSON.stringify(direction)
      this.#wrong(place, `ParameterType of ${name} is ${said}; it is CL_IN, CL_INOUT or CL_OUT`)
    }
    const lengthVar = element.attributes.get('lengthVar')
    if (lengthVar === undefined) return
    const count = fields.find((field) => field.name === lengthVar)
    const countDirection = count?.element.attributes.get('ParameterType')
    if (direction === 'CL_IN' && countDirection === 'CL_OUT') {
      this.#wrong(place, `${name} is CL_IN and its length ${lengthVar} is CL_OUT`)
    }
  }

  // --- small things ---

  #nameOf(element: XmlElement, place: IdlPlace): string | null {
    const name = element.attributes.get('name')?.trim()
    if (name !== undefined && NAME.test(name) && name !== '__proto__') return name
    const said = name === undefined ? 'no name' : `the name ${JSON.stringify(name.slice(0, 80))}`
    this.#wrong(place, `<${element.name}> has ${said}; a C identifier is expected`)
    return null
  }

  #length(written: string, place: IdlPlace): number {
    const length = Number(this.#define.get(written) ?? written)
    if (Number.isInteger(length) && length >= 1 && length <= LENGTH_MAX) return length
    this.#wrong(
      place,
      `multiplicity ${JSON.stringify(written)} is no number from 1 to ${LENGTH_MAX}; ` +
        `remedy: --define ${written}=16`,
    )
    return 1
  }

  #version(element: XmlElement, place: IdlPlace): string {
    const written = element.attributes.get('version') ?? '4.0.0'
    const version = versionOf(written)
    if (version !== null) return version
    this.#wrong(place, `version ${JSON.stringify(written)} is not of the form 5.1.0`)
    return 'B.4.0'
  }

  #wrong(place: IdlPlace, text: string): void {
    this.problems.push({ place, text })
  }

  #note(place: IdlPlace, text: string): void {
    this.#notes.push({ place, text })
  }
}

interface Field {
  readonly name: string
  readonly element: XmlElement
  readonly place: IdlPlace
}

const isSameOperation = (a: IdlOperation, b: IdlOperation): boolean =>
  a.name === b.name && a.version === b.version

/** Whether values of a type may count the elements of an array. */
function isCount(type: IdlType): boolean {
  if (type.kind === 'nullable') return isCount(type.inner)
  return type.kind === 'elementary' && /^Cl(Uint|Int|Word)/.test(type.name)
}

const isSameMethod = (a: string, b: string): boolean => methodName(a) === methodName(b)

/** Orders `B.5.1` after `B.4.0`. */
function byVersion(a: string, b: string): number {
  const numbers = (text: string): number[] => text.slice(2).split('.').map(Number)
  const [a1 = 0, a2 = 0] = numbers(a)
  const [b1 = 0, b2 = 0] = numbers(b)
  return a1 - b1 || a2 - b2
}

function isSame(a: XmlElement, b: XmlElement): boolean {
  const plain = (element: XmlElement): unknown => [
    element.name,
    [...element.attributes]
      .filter(([key]) => key !== 'defNeed' && key !== 'include')
      .map(([key, value]) => `${key}=${value}`)
      .toSorted((one, other) => one.localeCompare(other)),
    element.children.map(plain),
  ]
  return JSON.stringify(plain(a)) === JSON.stringify(plain(b))
}
