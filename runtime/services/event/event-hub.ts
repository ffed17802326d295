import { SdkError } from '../../../idl/index.ts'
import type { Clock } from '../../../ioc/index.ts'
import type { OrderMember } from '../replicated/interface.ts'
import { isGlobalChannel } from './channel-content.ts'
import { patternTest } from './filter.ts'
import { Intake } from './intake.ts'
import type { SubscriptionFilter } from './interface.ts'
import { type PeerLink, PeerLinks, pushEvents, pushMark, pushRetained } from './peer-links.ts'
import type { Open, Program } from './programs.ts'
import { RECORD_KIND, type RecordRange, Records } from './record.ts'
import { RetainedEvents } from './retained-events.ts'
import { Subscriptions } from './subscriptions.ts'

/** A retained event is on all nodes within this, or its publisher hears that it may not be. */
const RETAIN_TIMEOUT_MS = 5_000
const SWEEP_MS = 1_000
const SHARE_AGAIN_MS = 1_000

export interface EventHubOptions {
  readonly nodeId: number
  readonly self: OrderMember
  /** Ids of events count from here; no life of the node uses the numbers of another one. */
  readonly firstCounter: number
  readonly members: () => readonly OrderMember[]
  /** Global channels with subscribers of a life. */
  readonly interestOf: (life: string) => readonly number[]
  /** Is there such a global channel? */
  readonly hasChannel: (channel: number) => boolean
  /** Something was put into the outboxes of these programs. */
  readonly kick: (callers: Iterable<string>) => void
  /** Gives records to one life of another node; rejects when it may not have taken them. */
  readonly send: (to: OrderMember, records: Uint8Array) => Promise<unknown>
  readonly clock: Clock
}

type EventId = { readonly channel: number; readonly node: number; readonly counter: number }

/** Who waits until all nodes of the view hold a retained event. */
interface Holding {
  readonly pending: Set<string>
  readonly end: (error: SdkError | null) => void
}

/**
 * Where the events of one node meet: those of its publishers and of other nodes go to its subscribers, those of its
 * publishers to the nodes that want them, and retained ones are kept.
 *
 * I1 What other nodes see of this node's events on a global channel is numbered without a gap.
 * I2 An event passes here once: to everybody who is subscribed at that moment; later subscribers find it among the
 * retained ones, or not at all.
 */
export class EventHub {
  readonly #options: EventHubOptions
  readonly #subscriptions = new Subscriptions()
  readonly #links: PeerLinks
  readonly #intake = new Intake()
  readonly #retained = { GLOBAL: new RetainedEvents(), LOCAL: new RetainedEvents() } as const
  /** The last sequence of each global channel. */
  readonly #sequences = new Map<number, number>()
  readonly #holdings = new Set<Holding>()
  /** Links that miss retained events of this node, and what stops that they get them again. */
  readonly #behind = new Map<PeerLink, () => void>()
  #counter: number
  #cancelSweep: (() => void) | null = null
  #isClosed = false

