import { headerOf, parseKey } from './section-value.ts'

/** Which sections there are, in order of their ids, how many bytes they have, and which of them end. Pure. */
export class SectionIndex {
  readonly #ids = new Set<string>()
  /** In order; made when it is asked for first. */
  #sorted: string[] | null = null
  readonly #ending = new Map<string, number>()
  #sizeBytes = 0

  get count(): number {
    return this.#ids.size
  }

  /** Bytes of all sections, as their owners see them. */
  get sizeBytes(): number {
    return this.#sizeBytes
  }

  get hasEnding(): boolean {
    return this.#ending.size > 0
  }

  /** A value is another one from now on; other keys than those of sections are left alone. */
  changed(key: string, before: Uint8Array | null, value: Uint8Array | null): void {
    const parsed = parseKey(key)
    if (parsed === null || parsed.piece !== null) return
    const { id } = parsed
    if (before !== null) this.#sizeBytes -= headerOf(before).size
    if (value === null) {
      this.#remove(id)
      return
    }
    const { size, expiresAtMs } = headerOf(value)
    this.#sizeBytes += size
    if (expiresAtMs === Infinity) this.#ending.delete(id)
    else this.#ending.set(id, expiresAtMs)
    this.#add(id)
  }

  has(id: string): boolean {
    return this.#ids.has(id)
  }

  /** Ids after one, in order, the first when it is null. */
  *after(id: string | null): Generator<string> {
    const sorted = (this.#sorted ??= [...this.#ids].sort())
    for (let at = id === null ? 0 : firstAfter(sorted, id); at < sorted.length; at++) {
      const next = sorted[at]
      if (next !== undefined) yield next
    }
  }

  /** Sections whose time has come. */
  ended(nowMs: number, countMax: number): string[] {
    const ended: string[] = []
    for (const [id, atMs] of this.#ending) {
      if (atMs > nowMs) continue
      ended.push(id)
      if (ended.length === countMax) break
    }
    return ended
  }

  #add(id: string): void {
    if (this.#ids.has(id)) return
    this.#ids.add(id)
    if (this.#sorted !== null) this.#sorted.splice(firstAfter(this.#sorted, id), 0, id)
  }

  #remove(id: string): void {
    this.#ending.delete(id)
    if (!this.#ids.delete(id) || this.#sorted === null) return
    this.#sorted.splice(firstAfter(this.#sorted, id) - 1, 1)
  }
}

/** Place of the first id behind this one. */
function firstAfter(sorted: readonly string[], id: string): number {
  let low = 0
  let high = sorted.length
  while (low < high) {
    const middle = (low + high) >>> 1
    if ((sorted[middle] ?? '') <= id) low = middle + 1
    else high = middle
  }
  return low
}
