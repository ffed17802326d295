import { randomUUID } from 'node:crypto'
import type { Logger } from 'pino'
import { systemClock, type IncomingCall, type Rmd } from '../../ioc/index.ts'
import { Dispatcher } from './dispatcher.ts'
import { OrderFollow, OrderLead } from './replicated/interface.ts'
import { rmdPeers } from './replicated/order-peers.ts'
import { OrderedNode } from './replicated/ordered-node.ts'
import type { NodeService, ServiceHost } from './service.ts'

/** Makes a server side, or several that know each other. */
export type CreateServices = (host: ServiceHost) => NodeService | readonly NodeService[]

export interface NodeServicesOptions extends Pick<
  ServiceHost,
  | 'node'
  | 'nodeId'
  | 'cluster'
  | 'directory'
  | 'streams'
  | 'nodeName'
  | 'nodes'
  | 'componentOf'
  | 'namesRegistered'
> {
  readonly rmd: Rmd
  readonly log: Logger
  /** Who the server sides are, in the order in which they are started. */
  readonly services: readonly CreateServices[]
}

/** The server sides of all services of one node, and this node's part in the order that they share. */
export class NodeServices {
  readonly #ordered: OrderedNode
  readonly #dispatcher: Dispatcher
  readonly #services: readonly NodeService[]
  readonly #stopPresence: () => void
  #term = 0

  constructor(options: NodeServicesOptions) {
    const { rmd, nodeId, log } = options
    this.#dispatcher = new Dispatcher(log)
    this.#ordered = new OrderedNode({
      peers: rmdPeers(rmd),
      node: nodeId,
      life: randomUUID(),
      log: log.child({ part: 'order' }),
      clock: systemClock,
      onEntered: () => {
        for (const service of this.#services) service.entered()
      },
    })
    this.#dispatcher.install(OrderLead, this.#ordered.handlers.lead)
    this.#dispatcher.install(OrderFollow, this.#ordered.handlers.follow)
    const host: ServiceHost = {
      ...options,
      self: this.#ordered.self,
      nowMs: () => systemClock.nowMs(),
      members: () => this.#ordered.members,
      submit: (topic, payload, submitOptions) =>
        this.#ordered.submit(topic, payload, submitOptions),
    }
    this.#services = options.services.flatMap((create) => create(host))
    for (const service of this.#services) {
      if (service.replicated !== null) this.#ordered.add(service.replicated)
      service.install(this.#dispatcher)
    }
    this.#stopPresence = rmd.onPresence(({ kind, caller }) => {
      if (kind !== 'death') return
      for (const service of this.#services) service.callerGone(caller)
    })
  }

  /** @returns false when the call is not one of the services'. */
  dispatch(call: IncomingCall): boolean {
    return this.#dispatcher.dispatch(call)
  }

  /** This node leads under `term`. @param expected - numbers of the nodes that are known to be there. */
  lead(term: number, expected: Iterable<number>): void {
    this.#ledUnder(term)
    this.#ordered.lead(term, expected)
  }

  follow(nodeId: number, term: number): void {
    this.#ledUnder(term)
    this.#ordered.follow(nodeId, term)
  }

  leaderLost(): void {
    this.#ordered.leaderLost()
    this.#uncertain()
  }

  #ledUnder(term: number): void {
    if (term !== this.#term) this.#uncertain()
    this.#term = term
  }

  #uncertain(): void {
    for (const service of this.#services) service.uncertain?.()
  }

  async close(): Promise<void> {
    this.#stopPresence()
    await Promise.all(this.#services.map((service) => service.close()))
    this.#ordered.close()
  }
}
