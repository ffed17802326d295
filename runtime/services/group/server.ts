import { type HandlersOf, isSdkError, SdkError } from '../../../idl/index.ts'
import { type IncomingCall, systemClock } from '../../../ioc/index.ts'
import type { Dispatcher } from '../dispatcher.ts'
import { PushQueue } from '../push-queue.ts'
import type { OrderMember } from '../replicated/interface.ts'
import type { Replicated } from '../replicated/replicated.ts'
import type { NodeService, ServiceHost } from '../service.ts'
import { Telling } from '../telling.ts'
import { GroupContent, type GroupEffect, noNode } from './group-content.ts'
import { type GroupNews, type GroupNotification, GroupPush, GroupService } from './interface.ts'
import { type GroupOperation, groupOperationCodec, groupsCodec } from './operations.ts'

const NEWS_COUNT_MAX = 4_096
const PUSH_TIMEOUT_MS = 10_000
/** Nobody leads before it has passed since the first node came: early nodes do not flap. SAFplus, section 12. */
export const BOOT_ELECTION_MS = 5_000

type Join = Extract<GroupOperation, { kind: 'join' }>
type Leave = Extract<GroupOperation, { kind: 'leave' }>

type Handlers = HandlersOf<(typeof GroupService)['spec'], IncomingCall>

interface Local {
  readonly queue: PushQueue<GroupNews>
  readonly watched: Set<number | null>
  /** What it has joined. */
  joined: Join[]
}

/**
 * Group membership of one node process.
 * @param observe - told of every view and message, in the one order.
 */
export function groupServer(
  host: ServiceHost,
  observe?: (effect: GroupEffect) => void,
): NodeService {
  return new GroupServer(host, { bootElectionMs: BOOT_ELECTION_MS, observe })
}

/** The same with a shorter time before the first election. @internal */
export function groupServerOf(bootElectionMs: number): (host: ServiceHost) => NodeService {
  return (host) => new GroupServer(host, { bootElectionMs, observe: undefined })
}

interface GroupServerOptions {
  readonly bootElectionMs: number
  readonly observe: ((effect: GroupEffect) => void) | undefined
}

class GroupServer implements NodeService, Replicated {
  readonly topic = 'group'
  readonly replicated = this
  readonly #host: ServiceHost
  readonly #options: GroupServerOptions
  readonly #content = new GroupContent()
  readonly #locals = new Map<string, Local>()
  readonly #telling: Telling<GroupOperation>
  #cancelElection: (() => void) | null = null

  constructor(host: ServiceHost, options: GroupServerOptions) {
    this.#host = host
    this.#telling = new Telling((operation) => this.#submit(operation), host.log)
    this.#options = options
  }

  // --- the order ---

  apply(payload: Uint8Array): number | GroupNotification {
    const result = this.#content.apply(groupOperationCodec.decode(payload))
    this.#perform()
    return result
  }

  viewChanged(members: readonly OrderMember[]): void {
    this.#content.keepNodes(new Set(members.map(({ life }) => life)))
    this.#perform()
  }

