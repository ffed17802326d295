import { reportCycles } from './circles.ts'
import { placeUnits } from './place-units.ts'
import type { Problem } from './problem.ts'
import type { ClusterText } from './schema.ts'
import { suggestion } from './suggest.ts'
import { checkCategories, mediatorsOf } from './validate-categories.ts'

type GroupText = ClusterText['serviceGroups'][string]

interface Findings {
  readonly problems: Problem[]
  readonly warnings: Problem[]
}

/** Checks what holds between entities: names, references, cycles, redundancy rules, time-outs. Finds everything. */
export function validate(text: ClusterText): Findings {
  const findings: Findings = { problems: [], warnings: [] }
  checkNames(text, findings)
  checkNodes(text, findings)
  checkNodeGroups(text, findings)
  checkTypes(text, findings)
  for (const [name, group] of Object.entries(text.serviceGroups)) {
    checkReferences(text, name, group, findings)
    checkRedundancy(text, name, findings)
    checkCsiDependencies(name, group, findings)
  }
  checkCategories(text, findings)
  checkInstanceDependencies(text, findings)
  checkTiming(text, findings)
  return findings
}

/** Operators name entities without their class: one name means one thing in the whole model. */
function checkNames(text: ClusterText, { problems, warnings }: Findings): void {
  const seen = new Map<string, string>()
  const logical = new Map<string, string>([['amf', 'the director']])
  const take = (name: string, what: string, path: readonly string[]): void => {
    const other = seen.get(name)
    if (other === undefined) seen.set(name, what)
    else problems.push({ path, message: `the name "${name}" is taken by ${other}; choose another` })
  }
  for (const node of Object.keys(text.nodes)) take(node, `node ${node}`, ['nodes', node])
  for (const name of Object.keys(text.nodeGroups)) {
    take(name, `node group ${name}`, ['nodeGroups', name])
  }
  for (const [groupName, group] of Object.entries(text.serviceGroups)) {
    const base = ['serviceGroups', groupName]
    take(groupName, `service group ${groupName}`, base)
    for (const [unit, { components }] of Object.entries(group.serviceUnits)) {
      const path = [...base, 'serviceUnits', unit]
      take(unit, `service unit ${unit}`, path)
      for (const component of Object.keys(components)) {
        take(component, `component ${component} of ${unit}`, [...path, 'components', component])
      }
    }
    for (const [instance, { csis }] of Object.entries(group.serviceInstances)) {
      const path = [...base, 'serviceInstances', instance]
      take(instance, `service instance ${instance}`, path)
      for (const [csi, { name = csi }] of Object.entries(csis)) {
        take(csi, `CSI ${csi} of ${instance}`, [...path, 'csis', csi])
        const other = logical.get(name)
        if (other === undefined) logical.set(name, `CSI ${csi}`)
        else {
          const message = `the logical name "@${name}" is taken by ${other}; choose another`
          problems.push({ path: [...path, 'csis', csi, 'name'], message })
        }
      }
    }
  }
  checkUpperNames(text, seen, warnings)
}

/** Cluster and applications may share a name with something else; operators cannot mean them by it then. */
function checkUpperNames(
  text: ClusterText,
  seen: ReadonlyMap<string, string>,
  warnings: Problem[],
): void {
  const hidden = (name: string, what: string): string =>
    `operators mean ${seen.get(name) ?? ''} by "${name}", not the ${what}; rename one of them`
  if (seen.has(text.cluster)) {
    warnings.push({ path: ['cluster'], message: hidden(text.cluster, 'cluster') })
  }
  const used = new Set(Object.values(text.serviceGroups).map((group) => group.application))
  for (const [name, group] of Object.entries(text.serviceGroups)) {
    const path = ['serviceGroups', name, 'application']
    const { application } = group
    if (application !== undefined && seen.has(application)) {
      warnings.push({ path, message: hidden(application, 'application') })
    }
  }
  for (const name of Object.keys(text.applications)) {
    if (used.has(name) || name === text.cluster) continue
    const message = 'no service group names it; give one "application" or remove it'
    warnings.push({ path: ['applications', name], message })
  }
}

function checkNodes(text: ClusterText, { problems }: Findings): void {
  const ids = new Map<number, string>()
  if (Object.keys(text.nodes).length === 0) {
    problems.push({ path: ['nodes'], message: 'no node; add at least one' })
  }
  for (const [name, { id }] of Object.entries(text.nodes)) {
    if (id === undefined) continue
    const other = ids.get(id)
    if (other === undefined) ids.set(id, name)
    else
      problems.push({
        path: ['nodes', name, 'id'],
        message: `${String(id)} is the id of ${other} too`,
      })
  }
}

