import { networkInterfaces } from 'node:os'
import { type HandlersOf, SdkError } from '../../../idl/index.ts'
import { type IncomingCall, IOC_PORT, type PresenceEvent, systemClock } from '../../../ioc/index.ts'
import type { Dispatcher } from '../dispatcher.ts'
import type { GroupEffect } from '../group/group-content.ts'
import type { GroupNotification } from '../group/interface.ts'
import { groupServer } from '../group/server.ts'
import type { Replicated } from '../replicated/replicated.ts'
import type { NodeService, ServiceHost } from '../service.ts'
import { Connectivity } from './connectivity.ts'
import { CONN, MEMB, MEMB_SPECIAL } from './descriptor.ts'
import { EventStream } from './event-stream.ts'
import { GroupReport } from './group-report.ts'
import { ClusterEventService } from './interface.ts'
import { type MembershipNews, MembershipReport } from './membership-report.ts'
import { StreamClient } from './stream-client.ts'

/** How often interfaces, nodes of the model and hung programs are looked at. */
const LOOK_MS = 1_000
const RETRY_MS = 500
const QUORUM_LOST_MS = 2_000
/** Programs may take so long to hear that the service ends. */
const END_MS = 500

export interface ClusterEventServerOptions {
  /** Names of the network interfaces that work. */
  readonly interfaces: () => readonly string[]
  readonly lookMs: number
  /** Nobody has led for so long: there is no quorum. */
  readonly quorumLostMs: number
}

/** Group membership and cluster events of one node process: the events tell what groups and their views become. */
export function clusterEventServers(host: ServiceHost): readonly NodeService[] {
  const events = new ClusterEventServer(host, {
    interfaces: ownInterfaces,
    lookMs: LOOK_MS,
    quorumLostMs: QUORUM_LOST_MS,
  })
  return [groupServer(host, (effect) => events.observe(effect)), events]
}

/** Interfaces of this machine that are up, without those that lead nowhere else. */
function ownInterfaces(): readonly string[] {
  return Object.entries(networkInterfaces())
    .filter(([, addresses]) => addresses?.some(({ internal }) => !internal) === true)
    .map(([name]) => name)
}

/**
 * Cluster events of one node process.
 *
 * I1 Views of the cluster, of groups and messages enter the stream when the order gives them to the group service: at
 * the same place on all nodes. I2 What only this node sees (connections, interfaces, that nobody leads) enters it when
 * it is seen.
 */
export class ClusterEventServer implements NodeService, Replicated {
  readonly topic = 'clusterEvents'
  readonly replicated = this
  readonly #host: ServiceHost
  readonly #options: ClusterEventServerOptions
  readonly #clients = new Map<string, StreamClient>()
  readonly #stream: EventStream
  readonly #membership: MembershipReport
  /** For those who asked for memberships without quorum. */
  readonly #special: MembershipReport
  /** Since when nobody is known to lead; null: somebody leads. */
  #uncertainSinceMs: number | null
  readonly #connectivity: Connectivity
  readonly #groups = new GroupReport()
  readonly #dialing = new Set<number>()
  readonly #stopPresence: () => void
  #cancelLook: () => void
  #isSettling = false
  #isClosed = false

  constructor(host: ServiceHost, options: ClusterEventServerOptions) {
    this.#host = host
    this.#options = options
    this.#stream = new EventStream(host.log)
    const self = { nodeId: host.nodeId, name: host.node }
    this.#membership = new MembershipReport(self)
    this.#special = new MembershipReport(self)
    this.#uncertainSinceMs = host.nowMs()
    this.#connectivity = new Connectivity(host.nodeId)
    this.#stopPresence = host.rmd.onPresence((event) => this.#presence(event))
    this.#cancelLook = systemClock.after(0, () => this.#look())
  }

  // --- what is agreed on ---

