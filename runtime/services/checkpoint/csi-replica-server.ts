// Longer than usual: calls, roles and the primary's effects change the same few members.
import type { Logger } from 'pino'
import { isSdkError, SdkError } from '../../../idl/index.ts'
import type { IncomingCall, Rmd } from '../../../ioc/index.ts'
import type { KeptBatch } from './batch-tail.ts'
import { lastSequenceOf, type PipelineEntry } from './commit-pipeline.ts'
import { ContentParts } from './content-parts.ts'
import {
  Checkpoint,
  CheckpointReplica,
  type CheckpointBatch,
  type CheckpointSnapshot,
  type InSyncAuthority,
} from './interface.ts'
import { Primary, type PrimaryEffect } from './primary.ts'
import { ReplicaPeers } from './replica-peers.ts'
import type { StoredBatch, StoredReplica } from './stored-replica.ts'
import { Subscriptions } from './subscriptions.ts'

/** Who replicates one CSI under one epoch; nodes by number. */
export interface ReplicaGrant {
  readonly csi: string
  readonly epoch: number
  /** Nodes that are to hold replicas. */
  readonly replicas: readonly number[]
  /** Nodes recorded as in sync; null when nothing was ever acknowledged. */
  readonly inSync: readonly number[] | null
}

export interface CsiReplicaServerOptions {
  readonly csi: string
  readonly nodeId: number
  readonly stored: StoredReplica
  readonly rmd: Rmd
  readonly authority: InSyncAuthority
  readonly replicaTimeoutMs: number
  readonly log: Pick<Logger, 'info' | 'warn' | 'error'>
  readonly clock: () => number
  /** Something waits for time to pass: `tick` is wanted. */
  readonly onBusy: () => void
  /** Told of what this replica takes: each batch after it is stored, and whole contents. */
  readonly onApplied?: (batch: CheckpointBatch) => void
  readonly onReplaced?: () => void
}

/** One opening of the stream to one secondary. */
interface Stream {
  readonly node: number
  readonly attempt: number
}

/** A commit that waits for its answer. */
interface Waiting {
  readonly answer: (sequence: number, epoch: number) => void
  readonly fail: (error: SdkError) => void
}

/** A commit of this very process. */
export interface LocalCommit {
  readonly batch: CheckpointBatch
  readonly deadlineMs: number
  readonly answer: () => void
  readonly fail: (error: SdkError) => void
}

const { open, append, replace, replacePart } = CheckpointReplica.methods
const { attach, commit, status } = Checkpoint.methods
/** The header of its frame. */
const KEPT_BESIDES_BYTES_MAX = 128

/**
 * One CSI's replica on this node: secondary by default, primary while a local component holds ACTIVE. Performs what
 * {@link Primary} decides, at once and in order after each event.
 */
export class CsiReplicaServer {
  readonly #options: CsiReplicaServerOptions
  readonly #stored: StoredReplica
  readonly #subscriptions: Subscriptions
  readonly #peers: ReplicaPeers
  #primary: Primary<Waiting> | null = null
  /** The connection that commits under the present epoch. */
  #writer: string | null = null
  #isPerforming = false
  /** Stored and answered batches of which nobody was told yet, and who made them. */
  #untold: { readonly stored: StoredBatch; readonly writer: string | null }[] = []
  #isSettling = false
  readonly #parts = new ContentParts()

  constructor(options: CsiReplicaServerOptions) {
    this.#options = options
    this.#stored = options.stored
    this.#peers = new ReplicaPeers(options)
    this.#subscriptions = new Subscriptions({ ...options, onBehind: options.onBusy })
  }

  /** Whether what it takes waits for the disk. */
  get isDurable(): boolean {
    return this.#stored.isDurable
  }

  get needsTick(): boolean {
    return this.#primary?.needsTick === true || this.#subscriptions.hasBehind
  }