/** Every component has a type that exists; what its category asks for is checked apart. */
function checkTypes(text: ClusterText, { problems, warnings }: Findings): void {
  const used = new Set<string>()
  for (const [groupName, group] of Object.entries(text.serviceGroups)) {
    for (const [unit, { components }] of Object.entries(group.serviceUnits)) {
      for (const [name, own] of Object.entries(components)) {
        const path = ['serviceGroups', groupName, 'serviceUnits', unit, 'components', name]
        const type = own.type === undefined ? undefined : text.componentTypes[own.type]
        if (own.type !== undefined) used.add(own.type)
        if (own.type !== undefined && type === undefined) {
          const near = suggestion(own.type, Object.keys(text.componentTypes))
          problems.push({
            path,
            message: `unknown component type "${own.type}"${near}; define it in componentTypes`,
          })
        } else checkOneStart(own, path, problems)
      }
    }
  }
  for (const [name, type] of Object.entries(text.componentTypes)) {
    if (!used.has(name)) {
      warnings.push({
        path: ['componentTypes', name],
        message: 'no component has this type; remove it',
      })
    }
    checkOneStart(type, ['componentTypes', name], problems)
  }
}

function checkOneStart(
  said: { readonly run?: unknown; readonly command?: unknown; readonly instantiate?: unknown },
  path: readonly string[],
  problems: Problem[],
): void {
  const keys = (['run', 'command', 'instantiate'] as const).filter((key) => said[key] !== undefined)
  if (keys.length < 2) return
  problems.push({ path, message: `has both ${keys.join(' and ')}; keep one` })
}

function checkReferences(
  text: ClusterText,
  name: string,
  group: GroupText,
  { problems }: Findings,
): void {
  const base = ['serviceGroups', name]
  checkNodeGroup(text, group.nodeGroup, base, problems)
  for (const [unit, { node, nodeGroup, components }] of Object.entries(group.serviceUnits)) {
    const path = [...base, 'serviceUnits', unit]
    checkNodeGroup(text, nodeGroup, path, problems)
    if (node !== undefined) checkNode(text, node, [...path, 'node'], problems)
    if (node !== undefined && nodeGroup !== undefined) {
      problems.push({ path, message: 'has both node and nodeGroup; keep one' })
    }
    if (Object.keys(components).length === 0) {
      problems.push({ path: [...path, 'components'], message: 'no component; add at least one' })
    }
  }
  for (const [instance, { rankedSUs, csis }] of Object.entries(group.serviceInstances)) {
    const path = [...base, 'serviceInstances', instance]
    for (const [index, unit] of rankedSUs.entries()) {
      if (unit in group.serviceUnits) continue
      const near = suggestion(unit, Object.keys(group.serviceUnits))
      const message = `unknown service unit "${unit}" of ${name}${near}`
      problems.push({ path: [...path, 'rankedSUs', index], message })
    }
    if (Object.keys(csis).length === 0) {
      problems.push({ path: [...path, 'csis'], message: 'no CSI; add at least one' })
    }
  }
}

function checkNode(
  text: ClusterText,
  node: string,
  path: readonly PropertyKey[],
  problems: Problem[],
): void {
  if (node in text.nodes) return
  const near = suggestion(node, Object.keys(text.nodes))
  problems.push({ path, message: `unknown node "${node}"${near}; add it to nodes` })
}

function checkNodeGroup(
  text: ClusterText,
  name: string | undefined,
  base: readonly string[],
  problems: Problem[],
): void {
  if (name === undefined || name in text.nodeGroups) return
  const near = suggestion(name, Object.keys(text.nodeGroups))
  const message = `unknown node group "${name}"${near}; add it to nodeGroups`
  problems.push({ path: [...base, 'nodeGroup'], message })
}

function checkNodeGroups(text: ClusterText, { problems }: Findings): void {
  for (const [name, nodes] of Object.entries(text.nodeGroups)) {
    for (const [index, node] of nodes.entries()) {
      checkNode(text, node, ['nodeGroups', name, index], problems)
    }
  }
}

