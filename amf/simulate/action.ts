import type { AdminOperation } from '../engine/engine.ts'

/** What may be done to an entity in a simulation: what operators do that moves roles or processes, and failures. */
export const ACTIONS = [
  'fail',
  'repair',
  'lock',
  'unlock',
  'shutdown',
  'restart',
  'swap',
  'adjust',
  'lock-instantiation',
  'unlock-instantiation',
] as const satisfies readonly ('fail' | AdminOperation)[]
export type ActionKind = (typeof ACTIONS)[number]

export interface Action {
  readonly kind: ActionKind
  readonly entity: string
  /** Virtual time; null: one second after the action before it, the first one when the cluster has settled. */
  readonly atMs: number | null
}

/**
 * Reads a virtual time: `300ms`, `5s`, `1.5m` or `2h`; a number alone is seconds. Null when it is none, or more than a
 * day.
 */
export function parseTime(text: string): number | null {
  const [, number, unit = 's'] = /^(\d+(?:\.\d+)?)(ms|s|m|h)?$/.exec(text.trim()) ?? []
  if (number === undefined) return null
  const ms = Math.round(Number(number) * (UNITS[unit] ?? 1_000))
  return ms <= DAY_MS ? ms : null
}

const UNITS: Readonly<Record<string, number>> = { ms: 1, s: 1_000, m: 60_000, h: 3_600_000 }
const DAY_MS = 86_400_000
/** The gap to the action before one that has no time of its own. */
const GAP_MS = 1_000

/** Gives every action its time and puts them in order; equal times as they are written. */
export function scheduleActions(
  actions: readonly Action[],
  settledMs: number,
): readonly (Action & { readonly atMs: number })[] {
  let previousMs = settledMs
  return actions
    .map((action) => {
      previousMs = action.atMs ?? previousMs + GAP_MS
      return { ...action, atMs: previousMs }
    })
    .sort((a, b) => a.atMs - b.atMs)
}
