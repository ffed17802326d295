import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { pino } from 'pino'
import {
  createRmd,
  IOC_PORT,
  memoryTransport,
  openPort,
  type IncomingCall,
  type Rmd,
} from '../../../ioc/index.ts'
import { NameWatch } from '../../../runtime/cpm/name-watch.ts'
import { RegisteredNames } from '../../../runtime/cpm/registered-names.ts'
import {
  type CheckpointServer,
  type CheckpointStreams,
  createCheckpointServer,
} from '../../../runtime/services/checkpoint/server.ts'
import { Dispatcher } from '../../../runtime/services/dispatcher.ts'
import { type CreateServices, NodeServices } from '../../../runtime/services/node-services.ts'
import type { LibraryContext, ServiceLibrary } from '../../../runtime/services/service.ts'
const quiet = pino({ level: 'silent' })
/** For services that keep nothing. */
const NO_STREAMS = {} as CheckpointStreams

export interface RigNode {
  readonly id: number
  readonly services: NodeServices
  readonly rmd: Rmd
  /** What programs of the node are told about registered names. */
  readonly registered: RegisteredNames
  readonly components: Map<string, RigComponent<unknown>>
  readonly store: CheckpointServer | null
}

export interface RigComponent<Client> {
  readonly name: string
  readonly node: number
  readonly rmd: Rmd
  readonly client: Client
  readonly library: ServiceLibrary<Client>
  readonly names: NameWatch
}

/** The server sides of a few nodes and the libraries of their components, in one process. */
export class ServiceRig {
  readonly nodes = new Map<number, RigNode>()
  /** Numbers of the nodes of the model. */
  model: readonly number[] = [1, 2, 3]
  readonly #transport = memoryTransport()
  readonly #servers: readonly CreateServices[]
  /** A node that is started again finds its own. */
  readonly directory = mkdtempSync(join(tmpdir(), 'hf-rig-'))
  #term = 0
  #leader = 0
  #isStoring = false

  constructor(...servers: readonly CreateServices[]) {
    this.#servers = servers
  }

  /** Starts nodes; the first one leads. */
  async start(...ids: readonly number[]): Promise<void> {
    for (const id of ids) await this.node(id)
    this.lead(ids[0] ?? 1)
  }

  /** The same with a real store of replicas for each node, which outlives it. */
  startStoring(...ids: readonly number[]): Promise<void> {
    this.#isStoring = true
    return this.start(...ids)
  }

  /** Where a node keeps its replicas. */
  replicaDirectory(id: number): string {
    return join(this.directory, `replicas${id}`)
  }

  /** One more node. It follows whoever leads. */
  async node(id: number): Promise<RigNode> {
    const { rmd } = await this.#open(id, IOC_PORT.agent, `agent${id}`)
    const callers = new Map<string, string>()
    const registered = new RegisteredNames()
    const components = new Map<string, RigComponent<unknown>>()
    const store = this.#store(id, rmd)
    const services = new NodeServices({
      node: `node${id}`,
      nodeId: id,
      cluster: 'test',
      directory: join(this.directory, `node${id}`),
      streams: store ?? NO_STREAMS,
      nodeName: (number) => `node${number}`,
      nodes: () => this.model.map((number) => ({ nodeId: number, name: `node${number}` })),
      componentOf: (caller) =>
        [...components.values()].find((one) => one.rmd.caller === caller)?.name ??
        callers.get(caller) ??
        null,
      namesRegistered: (news) => {
        registered.apply(news)
        for (const { names } of components.values()) {
          names.receive({ names: [], complete: true, whole: false, registered: news })
        }
      },
      rmd,
      log: quiet,
      services: this.#servers,
    })
    rmd.serve((call) => {
      if (store?.dispatch(call) !== true) services.dispatch(call)
    })
    const node = { id, services, rmd, registered, components, store }
    this.nodes.set(id, node)
    if (this.#leader !== 0) services.follow(this.#leader, this.#term)
    return node
  }

  /** From now on this node leads. */
  lead(id: number): void {
    this.#leader = id
    this.#term++
    const others = [...this.nodes.keys()].filter((one) => one !== id)
    this.nodes.get(id)?.services.lead(this.#term, others)
    for (const other of others) this.nodes.get(other)?.services.follow(id, this.#term)
  }

  async component<Client>(
    node: number,
    name: string,
    create: (context: LibraryContext) => ServiceLibrary<Client>,
  ): Promise<RigComponent<Client>> {
    const names = new NameWatch()
    const { rmd } = await this.#open(node, 0, name, names)
    const agent = { node, port: IOC_PORT.agent }
    const library = create({
      component: name,
      node: `node${node}`,
      nodeId: node,
      rmd,
      agent,
      log: pino({ level: 'info' }, { write: () => undefined }),
    })
    const dispatcher = new Dispatcher(quiet)
    for (const { face, handlers } of [...library.pushes, ...(library.functions ?? [])]) {
      dispatcher.install(face, handlers)
    }
    rmd.serve((call: IncomingCall) => {
      dispatcher.serve(call)
    })
    const component = { name, node, rmd, names, client: library.client, library }
    this.nodes.get(node)?.components.set(name, component)
    const registered = this.nodes.get(node)?.registered.whole()
    names.receive({ names: [], complete: true, whole: false, registered })
    return component
  }

  /** As a SIGKILL: nothing is told, connections close. */
  async kill(component: RigComponent<unknown>): Promise<void> {
    await component.rmd.close()
  }

  /** The node process and its components at once. Whoever is named leads then. */
  async killNode(id: number, next?: number): Promise<void> {
    const node = this.nodes.get(id)
    this.nodes.delete(id)
    await node?.rmd.close()
    for (const { rmd } of node?.components.values() ?? []) await rmd.close()
    await node?.services.close()
    await node?.store?.close()
    if (next !== undefined) this.lead(next)
  }

  async close(): Promise<void> {
    for (const id of [...this.nodes.keys()]) await this.killNode(id)
    rmSync(this.directory, { recursive: true, force: true })
  }

  #store(id: number, rmd: Rmd): CheckpointServer | null {
    if (!this.#isStoring) return null
    return createCheckpointServer({
      nodeId: id,
      directory: this.replicaDirectory(id),
      rmd,
      hasCsi: () => false,
      authority: { change: () => Promise.reject(new Error('there is no CSI')) },
      replicaTimeoutMs: 1_000,
      log: quiet,
    })
  }

  async #open(
    node: number,
    port: number,
    name: string,
    names?: NameWatch,
  ): Promise<{ readonly rmd: Rmd }> {
    const opened = await openPort({ transport: this.#transport, node, port, name })
    return { rmd: createRmd({ port: opened, ...(names === undefined ? {} : { names }) }) }
  }
}
