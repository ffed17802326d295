import { type HandlersOf, SdkError } from '../../../idl/index.ts'
import { type IncomingCall, IOC_PORT, systemClock } from '../../../ioc/index.ts'
import type { Dispatcher } from '../dispatcher.ts'
import type { OrderMember, Position } from '../replicated/interface.ts'
import type { MessageMeta, Replicated } from '../replicated/replicated.ts'
import type { NodeService, ServiceHost } from '../service.ts'
import { Telling } from '../telling.ts'
import { ChannelContent, FIRST_LOCAL_CHANNEL } from './channel-content.ts'
import { EventHub } from './event-hub.ts'
import { EventPeer, EventService } from './interface.ts'
import { channelOperationCodec, type ChannelOperation, channelsCodec } from './operations.ts'
import { Programs, type Open, type Program } from './programs.ts'
import { OrderPlace } from './order-place.ts'

const DELIVER_TIMEOUT_MS = 5_000
const ASK_AGAIN_MS = 20
const ASK_TIMEOUT_MS = 2_000

/** The event service of one node process. */
export function eventServer(host: ServiceHost): NodeService {
  return new EventServer(host)
}

class EventServer implements NodeService, Replicated {
  readonly topic = 'event'
  readonly replicated = this
  readonly #host: ServiceHost
  readonly #global = new ChannelContent(1)
  readonly #local = new ChannelContent(FIRST_LOCAL_CHANNEL)
  readonly #place = new OrderPlace()
  readonly #hub: EventHub
  readonly #programs: Programs
  readonly #telling: Telling<ChannelOperation>

