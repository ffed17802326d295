/** What the process says to the shell. Agreed with scripts: never change a number. */
export const EXIT = { done: 0, failed: 1, usage: 2, notFound: 3, refused: 4, timedOut: 5 } as const
export type ExitCode = (typeof EXIT)[keyof typeof EXIT]

const NOT_FOUND: ReadonlySet<string> = new Set([
  'NOT_EXIST',
  'DOESNT_EXIST',
  'NAME_NOT_FOUND',
  'FUNC_NOT_REGISTERED',
  'INVALID_CLIENTID',
  'INVALID_SERVICEID',
])
const REFUSED: ReadonlySet<string> = new Set([
  'NO_OP',
  'BAD_OPERATION',
  'NOT_SUPPORTED',
  'INVALID_STATE',
  'ALREADY_EXIST',
  'INUSE',
  'INITIALIZED',
  'EO_SUSPENDED',
  'NO_SPACE',
  'TOO_BIG',
  'VERSION_MISMATCH',
])
const TIMED_OUT: ReadonlySet<string> = new Set(['TIMEOUT', 'DEADLINE_PASSED', 'TRY_AGAIN'])

/** The command line cannot be understood. Exit code 2. */
export class UsageError extends Error {
  readonly code = 'USAGE'
  override readonly name = 'UsageError'
}

/** A result that is no exception of the SDK but still not success, with the exit code that says so. */
export class CommandFailure extends Error {
  override readonly name: string = 'CommandFailure'
  readonly code: string
  readonly exitCode: ExitCode

  constructor(code: string, message: string, exitCode: ExitCode) {
    super(message)
    this.code = code
    this.exitCode = exitCode
  }
}

/** A verdict on a result that is printed already: with `--json` nothing more goes to standard output. */
export class PrintedFailure extends CommandFailure {
  override readonly name = 'PrintedFailure'
}

/** Maps a stable error code to the exit code of the tool; what is not listed has simply failed. */
export function exitCodeOf(error: unknown): ExitCode {
  if (error instanceof UsageError) return EXIT.usage
  if (error instanceof CommandFailure) return error.exitCode
  const code = codeOf(error)
  if (NOT_FOUND.has(code)) return EXIT.notFound
  if (REFUSED.has(code)) return EXIT.refused
  if (TIMED_OUT.has(code)) return EXIT.timedOut
  return EXIT.failed
}

/** Stable code of anything that was thrown; `FAILED_OPERATION` for a bug without one. */
export function codeOf(error: unknown): string {
  if (typeof error === 'object' && error !== null && 'code' in error) {
    if (typeof error.code === 'string') return error.code
  }
  return 'FAILED_OPERATION'
}
