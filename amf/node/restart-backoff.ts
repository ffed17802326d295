/**
 * When a process that ended is started again: at once-ish, then ever later, and like new after a
 * good while.
 */
export interface RestartBackoff {
  readonly firstMs: number
  readonly maxMs: number
  /** A process that was up for so long counts as healthy: the next end begins from `firstMs`. */
  readonly healthyMs: number
  /** Delay before the next start. */
  readonly nextMs: number
}

export const DEFAULT_BACKOFF: RestartBackoff = {
  firstMs: 100,
  maxMs: 5_000,
  healthyMs: 10_000,
  nextMs: 100,
}

/**
 * The process ended after `upMs`. @returns how long to wait now, and the state for the next end.
 */
export function afterEnd(
  backoff: RestartBackoff,
  upMs: number,
): { readonly delayMs: number; readonly backoff: RestartBackoff } {
  const delayMs = upMs >= backoff.healthyMs ? backoff.firstMs : backoff.nextMs
  return { delayMs, backoff: { ...backoff, nextMs: Math.min(delayMs * 2, backoff.maxMs) } }
}
