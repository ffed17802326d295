import { placeUnits } from './place-units.ts'
import type { Problem } from './problem.ts'
import type { ClusterText, ComponentText } from './schema.ts'
import { suggestion } from './suggest.ts'

/** What each category of components needs and cannot have. SAF AMF B.04.01 sections 3.5 and 5. */

type GroupText = ClusterText['serviceGroups'][string]
type Key = keyof ComponentText
type Category = NonNullable<ComponentText['category']>
type Path = readonly string[]

interface Findings {
  readonly problems: Problem[]
  readonly warnings: Problem[]
}

export function checkCategories(text: ClusterText, findings: Findings): void {
  const { problems } = findings
  for (const [groupName, group] of Object.entries(text.serviceGroups)) {
    const npiUnits: string[] = []
    const nodes = placeUnits(text, group)
    for (const [unitName, unit] of Object.entries(group.serviceUnits)) {
      const path = ['serviceGroups', groupName, 'serviceUnits', unitName]
      const components = Object.entries(unit.components)
      let npiCount = 0
      for (const [name, own] of components) {
        const merged = mergedOf(text, own)
        if (merged === null) continue
        const place = {
          path: [...path, 'components', name],
          groupName,
          node: nodes.get(unitName) ?? null,
        }
        checkKeys(merged, place.path, findings)
        checkMediator(text, merged, place, problems)
        if (isNpi(merged)) npiCount += 1
      }
      if (unit.node === undefined && (unit.nodeGroup ?? group.nodeGroup) === undefined) {
        checkExternal(text, unit, path, problems)
      }
      if (npiCount === components.length && npiCount > 0) npiUnits.push(unitName)
      if (npiCount > 0 && group.redundancy === 'N-way') {
        const message =
          'N-way needs components that may be ACTIVE and STANDBY at once; a non-pre-instantiable one cannot'
        problems.push({ path, message })
      }
    }
    checkNpiGroup(groupName, group, npiUnits, problems)
  }
}

/** Service instances that have to be served before components of the group can run: those of the mediation CSIs. */
export function mediatorsOf(text: ClusterText, group: GroupText): readonly string[] {
  const csis = new Set<string>()
  for (const unit of Object.values(group.serviceUnits)) {
    for (const own of Object.values(unit.components)) {
      const merged = mergedOf(text, own)
      const csi = merged && mediationCsi(merged)
      if (csi != null) csis.add(csi)
    }
  }
  const found = [...csis].map((csi) => placeOfCsi(text, csi)?.instance)
  return found.filter((name) => name !== undefined)
}

/** What a component and its type say together; null when the type is unknown, which is reported elsewhere. */
function mergedOf(text: ClusterText, own: ComponentText): Partial<ComponentText> | null {
  const type = own.type === undefined ? {} : text.componentTypes[own.type]
  if (type === undefined) return null
  const starts: readonly Key[] = ['run', 'command', 'instantiate']
  const replaces = starts.some((key) => own[key] !== undefined)
  const kept = Object.entries(type).filter(([key]) => !replaces || !starts.includes(key as Key))
  const said = Object.entries(own).filter(([, value]) => value !== undefined)
  return Object.fromEntries([...kept, ...said])
}

function isNpi({ category, proxied }: Partial<ComponentText>): boolean {
  return category === 'nonSaAware' || (category === 'proxied' && proxied?.preInstantiable === false)
}

function mediationCsi({ category, proxied, contained }: Partial<ComponentText>): string | null {
  if (category === 'proxied') return proxied?.csi ?? null
  return category === 'contained' ? (contained?.csi ?? null) : null
}

/** Keys that only some categories may have. */
const ONLY: Readonly<Partial<Record<Key, readonly Category[]>>> = {
  run: ['saAware', 'container'],
  command: ['saAware', 'container', 'nonSaAware'],
  instantiate: ['nonSaAware'],
  pidFile: ['nonSaAware'],
  terminate: ['nonSaAware'],
  cleanup: ['saAware', 'container', 'nonSaAware'],
  amStart: ['saAware', 'container', 'nonSaAware'],
  amStop: ['saAware', 'container', 'nonSaAware'],
  proxied: ['proxied'],
  contained: ['contained'],
}

