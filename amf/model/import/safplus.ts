import {
  compact,
  shareKeys,
  type Draft,
  type GroupDraft,
  type Keys,
  type UnitDraft,
} from './draft.ts'
import { asName, assignNames, type Unnamed } from './names.ts'
import { componentKeys } from './safplus-components.ts'
import { readSafplusFiles, type SafplusEntity, type SafplusSources } from './safplus-file.ts'
import type { SourceObject } from './source-object.ts'
import type { XmlElement } from '../../../idl/internal.ts'

const ADMIN_STATES = {
  CL_AMS_ADMIN_STATE_UNLOCKED: 'UNLOCKED',
  CL_AMS_ADMIN_STATE_LOCKED_A: 'LOCKED',
  CL_AMS_ADMIN_STATE_LOCKED_I: 'LOCKED_INSTANTIATION',
  CL_AMS_ADMIN_STATE_SHUTTINGDOWN: 'LOCKED',
} as const
const FLAG = { CL_TRUE: true, CL_FALSE: false } as const
const REDUNDANCY = {
  CL_AMS_SG_REDUNDANCY_MODEL_NO_REDUNDANCY: 'no-redundancy',
  CL_AMS_SG_REDUNDANCY_MODEL_TWO_N: '2N',
  CL_AMS_SG_REDUNDANCY_MODEL_M_PLUS_N: 'N+M',
  CL_AMS_SG_REDUNDANCY_MODEL_N_WAY: 'N-way',
  CL_AMS_SG_REDUNDANCY_MODEL_N_WAY_ACTIVE: 'N-way-active',
} as const

/** Turns SAFplus's `clAmfDefinitions.xml` (types) and `clAmfConfig.xml` (instances) into a cluster. */
export function importSafplus(
  files: readonly { readonly root: XmlElement; readonly file: string }[],
  draft: Draft,
): void {
  const sources = readSafplusFiles(files, draft.findings)
  const names = assignNames(namesOf(sources))
  const context: Context = {
    sources,
    draft,
    nameOf: (kind, name) => names.get(`${kind} ${name}`) ?? asName(name),
  }
  draft.text.cluster = asName(sources.name)
  for (const node of sources.nodes) addNode(context, node)
  for (const sg of sources.groups) addGroup(context, sg)
  addComponents(context)
  for (const unit of sources.units) {
    if (sources.groups.some((sg) => sg.units.includes(unit.name))) continue
    unit.source.note(null, 'no service group has it; left out')
  }
  sources.finish()
}

interface Context {
  readonly sources: SafplusSources
  readonly draft: Draft
  nameOf(kind: Unnamed['kind'], name: string): string
}

function namesOf(sources: SafplusSources): Unnamed[] {
  const all = (kind: Unnamed['kind'], list: readonly SafplusEntity[]): Unnamed[] =>
    list.map(({ name, within }) => ({ id: `${kind} ${name}`, kind, value: name, within }))
  return [
    ...all('node', sources.nodes),
    ...all('SG', sources.groups),
    ...all('SU', sources.units),
    ...all('Comp', sources.components),
    ...all('SI', sources.instances),
    ...all('CSI', sources.csis),
  ]
}

/** SAFplus's default is locked for instantiation. */
function adminOf(type: SourceObject | undefined): string | undefined {
  if (!type) return undefined
  return type.choice('adminState', ADMIN_STATES) ?? 'LOCKED_INSTANTIATION'
}

function addNode({ sources, draft, nameOf }: Context, node: SafplusEntity): void {
  const type = sources.typeOf(node)
  const name = nameOf('node', node.name)
  draft.from(['nodes', name], node.source)
  draft.text.nodes[name] = compact({
    adminState: adminOf(type),
    suFailoverMax: type?.int('suFailoverCountMax') ?? 10,
    suFailoverWindowMs: type?.ms('suFailoverDuration', { min: 1 }) ?? 60_000,
    autoRepair: type?.choice('autoRepair', FLAG),
  })
  // 0 stands for "by slot". One number in a type with several nodes would make them one.
  if ((type?.int('id') ?? 0) > 0) type?.note('id', 'numbers of nodes are given by a model itself')
  type?.without('nodes are not of classes', ['classType', 'subClassType', 'isSwappable'])
  type?.without('every node may be restarted, and runs this middleware', [
    'isRestartable',
    'isASPAware',
  ])
  node.source.without('there is no hardware model', ['nodeMoId'])
  node.source.without('nodes do not depend on each other', ['dependencies'])
}

