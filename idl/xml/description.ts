/** What IDL files say, as plain data with every reference resolved. SAFplus IDL, section 6.1. */
export interface IdlDescription {
  /** Types in an order in which each comes after those that it is made of, where that is possible. */
  readonly types: readonly IdlNamedType[]
  readonly ports: readonly IdlPort[]
  /** What was read and has no counterpart here. */
  readonly notes: readonly IdlNote[]
}

export interface IdlPlace {
  readonly file: string
  readonly line: number
}

export interface IdlNote {
  readonly place: IdlPlace
  readonly text: string
}

/** How many elements: exactly `length`; null: any number, or `max` at most. */
export interface IdlLength {
  readonly length: number | null
  readonly max?: number
}

/** A type where it is used. */
export type IdlType =
  | { readonly kind: 'elementary'; readonly name: string }
  | { readonly kind: 'named'; readonly name: string }
  | { readonly kind: 'nullable'; readonly inner: IdlType }
  | ({ readonly kind: 'array'; readonly item: IdlType } & IdlLength)
  /** An array of characters or 8-bit numbers. */
  | ({ readonly kind: 'bytes' } & IdlLength)

export interface IdlMember {
  readonly name: string
  readonly type: IdlType
}

export interface IdlNamedType {
  /** Unique: of several versions the newest has the plain name, older ones end in `_5_0_0`. */
  readonly name: string
  readonly place: IdlPlace
  readonly body:
    | { readonly kind: 'enum'; readonly members: ReadonlyMap<string, number> }
    | { readonly kind: 'struct' | 'union'; readonly members: readonly IdlMember[] }
}

export interface IdlOperation {
  readonly name: string
  readonly place: IdlPlace
  /** Position in the port: 0 to 63. */
  readonly serviceId: number
  /** `B.major.minor` of the original's `major.minor.0`. */
  readonly version: string
  readonly mode: 'sync' | 'async' | 'both'
  readonly input: readonly IdlMember[]
  readonly output: readonly IdlMember[]
}

/** One function table at one version: the newest has every operation, older ones what was superseded. */
export interface IdlPort {
  readonly name: string
  readonly place: IdlPlace
  readonly clientId: number
  readonly version: string
  readonly operations: readonly IdlOperation[]
}
