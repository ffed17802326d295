import { dirname, isAbsolute, join, resolve } from 'node:path'
import type {
  ApplicationModel,
  ComponentModel,
  CsiModel,
  MediationModel,
  Model,
  NodeModel,
  ServiceGroupModel,
  ServiceInstanceModel,
  ServiceUnitModel,
} from './model.ts'
import type { ParseOptions } from './parse.ts'
import { placeUnits } from './place-units.ts'
import type { Problem } from './problem.ts'
import { resolveRun } from './resolve-run.ts'
import {
  COMPONENT_DEFAULTS,
  type ClusterText,
  type ComponentText,
  type ComponentTypeText,
} from './schema.ts'

interface Built {
  readonly model: Omit<Model, 'warnings'>
  readonly problems: readonly Problem[]
}

type GroupText = ClusterText['serviceGroups'][string]
type UnitText = GroupText['serviceUnits'][string]
type InstanceText = GroupText['serviceInstances'][string]

/** No limit, as a number that compares. */
const UNLIMITED = 1_000_000

/** Turns a checked text into the model: defaults that depend on other values, indexes, absolute paths. */
export function buildModel(text: ClusterText, options: ParseOptions): Built {
  const problems: Problem[] = []
  const groups = new Map<string, ServiceGroupModel>()
  const units = new Map<string, ServiceUnitModel>()
  const components = new Map<string, ComponentModel>()
  const instances = new Map<string, ServiceInstanceModel>()
  const csis = new Map<string, CsiModel>()
  for (const [name, groupText] of Object.entries(text.serviceGroups)) {
    const place = { text, options, problems, group: name }
    const group = buildGroup(name, groupText, place)
    groups.set(name, group)
    for (const unit of group.serviceUnits) {
      units.set(unit.name, unit)
      for (const component of unit.components) components.set(component.name, component)
    }
    for (const instance of group.serviceInstances) {
      instances.set(instance.name, instance)
      for (const csi of instance.csis) csis.set(csi.name, csi)
    }
  }
  const model = {
    cluster: text.cluster,
    adminState: text.adminState,
    startupTimeoutMs: text.startupTimeoutMs,
    timing: text.timing,
    nodes: buildNodes(text),
    nodeGroups: new Map(
      Object.entries(text.nodeGroups).map(([name, nodes]) => [name, { name, nodes }]),
    ),
    applications: buildApplications(text),
    serviceGroups: groups,
    serviceUnits: units,
    components,
    serviceInstances: instances,
    csis,
  }
  return { model, problems }
}

interface Place {
  readonly text: ClusterText
  readonly options: ParseOptions
  readonly problems: Problem[]
  readonly group: string
}

/** Nodes without an `id` get the free numbers in order of appearance. */
function buildNodes(text: ClusterText): Map<string, NodeModel> {
  const taken = new Set(Object.values(text.nodes).map((node) => node.id))
  const nodes = new Map<string, NodeModel>()
  let next = 1
  for (const [name, node] of Object.entries(text.nodes)) {
    let id = node.id
    if (id === undefined) {
      while (taken.has(next)) next += 1
      id = next
      next += 1
    }
    nodes.set(name, { ...node, name, id })
  }
  return nodes
}

/** A service group without an application is of one with the cluster's name. */
function buildApplications(text: ClusterText): Map<string, ApplicationModel> {
  const named = Object.values(text.serviceGroups).map((group) => group.application ?? text.cluster)
  const all = new Set([...Object.keys(text.applications), ...named])
  return new Map(
    [...all].map((name) => {
      const adminState = text.applications[name]?.adminState ?? 'UNLOCKED'
      return [name, { name, adminState }]
    }),
  )
}

