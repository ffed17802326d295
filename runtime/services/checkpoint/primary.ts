import type { KeptBatch } from './batch-tail.ts'
import {
  CommitPipeline,
  lastSequenceOf,
  type PipelineEntry,
  type PipelineLimits,
} from './commit-pipeline.ts'
import type { CheckpointBatch } from './interface.ts'
import {
  ASK_BACKOFF_MS,
  closeStream,
  confirmEntry,
  LINK_BACKOFF_MS,
  newLink,
  type ReplicaLink,
} from './replica-link.ts'

/**
 * The primary's rules: when a batch of the ACTIVE component is acknowledged.
 *
 * I1 A batch is acknowledged when every node that may be in the in-sync set, and the primary itself, holds it.
 * I2 A node counts as possibly in the set from before the director is asked to add it until the director has confirmed
 *    that it is removed.
 * I3 A node is added only after it holds every record acknowledged so far, and from then on I1 covers the rest.
 * I4 Nothing is acknowledged before the set is recorded for the first time (with the primary in it).
 * I5 Secondaries get a batch before the primary's own replica: a refused epoch leaves nothing behind here.
 *
 * Pure: events come in as calls with the time, what is to be done comes out of `takeEffects`, in order.
 */

/** What the shell is to do. Answers come back as calls of {@link Primary} with the same `node` and `attempt`. */
export type PrimaryEffect<T> =
  | { readonly kind: 'open'; readonly node: number; readonly attempt: number }
  /** Sends kept batches in order, under the primary's epoch. */
  | {
      readonly kind: 'catchUp'
      readonly node: number
      readonly attempt: number
      readonly batches: readonly KeptBatch[]
    }
  /** Sends the whole content as it is at this moment. */
  | { readonly kind: 'replace'; readonly node: number; readonly attempt: number }
  | {
      readonly kind: 'append'
      readonly node: number
      readonly attempt: number
      readonly entry: PipelineEntry<T>
    }
  /** Asks the authority to change the in-sync set. */
  | { readonly kind: 'change'; readonly node: number; readonly inSync: boolean }
  /** Stores the batch in the own replica. When that fails, `localFailed` is called and later effects are dropped. */
  | { readonly kind: 'apply'; readonly entry: PipelineEntry<T> }
  | { readonly kind: 'answer'; readonly token: T; readonly sequence: number }
  | { readonly kind: 'refuse'; readonly token: T; readonly code: RefuseCode; readonly why: string }
  /** A node left the set of those that commits wait for, or came back: for the log. */
  | { readonly kind: 'note'; readonly node: number; readonly text: string }

export type RefuseCode = 'STALE_EPOCH' | 'TRY_AGAIN' | 'OUT_OF_SYNC' | 'NO_SPACE'

/** The own replica, as far as the primary looks at it. */
export interface PrimarySource {
  readonly sequence: number
  isPrefix(lastEpoch: number, lastSequence: number): boolean
  after(sequence: number, sizeBytesMax: number): readonly KeptBatch[] | undefined
}

export interface PrimaryOptions {
  readonly self: number
  readonly epoch: number
  readonly replicas: readonly number[]
  /** null: nothing was ever acknowledged. */
  readonly inSync: readonly number[] | null
  readonly replicaTimeoutMs: number
  readonly source: PrimarySource
  readonly limits?: PipelineLimits
  /** Bytes of kept batches sent before the first of them is answered. @defaultValue 1 MiB */
  readonly catchUpBytes?: number
}

export type ChangeOutcome = 'done' | 'tryAgain' | 'staleEpoch'

const CATCH_UP_BYTES = 1_024 * 1_024

export class Primary<T> {
  readonly epoch: number
  readonly #options: PrimaryOptions
  readonly #pipeline: CommitPipeline<T>
  readonly #self: ReplicaLink
  readonly #links = new Map<number, ReplicaLink>()
  #effects: PrimaryEffect<T>[] = []
  #ended: { readonly code: RefuseCode; readonly why: string } | null = null
  /** Time-outs count from here at the earliest: this process itself may have been stopped. */
  #windowsFromMs: number
  #lastTickMs: number

  constructor(options: PrimaryOptions, nowMs: number) {
    this.epoch = options.epoch
    this.#options = options
    this.#pipeline = new CommitPipeline(options.limits)
    this.#self = newLink(options.self, options.inSync === null ? 'out' : 'in', nowMs)
    this.#windowsFromMs = nowMs
    this.#lastTickMs = nowMs
    for (const node of options.inSync ?? []) this.#addLink(node, 'in', nowMs)
    this.setReplicas(options.replicas, nowMs)
  }

