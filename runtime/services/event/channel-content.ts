import { SdkError } from '../../../idl/index.ts'
import { EVENT_LIMITS } from './interface.ts'
import type { ChannelOperation, ChannelsSnapshot, Opener } from './operations.ts'

/** What follows from an operation, in order. */
export type ChannelEffect =
  /** A node process has its first subscriber on a channel, or none any more. */
  | {
      readonly kind: 'interest'
      readonly channel: number
      readonly life: string
      readonly isWanted: boolean
    }
  | { readonly kind: 'deleted'; readonly channel: number }
  | {
      readonly kind: 'cleared'
      readonly channel: number
      readonly node: number
      readonly counter: number
    }

/** Ids of local channels begin here, those of global ones at 1. */
export const FIRST_LOCAL_CHANNEL = 0x8000_0000

export function isGlobalChannel(channel: number): boolean {
  return channel < FIRST_LOCAL_CHANNEL
}

interface Channel {
  readonly name: string
  isUnlinked: boolean
  openers: Opener[]
}

/**
 * Which channels there are and who has them open: the cluster's, or the local ones of one node. A core: the same
 * operations in the same order give the same content everywhere.
 *
 * I1 An operation that throws has changed nothing.
 * I2 A channel exists from the `create` that made it until it is unlinked and nobody has it open.
 */
export class ChannelContent {
  readonly #channels = new Map<number, Channel>()
  /** Those that can be opened by name. */
  readonly #names = new Map<string, number>()
  #nextChannel: number
  #effects: ChannelEffect[] = []

  /** @param firstChannel - ids count from here. */
  constructor(firstChannel: number) {
    this.#nextChannel = firstChannel
  }

  /** What followed since it was last asked. */
  takeEffects(): readonly ChannelEffect[] {
    return this.#effects.splice(0)
  }

  has(channel: number): boolean {
    return this.#channels.has(channel)
  }

  /** Channels on which a node process has subscribers. */
  interestOf(life: string): number[] {
    return [...this.#channels].flatMap(([id, channel]) => (isWanted(channel, life) ? id : []))
  }

  /** @returns the channel of an `open`, else 0. @throws SdkError NOT_EXIST, NO_RESOURCE. */
  apply(operation: ChannelOperation): number {
    switch (operation.kind) {
      case 'open':
        return this.#open(operation)
      case 'reopen':
        return this.#reopen(operation)
      case 'close':
        this.#leave(({ eo, open }) => eo === operation.eo && open === operation.open)
        return 0
      case 'unlink':
        return this.#unlink(operation.name)
      case 'ended':
        this.#leave(({ eo }) => eo === operation.eo)
        return 0
      case 'clear': {
        const { channel, node, counter } = operation
        this.#effects.push({ kind: 'cleared', channel, node, counter })
        return 0
      }
    }
  }

  /** Lives of node processes that are there: programs of others have nothing open any more. */
  keepNodes(lives: ReadonlySet<string>): void {
    this.#leave(({ life }) => !lives.has(life))
  }

  snapshot(): ChannelsSnapshot {
    return {
      nextChannel: this.#nextChannel,
      channels: [...this.#channels].map(([channel, one]) => ({
        ...one,
        channel,
        openers: [...one.openers],
      })),
    }
  }

  /** Replaces the content, without effects. */
  restore({ nextChannel, channels }: ChannelsSnapshot): void {
    this.#nextChannel = nextChannel
    this.#channels.clear()
    this.#names.clear()
    for (const { channel, name, isUnlinked, openers } of channels) {
      this.#channels.set(channel, { name, isUnlinked, openers: [...openers] })
      if (!isUnlinked) this.#names.set(name, channel)
    }
  }

  #open({ name, create, opener }: Extract<ChannelOperation, { kind: 'open' }>): number {
    const known = this.#names.get(name)
    if (known === undefined && !create) {
      throw new SdkError('NOT_EXIST', `there is no channel ${name}: open it with CREATE`)
    }
    if (known === undefined && this.#channels.size >= EVENT_LIMITS.channelCount) {
      const message = `${EVENT_LIMITS.channelCount} channels are there already: unlink some`
      throw new SdkError('NO_RESOURCE', message)
    }
    const id = known ?? this.#nextChannel++
    if (known === undefined) {
      this.#channels.set(id, { name, isUnlinked: false, openers: [] })
      this.#names.set(name, id)
    }
    this.#enter(id, opener)
    return id
  }

  #reopen({ channel, name, opener }: Extract<ChannelOperation, { kind: 'reopen' }>): number {
    // It was unlinked, and nobody else had it open, while the node was away.
    if (!this.#channels.has(channel)) {
      this.#channels.set(channel, { name, isUnlinked: true, openers: [] })
    }
    this.#enter(channel, opener)
    return channel
  }

  #unlink(name: string): number {
    const id = this.#names.get(name)
    const channel = id === undefined ? undefined : this.#channels.get(id)
    if (id === undefined || channel === undefined) {
      throw new SdkError('NOT_EXIST', `there is no channel ${name}`)
    }
    channel.isUnlinked = true
    this.#names.delete(name)
    this.#maybeDelete(id, channel)
    return 0
  }

  #enter(id: number, opener: Opener): void {
    const channel = this.#channels.get(id)
    if (channel === undefined) return
    const isKnown = channel.openers.some(({ eo, open }) => eo === opener.eo && open === opener.open)
    if (isKnown) return
    const was = isWanted(channel, opener.life)
    channel.openers.push(opener)
    this.#noteInterest(id, channel, new Map([[opener.life, was]]))
  }

  #leave(isGone: (opener: Opener) => boolean): void {
    for (const [id, channel] of this.#channels) {
      const gone = channel.openers.filter(isGone)
      if (gone.length === 0) continue
      const was = new Map(gone.map(({ life }) => [life, isWanted(channel, life)]))
      channel.openers = channel.openers.filter((opener) => !isGone(opener))
      this.#noteInterest(id, channel, was)
      this.#maybeDelete(id, channel)
    }
  }

  #noteInterest(id: number, channel: Channel, before: ReadonlyMap<string, boolean>): void {
    for (const [life, was] of before) {
      const is = isWanted(channel, life)
      if (is !== was) this.#effects.push({ kind: 'interest', channel: id, life, isWanted: is })
    }
  }

  #maybeDelete(id: number, channel: Channel): void {
    if (!channel.isUnlinked || channel.openers.length > 0) return
    this.#channels.delete(id)
    this.#effects.push({ kind: 'deleted', channel: id })
  }
}

function isWanted({ openers }: Channel, life: string): boolean {
  return openers.some((opener) => opener.isSubscriber && opener.life === life)
}
