/** A value that a literal or an enum may have. */
export type LiteralValue = string | number | bigint | boolean | null

/** One member of an object shape. */
export interface MemberShape {
  readonly name: string
  readonly shape: Shape
  /** The member may be left out. */
  readonly optional: boolean
}

/**
 * The wire form of a schema as plain data: what two programs must agree on to understand each other's bytes. It follows
 * from a zod schema alone and has no validation rules in it.
 *
 * | kind | bytes (msgpack) |
 * |---|---|
 * | `null` `void` | nil |
 * | `boolean` `number` `string` | themselves; integers of 32 bits as integers, other numbers as float64, -0 as 0 |
 * | `bigint` | int64 or uint64 when it fits, else its decimal text |
 * | `date` | milliseconds since 1970 as a number |
 * | `bytes` | bin |
 * | `literal` | the value itself |
 * | `plain` | `[value]`, objects as maps with text keys; undefined as nil |
 * | `array` `set` `tuple` | array |
 * | `map` `record` | array: key, value, key, value, ... |
 * | `object` | array of the members in the order of the schema; those left out at the end are cut |
 * | `optional` | nil when missing, else the value, wrapped as `[value]` where the value itself may be nil |
 * | `nullable` | nil for null, else the same way |
 * | `union` | the value itself where its msgpack type tells the option, else `[index of the option, value]` |
 * | `choice` | discriminated union: `[discriminator, other members ...]` |
 */
export type Shape =
  | { readonly kind: 'null' | 'void' | 'boolean' | 'number' | 'string' | 'bigint' | 'date' }
  | { readonly kind: 'bytes' | 'plain' }
  | { readonly kind: 'literal'; readonly values: readonly LiteralValue[] }
  | { readonly kind: 'array' | 'set'; readonly item: Shape }
  | { readonly kind: 'tuple'; readonly items: readonly Shape[]; readonly rest: Shape | null }
  | { readonly kind: 'map'; readonly key: Shape; readonly value: Shape }
  | { readonly kind: 'record'; readonly value: Shape }
  | {
      readonly kind: 'object'
      /** In the order of the schema, which is the order on the wire. New optional members go to the end. */
      readonly members: readonly MemberShape[]
      /** Members beyond the known ones: refused when true, ignored when false. */
      readonly strict: boolean
    }
  | { readonly kind: 'optional' | 'nullable'; readonly inner: Shape }
  | { readonly kind: 'union'; readonly options: readonly Shape[] }
  | {
      readonly kind: 'choice'
      readonly key: string
      readonly options: readonly {
        readonly values: readonly LiteralValue[]
        readonly shape: Shape
      }[]
    }
  /** A shape that contains itself: `ref` stands for the `recursive` one of that name around it. */
  | { readonly kind: 'recursive'; readonly name: string; readonly inner: Shape }
  | { readonly kind: 'ref'; readonly name: string }

/** `records[0].writes[1]`: a path into a value, for messages. */
export function pathText(path: readonly PropertyKey[]): string {
  return path.reduce<string>((text, key) => {
    if (typeof key === 'number') return `${text}[${key}]`
    return text === '' ? String(key) : `${text}.${String(key)}`
  }, '')
}
