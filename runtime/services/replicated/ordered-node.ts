import type { Logger } from 'pino'
import { type HandlersOf, isSdkError, SdkError } from '../../../idl/index.ts'
import type { Clock, IncomingCall } from '../../../ioc/index.ts'
import type { OrderEntry, OrderFollow, OrderLead, OrderMember, OrderSnapshot } from './interface.ts'
import type { OrderPeers } from './order-peers.ts'
import { PendingSubmissions, takeOrdered } from './order-follower.ts'
import { type LeadEffect, OrderLeader } from './order-leader.ts'
import { lifeOf, OrderLog } from './order-log.ts'
import type { Replicated } from './replicated.ts'

const SUBMIT_TIMEOUT_MS = 10_000
const RETRY_MS = { first: 5, max: 200 } as const
export const SUBMISSION_BYTES_MAX = 1_024 * 1_024

export interface OrderedNodeOptions {
  readonly peers: OrderPeers
  readonly node: number
  /** One life of this node process, new with each start. */
  readonly life: string
  readonly log: Pick<Logger, 'info' | 'warn' | 'error' | 'debug'>
  readonly clock: Clock
  /** This node is part of the view, which it was not before: what is local here has to be told again. */
  readonly onEntered?: () => void
}

interface Pending {
  readonly resolve: (result: unknown) => void
  readonly reject: (error: SdkError) => void
}

/** The handlers of both interfaces, for whoever serves the agent port. */
export interface OrderedHandlers {
  readonly lead: HandlersOf<(typeof OrderLead)['spec'], IncomingCall>
  readonly follow: HandlersOf<(typeof OrderFollow)['spec'], IncomingCall>
}

/**
 * One node's part in the order, and the services over it.
 *
 * I1 Everything a service learns comes through `#deliver` or `#restore`. I2 A submission is repeated until it stands in
 * the order; it stands there once. I3 A submitter hears of the result after this node has applied it.
 */
export class OrderedNode {
  readonly self: OrderMember
  readonly #options: OrderedNodeOptions
  readonly #log = new OrderLog()
  readonly #services = new Map<string, Replicated>()
  readonly #pending = new PendingSubmissions<Pending>()
  #leader: OrderLeader | null = null
  /** The node that is followed, under which term; the own one while it leads. */
  #following: { readonly node: number; readonly term: number } | null = null
  #isJoined = false
  #isSubmitting = false
  #isInside = false
  #cancelTick: (() => void) | null = null
  #cancelRetry: (() => void) | null = null
  #retryMs: number = RETRY_MS.first
  #joinCount = 0
  #isClosed = false
  readonly #stopPresence: () => void

  constructor(options: OrderedNodeOptions) {
    this.#options = options
    this.self = { node: options.node, life: options.life }
    this.#stopPresence = options.peers.onDeath((node) => this.#peerDied(node))
  }

  /** Adds a service; before `lead` or `follow`. */
  add(service: Replicated): void {
    this.#services.set(service.topic, service)
  }

  /** Members of the last delivered view, oldest first. */
  get members(): readonly OrderMember[] {
    return this.#log.members
  }

