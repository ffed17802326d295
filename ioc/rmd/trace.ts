import { randomBytes } from 'node:crypto'
import { invalidParameter } from '../errors.ts'

/**
 * Trace context of a call: the text of a W3C Trace Context `traceparent` of version 00, such as
 * `00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01`: trace id, id of the span that caused the call, flags. RMD
 * carries it and hands it on as it is, since it records no spans of its own. On the wire a request with the flag
 * `trace` starts with the 25 bytes of these three; one without it pays nothing.
 */

const SIZE_BYTES = 25
const ID_DIGITS = 32
const SPAN_END = 48
const SHAPE = /^00-(?!0{32})[0-9a-f]{32}-(?!0{16})[0-9a-f]{16}-[0-9a-f]{2}$/

/** A trace that begins here, sampled: for the first call of a chain. */
export const newTrace = (): string => textOf(`${randomBytes(SIZE_BYTES - 1).toString('hex')}01`)

/** @throws SdkError INVALID_PARAMETER */
export function checkTrace(trace: string | undefined): void {
  if (trace === undefined || SHAPE.test(trace)) return
  const shown = JSON.stringify(String(trace).slice(0, 80))
  throw invalidParameter(`trace is ${shown}: give a W3C traceparent of version 00, or newTrace()`)
}

/** The content of a request that carries a trace. */
export function encodeTraced(trace: string, payload: Uint8Array): Uint8Array {
  const content = new Uint8Array(SIZE_BYTES + payload.length)
  content.set(Buffer.from(trace.slice(3).replaceAll('-', ''), 'hex'))
  content.set(payload, SIZE_BYTES)
  return content
}

/** Splits what {@link encodeTraced} put together; undefined when there is no trace in it. */
export function trySplitTraced(
  content: Uint8Array,
): { readonly trace: string; readonly payload: Uint8Array } | undefined {
  if (content.length < SIZE_BYTES) return undefined
  const { buffer, byteOffset } = content
  const trace = textOf(Buffer.from(buffer, byteOffset, SIZE_BYTES).toString('hex'))
  return SHAPE.test(trace) ? { trace, payload: content.subarray(SIZE_BYTES) } : undefined
}

const textOf = (hex: string): string =>
  `00-${hex.slice(0, ID_DIGITS)}-${hex.slice(ID_DIGITS, SPAN_END)}-${hex.slice(SPAN_END)}`
