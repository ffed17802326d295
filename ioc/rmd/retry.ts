/**
 * What a caller does after a try that brought no result. Core. The rule behind all of it: a call is made again only
 * when that cannot run it twice, because it surely did not run or because the callee keeps at-most-once.
 */

/** What is known of a call. */
export interface TriedCall {
  /** The destination is a logical name, so that another callee may come. */
  readonly named: boolean
  readonly atMostOnce: boolean
  readonly ordered: boolean
  /** False: for whoever is there now, and never made again. */
  readonly persistent: boolean
  /** An earlier try may have run. */
  readonly mayHaveRun: boolean
}

const FIRST_DELAY_MS = 10
const DELAY_MS_MAX = 250
const FIRST_ASK_MS = 2_000
const ASK_MS_MAX = 30_000

/** After the connection of a try was lost, with `mayHaveRun` saying whether that try may have reached the callee. */
export const isTriedAgainAfterLoss = (call: TriedCall): boolean =>
  call.persistent && call.named && (call.atMostOnce || !call.mayHaveRun)

/**
 * After an answer that says "not run" or "still running".
 * - `NOT_ACTIVE`: it did not run; by name there may soon be another one.
 * - `INUSE`: an earlier copy of an at-most-once call still runs; its reply will be there later. SAFplus RMD,
 *   section 5.4.
 * - `TRY_AGAIN`: for at-most-once calls only, whose callers asked for persistence; an ordered call would be overtaken.
 */
export function isTriedAgainAfterRefusal(code: string, call: TriedCall): boolean {
  if (!call.persistent) return false
  switch (code) {
    case 'NOT_ACTIVE':
      return call.named
    case 'INUSE':
      return call.atMostOnce
    case 'TRY_AGAIN':
      return call.atMostOnce && !call.ordered
    default:
      return false
  }
}

/** Time before the next try: doubles up to a bound, and spread by the id so that a crowd does not come at once. */
export const retryDelayMs = (tries: number, id: number): number =>
  Math.min(DELAY_MS_MAX, FIRST_DELAY_MS * 2 ** Math.min(tries, 10)) + (id % 8)

/** Most re-sends that a caller may ask for. SAFplus RMD, section 5.1. */
export const RETRY_COUNT_MAX = 8

/** Time without an answer after which an at-most-once call is asked for again, in case a copy was dropped. */
export const askAgainMs = (tries: number): number =>
  Math.min(ASK_MS_MAX, FIRST_ASK_MS * 2 ** Math.min(tries, 10))