function buildGroup(name: string, text: GroupText, place: Place): ServiceGroupModel {
  const nodeOf = placeUnits(place.text, text)
  const units = Object.entries(text.serviceUnits).map(([unit, unitText]) =>
    buildUnit(unit, unitText, { ...place, node: nodeOf.get(unit) ?? '' }),
  )
  const instances = Object.entries(text.serviceInstances).map(([instance, instanceText]) =>
    buildInstance(instance, instanceText, name),
  )
  const inService = text.preferredInServiceSUs ?? Math.max(1, units.length)
  // SAF AMF B.04.01 section 3.2.1.1: a unit that is not pre-instantiable takes one service instance.
  const unlimited = units.every((unit) => unit.preInstantiable) ? UNLIMITED : 1
  return {
    ...text,
    name,
    application: text.application ?? place.text.cluster,
    preferredInServiceSUs: inService,
    preferredAssignedSUs: text.preferredAssignedSUs ?? inService,
    maxActiveSIsPerSU: text.maxActiveSIsPerSU ?? unlimited,
    maxStandbySIsPerSU: text.maxStandbySIsPerSU ?? unlimited,
    serviceUnits: units.sort(byRankThenName),
    serviceInstances: instances.sort(byRankThenName),
  }
}

/** Rank 1 first, 0 last, then the name. Numbers inside names count as numbers (SU2 before SU10). */
export function byRankThenName(
  a: { readonly rank: number; readonly name: string },
  b: { readonly rank: number; readonly name: string },
): number {
  const byRank = (a.rank === 0 ? Infinity : a.rank) - (b.rank === 0 ? Infinity : b.rank)
  if (byRank !== 0 && !Number.isNaN(byRank)) return byRank
  return a.name.localeCompare(b.name, 'en', { numeric: true }) || (a.name < b.name ? -1 : 1)
}

function buildUnit(
  name: string,
  text: UnitText,
  place: Omit<ComponentPlace, 'unit'>,
): ServiceUnitModel {
  const components = Object.entries(text.components).map(([component, componentText]) =>
    buildComponent(component, componentText, { ...place, unit: name }),
  )
  const preInstantiable = components.some((component) => component.preInstantiable)
  return {
    name,
    serviceGroup: place.group,
    node: place.node,
    adminState: text.adminState,
    rank: text.rank ?? 0,
    failover: text.failover || !preInstantiable,
    maintenanceCampaign: text.maintenanceCampaign ?? null,
    preInstantiable,
    components,
  }
}

function buildInstance(name: string, text: InstanceText, group: string): ServiceInstanceModel {
  const csis = Object.entries(text.csis).map(([csi, csiText]): CsiModel => ({
    name: csi,
    serviceInstance: name,
    csType: csiText.type ?? csi,
    logicalName: csiText.name ?? csi,
    attributes: Object.fromEntries(
      Object.entries(csiText.attributes).map(([key, values]) => [key, values.map(String)]),
    ),
    dependsOn: csiText.dependsOn,
  }))
  return {
    name,
    serviceGroup: group,
    adminState: text.adminState,
    rank: text.rank ?? 0,
    preferredActive: text.preferredActive,
    preferredStandby: text.preferredStandby,
    rankedSUs: text.rankedSUs,
    dependsOn: text.dependsOn,
    csis,
  }
}

interface ComponentPlace extends Place {
  readonly unit: string
  readonly node: string
}

