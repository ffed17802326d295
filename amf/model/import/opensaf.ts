import { compact, type Draft, type GroupDraft, type Keys } from './draft.ts'
import {
  collectImmObjects,
  type ClassDefinition,
  type ImmObject,
  type RawObject,
} from './imm-objects.ts'
import { parseImmName } from './imm-name.ts'
import { asName } from './names.ts'
import { either } from './source-object.ts'
import { checkImmTypes, noteUnused } from './opensaf-checks.ts'
import { addComponents } from './opensaf-components.ts'
import { addNodeGroups, addNodes, placementOf } from './opensaf-nodes.ts'
import { ADMIN_STATES, NS_PER_MS, openSafContext, type OpenSafContext } from './opensaf-context.ts'

/** Turns the objects of OpenSAF's information model into a cluster. */
export function importOpenSaf(
  raw: readonly RawObject[],
  classes: readonly ClassDefinition[],
  draft: Draft,
): void {
  const objects = collectImmObjects(raw, classes, draft.findings)
  const context = openSafContext(objects, draft)
  addCluster(context, raw)
  addNodes(context)
  addNodeGroups(context)
  for (const sg of context.groups) addGroup(context, sg)
  addComponents(context)
  checkImmTypes(context)
  noteUnused(context)
}

/** The cluster's name is OpenSAF's, or the name in nodes' names, or the first application's. */
function addCluster({ objects, draft }: OpenSafContext, raw: readonly RawObject[]): void {
  const [cluster, second] = objects.ofClass('SaAmfCluster')
  second?.source.error(null, 'a second cluster; a model is one cluster')
  const inName = /safAmfCluster=([^,\\]+)/
  const mentioned = raw
    .flatMap(({ name, attributes }) => [name, ...attributes.map(({ text }) => text)])
    .map((text) => inName.exec(text)?.[1])
    .find((text) => text !== undefined)
  const application = objects.ofClass('SaAmfApplication')[0]?.name.value
  draft.text.cluster = asName(cluster?.name.value ?? mentioned ?? application ?? 'imported')
  if (!cluster) return
  const { source } = cluster
  const startup = source.ms('saAmfClusterStartupTimeout', { perMs: NS_PER_MS })
  // OpenSAF reads 0 as two seconds.
  if (startup !== undefined) draft.text.startupTimeoutMs = startup === 0 ? 2_000 : startup
  source.without('membership of the cluster is known to nodes themselves', [
    'saAmfClusterClmCluster',
  ])
  const admin = source.choice('saAmfClusterAdminState', ADMIN_STATES)
  if (admin !== undefined) draft.text.adminState = admin
}

const REDUNDANCY = {
  1: '2N',
  2: 'N+M',
  3: 'N-way',
  4: 'N-way-active',
  5: 'no-redundancy',
} as const

function addGroup(context: OpenSafContext, sg: ImmObject): void {
  const { draft, objects } = context
  const { source } = sg
  const name = context.nameOf(sg)
  const type = context.typeOf(sg, 'saAmfSGType', 'SaAmfSGType')
  const redundancy = type?.source.choice('saAmfSgtRedundancyModel', REDUNDANCY)
  if (type && redundancy === undefined) {
    type.source.error('saAmfSgtRedundancyModel', 'has no redundancy model; give 1 to 5')
  }
  const application = objects.get(sg.name.parent, 'SaAmfApplication')
  const keys = {
    redundancy,
    application: application && asName(application.name.value),
    ...placementOf(context, sg, 'saAmfSGSuHostNodeGroup'),
    adminState: source.choice('saAmfSGAdminState', ADMIN_STATES),
    ...recoveryKeys(sg, type),
    ...sizeKeys(sg, redundancy),
  }
  const admin = application?.source.choice('saAmfApplicationAdminState', ADMIN_STATES)
  if (application && admin !== undefined && admin !== 'UNLOCKED') {
    draft.text.applications[asName(application.name.value)] = { adminState: admin }
  }
  const group: GroupDraft = { ...compact(keys), serviceUnits: {}, serviceInstances: {} }
  draft.text.serviceGroups[name] = group
  draft.from(['serviceGroups', name], source)
  for (const unit of context.unitsOf(sg)) {
    const unitName = context.nameOf(unit)
    group.serviceUnits[unitName] = { ...unitKeys(context, unit), components: {} }
    draft.from(['serviceGroups', name, 'serviceUnits', unitName], unit.source)
  }
  for (const instance of context.instancesOf(sg)) addInstance(context, group, instance, redundancy)
}

