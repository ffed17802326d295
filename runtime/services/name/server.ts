import { type HandlersOf, SdkError } from '../../../idl/index.ts'
import { type IncomingCall, systemClock } from '../../../ioc/index.ts'
import type { RegisteredNamesNews } from '../../cpm/registered-names.ts'
import type { Dispatcher } from '../dispatcher.ts'
import { PushQueue } from '../push-queue.ts'
import type { OrderMember, Position } from '../replicated/interface.ts'
import type { MessageMeta, Replicated } from '../replicated/replicated.ts'
import type { NodeService, ServiceHost } from '../service.ts'
import { Telling } from '../telling.ts'
import { NAME_CONTEXT, type NameChange, NamePush, NameService } from './interface.ts'
import { GoneProviders } from './gone-providers.ts'
import { NameContent } from './name-content.ts'
import {
  globalNamesCodec,
  type NameOperation,
  operationCodec,
  type Provider,
} from './operations.ts'

const CHANGE_COUNT_MAX = 1_024
const PUSH_TIMEOUT_MS = 10_000
const REFERENCE_STEP = 2 ** 40
const FIRST_LOCAL_CONTEXT = 0x4000_0000

type Register = Extract<NameOperation, { kind: 'register' }>

/** The name service of one node process. */
export function nameServer(host: ServiceHost): NodeService {
  return new NameServer(host)
}