/** SAF AMF B.04.01 section 3.6; SAFplus model validation. */
function checkRedundancy(text: ClusterText, name: string, { problems, warnings }: Findings): void {
  const group = text.serviceGroups[name]
  if (!group) return
  const base = ['serviceGroups', name]
  const units = Object.keys(group.serviceUnits).length
  const wanted = group.preferredInServiceSUs ?? units
  if (units === 0)
    problems.push({ path: [...base, 'serviceUnits'], message: 'no service unit; add at least one' })
  if (Object.keys(group.serviceInstances).length === 0) {
    warnings.push({ path: base, message: 'protects no service instance; nothing is ever assigned' })
  }
  if (group.redundancy === '2N' && units === 1) {
    const message = '2N with one service unit has no standby; add a second one on another node'
    warnings.push({ path: [...base, 'serviceUnits'], message })
  }
  const needed = { '2N': 2, 'N+M': group.preferredActiveSUs + group.preferredStandbySUs }
  const least =
    group.redundancy === '2N' || group.redundancy === 'N+M' ? needed[group.redundancy] : 1
  if (units >= least && wanted < least) {
    const message = `${group.redundancy} needs ${String(least)} service units in service; raise it or leave it out`
    problems.push({ path: [...base, 'preferredInServiceSUs'], message })
  }
  if (group.redundancy === '2N' || group.redundancy === 'N+M') {
    checkSpread(name, [...placeUnits(text, group).values()], warnings)
  }
  const ranked = group.redundancy === 'N-way' || group.redundancy === 'N-way-active'
  for (const [instance, { rankedSUs }] of Object.entries(group.serviceInstances)) {
    if (rankedSUs.length > 0 && !ranked) {
      const message = `rankedSUs has no effect in ${group.redundancy}; use the rank of service units`
      warnings.push({ path: [...base, 'serviceInstances', instance, 'rankedSUs'], message })
    }
  }
}

function checkSpread(name: string, nodes: readonly string[], warnings: Problem[]): void {
  if (nodes.length > 1 && new Set(nodes).size === 1) {
    const message = `every service unit is on node ${nodes[0] ?? ''}: its failure takes all of them; use two nodes`
    warnings.push({ path: ['serviceGroups', name, 'serviceUnits'], message })
  }
}

function checkCsiDependencies(name: string, group: GroupText, { problems }: Findings): void {
  for (const [instance, { csis }] of Object.entries(group.serviceInstances)) {
    const base = ['serviceGroups', name, 'serviceInstances', instance, 'csis']
    const edges = new Map<string, readonly string[]>()
    for (const [csi, { dependsOn }] of Object.entries(csis)) {
      edges.set(csi, dependsOn)
      for (const [index, sponsor] of dependsOn.entries()) {
        if (sponsor in csis) continue
        const near = suggestion(sponsor, Object.keys(csis))
        const message = `unknown CSI "${sponsor}" of ${instance}${near}`
        problems.push({ path: [...base, csi, 'dependsOn', index], message })
      }
    }
    reportCycles(edges, (csi) => [...base, csi, 'dependsOn'], problems)
  }
}

function checkInstanceDependencies(text: ClusterText, { problems }: Findings): void {
  const edges = new Map<string, readonly string[]>()
  const paths = new Map<string, readonly string[]>()
  for (const [groupName, group] of Object.entries(text.serviceGroups)) {
    for (const [instance, { dependsOn }] of Object.entries(group.serviceInstances)) {
      edges.set(instance, [
        ...dependsOn.map((dependency) => dependency.serviceInstance),
        ...mediatorsOf(text, group),
      ])
      paths.set(instance, ['serviceGroups', groupName, 'serviceInstances', instance, 'dependsOn'])
    }
  }
  for (const [instance, sponsors] of edges) {
    for (const [index, sponsor] of sponsors.entries()) {
      if (edges.has(sponsor)) continue
      const message = `unknown service instance "${sponsor}"${suggestion(sponsor, edges.keys())}`
      problems.push({ path: [...(paths.get(instance) ?? []), index], message })
    }
  }
  reportCycles(edges, (instance) => paths.get(instance) ?? [], problems)
}

/** Times that work against each other. Allowed, but worth a word. */
function checkTiming(text: ClusterText, { warnings }: Findings): void {
  const { beatMs, nodeSilenceMs, replicaTimeoutMs } = text.timing
  if (nodeSilenceMs < 5 * beatMs) {
    const message = `${String(nodeSilenceMs)} ms is less than five beats of ${String(beatMs)} ms: a busy machine loses nodes; raise it`
    warnings.push({ path: ['timing', 'nodeSilenceMs'], message })
  }
  if (replicaTimeoutMs > nodeSilenceMs) {
    const message =
      'longer than nodeSilenceMs: writes wait for a replica that is already given up; lower it'
    warnings.push({ path: ['timing', 'replicaTimeoutMs'], message })
  }
  for (const [name, type] of Object.entries(text.componentTypes)) {
    const base = ['componentTypes', name]
    const check = type.healthCheck
    const hungMs = type.hungMs ?? check?.timeoutMs
    if (hungMs !== undefined && hungMs < 5 * beatMs) {
      const message = `${String(hungMs)} ms is less than five beats of ${String(beatMs)} ms: busy would look like hung; raise it`
      warnings.push({
        path:
          type.hungMs === undefined ? [...base, 'healthCheck', 'timeoutMs'] : [...base, 'hungMs'],
        message,
      })
    }
    if (hungMs !== undefined && type.busyMs !== undefined && type.busyMs >= hungMs) {
      warnings.push({
        path: [...base, 'busyMs'],
        message: `not below ${String(hungMs)} ms (hung): the busy alarm never comes first; lower it`,
      })
    }
  }
}