function buildComponent(name: string, own: ComponentText, place: ComponentPlace): ComponentModel {
  const typeText = own.type === undefined ? {} : (place.text.componentTypes[own.type] ?? {})
  const said = mergeKeys(typeText, own)
  const merged = { ...COMPONENT_DEFAULTS, ...said }
  const directory = dirname(place.options.path)
  const workingDir = resolve(directory, merged.workingDir ?? '.')
  const healthCheck = healthCheckOf(merged.healthCheck ?? null, directory)
  const hungMs = said.hungMs ?? healthCheck?.timeoutMs ?? COMPONENT_DEFAULTS.hungMs
  const csTypes = Object.entries(merged.csTypes ?? {}).map(([csType, limits]) => ({
    csType,
    ...limits,
  }))
  const instantiate = merged.instantiate && commandOf(merged.instantiate, directory)
  return {
    name,
    type: own.type ?? name,
    serviceUnit: place.unit,
    serviceGroup: place.group,
    node: place.node,
    category: merged.category,
    mediation: mediationOf(merged),
    preInstantiable: merged.category !== 'nonSaAware' && merged.proxied?.preInstantiable !== false,
    instantiate: instantiate ?? {
      argv: programOf(name, merged, place),
      timeoutMs: merged.instantiateTimeoutMs,
    },
    foreground: !instantiate,
    pidFile: merged.pidFile === undefined ? null : resolve(workingDir, merged.pidFile),
    terminate: commandOf(merged.terminate, directory),
    cleanup: commandOf(merged.cleanup, directory),
    amStart: commandOf(merged.amStart, directory),
    amStop: commandOf(merged.amStop, directory),
    amStartAttemptsMax: merged.amStartAttemptsMax,
    amStopAttemptsMax: merged.amStopAttemptsMax,
    workingDir,
    env: Object.fromEntries(
      Object.entries({ ...typeText.env, ...own.env }).map(([key, value]) => [key, String(value)]),
    ),
    instantiationLevel: merged.instantiationLevel,
    instantiateAttemptsMax: merged.instantiateAttemptsMax,
    instantiateWithoutDelayMax: merged.instantiateWithoutDelayMax,
    instantiateDelayMs: merged.instantiateDelayMs,
    terminateTimeoutMs: merged.terminateTimeoutMs,
    csiSetTimeoutMs: merged.csiSetTimeoutMs,
    csiRemoveTimeoutMs: merged.csiRemoveTimeoutMs,
    quiescingTimeoutMs: merged.quiescingTimeoutMs,
    healthCheck,
    healthChecks: new Map(Object.entries(merged.healthChecks ?? {})),
    hungMs,
    busyMs: said.busyMs ?? Math.min(COMPONENT_DEFAULTS.busyMs, Math.floor(hungMs / 2)),
    busyHoldMs: merged.busyHoldMs,
    recovery: merged.recovery,
    disableRestart: merged.disableRestart,
    csTypes,
  }
}

/** Keys that are said: never present with the value undefined. */
type Said = { [K in keyof ComponentText]?: Exclude<ComponentText[K], undefined> }

/** A component's own keys win over its type's. `run`, `command` and `instantiate` replace each other. */
function mergeKeys(type: ComponentTypeText, own: ComponentText): Said {
  const merged = new Map<string, unknown>(Object.entries(type))
  const starts = ['run', 'command', 'instantiate'] as const
  if (starts.some((key) => own[key] !== undefined)) for (const key of starts) merged.delete(key)
  for (const [key, value] of Object.entries(own)) merged.set(key, value)
  return Object.fromEntries([...merged].filter(([, value]) => value !== undefined))
}

/** SAF AMF B.04.01: the proxy CSI and the container CSI of a component. */
function mediationOf({ category, proxied, contained }: Said): MediationModel | null {
  if (category === 'proxied' && proxied) return { kind: 'proxied', csi: proxied.csi }
  return category === 'contained' && contained ? { kind: 'contained', csi: contained.csi } : null
}

function healthCheckOf(
  said: NonNullable<Said['healthCheck']> | null,
  directory: string,
): ComponentModel['healthCheck'] {
  if (said === null) return null
  const { command, periodMs, timeoutMs } = said
  return { command: command ? absoluteProgram(command, directory) : null, periodMs, timeoutMs }
}

function programOf(
  name: string,
  merged: { readonly run?: string | undefined; readonly command?: string[] | undefined },
  place: ComponentPlace,
): readonly string[] {
  const { options } = place
  if (merged.command) return absoluteProgram(merged.command, dirname(options.path))
  if (merged.run === undefined) return []
  const found = resolveRun(merged.run, options)
  if (found.kind === 'found') return [options.nodePath, options.cliPath, 'component', found.path]
  place.problems.push({
    path: ['serviceGroups', place.group, 'serviceUnits', place.unit, 'components', name],
    message: `module "${merged.run}" not found: looked for ${found.tried.join(' and ')}; build it or correct "run"`,
  })
  return []
}

function commandOf(
  command: { readonly command: string[]; readonly timeoutMs: number } | undefined,
  directory: string,
): { argv: readonly string[]; timeoutMs: number } | null {
  if (!command) return null
  return { argv: absoluteProgram(command.command, directory), timeoutMs: command.timeoutMs }
}

/** `./program` and `dir/program` are relative to the model; a bare word is looked up in PATH by the launcher. */
function absoluteProgram(command: readonly string[], directory: string): readonly string[] {
  const [program = '', ...rest] = command
  const relative = program.includes('/') && !isAbsolute(program)
  return [relative ? join(directory, program) : program, ...rest]
}
