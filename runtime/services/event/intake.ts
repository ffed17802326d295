import type { OrderMember } from '../replicated/interface.ts'

/** What is to be done with records from another node. */
export interface Taken {
  /** So many, the first ones, were here before. */
  readonly known: number
  /** Events before the others that this node wanted and did not get. */
  readonly lost: number
}

interface Heard {
  last: number
  /** Everything from here on is for this node: what is missing is lost. */
  isComplete: boolean
}

/**
 * How far this node has heard each life of another node on each channel. A core.
 *
 * I1 A record is new once. I2 After a mark every event that is missing is counted, until the interest ends.
 */
export class Intake {
  /** Lives by node: one that comes back has another one, or goes on with the same. */
  readonly #nodes = new Map<number, { readonly life: string; readonly heard: Map<number, Heard> }>()

  /** Events with consecutive sequences, from `first` on. */
  events(from: OrderMember, channel: number, first: number, count: number): Taken {
    const heard = this.#heard(from)
    const last = first + count - 1
    const before = heard.get(channel)
    if (before === undefined) {
      heard.set(channel, { last, isComplete: false })
      return { known: 0, lost: 0 }
    }
    const known = Math.min(count, Math.max(0, before.last - first + 1))
    const lost = before.isComplete ? Math.max(0, first - before.last - 1) : 0
    before.last = Math.max(before.last, last)
    return { known, lost }
  }

  /** From here on every event is for this node, and earlier ones are lost if they were for it too. */
  mark(from: OrderMember, channel: number, sequence: number): number {
    const heard = this.#heard(from)
    const known = heard.get(channel)
    if (known === undefined) {
      heard.set(channel, { last: sequence, isComplete: true })
      return 0
    }
    const lost = known.isComplete ? Math.max(0, sequence - known.last) : 0
    known.last = Math.max(known.last, sequence)
    known.isComplete = true
    return lost
  }

  /** Nobody of this node subscribes to it any more. */
  interestEnded(channel: number): void {
    for (const { heard } of this.#nodes.values()) {
      const known = heard.get(channel)
      if (known !== undefined) known.isComplete = false
    }
  }

  /** Forgets channels that are gone. */
  keepChannels(isThere: (channel: number) => boolean): void {
    for (const { heard } of this.#nodes.values()) {
      for (const channel of heard.keys()) if (!isThere(channel)) heard.delete(channel)
    }
  }

  #heard({ node, life }: OrderMember): Map<number, Heard> {
    const known = this.#nodes.get(node)
    if (known?.life === life) return known.heard
    const heard = new Map<number, Heard>()
    this.#nodes.set(node, { life, heard })
    return heard
  }
}
