import { decodeValue, encodeValue } from './codec.ts'
import { isSdkError, SdkError } from './sdk-error.ts'

/** An error as it travels between processes. No stack crosses. */
export interface WireError {
  readonly code: string
  readonly message: string
  readonly context: Readonly<Record<string, unknown>>
  /** Who raised it, for people: `sequence1 on node1`. Empty when unknown. */
  readonly origin: string
  readonly mayHaveRun: boolean
}

/** Characters of a message that cross at most; the rest is cut. */
const MESSAGE_LENGTH_MAX = 4_096
/** Bytes of a context that cross at most; a larger one is left out and says so. */
const CONTEXT_SIZE_BYTES_MAX = 16_384

/**
 * Makes the travelling form of anything that was thrown. What is no {@link SdkError} is a bug of a handler and becomes
 * `HANDLER_FAILED` with the message of the error and without its stack.
 */
export function toWireError(error: unknown, origin = ''): WireError {
  if (isSdkError(error)) {
    const first = typeof error.context['origin'] === 'string' ? error.context['origin'] : ''
    return {
      code: error.code,
      message: cut(error.message),
      context: travelling(error.context),
      origin: first === '' ? origin : first,
      mayHaveRun: error.mayHaveRun,
    }
  }
  const message = error instanceof Error ? `${error.name}: ${error.message}` : printed(error)
  return { code: 'HANDLER_FAILED', message: cut(message), context: {}, origin, mayHaveRun: false }
}

/** Revives an error of another process. Its `context.origin` says whose it is, where that is known. */
export function fromWireError(wire: WireError): SdkError {
  const context = wire.origin === '' ? wire.context : { ...wire.context, origin: wire.origin }
  return new SdkError(wire.code, wire.message, { context, mayHaveRun: wire.mayHaveRun })
}

/** The bytes of a {@link WireError}. */
export function encodeWireError(wire: WireError): Uint8Array {
  return encodeValue([wire.code, wire.message, wire.context, wire.origin, wire.mayHaveRun])
}

/**
 * The inverse of {@link encodeWireError}. Codes that are not known here survive; what a newer peer adds is ignored.
 * @throws {SdkError} MESSAGE_ERROR when the bytes are no error.
 */
export function decodeWireError(bytes: Uint8Array): WireError {
  const wire = decodeValue(bytes)
  const [code, message, context, origin, mayHaveRun] = Array.isArray(wire)
    ? (wire as unknown[])
    : []
  if (
    typeof code !== 'string' ||
    typeof message !== 'string' ||
    typeof origin !== 'string' ||
    typeof context !== 'object' ||
    context === null ||
    Array.isArray(context)
  ) {
    throw new SdkError('MESSAGE_ERROR', 'not the bytes of an error')
  }
  return {
    code,
    message,
    context: context as Record<string, unknown>,
    origin,
    mayHaveRun: mayHaveRun === true,
  }
}

function travelling(context: Readonly<Record<string, unknown>>): Readonly<Record<string, unknown>> {
  const out: Record<string, unknown> = {}
  let size = 0
  for (const [key, value] of Object.entries(context)) {
    if (key === 'origin' || value === undefined) continue
    try {
      size += encodeValue({ [key]: value }).length
      out[key] = value
    } catch {
      const text = cut(printed(value))
      size += key.length + text.length
      out[key] = text
    }
  }
  return size <= CONTEXT_SIZE_BYTES_MAX ? out : { contextLeftOutBytes: size }
}

function printed(value: unknown): string {
  try {
    return String(value)
  } catch {
    return typeof value
  }
}

/** Cut to the bound, and without halves of surrogate pairs, so that it always encodes. */
function cut(text: string): string {
  const short = text.length > MESSAGE_LENGTH_MAX ? `${text.slice(0, MESSAGE_LENGTH_MAX)}...` : text
  return (short as string & { toWellFormed(): string }).toWellFormed()
}
