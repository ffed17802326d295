import type { Findings } from './findings.ts'
import { nameValuesOf } from './safplus-components.ts'
import { SourceObject } from './source-object.ts'
import type { XmlElement } from '../../../idl/internal.ts'

/** One instance of `clAmfConfig.xml`. */
export interface SafplusEntity {
  readonly name: string
  readonly type: string
  readonly kind: Kind
  readonly source: SourceObject
  /** What it is in, the nearest first. */
  readonly within: readonly string[]
}

/** Element of a type, by the kind of the instances. */
const TYPE_ELEMENTS = {
  node: 'nodeType',
  sg: 'sgType',
  su: 'suType',
  component: 'compType',
  si: 'siType',
  csi: 'csiType',
} as const
type Kind = keyof typeof TYPE_ELEMENTS

interface GroupEntity extends SafplusEntity {
  readonly units: readonly string[]
  readonly instances: readonly InstanceEntity[]
}
interface InstanceEntity extends SafplusEntity {
  readonly preferred: readonly string[]
}

interface TypeEntry {
  readonly source: SourceObject
  readonly element: XmlElement
}

/** Everything in the files, each name once. */
export interface SafplusSources {
  readonly name: string
  readonly nodes: readonly SafplusEntity[]
  readonly units: readonly SafplusEntity[]
  readonly components: readonly SafplusEntity[]
  readonly groups: readonly GroupEntity[]
  readonly instances: readonly InstanceEntity[]
  readonly csis: readonly SafplusEntity[]
  typeOf(entity: SafplusEntity): SourceObject | undefined
  elementOf(entity: SafplusEntity): XmlElement | undefined
  valuesOf(csi: SafplusEntity): readonly { name: string; value: string }[]
  /** Whether a name that an attribute refers to is there; an error when not. */
  exists(
    source: SourceObject,
    attribute: string,
    to: readonly ['instances' | 'csis', string],
  ): boolean
  /** Notes what nobody took. */
  finish(): void
}

/** Reads types and instances, and checks that names are unique and types exist. */
export function readSafplusFiles(
  files: readonly { readonly root: XmlElement; readonly file: string }[],
  findings: Findings,
): SafplusSources {
  const reader = new Reader(findings)
  for (const { root, file } of files) {
    const part = partOf(root)
    if (part?.name === 'amfTypes') reader.readTypes(part, file)
    else if (part) reader.readConfig(part, file)
  }
  return reader.finish(files[0]?.file ?? '')
}

/** The part of a SAFplus file that is read: its root, or what is in `openClovisAsp/version`. Null in other files. */
export function partOf(root: XmlElement): XmlElement | null {
  if (root.name === 'amfTypes' || root.name === 'amfConfig') return root
  if (root.name !== 'openClovisAsp' && root.name !== 'version') return null
  return root.children.map((child) => partOf(child)).find((part) => part !== null) ?? null
}

class Reader {
  readonly #findings: Findings
  readonly #types = new Map<string, TypeEntry>()
  readonly #seen = new Map<string, SourceObject>()
  readonly #entities: SafplusEntity[] = []
  readonly #groups: GroupEntity[] = []
  readonly #instances: InstanceEntity[] = []
  #configFile: string | null = null

  constructor(findings: Findings) {
    this.#findings = findings
  }

  readTypes(part: XmlElement, file: string): void {
    for (const list of part.children) {
      for (const element of list.children) {
        const name = element.attributes.get('name') ?? ''
        const source = this.#object(`${element.name} ${name}`, element, file)
        fill(source, element)
        const known = (Object.values(TYPE_ELEMENTS) as string[]).includes(element.name)
        if (!known) source.note(null, 'no type of this kind has a counterpart; left out')
        else if (this.#isNew(`${element.name} ${name}`, source)) {
          this.#types.set(`${element.name} ${name}`, { source, element })
        }
      }
    }
  }

  readConfig(part: XmlElement, file: string): void {
    this.#configFile ??= file
    for (const list of part.children) {
      if (list.name === 'nodeInstances') this.#readNodes(list, file)
      else if (list.name === 'serviceGroups') this.#readGroups(list, file)
      else {
        for (const element of list.children) {
          const name = element.attributes.get('nodeType') ?? element.attributes.get('name') ?? ''
          const source = this.#object(`${element.name} ${name}`, element, file)
          source.note(null, 'boot levels and platform units have no counterpart; left out')
        }
      }
    }
  }

