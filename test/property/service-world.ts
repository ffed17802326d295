import { pino } from 'pino'
import { createRmd, IOC_PORT, openPort, type Rmd } from '../../ioc/index.ts'
import { NameWatch } from '../../runtime/cpm/name-watch.ts'
import { createCheckpointServer } from '../../runtime/services/checkpoint/server.ts'
import { Dispatcher } from '../../runtime/services/dispatcher.ts'
import {
  type ClusterEvents,
  clusterEventLibrary,
  EventSessions,
} from '../../runtime/services/cluster-events/client.ts'
import { type EventClient, eventLibrary } from '../../runtime/services/event/client.ts'
import { type GroupClient, groupLibrary } from '../../runtime/services/group/client.ts'
import { type NameClient, nameLibrary } from '../../runtime/services/name/client.ts'
import { nameServer } from '../../runtime/services/name/server.ts'
import {
  type NamedCheckpointClient,
  namedCheckpointLibrary,
} from '../../runtime/services/named-checkpoint/client.ts'
import { namedCheckpointServer } from '../../runtime/services/named-checkpoint/server.ts'
import { type CreateServices, NodeServices } from '../../runtime/services/node-services.ts'
import { MemoryDatabase } from './memory-database.ts'
import { Process, Steps } from './stepped.ts'

const quiet = pino({ level: process.env['LOG'] ?? 'silent' })

interface Node {
  readonly id: number
  readonly process: Process
  readonly services: NodeServices
  readonly database: MemoryDatabase
  readonly components: Set<Component>
}

/** A component's process with its libraries. */
export interface Component {
  readonly name: string
  readonly node: number
  readonly process: Process
  readonly rmd: Rmd
  readonly checkpoint: NamedCheckpointClient
  readonly names: NameClient
  readonly groups: GroupClient
  readonly events: EventClient
  readonly clusterEvents: ClusterEvents
}

/**
 * Node processes with their services and stores, components with their libraries, one delivery at a time. What is here
 * is what runs, but for the sockets, the clock and the disk.
 */
export class ServiceWorld {
  readonly steps = new Steps()
  readonly nodes = new Map<number, Node>()
  /** Nodes of the model. */
  model: readonly number[] = [1, 2, 3]
  leader = 0
  #term = 0
  readonly #disks = new Map<number, MemoryDatabase>()
  readonly #services: readonly CreateServices[]

  /** @param services - what each node serves. */
  constructor(services: readonly CreateServices[] = [nameServer, namedCheckpointServer]) {
    this.#services = services
  }