  snapshot(): Uint8Array {
    return groupsCodec.encode(this.#content.snapshot())
  }

  restore(bytes: Uint8Array): void {
    this.#content.restore(groupsCodec.decode(bytes))
    this.#perform()
  }

  #perform(): void {
    for (const effect of this.#content.takeEffects()) {
      this.#options.observe?.(effect)
      for (const [caller, local] of this.#locals) this.#tellLocal(caller, local, effect)
    }
  }

  #tellLocal(caller: string, local: Local, effect: GroupEffect): void {
    const { queue, watched } = local
    switch (effect.kind) {
      case 'view': {
        const { notification } = effect
        if (watched.has(notification.group)) queue.push({ kind: 'view', notification })
        return
      }
      case 'message': {
        const turns = effect.to.get(caller)
        if (turns === undefined) return
        queue.push({ kind: 'message', message: effect.message, turns: [...turns] })
        return
      }
      case 'ejected': {
        if (effect.life !== this.#host.self.life) return
        const members = effect.members.filter(({ owner }) => owner.eo === caller)
        const owners = [...members, ...local.joined].map(({ owner }) => owner.turn)
        const reason = effect.leaver === caller ? null : effect.reason
        queue.push({ kind: 'ejected', reason, turns: [...new Set(owners)] })
        local.joined = []
        return
      }
    }
  }

  // --- this node and its components ---

  install(dispatcher: Dispatcher): void {
    dispatcher.install(GroupService, this.#handlers())
  }

  callerGone(caller: string): void {
    const local = this.#locals.get(caller)
    if (local === undefined) return
    local.queue.close()
    this.#locals.delete(caller)
    this.#telling.tell({ kind: 'ended', eo: caller })
  }

  entered(): void {
    const { node, nodeId, self } = this.#host
    const { life } = self
    this.#telling.tell({ kind: 'nodeJoin', life, nodeId, name: node, atMs: Date.now() })
    for (const { joined } of this.#locals.values())
      for (const join of joined) this.#telling.tell(join)
    this.#cancelElection ??= systemClock.after(this.#options.bootElectionMs, () => {
      if (!this.#content.cluster.hasElected) this.#telling.tell({ kind: 'bootElection' })
    })
  }

  close(): Promise<void> {
    this.#cancelElection?.()
    this.#telling.close()
    for (const { queue } of this.#locals.values()) queue.close()
    return Promise.resolve()
  }

  #handlers(): Handlers {
    return { ...this.#viewHandlers(), ...this.#clusterHandlers(), ...this.#groupHandlers() }
  }

  #viewHandlers() {
    return {
      view: ({ group }) => this.#content.view(group).current(),
      watch: ({ group }, call) => {
        const current = this.#content.view(group).current()
        this.#local(call).watched.add(group)
        return current
      },
      unwatch: ({ group }, call) => {
        this.#locals.get(call.caller)?.watched.delete(group)
        return {}
      },
      listen: (_, call) => {
        this.#local(call)
        return {}
      },
    } satisfies Partial<Handlers>
  }

  #clusterHandlers() {
    return {
      clusterLeaderElect: async ({ preferred }) =>
        (await this.#submit({ kind: 'clusterElect', preferred })) as GroupNotification,
      clusterJoin: async ({ name, credential }, call) => {
        this.#local(call)
        const { node, nodeId, self } = this.#host
        const as = { life: self.life, nodeId, name: name ?? node, credential }
        await this.#submit({ kind: 'clusterJoin', ...as, atMs: Date.now() })
        return {}
      },
      clusterLeave: async (_, call) => {
        this.#local(call)
        const { nodeId, self } = this.#host
        const leaving = { nodeId, life: self.life, reason: 'UNKNOWN', leaver: call.caller } as const
        await this.#submit({ kind: 'clusterEject', ...leaving })
        return {}
      },
      clusterMemberEject: async ({ nodeId, reason }) => {
        const life = this.#content.cluster.find(nodeId)?.owner.life
        if (life === undefined) throw noNode(nodeId)
        await this.#submit({ kind: 'clusterEject', nodeId, life, reason, leaver: null })
        return {}
      },
    } satisfies Partial<Handlers>
  }

  #groupHandlers() {
    return {
      groupCreate: async ({ name }) => ({
        group: (await this.#submit({ kind: 'create', name })) as number,
      }),
      groupDestroy: async ({ group }) => {
        await this.#submit({ kind: 'destroy', group })
        return {}
      },
      groupJoin: async ({ turn, ...request }, call) => {
        const local = this.#local(call)
        const owner = { life: this.#host.self.life, eo: call.caller, turn }
        const { node: nodeId, port } = call.source
        const join = { kind: 'join', ...request, owner, nodeId, port, atMs: Date.now() } as const
        try {
          await this.#submit(join)
        } catch (error) {
          // It may be ordered still: who was told that it did not join is no member.
          if (isUncertain(error)) this.#telling.tell(leaveOf(join))
          throw error
        }
        // The next message of the order may have taken it out again.
        if (this.#content.isMember(join)) local.joined.push(join)
        return {}
      },
      groupLeave: async ({ group, memberId }, call) => {
        const leave = { kind: 'leave', group, memberId, eo: call.caller } as const
        try {
          await this.#submit(leave)
        } catch (error) {
          if (!isUncertain(error)) throw error
          // It may be ordered still: then it leaves, and does not join again when this node is back.
          this.#forget(leave)
          this.#telling.tell(leave)
          throw error
        }
        this.#forget(leave)
        return {}
      },
      groupList: () => ({ groups: this.#content.groups() }),
      sendAll: async ({ group, memberId, data }, call) => {
        await this.#submit({ kind: 'send', group, memberId, eo: call.caller, data })
        return {}
      },
    } satisfies Partial<Handlers>
  }

  #forget({ eo, group, memberId }: Leave): void {
    const local = this.#locals.get(eo)
    if (local === undefined) return
    local.joined = local.joined.filter((join) => join.group !== group || join.memberId !== memberId)
  }

  #local({ caller }: IncomingCall): Local {
    if (this.#host.componentOf(caller) === null) {
      throw new SdkError('OP_NOT_PERMITTED', 'groups are for components of this node')
    }
    const known = this.#locals.get(caller)
    if (known !== undefined) return known
    const push = this.#host.rmd.client(GroupPush, { to: { caller }, timeoutMs: PUSH_TIMEOUT_MS })
    const queue = new PushQueue<GroupNews>({
      countMax: NEWS_COUNT_MAX,
      send: (first, items) => push.news({ first, items: [...items] }),
      clock: systemClock,
    })
    const local: Local = { queue, watched: new Set(), joined: [] }
    this.#locals.set(caller, local)
    return local
  }

  /** @returns what the content did with it. */
  #submit(operation: GroupOperation): Promise<unknown> {
    return this.#host.submit(this.topic, groupOperationCodec.encode(operation))
  }
}

/** It may stand in the order, or come there. */
function isUncertain(error: unknown): boolean {
  return isSdkError(error, 'TIMEOUT')
}

function leaveOf({ group, memberId, owner: { eo } }: Join): Leave {
  return { kind: 'leave', group, memberId, eo }
}