  readonly handlers: OrderedHandlers = {
    lead: {
      join: ({ term, member, delivered, held }) => {
        this.#leading(term).joined({ member, delivered, held }, this.#options.clock.nowMs())
        this.#perform()
        return {}
      },
      submit: ({ term, member, submissions }) => {
        const refusal = this.#leading(term).submit(member, submissions)
        this.#perform()
        if (refusal !== null) throw new SdkError(refusal, 'the order does not take this now')
        return {}
      },
    },
    follow: {
      order: (ordered) => {
        this.#checkTerm(ordered.term)
        const outcome = takeOrdered(this.#log, ordered)
        if (outcome.kind === 'refused') {
          void this.#join()
          throw new SdkError(outcome.code, 'entries before these are missing here')
        }
        if (outcome.restored && ordered.snapshot !== null) this.#restore(ordered.snapshot)
        this.#deliver(outcome.deliver)
        return {}
      },
      pull: ({ term, after }) => {
        this.#checkTerm(term)
        const isKnown = this.#log.has(after)
        const snapshot = isKnown ? null : this.#snapshot()
        return { snapshot, entries: [...this.#log.after(snapshot?.at ?? after)] }
      },
    },
  }

  /** This node leads from now on. @param expected - the other nodes that are known to be there. */
  lead(term: number, expected: Iterable<number>): void {
    this.#change({ node: this.self.node, term })
    const { clock } = this.#options
    this.#leader = new OrderLeader(
      { term, self: this.self, log: this.#log, expected },
      clock.nowMs(),
    )
    this.#isJoined = true
    this.#perform()
    void this.#submit()
  }

  /** Another node leads. */
  follow(node: number, term: number): void {
    if (this.#following?.term === term) return
    this.#change({ node, term })
    void this.#join()
  }

  /** Nobody can be heard that leads. What is submitted waits. */
  leaderLost(): void {
    this.#change(null)
  }

  /**
   * Puts a message into the order.
   * @returns what the service's `apply` returned on this node.
   * @throws SdkError what `apply` threw; TIMEOUT (it may stand in the order later); TRY_AGAIN when too much waits;
   * TOO_BIG above 1 MiB.
   */
  submit(
    topic: string,
    payload: Uint8Array,
    { timeoutMs = SUBMIT_TIMEOUT_MS }: { readonly timeoutMs?: number } = {},
  ): Promise<unknown> {
    if (this.#isClosed) return Promise.reject(new SdkError('TRY_AGAIN', 'the node stops'))
    if (payload.byteLength > SUBMISSION_BYTES_MAX) {
      const message = `${topic}: ${payload.byteLength} bytes; at most ${SUBMISSION_BYTES_MAX}`
      return Promise.reject(new SdkError('TOO_BIG', message))
    }
    if (this.#pending.isFull) {
      return Promise.reject(new SdkError('TRY_AGAIN', `${topic}: too many changes wait`))
    }
    return new Promise((resolve, reject) => {
      const cancel = this.#options.clock.after(timeoutMs, () => {
        const message = `${topic}: not ordered within ${timeoutMs} ms; it may be later`
        reject(new SdkError('TIMEOUT', message, { mayHaveRun: true }))
      })
      this.#pending.add(topic, payload, {
        resolve: (result) => {
          cancel()
          resolve(result)
        },
        reject: (error) => {
          cancel()
          reject(error)
        },
      })
      void this.#submit()
    })
  }

  close(): void {
    this.#isClosed = true
    this.#change(null)
    this.#stopPresence()
    for (const { reject } of this.#pending.passed(Infinity)) {
      reject(new SdkError('TRY_AGAIN', 'the node stops', { mayHaveRun: true }))
    }
  }

  #change(following: { readonly node: number; readonly term: number } | null): void {
    this.#following = following
    this.#leader = null
    this.#isJoined = false
    this.#joinCount++
    this.#pending.submitAgain()
    this.#retryMs = RETRY_MS.first
    this.#cancelTick?.()
    this.#cancelRetry?.()
    this.#cancelTick = null
    this.#cancelRetry = null
  }

  #leading(term: number): OrderLeader {
    this.#checkTerm(term)
    if (this.#leader === null) throw new SdkError('TRY_AGAIN', 'this node does not lead')
    return this.#leader
  }