  constructor(host: ServiceHost) {
    this.#host = host
    this.#telling = new Telling((operation) => this.#submit(operation), host.log)
    this.#programs = new Programs(host.rmd)
    this.#hub = new EventHub({
      nodeId: host.nodeId,
      self: host.self,
      firstCounter: Date.now() * 1_000,
      members: () => host.members(),
      interestOf: (life) => this.#global.interestOf(life),
      hasChannel: (channel) => this.#global.has(channel),
      kick: (callers) => this.#programs.kick(callers),
      send: ({ node, life }, records) => {
        const to = { node, port: IOC_PORT.agent }
        const peer = host.rmd.client(EventPeer, { to, timeoutMs: DELIVER_TIMEOUT_MS })
        const { revision } = this.#place
        return peer.deliver({ from: host.self.life, to: life, revision, records })
      },
      clock: systemClock,
    })
  }

  // --- the order ---

  apply(payload: Uint8Array, { at }: MessageMeta): number {
    try {
      const channel = this.#global.apply(channelOperationCodec.decode(payload))
      this.#perform(this.#global)
      return channel
    } finally {
      this.#place.reach(at.sequence)
    }
  }

  viewChanged(members: readonly OrderMember[], at: Position): void {
    this.#global.keepNodes(new Set(members.map(({ life }) => life)))
    this.#hub.viewChanged(members)
    this.#perform(this.#global)
    this.#place.reach(at.sequence)
  }

  snapshot(): Uint8Array {
    return channelsCodec.encode({
      revision: this.#place.revision,
      content: this.#global.snapshot(),
    })
  }

  restore(bytes: Uint8Array): void {
    const { revision, content } = channelsCodec.decode(bytes)
    this.#global.restore(content)
    this.#hub.viewChanged(this.#host.members())
    this.#hub.contentReplaced()
    this.#place.reach(revision)
  }

  #perform(content: ChannelContent): void {
    for (const effect of content.takeEffects()) {
      switch (effect.kind) {
        case 'interest':
          this.#hub.interest(effect.life, effect.channel, effect.isWanted)
          break
        case 'deleted':
          this.#hub.channelDeleted(effect.channel)
          break
        case 'cleared':
          this.#hub.cleared(effect)
          break
      }
    }
  }

  // --- this node and its programs ---

  install(dispatcher: Dispatcher): void {
    dispatcher.install(EventService, this.#handlers())
    dispatcher.install(EventPeer, {
      reached: async ({ revision }) => {
        await this.#place.reached(revision)
        return {}
      },
      deliver: async ({ from, to, revision, records }, { source }) => {
        if (to !== this.#host.self.life) {
          throw new SdkError('TRY_AGAIN', 'this is another life of the node')
        }
        await this.#place.reached(revision)
        this.#hub.take({ node: source.node, life: from }, records)
        return {}
      },
    })
  }

  callerGone(caller: string): void {
    const program = this.#programs.end(caller)
    if (program === undefined) return
    for (const open of program.opens.values()) this.#leave(program, open)
    this.#local.apply({ kind: 'ended', eo: caller })
    this.#perform(this.#local)
    this.#telling.tell({ kind: 'ended', eo: caller })
  }

  entered(): void {
    for (const { caller, opens } of this.#programs.all()) {
      for (const { number, channel, name, scope, isSubscriber } of opens.values()) {
        if (scope === 'LOCAL') continue
        const opener = { life: this.#host.self.life, eo: caller, open: number, isSubscriber }
        this.#telling.tell({ kind: 'reopen', channel, name, opener })
      }
    }
  }

  close(): Promise<void> {
    this.#telling.close()
    this.#place.close()
    this.#hub.close()
    this.#programs.close()
    return Promise.resolve()
  }

  #handlers(): HandlersOf<(typeof EventService)['spec'], IncomingCall> {
    return {
      channelOpen: (request, call) => this.#channelOpen(request, call),
      channelClose: async ({ open: number }, { caller }) => {
        const { program, open } = this.#programs.opened(caller, number)
        program.opens.delete(number)
        this.#leave(program, open)
        await this.#change(open.scope, { kind: 'close', eo: caller, open: number })
        return {}
      },
      channelUnlink: async ({ name, scope }) => {
        await this.#change(scope, { kind: 'unlink', name })
        return {}
      },
      subscribe: ({ open: number, subscription, filter }, { caller }) => {
        const { program, open } = this.#programs.opened(caller, number)
        if (!open.isSubscriber) {
          const message = `${open.name}: open it with SUBSCRIBER to subscribe`
          throw new SdkError('NOT_OPENED_FOR_SUBSCRIPTION', message)
        }
        this.#programs.checkRoom(program, subscription)
        this.#hub.subscribe(open.channel, program, { number: subscription, filter })
        program.subscriptions.set(subscription, open)
        return {}
      },
      unsubscribe: ({ open: number, subscription }, { caller }) => {
        const { program, open } = this.#programs.opened(caller, number)
        program.subscriptions.delete(subscription)
        this.#hub.unsubscribe(open.channel, caller, subscription)
        return {}
      },
      publish: ({ open: number, records }, { caller }) => {
        const { open } = this.#programs.opened(caller, number)
        if (!open.isPublisher) {
          const message = `${open.name}: open it with PUBLISHER to publish`
          throw new SdkError('NOT_OPENED_FOR_PUBLISH', message)
        }
        return this.#hub.publish(open, records)
      },
      retentionTimeClear: async ({ open: number, node, counter }, { caller }) => {
        const { channel, scope } = this.#programs.opened(caller, number).open
        this.#hub.checkRetained({ channel, node, counter })
        await this.#change(scope, { kind: 'clear', channel, node, counter })
        return {}
      },
    }
  }

  async #channelOpen(
    request: Omit<Open, 'number' | 'channel'> & {
      readonly open: number
      readonly create: boolean
      readonly timeoutMs: number
    },
    call: IncomingCall,
  ): Promise<{ channel: number }> {
    const { open: number, name, scope, create, isSubscriber, isPublisher, timeoutMs } = request
    const untilMs = this.#host.nowMs() + timeoutMs
    const program = this.#programs.of(call.caller)
    this.#programs.checkNew(program, number)
    const opener = { life: this.#host.self.life, eo: call.caller, open: number, isSubscriber }
    const operation = { kind: 'open', name, create, opener } as const
    program.opening.add(number)
    try {
      const channel = await this.#change(scope, operation, timeoutMs)
      if (scope === 'GLOBAL' && isSubscriber) await this.#allKnow(untilMs, name)
      const open = { number, channel, name, scope, isSubscriber, isPublisher }
      if (!program.isEnded) program.opens.set(number, open)
      return { channel }
    } catch (error) {
      // It may have been opened, or will be.
      if (scope === 'GLOBAL') this.#telling.tell({ kind: 'close', eo: call.caller, open: number })
      throw error
    } finally {
      program.opening.delete(number)
    }
  }

  /** Resolves when every node of the view has come as far in the order as this one. */
  async #allKnow(untilMs: number, name: string): Promise<void> {
    const { revision } = this.#place
    const others = this.#host.members().filter(({ node }) => node !== this.#host.nodeId)
    await Promise.all(others.map((member) => this.#allKnowOne(member, { revision, untilMs, name })))
  }

  async #allKnowOne(
    { node, life }: OrderMember,
    { revision, untilMs, name }: { revision: number; untilMs: number; name: string },
  ): Promise<void> {
    const peer = this.#host.rmd.client(EventPeer, { to: { node, port: IOC_PORT.agent } })
    while (this.#host.members().some((member) => member.life === life)) {
      const leftMs = Math.ceil(untilMs - this.#host.nowMs())
      if (leftMs < 1) {
        throw new SdkError('TIMEOUT', `${name}: node ${node} does not know of it in time`)
      }
      try {
        await peer.reached({ revision }, { timeoutMs: Math.min(leftMs, ASK_TIMEOUT_MS) })
        return
      } catch (err) {
        this.#host.log.debug({ err, node }, 'a node has not come so far yet')
        await new Promise<void>((resolve) => systemClock.after(ASK_AGAIN_MS, resolve))
      }
    }
  }

  /** What an open channel of a program had here. */
  #leave(program: Program, open: Open): void {
    for (const [number, of] of program.subscriptions) {
      if (of !== open) continue
      program.subscriptions.delete(number)
      this.#hub.unsubscribe(open.channel, program.caller, number)
    }
    if (!this.#programs.hasSubscriber(open.channel)) this.#hub.interestEnded(open.channel)
  }

  async #change(
    scope: Open['scope'],
    operation: ChannelOperation,
    timeoutMs?: number,
  ): Promise<number> {
    if (scope === 'GLOBAL') return await this.#submit(operation, timeoutMs)
    const result = this.#local.apply(operation)
    this.#perform(this.#local)
    return result
  }

  async #submit(operation: ChannelOperation, timeoutMs?: number): Promise<number> {
    const options = timeoutMs === undefined ? {} : { timeoutMs }
    const bytes = channelOperationCodec.encode(operation)
    return (await this.#host.submit(this.topic, bytes, options)) as number
  }
}
