import { SdkError } from '../../../idl/index.ts'
import {
  NAME_CONTEXT,
  NAME_LIMITS,
  type NameAttribute,
  type NameChange,
  type NameMapping,
  type NamePriority,
} from './interface.ts'
import type { NameOperation, NamesSnapshot, Provider } from './operations.ts'

interface Entry {
  readonly name: string
  readonly attributes: readonly NameAttribute[]
  readonly objectReference: number
  readonly isGenerated: boolean
  /** In the order in which they registered. */
  providers: Provider[]
}

interface Context {
  readonly id: number
  readonly cookie: number
  readonly entries: Map<string, Entry[]>
}

/** Which contexts a content has, and where its numbers begin: those of two contents never meet. */
export interface NameContentOptions {
  readonly defaultContext: number
  /** Context ids count up from here. */
  readonly firstContext: number
  /** Generated references count up from here. */
  readonly firstReference: number
}

type Register = Extract<NameOperation, { kind: 'register' }>

/** What is looked for: an entry that has all of these attributes. */
export interface NameLookup {
  readonly cookie: number
  readonly name: string
  readonly attributes: readonly NameAttribute[]
}

const RANK: Readonly<Record<NamePriority, number>> = { LOW: 0, MEDIUM: 1, HIGH: 2 }

/**
 * All contexts of one kind: the global ones, or those of one node. A core: the same operations in the same order give
 * the same content everywhere. SAFplus name service, section 13.
 *
 * I1 An operation that throws has changed nothing. I2 A component has at most one life in the content: what an earlier
 * one registered goes first. I3 No entry is without a provider.
 */
export class NameContent {
  readonly #options: NameContentOptions
  readonly #contexts = new Map<number, Context>()
  /** The life of each component that registered last. */
  readonly #lives = new Map<string, string>()
  #nextContext: number
  #nextReference: number
  #nextOrder = 1
  #providerCount = 0
  #changes: NameChange[] = []

  constructor(options: NameContentOptions) {
    this.#options = options
    this.#nextContext = options.firstContext
    this.#nextReference = options.firstReference
    this.#addDefault()
  }

  has(context: number): boolean {
    return this.#contexts.has(context)
  }

  hasCookie(cookie: number): boolean {
    return this.#byCookie(cookie) !== undefined
  }

  /** What changed since it was last asked, in order. */
  takeChanges(): readonly NameChange[] {
    return this.#changes.splice(0)
  }

  /** @returns the object reference of `register`, the id of `contextCreate`, else 0. @throws SdkError */
  apply(operation: NameOperation): number {
    switch (operation.kind) {
      case 'register':
        return this.#register(operation)
      case 'serviceDeregister':
        return this.#serviceDeregister(operation)
      case 'componentDeregister':
        this.#remove('COMPONENT_DEREGISTER', ({ owner }) => owner.component === operation.component)
        return 0
      case 'ended':
        this.#remove('COMPONENT_DEATH', ({ owner }) => owner.eo === operation.eo)
        return 0
      case 'contextCreate':
        return this.#contextCreate(operation.cookie)
      case 'contextDelete':
        return this.#contextDelete(operation.context)
    }
  }

  /** Lives of node processes that are there: what components of others provided is gone. */
  keepNodes(lives: ReadonlySet<string>): void {
    this.#remove('NODE_DEREGISTER', ({ owner }) => !lives.has(owner.life))
  }

  /**
   * @param isThere - leaves out providers that are known to be gone, though the order has not said so yet.
   * @throws SdkError CONTEXT_NOT_CREATED, ENTRY_NOT_FOUND.
   */
  lookup(
    { cookie, name, attributes }: NameLookup,
    isThere: (owner: Provider['owner']) => boolean = everybody,
  ): NameMapping {
    const context = this.#byCookie(cookie)
    if (context === undefined) throw noContext(`with the cookie ${cookie}`)
    const entries = (context.entries.get(name) ?? []).filter((entry) =>
      contains(entry.attributes, attributes),
    )
    const found = best(entries, isThere)
    if (found === undefined) {
      const wanted = attributes.map(({ type, value }) => ` ${type}=${value}`).join('')
      throw new SdkError('ENTRY_NOT_FOUND', `nothing is registered as ${name}${wanted}`)
    }
    const { entry } = found
    const present = entry.providers.filter(({ owner }) => isThere(owner))
    const providers = present.toSorted(byPreference)
    return {
      name,
      objectReference: entry.objectReference,
      attributes: [...entry.attributes],
      providers: providers.map(({ owner, address, priority }) => ({
        component: owner.component,
        address,
        priority,
      })),
    }
  }