  #checkTerm(term: number): void {
    const present = this.#following?.term
    if (present === term) return
    if (present !== undefined && term < present) {
      throw new SdkError('STALE_TERM', `term ${term} is over: ${present} has begun`)
    }
    throw new SdkError('TRY_AGAIN', `term ${term} has not begun here`)
  }

  #peerDied(node: number): void {
    if (this.#leader !== null) {
      this.#leader.lost(node, this.#options.clock.nowMs())
      this.#perform()
    } else if (this.#following?.node === node) this.#rejoinLater()
  }

  // --- following ---

  async #join(): Promise<void> {
    const following = this.#following
    if (following === null || this.#leader !== null) return
    this.#isJoined = false
    const turn = ++this.#joinCount
    try {
      await this.#options.peers.lead(following.node).join({
        term: following.term,
        member: this.self,
        delivered: this.#log.delivered,
        held: this.#log.held,
      })
      if (turn !== this.#joinCount) return
      this.#isJoined = true
      this.#retryMs = RETRY_MS.first
      this.#pending.submitAgain()
      void this.#submit()
    } catch (err) {
      if (turn !== this.#joinCount) return
      this.#options.log.debug({ err, following }, 'the order is not joined yet')
      this.#rejoinLater()
    }
  }

  #rejoinLater(): void {
    if (this.#cancelRetry !== null || this.#isClosed) return
    this.#isJoined = false
    this.#cancelRetry = this.#options.clock.after(this.#retryMs, () => {
      this.#cancelRetry = null
      void this.#join()
    })
    this.#retryMs = Math.min(RETRY_MS.max, this.#retryMs * 2)
  }

  // --- submitting ---

  /** One call at a time: what comes meanwhile goes with the next. */
  async #submit(): Promise<void> {
    if (this.#isSubmitting) return
    this.#isSubmitting = true
    // What one turn submits goes together.
    await Promise.resolve()
    while (this.#isJoined && this.#following !== null) {
      const submissions = this.#pending.takeUnsubmitted()
      if (submissions.length === 0) break
      const turn = this.#joinCount
      try {
        if (this.#leader === null) await this.#submitTo(this.#following, submissions)
        else if (!this.#submitHere(this.#leader, submissions)) break
      } catch (err) {
        if (turn !== this.#joinCount) continue
        this.#options.log.debug({ err }, 'not submitted yet')
        this.#pending.submitAgain()
        this.#rejoinLater()
        break
      }
    }
    this.#isSubmitting = false
  }

  async #submitTo(
    { node, term }: { readonly node: number; readonly term: number },
    submissions: Parameters<OrderLeader['submit']>[1],
  ): Promise<void> {
    const leader = this.#options.peers.lead(node)
    await leader.submit({ term, member: this.self, submissions: [...submissions] })
  }

  /** @returns false while the leader cannot take it yet: `#perform` comes back to it. */
  #submitHere(leader: OrderLeader, submissions: Parameters<OrderLeader['submit']>[1]): boolean {
    if (!leader.isLeading) {
      this.#pending.submitAgain()
      return false
    }
    leader.submit(this.self, submissions)
    this.#perform()
    return true
  }

  // --- leading ---

  #perform(): void {
    const leader = this.#leader
    if (leader === null) return
    const wasLeading = leader.isLeading
    for (let effects = leader.takeEffects(); effects.length > 0; effects = leader.takeEffects()) {
      for (const effect of effects) this.#performOne(leader, effect)
    }
    this.#arm(leader)
    if (leader.isLeading && !this.#isSubmitting) void this.#submit()
    if (!wasLeading && leader.isLeading) {
      this.#options.log.info({ term: leader.term }, 'this node leads the order')
    }
  }

  #performOne(leader: OrderLeader, effect: LeadEffect): void {
    switch (effect.kind) {
      case 'deliver':
        return this.#deliver(effect.stable)
      case 'pull':
        return void this.#pull(leader, effect)
      case 'send':
        return void this.#send(leader, effect)
    }
  }

  async #pull(
    leader: OrderLeader,
    { node, after }: Extract<LeadEffect, { kind: 'pull' }>,
  ): Promise<void> {
    try {
      const { peers } = this.#options
      const { snapshot, entries } = await peers.follow(node).pull({ term: leader.term, after })
      if (this.#leader !== leader) return
      this.#log.truncate()
      if (snapshot !== null) {
        this.#log.restore(snapshot)
        this.#restore(snapshot)
      }
      for (const entry of entries) this.#log.append(entry)
      leader.pulled(node)
    } catch (err) {
      if (this.#leader !== leader) return
      this.#options.log.warn({ err, node }, 'a node did not give what it holds')
      leader.pullFailed(node, this.#options.clock.nowMs())
    }
    this.#perform()
  }

  async #send(leader: OrderLeader, effect: Extract<LeadEffect, { kind: 'send' }>): Promise<void> {
    const { node, attempt, stable } = effect
    const snapshot = effect.withSnapshot ? this.#snapshot() : null
    const after = snapshot?.at ?? effect.after
    const entries = effect.entries.filter(({ at }) => at.sequence > after.sequence)
    try {
      const ordered = { term: leader.term, snapshot, after, entries, stable }
      await this.#options.peers.follow(node).order(ordered)
      if (this.#leader !== leader) return
      leader.held(node, attempt, entries.at(-1)?.at.sequence ?? after.sequence)
    } catch (err) {
      if (this.#leader !== leader) return
      this.#options.log.debug({ err, node }, 'not taken by a node')
      const mustJoin = isSdkError(err, 'OUT_OF_SYNC')
      leader.sendFailed({ node, attempt, mustJoin }, this.#options.clock.nowMs())
    }
    this.#perform()
  }

  #arm(leader: OrderLeader): void {
    this.#cancelTick?.()
    this.#cancelTick = null
    const { dueMs } = leader
    if (dueMs === null) return
    const delayMs = Math.max(1, Math.ceil(dueMs - this.#options.clock.nowMs()))
    this.#cancelTick = this.#options.clock.after(delayMs, () => {
      this.#cancelTick = null
      leader.tick(this.#options.clock.nowMs())
      this.#perform()
    })
  }

  // --- the content ---

  #deliver(stable: number): void {
    for (let entry = this.#log.deliver(stable); entry; entry = this.#log.deliver(stable)) {
      if (entry.kind === 'view') this.#enterView(entry)
      else this.#apply(entry)
    }
  }

  #apply({ at, from, submission }: Extract<OrderEntry, { kind: 'message' }>): void {
    const isOwn = lifeOf(from) === lifeOf(this.self)
    const pending = isOwn ? this.#pending.delivered(submission.number) : undefined
    const service = this.#services.get(submission.topic)
    try {
      if (service === undefined) {
        throw new SdkError('NOT_SUPPORTED', `this node has no service ${submission.topic}`)
      }
      const result = service.apply(submission.payload, { from, at, isOwn })
      pending?.resolve(result)
    } catch (error) {
      if (!isSdkError(error)) {
        this.#options.log.error({ err: error, topic: submission.topic }, 'a service failed')
      }
      const text = error instanceof Error ? error.message : String(error)
      pending?.reject(isSdkError(error) ? error : new SdkError('HANDLER_FAILED', text))
    }
  }

  #enterView({ members, at }: Extract<OrderEntry, { kind: 'view' }>): void {
    for (const service of this.#services.values()) service.viewChanged(members, at)
    this.#lookInside(members)
  }

  #lookInside(members: readonly OrderMember[]): void {
    const was = this.#isInside
    this.#isInside = members.some((member) => lifeOf(member) === lifeOf(this.self))
    if (this.#isInside && !was) this.#options.onEntered?.()
  }

  #snapshot(): OrderSnapshot {
    const topics = [...this.#services.values()].map((service) => ({
      topic: service.topic,
      content: service.snapshot(),
    }))
    return { ...this.#log.summary(), topics }
  }

  /** Services take over the content; the log has done so already. */
  #restore(snapshot: OrderSnapshot): void {
    const contents = new Map(snapshot.topics.map(({ topic, content }) => [topic, content]))
    for (const service of this.#services.values()) {
      const content = contents.get(service.topic)
      if (content !== undefined) service.restore(content)
    }
    const own = snapshot.ordered.find(({ from }) => lifeOf(from) === lifeOf(this.self))
    for (const { reject } of this.#pending.passed(own?.number ?? 0)) {
      const message = 'it was ordered while this node was away: its result is not known here'
      reject(new SdkError('TIMEOUT', message, { mayHaveRun: true }))
    }
    this.#isInside = false
    this.#lookInside(snapshot.members)
  }
}