/** An attribute that the group leaves empty comes from its type. */
function recoveryKeys({ source }: ImmObject, type: ImmObject | undefined): Keys {
  const ms = (own: string, ofType: string, min: number): number | undefined =>
    either(
      source.ms(own, { perMs: NS_PER_MS, min }),
      type?.source.ms(ofType, { perMs: NS_PER_MS, min }),
    )
  const flag = (own: string, ofType: string): boolean | undefined =>
    either(source.flag(own), type?.source.flag(ofType))
  const int = (own: string, ofType: string): number | undefined =>
    either(source.int(own), type?.source.int(ofType))
  return {
    autoRepair: flag('saAmfSGAutoRepair', 'saAmfSgtDefAutoRepair'),
    autoAdjust: flag('saAmfSGAutoAdjust', 'saAmfSgtDefAutoAdjust'),
    autoAdjustProbationMs: ms('saAmfSGAutoAdjustProb', 'saAmfSgtDefAutoAdjustProb', 0),
    componentRestartMax: int('saAmfSGCompRestartMax', 'saAmfSgtDefCompRestartMax'),
    componentRestartWindowMs: ms('saAmfSGCompRestartProb', 'saAmfSgtDefCompRestartProb', 1),
    suRestartMax: int('saAmfSGSuRestartMax', 'saAmfSgtDefSuRestartMax'),
    suRestartWindowMs: ms('saAmfSGSuRestartProb', 'saAmfSgtDefSuRestartProb', 1),
  }
}

/** Numbers that a redundancy model does not use are noted. 0 stands for "not given". */
function sizeKeys({ source }: ImmObject, redundancy: string | undefined): Keys {
  const keys: Keys = {}
  const take = (attribute: string, key: string, models: readonly string[]): void => {
    const value = source.int(attribute)
    if (value === undefined) return
    if (redundancy !== undefined && !models.includes(redundancy)) {
      source.note(attribute, `has no effect in ${redundancy}; left out`)
    } else if (value === 0 && attribute !== 'saAmfSGNumPrefStandbySUs') {
      source.note(attribute, '0 stands for the default')
    } else keys[key] = value
  }
  const all = Object.values(REDUNDANCY)
  take('saAmfSGNumPrefActiveSUs', 'preferredActiveSUs', ['N+M'])
  take('saAmfSGNumPrefStandbySUs', 'preferredStandbySUs', ['N+M'])
  take('saAmfSGNumPrefInserviceSUs', 'preferredInServiceSUs', all)
  take('saAmfSGNumPrefAssignedSUs', 'preferredAssignedSUs', ['N-way', 'N-way-active'])
  take('saAmfSGMaxActiveSIsperSU', 'maxActiveSIsPerSU', ['N+M', 'N-way', 'N-way-active'])
  take('saAmfSGMaxStandbySIsperSU', 'maxStandbySIsPerSU', ['N+M', 'N-way'])
  return keys
}

function unitKeys(context: OpenSafContext, unit: ImmObject): Keys {
  const { source } = unit
  const type = context.typeOf(unit, 'saAmfSUType', 'SaAmfSUType')
  type?.source.skip('saAmfSutIsExternal')
  const campaign = source.text('saAmfSUMaintenanceCampaign')
  return compact({
    ...placementOf(context, unit, 'saAmfSUHostNodeOrNodeGroup'),
    rank: source.int('saAmfSURank'),
    adminState: source.choice('saAmfSUAdminState', ADMIN_STATES),
    failover: either(source.flag('saAmfSUFailover'), type?.source.flag('saAmfSutDefSUFailover')),
    maintenanceCampaign: campaign && asName(parseImmName(campaign)?.value ?? campaign),
  })
}