  /**
   * Makes this replica the primary under a new epoch; the epoch is durable when it returns.
   * @throws SdkError STALE_EPOCH when a newer one was heard of; OUT_OF_SYNC when the content here is not the content
   * that was acknowledged.
   */
  becomePrimary(grant: ReplicaGrant): void {
    this.#settle()
    const { csi, nodeId, clock } = this.#options
    const { epoch, inSync } = grant
    if (this.#primary?.epoch === epoch && this.#primary.ended === null) {
      this.setReplicas(grant)
      return
    }
    if (epoch < this.#stored.replica.epoch) throw this.#stale(epoch)
    if (inSync !== null && (!inSync.includes(nodeId) || !this.#stored.isReliable)) {
      throw new SdkError(
        'OUT_OF_SYNC',
        `checkpoint ${csi}: node ${nodeId} lost its content or is not in sync; in sync are ` +
          `${inSync.join(', ')}; bring one of these up`,
        { context: { csi, epoch, inSync } },
      )
    }
    this.#adopt()
    this.#stored.promise(epoch)
    this.#stored.makeReliable()
    this.#subscriptions.resync(() => this.#stored.replica.snapshot(), null)
    this.#writer = null
    this.#primary = new Primary(this.#primaryOptions(grant), clock())
    this.#perform()
  }

  /** The set of nodes that are to hold replicas changed. Ignored when the epoch is not the present one. */
  setReplicas(grant: ReplicaGrant): void {
    if (this.#primary?.epoch !== grant.epoch) return
    this.#primary.setReplicas(grant.replicas, this.#options.clock())
    this.#perform()
  }

  /** The local component holds ACTIVE no more. What it has not got an answer for is refused. */
  becomeNone(): void {
    this.#demote('the role was taken away')
    this.#primary = null
    this.#writer = null
  }

  dropConnection(caller: string): void {
    this.#subscriptions.remove(caller)
  }

  /** The node process of a peer came or went, as far as this one's connections say. */
  peerChanged(node: number, kind: 'arrival' | 'death'): void {
    this.#primary?.peerChanged(node, kind, this.#options.clock())
    this.#perform()
  }

  tick(): void {
    this.#settle()
    if (this.#primary === null || this.#writer !== null) {
      const nowMs = this.#options.clock()
      this.#subscriptions.resync(() => this.#stored.replica.snapshot(), this.#writer, nowMs)
    }
    this.#primary?.tick(this.#options.clock())
    this.#perform()
  }

  // ---- calls of components

  attach(call: IncomingCall): void {
    this.#settle()
    this.#subscriptions.add(call.caller)
    call.reply(attach.output.encode(this.#stored.replica.snapshot()))
  }

  detach(call: IncomingCall): void {
    this.#subscriptions.remove(call.caller)
    call.reply(Checkpoint.methods.detach.output.encode({}))
  }

  commit(call: IncomingCall, batch: CheckpointBatch): void {
    const token: Waiting = {
      answer: (sequence, epoch) => call.reply(commit.output.encode({ sequence }), epoch),
      fail: (error) => call.fail(error),
    }
    const primary = this.#primaryFor(batch, token)
    if (primary === null) return
    this.#writer = call.caller
    // The very bytes go on to the other replicas, the log and the standbys.
    const payload = kept(call.payload)
    const { deadlineMs } = call
    primary.commit({ batch, payload, token, deadlineMs }, this.#options.clock())
    this.#perform()
  }

  /** The same for a writer in this process. The values of the batch are kept as they are. */
  commitLocal({ batch, deadlineMs, answer, fail }: LocalCommit): void {
    const token: Waiting = { answer, fail }
    const primary = this.#primaryFor(batch, token)
    if (primary === null) return
    const payload = commit.input.encode({ csi: this.#options.csi, batch })
    primary.commit({ batch, payload, token, deadlineMs }, this.#options.clock())
    this.#perform()
  }

  snapshot(): CheckpointSnapshot {
    this.#settle()
    return this.#stored.replica.snapshot()
  }

  status(call: IncomingCall): void {
    const { sequence, epoch, sectionCount, replyCount } = this.#stored.replica.status()
    const primary = this.#primary?.ended === null ? this.#primary : null
    const role = primary !== null ? 'primary' : this.#stored.isReliable ? 'secondary' : 'none'
    const replicas = primary?.describe() ?? []
    call.reply(status.output.encode({ epoch, sequence, role, replicas, sectionCount, replyCount }))
  }

  // ---- calls of another node's primary

  open(call: IncomingCall, epoch: number): void {
    if (!this.#follow(epoch)) {
      call.fail(this.#stale(epoch))
      return
    }
    const { lastEpoch, sequence } = this.#stored.replica
    const lastSequence = this.#stored.isReliable ? sequence : -1
    call.reply(open.output.encode({ lastEpoch, lastSequence }))
  }

  append(call: IncomingCall, batch: CheckpointBatch, under: number): void {
    if (under < this.#stored.replica.epoch || this.#isPrimaryOf(under)) {
      call.fail(this.#stale(under))
      return
    }
    if (!this.#stored.isReliable) {
      call.fail(new SdkError('OUT_OF_SYNC', `checkpoint ${this.#options.csi}: no content here`))
      return
    }
    const payload = under === batch.epoch ? kept(call.payload) : null
    const outcome = this.#stored.append(batch, under, payload)
    switch (outcome.kind) {
      case 'applied':
        this.#tellSoon(outcome, null)
        break
      case 'held':
        break
      case 'staleEpoch':
        call.fail(this.#stale(under))
        return
      case 'outOfSync':
        call.fail(this.#gap(batch))
        return
    }
    const { sequence } =
      outcome.kind === 'held' ? this.#stored.replica : { sequence: lastSequenceOf(outcome.batch) }
    call.reply(append.output.encode({ sequence }))
  }

  replace(
    call: IncomingCall,
    input: {
      readonly epoch: number
      readonly snapshot: CheckpointSnapshot
      readonly history: readonly (readonly [number, number])[]
      readonly parts?: number | undefined
    },
  ): void {
    this.#settle()
    if (!this.#follow(input.epoch)) {
      call.fail(this.#stale(input.epoch))
      return
    }
    const { parts = 0 } = input
    const snapshot = this.#parts.join(input.epoch, parts, input.snapshot)
    if (snapshot === null) {
      const message = `checkpoint ${this.#options.csi}: parts of the content are missing`
      call.fail(new SdkError('OUT_OF_SYNC', message))
      return
    }
    this.#stored.replace(snapshot, input.history)
    this.#subscriptions.pushReplaced(snapshot)
    this.#options.onReplaced?.()
    call.reply(replace.output.encode({}))
  }

  replacePart(
    call: IncomingCall,
    { epoch, part, sections }: { epoch: number; part: number; sections: [string, Uint8Array][] },
  ): void {
    if (!this.#follow(epoch)) call.fail(this.#stale(epoch))
    else if (this.#parts.add(epoch, part, sections)) call.reply(replacePart.output.encode({}))
    else {
      const message = `checkpoint ${this.#options.csi}: part ${part} does not follow`
      call.fail(new SdkError('OUT_OF_SYNC', message))
    }
  }

  // ---- the primary's effects

  #perform(): void {
    const primary = this.#primary
    if (primary === null || this.#isPerforming) return
    this.#isPerforming = true
    try {
      for (let effects = primary.takeEffects(); effects.length > 0;) {
        this.#performAll(primary, effects)
        effects = primary.takeEffects()
      }
    } finally {
      this.#isPerforming = false
    }
    if (this.needsTick) this.#options.onBusy()
  }

  #performAll(primary: Primary<Waiting>, effects: readonly PrimaryEffect<Waiting>[]): void {
    let failure: SdkError | null = null
    for (const effect of effects) {
      if (failure === null) failure = this.#performOne(primary, effect)
      // Nothing that was decided on the strength of the failed store may be answered as done.
      else if (effect.kind === 'answer') effect.token.fail(failure)
      else if (effect.kind === 'refuse') this.#performOne(primary, effect)
    }
    if (failure !== null) primary.localFailed(failure.message)
  }

  #performOne(primary: Primary<Waiting>, effect: PrimaryEffect<Waiting>): SdkError | null {
    switch (effect.kind) {
      case 'open':
        this.#sendOpen(primary, effect)
        return null
      case 'catchUp':
        this.#sendCatchUp(primary, effect)
        return null
      case 'replace':
        this.#sendReplace(primary, effect)
        return null
      case 'append':
        this.#sendAppend(primary, effect)
        return null
      case 'change':
        this.#askChange(primary, effect)
        return null
      case 'apply':
        return this.#apply(effect.entry)
      case 'answer':
        effect.token.answer(effect.sequence, primary.epoch)
        return null
      case 'refuse':
        effect.token.fail(
          new SdkError(effect.code, `checkpoint ${this.#options.csi}: ${effect.why}`),
        )
        return null
      case 'note': {
        const { csi } = this.#options
        const message = `replica of ${csi} on node ${effect.node}: ${effect.text}`
        this.#options.log.info({ csi, peer: effect.node, epoch: primary.epoch }, message)
        return null
      }
    }
  }

  #apply(entry: PipelineEntry<Waiting>): SdkError | null {
    try {
      const outcome = this.#stored.append(entry.batch, entry.batch.epoch, entry.payload)
      if (outcome.kind === 'applied') this.#tellSoon(outcome, this.#writer)
      return outcome.kind === 'staleEpoch' || outcome.kind === 'outOfSync'
        ? this.#stale(entry.batch.epoch)
        : null
    } catch (cause) {
      const { csi, log } = this.#options
      log.error({ err: cause, csi }, 'a batch cannot be stored')
      const why = cause instanceof Error ? cause.message : String(cause)
      return new SdkError('NO_SPACE', `checkpoint ${csi}: cannot be stored: ${why}`, { cause })
    }
  }

  /** Its answer leaves first: nobody waits for the rest. */
  #tellSoon(stored: StoredBatch, writer: string | null): void {
    this.#untold.push({ stored, writer })
    if (this.#isSettling) return
    this.#isSettling = true
    setImmediate(() => {
      this.#isSettling = false
      this.#settle()
    })
  }

  /** The content takes what is stored, and those who follow it are told. Before anything else is told to them. */
  #settle(): void {
    this.#stored.settle()
    const untold = this.#untold
    if (untold.length === 0) return
    this.#untold = []
    for (const { stored, writer } of untold) {
      this.#subscriptions.pushApplied(stored.payload, writer)
      this.#options.onApplied?.(stored.batch)
    }
  }

  #sendOpen(primary: Primary<Waiting>, { node, attempt }: Stream): void {
    this.#peers.open(node, primary.epoch).then(
      (answer) =>
        this.#event(primary, (nowMs) => primary.opened({ node, attempt, ...answer }, nowMs)),
      (error: unknown) => this.#streamFailed(primary, { node, attempt }, error),
    )
  }

  #sendAppend(
    primary: Primary<Waiting>,
    { node, attempt, entry }: Stream & { readonly entry: PipelineEntry<Waiting> },
  ): void {
    this.#peers.append(node, primary.epoch, entry.payload).then(
      () => this.#event(primary, (nowMs) => primary.appended({ node, attempt, entry }, nowMs)),
      (error: unknown) => this.#streamFailed(primary, { node, attempt }, error),
    )
  }

  #sendCatchUp(
    primary: Primary<Waiting>,
    { node, attempt, batches }: Stream & { readonly batches: readonly KeptBatch[] },
  ): void {
    const sequence = batches.at(-1)?.lastSequence ?? 0
    this.#caughtUpAfter(
      primary,
      { node, attempt, sequence },
      this.#peers.catchUp(node, primary.epoch, batches),
    )
  }

  #sendReplace(primary: Primary<Waiting>, { node, attempt }: Stream): void {
    const { sequence, done } = this.#peers.replace(node, primary.epoch, () =>
      this.#event(primary, (nowMs) => primary.progressed({ node, attempt }, nowMs)),
    )
    this.#caughtUpAfter(primary, { node, attempt, sequence }, done)
  }

  #caughtUpAfter(
    primary: Primary<Waiting>,
    answer: Stream & { readonly sequence: number },
    done: Promise<unknown>,
  ): void {
    done.then(
      () => this.#event(primary, (nowMs) => primary.caughtUp(answer, nowMs)),
      (error: unknown) => this.#streamFailed(primary, answer, error),
    )
  }

  #askChange(
    primary: Primary<Waiting>,
    { node, inSync }: { readonly node: number; readonly inSync: boolean },
  ): void {
    const { authority, csi, log } = this.#options
    authority.change({ csi, epoch: primary.epoch, node, inSync }).then(
      () =>
        this.#event(primary, (nowMs) => primary.changed({ node, inSync, outcome: 'done' }, nowMs)),
      (error: unknown) => {
        const outcome = isSdkError(error, 'STALE_EPOCH') ? 'staleEpoch' : 'tryAgain'
        if (!isSdkError(error, 'TRY_AGAIN')) {
          log.warn({ err: error, csi, peer: node, inSync }, 'the in-sync set cannot be changed now')
        }
        this.#event(primary, (nowMs) => primary.changed({ node, inSync, outcome }, nowMs))
      },
    )
  }

  #streamFailed(primary: Primary<Waiting>, { node, attempt }: Stream, error: unknown): void {
    const why = error instanceof Error ? error.message : String(error)
    this.#event(primary, (nowMs) => {
      if (isSdkError(error, 'STALE_EPOCH')) primary.fenced(`node ${node}: ${why}`)
      else primary.streamFailed({ node, attempt, why }, nowMs)
    })
  }

  #event(primary: Primary<Waiting>, tell: (nowMs: number) => void): void {
    if (this.#primary !== primary) return
    tell(this.#options.clock())
    this.#perform()
  }

  // ---- roles

  /**
   * What the former active of this node had handed over and not got an answer for is kept: its caller may ask again,
   * and other replicas may hold it already.
   */
  #adopt(): void {
    const primary = this.#primary
    if (primary === null) return
    const isInOffice = primary.ended === null && primary.epoch === this.#stored.replica.epoch
    const entries = primary.retire()
    for (const entry of entries) {
      if (isInOffice && this.#apply(entry) !== null) break
    }
    for (const { fail } of entries.flatMap((entry) => entry.waiting.map((each) => each.token))) {
      fail(this.#stale(primary.epoch))
    }
    this.#primary = null
  }

  /** Follows a primary elsewhere. @returns false when its epoch is not the newest. */
  #follow(epoch: number): boolean {
    if (epoch < this.#stored.replica.epoch || this.#isPrimaryOf(epoch)) return false
    this.#stored.promise(epoch)
    if (this.#primary !== null) this.becomeNone()
    return true
  }

  #isPrimaryOf(epoch: number): boolean {
    return this.#primary?.epoch === epoch && this.#primary.ended === null
  }

  #demote(why: string): void {
    if (this.#primary === null) return
    this.#primary.fenced(why)
    this.#perform()
  }

  #primaryOptions(grant: ReplicaGrant): ConstructorParameters<typeof Primary>[0] {
    const { nodeId, replicaTimeoutMs } = this.#options
    const stored = this.#stored
    return {
      self: nodeId,
      epoch: grant.epoch,
      replicas: grant.replicas,
      inSync: grant.inSync,
      replicaTimeoutMs,
      source: {
        get sequence() {
          return stored.replica.sequence
        },
        isPrefix: (lastEpoch, lastSequence) => stored.replica.isPrefix(lastEpoch, lastSequence),
        after: (sequence, sizeBytesMax) => stored.tail.after(sequence, sizeBytesMax),
      },
    }
  }

  #stale(epoch: number): SdkError {
    const { csi, nodeId } = this.#options
    const newest = this.#stored.replica.epoch
    return new SdkError(
      'STALE_EPOCH',
      `checkpoint ${csi} on node ${nodeId}: epoch ${epoch} does not hold; the newest is ${newest}`,
      { context: { csi, epoch, newest } },
    )
  }

  /** The primary that takes the batch; null when it was refused. */
  #primaryFor(batch: CheckpointBatch, { fail }: Waiting): Primary<Waiting> | null {
    const primary = this.#primary
    if (primary?.epoch === batch.epoch) return primary
    const isNewer = batch.epoch > this.#stored.replica.epoch
    fail(isNewer ? this.#notPrimaryYet(batch.epoch) : this.#stale(batch.epoch))
    return null
  }

  #notPrimaryYet(epoch: number): SdkError {
    const { csi, nodeId } = this.#options
    return new SdkError(
      'TRY_AGAIN',
      `checkpoint ${csi} on node ${nodeId}: epoch ${epoch} is not known here yet`,
    )
  }

  #gap(batch: CheckpointBatch): SdkError {
    const { csi, nodeId } = this.#options
    const { sequence } = this.#stored.replica
    return new SdkError(
      'OUT_OF_SYNC',
      `checkpoint ${csi} on node ${nodeId}: ${batch.firstSequence} does not follow ${sequence}`,
      { context: { csi, sequence } },
    )
  }
}

/** A payload that outlives its call: a copy, unless it has its memory for itself, as one of many records has. */
function kept(payload: Uint8Array): Uint8Array {
  const besidesBytes = payload.buffer.byteLength - payload.byteLength
  return besidesBytes <= KEPT_BESIDES_BYTES_MAX ? payload : new Uint8Array(payload)
}