class NameServer implements NodeService, Replicated {
  readonly topic = 'name'
  readonly replicated = this
  readonly #host: ServiceHost
  readonly #global = new NameContent({
    defaultContext: NAME_CONTEXT.global,
    firstContext: 1,
    firstReference: REFERENCE_STEP,
  })
  readonly #local: NameContent
  /** Where the last change of the global content stands in the order. */
  #revision = 0
  readonly #watchers = new Map<string, PushQueue<NameChange>>()
  /** What living components of this node have registered in global contexts, by their callers. */
  readonly #own = new Map<string, Register[]>()
  readonly #telling: Telling<NameOperation>
  readonly #gone: GoneProviders

  constructor(host: ServiceHost) {
    this.#host = host
    this.#telling = new Telling((operation) => this.#submit(operation), host.log)
    this.#gone = new GoneProviders({
      onPresence: (listener) => host.rmd.onPresence(listener),
      lifeOf: (node) => host.members().find((member) => member.node === node)?.life,
      changed: (life) => this.#publishOf((owner) => owner.life === life),
    })
    this.#local = new NameContent({
      defaultContext: NAME_CONTEXT.nodeLocal,
      firstContext: FIRST_LOCAL_CONTEXT,
      firstReference: (host.nodeId + 1) * REFERENCE_STEP,
    })
  }

  // --- the order ---

  apply(payload: Uint8Array, { at }: MessageMeta): number {
    const operation = operationCodec.decode(payload)
    const result = this.#global.apply(operation)
    if (operation.kind === 'ended') this.#gone.ordered(operation.eo)
    this.#globalChanged(at)
    return result
  }

  viewChanged(members: readonly OrderMember[], at: Position): void {
    const lives = new Set(members.map(({ life }) => life))
    this.#global.keepNodes(lives)
    this.#gone.keepNodes(lives)
    this.#globalChanged(at)
  }

  snapshot(): Uint8Array {
    return globalNamesCodec.encode({ revision: this.#revision, content: this.#global.snapshot() })
  }

  restore(bytes: Uint8Array): void {
    const { revision, content } = globalNamesCodec.decode(bytes)
    this.#global.restore(content)
    this.#revision = revision
    this.#tell(this.#global.takeChanges())
    this.#publish(true, this.#global.names())
  }

  #globalChanged({ term, sequence }: Position): void {
    const changes = this.#global.takeChanges()
    if (changes.length === 0) return
    this.#revision = term * 2 ** 32 + sequence
    this.#tell(changes)
    const names = changes.flatMap(({ context, name }) =>
      context === NAME_CONTEXT.global ? name : [],
    )
    this.#publish(false, new Set(names))
  }

  /** What these provide leads elsewhere now. */
  #publishOf(isOne: (owner: Provider['owner']) => boolean): void {
    this.#publish(false, this.#global.namesOf(isOne))
  }

  #publish(whole: boolean, names: Iterable<string>): void {
    const news: RegisteredNamesNews = {
      revision: this.#revision,
      whole,
      names: [...names].map((name) => ({
        name,
        address: this.#global.addressOf(name, this.#gone.isThere),
      })),
    }
    if (whole || news.names.length > 0) this.#host.namesRegistered(news)
  }

  // --- components of this node ---

  install(dispatcher: Dispatcher): void {
    dispatcher.install(NameService, this.#handlers())
  }

  callerGone(caller: string): void {
    this.#watchers.get(caller)?.close()
    this.#watchers.delete(caller)
    if (!this.#own.delete(caller)) return
    this.#changeLocal({ kind: 'ended', eo: caller })
    this.#gone.ended(caller)
    this.#publishOf((owner) => owner.eo === caller)
    this.#telling.tell({ kind: 'ended', eo: caller })
  }

  entered(): void {
    this.#telling.again()
    for (const operation of [...this.#own.values()].flat()) {
      this.#submit({ ...operation, overwrite: false }).catch((err: unknown) => {
        const { name } = operation
        this.#host.log.error({ err, name }, 'a name is not registered again')
      })
    }
  }

  close(): Promise<void> {
    this.#telling.close()
    this.#gone.close()
    for (const queue of this.#watchers.values()) queue.close()
    return Promise.resolve()
  }

  #handlers(): HandlersOf<(typeof NameService)['spec'], IncomingCall> {
    return {
      register: (request, call) => this.#register(request, call),
      serviceDeregister: async ({ context, name }, call) => {
        const { component } = this.#owner(call)
        await this.#change(context, { kind: 'serviceDeregister', context, name, component })
        this.#keep(call.caller, (one) => one.context !== context || one.name !== name)
        return {}
      },
      componentDeregister: async (_, call) => {
        const { component } = this.#owner(call)
        this.#changeLocal({ kind: 'componentDeregister', component })
        await this.#submit({ kind: 'componentDeregister', component })
        this.#keep(call.caller, () => false)
        return {}
      },
      contextCreate: async ({ type, cookie }) => {
        if (this.#local.hasCookie(cookie) || this.#global.hasCookie(cookie)) {
          const message = `the cookie ${cookie} has a context already`
          throw new SdkError('CONTEXT_ALREADY_CREATED', message)
        }
        const operation = { kind: 'contextCreate', cookie } as const
        const isLocal = type === 'NODE_LOCAL'
        const made = isLocal ? this.#changeLocal(operation) : await this.#submit(operation)
        return { context: made }
      },
      contextDelete: async ({ context }) => {
        await this.#change(context, { kind: 'contextDelete', context })
        for (const caller of this.#own.keys()) this.#keep(caller, (one) => one.context !== context)
        return {}
      },
      lookup: (query) => {
        const content = this.#local.hasCookie(query.cookie) ? this.#local : this.#global
        return content.lookup(query, this.#gone.isThere)
      },
      watch: (_, call) => {
        this.#owner(call)
        this.#watchers.get(call.caller)?.close()
        this.#watchers.set(call.caller, this.#watcher(call.caller))
        return {}
      },
      unwatch: (_, call) => {
        this.#watchers.get(call.caller)?.close()
        this.#watchers.delete(call.caller)
        return {}
      },
    }
  }

  async #register(
    request: Omit<Register, 'kind' | 'isGenerated' | 'owner' | 'address'>,
    call: IncomingCall,
  ): Promise<{ objectReference: number }> {
    const owner = this.#owner(call)
    const isGenerated = request.objectReference === null
    const address = { node: call.source.node, port: call.source.port }
    const operation: Register = { kind: 'register', ...request, isGenerated, owner, address }
    // From here on its end has to be told.
    if (!this.#own.has(call.caller)) this.#own.set(call.caller, [])
    const objectReference = await this.#change(request.context, operation)
    if (!this.#local.has(request.context)) {
      this.#keep(call.caller, (one) => !isSame(one, { ...operation, objectReference }))
      this.#own.get(call.caller)?.push({ ...operation, objectReference })
    }
    return { objectReference }
  }

  #owner({ caller }: IncomingCall): Provider['owner'] {
    const component = this.#host.componentOf(caller)
    if (component !== null) return { component, eo: caller, life: this.#host.self.life }
    throw new SdkError('OP_NOT_PERMITTED', 'names are for components of this node')
  }

  #keep(caller: string, isKept: (operation: Register) => boolean): void {
    const own = this.#own.get(caller)
    if (own !== undefined) this.#own.set(caller, own.filter(isKept))
  }

  #change(context: number, operation: NameOperation): Promise<number> {
    if (!this.#local.has(context)) return this.#submit(operation)
    return Promise.resolve(this.#changeLocal(operation))
  }

  #changeLocal(operation: NameOperation): number {
    const result = this.#local.apply(operation)
    this.#tell(this.#local.takeChanges())
    return result
  }

  async #submit(operation: NameOperation): Promise<number> {
    return (await this.#host.submit(this.topic, operationCodec.encode(operation))) as number
  }

  #watcher(caller: string): PushQueue<NameChange> {
    const push = this.#host.rmd.client(NamePush, { to: { caller }, timeoutMs: PUSH_TIMEOUT_MS })
    return new PushQueue<NameChange>({
      countMax: CHANGE_COUNT_MAX,
      send: (first, changes) => push.changed({ first, changes: [...changes] }),
      clock: systemClock,
    })
  }

  #tell(changes: readonly NameChange[]): void {
    for (const queue of this.#watchers.values()) for (const change of changes) queue.push(change)
  }
}

function isSame(a: Register, b: Register): boolean {
  return a.context === b.context && a.name === b.name && a.objectReference === b.objectReference
}
