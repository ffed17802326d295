import type { Findings, Place } from './findings.ts'

/** One value of an attribute as the source spells it. */
export interface SourceValue {
  readonly text: string
  readonly line: number
}

/**
 * One object of a source with its attributes. Whoever turns it into a model takes each attribute by what it should be;
 * what nobody took is noted at the end (`noteRest`), so that nothing is dropped in silence.
 */
export class SourceObject implements Place {
  /** Class and name, for people. */
  readonly label: string
  readonly file: string
  readonly line: number
  readonly #values = new Map<string, SourceValue[]>()
  /** Values of attributes that the object itself does not have. */
  readonly #defaults: ReadonlyMap<string, readonly SourceValue[]>
  readonly #taken = new Set<string>()
  readonly #findings: Findings

  constructor(
    label: string,
    place: Place,
    context: {
      readonly findings: Findings
      readonly defaults?: ReadonlyMap<string, readonly SourceValue[]>
    },
  ) {
    this.label = label
    this.file = place.file
    this.line = place.line
    this.#findings = context.findings
    this.#defaults = context.defaults ?? new Map<string, readonly SourceValue[]>()
  }

  put(attribute: string, value: SourceValue): void {
    const known = this.#values.get(attribute)
    if (known) known.push(value)
    else this.#values.set(attribute, [value])
  }

  /** Every value that is not empty. */
  all(attribute: string): readonly string[] {
    return this.values(attribute).map(({ text }) => text)
  }

  /** As `all`, each with its line. */
  values(attribute: string): readonly SourceValue[] {
    this.#taken.add(attribute)
    const values = this.#values.get(attribute) ?? this.#defaults.get(attribute) ?? []
    return values.filter(({ text }) => text !== '')
  }

  /** The only value; several of them are an error. */
  text(attribute: string): string | undefined {
    const values = this.all(attribute)
    if (values.length > 1) {
      this.error(
        attribute,
        `has ${String(values.length)} values (${values.join(' and ')}); keep one`,
      )
    }
    return values[0]
  }

  /** A whole number, decimal or hexadecimal. */
  int(attribute: string, { min = 0, max = 1_000_000 } = {}): number | undefined {
    const text = this.text(attribute)
    if (text === undefined) return undefined
    const value = /^(\d+|0x[0-9a-f]+)$/i.test(text) ? Number(text) : Number.NaN
    if (!Number.isSafeInteger(value)) {
      this.error(attribute, `"${text}" is no number`)
      return undefined
    }
    return this.#within(attribute, value, { min, max })
  }

  /** A time in units of which `perMs` make a millisecond. */
  ms(attribute: string, { perMs = 1, min = 0, max = HOUR_MS } = {}): number | undefined {
    const value = this.int(attribute, { max: Number.MAX_SAFE_INTEGER })
    return value === undefined
      ? undefined
      : this.#within(attribute, Math.round(value / perMs), { min, max, unit: ' ms' })
  }

  /** One of the words or numbers of `table`; others are an error that lists them. */
  choice<T>(attribute: string, table: Readonly<Record<string, T>>): T | undefined {
    const text = this.text(attribute)
    if (text === undefined) return undefined
    const key = /^0x[0-9a-f]+$/i.test(text) ? String(Number(text)) : text
    if (Object.hasOwn(table, key)) return table[key]
    const known = Object.keys(table).join(', ')
    this.error(attribute, `"${text}" is none of its values; known: ${known}`)
    return undefined
  }

  /** 0 or 1, also spelled false or true. */
  flag(attribute: string): boolean | undefined {
    return this.choice(attribute, { 0: false, 1: true, false: false, true: true })
  }

  /** Takes attributes that have no counterpart for a known reason. */
  without(reason: string, attributes: readonly string[]): void {
    for (const attribute of attributes) {
      if (this.values(attribute).length > 0) this.note(attribute, reason)
    }
  }

  /** Takes attributes that say nothing a model could carry. */
  skip(...attributes: readonly string[]): void {
    for (const attribute of attributes) this.#taken.add(attribute)
  }

  /** Notes every attribute that nobody took. */
  noteRest(): void {
    for (const [attribute, values] of this.#values) {
      if (this.#taken.has(attribute) || values.every(({ text }) => text === '')) continue
      this.note(attribute, `has no counterpart (${values.map(({ text }) => text).join(', ')})`)
    }
  }

  note(attribute: string | null, message: string): void {
    this.#add('note', attribute, message)
  }

  error(attribute: string | null, message: string): void {
    this.#add('error', attribute, message)
  }

  get attributes(): readonly string[] {
    return [...this.#values.keys()]
  }

  #within(
    attribute: string,
    value: number,
    { min, max, unit = '' }: { min: number; max: number; unit?: string },
  ): number {
    const kept = Math.min(max, Math.max(min, value))
    if (kept !== value) {
      const bound = kept === min ? 'the least' : 'the most'
      this.note(
        attribute,
        `${String(value)}${unit} becomes ${String(kept)}${unit}: ${bound} that a model takes`,
      )
    }
    return kept
  }

  #add(level: 'note' | 'error', attribute: string | null, message: string): void {
    const line = attribute === null ? undefined : this.#values.get(attribute)?.[0]?.line
    const place = { file: this.file, line: line ?? this.line }
    this.#findings.add({ ...place, level, object: this.label, attribute, message })
  }
}

const HOUR_MS = 3_600_000

/** The first value that is given. Both are read by then, so that neither is noted as left out. */
export function either<T>(own: T | undefined, otherwise: T | undefined): T | undefined {
  return own ?? otherwise
}
