import type { ClComponentName } from './return-code.ts'
import { CL_ERR } from './return-code.ts'

/**
 * What an error says about the call that it ended.
 * `notCalled`: the callee did not get it. `mayHaveRun`: no answer, unknown. `refused`: the callee answered with an
 * error. `local`: nothing to do with a call.
 */
export type SdkErrorKind = 'notCalled' | 'mayHaveRun' | 'refused' | 'local'

/** One row of the table of errors. */
export interface SdkErrorRow {
  /** Component whose id is in the return code. */
  readonly component: ClComponentName
  /** Low half of the return code. */
  readonly error: number
  readonly kind: SdkErrorKind
  /** True: the same request may be made again, and may then succeed. */
  readonly retryable: boolean
  readonly meaning: string
  readonly remedy: string
}

type Words = readonly [kind: SdkErrorKind, retryable: boolean, meaning: string, remedy: string]

/** A row with an error that all components share. @param component - whose id is in the return code */
export function common(
  name: keyof typeof CL_ERR,
  words: Words,
  component: ClComponentName = 'UNSPECIFIED',
): SdkErrorRow {
  return own(component, CL_ERR[name], words)
}

/** A row with an error of one component. */
export function own(component: ClComponentName, error: number, words: Words): SdkErrorRow {
  const [kind, retryable, meaning, remedy] = words
  return { component, error, kind, retryable, meaning, remedy }
}
