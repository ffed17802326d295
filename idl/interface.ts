import type { z } from 'zod'
import { makeMethodCodec, type ValueCodec } from './codec.ts'
import { SdkError } from './sdk-error.ts'
import { versionNumber } from './version.ts'

/** Services of one table: a service id has six bits. SAFplus EO, section 3.7. */
export const SERVICE_ID_MAX = 63
/** Client ids 0 to 19 belong to the platform; the first id a user may choose is 20. */
export const USER_CLIENT_ID_MIN = 20

/** One method as its author writes it. `input` and `output` are zod schemas; the wire form follows from them. */
export interface MethodSpec<I extends z.ZodType = z.ZodType, O extends z.ZodType = z.ZodType> {
  /** 0 to 63, stable for the life of the interface. */
  readonly serviceId: number
  readonly input: I
  readonly output: O
  /** True: the method may answer without confirming that its component still holds the role. */
  readonly staleReads?: boolean
  /**
   * True: the method answers with a stream of values of `output`. Its function is an async generator (or gives any
   * iterable), a client gets an `AsyncIterable`.
   */
  readonly stream?: boolean
  /**
   * Version of the interface in which the method got its present form: callers ask for that, so that a new caller gets
   * on with an old callee that has it, and older callers are refused. @defaultValue the interface's version for
   * callers; none for callees: every lower major of the release is served
   */
  readonly since?: string
}

export type MethodSpecs = Readonly<Record<string, MethodSpec>>

/** What {@link defineInterface} is given. */
export interface InterfaceSpec<M extends MethodSpecs> {
  readonly name: string
  /** 0: the component's own table; 1 to 19 reserved for the platform; 20 and above: user tables. */
  readonly clientId: number
  /** `release.major.minor`, for example `B.1.1`. */
  readonly version: string
  readonly methods: M
}

/** One method, ready to use: codecs included. */
export interface Method<I extends z.ZodType = z.ZodType, O extends z.ZodType = z.ZodType> {
  readonly name: string
  readonly serviceId: number
  /** `client id << 6 | service id`. */
  readonly functionNumber: number
  readonly staleReads: boolean
  readonly since: string | null
  readonly stream: boolean
  readonly input: ValueCodec<z.input<I>, z.output<I>>
  readonly output: ValueCodec<z.input<O>, z.output<O>>
}

/** A named, versioned table of methods, shared by caller and callee. */
export interface Interface<M extends MethodSpecs = MethodSpecs> {
  readonly name: string
  readonly clientId: number
  readonly version: string
  readonly spec: M
  readonly methods: { readonly [K in keyof M]: Method<M[K]['input'], M[K]['output']> }
}

/** Functions that implement an interface. `C` is the call context that the runtime hands over. */
export type HandlersOf<M extends MethodSpecs, C = unknown> = {
  readonly [K in keyof M]: (
    input: z.output<M[K]['input']>,
    call: C,
  ) => M[K] extends { readonly stream: true }
    ? AsyncIterable<z.input<M[K]['output']>> | Iterable<z.input<M[K]['output']>>
    : z.input<M[K]['output']> | Promise<z.input<M[K]['output']>>
}

/** A typed client of an interface. `O` is the type of the per-call options. */
export type ClientOf<M extends MethodSpecs, O = unknown> = {
  readonly [K in keyof M]: (
    input: z.input<M[K]['input']>,
    options?: O,
  ) => M[K] extends { readonly stream: true }
    ? AsyncIterableIterator<z.output<M[K]['output']>>
    : Promise<z.output<M[K]['output']>>
}

/** A client whose calls are all one-way: there is no output to wait for, and so no stream. */
export type OneWayClientOf<M extends MethodSpecs, O = unknown> = {
  readonly [K in keyof M as M[K] extends { readonly stream: true } ? never : K]: (
    input: z.input<M[K]['input']>,
    options?: O,
  ) => Promise<void>
}

const NAME = /^[A-Za-z][A-Za-z0-9_]{0,63}$/
const VERSION = /^[A-Z]\.\d{1,3}\.\d{1,3}$/
/** Function numbers are 32 bits: 26 are left for the client id. */
const CLIENT_ID_MAX = 0x3ff_ffff

/**
 * Makes an interface that caller and callee share. Everything is checked here, nothing at the first call.
 * @throws {SdkError} INVALID_PARAMETER naming the place: a name that is no identifier, a version that is not
 * `R.M.m`, ids out of bounds or given twice, a schema without a wire form.
 * @example
 * const Sequence = defineInterface({
 *   name: 'Sequence', clientId: 20, version: 'B.1.1',
 *   methods: { next: { serviceId: 0, input: z.strictObject({ count: z.int() }), output: z.int() } },
 * })
 */
export function defineInterface<const M extends MethodSpecs>(spec: InterfaceSpec<M>): Interface<M> {
  const { name, clientId, version } = spec
  check(NAME.test(name), `interface ${JSON.stringify(name)}`, 'the name must be an identifier')
  check(
    Number.isInteger(clientId) && clientId >= 0 && clientId <= CLIENT_ID_MAX,
    `${name}.clientId`,
    `must be an integer from 0 to ${CLIENT_ID_MAX}, not ${String(clientId)}`,
  )
  check(
    VERSION.test(version),
    `${name}.version`,
    `must be release.major.minor such as B.1.1, not ${JSON.stringify(version)}`,
  )
  const taken = new Map<number, string>()
  const methods: Record<string, Method> = {}
  for (const [method, methodSpec] of Object.entries(spec.methods)) {
    const place = `${name}.${method}`
    const { serviceId } = methodSpec
    check(NAME.test(method), place, 'the name must be an identifier')
    check(
      Number.isInteger(serviceId) && serviceId >= 0 && serviceId <= SERVICE_ID_MAX,
      `${place}.serviceId`,
      `must be an integer from 0 to ${SERVICE_ID_MAX}, not ${String(serviceId)}`,
    )
    const other = taken.get(serviceId)
    check(other === undefined, `${place}.serviceId`, `${serviceId} is taken by ${String(other)}`)
    taken.set(serviceId, method)
    methods[method] = {
      name: method,
      serviceId,
      functionNumber: clientId * 64 + serviceId,
      staleReads: methodSpec.staleReads ?? false,
      stream: methodSpec.stream ?? false,
      since: sinceOf(place, spec, methodSpec),
      input: makeMethodCodec(`${place} input`, methodSpec.input),
      output: makeMethodCodec(`${place} output`, methodSpec.output),
    }
  }
  return Object.freeze({
    name,
    clientId,
    version,
    spec: spec.methods,
    methods: Object.freeze(methods) as Interface<M>['methods'],
  })
}

function sinceOf(
  place: string,
  { version }: InterfaceSpec<MethodSpecs>,
  { since }: MethodSpec,
): string | null {
  if (since === undefined) return null
  check(
    VERSION.test(since) &&
      since[0] === version[0] &&
      versionNumber(since) <= versionNumber(version),
    `${place}.since`,
    `must be a version of release ${version[0]} up to ${version}, not ${JSON.stringify(since)}`,
  )
  return since
}

function check(holds: boolean, place: string, why: string): asserts holds {
  if (holds) return
  throw new SdkError('INVALID_PARAMETER', `${place}: ${why}`, { context: { place } })
}