  /** Where calls to a name of the default context go; null: nowhere. */
  addressOf(
    name: string,
    isThere: (owner: Provider['owner']) => boolean = everybody,
  ): Provider['address'] | null {
    const context = this.#contexts.get(this.#options.defaultContext)
    return best(context?.entries.get(name) ?? [], isThere)?.provider.address ?? null
  }

  /** Names of the default context that somebody of these provides. */
  namesOf(isOne: (owner: Provider['owner']) => boolean): readonly string[] {
    const context = this.#contexts.get(this.#options.defaultContext)
    return [...(context?.entries ?? [])].flatMap(([name, entries]) =>
      entries.some(({ providers }) => providers.some(({ owner }) => isOne(owner))) ? [name] : [],
    )
  }

  /** Names of the default context. */
  names(): readonly string[] {
    return [...(this.#contexts.get(this.#options.defaultContext)?.entries.keys() ?? [])]
  }

  snapshot(): NamesSnapshot {
    const contexts = [...this.#contexts.values()].map(({ id, cookie, entries }) => ({
      id,
      cookie,
      entries: [...entries.values()].flat().map((entry) => ({
        ...entry,
        attributes: [...entry.attributes],
      })),
    }))
    const next = [this.#nextContext, this.#nextReference, this.#nextOrder]
    return { next, contexts }
  }

  /** Replaces the content. What differs from the former one is told as changes. */
  restore({ next, contexts }: NamesSnapshot): void {
    const before = this.#providers()
    this.#contexts.clear()
    this.#lives.clear()
    this.#providerCount = 0
    const [context = 0, reference = 0, order = 0] = next
    this.#nextContext = context
    this.#nextReference = reference
    this.#nextOrder = order
    for (const { id, cookie, entries } of contexts) {
      const made: Context = { id, cookie, entries: new Map() }
      this.#contexts.set(id, made)
      for (const entry of entries) {
        this.#providerCount += entry.providers.length
        append(made, { ...entry })
        for (const { owner } of entry.providers) this.#lives.set(owner.component, owner.eo)
      }
    }
    const now = this.#providers()
    for (const [key, change] of before) {
      if (!now.has(key)) this.#changes.push({ ...change, kind: 'COMPONENT_DEATH' })
    }
    for (const [key, change] of now) if (!before.has(key)) this.#changes.push(change)
  }

  #providers(): Map<string, NameChange> {
    const providers = new Map<string, NameChange>()
    for (const { id, entries } of this.#contexts.values()) {
      for (const entry of [...entries.values()].flat()) {
        const { name, attributes, objectReference } = entry
        for (const { owner } of entry.providers) {
          const { component, eo } = owner
          const key = JSON.stringify([id, name, attributes, objectReference, eo])
          providers.set(key, { kind: 'REGISTER', context: id, name, objectReference, component })
        }
      }
    }
    return providers
  }

  #register(operation: Register): number {
    const { owner, name, attributes, priority, address } = operation
    const context = this.#context(operation.context)
    if (this.#providerCount >= NAME_LIMITS.providerCount && !this.#holds(context, operation)) {
      throw new SdkError(
        'LIMIT_EXCEEDED',
        `${NAME_LIMITS.providerCount} registrations are there already`,
      )
    }
    if ((this.#lives.get(owner.component) ?? owner.eo) !== owner.eo) {
      this.#remove('COMPONENT_DEATH', (one) => one.owner.component === owner.component)
    }
    this.#lives.set(owner.component, owner.eo)
    if (operation.overwrite) {
      this.#remove('SERVICE_DEREGISTER', () => true, { context, name })
    }
    const known = findSame(context, operation)
    if (known?.providers.some((one) => one.owner.eo === owner.eo) === true) {
      return known.objectReference
    }
    const entry = known ?? {
      name,
      attributes,
      objectReference: operation.objectReference ?? this.#nextReference++,
      isGenerated: operation.isGenerated,
      providers: [],
    }
    if (known === undefined) append(context, entry)
    entry.providers.push({ owner, address, priority, order: this.#nextOrder++ })
    this.#providerCount++
    this.#note('REGISTER', context, entry, owner.component)
    return entry.objectReference
  }

  #holds(context: Context, operation: Register): boolean {
    const same = findSame(context, operation)
    return same?.providers.some((one) => one.owner.eo === operation.owner.eo) === true
  }

  #serviceDeregister(operation: Extract<NameOperation, { kind: 'serviceDeregister' }>): number {
    const { component, name } = operation
    const context = this.#context(operation.context)
    const isOwn = ({ owner }: Provider): boolean => owner.component === component
    if (this.#remove('SERVICE_DEREGISTER', isOwn, { context, name }) === 0) {
      const message = `${component} has not registered ${name} in this context`
      throw new SdkError('SERVICE_NOT_REGISTERED', message)
    }
    return 0
  }

