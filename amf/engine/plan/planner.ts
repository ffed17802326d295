import type { HaState } from '../../../runtime/internal.ts'
import type { ServiceGroupModel, ServiceInstanceModel } from '../../model/model.ts'

/**
 * A planner says who should hold what, from who holds what now. It knows nothing of commands, order or time: the
 * executor gets there safely, and asks again after every event. So a planner must be stable: planning again from any
 * state on the way gives the same goal.
 */
export type Planner = (input: PlanInput) => Plan

export interface PlanInput {
  readonly group: ServiceGroupModel
  /** In order of preference (rank, name). */
  readonly units: readonly PlanUnit[]
  /** Those that may be assigned now, in order of importance (rank, name), sponsors before dependants. */
  readonly instances: readonly ServiceInstanceModel[]
  /** The operator's wish: this unit is to take over from that one. */
  readonly swap: {
    readonly serviceInstance: string
    readonly from: string
    readonly to: string
  } | null
  /** Forget who holds what and plan the most preferred assignment. */
  readonly afresh: boolean
}

export interface PlanUnit {
  readonly name: string
  readonly inService: boolean
  /** What it holds or was asked for, by service instance. */
  readonly roles: ReadonlyMap<string, HaState>
  /** Take-over rank that it was told for each service instance that it stands by for, where that is known. */
  readonly standbyRanks: ReadonlyMap<string, number>
  /** May it be ACTIVE with nothing lost, can its components carry it, and do they say that they are ready? */
  readonly mayActivate: (instance: ServiceInstanceModel) => boolean
  /** Can its components carry it as STANDBY, and do they say that they are ready? */
  readonly mayStandby: (instance: ServiceInstanceModel) => boolean
  /** Its components say that they would serve it as ACTIVE, but not fully. */
  readonly isDegraded: (instance: ServiceInstanceModel) => boolean
}

/** Names of service units for each planned service instance. Standbys in order of take-over. */
export type Plan = ReadonlyMap<string, PlannedInstance>

export interface PlannedInstance {
  readonly active: readonly string[]
  readonly standby: readonly string[]
}

export function isActiveRole(role: HaState | undefined): boolean {
  return role === 'ACTIVE' || role === 'QUIESCING'
}

/** First element with the greatest score, compared from the first number on. */
export function bestBy<T>(items: readonly T[], score: (item: T) => readonly number[]): T | null {
  let best: T | null = null
  let bestScore: readonly number[] = []
  for (const item of items) {
    const its = score(item)
    if (best === null || isGreater(its, bestScore)) {
      best = item
      bestScore = its
    }
  }
  return best
}

function isGreater(a: readonly number[], b: readonly number[]): boolean {
  for (const [at, value] of a.entries()) {
    const other = b[at] ?? 0
    if (value !== other) return value > other
  }
  return false
}
