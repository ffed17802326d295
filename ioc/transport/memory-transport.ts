import type { IocAddress } from '../address.ts'
import { addressText, tryParseAddress } from '../address-text.ts'
import { alreadyListening } from '../errors.ts'
import { isWanted } from './wanted.ts'
import type { Link, LinkEvents, LinkFailure, Listener, Transport } from './transport.ts'

/** Settings of {@link memoryTransport}. */
export interface MemoryTransportOptions {
  /** Runs each delivery later. A simulation hands in its own. @defaultValue `setImmediate` */
  readonly schedule?: (run: () => void) => void
  /** Bytes on the way in one direction before `write` returns false. @defaultValue 256 KiB */
  readonly windowBytesMax?: number
}

/** A transport inside one process: every user of the same object can reach the others. For tests and simulation. */
export function memoryTransport(options: MemoryTransportOptions = {}): Transport {
  const schedule = options.schedule ?? ((run: () => void) => void setImmediate(run))
  const windowBytesMax = options.windowBytesMax ?? 256 * 1024
  const listeners = new Map<string, (link: Link) => void>()
  return {
    kind: 'memory',
    listen: async (address, accept) => listenAt(listeners, address, accept),
    connect: (address) => {
      const near = new MemoryLink(schedule, windowBytesMax)
      const far = new MemoryLink(schedule, windowBytesMax)
      schedule(() => {
        const accept = listeners.get(addressText(address))
        if (accept === undefined) return near.close(nobody(address))
        if (!near.join(far)) return
        accept(far)
        far.open()
        near.open()
      })
      return near
    },
    known: (wanted) => [...listeners.keys()].map(toAddress).filter(isWanted(wanted)),
  }
}

function listenAt(
  listeners: Map<string, (link: Link) => void>,
  address: IocAddress,
  accept: (link: Link) => void,
): Listener {
  const key = addressText(address)
  if (listeners.has(key)) throw alreadyListening(address)
  listeners.set(key, accept)
  return {
    close: async () => {
      if (listeners.get(key) === accept) listeners.delete(key)
    },
  }
}

const toAddress = (text: string): IocAddress => tryParseAddress(text)!

const nobody = (address: IocAddress): LinkFailure => ({
  kind: 'unreachable',
  message: `nobody listens at ${addressText(address)}`,
})

class MemoryLink implements Link {
  readonly #schedule: (run: () => void) => void
  readonly #windowBytesMax: number
  #peer: MemoryLink | null = null
  #events: LinkEvents | null = null
  #closed = false
  #inFlightBytes = 0
  #writing = false

  constructor(schedule: (run: () => void) => void, windowBytesMax: number) {
    this.#schedule = schedule
    this.#windowBytesMax = windowBytesMax
  }

  /** @returns false when this end was destroyed before it connected. */
  join(peer: MemoryLink): boolean {
    if (this.#closed) return false
    this.#peer = peer
    peer.#peer = this
    return true
  }

  open(): void {
    if (!this.#closed) this.#events?.onOpen()
  }

  start(events: LinkEvents): void {
    this.#events = events
  }

  write(bytes: Uint8Array): boolean {
    const peer = this.#peer
    if (this.#closed || peer === null) return true
    const copy = new Uint8Array(bytes)
    this.#inFlightBytes += copy.length
    this.#schedule(() => {
      this.#inFlightBytes -= copy.length
      if (!peer.#closed) peer.#events?.onData(copy)
      if (!this.#writing || this.#inFlightBytes > this.#windowBytesMax) return
      this.#writing = false
      if (!this.#closed) this.#events?.onWritten()
    })
    this.#writing = this.#inFlightBytes > this.#windowBytesMax
    return !this.#writing
  }

  end(): void {
    const peer = this.#peer
    this.#schedule(() => {
      peer?.close(null)
      this.close(null)
    })
  }

  destroy(): void {
    if (this.#closed) return
    this.#closed = true
    const peer = this.#peer
    this.#schedule(() => {
      this.#events?.onClose(null)
      peer?.close(null)
    })
  }

  close(failure: LinkFailure | null): void {
    if (this.#closed) return
    this.#closed = true
    this.#events?.onClose(failure)
  }
}
