import type { NameEntry, NameResolver } from '../../ioc/index.ts'
import { NameTable } from './name-table.ts'
import { RegisteredNames, type RegisteredNamesNews } from './registered-names.ts'

/** News about names as an agent sends them. */
export interface NameNews {
  readonly names: readonly NameEntry[]
  /** False only before the agent heard of the first director. */
  readonly complete: boolean
  /** It is the whole table: names that it lacks are gone. */
  readonly whole: boolean
  /** Left out while no component has registered a name. */
  readonly registered?: RegisteredNamesNews | undefined
}

/**
 * The names of one process, kept up to date by agents: what RMD resolves `@name` with. A name that a component
 * registered comes before a CSI's.
 */
export class NameWatch implements NameResolver {
  readonly ready: Promise<void>
  readonly #table = new NameTable()
  readonly #registered = new RegisteredNames()
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
    const address = this.#registered.get(name)
    return address === undefined ? this.#table.get(name) : registeredEntry(name, address)
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
    const changed = new Set(this.#table.apply(news.names, news.whole).map(({ name }) => name))
    for (const name of news.registered ? this.#registered.apply(news.registered) : []) {
      changed.add(name)
    }
    if (news.complete && !this.#isComplete) {
      this.#isComplete = true
      this.#becomeReady()
    }
    for (const name of changed) {
      const entry = this.lookup(name) ?? registeredEntry(name, null)
      for (const listener of this.#listeners) listener(entry)
    }
  }
}

/** Nobody grants a registered name: it has no epoch. */
function registeredEntry(name: string, address: NameEntry['address']): NameEntry {
  return { name, csi: '', address, epoch: 0 }
}
