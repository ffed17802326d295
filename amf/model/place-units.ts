import type { ClusterText } from './schema.ts'

type GroupText = ClusterText['serviceGroups'][string]

/**
 * The node of each service unit of a group. Its own `node`; else, of its node group or the service group's, the first
 * node by name that hosts no unit of this service group yet, else the first. SAF AMF B.04.01 section 3.1.4 leaves the
 * choice open; this is OpenSAF's. A unit that names nothing that exists is left out.
 */
export function placeUnits(text: ClusterText, group: GroupText): ReadonlyMap<string, string> {
  const units = Object.entries(group.serviceUnits)
  const places = new Map<string, string>()
  for (const [name, { node }] of units) if (node !== undefined) places.set(name, node)
  for (const [name, unit] of units) {
    if (places.has(name)) continue
    const chosen = unit.nodeGroup ?? group.nodeGroup ?? ''
    const nodes = [...(text.nodeGroups[chosen] ?? [])].sort((a, b) =>
      a.localeCompare(b, 'en', { numeric: true }),
    )
    const used = new Set(places.values())
    const node = nodes.find((each) => !used.has(each)) ?? nodes[0]
    if (node !== undefined) places.set(name, node)
  }
  return places
}
