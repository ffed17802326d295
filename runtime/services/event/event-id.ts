import { SdkError } from '../../../idl/index.ts'

/** Bits of the counter; the node stands above them. */
const COUNTER_BITS = 52n

/**
 * The id of an event, 64 bits, unique in the cluster: node, then a counter that each life of a node process begins at
 * the microseconds since 1970.
 */
export function eventIdOf(node: number, counter: number): bigint {
  return (BigInt(node) << COUNTER_BITS) | BigInt(counter)
}

/** @throws SdkError INVALID_PARAMETER for what is no id. */
export function partsOfEventId(id: bigint): { node: number; counter: number } {
  const isId = typeof id === 'bigint' && id >= 0n && id < 1n << 64n
  if (!isId) throw new SdkError('INVALID_PARAMETER', `${String(id)} is no event id`)
  const node = id >> COUNTER_BITS
  return { node: Number(node), counter: Number(id & ((1n << COUNTER_BITS) - 1n)) }
}
