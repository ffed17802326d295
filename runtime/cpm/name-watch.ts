import type { NameEntry, NameResolver } from '../../ioc/index.ts'
import { NameTable } from './name-table.ts'

/** News about names as an agent sends them. */
export interface NameNews {
  readonly names: readonly NameEntry[]
  /** False only before the agent heard of the first director. */
  readonly complete: boolean
  /** It is the whole table: names that it lacks are gone. */
  readonly whole: boolean
}

/** The name table of one process, kept up to date by an agent: what RMD resolves `@name` with. */
export class NameWatch implements NameResolver {
  readonly ready: Promise<void>
  readonly #table = new NameTable()
  readonly #listeners = new Set<(entry: NameEntry) => void>()
  #becomeReady: () => void = () => undefined
  #isComplete = false

  constructor() {
    this.ready = new Promise((resolve) => {
      this.#becomeReady = resolve
    })
  }

  get isComplete(): boolean {
    return this.#isComplete
  }

  lookup(name: string): NameEntry | undefined {
    return this.#table.get(name)
  }

  entryOfCsi(csi: string): NameEntry | undefined {
    return this.#table.entryOfCsi(csi)
  }

  onChange(listener: (entry: NameEntry) => void): () => void {
    this.#listeners.add(listener)
    return () => {
      this.#listeners.delete(listener)
    }
  }

  /** Takes the answer of `namesWatch`, or a `namesChanged`. */
  receive(news: NameNews): void {
    const changed = this.#table.apply(news.names, news.whole)
    if (news.complete && !this.#isComplete) {
      this.#isComplete = true
      this.#becomeReady()
    }
    for (const entry of changed) for (const listener of this.#listeners) listener(entry)
  }
}