  /** True while something waits for time to pass. */
  get needsTick(): boolean {
    if (this.#ended !== null) return false
    if (this.#pipeline.head !== undefined) return true
    for (const link of this.#links.values()) if (!this.#isSteady(link)) return true
    return false
  }

  /** Why it ended, null while it works. */
  get ended(): { readonly code: RefuseCode; readonly why: string } | null {
    return this.#ended
  }

  takeEffects(): PrimaryEffect<T>[] {
    const effects = this.#effects
    this.#effects = []
    return effects
  }

  /** For `status`: one line a secondary. */
  describe(): { readonly node: number; readonly state: string; readonly sequence: number }[] {
    return [...this.#links.values()].map((link) => ({
      node: link.node,
      state: `${link.stream}, ${link.membership}`,
      sequence: link.ackedSequence,
    }))
  }

  /** A batch of the ACTIVE component. Each token is answered or refused exactly once. */
  commit(
    request: {
      readonly batch: CheckpointBatch
      readonly payload: Uint8Array
      readonly token: T
      readonly deadlineMs: number
    },
    nowMs: number,
  ): void {
    if (this.#ended !== null) {
      this.#refuse(request.token, this.#ended.code, this.#ended.why)
      return
    }
    const { source } = this.#options
    const admission = this.#pipeline.admit(
      request,
      source.sequence,
      (epoch, sequence) => source.isPrefix(epoch, sequence),
      nowMs,
    )
    switch (admission.kind) {
      case 'queued':
        this.#queued(admission.entry, nowMs)
        break
      case 'joined':
        break
      case 'held':
        this.#effects.push({
          kind: 'answer',
          token: request.token,
          sequence: lastSequenceOf(request.batch),
        })
        break
      case 'full':
        this.#refuse(request.token, 'TRY_AGAIN', 'too many batches wait for replicas')
        break
      case 'outOfSync':
        this.#refuse(
          request.token,
          'OUT_OF_SYNC',
          `the next sequence is ${admission.expectedSequence}, not ${request.batch.firstSequence}`,
        )
    }
  }

  /** Which nodes hold replicas from now on. */
  setReplicas(nodes: readonly number[], nowMs: number): void {
    for (const node of nodes) this.#addLink(node, 'out', nowMs)
    for (const link of this.#links.values()) {
      link.isWanted = nodes.includes(link.node)
      if (!link.isWanted && link.stream !== 'closed') closeStream(link, nowMs)
      if (!link.isWanted && link.membership === 'out') this.#links.delete(link.node)
    }
    this.#openDue(nowMs)
    this.#advance(nowMs)
  }

  /** Answer to `open`. */
  opened(
    answer: {
      readonly node: number
      readonly attempt: number
      readonly lastEpoch: number
      readonly lastSequence: number
    },
    nowMs: number,
  ): void {
    const link = this.#current(answer.node, answer.attempt)
    if (link === undefined) return
    link.stream = 'catchingUp'
    link.sinceMs = nowMs
    const { lastEpoch, lastSequence } = answer
    if (!this.#options.source.isPrefix(lastEpoch, lastSequence)) {
      this.#effects.push({ kind: 'replace', node: link.node, attempt: link.attempt })
      return
    }
    link.ackedSequence = lastSequence
    this.#catchUp(link, nowMs)
  }

  /** The secondary holds everything up to `sequence`: answer to `catchUp` and `replace`. */
  caughtUp(
    answer: { readonly node: number; readonly attempt: number; readonly sequence: number },
    nowMs: number,
  ): void {
    const link = this.#current(answer.node, answer.attempt)
    if (link === undefined) return
    link.ackedSequence = answer.sequence
    link.sinceMs = nowMs
    this.#catchUp(link, nowMs)
  }

  /** The whole content is on its way to a secondary, and a part of it has arrived. */
  progressed(part: { readonly node: number; readonly attempt: number }, nowMs: number): void {
    const link = this.#current(part.node, part.attempt)
    if (link !== undefined) link.sinceMs = nowMs
  }

  /** Answer to `append`. */
  appended(
    answer: { readonly node: number; readonly attempt: number; readonly entry: PipelineEntry<T> },
    nowMs: number,
  ): void {
    const link = this.#current(answer.node, answer.attempt)
    if (link === undefined) return
    confirmEntry(link, answer.entry.index, lastSequenceOf(answer.entry.batch))
    link.sinceMs = nowMs
    link.backoffMs = LINK_BACKOFF_MS.min
    this.#advance(nowMs)
  }

  /** A request to a secondary failed: its connection died, it timed out, or it is out of sync. */
  streamFailed(
    failure: { readonly node: number; readonly attempt: number; readonly why: string },
    nowMs: number,
  ): void {
    const link = this.#current(failure.node, failure.attempt)
    if (link === undefined) return
    this.#close(link, failure.why, nowMs)
    this.#advance(nowMs)
  }

  /** The connection to a node died, or a node came: its stream stood on the old connection and is opened anew. */
  peerChanged(node: number, kind: 'arrival' | 'death', nowMs: number): void {
    const link = this.#links.get(node)
    if (link === undefined || this.#ended !== null) return
    if (kind === 'death' && link.stream !== 'closed')
      this.#close(link, 'its connection died', nowMs)
    if (kind === 'arrival' && link.stream === 'closed') link.retryAtMs = nowMs
    this.#openDue(nowMs)
    this.#advance(nowMs)
  }

  /** Somebody holds a newer epoch: nothing is acknowledged here any more. */
  fenced(why: string): void {
    this.#end('STALE_EPOCH', why)
  }

  /** The own replica cannot store. */
  localFailed(why: string): void {
    this.#end('NO_SPACE', why)
  }

  /** Answer to `change`. */
  changed(
    answer: { readonly node: number; readonly inSync: boolean; readonly outcome: ChangeOutcome },
    nowMs: number,
  ): void {
    const link = answer.node === this.#self.node ? this.#self : this.#links.get(answer.node)
    if (link === undefined || this.#ended !== null) return
    link.isAsking = false
    if (answer.outcome === 'staleEpoch') {
      this.fenced(`the director has a newer epoch than ${this.epoch}`)
      return
    }
    if (answer.outcome === 'tryAgain') {
      link.askAgainAtMs = nowMs + link.askBackoffMs
      link.askBackoffMs = Math.min(link.askBackoffMs * 2, ASK_BACKOFF_MS.max)
    } else {
      this.#recorded(link, answer.inSync)
    }
    this.#advance(nowMs)
  }

  /** Time passes. Called every few milliseconds while `needsTick`. */
  tick(nowMs: number): void {
    if (this.#ended !== null) return
    const { replicaTimeoutMs } = this.#options
    if (nowMs - this.#lastTickMs > replicaTimeoutMs / 2) this.#windowsFromMs = nowMs
    this.#lastTickMs = nowMs
    for (const token of this.#pipeline.takeLate(nowMs)) {
      this.#refuse(token, 'TRY_AGAIN', 'the deadline passed while replicas were waited for')
    }
    for (const link of this.#links.values()) {
      if (this.#isSilent(link, nowMs)) {
        this.#close(link, `no answer within ${replicaTimeoutMs} ms`, nowMs)
      }
    }
    this.#openDue(nowMs)
    this.#advance(nowMs)
  }

  /** What waits, for a successor under a newer epoch on the same node. Nobody is answered here after it. */
  retire(): PipelineEntry<T>[] {
    this.#ended ??= { code: 'STALE_EPOCH', why: `epoch ${this.epoch} was replaced by a newer one` }
    return this.#pipeline.takeAll()
  }

  #addLink(node: number, membership: 'in' | 'out', nowMs: number): void {
    if (node === this.#self.node || this.#links.has(node)) return
    this.#links.set(node, newLink(node, membership, nowMs))
  }

  #current(node: number, attempt: number): ReplicaLink | undefined {
    const link = this.#links.get(node)
    return link?.attempt === attempt && this.#ended === null ? link : undefined
  }

  #queued(entry: PipelineEntry<T>, nowMs: number): void {
    for (const link of this.#links.values()) {
      if (link.stream === 'streaming') this.#append(link, entry, nowMs)
    }
    this.#advance(nowMs)
  }

  #append(link: ReplicaLink, entry: PipelineEntry<T>, nowMs: number): void {
    link.unconfirmed.push({ index: entry.index, sentMs: nowMs })
    this.#effects.push({ kind: 'append', node: link.node, attempt: link.attempt, entry })
  }

  #catchUp(link: ReplicaLink, nowMs: number): void {
    const { source, catchUpBytes = CATCH_UP_BYTES } = this.#options
    const { node, attempt } = link
    if (link.ackedSequence < source.sequence) {
      const batches = source.after(link.ackedSequence, catchUpBytes)
      if (batches === undefined) this.#effects.push({ kind: 'replace', node, attempt })
      else this.#effects.push({ kind: 'catchUp', node, attempt, batches })
      return
    }
    link.stream = 'streaming'
    link.ackedIndex = this.#pipeline.leftIndex
    for (const entry of this.#pipeline.entries) this.#append(link, entry, nowMs)
    this.#effects.push({ kind: 'note', node, text: `caught up at ${link.ackedSequence}` })
    this.#advance(nowMs)
  }

  #close(link: ReplicaLink, why: string, nowMs: number): void {
    if (link.backoffMs === LINK_BACKOFF_MS.min) {
      this.#effects.push({ kind: 'note', node: link.node, text: `stream closed: ${why}` })
    }
    closeStream(link, nowMs)
  }

  #openDue(nowMs: number): void {
    for (const link of this.#links.values()) {
      if (!link.isWanted || link.stream !== 'closed' || link.retryAtMs > nowMs) continue
      link.attempt++
      link.stream = 'opening'
      link.sinceMs = nowMs
      this.#effects.push({ kind: 'open', node: link.node, attempt: link.attempt })
    }
  }

  #isSilent(link: ReplicaLink, nowMs: number): boolean {
    const { replicaTimeoutMs } = this.#options
    switch (link.stream) {
      case 'closed':
        return false
      case 'opening':
        return nowMs - Math.max(link.sinceMs, this.#windowsFromMs) >= replicaTimeoutMs
      case 'catchingUp':
        // A whole content may take long; a commit that waits for it does not wait so long, see #mustGo.
        return nowMs - Math.max(link.sinceMs, this.#windowsFromMs) >= replicaTimeoutMs * 10
      case 'streaming': {
        const oldest = link.unconfirmed[0]
        if (oldest === undefined) return false
        return nowMs - Math.max(oldest.sentMs, this.#windowsFromMs) >= replicaTimeoutMs
      }
    }
  }

  /** Asks for changes that are due, and acknowledges what every replica of the set holds. */
  #advance(nowMs: number): void {
    if (this.#ended !== null) return
    this.#askChanges(nowMs)
    for (let head = this.#pipeline.head; head !== undefined; head = this.#pipeline.head) {
      if (!this.#isHeldByAll(head)) return
      this.#pipeline.shift()
      this.#effects.push({ kind: 'apply', entry: head })
      const sequence = lastSequenceOf(head.batch)
      for (const { token } of head.waiting) this.#effects.push({ kind: 'answer', token, sequence })
    }
  }

  #isHeldByAll(entry: PipelineEntry<T>): boolean {
    if (this.#self.membership !== 'in') return false
    for (const link of this.#links.values()) {
      if (link.membership !== 'out' && link.ackedIndex < entry.index) return false
    }
    return true
  }

  #askChanges(nowMs: number): void {
    const head = this.#pipeline.head
    if (this.#self.membership !== 'in') {
      if (head !== undefined) this.#ask(this.#self, true, nowMs)
      return
    }
    for (const link of this.#links.values()) {
      if (this.#mustGo(link, head, nowMs)) this.#ask(link, false, nowMs)
      else if (this.#mayJoin(link)) this.#ask(link, true, nowMs)
    }
  }

  /** I2: once asked to go, it goes, also when it has come back meanwhile. */
  #mustGo(link: ReplicaLink, head: PipelineEntry<T> | undefined, nowMs: number): boolean {
    if (link.membership === 'out') return false
    if (link.membership === 'removing' || !link.isWanted) return true
    if (head === undefined || link.ackedIndex >= head.index) return false
    if (link.stream === 'closed') return true
    if (link.stream === 'streaming') return false
    const waitingSinceMs = Math.max(head.arrivedMs, this.#windowsFromMs)
    return nowMs - waitingSinceMs >= this.#options.replicaTimeoutMs
  }

  /** I3. `adding` again: the former request was answered with TRY_AGAIN and may have been recorded. */
  #mayJoin(link: ReplicaLink): boolean {
    if (link.stream !== 'streaming' || !link.isWanted) return false
    if (link.membership === 'adding') return true
    return link.membership === 'out' && link.ackedSequence >= this.#options.source.sequence
  }

  #ask(link: ReplicaLink, inSync: boolean, nowMs: number): void {
    if (link.isAsking || link.askAgainAtMs > nowMs) return
    link.isAsking = true
    link.membership = inSync ? 'adding' : 'removing'
    this.#effects.push({ kind: 'change', node: link.node, inSync })
  }

  #recorded(link: ReplicaLink, inSync: boolean): void {
    link.askBackoffMs = ASK_BACKOFF_MS.min
    link.membership = inSync ? 'in' : 'out'
    this.#effects.push({
      kind: 'note',
      node: link.node,
      text: inSync ? 'recorded as in sync' : 'recorded as out of sync',
    })
    if (!inSync && !link.isWanted) this.#links.delete(link.node)
  }

  #refuse(token: T, code: RefuseCode, why: string): void {
    this.#effects.push({ kind: 'refuse', token, code, why })
  }

  #end(code: RefuseCode, why: string): void {
    if (this.#ended !== null) return
    this.#ended = { code, why }
    // Answers that were decided before are still true; requests to others are not wanted any more.
    for (const entry of this.#pipeline.takeAll()) {
      for (const { token } of entry.waiting) this.#refuse(token, code, why)
    }
  }

  #isSteady(link: ReplicaLink): boolean {
    if (link.stream !== 'streaming' || link.isAsking) return false
    return link.membership === 'in' || this.#self.membership === 'out'
  }
}
