import type { Leader } from '../backplane.ts'

/**
 * What the store knows about the leadership. The highest term ever given, and who has or had it.
 */
export interface LeaderRecord extends Leader {
  /** True: the leader gave the leadership up by itself; its process may go on. */
  readonly released: boolean
}

/**
 * First byte of everything in the store. A later format adds a number and keeps reading the older
 * ones.
 */
export const FORMAT_VERSION = 1

/** Version byte, then JSON. */
export function encodeLeaderRecord(record: LeaderRecord): Uint8Array {
  const json = new TextEncoder().encode(JSON.stringify(record))
  const bytes = new Uint8Array(1 + json.length)
  bytes[0] = FORMAT_VERSION
  bytes.set(json, 1)
  return bytes
}

/** The exact inverse of {@link encodeLeaderRecord}; undefined for bytes that are no such record. */
export function tryDecodeLeaderRecord(bytes: Uint8Array): LeaderRecord | undefined {
  if (bytes[0] !== FORMAT_VERSION) return undefined
  let value: unknown
  try {
    value = JSON.parse(new TextDecoder().decode(bytes.subarray(1)))
  } catch {
    return undefined
  }
  const { node, term, released, process } = (value ?? {}) as Partial<LeaderRecord>
  if (typeof node !== 'string' || !Number.isSafeInteger(term) || process == null) return undefined
  const { pid, startTime, bootId } = process
  if (!Number.isSafeInteger(pid) || !Number.isSafeInteger(startTime)) return undefined
  return {
    node,
    term: term as number,
    process: { pid, startTime, bootId: String(bootId) },
    released: released === true,
  }
}

/** True when nothing about the leadership changed between the two readings. */
export function sameRecord(a: LeaderRecord | null, b: LeaderRecord | null): boolean {
  if (a === null || b === null) return a === b
  return a.term === b.term && a.node === b.node && a.released === b.released
}
