import { SdkError } from '../../idl/index.ts'
import { addressText } from '../address-text.ts'
import type { IocAddress } from '../address.ts'
import type { CallSpec, PendingCall } from './pending-call.ts'

/** The errors with which calls end, in one place, so that their words and contexts agree. */

const functionText = (spec: CallSpec): string =>
  `${Math.floor(spec.functionNumber / 64)}.${spec.functionNumber % 64}`

const contextOf = (spec: CallSpec): Record<string, unknown> => ({
  to: spec.target.text,
  functionNumber: spec.functionNumber,
  timeoutMs: spec.timeoutMs,
})

/** Nobody there, or gone before it answered. */
export const unreachable = (call: PendingCall, why: string): SdkError =>
  new SdkError(
    'COMP_UNREACHABLE',
    `function ${functionText(call.spec)} of ${call.spec.target.text}: ${why}`,
    { context: { ...contextOf(call.spec), tries: call.tries }, mayHaveRun: call.mayHaveRun },
  )

/** The callee's listener takes no connection at present. */
export const busy = (call: PendingCall): SdkError =>
  new SdkError('TRY_AGAIN', `${call.spec.target.text} accepts no connection at present`, {
    context: contextOf(call.spec),
    mayHaveRun: call.mayHaveRun,
  })

/** The receiver reads slower than this side sends. */
export const queueFull = (call: PendingCall, bytesMax: number): SdkError =>
  new SdkError(
    'TRY_AGAIN',
    `${call.spec.target.text} is slow: its send queue holds its limit of ${bytesMax} bytes`,
    { context: { ...contextOf(call.spec), bytesMax }, mayHaveRun: call.mayHaveRun },
  )

/** Some of many receivers read slower than this side sends: they were left out, the others run the call. */
export const someFull = (call: PendingCall, refused: readonly IocAddress[]): SdkError => {
  const { text } = call.spec.target
  const addresses = refused.map(addressText)
  return new SdkError('TRY_AGAIN', `${refused.length} receivers of ${text} are slow and left out`, {
    context: { ...contextOf(call.spec), refused: addresses },
    mayHaveRun: call.mayHaveRun,
  })
}

/** Replies of many would be as many replies: only one-way calls go to groups, broadcasts and whole nodes. */
export const onlyOneWay = (spec: CallSpec): SdkError =>
  new SdkError(
    'INVALID_PARAMETER',
    `function ${functionText(spec)} of ${spec.target.text}: only one-way calls go to many; give oneWay, or one address`,
    { context: contextOf(spec) },
  )

export const tooBig = (call: PendingCall, bytesMax: number): SdkError =>
  new SdkError(
    'TOO_BIG',
    `a message of ${call.payload.length} bytes to ${call.spec.target.text} is above the limit of ${bytesMax}`,
    { context: { ...contextOf(call.spec), bytes: call.payload.length, bytesMax } },
  )

export const nameNotFound = (name: string): SdkError =>
  new SdkError('NAME_NOT_FOUND', `no logical name @${name} is known in the cluster`, {
    context: { name },
  })

/** The name is known, and the call is not for whoever comes later. */
export const nobodyActive = ({ spec }: PendingCall): SdkError =>
  new SdkError('TL_ACTIVE_INST_NOT_PRESENT', `nobody is active for ${spec.target.text}`, {
    context: contextOf(spec),
  })

/** Aborted by the caller's signal, or the caller closed. */
export const givenUp = (spec: CallSpec, mayHaveRun: boolean): SdkError =>
  new SdkError('INTERRUPT', `the call to ${spec.target.text} was given up`, {
    context: contextOf(spec),
    mayHaveRun,
  })

/** The deadline passed. `underWay`: a copy of the call was sent and not answered. */
export function expired(call: PendingCall, underWay: boolean, namesReady: boolean): SdkError {
  const { spec, mayHaveRun } = call
  const options = { context: { ...contextOf(spec), tries: call.tries }, mayHaveRun }
  if (call.refusal !== null && !mayHaveRun) return call.refusal
  if (underWay || mayHaveRun || spec.target.kind !== 'name') {
    const tries = call.tries === 1 ? '' : ` (${call.tries} tries)`
    return new SdkError(
      'TIMEOUT',
      `no reply from ${spec.target.text} function ${functionText(spec)} within ${spec.timeoutMs} ms${tries}`,
      call.refusal === null ? options : { ...options, cause: call.refusal },
    )
  }
  if (!namesReady) {
    const message = `the table of names was not received within ${spec.timeoutMs} ms`
    return new SdkError('TIMEOUT', message, options)
  }
  return new SdkError(
    'TL_ACTIVE_INST_NOT_PRESENT',
    `nobody was active for ${spec.target.text} within ${spec.timeoutMs} ms`,
    options,
  )
}
