import { compact, type Draft, type GroupDraft, type Keys, type UnitDraft } from './draft.ts'
import { asName, assignNames, type Unnamed } from './names.ts'
import { SourceObject } from './source-object.ts'
import type { XmlElement } from '../../../idl/internal.ts'

/**
 * Turns OpenSAF's configuration of before its information model (root `APPConfig`) into a cluster: prototypes of
 * components and service units, which nodes and service groups make instances of. Times are milliseconds.
 */
export function importLegacy(
  files: readonly { readonly root: XmlElement; readonly file: string }[],
  draft: Draft,
): void {
  for (const { root, file } of files) {
    for (const config of root.children) {
      const legacy = new Legacy(config, { file, draft })
      draft.text.cluster = asName(config.attributes.get('cluster') ?? 'imported')
      legacy.add(asName(root.attributes.get('name') ?? 'imported'))
    }
  }
}

/** The part behind the type: `safSu=A,safNode=B` is A. */
function bare(name: string): string {
  return /^\w+=([^,]*)/.exec(name)?.[1] ?? name
}

class Legacy {
  readonly #config: XmlElement
  readonly #file: string
  readonly #draft: Draft
  readonly #objects = new Map<XmlElement, SourceObject>()
  #names: ReadonlyMap<string, string> = new Map<string, string>()

  constructor(config: XmlElement, to: { file: string; draft: Draft }) {
    this.#config = config
    this.#file = to.file
    this.#draft = to.draft
  }

  add(application: string): void {
    this.#names = assignNames(this.#unnamed())
    for (const node of this.#named('nodeInstance')) this.#addNode(node)
    for (const sg of this.#named('SGInstance')) this.#addGroup(sg, application)
    for (const prototype of this.#named('componentPrototype')) this.#addType(prototype)
    for (const csi of this.#named('CSIPrototype')) {
      this.#object(csi).note('ParamName', 'names of CSI attributes are not checked')
    }
    for (const element of this.#config.children) {
      if (!KNOWN.has(element.name)) this.#object(element).note(null, 'has no counterpart; left out')
    }
    for (const source of this.#objects.values()) source.noteRest()
  }

  /** Elements of one kind; a name that is there twice is an error. */
  #named(kind: string): readonly XmlElement[] {
    const all = this.#config.children.filter(({ name }) => name === kind)
    const seen = new Set<string>()
    for (const element of all) {
      const name = element.attributes.get('name') ?? ''
      if (name === '' || seen.has(name)) {
        this.#object(element).error(null, name === '' ? 'has no name' : 'is there twice')
      }
      seen.add(name)
    }
    return all
  }

  #find(kind: string, name: string, from: SourceObject): XmlElement | undefined {
    const all = this.#config.children.filter((each) => each.name === kind)
    const found = all.find(({ attributes }) => attributes.get('name') === name)
    if (!found) from.error(null, `${kind} ${name} is not in the file`)
    return found
  }

  #unnamed(): Unnamed[] {
    const all: Unnamed[] = this.#named('nodeInstance').map((node) => {
      const name = node.attributes.get('name') ?? ''
      return { id: name, kind: 'node', value: bare(name), within: [] }
    })
    for (const sg of this.#named('SGInstance')) {
      const group = sg.attributes.get('name') ?? ''
      all.push({ id: group, kind: 'SG', value: bare(group), within: [] })
      for (const unit of descendants(sg, 'SU')) {
        const id = unit.attributes.get('SUName') ?? ''
        const [prototype = '', node = ''] = id.split(',').map(bare)
        all.push({ id, kind: 'SU', value: `${prototype}-${node}`, within: [] })
        for (const component of this.#componentsOf(id)) {
          const value = `${bare(component)}-${node}`
          all.push({ id: `${component},${id}`, kind: 'Comp', value, within: [bare(id)] })
        }
      }
    }
    for (const si of this.#named('SIInstance')) {
      const instance = si.attributes.get('name') ?? ''
      all.push({ id: instance, kind: 'SI', value: bare(instance), within: [] })
      for (const csi of descendants(si, 'CSIInstance')) {
        const value = `${bare(csi.attributes.get('name') ?? '')}-${bare(instance)}`
        all.push({ id: this.#csiId(si, csi), kind: 'CSI', value, within: [bare(instance)] })
      }
    }
    return all
  }

  #csiId(si: XmlElement, csi: XmlElement): string {
    return `${csi.attributes.get('name') ?? ''},${si.attributes.get('name') ?? ''}`
  }

