import { expect } from 'vitest'
import {
  ocEv,
  type OcEvClass,
  type OcEvCookie,
  type OcEvData,
  type OcEvFd,
  type OcEvHandle,
  type OcEvStyle,
} from '../../runtime/index.ts'
import type { ClusterEvents } from '../../runtime/services/cluster-events/client.ts'
import { ClusterEventServer } from '../../runtime/services/cluster-events/server.ts'
import { groupServer } from '../../runtime/services/group/server.ts'
import type { CreateServices } from '../../runtime/services/node-services.ts'
import type { Process } from './stepped.ts'

export const { OC_EV_CONN_CLASS: CONN, OC_EV_MEMB_CLASS: MEMB, OC_EV_GROUP_CLASS: GROUP } = ocEv
export const QUORUM_LOST_MS = 2_000

/** Groups and cluster events, with one network interface. */
export const clusterEventServices: CreateServices = (host) => {
  const options = { interfaces: () => ['eth0'], lookMs: 1_000, quorumLostMs: QUORUM_LOST_MS }
  const events = new ClusterEventServer(host, options)
  return [groupServer(host, (effect) => events.observe(effect)), events]
}

export interface ListenerOptions {
  readonly name: string
  /** A life of the node whose events it hears. */
  readonly place: unknown
  readonly process: Process
  readonly clusterEvents: ClusterEvents
  readonly classes?: readonly OcEvClass[]
  readonly style?: OcEvStyle
  /** When its callbacks complete. */
  readonly completion?: 'at once' | 'later' | 'never'
}

/** What callbacks of a node have begun and not completed, of whoever is alive. */
const open = new Map<Listener, string>()
/** What callbacks found wrong: what they throw is only logged. */
export const faults: string[] = []

/** A handle, and all that its callbacks heard. */
export class Listener {
  readonly name: string
  readonly place: unknown
  readonly process: Process
  readonly handle: OcEvHandle
  readonly heard: string[] = []
  completion: NonNullable<ListenerOptions['completion']>
  /** It has heard that nothing follows. */
  isEnded = false
  isUnregistered = false
  /** Run by the next callback, inside of it. */
  inside: (() => void) | null = null
  /** What NORETURN's `handleEvent` came back with; null: it has not. */
  returned: number | null = null
  /** Its first membership is what was there. */
  isLate = false
  /** It hears of memberships without quorum too. */
  isSpecial = false
  readonly #wanted = new Set<OcEvClass>()
  #waiting: (() => void)[] = []
  #cookie: OcEvCookie | null = null
  #isInside = false
  readonly #style: OcEvStyle

  constructor(options: ListenerOptions) {
    const { name, place, process, clusterEvents, classes = [MEMB, GROUP] } = options
    this.name = name
    this.place = place
    this.process = process
    this.completion = options.completion ?? 'at once'
    this.#style = options.style ?? ocEv.OC_EV_AS_DIRECT
    const handle = process.run(() => ocEv.register({ clusterEvents }))
    if (handle === null) throw ocEv.lastError ?? new Error('register failed')
    this.handle = handle
    for (const eventClass of classes) this.listen(eventClass)
  }

  listen(eventClass: OcEvClass): void {
    const code = this.process.run(() =>
      ocEv.setCallback(this.handle, ocEv.OC_EV_PRIO_MED, eventClass, (event, cookie, _, data) =>
        this.#hear(event, cookie, data),
      ),
    )
    expect(code, 'setCallback').toBe(ocEv.OC_SUCCESS)
    this.#wanted.add(eventClass)
  }

  ignore(eventClass: OcEvClass): void {
    const { handle } = this
    const code = this.process.run(() =>
      ocEv.setCallback(handle, ocEv.OC_EV_PRIO_MED, eventClass, null),
    )
    expect(code).toBe(ocEv.OC_SUCCESS)
    this.#wanted.delete(eventClass)
  }

  wants(eventClass: OcEvClass): boolean {
    return this.#wanted.has(eventClass) && !this.isUnregistered && !this.isEnded
  }