function addGroup(context: Context, sg: SafplusSources['groups'][number]): void {
  const { sources, draft, nameOf } = context
  const { source } = sg
  const name = nameOf('SG', sg.name)
  const type = sources.typeOf(sg)
  if (sg.units.length === 0) {
    source.note(null, 'has no service unit; left out')
    return
  }
  const redundancy = type?.choice('redundancyModel', REDUNDANCY) ?? '2N'
  const group: GroupDraft = {
    ...compact({ redundancy, ...(type && groupKeys(type, redundancy)) }),
    serviceUnits: {},
    serviceInstances: {},
  }
  if (type) noteGroupRest(type)
  draft.text.serviceGroups[name] = group
  draft.from(['serviceGroups', name], source)
  const startMs = type?.ms('restartDuration') ?? 10_000
  draft.text.startupTimeoutMs = Math.max(draft.text.startupTimeoutMs ?? 0, startMs)
  type?.note('restartDuration', 'the start-up wait is one for the cluster: the longest is taken')
  for (const unitName of sg.units) addUnit(context, { sg, group, unitName })
  for (const instance of sg.instances) addInstance(context, { sg, group, instance, redundancy })
}

function groupKeys(type: SourceObject, redundancy: string): Keys {
  const isNPlusM = redundancy === 'N+M'
  const isNWay = redundancy === 'N-way' || redundancy === 'N-way-active'
  const assigned = type.int('numPrefAssignedSUs', { min: 1 })
  const maxActive = type.int('maxActiveSIsPerSU')
  const maxStandby = type.int('maxStandbySIsPerSU')
  const limited = isNPlusM || isNWay
  const failback = type.choice('failbackOption', FLAG)
  return {
    adminState: adminOf(type),
    autoRepair: type.choice('autoRepair', FLAG),
    autoAdjust: type.choice('autoAdjust', FLAG) === true || failback === true,
    autoAdjustProbationMs: type.ms('autoAdjustProbation'),
    preferredActiveSUs: isNPlusM ? (type.int('numPrefActiveSUs', { min: 1 }) ?? 1) : undefined,
    preferredStandbySUs: isNPlusM ? (type.int('numPrefStandbySUs') ?? 1) : undefined,
    preferredInServiceSUs: type.int('numPrefInserviceSUs', { min: 1 }) ?? 2,
    preferredAssignedSUs: isNWay ? assigned : undefined,
    maxActiveSIsPerSU: limited ? Math.max(1, maxActive ?? 1) : undefined,
    maxStandbySIsPerSU:
      isNPlusM || redundancy === 'N-way' ? Math.max(1, maxStandby ?? 1) : undefined,
    componentRestartMax: type.int('compRestartCountMax') ?? 5,
    componentRestartWindowMs: type.ms('compRestartDuration', { min: 1 }) ?? 10_000,
    suRestartMax: type.int('suRestartCountMax') ?? 5,
    suRestartWindowMs: type.ms('suRestartDuration', { min: 1 }) ?? 20_000,
  }
}

/** Numbers that the redundancy model fixes anyway, and ways of placing that there is one of. */
function noteGroupRest(type: SourceObject): void {
  type.skip('numPrefActiveSUs', 'numPrefStandbySUs')
  type.without('has no counterpart: units are chosen by rank and load', [
    'loadingStrategy',
    'reductionProcedure',
    'alphaFactor',
    'betaFactor',
  ])
  type.without('has no counterpart: active and standby are on the nodes of their units', [
    'isCollocationAllowed',
  ])
  type.without('has no counterpart: failovers are counted by node', [
    'maxFailovers',
    'failoverDuration',
  ])
}

function addUnit(
  { sources, draft, nameOf }: Context,
  at: { sg: SafplusSources['groups'][number]; group: GroupDraft; unitName: string },
): void {
  const unit = sources.units.find(({ name }) => name === at.unitName)
  if (!unit) {
    const message = `service unit ${at.unitName} is on no node`
    at.sg.source.error('associatedServiceUnits', message)
    return
  }
  const others = sources.groups.filter((each) => each.units.includes(unit.name))
  if (others.length > 1) {
    unit.source.error(null, `is in ${others.map(({ name }) => name).join(' and ')}; keep one`)
  }
  const type = sources.typeOf(unit)
  const name = nameOf('SU', unit.name)
  const components = sources.components.filter((each) => each.within[0] === unit.name)
  const wanted = type?.int('numComponents')
  if (wanted !== undefined && wanted !== components.length) {
    unit.source.note(null, `has ${String(components.length)} components, not ${String(wanted)}`)
  }
  const draftUnit: UnitDraft = {
    ...compact({
      node: nameOf('node', unit.within[0] ?? ''),
      rank: unit.source.int('rank'),
      adminState: adminOf(type),
    }),
    components: {},
  }
  type?.without('follows from its components', ['isPreinstantiable', 'isRestartable'])
  type?.without('has no counterpart: components are containers, not units', ['isContainerSU'])
  const path = ['serviceGroups', nameOf('SG', at.sg.name), 'serviceUnits', name]
  if (components.length === 0) {
    unit.source.error(null, 'has no component')
    return
  }
  at.group.serviceUnits[name] = draftUnit
  draft.from(path, unit.source)
}

