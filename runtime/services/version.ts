import { SdkError, servesVersion, versionNumber } from '../../idl/index.ts'

/**
 * What `initialize` of a service library does with the version that is asked for: the supported one serves every major
 * of its release up to its own; minors are ignored. SAFplus, section 2.3.
 * @returns the supported version.
 * @throws SdkError INVALID_PARAMETER for no version; VERSION_MISMATCH, with the supported one in the context.
 */
export function negotiateVersion(place: string, requested: string, supported: string): string {
  const wanted = versionNumber(requested)
  if (wanted === 0) {
    const message = `${place}: version is ${JSON.stringify(requested)}: give one such as B.1.1`
    throw new SdkError('INVALID_PARAMETER', message)
  }
  if (servesVersion(versionNumber(supported), 0, wanted)) return supported
  throw new SdkError('VERSION_MISMATCH', `${place}: ${requested} asked for; this is ${supported}`, {
    context: { supported },
  })
}
