import type { NameEntry } from '../../ioc/index.ts'

/** Logical name of the director's management interface: callers reach it as `@amf`. */
export const DIRECTOR_NAME = 'amf'
/** Stands in a name entry where the CSI of a component would be: the director is no component. */
export const DIRECTOR_CSI = '@amf'

/**
 * Who is behind each logical name, in the order in which changes came. Core: the director keeps one as the truth, each
 * agent keeps a copy.
 */
export class NameTable {
  readonly #entries = new Map<string, NameEntry>()

  get entries(): NameEntry[] {
    return [...this.#entries.values()]
  }

  get(name: string): NameEntry | undefined {
    return this.#entries.get(name)
  }

  /** @returns whether anything changed. */
  set(entry: NameEntry): boolean {
    const known = this.#entries.get(entry.name)
    if (known !== undefined && sameEntry(known, entry)) return false
    this.#entries.set(entry.name, entry)
    return true
  }

  /** Forgets names that are not to be known any more. @returns whether there was one. */
  keepOnly(isKnown: (name: string) => boolean): boolean {
    const gone = [...this.#entries.keys()].filter((name) => !isKnown(name))
    for (const name of gone) this.#entries.delete(name)
    return gone.length > 0
  }

  /** Takes changed entries in. @returns those that really differ. */
  merge(entries: readonly NameEntry[]): NameEntry[] {
    return entries.filter((entry) => this.set(entry))
  }

  /** Takes a whole table in: names that it lacks are gone. @returns whether anything changed. */
  replace(entries: readonly NameEntry[]): boolean {
    const wanted = new Set(entries.map((entry) => entry.name))
    const changed = this.keepOnly((name) => wanted.has(name))
    return this.merge(entries).length > 0 || changed
  }
}

function sameEntry(a: NameEntry, b: NameEntry): boolean {
  return (
    a.csi === b.csi &&
    a.epoch === b.epoch &&
    a.address?.node === b.address?.node &&
    a.address?.port === b.address?.port
  )
}