  #contextCreate(cookie: number): number {
    if (cookie === NAME_CONTEXT.global || cookie === NAME_CONTEXT.nodeLocal) throw taken(cookie)
    if (this.hasCookie(cookie)) throw taken(cookie)
    if (this.#contexts.size >= NAME_LIMITS.contextCount) {
      const message = `${NAME_LIMITS.contextCount} contexts are there already`
      throw new SdkError('LIMIT_EXCEEDED', message)
    }
    const id = this.#nextContext++
    this.#contexts.set(id, { id, cookie, entries: new Map() })
    return id
  }

  #contextDelete(id: number): number {
    if (id === this.#options.defaultContext) {
      throw new SdkError('OPERATION_NOT_PERMITTED', 'a default context cannot be deleted')
    }
    const context = this.#context(id)
    this.#remove('CONTEXT_DELETE', () => true, { context })
    this.#contexts.delete(id)
    return 0
  }

  /** @returns how many providers went. */
  #remove(
    kind: NameChange['kind'],
    isGone: (provider: Provider) => boolean,
    where: { readonly context?: Context; readonly name?: string } = {},
  ): number {
    let count = 0
    const contexts = where.context === undefined ? this.#contexts.values() : [where.context]
    for (const context of contexts) {
      const { entries } = context
      const names = where.name === undefined ? [...entries.keys()] : [where.name]
      for (const name of names) {
        for (const entry of entries.get(name) ?? []) {
          const gone = entry.providers.filter(isGone)
          if (gone.length === 0) continue
          count += gone.length
          entry.providers = entry.providers.filter((one) => !gone.includes(one))
          for (const { owner } of gone) this.#note(kind, context, entry, owner.component)
        }
        const left = entries.get(name)?.filter(({ providers }) => providers.length > 0) ?? []
        if (left.length === 0) entries.delete(name)
        else entries.set(name, left)
      }
    }
    this.#providerCount -= count
    return count
  }

  #note(kind: NameChange['kind'], context: Context, entry: Entry, component: string): void {
    const { name, objectReference } = entry
    this.#changes.push({ kind, context: context.id, name, objectReference, component })
  }

  #context(id: number): Context {
    const context = this.#contexts.get(id)
    if (context === undefined) throw noContext(String(id))
    return context
  }

  #byCookie(cookie: number): Context | undefined {
    for (const context of this.#contexts.values()) if (context.cookie === cookie) return context
    return undefined
  }

  #addDefault(): void {
    const id = this.#options.defaultContext
    this.#contexts.set(id, { id, cookie: id, entries: new Map() })
  }
}

function append(context: Context, entry: Entry): void {
  const entries = context.entries.get(entry.name)
  if (entries === undefined) context.entries.set(entry.name, [entry])
  else entries.push(entry)
}

/** The entry that has the same details. Whoever asks for a generated reference gets the one that is there. */
function findSame(context: Context, operation: Register): Entry | undefined {
  const { name, attributes, objectReference } = operation
  return context.entries
    .get(name)
    ?.find(
      (entry) =>
        (objectReference === null
          ? entry.isGenerated
          : entry.objectReference === objectReference) &&
        entry.attributes.length === attributes.length &&
        contains(entry.attributes, attributes),
    )
}

function contains(has: readonly NameAttribute[], wanted: readonly NameAttribute[]): boolean {
  return wanted.every(({ type, value }) =>
    has.some((one) => one.type === type && one.value === value),
  )
}

const everybody = (): boolean => true

function best(
  entries: readonly Entry[],
  isThere: (owner: Provider['owner']) => boolean,
): { readonly entry: Entry; readonly provider: Provider } | undefined {
  const all = entries.flatMap((entry) =>
    entry.providers.filter(({ owner }) => isThere(owner)).map((provider) => ({ entry, provider })),
  )
  const [first, ...others] = all
  if (first === undefined) return undefined
  return others.reduce((a, b) => (byPreference(a.provider, b.provider) <= 0 ? a : b), first)
}

function byPreference(a: Provider, b: Provider): number {
  return RANK[b.priority] - RANK[a.priority] || a.order - b.order
}

function noContext(which: string): SdkError {
  return new SdkError('CONTEXT_NOT_CREATED', `there is no context ${which}`)
}

function taken(cookie: number): SdkError {
  return new SdkError('CONTEXT_ALREADY_CREATED', `the cookie ${cookie} has a context already`)
}
