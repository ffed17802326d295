import type { Link, LinkEvents, LinkFailure, Listener, Transport } from '../../ioc/index.ts'
import { type IocAddress, memoryTransport } from '../../ioc/index.ts'
import type { Random } from '../property/simulation.ts'

/** Connections of one process: gone with it, without a word. */
export class Host {
  readonly node: number
  isAlive = true
  readonly links = new Set<SlowLink>()
  readonly listeners = new Set<Listener>()

  constructor(node: number) {
    this.node = node
  }
}

/**
 * Connections as they are between machines: bytes in order, each after a delay of its own, until the connection is
 * cut; then what was on its way is lost. Messages of different connections overtake each other.
 */
export class Network {
  readonly #wires = memoryTransport()
  readonly #random: Random
  readonly #hosts = new Set<Host>()
  readonly #cut = new Set<number>()

  constructor(random: Random) {
    this.#random = random
  }

  transport(host: Host): Transport {
    this.#hosts.add(host)
    const wires = this.#wires
    return {
      kind: 'simulated',
      listen: async (address, accept) => {
        const listener = await wires.listen(address, (link) => {
          if (host.isAlive) accept(new SlowLink(link, host, null, this.#random))
          else link.destroy()
        })
        host.listeners.add(listener)
        return listener
      },
      connect: (address: IocAddress) => {
        const isCut =
          address.node !== host.node && (this.#cut.has(address.node) || this.#cut.has(host.node))
        const link = wires.connect(isCut || !host.isAlive ? NOWHERE : address)
        return new SlowLink(link, host, address.node, this.#random)
      },
      known: (wanted) => wires.known(wanted),
    }
  }

  /** The process is no more: its connections break, and nothing that it still does leaves it. */
  kill(host: Host): void {
    host.isAlive = false
    for (const link of host.links) link.destroy()
    for (const listener of host.listeners) void listener.close()
    this.#hosts.delete(host)
  }

  /** No connection leads to the node or from it, until `mend`. */
  cut(node: number): void {
    this.#cut.add(node)
    for (const host of this.#hosts) {
      for (const link of host.links) {
        const isAcross = link.to !== null && link.to !== host.node
        if (isAcross && (link.to === node || host.node === node)) link.destroy()
      }
    }
  }

  mend(node: number): void {
    this.#cut.delete(node)
  }
}

const NOWHERE: IocAddress = { node: 1_000, port: 1_000 }

/** One end of a connection whose bytes take their time. */
export class SlowLink implements Link {
  readonly to: number | null
  readonly #link: Link
  readonly #host: Host
  readonly #random: Random
  #lastMs = 0

  constructor(link: Link, host: Host, to: number | null, random: Random) {
    this.#link = link
    this.#host = host
    this.to = to
    this.#random = random
    host.links.add(this)
  }

  start(events: LinkEvents): void {
    const { links } = this.#host
    this.#link.start({
      onOpen: () => this.#host.isAlive && events.onOpen(),
      onData: (bytes) => this.#host.isAlive && events.onData(bytes),
      onWritten: () => this.#host.isAlive && events.onWritten(),
      onClose: (failure: LinkFailure | null) => {
        links.delete(this)
        if (this.#host.isAlive) events.onClose(failure)
      },
    })
  }

  write(bytes: Uint8Array): boolean {
    if (!this.#host.isAlive) return true
    const copy = new Uint8Array(bytes)
    const delayMs = this.#random.chance(0.03) ? this.#random.below(120) : this.#random.below(4)
    const nowMs = performance.now()
    this.#lastMs = Math.max(this.#lastMs, nowMs + delayMs)
    setTimeout(() => this.#host.isAlive && this.#link.write(copy), this.#lastMs - nowMs)
    return true
  }

  end(): void {
    setTimeout(() => this.#link.end(), Math.max(0, this.#lastMs - performance.now()) + 1)
  }

  destroy(): void {
    this.#link.destroy()
  }
}
