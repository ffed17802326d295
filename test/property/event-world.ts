import { SdkError } from '../../idl/index.ts'
import { ChannelContent } from '../../runtime/services/event/channel-content.ts'
import { EventHub } from '../../runtime/services/event/event-hub.ts'
import type { ChannelOperation } from '../../runtime/services/event/operations.ts'
import { Outbox } from '../../runtime/services/event/outbox.ts'
import { RECORD_KIND, Records, RecordWriter } from '../../runtime/services/event/record.ts'
import type { OrderMember } from '../../runtime/services/replicated/interface.ts'
import { Clockwork, Random } from './simulation.ts'

export const NODES = [1, 2, 3]
export const CHANNEL = 1
const OPEN = { number: 1, channel: CHANNEL, name: 'c', scope: 'GLOBAL' } as const

type Entry =
  | { readonly kind: 'operation'; readonly operation: ChannelOperation }
  | { readonly kind: 'view'; readonly members: readonly OrderMember[] }

/** One subscriber, and what it was given. */
export interface Listener {
  readonly caller: string
  readonly outbox: Outbox
  readonly seen: string[]
  lost: number
  /** How many events each life had published when everybody knew of it; what came later is for it. */
  since: ReadonlyMap<string, number> | null
}

export interface Life {
  readonly member: OrderMember
  readonly hub: EventHub
  readonly content: ChannelContent
  /** Entries of the order that it has. */
  place: number
  view: readonly OrderMember[]
  isCut: boolean
  readonly listener: Listener
}

/** Nodes that are cut off for a while or start anew, over a network that delays, loses and repeats. */
export class World {
  readonly clock = new Clockwork()
  readonly random: Random
  readonly order: Entry[] = []
  readonly lives = new Map<number, Life>()
  readonly listeners: Listener[] = []
  /** Events of each life, in order. */
  readonly published = new Map<string, string[]>()
  /** Those of which it was acknowledged that all nodes hold them, and all. */
  readonly retained = new Set<string>()
  readonly toRetain = new Set<string>()
  /** Those of them whose retention was ended. */
  readonly cleared = new Set<string>()
  /** Of what was acknowledged. */
  readonly ids = new Map<string, { readonly node: number; readonly counter: number }>()
  faults = true
  #count = 0
  #view: readonly OrderMember[] = []

  constructor(seed: number) {
    this.random = new Random(seed)
    const opener = { life: 'nobody', eo: 'nobody', open: 1, isSubscriber: false }
    this.#enter({ kind: 'operation', operation: { kind: 'open', name: 'c', create: true, opener } })
    for (const node of NODES) this.start(node)
  }

