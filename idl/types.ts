import { z } from 'zod'

/**
 * The 17 elementary types of SAFplus IDL as schemas. Numbers of 64 bits are bigint; the wire form is that of this SDK,
 * not XDR. SAFplus IDL, section 6.2.
 */

export type Bytes = Uint8Array
const bytes = z.instanceof(Uint8Array)

/** Bytes, at most or exactly so many. */
export function clBytes(
  limit: { readonly length?: number; readonly max?: number } = {},
): z.ZodType<Bytes, Bytes> {
  const { length, max } = limit
  // Checks that say their bound, so that releases of an interface can be compared.
  if (length !== undefined) return bytes.check(z.length(length, `must be ${length} bytes`))
  if (max === undefined) return bytes
  return bytes.check(z.maxLength(max, `must be at most ${max} bytes`))
}

const unsigned = (bits: number): z.ZodInt =>
  z
    .int()
    .min(0)
    .max(2 ** bits - 1)
const signed = (bits: number): z.ZodInt =>
  z
    .int()
    .min(-(2 ** (bits - 1)))
    .max(2 ** (bits - 1) - 1)

export const ClInt8T = signed(8)
export const ClUint8T = unsigned(8)
export const ClCharT = signed(8)
export const ClInt16T = signed(16)
export const ClUint16T = unsigned(16)
export const ClInt32T = signed(32)
export const ClUint32T = unsigned(32)
export const ClInt64T = z
  .bigint()
  .min(-(2n ** 63n))
  .max(2n ** 63n - 1n)
export const ClUint64T = z
  .bigint()
  .min(0n)
  .max(2n ** 64n - 1n)
/** A machine word: 32 bits on the wire. */
export const ClWordT = unsigned(32)
/** A handle: an unsigned number of 64 bits. */
export const ClHandleT = z
  .bigint()
  .min(0n)
  .max(2n ** 64n - 1n)
/** Text of at most 256 bytes. */
export const ClNameT = z
  .string()
  .max(256)
  .refine((text) => new TextEncoder().encode(text).byteLength <= 256, 'at most 256 bytes')
/** Text of any length, or none. */
export const ClStringT = z.string().nullable()
export const ClVersionT = z.strictObject({
  releaseCode: ClUint8T,
  majorVersion: ClUint8T,
  minorVersion: ClUint8T,
})
export const ClMD5T = clBytes({ length: 16 })
/** Blocks of a larger area, each by its index. */
export const ClDataVectorT = z.array(z.strictObject({ index: ClUint32T, data: bytes }))
/** What changed of an area: the digest of each of its blocks, and the blocks that differ. */
export const ClDifferenceVectorT = z.strictObject({
  digests: z.array(ClMD5T),
  blocks: ClDataVectorT,
})

/** By name, as IDL files write them. */
export const CL_TYPES = {
  ClInt8T,
  ClUint8T,
  ClCharT,
  ClInt16T,
  ClUint16T,
  ClInt32T,
  ClUint32T,
  ClInt64T,
  ClUint64T,
  ClWordT,
  ClHandleT,
  ClNameT,
  ClStringT,
  ClVersionT,
  ClMD5T,
  ClDataVectorT,
  ClDifferenceVectorT,
} as const satisfies Record<string, z.ZodType>