function addInstance(
  context: OpenSafContext,
  group: GroupDraft,
  si: ImmObject,
  redundancy: string | undefined,
): void {
  const { objects, draft } = context
  const { source } = si
  const path = ['serviceGroups', context.nameOf(context.protectorOf(si)), 'serviceInstances']
  const name = context.nameOf(si)
  const admin = source.choice('saAmfSIAdminState', ADMIN_STATES)
  const preferred = (attribute: string, model: string): number | undefined => {
    const value = source.int(attribute)
    if (value === undefined || redundancy === model) return value
    if (value !== 1) source.note(attribute, `has no effect in ${redundancy ?? 'it'}; left out`)
    return undefined
  }
  const active = preferred('saAmfSIPrefActiveAssignments', 'N-way-active')
  const units = Object.keys(group.serviceUnits).length
  const csis = objects.children(si.name.text, 'SaAmfCSI')
  group.serviceInstances[name] = {
    ...compact({
      rank: source.int('saAmfSIRank'),
      adminState: admin === undefined || admin === 'UNLOCKED' ? admin : 'LOCKED',
      // 0 stands for every unit that may be assigned.
      preferredActive: active === 0 ? units : active,
      preferredStandby: preferred('saAmfSIPrefStandbyAssignments', 'N-way'),
      rankedSUs: rankedUnits(context, si),
      dependsOn: dependenciesOf(context, si),
    }),
    csis: Object.fromEntries(csis.map((csi) => [context.nameOf(csi), csiKeys(context, csi, si)])),
  }
  draft.from([...path, name], source)
  for (const csi of csis) draft.from([...path, name, 'csis', context.nameOf(csi)], csi.source)
  source.without('weights are not used in placement', [
    'saAmfSIActiveWeight',
    'saAmfSIStandbyWeight',
  ])
}

function rankedUnits(context: OpenSafContext, si: ImmObject): readonly string[] {
  return context.objects
    .children(si.name.text, 'SaAmfSIRankedSU')
    .map((ranked) => {
      const rank = ranked.source.int('saAmfRank')
      if (rank === undefined) ranked.source.error('saAmfRank', 'has no rank; give one')
      const unit = context.refer(ranked, null, { name: ranked.name.value, className: 'SaAmfSU' })
      return { unit: unit && context.tryNameOf(unit), rank: rank ?? 0 }
    })
    .sort((a, b) => (a.rank === 0 ? Infinity : a.rank) - (b.rank === 0 ? Infinity : b.rank))
    .flatMap(({ unit }) => (unit === undefined ? [] : [unit]))
}

function dependenciesOf(context: OpenSafContext, si: ImmObject): readonly Keys[] {
  return context.objects.children(si.name.text, 'SaAmfSIDependency').flatMap((dependency) => {
    const { source, name } = dependency
    const toleranceMs = source.ms('saAmfToleranceTime', { perMs: NS_PER_MS })
    const sponsor = context.refer(dependency, null, { name: name.value, className: 'SaAmfSI' })
    const serviceInstance = sponsor && context.tryNameOf(sponsor)
    if (serviceInstance !== undefined) return [compact({ serviceInstance, toleranceMs })]
    if (sponsor) source.note(null, 'its sponsor was left out; so is the dependency')
    return []
  })
}

function csiKeys(context: OpenSafContext, csi: ImmObject, si: ImmObject): Keys {
  const { source, name } = csi
  const type = context.typeOf(csi, 'saAmfCSType', 'SaAmfCSType')
  const attributes = context.objects.children(name.text, 'SaAmfCSIAttribute').map((attribute) => {
    const values = attribute.source.all('saAmfCSIAttriValue')
    return [attribute.name.value, values.length === 1 ? values[0] : values] as const
  })
  const dependsOn = source.all('saAmfCSIDependencies').flatMap((text) => {
    const sponsor = context.refer(csi, 'saAmfCSIDependencies', {
      name: text,
      className: 'SaAmfCSI',
    })
    if (!sponsor) return []
    if (sponsor.name.parent === si.name.text) return [context.nameOf(sponsor)]
    source.error('saAmfCSIDependencies', `${text} belongs to another service instance`)
    return []
  })
  source.without('attributes do not change while assigned', [
    'osafAmfCSICommunicateCsiAttributeChange',
  ])
  return compact({
    type: type && context.csTypeName(type),
    attributes: Object.fromEntries(attributes),
    dependsOn,
  })
}