  node(id: number): Promise<void> {
    const process = new Process(this.steps)
    return process.run(() => this.#node(id, process))
  }

  async #node(id: number, process: Process): Promise<void> {
    const port = await openPort({
      transport: process.transport,
      node: id,
      port: IOC_PORT.agent,
      name: `agent${id}`,
    })
    const rmd = createRmd({ port })
    const database = this.#disks.get(id)?.clone() ?? new MemoryDatabase()
    this.#disks.set(id, database)
    const components = new Set<Component>()
    const store = createCheckpointServer({
      nodeId: id,
      directory: '/nowhere',
      rmd,
      hasCsi: () => false,
      authority: { change: () => Promise.reject(new Error('there is no CSI')) },
      replicaTimeoutMs: 1_000,
      log: quiet,
      environment: database.asEnvironment(),
    })
    const services = new NodeServices({
      node: `node${id}`,
      nodeId: id,
      cluster: 'test',
      directory: '/nowhere',
      streams: store,
      nodeName: (number) => (this.model.includes(number) ? `node${number}` : undefined),
      nodes: () => this.model.map((number) => ({ nodeId: number, name: `node${number}` })),
      componentOf: (caller) =>
        [...components].find((one) => one.rmd.caller === caller)?.name ?? null,
      namesRegistered: () => undefined,
      rmd,
      log: quiet,
      services: this.#services,
    })
    rmd.serve((call) => {
      if (process.isAlive && !store.dispatch(call)) services.dispatch(call)
    })
    this.nodes.set(id, { id, process, services, database, components })
    if (this.leader !== 0) services.follow(this.leader, this.#term)
  }

  lead(id: number): void {
    this.leader = id
    this.#term++
    const others = [...this.nodes.keys()].filter((one) => one !== id)
    const { process, services } = this.nodes.get(id) ?? {}
    process?.run(() => services?.lead(this.#term, others))
    for (const other of others) {
      const follower = this.nodes.get(other)
      follower?.process.run(() => follower.services.follow(id, this.#term))
    }
  }

  component(id: number, name: string): Promise<Component> {
    const process = new Process(this.steps)
    return process.run(() => this.#component(id, name, process))
  }

  async #component(id: number, name: string, process: Process): Promise<Component> {
    const { transport } = process
    const names = new NameWatch()
    const port = await openPort({ transport, node: id, port: 0, name })
    const rmd = createRmd({ port, names })
    const agent = { node: id, port: IOC_PORT.agent }
    const context = { component: name, node: `node${id}`, nodeId: id, rmd, agent, log: quiet }
    const checkpoints = namedCheckpointLibrary({ ...context, epochOf: () => 0 })
    const nameService = nameLibrary(context)
    const groups = groupLibrary(context)
    const events = eventLibrary(context)
    const clusterEvents = clusterEventLibrary(context)
    const dispatcher = new Dispatcher(quiet)
    const libraries = [checkpoints, nameService, groups, events, clusterEvents]
    const pushes = libraries.flatMap((library) => library.pushes)
    for (const { face, handlers } of pushes) dispatcher.install(face, handlers)
    rmd.serve((call) => {
      if (process.isAlive) dispatcher.serve(call)
    })
    const component = {
      name,
      node: id,
      process,
      rmd,
      checkpoint: checkpoints.client,
      names: nameService.client,
      groups: groups.client,
      events: events.client,
      clusterEvents: clusterEvents.client,
    }
    this.nodes.get(id)?.components.add(component)
    return component
  }

  /** Where a program that is no component registers for cluster events: at the first node that is there. */
  program(): Promise<{ readonly process: Process; readonly clusterEvents: ClusterEvents }> {
    const process = new Process(this.steps)
    return process.run(async () => {
      const { transport } = process
      const rmd = createRmd({ port: await openPort({ transport, port: null, name: 'program' }) })
      const agent = () => {
        const [node] = this.nodes.keys()
        return node === undefined ? null : { node, port: IOC_PORT.agent }
      }
      const clusterEvents = new EventSessions({ rmd, log: quiet, agent })
      rmd.serve((call) => void (process.isAlive && clusterEvents.dispatch(call)))
      rmd.onPresence(({ kind, address: { node, port } }) => {
        if (kind === 'death' && port === IOC_PORT.agent) clusterEvents.nodeGone(node)
      })
      return { process, clusterEvents }
    })
  }

  /** From now on what comes for this node is delivered last; 0: nobody is slow. */
  async slow(id: number): Promise<void> {
    await this.steps.drain()
    for (const node of this.nodes.values()) node.process.isSlow = node.id === id
  }

  /** SIGKILL. */
  kill(component: Component): void {
    component.process.kill()
    this.nodes.get(component.node)?.components.delete(component)
    void component.rmd.close()
  }

  /** SIGKILL of the node process; its components die with it. What was stored stays. */
  killNode(id: number): void {
    const node = this.nodes.get(id)
    if (node === undefined) return
    this.nodes.delete(id)
    // What the dead one does from here on reaches neither network nor disk.
    this.#disks.set(id, node.database.clone())
    node.process.kill()
    for (const component of node.components) this.kill(component)
    void node.services.close()
    if (this.leader === id) this.leader = 0
  }

  /** Names of the checkpoints, and of the replicas, that a node has stored. */
  stored(id: number): { readonly entries: string[]; readonly replicas: string[] } {
    const { database } = this.nodes.get(id) ?? {}
    const keys = database?.keys() ?? []
    const of = (kind: string): string[] =>
      keys.flatMap(([first, second, third]) => (first === kind ? String(third ?? second) : []))
    return { entries: of('d').filter((name) => name !== 'directory'), replicas: of('m') }
  }

  /** What a node has stored. */
  disk(id: number): MemoryDatabase {
    const disk = this.#disks.get(id)
    if (disk === undefined) throw new Error(`node ${id} has never been there`)
    return disk
  }

  /** The disk is new. */
  wipe(id: number): void {
    this.#disks.set(id, new MemoryDatabase())
  }

  async close(): Promise<void> {
    for (const id of [...this.nodes.keys()]) this.killNode(id)
    await this.steps.pass(50)
    this.steps.close()
  }
}
