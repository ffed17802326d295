import { isSdkError, SdkError } from '../../idl/index.ts'

/**
 * Codes with which a caller's RMD decides by itself whether a call ran, and whether to send it again. A function that
 * lets one through (of a call it made, say) would speak for the EO: such an error crosses as HANDLER_FAILED.
 */
const NOT_FOR_FUNCTIONS: ReadonlySet<string> = new Set([
  'NOT_ACTIVE',
  'STALE_EPOCH',
  'STALE_TERM',
  'INUSE',
  'EO_SUSPENDED',
  'FUNC_NOT_REGISTERED',
  'INVALID_CLIENTID',
  'INVALID_SERVICEID',
  'QUEUE_OVERFLOW',
  'JOB_QUARANTINED',
  'WORKER_DIED',
  'DEADLINE_PASSED',
])

/**
 * What the caller of a function that threw is told. Refusals that the function chose (INVALID_PARAMETER, NOT_EXIST, a
 * code of the application) cross as they are; everything else is a bug of the handler and crosses as HANDLER_FAILED.
 * @param where - the function, for example `Sequence.next`.
 */
export function handlerError(error: unknown, where: string): SdkError {
  if (isSdkError(error) && error.kind === 'refused' && !NOT_FOR_FUNCTIONS.has(error.code)) {
    return error
  }
  const what = isSdkError(error)
    ? `${error.code}: ${error.message}`
    : error instanceof Error
      ? `${error.name}: ${error.message}`
      : String(error)
  return new SdkError('HANDLER_FAILED', `${where} failed: ${what}`, { cause: error })
}

/** True when the same call may run again later as if it had not run: its writes are dropped and no reply is kept. */
export function isTryAgain(error: SdkError): boolean {
  return error.code === 'TRY_AGAIN'
}