function checkKeys(
  merged: Partial<ComponentText>,
  path: Path,
  { problems, warnings }: Findings,
): void {
  const category = merged.category ?? 'saAware'
  const has = (key: Key): boolean => merged[key] !== undefined
  const report = (message: string, key?: Key): void => {
    problems.push({ path: key === undefined ? path : [...path, key], message })
  }
  for (const [key, categories] of Object.entries(ONLY)) {
    if (!has(key as Key) || categories.includes(category)) continue
    report(
      `is for category ${categories.join(', ')}, this is ${category}; remove it or change the category`,
      key as Key,
    )
  }
  const starts = (['run', 'command', 'instantiate'] as const).filter(has)
  if (category === 'proxied' || category === 'contained') {
    if (!has(category)) {
      const who = category === 'proxied' ? 'proxy' : 'container'
      report(`needs "${category}: { csi: NAME }": the CSI whose active component is its ${who}`)
    }
    if (merged.healthCheck?.command) {
      report('is by callback for a component without a process', 'healthCheck')
    }
    return
  }
  if (starts.length === 0) {
    report(
      category === 'nonSaAware'
        ? 'nothing to start; give "command: [program, arg]", or "instantiate" for a command that returns'
        : 'nothing to start; give "run: ./module.js" or "command: [program, arg]"',
    )
  }
  if (category !== 'nonSaAware') return
  if (merged.healthCheck && !merged.healthCheck.command) {
    report('a program without callbacks needs a command here', 'healthCheck')
  }
  if (!has('instantiate')) {
    if (has('pidFile')) report('goes with "instantiate"; a command is watched itself', 'pidFile')
    return
  }
  for (const key of ['terminate', 'cleanup'] as const) {
    if (!has(key)) report(`"instantiate" leaves a program behind: give a "${key}" command as well`)
  }
  if (!has('pidFile') && !merged.healthCheck?.command && !has('amStart')) {
    const message =
      'nobody sees its end: give "pidFile", "healthCheck" with a command, or "amStart"'
    warnings.push({ path, message })
  }
}

interface Place {
  readonly path: Path
  readonly groupName: string
  /** Null on an external unit. */
  readonly node: string | null
}

/** The mediation CSI exists, elsewhere, and whoever may carry it can act for others. */
function checkMediator(
  text: ClusterText,
  merged: Partial<ComponentText>,
  { path, groupName, node }: Place,
  problems: Problem[],
): void {
  const name = mediationCsi(merged)
  const kind = merged.category
  if (name === null || (kind !== 'proxied' && kind !== 'contained')) return
  const report = (message: string): void => {
    problems.push({ path: [...path, kind, 'csi'], message })
  }
  const place = placeOfCsi(text, name)
  if (place === undefined) {
    report(`unknown CSI "${name}"${suggestion(name, allCsis(text))}`)
    return
  }
  if (place.groupName === groupName) {
    report(`"${name}" is protected by ${groupName} itself; give one of another service group`)
    return
  }
  const allowed = kind === 'proxied' ? ['saAware', 'container'] : ['container']
  for (const unit of Object.values(place.group.serviceUnits)) {
    for (const [component, own] of Object.entries(unit.components)) {
      const carrier = mergedOf(text, own)
      if (carrier === null || !mayCarry(carrier, place.csType)) continue
      const category = carrier.category ?? 'saAware'
      if (!allowed.includes(category)) {
        report(
          `${component} may get "${name}" and is ${category}; it has to be ${allowed[0] ?? ''}`,
        )
      }
    }
  }
  if (kind !== 'contained') return
  const nodes = [...placeUnits(text, place.group).values()]
  if (node !== null && !nodes.includes(node)) {
    report(`no container of ${place.groupName} is on node ${node}: add a service unit there`)
  }
}

function mayCarry({ csTypes }: Partial<ComponentText>, csType: string): boolean {
  return csTypes === undefined || Object.keys(csTypes).length === 0 || csType in csTypes
}

interface CsiPlace {
  readonly groupName: string
  readonly group: GroupText
  readonly instance: string
  readonly csType: string
}

function placeOfCsi(text: ClusterText, name: string): CsiPlace | undefined {
  for (const [groupName, group] of Object.entries(text.serviceGroups)) {
    for (const [instance, { csis }] of Object.entries(group.serviceInstances)) {
      const csi = csis[name]
      if (csi) return { groupName, group, instance, csType: csi.type ?? name }
    }
  }
  return undefined
}

function allCsis(text: ClusterText): string[] {
  const groups = Object.values(text.serviceGroups)
  const instances = groups.flatMap((group) => Object.values(group.serviceInstances))
  return instances.flatMap(({ csis }) => Object.keys(csis))
}

/** Only what a proxy drives can be on no node. */
function checkExternal(
  text: ClusterText,
  unit: GroupText['serviceUnits'][string],
  path: Path,
  problems: Problem[],
): void {
  const all = Object.values(unit.components).map((own) => mergedOf(text, own)?.category)
  if (all.length > 0 && all.every((category) => category === 'proxied')) return
  const message =
    'missing; name a node, or a nodeGroup here or for the service group (only a unit of proxied components may be on no node)'
  problems.push({ path: [...path, 'node'], message })
}

/** SAF AMF B.04.01 section 3.2.1.1: such a unit takes one service instance. */
function checkNpiGroup(
  name: string,
  group: GroupText,
  npiUnits: readonly string[],
  problems: Problem[],
): void {
  const [unit] = npiUnits
  if (unit === undefined) return
  const base = ['serviceGroups', name]
  const instances = Object.keys(group.serviceInstances)
  if (group.redundancy === '2N' && instances.length > 1) {
    const message = `2N gives every service instance to one unit, and ${unit}, which is not pre-instantiable, takes one only; use N+M or more groups`
    problems.push({ path: [...base, 'serviceInstances'], message })
  }
  for (const key of ['maxActiveSIsPerSU', 'maxStandbySIsPerSU'] as const) {
    if ((group[key] ?? 1) === 1) continue
    const message = `${unit} is not pre-instantiable and takes one service instance; leave it out`
    problems.push({ path: [...base, key], message })
  }
}
