import { isSdkError, SdkError } from '../../idl/index.ts'

/** Codes after which the same question may simply be asked again: the cluster is between two states. */
const PASSING: ReadonlySet<string> = new Set([
  'TRY_AGAIN',
  'COMP_UNREACHABLE',
  'HOST_UNREACHABLE',
  'NOT_ACTIVE',
  'NAME_NOT_FOUND',
  'STALE_TERM',
  'STALE_EPOCH',
])

export interface RetryOptions {
  /** The whole undertaking lasts at most this long. */
  readonly timeoutMs: number
  /** What is being attempted, for the error's text: `lock of sequenceSU1`. */
  readonly what: string
  readonly signal?: AbortSignal | undefined
  /** Codes that end this undertaking at once although they may pass for others. */
  readonly final?: readonly string[]
}

/**
 * Asks again while the answer says "not now", with growing pauses of 20 to 500 ms.
 *
 * @param attempt - one try; it gets the time that is left in milliseconds and must not last longer. It may run more
 * than once, so what it asks for must be harmless when repeated.
 * @throws SdkError TIMEOUT with the last reason when the time is over; INTERRUPT when the signal aborts; anything that
 * is not a passing condition at once.
 */
export async function untilDone<T>(
  attempt: (remainingMs: number) => Promise<T>,
  options: RetryOptions,
): Promise<T> {
  const deadlineMs = performance.now() + options.timeoutMs
  let pauseMs = 20
  let reason = ''
  for (;;) {
    const remainingMs = Math.floor(deadlineMs - performance.now())
    if (remainingMs <= 0) throw tooLate(options, reason)
    try {
      return await attempt(Math.max(1, remainingMs))
    } catch (error) {
      if (options.signal?.aborted === true) throw interrupted(options)
      if (isSdkError(error, 'TIMEOUT')) throw tooLate(options, reason || error.message)
      if (!isSdkError(error) || !isPassing(error.code, options)) throw error
      reason = `${error.code}: ${error.message}`
    }
    await pause(Math.min(pauseMs, Math.max(0, deadlineMs - performance.now())), options.signal)
    pauseMs = Math.min(500, pauseMs * 2)
  }
}

/** Waits, or returns early when the signal aborts. */
export function pause(delayMs: number, signal?: AbortSignal): Promise<void> {
  if (signal?.aborted === true) return Promise.resolve()
  return new Promise((resolve) => {
    const done = (): void => {
      clearTimeout(timer)
      signal?.removeEventListener('abort', done)
      resolve()
    }
    const timer = setTimeout(done, delayMs)
    signal?.addEventListener('abort', done)
  })
}

function isPassing(code: string, options: RetryOptions): boolean {
  return PASSING.has(code) && options.final?.includes(code) !== true
}

function tooLate(options: RetryOptions, reason: string): SdkError {
  const seconds = options.timeoutMs / 1000
  const because = reason === '' ? '' : `; the last answer was ${reason}`
  return new SdkError('TIMEOUT', `${options.what}: not done within ${seconds} s${because}`)
}

function interrupted(options: RetryOptions): SdkError {
  return new SdkError('INTERRUPT', `${options.what}: given up by the user`)
}
