import type { Draft } from './draft.ts'
import type { ImmObject, ImmObjects } from './imm-objects.ts'
import { missingMediation } from './opensaf-categories.ts'
import { asName, assignNames, type Unnamed } from './names.ts'

/** `SaTimeT` counts nanoseconds. */
export const NS_PER_MS = 1_000_000

/** SHUTTING_DOWN is on its way to LOCKED. */
export const ADMIN_STATES = {
  1: 'UNLOCKED',
  2: 'LOCKED',
  3: 'LOCKED_INSTANTIATION',
  4: 'LOCKED',
} as const

/** What all parts of the OpenSAF import use: the objects that are imported, and their names in the model. */
export interface OpenSafContext {
  readonly objects: ImmObjects
  readonly draft: Draft
  /** Service groups that have something to run. */
  readonly groups: readonly ImmObject[]
  /** Nodes by their distinguished name: those in the files, then those that are only mentioned. */
  readonly nodes: ReadonlyMap<string, string>
  readonly nodeGroups: ReadonlyMap<string, string>
  unitsOf(sg: ImmObject): readonly ImmObject[]
  /** Those that somebody can start: a proxied or contained one whose proxy or container nobody names is left out. */
  componentsOf(unit: ImmObject): readonly ImmObject[]
  instancesOf(sg: ImmObject): readonly ImmObject[]
  protectorOf(si: ImmObject): ImmObject
  nameOf(object: ImmObject): string
  /** Undefined for an object that is left out. */
  tryNameOf(object: ImmObject): string | undefined
  /** The type that an attribute names; an error when there is none. */
  typeOf(object: ImmObject, attribute: string, className: string): ImmObject | undefined
  /** The object of a name; an error when it is in none of the files or of another class. */
  refer(
    from: ImmObject,
    attribute: string | null,
    to: { readonly name: string; readonly className: string },
  ): ImmObject | undefined
  csTypeName(type: ImmObject): string
  componentTypeName(type: ImmObject): string
}

/** Looks through the objects: what can be imported at all, and what each thing is called. */
export function openSafContext(objects: ImmObjects, draft: Draft): OpenSafContext {
  const leftOut = withoutMediation(objects)
  const componentsOf = (unit: ImmObject): readonly ImmObject[] =>
    objects.children(unit.name.text, 'SaAmfComp').filter((each) => !leftOut.has(each))
  const unitsOf = (sg: ImmObject): readonly ImmObject[] =>
    objects.children(sg.name.text, 'SaAmfSU').filter((unit) => componentsOf(unit).length > 0)
  for (const unit of objects.ofClass('SaAmfSU')) {
    if (componentsOf(unit).length === 0) unit.source.note(null, 'has no component; left out')
  }
  const groups = objects.ofClass('SaAmfSG').filter((sg) => {
    if (unitsOf(sg).length > 0) return true
    sg.source.note(null, 'has no service unit with a component; left out')
    return false
  })
  const refer = referrer(objects)
  const protectors = protectorsOf(objects, groups, refer)
  const instances = [...protectors.keys()].filter(
    (si) => objects.children(si.name.text, 'SaAmfCSI').length > 0,
  )
  for (const si of protectors.keys()) {
    if (!instances.includes(si)) si.source.note(null, 'has no CSI; left out')
  }
  const instancesOf = (sg: ImmObject): readonly ImmObject[] =>
    instances.filter((si) => protectors.get(si) === sg)
  const nodeNames = mentioned(objects, 'safAmfNode')
  const groupNames = mentioned(objects, 'safAmfNodeGroup')
  const named = (kind: Unnamed['kind'], list: typeof nodeNames): Unnamed[] =>
    list.map(({ name, value }) => ({ id: name, kind, value, within: [] }))
  const names = assignNames([
    ...named('node', nodeNames),
    ...named('NodeGroup', groupNames),
    ...groups.flatMap((sg) =>
      unnamed(sg, { objects, componentsOf, units: unitsOf(sg), instances: instancesOf(sg) }),
    ),
  ])
  const tryNameOf = ({ name }: ImmObject): string | undefined => names.get(name.text)
  noteRenamed(objects, tryNameOf)
  return {
    objects,
    draft,
    groups,
    nodes: new Map(nodeNames.map(({ name }) => [name, names.get(name) ?? name])),
    nodeGroups: new Map(groupNames.map(({ name }) => [name, names.get(name) ?? name])),
    unitsOf,
    componentsOf,
    instancesOf,
    protectorOf: (si) => protectors.get(si) ?? si,
    tryNameOf,
    nameOf: (object) => tryNameOf(object) ?? asName(object.name.value),
    typeOf: (object, attribute, className) => {
      const name = object.source.text(attribute)
      if (name !== undefined) return refer(object, attribute, { name, className })
      object.source.error(attribute, `has no ${attribute}; name a ${className}`)
      return undefined
    },
    refer,
    csTypeName: (type) => versionedName(objects, type),
    componentTypeName: (type) => versionedName(objects, type),
  }
}

