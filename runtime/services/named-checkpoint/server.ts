// Longer than usual: what the order says, what components ask and who is active change the same few members.
import { randomUUID } from 'node:crypto'
import { type HandlersOf, isSdkError, SdkError } from '../../../idl/index.ts'
import { type IncomingCall, IOC_PORT, systemClock } from '../../../ioc/index.ts'
import type { InSyncAuthority } from '../checkpoint/interface.ts'
import type { Dispatcher } from '../dispatcher.ts'
import type { OrderMember, Position } from '../replicated/interface.ts'
import type { MessageMeta, Replicated } from '../replicated/replicated.ts'
import type { NodeService, ServiceHost } from '../service.ts'
import { Telling } from '../telling.ts'
import { ActiveCheckpoint, type SectionRequest } from './active-checkpoint.ts'
import { checkAttributes, waitsForActive } from './attributes.ts'
import { Directory } from './directory.ts'
import { DirectoryLog } from './directory-log.ts'
import {
  CHECKPOINT_BOUNDS,
  type CheckpointAttributes,
  NamedCheckpoint,
  NamedCheckpointPeer,
  type SectionResult,
} from './interface.ts'
import {
  directoryCodec,
  type DirectoryEntry,
  type DirectoryOperation,
  directoryOperationCodec,
} from './operations.ts'
import { RecoveryWatch } from './recovery-watch.ts'
import { Retentions } from './retentions.ts'
import { UpdateFeed } from './update-feed.ts'

/** Replicas of this service, among those of the node. */
const PREFIX = '@checkpoint:'
const RETRY_MS = { first: 5, max: 200 } as const
const LOST_DELAY_MS = 300
/** Why there is no better answer has to reach the caller before it gives up. */
const ANSWER_MS = 50
const CLEAR_PERIOD_MS = 250

/** The named checkpoints of one node process. */
export function namedCheckpointServer(host: ServiceHost): NodeService {
  return new NamedCheckpointServer(host)
}

/**
 * I1 What this node does for a checkpoint (primary, replica, nothing) follows from the directory as this node has it,
 * which may be behind: the epochs of the replicas refuse what comes too late. I2 A request of a component is asked for
 * under one origin until it is answered or its time is over.
 */
class NamedCheckpointServer implements NodeService, Replicated {
  readonly topic = 'checkpoint'
  readonly replicated = this
  readonly #host: ServiceHost
  readonly #directory = new Directory()
  readonly #feed: UpdateFeed
  readonly #retentions: Retentions
  readonly #actives = new Map<string, ActiveCheckpoint>()
  /** Components of this node, and what they have open. */
  readonly #open = new Map<string, Map<string, number>>()
  readonly #telling: Telling<DirectoryOperation>
  /** Checkpoints that changed, as far as nothing followed from that here. */
  readonly #unheeded = new Set<string>()
  /** Requests that wait for the directory to change. */
  #waiters = new Set<() => void>()
  readonly #clearing: NodeJS.Timeout
  readonly #log: DirectoryLog
  readonly #watch: RecoveryWatch
  #isReporting = false
  #isClosed = false

