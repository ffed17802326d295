import type { OrderEntry, OrderMember, Position, Submission } from './interface.ts'
import { comparePositions, lifeOf, ORIGIN, type OrderLog } from './order-log.ts'

/** What the shell of the leading node is to do, in order. */
export type LeadEffect =
  /** Asks a node for what it holds after `after`. The answer is `pulled` or `pullFailed`. */
  | { readonly kind: 'pull'; readonly node: number; readonly after: Position }
  /** Sends to another node. The answer is `held` or `sendFailed`, with the same `attempt`. */
  | {
      readonly kind: 'send'
      readonly node: number
      readonly attempt: number
      /** Send the whole content, as it is at `after`, too. */
      readonly withSnapshot: boolean
      readonly after: Position
      readonly entries: readonly OrderEntry[]
      readonly stable: number
    }
  /** The own node may deliver up to here. */
  | { readonly kind: 'deliver'; readonly stable: number }

/** How long others are waited for before the leader takes what it has for everything. */
const GATHER_MS = { known: 1_000, fresh: 300 } as const
const RETRY_MS = 50
const SEND_COUNT_MAX = 512
const SEND_BYTES_MAX = 1_024 * 1_024

interface Follower {
  readonly member: OrderMember
  /** In the newest view: what is ordered waits for it. */
  isInView: boolean
  /** Where the next send starts; null: with a snapshot. */
  sent: Position | null
  /** It holds everything up to here, as this leader has it. */
  acked: number
  toldStable: number
  attempt: number
  /** busy: a send is under way. paused: one failed. */
  link: 'idle' | 'busy' | 'paused'
  retryAtMs: number
}

interface Joiner {
  readonly member: OrderMember
  readonly delivered: Position
  readonly held: Position
}

/**
 * The leading node's side of the order under one term, pure.
 *
 * I1 Nothing is ordered before the most advanced of the nodes that are there has given what it holds.
 * I2 An entry is stable when every node of the newest view, and the leader, holds it; only stable ones are delivered.
 */
export class OrderLeader {
  readonly term: number
  readonly #self: OrderMember
  readonly #log: OrderLog
  readonly #expected: Set<number>
  readonly #joiners = new Map<number, Joiner>()
  readonly #followers = new Map<number, Follower>()
  #phase: 'gathering' | 'pulling' | 'leading' = 'gathering'
  #pullFrom: number | null = null
  #gatherUntilMs: number
  #stable: number
  #effects: LeadEffect[] = []

  /** @param expected - nodes that are known to be there: they are waited for, for a while. */
  constructor(
    setup: {
      readonly term: number
      readonly self: OrderMember
      readonly log: OrderLog
      readonly expected: Iterable<number>
    },
    nowMs: number,
  ) {
    this.term = setup.term
    this.#self = setup.self
    this.#log = setup.log
    const known = setup.log.members.map(({ node }) => node)
    this.#expected = new Set([...setup.expected, ...known])
    this.#expected.delete(setup.self.node)
    const isFresh = comparePositions(setup.log.held, ORIGIN) === 0
    this.#gatherUntilMs = nowMs + (isFresh ? GATHER_MS.fresh : GATHER_MS.known)
    this.#stable = setup.log.delivered.sequence
    if (!isFresh) this.#maybeLead(nowMs)
  }

  get isLeading(): boolean {
    return this.#phase === 'leading'
  }