  observe(effect: GroupEffect): void {
    if (effect.kind === 'view' && effect.notification.group === null) {
      this.#viewed(effect.notification)
    }
    for (const news of this.#groups.take(effect)) this.#stream.publish(news)
  }

  #viewed({ viewNumber, items }: GroupNotification): void {
    const members = items
      .filter(({ change }) => change !== 'LEFT')
      .map(({ member: { memberId, name, initialViewNumber } }) => {
        return { nodeId: memberId, name, bornOn: initialViewNumber }
      })
    this.#uncertainSinceMs = null
    this.#report((report, nodeCount) => report.agreed({ instance: viewNumber, members }, nodeCount))
    for (const nodeId of this.#membership.members) this.#dial(nodeId)
  }

  uncertain(): void {
    this.#uncertainSinceMs ??= this.#host.nowMs()
    this.#report((report, nodeCount) => report.uncertain(nodeCount))
    if (this.#membership.isUncertain) void this.#settle()
  }

  /** Both reports, each to those who hear it. */
  #report(take: (report: MembershipReport, nodeCount: number) => MembershipNews | null): void {
    const nodeCount = this.#nodeCount()
    const news = take(this.#membership, nodeCount)
    if (news !== null) this.#stream.publish(news)
    const special = take(this.#special, nodeCount)
    if (special !== null) this.#stream.publish({ ...special, eventClass: MEMB_SPECIAL })
  }

  /** Who is left while nobody leads. */
  #lookForQuorum(): void {
    const sinceMs = this.#uncertainSinceMs
    if (sinceMs === null || this.#host.nowMs() - sinceMs < this.#options.quorumLostMs) return
    const left = this.#special.left((nodeId) => this.#connectivity.isConnected(nodeId))
    const news = this.#special.withoutQuorum(left, this.#nodeCount())
    if (news !== null) this.#stream.publish({ ...news, eventClass: MEMB_SPECIAL })
  }

  /** Somebody asks whether the order goes on: it does, and every view before this place was heard. */
  apply(): null {
    this.#uncertainSinceMs = null
    this.#report((report, nodeCount) => report.settled(nodeCount))
    return null
  }

  viewChanged(): void {}

  snapshot(): Uint8Array {
    return new Uint8Array()
  }

  restore(): void {}

  /** Asks, by a message of its own, until it is certain again. */
  async #settle(): Promise<void> {
    if (this.#isSettling) return
    this.#isSettling = true
    while (this.#membership.isUncertain && !this.#isClosed) {
      try {
        await this.#host.submit(this.topic, new Uint8Array())
      } catch (err) {
        this.#host.log.debug({ err }, 'the membership is uncertain still')
        await new Promise<void>((resolve) => systemClock.after(RETRY_MS, resolve))
      }
    }
    this.#isSettling = false
  }

  // --- what this node sees ---

  #presence({ kind, address: { node, port } }: PresenceEvent): void {
    if (port !== IOC_PORT.agent || node === this.#host.nodeId) return
    for (const news of this.#connectivity.connection(node, kind === 'arrival')) {
      this.#stream.publish(news)
    }
    if (kind === 'death') this.#dial(node)
  }

  /** Of two members, the one with the lower number keeps the connection. */
  #dial(nodeId: number): void {
    if (nodeId <= this.#host.nodeId || this.#dialing.has(nodeId)) return
    this.#dialing.add(nodeId)
    void this.#keepDialing(nodeId).finally(() => this.#dialing.delete(nodeId))
  }

  async #keepDialing(nodeId: number): Promise<void> {
    const to = { node: nodeId, port: IOC_PORT.agent }
    while (!this.#isClosed && this.#membership.members.has(nodeId)) {
      if (this.#connectivity.isConnected(nodeId)) return
      try {
        await this.#host.rmd.client(ClusterEventService, { to }).hello({})
        return
      } catch (err) {
        this.#host.log.debug({ err, nodeId }, 'no connection to a member')
        await new Promise<void>((resolve) => systemClock.after(RETRY_MS, resolve))
      }
    }
  }

  #look(): void {
    for (const news of [
      ...this.#connectivity.interfaces(this.#options.interfaces()),
      ...this.#connectivity.eligible(this.#host.nodes()),
    ]) {
      this.#stream.publish(news)
    }
    this.#lookForQuorum()
    this.#stream.lookForHung(this.#host.nowMs())
    this.#cancelLook = systemClock.after(this.#options.lookMs, () => this.#look())
  }

  #nodeCount(): number {
    return this.#host.nodes().length
  }

  // --- programs of this node ---

  install(dispatcher: Dispatcher): void {
    dispatcher.install(ClusterEventService, this.#handlers())
  }

  #handlers(): HandlersOf<(typeof ClusterEventService)['spec'], IncomingCall> {
    return {
      hello: () => ({}),
      report: (report, call) => {
        const client = this.#client(call.caller, report.session)
        const { completedUpTo, wanted, activating } = report
        this.#stream.reported(client, { completedUpTo, wanted })
        for (const { number, handle, initial } of activating) {
          if (number <= client.lastActivation) continue
          client.lastActivation = number
          this.#stream.activate(client, handle, [
            ...(initial.includes(CONN) ? this.#connectivity.initial() : []),
            ...(initial.includes(MEMB) ? this.#membership.initial(this.#nodeCount()) : []),
            ...(initial.includes(MEMB_SPECIAL) ? this.#special.initial(this.#nodeCount()) : []),
          ])
        }
        return {}
      },
    }
  }

  /** @throws SdkError NOT_INITIALIZED when the session is over. */
  #client(caller: string, session: number): StreamClient {
    const known = this.#clients.get(caller)
    if (known !== undefined && known.session >= session) {
      if (known.session === session && !known.isEnded) return known
      throw new SdkError('NOT_INITIALIZED', 'the node ended this session: register again')
    }
    if (this.#isClosed) throw new SdkError('NOT_INITIALIZED', 'the node stops')
    if (known !== undefined) this.#stream.leave(known)
    const { rmd } = this.#host
    const name = this.#host.componentOf(caller) ?? caller
    const client = new StreamClient({ caller, name, session, rmd })
    this.#clients.set(caller, client)
    this.#stream.join(client)
    return client
  }

  callerGone(caller: string): void {
    const client = this.#clients.get(caller)
    if (client === undefined) return
    this.#clients.delete(caller)
    this.#stream.leave(client)
  }

  entered(): void {}

  /** Tells programs first: that nothing follows is the last that they hear. */
  async close(): Promise<void> {
    this.#isClosed = true
    this.#cancelLook()
    this.#stopPresence()
    const told = [...this.#clients.values()].map((client) => client.end('shutdown'))
    let cancel: (() => void) | undefined
    const late = new Promise<void>((resolve) => {
      cancel = systemClock.after(END_MS, resolve)
    })
    await Promise.race([Promise.allSettled(told), late])
    cancel?.()
    for (const client of this.#clients.values()) client.close()
  }
}