function withoutMediation(objects: ImmObjects): ReadonlySet<ImmObject> {
  const found = new Set<ImmObject>()
  for (const component of objects.ofClass('SaAmfComp')) {
    const attribute = missingMediation(objects, component)
    if (attribute === null) continue
    const { source } = component
    const message = `has no ${attribute}, and a model says which CSI makes its proxy or container`
    source.note(null, `${message}; left out`)
    source.skip(...source.attributes)
    found.add(component)
  }
  return found
}

function referrer(objects: ImmObjects): OpenSafContext['refer'] {
  return (from, attribute, { name, className }) => {
    const found = objects.get(name)
    if (!found) from.source.error(attribute, `${name} is in none of the files`)
    else if (found.className !== className) {
      from.source.error(attribute, `${name} is a ${found.className}, not a ${className}`)
    } else return found
    return undefined
  }
}

function protectorsOf(
  objects: ImmObjects,
  groups: readonly ImmObject[],
  refer: OpenSafContext['refer'],
): ReadonlyMap<ImmObject, ImmObject> {
  const protectors = new Map<ImmObject, ImmObject>()
  for (const si of objects.ofClass('SaAmfSI')) {
    const name = si.source.text('saAmfSIProtectedbySG')
    if (name === undefined) {
      si.source.note('saAmfSIProtectedbySG', 'no service group protects it; left out')
      continue
    }
    const sg = refer(si, 'saAmfSIProtectedbySG', { name, className: 'SaAmfSG' })
    if (sg && sg.name.parent !== si.name.parent) {
      si.source.error('saAmfSIProtectedbySG', `${name} belongs to another application`)
    }
    if (sg && groups.includes(sg)) protectors.set(si, sg)
    else if (sg) si.source.note('saAmfSIProtectedbySG', `${name} was left out; so is this`)
  }
  return protectors
}

/** Every node (or node group) that an object is, has a bundle on, hosts a unit or is in a group by. */
function mentioned(objects: ImmObjects, type: string): { name: string; value: string }[] {
  const found = new Map<string, string>()
  const mention = (text: string): void => {
    const value = new RegExp(`^${type}=([^,\\\\]+)`).exec(text)?.[1]
    if (value !== undefined && !found.has(text)) found.set(text, value)
  }
  for (const { name } of objects.ofClass('SaAmfNode')) mention(name.text)
  for (const { name } of objects.ofClass('SaAmfNodeGroup')) mention(name.text)
  for (const { name } of objects.ofClass('SaAmfNodeSwBundle')) mention(name.parent)
  for (const { source } of objects.ofClass('SaAmfNodeGroup')) {
    source.all('saAmfNGNodeList').forEach(mention)
  }
  for (const { source } of objects.ofClass('SaAmfSU')) {
    source.all('saAmfSUHostNodeOrNodeGroup').forEach(mention)
  }
  for (const { source } of objects.ofClass('SaAmfSG')) {
    source.all('saAmfSGSuHostNodeGroup').forEach(mention)
  }
  return [...found].map(([name, value]) => ({ name, value }))
}

function unnamed(
  sg: ImmObject,
  parts: {
    objects: ImmObjects
    componentsOf: OpenSafContext['componentsOf']
    units: readonly ImmObject[]
    instances: readonly ImmObject[]
  },
): Unnamed[] {
  const application = /safApp=([^,\\]+)$/.exec(sg.name.text)?.[1] ?? ''
  const entity = (
    { name }: ImmObject,
    kind: Unnamed['kind'],
    within: readonly string[],
  ): Unnamed => ({ id: name.text, kind, value: name.value, within })
  const above = [sg.name.value, application]
  return [
    entity(sg, 'SG', [application]),
    ...parts.units.flatMap((unit) => [
      entity(unit, 'SU', above),
      ...parts
        .componentsOf(unit)
        .map((component) => entity(component, 'Comp', [unit.name.value, ...above])),
    ]),
    ...parts.instances.flatMap((si) => [
      entity(si, 'SI', [application]),
      ...parts.objects
        .children(si.name.text, 'SaAmfCSI')
        .map((csi) => entity(csi, 'CSI', [si.name.value, application])),
    ]),
  ]
}

function noteRenamed(
  objects: ImmObjects,
  tryNameOf: (object: ImmObject) => string | undefined,
): void {
  for (const object of objects.all()) {
    const name = tryNameOf(object)
    if (name === undefined || name === object.name.value) continue
    object.source.note(null, `is named ${name}: in a model one name means one thing`)
  }
}

/** The name of the base type, with the version behind it when there are several. */
function versionedName(objects: ImmObjects, type: ImmObject): string {
  const base = /^[^=]+=([^,]*)/.exec(type.name.parent)?.[1] ?? type.name.value
  const versions = objects.children(type.name.parent, type.className)
  return asName(versions.length > 1 ? `${base}-${type.name.value}` : base)
}
