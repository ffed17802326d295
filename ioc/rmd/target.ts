import { addressText, isListenAddress, tryParseAddress } from '../address-text.ts'
import type { Epoch, IocAddress } from '../address.ts'
import { destinationText, type ManyDestination, parseDestination } from '../destination-text.ts'
import { invalidParameter } from '../errors.ts'
import type { Destination } from './rmd.ts'

/** A destination, read and checked. `text` is for messages. */
export type Target =
  | { readonly kind: 'address'; readonly address: IocAddress; readonly text: string }
  | { readonly kind: 'caller'; readonly caller: string; readonly text: string }
  | NameTarget
  | ManyTarget

/** A logical name, one object for all calls to it. */
export interface NameTarget {
  readonly kind: 'name'
  readonly name: string
  readonly text: string
  /** Highest epoch seen for the name, in its entry or in replies. */
  epochSeen: Epoch
}

/** A group, a port of every node, or every port of the own node: for one-way calls. */
export interface ManyTarget {
  readonly kind: 'many'
  readonly destination: ManyDestination
  readonly text: string
}

const NAME_LENGTH_MAX = 255

/** Reads a destination. @throws SdkError INVALID_PARAMETER when it is none. */
export function parseTarget(to: Destination, nameTarget: (name: string) => NameTarget): Target {
  if (typeof to === 'string') return parseText(to, nameTarget)
  if (typeof to !== 'object' || (to as unknown) === null) {
    throw noDestination(JSON.stringify(to) ?? 'undefined')
  }
  if ('caller' in to) {
    if (typeof to.caller !== 'string') throw noDestination(`caller ${String(to.caller)}`)
    return { kind: 'caller', caller: to.caller, text: `caller ${to.caller}` }
  }
  if (!isListenAddress(to)) throw noDestination(addressText(to))
  return { kind: 'address', address: to, text: addressText(to) }
}

function parseText(text: string, nameTarget: (name: string) => NameTarget): Target {
  if (text.startsWith('@') && text.length > 1 && text.length <= NAME_LENGTH_MAX) {
    return nameTarget(text.slice(1))
  }
  const address = tryParseAddress(text)
  if (address !== undefined) return { kind: 'address', address, text }
  if (!/^[#*.]/.test(text)) throw noDestination(text)
  const destination = parseDestination(text) as ManyDestination
  return { kind: 'many', destination, text: destinationText(destination) }
}

const noDestination = (text: string): Error =>
  invalidParameter(
    `${JSON.stringify(text.slice(0, 80))} is no destination: give an address such as 2:64 (1 to 1023 each), @name, or, for one-way calls, #group or *:64`,
  )
