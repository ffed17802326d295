import { addressText, isAddressNumber, tryParseAddress } from './address-text.ts'
import { IOC_PORT_RANGE, type IocDestination } from './address.ts'
import { invalidParameter } from './errors.ts'
import { isGroupName } from './groups.ts'

/** A destination with any number of receivers. */
export type ManyDestination = Exclude<
  IocDestination,
  { readonly kind: 'physical' } | { readonly kind: 'logical' }
>

const NAME_LENGTH_MAX = 254

/** Text form of a destination; see {@link IocDestination}. */
export function destinationText(destination: IocDestination): string {
  switch (destination.kind) {
    case 'physical':
      return addressText(destination.address)
    case 'logical':
      return `@${destination.name}`
    case 'multicast':
      return `#${destination.group}`
    case 'broadcast':
      return `*:${destination.port}`
    case 'intranode':
      return '.:*'
  }
}

/**
 * Reads a destination; see {@link IocDestination} for the five forms.
 * @throws SdkError INVALID_PARAMETER for any other text.
 */
export function parseDestination(text: string): IocDestination {
  const destination = tryParseDestination(text)
  if (destination !== undefined) return destination
  const shown = JSON.stringify(text.slice(0, 80))
  const forms = '2:64 (1 to 1023 each), @name, #group, *:64 or .:*'
  throw invalidParameter(`${shown} is no destination: give ${forms}`)
}

/** @throws SdkError INVALID_PARAMETER for a destination that no text names. */
export function checkDestination(destination: IocDestination): IocDestination {
  const isKnown = (destination as IocDestination | null)?.kind !== undefined
  const text = isKnown ? destinationText(destination) : JSON.stringify(destination)
  return parseDestination(text ?? 'undefined')
}

/** Which range a port number is in; undefined when it is no port. */
export function portRange(port: number): keyof typeof IOC_PORT_RANGE | undefined {
  if (!isAddressNumber(port)) return undefined
  if (port <= IOC_PORT_RANGE.platform.last) return 'platform'
  return port <= IOC_PORT_RANGE.user.last ? 'user' : 'ephemeral'
}

function tryParseDestination(text: string): IocDestination | undefined {
  if (text === '.:*') return { kind: 'intranode' }
  if (text.startsWith('@')) {
    const name = text.slice(1)
    return name.length > 0 && name.length <= NAME_LENGTH_MAX ? { kind: 'logical', name } : undefined
  }
  if (text.startsWith('#')) {
    const group = text.slice(1)
    return isGroupName(group) ? { kind: 'multicast', group } : undefined
  }
  const port = /^\*:(\d{1,4})$/.exec(text)
  if (port !== null) {
    return isAddressNumber(Number(port[1]))
      ? { kind: 'broadcast', port: Number(port[1]) }
      : undefined
  }
  const address = tryParseAddress(text)
  return address === undefined ? undefined : { kind: 'physical', address }
}
