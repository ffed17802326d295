import { stateOf, type AdminOperation } from '../engine/engine.ts'
import type { Model } from '../model/model.ts'
import type { ActionKind } from './action.ts'
import type { Durations } from './durations.ts'
import { performAction } from './perform-action.ts'
import { RandomSource } from './random-source.ts'
import { assignmentsOf, settledCluster, type Assignment } from './scenario.ts'
import type { Service } from './service-meter.ts'
import type { VirtualCluster } from './virtual-cluster.ts'

export interface RandomResult {
  readonly seed: number
  readonly actions: number
  readonly endMs: number
  /** How often each kind of action was done. */
  readonly counts: Readonly<Record<string, number>>
  /** Invariants that did not hold, checked after every step. Empty in a sound engine. */
  readonly violations: readonly string[]
  /** Service instances that are assigned worse at the end than before the first fault. Empty: the cluster converged. */
  readonly notConverged: readonly {
    readonly serviceInstance: string
    readonly before: string
    readonly after: string
    readonly waitingFor: string | null
  }[]
  readonly services: readonly Service[]
  readonly assignments: readonly Assignment[]
}

/** Longest time between two actions: shorter than a launch often enough, so that faults meet each other. */
const GAP_MS_MAX = 1_000
/** Time in which everything has to be assigned again once faults have stopped. */
const CONVERGE_MS = 1_800_000

/**
 * Does `count` actions by chance, at times by chance, and checks the engine's invariants after every step. Then it
 * stops, brings back every node, unlocks and repairs what was not so before, and judges whether everything that was
 * assigned is assigned again.
 */
export function runRandomFaults(
  model: Model,
  options: { readonly durations: Durations; readonly count: number; readonly seed: number },
): RandomResult {
  const random = new RandomSource(options.seed)
  const settled = settledCluster(model, { durations: options.durations, checks: true })
  const before = assignmentsOf(settled)
  const cluster = settled.copy({ onHappening: () => undefined })
  const choices = choicesOf(model)
  const counts: Record<string, number> = {}
  for (let done = 0; done < options.count && cluster.violations.length === 0; done += 1) {
    cluster.advanceTo(cluster.nowMs + random.below(GAP_MS_MAX))
    const { kind, entities } = random.pick(choices)
    performAction(cluster, kind, random.pick(due(cluster, kind, entities)))
    counts[kind] = (counts[kind] ?? 0) + 1
  }
  makeSound(cluster, settled)
  const after = assignmentsOf(cluster)
  return {
    seed: options.seed,
    actions: Object.values(counts).reduce((sum, count) => sum + count, 0),
    endMs: cluster.nowMs,
    counts,
    violations: [...settled.violations, ...cluster.violations],
    notConverged: worse(before, after),
    services: cluster.meter.services(cluster.nowMs),
    assignments: after,
  }
}

/** Faults are as likely as all that operators do together. */
function choicesOf(model: Model): { kind: ActionKind; entities: readonly string[] }[] {
  const nodes = [...model.nodes.keys()]
  const units = [...model.serviceUnits.keys()]
  const instances = [...model.serviceInstances.keys()]
  const groups = [...model.serviceGroups.keys()]
  const lockable = [...nodes, ...units, ...groups]
  const all: { kind: ActionKind; entities: readonly string[] }[] = [
    { kind: 'fail', entities: [...model.components.keys()] },
    { kind: 'fail', entities: [...model.components.keys()] },
    { kind: 'fail', entities: units },
    { kind: 'fail', entities: nodes },
    { kind: 'repair', entities: nodes },
    { kind: 'repair', entities: nodes },
    { kind: 'repair', entities: [...nodes, ...units] },
    { kind: 'lock', entities: [...lockable, ...instances] },
    { kind: 'unlock', entities: [...lockable, ...instances] },
    { kind: 'unlock', entities: [...lockable, ...instances] },
    { kind: 'unlock', entities: [...lockable, ...instances] },
    { kind: 'shutdown', entities: [...lockable, ...instances] },
    { kind: 'swap', entities: instances },
    { kind: 'restart', entities: units },
    { kind: 'lock-instantiation', entities: lockable },
    { kind: 'unlock-instantiation', entities: lockable },
    { kind: 'unlock-instantiation', entities: lockable },
  ]
  return all.filter(({ entities }) => entities.length > 0)
}

/** What undoes something is done to what needs it, if there is any: else a cluster would soon be locked altogether. */
function due(
  cluster: VirtualCluster,
  kind: ActionKind,
  entities: readonly string[],
): readonly string[] {
  const needs = (entity: string): boolean => {
    if (kind === 'repair') return cluster.model.nodes.has(entity) && !cluster.isUp(entity)
    const admin = adminOf(cluster, entity)
    if (kind === 'unlock-instantiation') return admin === 'LOCKED_INSTANTIATION'
    return kind === 'unlock' && (admin === 'LOCKED' || admin === 'SHUTTING_DOWN')
  }
  const found = entities.filter(needs)
  return found.length > 0 ? found : entities
}

function adminOf({ model, state }: VirtualCluster, entity: string): string | undefined {
  return stateOf(model, state, entity)?.states['administrative']
}

/** Undoes what was done: nodes are there, nothing is locked that was not, nothing waits for repair. */
function makeSound(cluster: VirtualCluster, settled: VirtualCluster): void {
  const { model } = cluster
  const quiet = (): void => cluster.advanceUntilQuiet(cluster.nowMs + CONVERGE_MS)
  quiet()
  for (const node of model.nodes.keys()) cluster.bringBack(node)
  quiet()
  const undo = (operation: AdminOperation, entity: string): void => {
    cluster.admin(operation, entity)
    quiet()
  }
  for (const entity of [
    ...model.nodes.keys(),
    ...model.serviceGroups.keys(),
    ...model.serviceUnits.keys(),
    ...model.serviceInstances.keys(),
  ]) {
    if (adminOf(settled, entity) !== 'UNLOCKED') continue
    if (adminOf(cluster, entity) === 'UNLOCKED') continue
    if (adminOf(cluster, entity) === 'LOCKED_INSTANTIATION') undo('unlock-instantiation', entity)
    undo('unlock', entity)
  }
  for (const entity of [...model.nodes.keys(), ...model.serviceUnits.keys()]) {
    const states = stateOf(model, cluster.state, entity)?.states
    const isFailed = states?.['presence']?.endsWith('_FAILED') === true
    if (states?.['operational'] === 'DISABLED' || isFailed) undo('repair', entity)
  }
}

const ORDER = ['UNASSIGNED', 'PARTIALLY_ASSIGNED', 'FULLY_ASSIGNED']

function worse(
  before: readonly Assignment[],
  after: readonly Assignment[],
): RandomResult['notConverged'] {
  return after.flatMap(({ serviceInstance, state, waitingFor }) => {
    const was = before.find((each) => each.serviceInstance === serviceInstance)?.state ?? state
    if (ORDER.indexOf(state) >= ORDER.indexOf(was)) return []
    return [{ serviceInstance, before: was, after: state, waitingFor }]
  })
}
