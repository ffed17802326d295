import { hasOpenerReplicas } from './attributes.ts'
import type { DirectoryEntry } from './operations.ts'

/** Replicas of a checkpoint whose openers do not ask for more. SAFplus, section 14.3. */
const REPLICA_COUNT = 2

/** What placement looks at. */
export interface PlacementView {
  /** Nodes that are there, the oldest first. */
  readonly nodes: readonly number[]
  /** Replicas that a node holds of all checkpoints. */
  readonly load: (node: number) => number
}

/**
 * Who has the active replica: whoever has it, as long as its node is there; else the first of those in sync.
 * null: nobody that may have it is there.
 */
export function placeActive(
  entry: DirectoryEntry,
  { nodes }: Pick<PlacementView, 'nodes'>,
): number | null {
  const { active, inSync } = entry
  if (active !== null && nodes.includes(active)) return active
  if (inSync === null) {
    // Nothing was acknowledged: whoever was to have a replica begins.
    const known = entry.replicas.find((node) => nodes.includes(node))
    return known ?? nodes[0] ?? null
  }
  return nodes.find((node) => inSync.includes(node)) ?? null
}

/** Nodes that are to hold replicas, the active one first. Those that hold one keep it while it counts. */
export function placeReplicas(
  entry: DirectoryEntry,
  { nodes, load }: PlacementView,
): readonly number[] {
  const wanted = new Set<number>()
  const add = (node: number): void => {
    if (nodes.includes(node)) wanted.add(node)
  }
  if (entry.active !== null) add(entry.active)
  if (hasOpenerReplicas(entry.attributes)) {
    for (const { opener } of entry.openers) add(opener.node)
  }
  const held = entry.replicas.filter((node) => nodes.includes(node))
  const free = nodes
    .filter((node) => !entry.replicas.includes(node))
    .toSorted((a, b) => load(a) - load(b))
  for (const node of [...held, ...free]) if (wanted.size < REPLICA_COUNT) add(node)
  // Nobody is let go before enough of the others have everything.
  const isInSync = (node: number): boolean => entry.inSync?.includes(node) === true
  for (const node of held) {
    if ([...wanted].filter(isInSync).length < REPLICA_COUNT && isInSync(node)) add(node)
  }
  return [...wanted]
}