  /** A new life of a node: it has the whole content, and a view with it follows. */
  start(node: number): void {
    const member = { node, life: `${node}.${++this.#count}` }
    const content = new ChannelContent(1)
    const listener: Listener = {
      caller: `listener ${member.life}`,
      outbox: new Outbox({ countMax: 100_000, bytesMax: 100_000_000, byPriority: true }),
      seen: [],
      lost: 0,
      since: null,
    }
    const life: Life = {
      member,
      content,
      place: 0,
      view: [],
      isCut: false,
      listener,
      hub: new EventHub({
        nodeId: node,
        self: member,
        firstCounter: this.#count * 1_000_000,
        members: () => life.view,
        interestOf: (other) => content.interestOf(other),
        hasChannel: (channel) => content.has(channel),
        kick: () => {},
        send: (to, records) => this.#send(life, to, records),
        clock: {
          nowMs: () => this.clock.nowMs,
          after: (delayMs, run) => this.clock.after(delayMs, run),
        },
      }),
    }
    const donor = [...this.lives.values()].find(({ isCut }) => !isCut)
    if (donor !== undefined) {
      content.restore(donor.content.snapshot())
      life.place = donor.place
      life.view = donor.view
      life.hub.viewChanged(life.view)
      life.hub.contentReplaced()
    }
    this.lives.set(node, life)
    this.listeners.push(listener)
    this.published.set(member.life, [])
    this.changeView([...this.#view.filter((one) => one.node !== node), member])
    this.subscribe(life)
  }

  changeView(members: readonly OrderMember[]): void {
    this.#view = members
    this.#enter({ kind: 'view', members })
  }

  /** Opens to subscribe, and subscribes once all nodes of the view know. */
  subscribe(life: Life): void {
    const { listener, member } = life
    const opener = { life: member.life, eo: listener.caller, open: 1, isSubscriber: true }
    const operation = { kind: 'reopen', channel: CHANNEL, name: 'c', opener } as const
    const at = this.#enter({ kind: 'operation', operation })
    if (listener.since !== null) return
    const program = { caller: listener.caller, outbox: listener.outbox, sender: NO_SENDER }
    const wait = (): void => {
      if (this.lives.get(member.node) !== life) return
      const isKnown = this.#view.every(({ node }) => (this.lives.get(node)?.place ?? at) >= at)
      if (!isKnown || life.isCut || life.place < at) return void this.clock.after(5, wait)
      life.hub.subscribe(CHANNEL, program, {
        number: 1,
        filter: { kind: 'patterns', filters: [] },
      })
      const counts = [...this.published].map(([one, texts]) => [one, texts.length] as const)
      listener.since = new Map(counts)
    }
    wait()
  }

  publish(node: number, retentionMs: number): void {
    const life = this.lives.get(node)
    if (life === undefined) return
    const texts = this.published.get(life.member.life) ?? []
    const text = `${life.member.life}:${texts.length}`
    texts.push(text)
    if (retentionMs > 0) this.toRetain.add(text)
    const writer = new RecordWriter()
    const data = Buffer.from(text)
    writer.event({ priority: 3, retentionMs, publisherName: '', patterns: [], data })
    const open = { ...OPEN, isSubscriber: false, isPublisher: true }
    void Promise.resolve(life.hub.publish(open, writer.take())).then(
      (id) => {
        this.ids.set(text, id)
        if (retentionMs > 0) this.retained.add(text)
      },
      () => {},
    )
  }

  crash(node: number): void {
    this.lives.get(node)?.hub.close()
    this.lives.delete(node)
    this.changeView(this.#view.filter((one) => one.node !== node))
  }

  cut(node: number): void {
    const life = this.lives.get(node)
    if (life !== undefined) life.isCut = true
    this.changeView(this.#view.filter((one) => one.node !== node))
  }

  heal(node: number): void {
    const life = this.lives.get(node)
    if (life === undefined) return
    life.isCut = false
    this.changeView([...this.#view, life.member])
    this.#advance(life)
    this.subscribe(life)
  }

  /** Gives programs what waits for them. */
  drain(): void {
    for (const { listener } of this.lives.values()) {
      for (let batch = listener.outbox.take(); batch !== null; batch = listener.outbox.take()) {
        const records = new Records(batch.records)
        for (let at = 0; at < records.bytes.length; at = records.after(at)) {
          if (records.kind(at) === RECORD_KIND.lost) listener.lost += records.sequence(at)
          else listener.seen.push(Buffer.from(records.data(at)).toString())
        }
      }
    }
  }

  /** An operation of the channels, from wherever. */
  operate(operation: ChannelOperation): void {
    this.#enter({ kind: 'operation', operation })
  }

  /** What somebody gets on each node who subscribes now. */
  retainedOn(): Map<string, string[]> {
    const found = new Map<string, string[]>()
    for (const { member, hub } of this.lives.values()) {
      const outbox = new Outbox({ countMax: 100_000, bytesMax: 100_000_000, byPriority: true })
      const late = { caller: `late ${member.life}`, outbox, sender: NO_SENDER }
      hub.subscribe(CHANNEL, late, { number: 9, filter: { kind: 'patterns', filters: [] } })
      const texts: string[] = []
      for (let batch = outbox.take(); batch !== null; batch = outbox.take()) {
        const records = new Records(batch.records)
        for (let at = 0; at < records.bytes.length; at = records.after(at)) {
          texts.push(Buffer.from(records.data(at)).toString())
        }
      }
      found.set(member.life, texts.toSorted())
    }
    return found
  }

  #enter(entry: Entry): number {
    this.order.push(entry)
    for (const life of this.lives.values()) {
      this.clock.after(this.random.below(30), () => this.#advance(life))
    }
    return this.order.length
  }

  #advance(life: Life): void {
    if (life.isCut || this.lives.get(life.member.node) !== life) return
    for (; life.place < this.order.length; life.place += 1) {
      const entry = this.order[life.place]!
      if (entry.kind === 'operation') life.content.apply(entry.operation)
      else {
        life.view = entry.members
        life.content.keepNodes(new Set(entry.members.map((one) => one.life)))
        life.hub.viewChanged(entry.members)
      }
      for (const effect of life.content.takeEffects()) {
        if (effect.kind === 'interest') {
          life.hub.interest(effect.life, effect.channel, effect.isWanted)
        } else if (effect.kind === 'cleared') life.hub.cleared(effect)
        else life.hub.channelDeleted(effect.channel)
      }
    }
  }

  #send(from: Life, to: OrderMember, records: Uint8Array): Promise<void> {
    const revision = from.place
    const copy = records.slice()
    return new Promise((resolve, reject) => {
      const fail = (): void => reject(new SdkError('COMP_UNREACHABLE', 'lost'))
      const target = this.lives.get(to.node)
      const isGone = target?.member.life !== to.life || target.isCut || from.isCut
      if (isGone) return void this.clock.after(2, fail)
      const isLost = this.faults && this.random.chance(0.05)
      const isAnswerLost = this.faults && this.random.chance(0.05)
      if (isLost) return void this.clock.after(20, fail)
      this.clock.after(1 + this.random.below(5), () => {
        if (this.lives.get(to.node) !== target || target.isCut || target.place < revision) {
          return fail()
        }
        try {
          target.hub.take(from.member, copy)
        } catch {
          return fail()
        }
        this.clock.after(this.random.below(5), isAnswerLost || from.isCut ? fail : resolve)
      })
    })
  }
}

const NO_SENDER = { kick: () => {} } as never