  /** When `tick` is wanted; null: not at all. */
  get dueMs(): number | null {
    if (this.#phase === 'gathering') return this.#gatherUntilMs
    const paused = [...this.#followers.values()].filter(({ link }) => link === 'paused')
    if (paused.length === 0) return null
    return Math.min(...paused.map(({ retryAtMs }) => retryAtMs))
  }

  takeEffects(): LeadEffect[] {
    const effects = this.#effects
    this.#effects = []
    return effects
  }

  tick(nowMs: number): void {
    if (this.#phase === 'gathering' && nowMs >= this.#gatherUntilMs) this.#gathered()
    for (const follower of this.#followers.values()) {
      if (follower.link !== 'paused' || follower.retryAtMs > nowMs) continue
      follower.link = 'idle'
      this.#pump(follower)
    }
  }

  /** A node takes part, for the first time or again. */
  joined(joiner: Joiner, nowMs: number): void {
    const { node } = joiner.member
    this.#joiners.set(node, joiner)
    if (this.#phase === 'leading') this.#follow(joiner)
    else if (this.#phase === 'gathering') this.#maybeLead(nowMs)
  }

  /** A node cannot be heard any more. */
  lost(node: number, nowMs: number): void {
    this.#joiners.delete(node)
    this.#expected.delete(node)
    if (this.#phase === 'gathering') this.#maybeLead(nowMs)
    else if (this.#phase === 'pulling' && this.#pullFrom === node) this.#gathered()
    const follower = this.#followers.get(node)
    if (follower === undefined) return
    this.#followers.delete(node)
    if (follower.isInView) this.#appendView()
  }

  /** Answer to `pull`: the log has taken it in. */
  pulled(node: number): void {
    if (this.#phase === 'pulling' && this.#pullFrom === node) this.#lead()
  }

  pullFailed(node: number, nowMs: number): void {
    if (this.#phase === 'pulling' && this.#pullFrom === node) this.lost(node, nowMs)
  }

  /** @returns what to answer: null is yes. */
  submit(
    from: OrderMember,
    submissions: readonly Submission[],
  ): 'TRY_AGAIN' | 'OUT_OF_SYNC' | null {
    if (this.#phase !== 'leading') return 'TRY_AGAIN'
    if (from.node !== this.#self.node) {
      const follower = this.#followers.get(from.node)
      if (follower === undefined || lifeOf(follower.member) !== lifeOf(from)) return 'OUT_OF_SYNC'
    }
    for (const submission of submissions) {
      const last = this.#log.lastNumberOf(from)
      if (submission.number <= last) continue
      if (submission.number > last + 1) return 'OUT_OF_SYNC'
      this.#append({ kind: 'message', at: this.#next(), from, submission })
    }
    this.#advance()
    return null
  }

  /** Answer to `send`: the node holds everything up to `sequence`. */
  held(node: number, attempt: number, sequence: number): void {
    const follower = this.#current(node, attempt)
    if (follower === undefined) return
    follower.link = 'idle'
    follower.acked = sequence
    if (!follower.isInView && sequence >= this.#log.held.sequence) {
      follower.isInView = true
      this.#appendView()
      return
    }
    this.#advance()
  }

  /** @param mustJoin - the node lacks what came before: it joins again. */
  sendFailed(
    failure: { readonly node: number; readonly attempt: number; readonly mustJoin: boolean },
    nowMs: number,
  ): void {
    const follower = this.#current(failure.node, failure.attempt)
    if (follower === undefined) return
    if (failure.mustJoin) return this.lost(failure.node, nowMs)
    follower.link = 'paused'
    follower.retryAtMs = nowMs + RETRY_MS
    follower.sent = this.#log.placeOf(follower.acked)
    follower.toldStable = -1
  }

  #current(node: number, attempt: number): Follower | undefined {
    const follower = this.#followers.get(node)
    return follower?.attempt === attempt && follower.link === 'busy' ? follower : undefined
  }

  #maybeLead(nowMs: number): void {
    const isFresh = comparePositions(this.#log.held, ORIGIN) === 0
    if (isFresh && nowMs < this.#gatherUntilMs) return
    for (const node of this.#expected) if (!this.#joiners.has(node)) return
    this.#gathered()
  }

  /** I1. */
  #gathered(): void {
    let best: Joiner | null = null
    for (const joiner of this.#joiners.values()) {
      const most = best?.held ?? this.#log.held
      if (comparePositions(joiner.held, most) > 0) best = joiner
    }
    if (best === null) return this.#lead()
    this.#phase = 'pulling'
    this.#pullFrom = best.member.node
    this.#effects.push({ kind: 'pull', node: best.member.node, after: this.#log.delivered })
  }

  #lead(): void {
    this.#phase = 'leading'
    this.#stable = this.#log.delivered.sequence
    for (const joiner of this.#joiners.values()) {
      const follower = this.#newFollower(joiner)
      follower.isInView = true
      this.#followers.set(joiner.member.node, follower)
    }
    this.#appendView()
  }

  #follow(joiner: Joiner): void {
    const { member } = joiner
    const before = this.#followers.get(member.node)
    const follower = this.#newFollower(joiner)
    const isSameLife = before !== undefined && lifeOf(before.member) === lifeOf(member)
    follower.attempt = before === undefined ? 0 : before.attempt + 1
    follower.isInView = isSameLife && before.isInView
    this.#followers.set(member.node, follower)
    if (before?.isInView === true && !isSameLife) this.#appendView()
    else this.#pump(follower)
  }

  #newFollower({ member, delivered }: Joiner): Follower {
    const isKnown = this.#log.has(delivered)
    return {
      member,
      isInView: false,
      sent: isKnown ? delivered : null,
      acked: isKnown ? delivered.sequence : 0,
      toldStable: -1,
      attempt: 0,
      link: 'idle',
      retryAtMs: 0,
    }
  }

  /** Who takes part from now on: those who did before keep their places, the oldest first. */
  #appendView(): void {
    const present = [...this.#followers.values()].filter(({ isInView }) => isInView)
    const members = [this.#self, ...present.map(({ member }) => member)]
    const age = new Map(this.#newestMembers().map((member, index) => [lifeOf(member), index]))
    const ageOf = (member: OrderMember): number => age.get(lifeOf(member)) ?? Infinity
    const sorted = members.toSorted((a, b) => {
      const [first, second] = [ageOf(a), ageOf(b)]
      return first === second ? a.node - b.node : first - second
    })
    this.#append({ kind: 'view', at: this.#next(), members: sorted })
    this.#advance()
  }

  #newestMembers(): readonly OrderMember[] {
    const views = this.#log.after(this.#log.delivered).filter((entry) => entry.kind === 'view')
    return views.at(-1)?.members ?? this.#log.members
  }

  #next(): Position {
    return { term: this.term, sequence: this.#log.held.sequence + 1 }
  }

  #append(entry: OrderEntry): void {
    this.#log.append(entry)
  }

  #advance(): void {
    let stable = this.#log.held.sequence
    for (const follower of this.#followers.values()) {
      if (follower.isInView) stable = Math.min(stable, follower.acked)
    }
    if (stable > this.#stable) {
      this.#stable = stable
      this.#effects.push({ kind: 'deliver', stable })
    }
    for (const follower of this.#followers.values()) this.#pump(follower)
  }

  #pump(follower: Follower): void {
    if (follower.link !== 'idle') return
    if (follower.sent !== null && !this.#log.has(follower.sent)) follower.sent = null
    const { sent } = follower
    const isBehind = sent === null || sent.sequence < this.#log.held.sequence
    if (!isBehind && follower.toldStable >= this.#stable) return
    const after = sent ?? this.#log.delivered
    const entries = this.#portion(after)
    follower.attempt++
    follower.link = 'busy'
    follower.sent = entries.at(-1)?.at ?? after
    follower.toldStable = this.#stable
    this.#effects.push({
      kind: 'send',
      node: follower.member.node,
      attempt: follower.attempt,
      withSnapshot: sent === null,
      after,
      entries,
      stable: this.#stable,
    })
  }

  #portion(after: Position): readonly OrderEntry[] {
    const portion: OrderEntry[] = []
    let sizeBytes = 0
    for (const entry of this.#log.after(after)) {
      if (portion.length >= SEND_COUNT_MAX || sizeBytes >= SEND_BYTES_MAX) break
      portion.push(entry)
      if (entry.kind === 'message') sizeBytes += entry.submission.payload.byteLength
    }
    return portion
  }
}
