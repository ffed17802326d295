import type { SdkErrorKind } from './error-row.ts'
import { errorRow, rcOfCode, type SdkErrorCode } from './errors.ts'
import type { ClRcT } from './return-code.ts'

const BRAND = Symbol.for('holdfast.SdkError')

/** What an error may carry besides its message. */
export interface SdkErrorOptions {
  /** Plain values that a program may read: what was attempted, on whom, with which limit. */
  readonly context?: Readonly<Record<string, unknown>>
  readonly cause?: unknown
  /** Overrides what the code's kind says: true when the callee may have run the call. */
  readonly mayHaveRun?: boolean
}

/**
 * The one error that the SDK throws or rejects with. Recognise it by {@link isSdkError}, never by `instanceof`: it may
 * come from another copy of the package.
 */
export class SdkError extends Error {
  /** Stable. One of `ERRORS`, or a code of the application. */
  readonly code: SdkErrorCode | (string & {})
  /** The SAFplus return code; `UNSPECIFIED` for codes of applications. */
  readonly rc: ClRcT
  readonly kind: SdkErrorKind
  /** True: the same request may safely be made again, and may then succeed. */
  readonly retryable: boolean
  /** True: there was no answer, and the callee may have run the call. */
  readonly mayHaveRun: boolean
  readonly context: Readonly<Record<string, unknown>>

  constructor(
    code: SdkErrorCode | (string & {}),
    message: string,
    { context = {}, cause, mayHaveRun }: SdkErrorOptions = {},
  ) {
    super(message, cause === undefined ? undefined : { cause })
    this.name = 'SdkError'
    const row = errorRow(code)
    this.code = code
    this.rc = rcOfCode(code)
    this.kind = row?.kind ?? 'refused'
    this.mayHaveRun = mayHaveRun ?? this.kind === 'mayHaveRun'
    this.retryable = (row?.retryable ?? false) && !this.mayHaveRun
    this.context = context
    Object.defineProperty(this, BRAND, { value: true })
  }
}

/** True when `error` is an {@link SdkError}, of any copy of the package, and has `code` where one is given. */
export function isSdkError(error: unknown, code?: SdkErrorCode | (string & {})): error is SdkError {
  return (
    typeof error === 'object' &&
    error !== null &&
    BRAND in error &&
    (code === undefined || ('code' in error && error.code === code))
  )
}
