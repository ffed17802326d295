import type { Clock } from '../../../ioc/index.ts'
import type { OrderMember } from '../replicated/interface.ts'
import { BatchSender } from './batch-sender.ts'
import { EVENT_LIMITS } from './interface.ts'
import { type EventBatch, Outbox, type PushOptions } from './outbox.ts'
import { type RecordRange, Records, RecordWriter } from './record.ts'

/** A node that left the view may come back with what it missed waiting here. */
const AWAY_MS = 10_000
const NOBODY: readonly number[] = []
const NEEDED: PushOptions = { isNeeded: true }

export interface PeerLinksOptions {
  readonly self: OrderMember
  readonly send: (to: OrderMember, batch: EventBatch) => Promise<unknown>
  /** The life of a node is over: another one has come. Or it stayed away for long, and may be. */
  readonly onGone: (member: OrderMember, isOver: boolean) => void
  readonly clock: Clock
}

/** What goes to one life of another node. */
export interface PeerLink {
  readonly member: OrderMember
  readonly outbox: Outbox
  /** Channels with subscribers there. */
  interest: Set<number>
  isAway: boolean
  readonly sender: BatchSender
  /** Stops the end of the time in which it may come back, or of the one in which it says what it still wants. */
  cancel: (() => void) | null
}

/**
 * The ways to the other nodes of the view. One that leaves the view is kept for a while, and goes on from where it was
 * when the same life comes back.
 */
export class PeerLinks {
  readonly #options: PeerLinksOptions
  readonly #links = new Map<string, PeerLink>()

  constructor(options: PeerLinksOptions) {
    this.#options = options
  }

  has(link: PeerLink): boolean {
    return this.#links.get(link.member.life) === link
  }

  /** Those in the view and those that may come back. */
  all(): Iterable<PeerLink> {
    return this.#links.values()
  }

  /**
   * Follows a view.
   * @param interestOf - channels with subscribers of a life, at this place of the order.
   * @returns the links to lives that were not known.
   */
  update(
    members: readonly OrderMember[],
    interestOf: (life: string) => readonly number[],
  ): PeerLink[] {
    const { self } = this.#options
    for (const link of [...this.#links.values()]) {
      const now = members.find(({ node }) => node === link.member.node)
      if (now === undefined) this.#goneAway(link)
      else if (now.life !== link.member.life) this.#gone(link, true)
    }
    return members.flatMap((member) => {
      if (member.node === self.node) return []
      const known = this.#links.get(member.life)
      if (known !== undefined) {
        this.#comeBack(known, interestOf)
        return []
      }
      return [this.#begin(member, interestOf(member.life))]
    })
  }

  /**
   * A node has its first subscriber on a channel, or none any more.
   * @returns the link that has to be told where that begins.
   */
  setInterest(life: string, channel: number, isWanted: boolean): PeerLink | null {
    const link = this.#links.get(life)
    if (link === undefined || link.isAway || link.interest.has(channel) === isWanted) return null
    if (isWanted) link.interest.add(channel)
    else link.interest.delete(channel)
    return isWanted ? link : null
  }

  close(): void {
    for (const link of [...this.#links.values()]) this.#end(link)
  }

  #begin(member: OrderMember, interest: readonly number[]): PeerLink {
    const { waitingCount, waitingBytes } = EVENT_LIMITS
    const outbox = new Outbox({
      countMax: waitingCount,
      bytesMax: waitingBytes,
      byPriority: false,
    })
    const { send, clock } = this.#options
    const sender = new BatchSender({ outbox, send: (batch) => send(member, batch), clock })
    const link: PeerLink = {
      member,
      outbox,
      interest: new Set(interest),
      isAway: false,
      sender,
      cancel: null,
    }
    this.#links.set(member.life, link)
    return link
  }

  #goneAway(link: PeerLink): void {
    if (link.isAway) return
    link.isAway = true
    link.sender.pause()
    link.cancel?.()
    link.cancel = this.#options.clock.after(AWAY_MS, () => this.#gone(link, false))
  }

  #comeBack(link: PeerLink, interestOf: (life: string) => readonly number[]): void {
    if (!link.isAway) return
    link.isAway = false
    link.cancel?.()
    // Until it has said what its programs still have open, it gets what it got before.
    link.cancel = this.#options.clock.after(AWAY_MS, () => {
      link.cancel = null
      link.interest = new Set(interestOf(link.member.life))
    })
    link.sender.resume()
  }

  #gone(link: PeerLink, isOver: boolean): void {
    this.#end(link)
    this.#options.onGone(link.member, isOver)
  }

  #end(link: PeerLink): void {
    link.cancel?.()
    link.sender.close(false)
    this.#links.delete(link.member.life)
  }
}

/** Puts the place into a link from which on every event of a channel is for its node. */
export function pushMark(link: PeerLink, channel: number, sequence: number): void {
  const writer = new RecordWriter()
  writer.mark(channel, sequence)
  const records = new Records(writer.take())
  link.outbox.push(records, records.whole, NOBODY, NEEDED)
}

/**
 * Puts a copy of a retained event into a link.
 * @param copy - of which {@link RECORD_KIND}, and how long it is kept still.
 * @param onEnd - told whether its node has it.
 */
export function pushRetained(
  link: PeerLink,
  record: Uint8Array,
  copy: { readonly kind: number; readonly remainingMs: number },
  onEnd: (isTaken: boolean) => void,
): void {
  const writer = new RecordWriter()
  writer.retained(record, copy.remainingMs, copy.kind)
  const records = new Records(writer.take())
  link.outbox.push(records, records.whole, NOBODY, { onEnd })
}

/** Puts events into a link. @param onEnd - of a single one, told whether its node has it. */
export function pushEvents(
  link: PeerLink,
  records: Records,
  range: RecordRange,
  onEnd?: (isTaken: boolean) => void,
): void {
  link.outbox.push(records, range, NOBODY, onEnd === undefined ? {} : { onEnd })
}