  activate(): void {
    this.process.run(() => {
      const target = new EventTarget()
      target.addEventListener('SIGUSR2', () => void ocEv.handleEvent(this.handle))
      const place: OcEvFd = { fd: null }
      const argument =
        this.#style === ocEv.OC_EV_AS_SIGNAL ? { signal: 'SIGUSR2' as const, target } : place
      expect(ocEv.activate(this.handle, this.#style, argument)).toBe(ocEv.OC_SUCCESS)
      place.fd?.on('readable', () => void ocEv.handleEvent(this.handle))
      if (this.#style !== ocEv.OC_EV_AS_NORETURN) return
      void Promise.resolve(ocEv.handleEvent(this.handle)).then((code) => {
        this.returned = code
        this.#wake()
      })
    })
  }

  unregister(): void {
    expect(this.process.run(() => ocEv.unregister(this.handle))).toBe(ocEv.OC_SUCCESS)
    this.isUnregistered = true
    // Outside of a callback what it holds is complete.
    if (this.#isInside) return
    this.#cookie = null
    open.delete(this)
  }

  /** Completes what it holds. */
  complete(): void {
    const cookie = this.#cookie
    if (cookie === null) return
    this.#cookie = null
    open.delete(this)
    const codes = this.process.run(() => [ocEv.callbackDone(cookie), ocEv.callbackDone(cookie)])
    if (codes.join() !== '0,-1') faults.push(`${this.name}: callbackDone gives ${codes.join()}`)
  }

  get isHolding(): boolean {
    return this.#cookie !== null
  }

  /** What it heard of one kind: the first word of its text. */
  of(...kinds: readonly string[]): string[] {
    return this.heard.filter((text) => kinds.includes(text.split(' ', 1)[0] ?? ''))
  }

  /** Resolves when that holds: it is looked at after each callback. */
  async until(holds: () => boolean): Promise<void> {
    while (!holds()) {
      await new Promise<void>((resolve) => {
        this.#waiting.push(resolve)
      })
    }
  }

  #wake(): void {
    for (const wake of this.#waiting.splice(0)) wake()
  }

  #hear(event: number, cookie: OcEvCookie, data: OcEvData | null): void {
    // What a dead one hears nobody sees.
    if (!this.process.isAlive) return
    const text = textOf(event, data)
    this.#checkTurn(text)
    this.heard.push(text)
    this.isEnded = text === 'EVICTED'
    open.set(this, text)
    this.#cookie = cookie
    this.#isInside = true
    this.inside?.()
    this.#isInside = false
    this.inside = null
    if (this.completion === 'at once') this.complete()
    else if (this.completion === 'later') setTimeout(() => this.complete(), 1)
    this.#wake()
  }

  #checkTurn(text: string): void {
    const where = `${this.name} hears ${text}`
    if (this.isUnregistered) faults.push(`${where}, and is unregistered`)
    if (this.isEnded) faults.push(`${where} after the end`)
    if (this.#cookie !== null) faults.push(`${where} before it has completed`)
    for (const [other, held] of open) {
      if (!other.process.isAlive) open.delete(other)
      else if (other.place === this.place && held !== text) {
        faults.push(`${where}, and ${other.name} has not completed ${held}`)
      }
    }
  }
}

const MEMBERSHIPS = ['INVALID', 'NEW', 'SUSPECT', 'RECOVERED', 'EVICTED', 'EVICTED']
const GROUPS = ['', 'JOIN', 'LEAVE', 'CAST']

function textOf(event: number, data: OcEvData | null): string {
  const number = ocEv.getEvent(event)
  if (data === null) return MEMBERSHIPS[number] ?? String(event)
  switch (data.kind) {
    case 'membership': {
      const ids = data.nodes.slice(data.memberIndex, data.memberIndex + data.memberCount)
      return `${MEMBERSHIPS[number]} ${data.instance}: ${ids.map((node) => node?.nodeId).join()}`
    }
    case 'connectivity':
      return `CONN ${data.change} ${data.names.join()}`
    case 'groupView': {
      const { group, viewNumber, changed } = data
      return `${GROUPS[number]} ${group}.${viewNumber}: ${changed.map(({ memberId }) => memberId).join()}`
    }
    case 'groupMessage':
      return `CAST ${Buffer.from(data.message).toString()}`
  }
}
