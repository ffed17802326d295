import type { z } from 'zod'
import { makeMethodCodec, type ValueCodec } from './codec.ts'

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
  ) => z.input<M[K]['output']> | Promise<z.input<M[K]['output']>>
}

/** A typed client of an interface. `O` is the type of the per-call options. */
export type ClientOf<M extends MethodSpecs, O = unknown> = {
  readonly [K in keyof M]: (
    input: z.input<M[K]['input']>,
    options?: O,
  ) => Promise<z.output<M[K]['output']>>
}