  constructor(options: EventHubOptions) {
    this.#options = options
    const { self, clock } = options
    this.#counter = options.firstCounter
    this.#links = new PeerLinks({
      self,
      clock,
      send: (to, { records }) => options.send(to, records),
      onGone: ({ life }, isOver) => this.#shareOrphans(life, isOver),
    })
  }

  // --- subscribers of this node ---

  /** Retained events that match come first. @throws SdkError INVALID_BUFFER for no rule. */
  subscribe(
    channel: number,
    program: Pick<Program, 'caller' | 'outbox' | 'sender'>,
    { number, filter }: { readonly number: number; readonly filter: SubscriptionFilter },
  ): void {
    const test = patternTest(filter)
    this.#subscriptions.add(channel, program, { number, test })
    const nowMs = this.#options.clock.nowMs()
    const only = [number]
    for (const { record } of this.#retainedOf(channel).of(channel, nowMs)) {
      const records = new Records(record)
      if (test !== null && !test(records.patternSpans(0))) continue
      program.outbox.push(records, records.whole, only)
    }
    program.sender.kick()
  }

  unsubscribe(channel: number, caller: string, number: number): void {
    this.#subscriptions.remove(channel, caller, number)
  }

  /** No program of this node has the channel open to subscribe any more. */
  interestEnded(channel: number): void {
    this.#intake.interestEnded(channel)
  }

  // --- publishers of this node ---

  /**
   * @returns the id of the first event; the others follow it.
   * @throws SdkError MESSAGE_ERROR, NO_SPACE, TIMEOUT.
   */
  publish(
    { channel, name, scope }: Open,
    bytes: Uint8Array,
  ): { node: number; counter: number } | Promise<{ node: number; counter: number }> {
    const records = new Records(bytes)
    const { nodeId: node } = this.#options
    const counter = this.#counter
    this.#checkPublished(records, { name, scope })
    const isRetained = records.retainedCount > 0
    this.#counter += records.count
    const before = this.#sequences.get(channel) ?? 0
    const publishTimeMs = Date.now()
    records.stamp({ node, channel, counter, sequence: before + 1, publishTimeMs })
    const isGlobal = scope === 'GLOBAL'
    if (isGlobal) this.#sequences.set(channel, before + records.count)
    const links = isGlobal ? this.#linksFor(channel, isRetained) : []
    const held = isRetained && links.length > 0 ? this.#hold(links, name) : null
    this.#subscriptions.route(channel, records, records.whole)
    for (const link of links) pushEvents(link, records, records.whole, held?.onEnd(link))
    if (isRetained) this.#keep(records, 0, this.#options.self.life)
    this.#options.kick(this.#subscriptions.callers(channel))
    for (const { sender } of links) sender.kick()
    const answer = { node, counter }
    return held === null ? answer : held.done.then(() => answer)
  }

  /** @throws SdkError NOT_EXIST. */
  checkRetained(event: EventId): void {
    if (this.#retainedOf(event.channel).has(event)) return
    throw new SdkError('NOT_EXIST', 'no such event is retained on this channel')
  }

  #checkPublished(records: Records, open: Pick<Open, 'name' | 'scope'>): void {
    if (records.retainedCount === 0) return
    if (records.count > 1) {
      throw new SdkError('MESSAGE_ERROR', 'an event with a retention time comes alone')
    }
    if (!this.#retained[open.scope].hasRoom(records.bytes.length)) {
      const message = `${open.name}: too many events are retained: clear some, or retain for less`
      throw new SdkError('NO_SPACE', message)
    }
  }

  #linksFor(channel: number, isRetained: boolean): PeerLink[] {
    return [...this.#links.all()].filter(({ interest }) => isRetained || interest.has(channel))
  }

  /** Waits until the nodes of the view have a retained event. */
  #hold(
    links: readonly PeerLink[],
    name: string,
  ): { done: Promise<void>; onEnd: (link: PeerLink) => (isTaken: boolean) => void } {
    const pending = new Set(links.flatMap(({ isAway, member }) => (isAway ? [] : member.life)))
    let settle: (error: SdkError | null) => void = () => {}
    const done = new Promise<void>((resolve, reject) => {
      settle = (error) => (error === null ? resolve() : reject(error))
    })
    const uncertain = (why: string): SdkError =>
      new SdkError('TIMEOUT', `${name}: ${why}: not every node may retain it`, { mayHaveRun: true })
    const cancel = this.#options.clock.after(RETAIN_TIMEOUT_MS, () => {
      holding.end(uncertain(`not on all nodes within ${RETAIN_TIMEOUT_MS} ms`))
    })
    const holding: Holding = {
      pending,
      end: (error) => {
        cancel()
        this.#holdings.delete(holding)
        settle(error)
      },
    }
    this.#holdings.add(holding)
    if (pending.size === 0) holding.end(null)
    const onEnd =
      (link: PeerLink) =>
      (isTaken: boolean): void => {
        if (!isTaken) this.#shareAgain(link)
        if (!pending.delete(link.member.life)) return
        if (!isTaken) holding.end(uncertain(`node ${link.member.node} is too slow`))
        else if (pending.size === 0) holding.end(null)
      }
    return { done, onEnd }
  }

  // --- other nodes ---

  viewChanged(members: readonly OrderMember[]): void {
    const lives = new Set(members.map(({ life }) => life))
    for (const { pending, end } of this.#holdings) {
      for (const life of pending) if (!lives.has(life)) pending.delete(life)
      if (pending.size === 0) end(null)
    }
    const fresh = this.#links.update(members, this.#options.interestOf)
    this.#shareRetained(fresh, lives)
    for (const link of fresh) {
      for (const channel of link.interest) this.#mark(link, channel)
      link.sender.kick()
    }
  }

  /** A node has its first subscriber on a channel, or none any more. */
  interest(life: string, channel: number, isWanted: boolean): void {
    const link = this.#links.setInterest(life, channel, isWanted)
    if (link === null) return
    this.#mark(link, channel)
    link.sender.kick()
  }

  channelDeleted(channel: number): void {
    this.#retainedOf(channel).deleteChannel(channel)
    this.#sequences.delete(channel)
    this.#intake.keepChannels(this.#options.hasChannel)
  }

  cleared(event: EventId): void {
    this.#retainedOf(event.channel).clear(event, this.#options.clock.nowMs())
    this.#sweepLater()
  }

  /** The channels are others than before: what was missed is made up for. */
  contentReplaced(): void {
    for (const channel of this.#retained.GLOBAL.channels()) {
      if (!this.#options.hasChannel(channel)) this.#retained.GLOBAL.deleteChannel(channel)
    }
    this.#intake.keepChannels(this.#options.hasChannel)
    for (const { member, interest } of this.#links.all()) {
      const wanted = new Set(this.#options.interestOf(member.life))
      for (const channel of interest) {
        if (!wanted.has(channel)) this.interest(member.life, channel, false)
      }
      for (const channel of wanted) this.interest(member.life, channel, true)
    }
  }

  /** What another node sent. @throws SdkError TRY_AGAIN when it is not in the view; MESSAGE_ERROR. */
  take(from: OrderMember, bytes: Uint8Array): void {
    const isMember = this.#options
      .members()
      .some(({ node, life }) => node === from.node && life === from.life)
    if (!isMember) throw new SdkError('TRY_AGAIN', `node ${from.node} is not in the view here`)
    const records = new Records(bytes)
    const channels = new Set<number>()
    for (let at = 0; at < bytes.length;) {
      channels.add(records.channel(at))
      const plain = records.plainRange(at)
      if (plain === null) this.#takeOne(from, records, at)
      else this.#takeEvents(from, records, plain)
      at = plain?.end ?? records.after(at)
    }
    for (const channel of channels) this.#options.kick(this.#subscriptions.callers(channel))
  }

  close(): void {
    this.#isClosed = true
    this.#cancelSweep?.()
    for (const cancel of this.#behind.values()) cancel()
    this.#links.close()
    for (const { end } of this.#holdings) {
      end(new SdkError('TRY_AGAIN', 'the node stops', { mayHaveRun: true }))
    }
  }

  /** Events with consecutive sequences, or one that is retained. */
  #takeEvents(from: OrderMember, records: Records, range: RecordRange): void {
    const { start, count } = range
    const channel = records.channel(start)
    const taken = this.#intake.events(from, channel, records.sequence(start), count)
    if (taken.lost > 0) this.#subscriptions.lose(channel, taken.lost)
    if (taken.known === count) return
    const isRetained = records.retentionMs(start) > 0
    // Another node may have had it before, and shared it.
    if (isRetained && this.#knows(records, start)) return this.#routeUnheard(records, start)
    const fresh = taken.known === 0 ? range : records.without(range, taken.known)
    this.#subscriptions.route(channel, records, fresh)
    if (isRetained) this.#keep(records, start, from.life)
  }

  #takeOne(from: OrderMember, records: Records, at: number): void {
    const channel = records.channel(at)
    switch (records.kind(at)) {
      case RECORD_KIND.event:
        return this.#takeEvents(from, records, records.one(at))
      case RECORD_KIND.retained: {
        const life = records.node(at) === from.node ? from.life : null
        if (!this.#keep(records, at, life)) return this.#routeUnheard(records, at)
        this.#subscriptions.route(channel, records, records.one(at))
        return
      }
      case RECORD_KIND.kept:
        this.#keep(records, at, null)
        return
      case RECORD_KIND.mark: {
        const lost = this.#intake.mark(from, channel, records.sequence(at))
        if (lost > 0) this.#subscriptions.lose(channel, lost)
        return
      }
    }
  }

  /** New nodes get what this one published, and what is left of nodes that are gone. */
  #shareRetained(fresh: readonly PeerLink[], lives: ReadonlySet<string>): void {
    const { self } = this.#options
    const own = (life: string | null): boolean =>
      life === self.life || life === null || !lives.has(life)
    this.#share(fresh, own, RECORD_KIND.retained)
  }

  /**
   * A node that has ended may not have reached all others with its last retained events. Those that are away just now
   * get them too, should they come back. While it may come back itself, what it sends then comes in its order: until
   * then copies are for later subscribers only.
   */
  #shareOrphans(gone: string, isOver: boolean): void {
    const kind = isOver ? RECORD_KIND.retained : RECORD_KIND.kept
    this.#share([...this.#links.all()], (life) => life === gone, kind)
  }

  /** A link has dropped a retained event: it is made up for. Who has one already drops the copy. */
  #shareAgain(link: PeerLink): void {
    if (this.#isClosed || this.#behind.has(link)) return
    const share = (): void => {
      this.#behind.delete(link)
      const lives = new Set(this.#options.members().map(({ life }) => life))
      if (this.#links.has(link)) this.#shareRetained([link], lives)
    }
    this.#behind.set(link, this.#options.clock.after(SHARE_AGAIN_MS, share))
  }

  #share(
    links: readonly PeerLink[],
    isShared: (life: string | null) => boolean,
    kind: number,
  ): void {
    if (links.length === 0) return
    const nowMs = this.#options.clock.nowMs()
    for (const { life, record, expiresMs } of this.#retained.GLOBAL.all(nowMs)) {
      if (!isShared(life)) continue
      const copy = { kind, remainingMs: expiresMs - nowMs }
      for (const link of links) {
        pushRetained(link, record, copy, (isTaken) => {
          if (!isTaken) this.#shareAgain(link)
        })
      }
    }
    for (const { sender } of links) sender.kick()
  }

  #mark(link: PeerLink, channel: number): void {
    pushMark(link, channel, this.#sequences.get(channel) ?? 0)
  }

  // --- retained events ---

  #knows(records: Records, at: number): boolean {
    const [node, counter] = [records.node(at), records.counter(at)]
    const channel = records.channel(at)
    return this.#retainedOf(channel).knows({ channel, node, counter })
  }

  /** It was kept for later subscribers before those that are there were given it. */
  #routeUnheard(records: Records, at: number): void {
    const channel = records.channel(at)
    const event = { node: records.node(at), counter: records.counter(at) }
    if (!this.#retainedOf(channel).takeUnheard(event)) return
    this.#subscriptions.route(channel, records, records.one(at))
  }

  /** @returns false when it is not kept: it is known, or over. */
  #keep(records: Records, at: number, life: string | null): boolean {
    const channel = records.channel(at)
    const kind = records.kind(at)
    const keptMs = kind === RECORD_KIND.event ? records.retentionMs(at) : records.remainingMs(at)
    if (isGlobalChannel(channel) && !this.#options.hasChannel(channel)) return false
    const event = {
      channel,
      node: records.node(at),
      counter: records.counter(at),
      life,
      expiresMs: this.#options.clock.nowMs() + keptMs,
      record: records.bytes.slice(at, records.after(at)),
    }
    const isKept = this.#retainedOf(channel).add(event, kind !== RECORD_KIND.kept)
    this.#sweepLater()
    return isKept
  }

  #retainedOf(channel: number): RetainedEvents {
    return isGlobalChannel(channel) ? this.#retained.GLOBAL : this.#retained.LOCAL
  }

  #sweepLater(): void {
    if (this.#cancelSweep !== null || this.#isClosed) return
    this.#cancelSweep = this.#options.clock.after(SWEEP_MS, () => {
      this.#cancelSweep = null
      const nowMs = this.#options.clock.nowMs()
      const { GLOBAL, LOCAL } = this.#retained
      for (const events of [GLOBAL, LOCAL]) events.sweep(nowMs)
      if (!GLOBAL.isEmpty || !LOCAL.isEmpty) this.#sweepLater()
    })
  }
}
