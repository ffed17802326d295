import { SdkError } from '../../../idl/index.ts'
import { PushIntake } from '../push-queue.ts'
import { type LibraryContext, pushTable, type ServiceLibrary } from '../service.ts'
import { negotiateVersion } from '../version.ts'
import {
  NAME_CONTEXT,
  type NameAttribute,
  type NameChange,
  type NameMapping,
  type NamePriority,
  NamePush,
  NameService,
} from './interface.ts'

const CALL_TIMEOUT_MS = 15_000
const CLOSE_TIMEOUT_MS = 1_000

/** What a component registers. */
export interface NameRegistration {
  /** Id of the context. @defaultValue the default global one */
  readonly context?: number
  /** 1 to 255 characters. In the default global context calls reach it as `@name`. */
  readonly name: string
  /** @defaultValue `MEDIUM` */
  readonly priority?: NamePriority
  /** At most 5, type and value of at most 20 characters. */
  readonly attributes?: readonly NameAttribute[]
  /** What the name stands for, 0 to 2^53 - 1. Left out: the service generates one. */
  readonly objectReference?: number
}

/** What a lookup asks for. */
export interface NameQuery {
  readonly name: string
  /** The entry has all of these. */
  readonly attributes?: readonly NameAttribute[]
  /** Of the context. @defaultValue the default global one's */
  readonly cookie?: number
}

/** Told of each change on this node; `lost`: how many before it were dropped because this component was slow. */
export type NameWatcher = (change: NameChange, lost: number) => void

/**
 * The name service, `clName...` of the original. SAFplus name service, section 13. The flag `name` of `clEoClientLibs`
 * initializes it. A component deregisters by ending, too.
 */
export interface NameClient {
  /**
   * Negotiates the version, and opens the service again after `finalize`.
   * @throws SdkError VERSION_MISMATCH with the supported one in its context.
   */
  initialize(version?: string): { readonly version: string }
  /**
   * Registers, once every node holds it. The same details again change nothing; those of another component add this one
   * to its entry.
   * @returns the object reference.
   * @throws SdkError CONTEXT_NOT_CREATED, LIMIT_EXCEEDED, INVALID_PARAMETER, NOT_INITIALIZED.
   */
  register(registration: NameRegistration): Promise<number>
  /** As `register`, in place of whatever stands under the name, whoever registered it. */
  registerAndOverwrite(registration: NameRegistration): Promise<number>
  /** Everything that this component has registered. */
  componentDeregister(): Promise<void>
  /** @throws SdkError SERVICE_NOT_REGISTERED, CONTEXT_NOT_CREATED. */
  serviceDeregister(request: { readonly context?: number; readonly name: string }): Promise<void>
  /**
   * @returns the id of the context. A context stays until it is deleted.
   * @throws SdkError CONTEXT_ALREADY_CREATED when the cookie has one, LIMIT_EXCEEDED.
   */
  contextCreate(request: {
    readonly type: 'GLOBAL' | 'NODE_LOCAL'
    readonly cookie: number
  }): Promise<number>
  /** With everything in it. @throws SdkError OPERATION_NOT_PERMITTED for a default one, CONTEXT_NOT_CREATED. */
  contextDelete(context: number): Promise<void>
  /** The reference with the highest priority, of equals the first registered. @throws as `objectMappingGet`. */
  objectReferenceGet(query: NameQuery): Promise<number>
  /** The whole entry. @throws SdkError ENTRY_NOT_FOUND, CONTEXT_NOT_CREATED. */
  objectMappingGet(query: NameQuery): Promise<NameMapping>
  /**
   * Tells of each provider that comes or goes, in all contexts of this node, in order. At most 1,024 changes wait for a
   * slow component, then the oldest go. @returns what stops it
   */
  watch(watcher: NameWatcher): Promise<() => Promise<void>>
  /** Deregisters everything and stops watching. @throws SdkError NOT_INITIALIZED the second time. */
  finalize(): Promise<void>
}

/** The component's side of the name service. */
export function nameLibrary(context: LibraryContext): ServiceLibrary<NameClient> {
  const names = new Names(context)
  return {
    client: names,
    pushes: [
      pushTable(NamePush, {
        changed: ({ first, changes }) => {
          names.receive(first, changes)
          return {}
        },
      }),
    ],
    close: () => names.close(),
  }
}

