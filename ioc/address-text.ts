import type { IocAddress } from './address.ts'
import { ADDRESS_NUMBER_MAX } from './frame.ts'

/** Text form of an address: `2:64`. */
export const addressText = (address: IocAddress): string => `${address.node}:${address.port}`

/** One number for an address, for tables. */
export const addressKey = (address: IocAddress): number => address.node * 1024 + address.port

/** True for an address that a program can listen at: node and port 1 to 1023. SAFplus IOC, section 4.1. */
export const isListenAddress = (address: IocAddress): boolean =>
  isAddressNumber(address.node) && isAddressNumber(address.port)

/** Reads `2:64`; undefined when the text is not an address. */
export function tryParseAddress(text: string): IocAddress | undefined {
  const match = /^(\d{1,4}):(\d{1,4})$/.exec(text)
  if (match === null) return undefined
  const address = { node: Number(match[1]), port: Number(match[2]) }
  return isListenAddress(address) ? address : undefined
}

/** True for 1 to 1023: a node or a port. */
export const isAddressNumber = (value: number): boolean =>
  Number.isInteger(value) && value >= 1 && value <= ADDRESS_NUMBER_MAX