  #nameOf(id: string): string {
    return this.#names.get(id) ?? asName(bare(id))
  }

  #componentsOf(unit: string): readonly string[] {
    const prototype = this.#config.children.find(
      ({ name, attributes }) =>
        name === 'SUPrototype' && attributes.get('name') === (unit.split(',')[0] ?? ''),
    )
    return prototype ? descendants(prototype, 'componentPrototype').map(({ text }) => text) : []
  }

  #addNode(node: XmlElement): void {
    const source = this.#object(node)
    const name = this.#nameOf(node.attributes.get('name') ?? '')
    const prototype = this.#find('nodePrototype', source.text('prototypeName') ?? '', source)
    const type = prototype && this.#object(prototype)
    this.#draft.text.nodes[name] = compact({
      suFailoverMax: type?.int(`${ESCALATION}/SUFailoverMax`),
      suFailoverWindowMs: type?.ms(`${ESCALATION}/SUFailoverProbation`, { min: 1 }),
    })
    type?.skip('SUFinalPrototypeList/SUFinalPrototype')
    this.#draft.from(['nodes', name], source)
  }

  #addGroup(sg: XmlElement, application: string): void {
    const source = this.#object(sg)
    const model = sg.children.find(({ name }) => name === 'redundancyModel')?.children[0]
    const redundancy = MODELS[model?.name ?? '']
    if (redundancy === undefined || !model) {
      const known = Object.keys(MODELS).join(', ')
      source.error('redundancyModel', `${model?.name ?? 'nothing'} is none of ${known}`)
      return
    }
    const at = `redundancyModel/${model.name}`
    const own = (key: string): string => `${at}/${key}`
    const isNPlusM = redundancy === 'N+M'
    const take = (key: string, isUsed: boolean): number | undefined => {
      const value = source.int(own(key))
      if (isUsed || value === undefined) return value
      source.note(own(key), `has no effect in ${redundancy}; left out`)
      return undefined
    }
    const name = this.#nameOf(sg.attributes.get('name') ?? '')
    const group: GroupDraft = {
      ...compact({
        redundancy,
        application,
        autoAdjust: source.int(own('failbackOption')) === 1 ? true : undefined,
        preferredActiveSUs: take('numPrefActiveSUs', isNPlusM),
        preferredStandbySUs: take('numPrefStandbySUs', isNPlusM),
        preferredInServiceSUs: take('numPrefInserviceSUs', true),
        maxActiveSIsPerSU: take('maxActiveSIsperSU', redundancy !== '2N'),
        maxStandbySIsPerSU: take('maxStandbySIsperSU', isNPlusM || redundancy === 'N-way'),
        componentRestartMax: source.int('SGErrorEscalation/componentRestartMax'),
        componentRestartWindowMs: source.ms('SGErrorEscalation/componentRestartProbation'),
        suRestartMax: source.int('SGErrorEscalation/SURestartMax'),
        suRestartWindowMs: source.ms('SGErrorEscalation/SURestartProbation'),
      }),
      serviceUnits: {},
      serviceInstances: {},
    }
    this.#draft.text.serviceGroups[name] = group
    this.#draft.from(['serviceGroups', name], source)
    source.skip(own('SURankList/SU'), 'SIList/SI')
    for (const unit of descendants(model, 'SU')) this.#addUnit(name, group, unit)
    for (const si of descendants(sg, 'SI')) this.#addInstance(name, group, si)
  }

  #addUnit(groupName: string, group: GroupDraft, element: XmlElement): void {
    const source = this.#object(element)
    const id = element.attributes.get('SUName') ?? ''
    const node = id.split(',')[1] ?? ''
    source.skip('SUName')
    this.#find('SUPrototype', id.split(',')[0] ?? '', source)
    this.#find('nodeInstance', node, source)
    const name = this.#nameOf(id)
    const components = this.#componentsOf(id).map((prototype) => {
      this.#find('componentPrototype', prototype, source)
      return [this.#nameOf(`${prototype},${id}`), { type: asName(bare(prototype)) }] as const
    })
    const unit: UnitDraft = {
      ...compact({ node: this.#nameOf(node), rank: source.int('rank') }),
      components: Object.fromEntries(components),
    }
    if (Object.hasOwn(group.serviceUnits, name)) source.error(null, 'is there twice')
    group.serviceUnits[name] = unit
    this.#draft.from(['serviceGroups', groupName, 'serviceUnits', name], source)
  }

  #addInstance(groupName: string, group: GroupDraft, element: XmlElement): void {
    const source = this.#object(element)
    const si = this.#find('SIInstance', element.text, source)
    if (!si) return
    const name = this.#nameOf(element.text)
    const instance = this.#object(si)
    instance.skip('name', 'CSIList')
    const path = ['serviceGroups', groupName, 'serviceInstances', name]
    this.#draft.from(path, instance)
    const csis = descendants(si, 'CSIInstance').map((csi) => {
      const csiName = this.#nameOf(this.#csiId(si, csi))
      this.#draft.from([...path, 'csis', csiName], this.#object(csi))
      return [csiName, this.#csiKeys(csi)] as const
    })
    group.serviceInstances[name] = {
      ...compact({ rank: source.int('rank') }),
      csis: Object.fromEntries(csis),
    }
  }

  #csiKeys(csi: XmlElement): Keys {
    const source = this.#object(csi)
    const prototype = source.text('prototypeName') ?? ''
    this.#find('CSIPrototype', prototype, source)
    if (source.text('rank') !== undefined) {
      source.note('rank', 'the order of CSIs follows from their dependencies')
    }
    const values = descendants(csi, 'nameValue').map(
      ({ attributes }) => [attributes.get('name') ?? '', attributes.get('value') ?? ''] as const,
    )
    source.skip('CSIAttributes/nameValueList/nameValue')
    return compact({ type: asName(bare(prototype)), attributes: Object.fromEntries(values) })
  }

  #addType(prototype: XmlElement): void {
    const source = this.#object(prototype)
    const name = asName(bare(prototype.attributes.get('name') ?? ''))
    const aware = 'saAwareComponent'
    const words = (what: string): string[] | undefined =>
      source.text(`clcCommands/${what}Command/command`)?.split(/\s+/)
    const terminateMs = source.ms(`${aware}/terminationTimeout`, { min: 10 })
    const cleanup = words('cleanup')
    const capability = source.choice(`${aware}/capability`, CAPABILITIES)
    const maximum = {
      maxActive: source.int(`${aware}/numMaxActiveCSIs`),
      maxStandby: source.int(`${aware}/numMaxStandbyCSIs`),
    }
    const limits = compact({ ...maximum, ...capability })
    const csType = source.text('csiPrototypeName')
    if (words('terminate')) {
      const reason = 'SA-aware components are told to terminate; no command is used'
      source.without(reason, ['clcCommands/terminateCommand/command'])
    }
    source.skip('finalPrototype', 'clcCommands/terminateCommand/timeout')
    this.#draft.text.componentTypes[name] = compact({
      command: words('instantiate'),
      cleanup: cleanup && {
        command: cleanup,
        timeoutMs: source.ms('clcCommands/cleanupCommand/timeout', { min: 100 }) ?? 10_000,
      },
      instantiationLevel: source.int('instantiationLevel'),
      instantiateAttemptsMax: source.int('clcCommands/instantiateCommand/numMaxInstantiate', {
        min: 1,
      }),
      instantiateTimeoutMs: source.ms('clcCommands/instantiateCommand/timeout', { min: 100 }),
      terminateTimeoutMs: terminateMs,
      csiSetTimeoutMs: source.ms(`${aware}/csiSetCallbackTimeout`, { min: 10 }),
      csiRemoveTimeoutMs: source.ms(`${aware}/csiRmvCallbackTimeout`, { min: 10 }),
      quiescingTimeoutMs: source.ms(`${aware}/QuiescingDoneTimeout`, { min: 10 }),
      healthCheck: compact({
        periodMs: source.ms(`${aware}/healthCheck/period`, { min: 10 }),
        timeoutMs: source.ms(`${aware}/healthCheck/maxDuration`, { min: 20 }),
      }),
      disableRestart: source.choice(`${aware}/disableRestart`, { true: true, false: false }),
      csTypes: csType === undefined ? {} : { [asName(bare(csType))]: limits },
    })
    this.#draft.from(['componentTypes', name], source)
  }

  /** The element as an object: XML attributes, and texts of everything inside by their path. */
  #object(element: XmlElement): SourceObject {
    const known = this.#objects.get(element)
    if (known) return known
    const { line, attributes } = element
    const name = attributes.get('name') ?? attributes.get('SUName') ?? element.text
    const place = { file: this.#file, line }
    const context = { findings: this.#draft.findings }
    const made = new SourceObject(`${element.name} ${name}`.trim(), place, context)
    this.#objects.set(element, made)
    for (const [key, text] of attributes) made.put(key, { text, line })
    fill(made, element, '')
    made.skip('name')
    return made
  }
}

