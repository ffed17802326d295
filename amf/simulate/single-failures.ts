import type { Model } from '../model/model.ts'
import type { Durations } from './durations.ts'
import { performAction } from './perform-action.ts'
import { settledCluster } from './scenario.ts'

/** What one failure does to a service instance that was served before it. */
export interface Loss {
  readonly serviceInstance: string
  readonly totalMs: number
  readonly longestMs: number
  /** Nobody serves it at the end. */
  readonly isLost: boolean
}

export interface SingleFailure {
  readonly kind: 'component' | 'service unit' | 'node'
  readonly entity: string
  /** Service instances that lose service; none: nobody notices. */
  readonly losses: readonly Loss[]
}

export interface SingleFailuresResult {
  readonly settledMs: number
  readonly failures: readonly SingleFailure[]
  /** Service instances that nobody serves even without a failure. */
  readonly unserved: readonly string[]
}

/**
 * Tries every failure of one component, service unit and node, each from the settled cluster. Processes that died are
 * handled as the model says; a node that failed stays away: what depends on it alone is lost.
 *
 * @param horizonMs - virtual time after a failure in which service has to be back.
 */
export function trySingleFailures(
  model: Model,
  options: { readonly durations: Durations; readonly horizonMs: number },
): SingleFailuresResult {
  const { durations, horizonMs } = options
  const settled = settledCluster(model, { durations, checks: false })
  const before = settled.meter.services(settled.nowMs)
  const served = new Set(before.filter((s) => s.isServed).map((s) => s.serviceInstance))
  const causes: { kind: SingleFailure['kind']; entity: string }[] = [
    ...[...model.components.keys()].map((entity) => ({ kind: 'component', entity }) as const),
    ...[...model.serviceUnits.keys()].map((entity) => ({ kind: 'service unit', entity }) as const),
    ...[...model.nodes.keys()].map((entity) => ({ kind: 'node', entity }) as const),
  ]
  const failures = causes.map(({ kind, entity }) => {
    const cluster = settled.copy({ onHappening: () => undefined })
    performAction(cluster, 'fail', entity)
    cluster.advanceUntilQuiet(settled.nowMs + horizonMs)
    const losses = cluster.meter
      .services(cluster.nowMs)
      .filter(({ serviceInstance, outages }) => served.has(serviceInstance) && outages.length > 0)
      .map(({ serviceInstance, totalMs, longestMs, isServed }) => ({
        serviceInstance,
        totalMs,
        longestMs,
        isLost: !isServed,
      }))
    return { kind, entity, losses }
  })
  return {
    settledMs: settled.nowMs,
    failures,
    unserved: before.filter((s) => !s.isServed).map((s) => s.serviceInstance),
  }
}
