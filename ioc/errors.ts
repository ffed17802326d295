import { SdkError } from '../idl/index.ts'
import { addressText } from './address-text.ts'
import type { IocAddress } from './address.ts'

/** The port number is taken by a living program. */
export const alreadyListening = (address: IocAddress): SdkError =>
  new SdkError('ALREADY_EXIST', `another program already listens at ${addressText(address)}`, {
    context: { address: addressText(address) },
  })

/** Used after it was closed. */
export const closedError = (what: string): SdkError =>
  new SdkError('NOT_INITIALIZED', `${what} is closed`)

/** A value that a caller of this floor gave is wrong. */
export const invalidParameter = (message: string, context: object = {}): SdkError =>
  new SdkError('INVALID_PARAMETER', message, { context: { ...context } })
