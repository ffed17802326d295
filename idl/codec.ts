import { z } from 'zod'
import { Packer, Unpacker } from './bytes.ts'
import { wireOf } from './compile-wire.ts'
import { plainFromWire, plainToWire } from './plain.ts'
import { scan, VALUE_COUNT_MAX } from './scan.ts'
import { isSdkError, SdkError } from './sdk-error.ts'
import { shapeOf } from './shape-of.ts'
import { shapeSchema } from './shape-schema.ts'
import { pathText, type Shape } from './shape.ts'
import { mismatchText, WireMismatch, type Wire } from './wire.ts'

/** Turns values of one schema into bytes and back. Exact inverses; both ends validate. */
export interface ValueCodec<In = unknown, Out = In> {
  /**
   * The result is a view on a pooled buffer that nobody writes to again: copy it before transferring it to a thread.
   * @throws {SdkError} INVALID_PARAMETER with the path of what does not fit the schema; TOO_BIG.
   */
  encode(value: In): Uint8Array
  /**
   * Reads untrusted bytes. The value shares no memory with them.
   * @throws {SdkError} MESSAGE_ERROR when they are not the codec's; INVALID_PARAMETER with the path when they hold
   * another shape; TOO_BIG.
   */
  decode(bytes: Uint8Array): Out
  /** The wire form, as plain data. */
  readonly shape: Shape
}

/**
 * Makes the codec of one schema.
 * @param place - how errors call the value, for example `Sequence.next input`.
 * @throws {SdkError} INVALID_PARAMETER when a part of the schema has no wire form; the message has its path.
 */
export function makeMethodCodec<S extends z.ZodType>(
  place: string,
  schema: S,
): ValueCodec<z.input<S>, z.output<S>> {
  const shape = shapeOf(place, schema)
  // Made at first use: most methods of most interfaces are never called in a process that knows them.
  let wire: Wire | undefined
  const parse = parser(place, schema)
  return {
    encode: (value) => pack(place, (wire ??= wireOf(shape)), parse(value)),
    decode: (bytes) => parse(read(place, (wire ??= wireOf(shape)), bytes)) as z.output<S>,
    shape,
  }
}

/**
 * Makes a codec from a wire form alone, for programs that do not have the schema: it checks structure, and leaves the
 * rules of the schema to the other end. `shape` may come from a peer.
 * @throws {SdkError} INVALID_PARAMETER when it is no shape.
 */
export function makeShapeCodec(place: string, shape: Shape): ValueCodec {
  const checked = parser(`${place} shape`, shapeSchema)(shape) as Shape
  const wire = wireOf(checked)
  const fitting = (value: unknown): unknown => {
    let fits: boolean
    try {
      fits = wire.matches(value)
    } catch (cause) {
      throw placed(place, cause)
    }
    if (fits) return value
    throw new SdkError('INVALID_PARAMETER', `${place}: the value does not have the shape`)
  }
  return {
    encode: (value) => pack(place, wire, fitting(value)),
    decode: (bytes) => fitting(read(place, wire, bytes)),
    shape: checked,
  }
}

/**
 * Encodes a value without a schema: null, boolean, number, text, 64-bit bigint, Uint8Array, arrays and plain objects.
 * Object members that are undefined are left out.
 * @throws {SdkError} INVALID_PARAMETER with the path of what has no wire form; TOO_BIG when it nests too deep.
 */
export function encodeValue(value: unknown): Uint8Array {
  return checkedSize(packer.pack(plainToWire(value)))
}

/**
 * The inverse of {@link encodeValue}. Reads untrusted bytes; the value shares no memory with them.
 * @throws {SdkError} MESSAGE_ERROR when the bytes are not the codec's; TOO_BIG.
 */
export function decodeValue(bytes: Uint8Array): unknown {
  return plainFromWire(unpacker.unpack(bytes))
}

const packer = new Packer()
const unpacker = new Unpacker()

function pack(place: string, wire: Wire, value: unknown): Uint8Array {
  try {
    return checkedSize(packer.pack(wire.toWire(value)))
  } catch (cause) {
    throw placed(place, cause)
  }
}

function read(place: string, wire: Wire, bytes: Uint8Array): unknown {
  try {
    return wire.fromWire(unpacker.unpack(bytes))
  } catch (cause) {
    if (cause instanceof WireMismatch) {
      throw new SdkError('INVALID_PARAMETER', `${place}: ${mismatchText(cause)}`, {
        context: { place, path: pathText(cause.path) },
      })
    }
    throw placed(place, cause)
  }
}

/** What is written can be read: the reader's bound on the number of values holds for the writer too. */
function checkedSize(bytes: Uint8Array): Uint8Array {
  if (bytes.length > VALUE_COUNT_MAX) scan(bytes)
  return bytes
}

/**
 * Checks values against the schema. A schema in use is compiled: that makes it several times faster, but costs too much
 * at start for the many that are never used.
 */
function parser(place: string, schema: z.ZodType): (value: unknown) => unknown {
  let ready = schema
  let uses = 0
  return (value) => {
    let result: z.ZodSafeParseResult<unknown>
    try {
      uses += 1
      if (uses === USES_BEFORE_COMPILED) ready = z.compile(schema)
      result = ready.safeParse(value)
    } catch (cause) {
      throw placed(place, cause)
    }
    if (result.success) return result.data
    throw invalid(place, result.error)
  }
}

/** Uses of a schema after which it is compiled: more than the first burst that a new active gets. */
const USES_BEFORE_COMPILED = 256

function invalid(place: string, { issues }: z.ZodError): SdkError {
  const path = pathText(issues[0]?.path ?? [])
  const text = `${path === '' ? '' : `${path}: `}${issues[0]?.message ?? 'does not fit'}`
  const more = issues.length > 1 ? ` (and ${issues.length - 1} more)` : ''
  return new SdkError('INVALID_PARAMETER', `${place}: ${text}${more}`, { context: { place, path } })
}

function placed(place: string, cause: unknown): SdkError {
  if (isSdkError(cause)) {
    return new SdkError(cause.code, `${place}: ${cause.message}`, {
      context: { ...cause.context, place },
    })
  }
  if (cause instanceof RangeError) {
    return new SdkError('TOO_BIG', `${place}: the value nests too deep`, { cause })
  }
  const why = cause instanceof Error ? cause.message : String(cause)
  return new SdkError('INVALID_PARAMETER', `${place}: cannot be encoded: ${why}`, { cause })
}