class Names implements NameClient {
  readonly #context: LibraryContext
  readonly #service
  readonly #watchers = new Set<NameWatcher>()
  #intake = new PushIntake()
  #isOpen = true
  #hasRegistered = false

  constructor(context: LibraryContext) {
    this.#context = context
    const options = { to: context.agent, timeoutMs: CALL_TIMEOUT_MS }
    this.#service = context.rmd.client(NameService, options)
  }

  initialize(version: string = NameService.version): { readonly version: string } {
    const negotiated = negotiateVersion('name.initialize', version, NameService.version)
    this.#isOpen = true
    return { version: negotiated }
  }

  register(registration: NameRegistration): Promise<number> {
    return this.#register(registration, false)
  }

  registerAndOverwrite(registration: NameRegistration): Promise<number> {
    return this.#register(registration, true)
  }

  async componentDeregister(): Promise<void> {
    this.#check()
    await this.#service.componentDeregister({})
    this.#hasRegistered = false
  }

  async serviceDeregister(request: {
    readonly context?: number
    readonly name: string
  }): Promise<void> {
    this.#check()
    const { context = NAME_CONTEXT.global, name } = request
    await this.#service.serviceDeregister({ context, name })
  }

  async contextCreate(request: {
    readonly type: 'GLOBAL' | 'NODE_LOCAL'
    readonly cookie: number
  }): Promise<number> {
    this.#check()
    return (await this.#service.contextCreate({ ...request })).context
  }

  async contextDelete(context: number): Promise<void> {
    this.#check()
    await this.#service.contextDelete({ context })
  }

  async objectReferenceGet(query: NameQuery): Promise<number> {
    return (await this.objectMappingGet(query)).objectReference
  }

  async objectMappingGet(query: NameQuery): Promise<NameMapping> {
    this.#check()
    const { name, attributes = [], cookie = NAME_CONTEXT.global } = query
    return this.#service.lookup({ cookie, name, attributes: [...attributes] })
  }

  async watch(watcher: NameWatcher): Promise<() => Promise<void>> {
    this.#check()
    // Each one is a watcher of its own, even when the function is the same.
    const own: NameWatcher = (change, lost) => watcher(change, lost)
    this.#watchers.add(own)
    if (this.#watchers.size === 1) {
      this.#intake = new PushIntake()
      await this.#service.watch({})
    }
    return async () => {
      if (this.#watchers.delete(own) && this.#watchers.size === 0) await this.#service.unwatch({})
    }
  }

  async finalize(): Promise<void> {
    this.#check()
    this.#isOpen = false
    await this.#leave(CALL_TIMEOUT_MS)
  }

  /** The process ends: what is registered goes a little earlier than by its end. */
  async close(): Promise<void> {
    if (!this.#isOpen) return
    this.#isOpen = false
    await this.#leave(CLOSE_TIMEOUT_MS)
  }

  receive(first: number, changes: readonly NameChange[]): void {
    const { fresh, lost } = this.#intake.take(first, changes)
    for (const [index, change] of fresh.entries()) {
      for (const watcher of this.#watchers) this.#tell(watcher, change, index === 0 ? lost : 0)
    }
  }

  #tell(watcher: NameWatcher, change: NameChange, lost: number): void {
    try {
      watcher(change, lost)
    } catch (err) {
      this.#context.log.error({ err, change }, 'a watcher of names failed')
    }
  }

  async #register(registration: NameRegistration, overwrite: boolean): Promise<number> {
    this.#check()
    const { context = NAME_CONTEXT.global, name, priority = 'MEDIUM' } = registration
    const { attributes = [], objectReference = null } = registration
    this.#hasRegistered = true
    const registered = await this.#service.register({
      context,
      name,
      priority,
      attributes: [...attributes],
      objectReference,
      overwrite,
    })
    return registered.objectReference
  }

  async #leave(timeoutMs: number): Promise<void> {
    const options = { timeoutMs }
    if (this.#watchers.size > 0) await this.#service.unwatch({}, options)
    this.#watchers.clear()
    if (this.#hasRegistered) await this.#service.componentDeregister({}, options)
    this.#hasRegistered = false
  }

  #check(): void {
    if (this.#isOpen) return
    throw new SdkError('NOT_INITIALIZED', 'the name service was finalized: initialize it first')
  }
}