function fill(source: SourceObject, element: XmlElement, path: string): void {
  for (const child of element.children) {
    if (NESTED.has(child.name)) continue
    const at = `${path}${child.name}`
    if (child.text !== '') source.put(at, { text: child.text, line: child.line })
    for (const [key, text] of child.attributes) {
      if (key !== 'name') source.put(`${at}@${key}`, { text, line: child.line })
      else if (child.name === 'healthCheck') {
        source.put(`${at}@key`, { text, line: child.line })
      }
    }
    fill(source, child, `${at}/`)
  }
}

/** Elements that are objects of their own, or are read by themselves. */
const NESTED = new Set([
  'SU',
  'SI',
  'CSIInstance',
  'nameValue',
  'componentPrototypeList',
  'ParamName',
])
const KNOWN = new Set([
  'componentPrototype',
  'CSIPrototype',
  'SUPrototype',
  'SIInstance',
  'SGInstance',
  'nodePrototype',
  'nodeInstance',
])
const ESCALATION = 'nodeAttributes/nodeErrorEscalation'
const MODELS: Readonly<Record<string, string>> = {
  model_2N: '2N',
  model_NplusM: 'N+M',
  model_Nway: 'N-way',
  model_NwayActive: 'N-way-active',
  model_NoRedundancy: 'no-redundancy',
}
const CAPABILITIES = {
  X_ACTIVE_AND_Y_STANDBY: {},
  X_ACTIVE_OR_Y_STANDBY: {},
  '1_ACTIVE_OR_Y_STANDBY': { maxActive: 1 },
  '1_ACTIVE_OR_1_STANDBY': { maxActive: 1, maxStandby: 1 },
  X_ACTIVE: { maxStandby: 0 },
  '1_ACTIVE': { maxActive: 1, maxStandby: 0 },
  NO_ACTIVE: { maxActive: 0 },
} as const

function descendants(element: XmlElement, name: string): readonly XmlElement[] {
  return element.children.flatMap((child) => [
    ...(child.name === name ? [child] : []),
    ...descendants(child, name),
  ])
}
