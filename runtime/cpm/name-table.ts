import type { NameEntry } from '../../ioc/index.ts'

/**
 * What every logical name stands for, as far as this process was told. A core.
 *
 * I1 The epoch of a name never goes back: news that is older than what is known is dropped. I2 A name
 * is forgotten only when a whole table lacks it: the model has it no more.
 */
export class NameTable {
  readonly #byName = new Map<string, NameEntry>()
  readonly #byCsi = new Map<string, NameEntry>()

  get(name: string): NameEntry | undefined {
    return this.#byName.get(name)
  }

  entryOfCsi(csi: string): NameEntry | undefined {
    return this.#byCsi.get(csi)
  }

  get size(): number {
    return this.#byName.size
  }

  /** Takes news in and returns the entries that changed by it. `isWhole`: what it lacks is gone. */
  apply(entries: readonly NameEntry[], isWhole = false): NameEntry[] {
    if (isWhole) this.#keepOnly(new Set(entries.map(({ name }) => name)))
    const changed: NameEntry[] = []
    for (const entry of entries) {
      const known = this.#byName.get(entry.name)
      if (known !== undefined && (entry.epoch < known.epoch || isSame(entry, known))) continue
      this.#byName.set(entry.name, entry)
      this.#byCsi.set(entry.csi, entry)
      changed.push(entry)
    }
    return changed
  }

  #keepOnly(names: ReadonlySet<string>): void {
    for (const [name, { csi }] of this.#byName) {
      if (names.has(name)) continue
      this.#byName.delete(name)
      if (this.#byCsi.get(csi)?.name === name) this.#byCsi.delete(csi)
    }
  }
}

function isSame(a: NameEntry, b: NameEntry): boolean {
  return (
    a.epoch === b.epoch &&
    a.csi === b.csi &&
    a.address?.node === b.address?.node &&
    a.address?.port === b.address?.port
  )
}
