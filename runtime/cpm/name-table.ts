import type { NameEntry } from '../../ioc/index.ts'

/**
 * What every logical name stands for, as far as this process was told. A core.
 *
 * I1 The epoch of a name never goes back: news that is older than what is known is dropped. I2 Names are never
 * forgotten: the model does not change under a running cluster.
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

  /** Takes news in and returns the entries that changed by it. */
  apply(entries: readonly NameEntry[]): NameEntry[] {
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
}

function isSame(a: NameEntry, b: NameEntry): boolean {
  return (
    a.epoch === b.epoch &&
    a.csi === b.csi &&
    a.address?.node === b.address?.node &&
    a.address?.port === b.address?.port
  )
}
