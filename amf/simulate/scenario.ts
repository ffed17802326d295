import { clusterStatus } from '../engine/engine.ts'
import type { Model } from '../model/model.ts'
import { scheduleActions, type Action } from './action.ts'
import type { Durations } from './durations.ts'
import { performAction } from './perform-action.ts'
import type { Service } from './service-meter.ts'
import { VirtualCluster, type Happening } from './virtual-cluster.ts'

/** One line of a timeline. */
export interface TimelineEntry {
  readonly atMs: number
  /** `action`: something from outside; `answer`: what an operator got; else the kind of the engine's notification. */
  readonly kind: string
  readonly entity: string
  readonly from: string | null
  readonly to: string
  /** The last cause first. */
  readonly causes: readonly string[]
}

export interface Assignment {
  readonly serviceInstance: string
  readonly state: string
  readonly assignments: readonly { readonly serviceUnit: string; readonly haState: string }[]
  /** Why nobody is ACTIVE, in words; null while somebody is. */
  readonly waitingFor: string | null
}

export interface ScenarioResult {
  /** When the cluster came to rest after its start, before anything was done to it. */
  readonly settledMs: number
  readonly endMs: number
  readonly timeline: readonly TimelineEntry[]
  readonly services: readonly Service[]
  readonly assignments: readonly Assignment[]
  readonly violations: readonly string[]
}

/** A cluster that does not come to rest on its own within this time is taken as it is then. */
const SETTLE_LIMIT_MS = 600_000
/** What is waited for after the last action when nothing else was asked for. */
const AFTER_MS = 60_000

/** Starts a cluster and lets it come to rest. Its timeline goes to `entries`. */
export function settledCluster(
  model: Model,
  options: { readonly durations: Durations; readonly checks: boolean },
  entries: TimelineEntry[] = [],
): VirtualCluster {
  const cluster = new VirtualCluster(model, { ...options, onHappening: recorder(entries) })
  cluster.start()
  cluster.advanceUntilQuiet(SETTLE_LIMIT_MS)
  return cluster
}

/**
 * Plays actions against a cluster from its start on.
 *
 * @param untilMs - end of the virtual time; null: a minute after the last action, or when the cluster has settled.
 */
export function runScenario(
  model: Model,
  options: {
    readonly actions: readonly Action[]
    readonly durations: Durations
    readonly untilMs: number | null
  },
): ScenarioResult {
  const { actions, durations, untilMs } = options
  const settledMs = settledCluster(model, { durations, checks: false }).nowMs
  const timeline: TimelineEntry[] = []
  const cluster = new VirtualCluster(model, {
    durations,
    checks: true,
    onHappening: recorder(timeline),
  })
  cluster.start()
  const scheduled = scheduleActions(actions, settledMs)
  const names = new Map<string, string>()
  for (const { kind, entity, atMs } of scheduled) {
    if (untilMs !== null && atMs > untilMs) break
    cluster.advanceTo(atMs)
    // The line comes first: an answer may come within the action.
    const at = timeline.length
    const { text, id } = performAction(cluster, kind, entity)
    const line = { atMs, kind: 'action', entity, from: null, to: text, causes: [] }
    timeline.splice(at, 0, line)
    if (id !== null) names.set(id, text)
  }
  const lastMs = scheduled.at(-1)?.atMs
  cluster.advanceTo(untilMs ?? (lastMs === undefined ? settledMs : lastMs + AFTER_MS))
  return {
    settledMs,
    endMs: cluster.nowMs,
    timeline: timeline.map((entry) =>
      entry.kind === 'answer' ? { ...entry, entity: names.get(entry.entity) ?? '' } : entry,
    ),
    services: cluster.meter.services(cluster.nowMs),
    assignments: assignmentsOf(cluster),
    violations: cluster.violations,
  }
}

export function assignmentsOf(cluster: VirtualCluster): Assignment[] {
  const { serviceInstances } = clusterStatus(cluster.model, cluster.state, null)
  return serviceInstances.map(({ name, state, assignments, waitingFor }) => ({
    serviceInstance: name,
    state,
    assignments: assignments.map(({ serviceUnit, haState }) => ({ serviceUnit, haState })),
    waitingFor: waitingFor ?? null,
  }))
}

function recorder(entries: TimelineEntry[]): (atMs: number, happening: Happening) => void {
  return (atMs, happening) => {
    if (happening.kind === 'answer') {
      const { id, result } = happening
      const to = result.ok ? 'done' : `${result.code}: ${result.message}`
      entries.push({ atMs, kind: 'answer', entity: id, from: null, to, causes: [] })
      return
    }
    const { kind, entity, from, to, causes, serviceInstance } = happening.notification
    const what =
      kind === 'haState' && serviceInstance !== undefined
        ? `${entity} for ${serviceInstance}`
        : entity
    entries.push({ atMs, kind, entity: what, from, to, causes: [...causes].reverse() })
  }
}