function addInstance(
  { sources, draft, nameOf }: Context,
  at: {
    sg: SafplusSources['groups'][number]
    group: GroupDraft
    instance: SafplusSources['instances'][number]
    redundancy: string
  },
): void {
  const { instance, redundancy } = at
  const { source } = instance
  const type = sources.typeOf(instance)
  const name = nameOf('SI', instance.name)
  const csis = sources.csis.filter((csi) => csi.within[0] === instance.name)
  const wanted = type?.int('numCSIs')
  if (wanted !== undefined && wanted !== csis.length) {
    source.note(null, `has ${String(csis.length)} CSIs, not ${String(wanted)} as its type says`)
  }
  const admin = type?.choice('adminState', ADMIN_STATES) ?? (type ? 'LOCKED' : undefined)
  const standbys = type?.int('numStandbyAssignments')
  const path = ['serviceGroups', nameOf('SG', at.sg.name), 'serviceInstances', name]
  const isRanked = redundancy === 'N-way' || redundancy === 'N-way-active'
  const preferred = instance.preferred.filter((unit) => {
    if (at.sg.units.includes(unit)) return isRanked
    source.error('prefferedServiceUnits', `${unit} is no service unit of ${at.sg.name}`)
    return false
  })
  if (!isRanked && instance.preferred.length > 0) {
    source.note('prefferedServiceUnits', `has no effect in ${redundancy}; use ranks of units`)
  }
  const active = sources.typeOf(at.sg)?.int('numPrefActiveSUsPerSI')
  at.group.serviceInstances[name] = {
    ...compact({
      rank: type?.int('rank'),
      adminState: admin === undefined || admin === 'UNLOCKED' ? admin : 'LOCKED',
      preferredActive: redundancy === 'N-way-active' ? active : undefined,
      preferredStandby: redundancy === 'N-way' ? standbys : undefined,
      rankedSUs: preferred.map((unit) => nameOf('SU', unit)),
      dependsOn: source
        .all('dependencies')
        .filter((other) => sources.exists(source, 'dependencies', ['instances', other]))
        .map((other) => nameOf('SI', other)),
    }),
    csis: Object.fromEntries(
      csis.map((csi) => [nameOf('CSI', csi.name), csiKeys({ sources, draft, nameOf }, csi)]),
    ),
  }
  draft.from(path, source)
  for (const csi of csis) draft.from([...path, 'csis', nameOf('CSI', csi.name)], csi.source)
  type?.without('the order of standbys follows from ranks', ['standbyAssignmentOrder'])
}

function csiKeys({ sources, nameOf }: Context, csi: SafplusSources['csis'][number]): Keys {
  const type = sources.typeOf(csi)
  if ((type?.int('rank') ?? 0) > 0) {
    type?.note('rank', 'the order of CSIs follows from their dependencies')
  }
  const values = new Map<string, string[]>()
  for (const { name, value } of sources.valuesOf(csi)) {
    values.set(name, [...(values.get(name) ?? []), value])
  }
  return compact({
    type: asName(csi.type),
    attributes: Object.fromEntries(
      [...values].map(([name, list]) => [name, list.length === 1 ? list[0] : list]),
    ),
    dependsOn: csi.source
      .all('dependencies')
      .filter((other) => sources.exists(csi.source, 'dependencies', ['csis', other]))
      .map((other) => nameOf('CSI', other)),
  })
}

function addComponents({ sources, draft, nameOf }: Context): void {
  const byType = new Map<string, { name: string; into: Record<string, Keys>; keys: Keys }[]>()
  for (const component of sources.components) {
    const unit = component.within[0] ?? ''
    const sg = sources.groups.find(({ units }) => units.includes(unit))
    const group = sg && draft.text.serviceGroups[nameOf('SG', sg.name)]
    const into = group?.serviceUnits[nameOf('SU', unit)]?.components
    const type = sources.typeOf(component)
    if (!sg || !into || !type) continue
    const name = nameOf('Comp', component.name)
    const path = ['serviceGroups', nameOf('SG', sg.name), 'serviceUnits', nameOf('SU', unit)]
    draft.from([...path, 'components', name], component.source)
    const keys = componentKeys(type, sources.elementOf(component))
    byType.set(component.type, [...(byType.get(component.type) ?? []), { name, into, keys }])
  }
  for (const [typeName, list] of byType) {
    const name = asName(typeName)
    draft.text.componentTypes[name] = shareKeys(list.map(({ keys }) => keys)).type
    for (const component of list) component.into[component.name] = { type: name }
  }
}
