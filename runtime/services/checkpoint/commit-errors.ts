import { encodeWireError, SdkError, toWireError } from '../../../idl/index.ts'
import type { CommitUnit } from './commit-unit.ts'

/** An error as the answer of a call. */
export function answerOf(error: SdkError): { readonly rc: number; readonly payload: Uint8Array } {
  return { rc: error.rc, payload: encodeWireError(toWireError(error)) }
}

/** Nothing of the call is committed. */
export function givenUp(csi: string): SdkError {
  return new SdkError('NOT_ACTIVE', `checkpoint ${csi}: the call was given up`)
}

/** The component ends. What was handed over may be committed without our having heard of it. */
export function givenUpAtEnd(csi: string, { phase, key }: CommitUnit): SdkError {
  if (phase !== 'committing') return givenUp(csi)
  const message = `checkpoint ${csi}: the component ended while the commit was under way`
  // Asked again, whoever is active then knows the reply, or runs the call.
  if (key?.atMostOnce === true) return new SdkError('INUSE', message)
  return new SdkError('NOT_ACTIVE', message, { mayHaveRun: true })
}

export function lateCommit(csi: string): SdkError {
  const message = `checkpoint ${csi}: no commit before the deadline of the call; it may be committed later`
  return new SdkError('TIMEOUT', message)
}