  #readNodes(list: XmlElement, file: string): void {
    for (const element of named(list, 'nodeInstance')) {
      const node = this.#add('node', element, { file, within: [] })
      for (const child of inside(element, 'serviceUnitInstances')) {
        const unit = this.#add('su', child, { file, within: [node] })
        for (const component of inside(child, 'componentInstances')) {
          this.#add('component', component, { file, within: [unit, node] })
        }
      }
    }
  }

  #readGroups(list: XmlElement, file: string): void {
    for (const element of named(list, 'serviceGroup')) {
      const name = this.#add('sg', element, { file, within: [] })
      const entity = this.#last(name)
      const instances: InstanceEntity[] = []
      for (const child of inside(element, 'serviceInstances')) {
        const instance = this.#add('si', child, { file, within: [name] })
        const preferred = inside(child, 'prefferedServiceUnits').map(({ text }) => text)
        for (const csi of inside(child, 'componentServiceInstances')) {
          this.#add('csi', csi, { file, within: [instance, name] })
        }
        const made = this.#entities.find((each) => each.kind === 'si' && each.name === instance)
        if (made) instances.push({ ...made, preferred: preferred.filter((text) => text !== '') })
      }
      this.#instances.push(...instances)
      const units = inside(element, 'associatedServiceUnits').map(({ text }) => text)
      if (entity) this.#groups.push({ ...entity, units, instances })
    }
  }

  #last(name: string): SafplusEntity | undefined {
    return this.#entities.find((each) => each.kind === 'sg' && each.name === name)
  }

  #add(kind: Kind, element: XmlElement, at: { file: string; within: readonly string[] }): string {
    const name = element.attributes.get('name') ?? ''
    const type = element.attributes.get('type') ?? ''
    const source = this.#object(`${element.name} ${name}`, element, at.file)
    fill(source, element)
    source.skip('name', 'type')
    if (name === '') source.error(null, 'has no name; give name="..."')
    else if (this.#isNew(`${kind} ${name}`, source)) {
      this.#entities.push({ name, type, kind, source, within: at.within })
    }
    return name
  }

  #object(label: string, element: XmlElement, file: string): SourceObject {
    return new SourceObject(label, { file, line: element.line }, { findings: this.#findings })
  }

  #isNew(key: string, source: SourceObject): boolean {
    const first = this.#seen.get(key)
    if (first) {
      source.error(null, `is there twice: first in ${first.file}:${String(first.line)}`)
      return false
    }
    this.#seen.set(key, source)
    return true
  }

  finish(file: string): SafplusSources {
    const of = (kind: Kind): SafplusEntity[] => this.#entities.filter((each) => each.kind === kind)
    const used = new Set<SourceObject>()
    const entry = (entity: SafplusEntity): TypeEntry | undefined => {
      const key = `${TYPE_ELEMENTS[entity.kind]} ${entity.type}`
      const found = this.#types.get(key)
      if (found) used.add(found.source)
      else entity.source.error('type', `${key} is in none of the files; import its definitions too`)
      return found
    }
    const csis = of('csi')
    return {
      name: clusterName(this.#configFile ?? file),
      nodes: of('node'),
      units: of('su'),
      components: of('component'),
      groups: this.#groups,
      instances: this.#instances,
      csis,
      typeOf: (entity) => entry(entity)?.source,
      elementOf: (entity) => entry(entity)?.element,
      valuesOf: (csi) => nameValuesOf(entry(csi)?.element, 'nameValueLists'),
      exists: (source, attribute, [kind, name]) => {
        const list: readonly SafplusEntity[] = kind === 'csis' ? csis : this.#instances
        if (list.some((each) => each.name === name)) return true
        source.error(attribute, `${name} is in none of the files`)
        return false
      },
      finish: () => {
        for (const { source } of this.#types.values()) {
          source.skip('name')
          if (used.has(source)) source.noteRest()
          else source.note(null, 'nothing imported uses it; left out')
        }
        for (const { source } of this.#entities) source.noteRest()
      },
    }
  }
}

/** A SAFplus model has no name of its own: the folder above `config` that the file is in, else the file's. */
function clusterName(file: string): string {
  const folders = file.split('/').filter((part) => part !== '' && part !== '.' && part !== '..')
  const above = folders.slice(0, -1).filter((part) => part !== 'config' && part !== 'src')
  return above.at(-1) ?? 'imported'
}

function named(element: XmlElement, name: string): readonly XmlElement[] {
  return element.children.filter((child) => child.name === name)
}

function inside(element: XmlElement, list: string): readonly XmlElement[] {
  return element.children.filter(({ name }) => name === list).flatMap(({ children }) => children)
}

/** Structure that is read by itself. */
const LISTS = new Set([
  'serviceUnitInstances',
  'componentInstances',
  'serviceInstances',
  'componentServiceInstances',
  'associatedServiceUnits',
  'prefferedServiceUnits',
  'csiTypes',
  'args',
  'envs',
  'nameValueLists',
])

/** XML attributes, texts of children, and of their children as `timeouts/csiSetTimeout`. */
function fill(source: SourceObject, element: XmlElement): void {
  const { line } = element
  for (const [name, text] of element.attributes) source.put(name, { text, line })
  for (const child of element.children) {
    if (LISTS.has(child.name)) continue
    if (child.name === 'dependencies') {
      for (const text of child.attributes.values()) {
        source.put('dependencies', { text, line: child.line })
      }
      for (const each of child.children) {
        source.put('dependencies', { text: each.text, line: each.line })
      }
    } else if (child.children.length === 0) {
      source.put(child.name, { text: child.text, line: child.line })
    } else {
      for (const each of child.children) {
        source.put(`${child.name}/${each.name}`, { text: each.text, line: each.line })
      }
    }
  }
}
