import type { Logger } from 'pino'
import type { NameEntry } from '../../ioc/index.ts'
import { RegisteredNames, type RegisteredNamesNews } from '../../runtime/internal.ts'
import { DIRECTOR_NAME, NameTable } from '../director/name-table.ts'
import type { CallbackClient } from './component-ports.ts'

/** Watchers at most: one a component or client of this node; one more is refused by the caller of `watch`. */
export const WATCHER_COUNT_MAX = 4_096
const RETRY_DELAY_MS = 50
/** Who watches every node has heard from another agent when this time is over. */
const ECHO_AFTER_MS = 20

export interface AgentNamesOptions {
  readonly callbacks: (caller: string) => CallbackClient
  readonly log: Logger
}

/** This node's copy of the name table, and the programs that are told of each change. */
export class AgentNames {
  readonly #table = new NameTable()
  readonly #registered = new RegisteredNames()
  readonly #watchers = new Map<string, Watcher>()
  readonly #options: AgentNamesOptions
  #complete = false
  /** Names that those who watch everywhere are still to be told of, in case nobody else could. */
  readonly #echoes = new Set<string>()
  #echoTimer: NodeJS.Timeout | undefined
  readonly #retries = new Set<NodeJS.Timeout>()

  constructor(options: AgentNamesOptions) {
    this.#options = options
  }

  get entries(): NameEntry[] {
    return this.#table.entries
  }

  /** What components registered; undefined when nothing ever was. */
  get registered(): RegisteredNamesNews | undefined {
    return this.#registered.whole()
  }

  /** False until a director was heard: before that an unknown name may exist. */
  get isComplete(): boolean {
    return this.#complete
  }

  get watcherCount(): number {
    return this.#watchers.size
  }

  /** @param everywhere - it watches every node: most of what changes it hears from another one as well. */
  watch(caller: string, { everywhere }: { readonly everywhere: boolean }): void {
    this.#watchers.set(caller, { client: this.#options.callbacks(caller), everywhere })
  }

  forget(caller: string): void {
    this.#watchers.delete(caller)
  }

  /** The director's whole table. */
  replace(entries: readonly NameEntry[]): void {
    const first = !this.#complete
    this.#complete = true
    if (this.#table.replace(entries) || first) this.#push(this.#table.entries, true)
  }

  /** @param isEcho - another agent tells those who watch everywhere at once. */
  merge(entries: readonly NameEntry[], { isEcho }: { readonly isEcho: boolean }): void {
    const changed = this.#table.merge(entries)
    if (changed.length === 0) return
    if (isEcho) this.#echo(changed)
    this.#push(changed, false, { isEcho })
  }

  /** News of the name service. */
  register(news: RegisteredNamesNews): void {
    if (this.#registered.apply(news).length > 0) this.#push([], false, { registered: news })
  }

  /** The director is gone: callers of its name wait for the next one instead of failing. */
  directorLost(): void {
    const entry = this.#table.get(DIRECTOR_NAME)
    if (entry?.address) this.merge([{ ...entry, address: null }], { isEcho: false })
  }

  close(): void {
    for (const timer of this.#retries) clearTimeout(timer)
    clearTimeout(this.#echoTimer)
    this.#watchers.clear()
  }

  #push(
    names: NameEntry[],
    whole: boolean,
    more: { readonly registered?: RegisteredNamesNews; readonly isEcho?: boolean } = {},
  ): void {
    const news = { names, whole, registered: more.registered }
    for (const [caller, { client, everywhere }] of this.#watchers) {
      if (more.isEcho !== true || !everywhere) this.#send(caller, client, news)
    }
  }

  /** In a failover the word of every agent would wake every client, at the expense of the new active. */
  #echo(changed: readonly NameEntry[]): void {
    for (const { name } of changed) this.#echoes.add(name)
    this.#echoTimer ??= setTimeout(() => {
      this.#echoTimer = undefined
      const names = [...this.#echoes].flatMap((name) => this.#table.get(name) ?? [])
      this.#echoes.clear()
      for (const [caller, { client, everywhere }] of this.#watchers) {
        if (everywhere) this.#send(caller, client, { names, whole: false, registered: undefined })
      }
    }, ECHO_AFTER_MS)
  }

  /** A watcher that cannot take a message now gets the whole table a little later: it must never miss a change. */
  #send(caller: string, client: CallbackClient, news: AgentNews): void {
    const table = { ...news, complete: this.#complete, whole: news.whole && this.#complete }
    client.namesChanged(table, { oneWay: true }).catch((err: unknown) => {
      if (!this.#watchers.has(caller)) return
      this.#options.log.debug({ err, caller }, 'names not pushed; the whole table follows')
      const timer = setTimeout(() => {
        this.#retries.delete(timer)
        const { entries: names, registered } = this
        if (this.#watchers.has(caller))
          this.#send(caller, client, { names, whole: true, registered })
      }, RETRY_DELAY_MS)
      this.#retries.add(timer)
    })
  }
}

interface Watcher {
  readonly client: CallbackClient
  readonly everywhere: boolean
}

interface AgentNews {
  readonly names: NameEntry[]
  readonly whole: boolean
  readonly registered: RegisteredNamesNews | undefined
}