  constructor(host: ServiceHost) {
    this.#host = host
    this.#telling = new Telling((operation) => this.#submit(operation), host.log)
    const { streams, log, nodeId: node, self } = host
    const nodes = (): number[] => host.nodes().map(({ nodeId }) => nodeId)
    this.#log = new DirectoryLog({ prefix: PREFIX, node, life: self.life, streams, log, nodes })
    const isMine = (): boolean => host.members()[0]?.life === self.life
    this.#watch = new RecoveryWatch({
      directory: this.#directory,
      isMine,
      nodes,
      nowMs: host.nowMs,
      submit: (operation) => this.#submit(operation),
      log,
    })
    this.#feed = new UpdateFeed(host.rmd)
    this.#retentions = new Retentions({
      clock: systemClock,
      isMine,
      passed: (id, generation) => this.#submit({ kind: 'retentionPassed', id, generation }),
    })
    this.#clearing = setInterval(() => {
      if (this.#log.isFollowing) this.#watch.look()
      for (const active of this.#actives.values()) void active.clearEnded()
    }, CLEAR_PERIOD_MS)
    this.#clearing.unref()
    host.streams.own({
      prefix: PREFIX,
      authority: this.#authority,
      applied: (id, batch) => this.#feed.applied(id, batch),
      replaced: (id) => this.#feed.replaced(id),
    })
  }

  // --- the order ---

  apply(payload: Uint8Array, { at, isOwn }: MessageMeta): DirectoryEntry | null {
    const operation = directoryOperationCodec.decode(payload)
    const result = this.#directory.apply(operation, revisionOf(at))
    if (operation.kind === 'reported' && operation.life === this.#host.self.life) this.#begin()
    if (operation.kind === 'inSync' && isOwn) this.#log.joined(operation.id, operation.node)
    this.#follow()
    return result
  }

  viewChanged(members: readonly OrderMember[], at: Position): void {
    this.#directory.viewChanged(members, revisionOf(at))
    this.#follow()
  }

  snapshot(): Uint8Array {
    return directoryCodec.encode(this.#directory.snapshot())
  }

  restore(content: Uint8Array): void {
    this.#directory.restore(directoryCodec.decode(content))
    this.#follow()
  }

  readonly #authority: InSyncAuthority = {
    change: async ({ csi: id, epoch, node, inSync }) => {
      if (inSync && node !== this.#host.nodeId) this.#log.joining(id, epoch, node)
      await this.#submit({ kind: 'inSync', id, epoch, node, inSync })
    },
  }

  /** What the own store has from before is told, and the directory has it. */
  #begin(): void {
    if (this.#log.isFollowing) return
    for (const id of this.#log.begin(this.#directory, this.#memberNodes())) this.#forget(id)
  }

  #memberNodes(): number[] {
    return this.#host.members().map(({ node }) => node)
  }

  /** Does what the directory wants of this node, once it is part of the view: what it hears before is history. */
  #follow(): void {
    const { self } = this.#host
    for (const id of this.#directory.takeChanged()) this.#unheeded.add(id)
    if (!this.#host.members().some(({ life }) => life === self.life)) {
      for (const id of [...this.#actives.keys()]) {
        this.#giveUp(id)
        this.#unheeded.add(id)
      }
      return
    }
    if (!this.#log.isFollowing) return
    const ids = [...this.#unheeded]
    this.#unheeded.clear()
    this.#log.write(this.#directory, this.#memberNodes(), ids)
    for (const id of ids) {
      const entry = this.#directory.get(id)
      try {
        if (entry !== undefined) this.#take(entry)
        else if (!this.#directory.has(id)) this.#forget(id)
      } catch (err) {
        this.#host.log.error({ err, checkpoint: entry?.name ?? id }, 'a replica cannot be taken')
      }
      this.#retentions.changed(id, entry)
    }
    this.#wake()
  }

  #take(entry: DirectoryEntry): void {
    const { id, epoch, replicas, inSync } = entry
    const { streams, nodeId } = this.#host
    const grant = { csi: id, epoch, replicas, inSync }
    const present = this.#actives.get(id)
    if (entry.active !== nodeId) {
      this.#giveUp(id)
      return
    }
    if (present?.epoch === epoch) {
      streams.setReplicas(grant)
      return
    }
    this.#giveUp(id)
    try {
      streams.becomePrimary(grant, entry.attributes.durable)
    } catch (err) {
      this.#host.log.error({ err, checkpoint: entry.name }, 'cannot be the active replica')
      this.#lost(id, epoch)
      return
    }
    this.#activate(entry)
  }

  #activate({ id, name, attributes, epoch }: DirectoryEntry): void {
    const { streams, log, nowMs } = this.#host
    const active = new ActiveCheckpoint({
      id,
      name,
      attributes,
      epoch,
      streams,
      log,
      nowMs,
      wallMs: Date.now,
      onLost: (err) => {
        log.warn({ err, checkpoint: name, epoch }, 'the active replica is lost here')
        if (this.#actives.get(id) !== active) return
        this.#giveUp(id)
        this.#lost(id, epoch)
      },
    })
    this.#actives.set(id, active)
    this.#wake()
  }

  #giveUp(id: string): void {
    const active = this.#actives.get(id)
    if (active === undefined) return
    this.#actives.delete(id)
    active.close()
    this.#host.streams.becomeNone(id)
  }

  #forget(id: string): void {
    this.#giveUp(id)
    this.#host.streams.remove(id)
  }

  /** The others have to know, and choose another one; where there is none, this one tries again. */
  #lost(id: string, epoch: number): void {
    systemClock.after(LOST_DELAY_MS, () => {
      if (this.#isClosed || this.#directory.get(id)?.epoch !== epoch) return
      this.#submit({ kind: 'activeLost', id, epoch }).catch(() => this.#lost(id, epoch))
    })
  }

  #wake(): void {
    const waiters = this.#waiters
    this.#waiters = new Set()
    for (const wake of waiters) wake()
  }

  // --- components of this node ---

  install(dispatcher: Dispatcher): void {
    dispatcher.install(NamedCheckpoint, this.#handlers())
    dispatcher.install(NamedCheckpointPeer, {
      perform: ({ id, epoch, origin, operation }, call) => {
        if (call.source.port !== IOC_PORT.agent) {
          throw new SdkError('OP_NOT_PERMITTED', 'active replicas are called by agents only')
        }
        const { deadlineMs } = call
        return this.#performHere(id, { origin, epoch, operation, deadlineMs })
      },
    })
  }

  callerGone(caller: string): void {
    this.#feed.callerGone(caller)
    if (!this.#open.delete(caller)) return
    this.#telling.tell({ kind: 'ended', eo: caller })
  }

  entered(): void {
    this.#telling.again()
    if (!this.#isReporting) for (const part of this.#log.report()) this.#telling.tell(part)
    this.#isReporting = true
    for (const [eo, ids] of this.#open) {
      for (const [id, count] of ids) this.#reopen(eo, id, count)
    }
  }

  close(): Promise<void> {
    this.#isClosed = true
    clearInterval(this.#clearing)
    this.#telling.close()
    this.#retentions.close()
    this.#feed.close()
    for (const id of [...this.#actives.keys()]) this.#giveUp(id)
    this.#wake()
    return Promise.resolve()
  }

  #handlers(): HandlersOf<(typeof NamedCheckpoint)['spec'], IncomingCall> {
    return {
      open: ({ name, attributes }, call) => this.#openFor(name, attributes, call),
      close: async ({ id }, call) => {
        await this.#submit({ kind: 'close', id, eo: call.caller })
        this.#note(call.caller, id, -1)
        return {}
      },
      unlink: async ({ name }, call) => {
        this.#component(call)
        await this.#submit({ kind: 'unlink', name })
        return {}
      },
      retentionSet: async ({ id, durationMs }) => {
        await this.#submit({ kind: 'retentionSet', id, durationMs })
        return {}
      },
      activeReplicaSet: async ({ id, epoch }, call) => {
        await this.#activeReplicaSet(id, epoch, call)
        return {}
      },
      perform: ({ id, epoch, operation }, call) => {
        this.#component(call)
        const { caller, messageId, acknowledgedBelow, deadlineMs } = call
        const origin = { caller, messageId, acknowledgedBelow }
        return this.#perform(id, { origin, epoch, operation, deadlineMs })
      },
      describe: ({ id }) => {
        const { active, replicas, inSync, retentionDurationMs, openers } = this.#known(id)
        const openCount = openers.reduce((sum, { count }) => sum + count, 0)
        return { active, replicas, inSync: inSync ?? [], retentionDurationMs, openCount }
      },
      watch: ({ id }, call) => {
        const { name, attributes } = this.#known(id)
        this.#component(call)
        if (!attributes.creationFlags.includes('DISTRIBUTED')) {
          const message = `checkpoint ${name}: updates are for those created with DISTRIBUTED`
          throw new SdkError('OP_NOT_PERMITTED', message)
        }
        this.#feed.watch(call.caller, id)
        return {}
      },
      unwatch: ({ id }, call) => {
        this.#feed.unwatch(call.caller, id)
        return {}
      },
    }
  }

  async #openFor(
    name: string,
    attributes: CheckpointAttributes | null,
    call: IncomingCall,
  ): Promise<{ id: string; attributes: CheckpointAttributes }> {
    this.#component(call)
    if (attributes !== null) checkAttributes(name, attributes)
    const { caller } = call
    const present = [...(this.#open.get(caller)?.values() ?? [])]
    if (present.reduce((sum, count) => sum + count, 0) >= CHECKPOINT_BOUNDS.openCount) {
      const message = `${CHECKPOINT_BOUNDS.openCount} checkpoints are open: close some`
      throw new SdkError('NO_SPACE', message)
    }
    // From here on its end has to be told.
    if (!this.#open.has(caller)) this.#open.set(caller, new Map())
    const { life } = this.#host.self
    const opener = { eo: caller, life, node: this.#host.nodeId }
    const id = `${PREFIX}${randomUUID()}`
    const entry = await this.#again(call.deadlineMs, () =>
      this.#submit({ kind: 'open', name, attributes, id, opener }),
    )
    if (entry === null) throw new SdkError('NOT_EXIST', `there is no checkpoint ${name}`)
    this.#note(caller, entry.id, 1)
    return { id: entry.id, attributes: entry.attributes }
  }

  #note(caller: string, id: string, step: 1 | -1): void {
    const ids = this.#open.get(caller)
    if (ids === undefined) return
    const count = (ids.get(id) ?? 0) + step
    if (count > 0) ids.set(id, count)
    else ids.delete(id)
  }

  /** The others had given this node up, and its components with it. */
  #reopen(eo: string, id: string, count: number): void {
    const entry = this.#directory.get(id)
    if (entry === undefined || entry.openers.some(({ opener }) => opener.eo === eo)) return
    const { nodeId: node, self, log } = this.#host
    const opener = { eo, life: self.life, node }
    const { name } = entry
    for (let n = 0; n < count; n++) {
      this.#submit({ kind: 'open', name, attributes: null, id, opener }).catch((err: unknown) => {
        log.error({ err, checkpoint: name }, 'a checkpoint is not open any more')
      })
    }
  }

  async #activeReplicaSet(id: string, epoch: number, call: IncomingCall): Promise<void> {
    this.#component(call)
    const { caller, messageId, acknowledgedBelow, deadlineMs } = call
    const origin = { caller, messageId, acknowledgedBelow }
    const request = { origin, epoch, operation: { kind: 'synchronize' }, deadlineMs } as const
    const { active } = this.#known(id)
    const { nodeId, nowMs } = this.#host
    if (active !== null && active !== nodeId) {
      // What is told already and not replicated yet would stay behind; where that node hangs, it does.
      const half = { ...request, deadlineMs: Math.min(deadlineMs, nowMs() + 1_000) }
      await this.#perform(id, half).catch((error: unknown) => {
        if (isSdkError(error, 'STALE_EPOCH')) throw error
      })
    }
    for (;;) {
      const entry = await this.#submit({ kind: 'activeSet', id, node: nodeId })
      if (entry?.active === nodeId) break
      await this.#change(RETRY_MS.max, deadlineMs, () => lateReplica(entry?.name ?? id, nodeId))
    }
    const own = { ...origin, caller: `${caller} active` }
    await this.#perform(id, { ...request, origin: own })
  }

  /** Asks whoever has the active replica until there is an answer, or the time is over. */
  #perform(id: string, request: SectionRequest): Promise<SectionResult> {
    return this.#again(request.deadlineMs, () => this.#performAt(this.#known(id), request))
  }

  /** Tries until it is done, as long as nothing but the moment is wrong. */
  async #again<T>(deadlineMs: number, attempt: () => Promise<T>): Promise<T> {
    let retryMs: number = RETRY_MS.first
    for (;;) {
      try {
        return await attempt()
      } catch (error) {
        if (!isSdkError(error) || !PASSING.has(error.code)) throw error
        await this.#change(retryMs, deadlineMs, () => error)
        retryMs = Math.min(RETRY_MS.max, retryMs * 2)
      }
    }
  }

  #performAt(entry: DirectoryEntry, request: SectionRequest): Promise<SectionResult> {
    const { id, name, active, inSync } = entry
    if (active === null) {
      if (inSync === null && waitsForActive(entry.attributes)) {
        const message = `checkpoint ${name} has no active replica yet: call activeReplicaSet`
        throw new SdkError('NOT_EXIST', message)
      }
      const message = `checkpoint ${name} waits for one of the nodes ${inSync?.join(', ') ?? ''}`
      throw new SdkError('TRY_AGAIN', message)
    }
    if (active === this.#host.nodeId) return this.#performHere(id, request)
    const { epoch, origin, operation, deadlineMs } = request
    const timeoutMs = Math.ceil(deadlineMs - this.#host.nowMs())
    if (timeoutMs < 1) throw new SdkError('TIMEOUT', `checkpoint ${name}: no answer in time`)
    const to = { node: active, port: IOC_PORT.agent }
    const peer = this.#host.rmd.client(NamedCheckpointPeer, { to, timeoutMs })
    return peer.perform({ id, epoch, origin, operation })
  }

  #performHere(id: string, request: SectionRequest): Promise<SectionResult> {
    const active = this.#actives.get(id)
    if (active !== undefined) return active.perform(request)
    throw new SdkError('TRY_AGAIN', 'the active replica is not here, or not ready')
  }

  /** Waits until the directory changes, `waitMs` at most. @throws what `late` gives when the deadline comes first. */
  #change(waitMs: number, deadlineMs: number, late: () => SdkError): Promise<void> {
    const leftMs = deadlineMs - this.#host.nowMs() - ANSWER_MS
    if (leftMs <= RETRY_MS.first || this.#isClosed) return Promise.reject(late())
    return new Promise((resolve) => {
      const cancel = systemClock.after(Math.min(waitMs, leftMs), () => {
        this.#waiters.delete(wake)
        resolve()
      })
      const wake = (): void => {
        cancel()
        resolve()
      }
      this.#waiters.add(wake)
    })
  }

  #known(id: string): DirectoryEntry {
    const entry = this.#directory.get(id)
    if (entry !== undefined) return entry
    throw new SdkError('NOT_EXIST', 'the checkpoint is gone: open it again')
  }

  #component({ caller }: IncomingCall): void {
    if (this.#host.componentOf(caller) !== null) return
    throw new SdkError('OP_NOT_PERMITTED', 'checkpoints are for components of this node')
  }

  async #submit(operation: DirectoryOperation): Promise<DirectoryEntry | null> {
    const payload = directoryOperationCodec.encode(operation)
    return (await this.#host.submit(this.topic, payload)) as DirectoryEntry | null
  }
}

/** Nothing is wrong with the request: it is asked for again, under the same origin. */
const PASSING: ReadonlySet<string> = new Set([
  'TRY_AGAIN',
  'COMP_UNREACHABLE',
  'HOST_UNREACHABLE',
  'INUSE',
])

function revisionOf({ term, sequence }: Position): number {
  return term * 2 ** 32 + sequence
}

function lateReplica(name: string, node: number): SdkError {
  return new SdkError('TRY_AGAIN', `checkpoint ${name}: node ${node} has not all of it yet`)
}
