import type { Recovery } from '../../runtime/internal.ts'

/**
 * The health checks that one life of a component started. A core. SAF AMF B.04.01, health checks; timing as in OpenSAF.
 *
 * H1 Of an AMF-invoked check at most one call is out. The period runs on meanwhile: when it ends before the answer has
 *    come, that is late (an alarm), and the next call follows the answer at once.
 * H2 A call that is not answered within the maximum duration has failed.
 * H3 A component-invoked check has to be confirmed once a period; later is late, and has failed after the maximum
 *    duration where that is longer than the period.
 * H4 An agent that was late itself blames nobody: every window is put off by that time.
 */

/** As in the model. */
export interface HealthCheckTimes {
  readonly periodMs: number
  readonly maxDurationMs: number
}

export interface HealthCheck extends HealthCheckTimes {
  readonly invocation: 'AMF_INVOKED' | 'COMPONENT_INVOKED'
  readonly recovery: Recovery
  /** Start of the period; of a component-invoked check its last confirmation. */
  readonly sinceMs: number
  /** When the call that is out was sent; null: none is. */
  readonly askedMs: number | null
  /** The next call is due; counts for AMF-invoked checks. */
  readonly nextMs: number
  readonly late: boolean
}

/** By key. */
export type HealthChecks = ReadonlyMap<string, HealthCheck>

export interface HealthTick {
  readonly checks: HealthChecks
  /** Keys whose callback is to be called now. */
  readonly calls: readonly string[]
  readonly failure: { readonly recovery: Recovery; readonly cause: string } | null
}

/** The check with this key begins; its first call is due at once. */
export function startCheck(
  checks: HealthChecks,
  key: string,
  check: HealthCheckTimes & Pick<HealthCheck, 'invocation' | 'recovery'>,
  nowMs: number,
): HealthChecks {
  const fresh = { ...check, sinceMs: nowMs, askedMs: null, nextMs: nowMs, late: false }
  return new Map(checks).set(key, fresh)
}

export function stopCheck(checks: HealthChecks, key: string): HealthChecks {
  return new Map([...checks].filter(([other]) => other !== key))
}

/** The call was answered well, or the component confirmed. */
export function checkPassed(checks: HealthChecks, key: string, nowMs: number): HealthChecks {
  const check = checks.get(key)
  if (check === undefined) return checks
  return new Map(checks).set(key, { ...check, sinceMs: nowMs, askedMs: null, late: false })
}

/** What is due. Nothing more follows after a failure: the component is ended. */
export function tickChecks(checks: HealthChecks, nowMs: number): HealthTick {
  const next = new Map(checks)
  const calls: string[] = []
  for (const [key, check] of checks) {
    const cause = failureOf(key, check, nowMs)
    if (cause !== null) return { checks, calls: [], failure: { recovery: check.recovery, cause } }
    if (check.invocation === 'COMPONENT_INVOKED') {
      next.set(key, { ...check, late: nowMs >= check.sinceMs + check.periodMs })
    } else if (check.askedMs !== null) {
      next.set(key, { ...check, late: nowMs >= check.nextMs })
    } else if (nowMs >= check.nextMs) {
      calls.push(key)
      const periods = Math.floor((nowMs - check.nextMs) / check.periodMs) + 1
      next.set(key, { ...check, askedMs: nowMs, nextMs: check.nextMs + periods * check.periodMs })
    }
  }
  return { checks: next, calls, failure: null }
}

/** When something is due; null: never. */
export function nextCheckMs(checks: HealthChecks): number | null {
  const due = [...checks.values()].flatMap((check) => {
    const failsMs = failsAtMs(check)
    if (check.invocation === 'COMPONENT_INVOKED') {
      return check.late ? [failsMs] : [check.sinceMs + check.periodMs]
    }
    if (check.askedMs === null) return [check.nextMs]
    return check.late ? [failsMs] : [Math.min(failsMs, check.nextMs)]
  })
  return due.length === 0 ? null : Math.min(...due)
}

/** H4. */
export function putOffChecks(checks: HealthChecks, byMs: number): HealthChecks {
  const later = (check: HealthCheck): HealthCheck => ({
    ...check,
    sinceMs: check.sinceMs + byMs,
    askedMs: check.askedMs === null ? null : check.askedMs + byMs,
    nextMs: check.nextMs + byMs,
  })
  return new Map([...checks].map(([key, check]) => [key, later(check)]))
}

/** Any answer or confirmation is overdue. */
export function isLate(checks: HealthChecks): boolean {
  return [...checks.values()].some((check) => check.late)
}

function failsAtMs({ invocation, sinceMs, askedMs, periodMs, maxDurationMs }: HealthCheck): number {
  if (invocation === 'COMPONENT_INVOKED') return sinceMs + Math.max(periodMs, maxDurationMs)
  return askedMs === null ? Infinity : askedMs + maxDurationMs
}

function failureOf(key: string, check: HealthCheck, nowMs: number): string | null {
  if (nowMs < failsAtMs(check)) return null
  const { invocation, periodMs, maxDurationMs } = check
  return invocation === 'AMF_INVOKED'
    ? `health check ${key} was not answered within ${String(maxDurationMs)} ms`
    : `health check ${key} was not confirmed within ${String(Math.max(periodMs, maxDurationMs))} ms`
}
