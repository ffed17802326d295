import { IOC_PORT, type Rmd } from '../../../ioc/index.ts'
import type { Provider } from './operations.ts'

type Owner = Provider['owner']
type PresenceListener = Parameters<Rmd['onPresence']>[0]

export interface GoneProvidersOptions {
  readonly onPresence: (listener: PresenceListener) => () => void
  /** The life of a node process in the present view. */
  readonly lifeOf: (node: number) => string | undefined
  /** Providers of this life of a node went, or are there after all. */
  readonly changed: (life: string) => void
}

/**
 * Providers that this node knows to be gone, though the order has not said so yet: it may have to wait for another
 * leader first. With it no lookup finds somebody longer than until the notice of his end.
 */
export class GoneProviders {
  readonly #options: GoneProvidersOptions
  /** Caller ids of own components whose end is being told. */
  readonly #ended = new Set<string>()
  /** Lives of node processes whose connection is gone, with its caller id. */
  readonly #away = new Map<string, string>()
  readonly #stopPresence: () => void

  constructor(options: GoneProvidersOptions) {
    this.#options = options
    this.#stopPresence = options.onPresence((event) => this.#presence(event))
  }

  readonly isThere = ({ eo, life }: Owner): boolean => !this.#ended.has(eo) && !this.#away.has(life)

  ended(eo: string): void {
    this.#ended.add(eo)
  }

  /** The order has said it. */
  ordered(eo: string): void {
    this.#ended.delete(eo)
  }

  keepNodes(lives: ReadonlySet<string>): void {
    for (const life of this.#away.keys()) if (!lives.has(life)) this.#away.delete(life)
  }

  close(): void {
    this.#stopPresence()
  }

  #presence({ kind, address, caller }: Parameters<PresenceListener>[0]): void {
    if (address.port !== IOC_PORT.agent) return
    if (kind === 'death') {
      const life = this.#options.lifeOf(address.node)
      if (life === undefined) return
      this.#away.set(life, caller)
      this.#options.changed(life)
      return
    }
    // The same process is connected again: it was the connection that had ended.
    for (const [life, of] of this.#away) {
      if (of !== caller) continue
      this.#away.delete(life)
      this.#options.changed(life)
    }
  }
}
