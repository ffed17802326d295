import { performance } from 'node:perf_hooks'
import type { Logger } from 'pino'
import { isSdkError, SdkError } from '../../../idl/index.ts'
import { IOC_PORT, type IncomingCall, type Rmd } from '../../../ioc/index.ts'
import { CsiReplicaServer, type ReplicaGrant } from './csi-replica-server.ts'
import {
  Checkpoint,
  CheckpointReplica,
  type CheckpointBatch,
  type CheckpointSnapshot,
  type InSyncAuthority,
} from './interface.ts'
import type { ReplicaEnvironment } from './replica-log.ts'
import { ReplicaStores } from './replica-stores.ts'

export interface CheckpointServerOptions {
  readonly nodeId: number
  /** Directory of the node's LMDB environment; made when missing, as is `DIRECTORY-durable` when that is needed. */
  readonly directory: string
  /** The agent's: calls other replicas and pushes to components. */
  readonly rmd: Rmd
  /** Whether the model has a CSI: components can attach to no other. */
  readonly hasCsi: (csi: string) => boolean
  /** Its changes of one (csi, node) are asked for one at a time; it must keep their order. */
  readonly authority: InSyncAuthority
  /** Why the CSI can have no checkpoint, with the remedy; null: it can. @defaultValue every CSI can */
  readonly refusal?: (csi: string) => string | null
  /** A commit waits this long for a replica before it is taken out of the in-sync set. */
  readonly replicaTimeoutMs: number
  readonly log: Pick<Logger, 'info' | 'warn' | 'error'>
  /** Monotonic, in milliseconds. @defaultValue performance.now, the clock of `IncomingCall.deadlineMs` */
  readonly clock?: () => number
  /** The environment, open already: a simulation hands in its own. @defaultValue the one of `directory` */
  readonly environment?: ReplicaEnvironment
}

/** Who has replicas of its own, by a prefix of their names, and writes them from within node processes. */
export interface StreamOwner {
  readonly prefix: string
  readonly authority: InSyncAuthority
  /** This node's replica took a batch, as primary or secondary. */
  applied(name: string, batch: CheckpointBatch): void
  /** It took another content as a whole. */
  replaced(name: string): void
}

/**
 * Replicas that belong to a service of the node instead of a CSI: the same protocol and store, the writer in the node
 * process itself. Components reach none of them.
 */
export interface CheckpointStreams {
  /** Names that begin with its prefix belong to this owner; before any of them is used. */
  own(owner: StreamOwner): void
  /** As {@link CheckpointServer.becomePrimary}. @param isDurable - its batches are to wait for the disk. */
  becomePrimary(grant: ReplicaGrant, isDurable?: boolean): void
  setReplicas(grant: ReplicaGrant): void
  becomeNone(name: string): void
  /** The content, whose values are shared and must not be changed. */
  content(name: string): CheckpointSnapshot
  /**
   * Commits a batch of this process, whose values are kept and must not be changed. Resolves when every in-sync replica
   * holds it.
   * @throws SdkError as the function `commit` of components.
   */
  commit(name: string, batch: CheckpointBatch): Promise<void>
  /** Forgets a replica with all that is stored of it, and takes nothing more for its name. */
  remove(name: string): void
  /** Names of the stored replicas of an owner. */
  names(prefix: string): readonly string[]
  /** What is stored of one: whether it can be relied on, and how far it goes. null: nothing. */
  standing(name: string): ReplicaStanding | null
  /**
   * Small records of an owner, by its prefix: stored with the replicas, and lost with them.
   * @returns null when one of them cannot be read.
   */
  records(prefix: string): ReadonlyMap<string, Uint8Array> | null
  /**
   * Stores records, all or none; null removes one.
   * @param isDurable - they are on the disk when it returns, and so are all others of the owner from then on.
   * @throws Error of the store.
   */
  putRecords(
    prefix: string,
    changes: ReadonlyMap<string, Uint8Array | null>,
    isDurable: boolean,
  ): void
}

/** How far a stored content goes. */
export interface ReplicaStanding {
  readonly isSound: boolean
  readonly lastEpoch: number
  readonly sequence: number
}

/** The checkpoint replicas of one node: runs in the node process, driven by the agent. */
export interface CheckpointServer extends CheckpointStreams {
  /** Serves a call of the `Checkpoint` and `CheckpointReplica` tables. @returns false when it is of another one. */
  dispatch(call: IncomingCall): boolean
  /**
   * A local component is going to be ACTIVE: from when it returns, older epochs are refused here, also after a
   * restart. Waits for no other node. Repeating it is harmless.
   * @throws SdkError STALE_EPOCH; OUT_OF_SYNC when this node does not hold what was acknowledged.
   */
  becomePrimary(grant: ReplicaGrant): void
  setReplicas(grant: ReplicaGrant): void
  /** The local component is ACTIVE no more. */
  becomeNone(csi: string): void
  /** A connection is gone: nothing is pushed there any more. */
  dropConnection(caller: string): void
  close(): Promise<void>
}

const FIRST_REPLICA_FUNCTION = CheckpointReplica.clientId * 64
const FIRST_CHECKPOINT_FUNCTION = Checkpoint.clientId * 64
/** Functions of either interface; others of the same client ids are not this server's. */
const FUNCTIONS = 4
const COMMIT_TIMEOUT_MS = 5_000
const REMOVED_COUNT_MAX = 4_096

/** @throws SdkError LIBRARY when the store cannot be opened. */
export function createCheckpointServer(options: CheckpointServerOptions): CheckpointServer {
  return new NodeCheckpoints(options)
}

class NodeCheckpoints implements CheckpointServer {
  readonly #options: CheckpointServerOptions
  readonly #clock: () => number
  readonly #store: ReplicaStores
  readonly #servers = new Map<string, CsiReplicaServer>()
  readonly #stopPresence: () => void
  readonly #owners: StreamOwner[] = []
  /** Names that are taken for nothing more, the oldest first. */
  readonly #removed = new Set<string>()
  #timer: NodeJS.Timeout | null = null
  #isClosed = false

  constructor(options: CheckpointServerOptions) {
    const { directory, log, environment } = options
    this.#options = options
    this.#clock = options.clock ?? (() => performance.now())
    const own = environment === undefined ? {} : { environment }
    this.#store = new ReplicaStores({ directory, log, clock: this.#clock, ...own })
    this.#stopPresence = options.rmd.onPresence(({ kind, address }) => {
      if (address.port !== IOC_PORT.agent) return
      for (const server of this.#servers.values()) server.peerChanged(address.node, kind)
    })
  }

  dispatch(call: IncomingCall): boolean {
    const { functionNumber } = call
    if (isOf(functionNumber, FIRST_CHECKPOINT_FUNCTION)) this.#guard(call, () => this.#serve(call))
    else if (isOf(functionNumber, FIRST_REPLICA_FUNCTION)) {
      this.#guard(call, () => {
        if (call.source.port !== IOC_PORT.agent) throw onlyAgents(call)
        this.#serveReplica(call)
      })
    } else return false
    return true
  }

  becomePrimary(grant: ReplicaGrant, isDurable = false): void {
    this.#assertOpen()
    this.#server(grant.csi, isDurable).becomePrimary(grant)
  }

  setReplicas(grant: ReplicaGrant): void {
    this.#assertOpen()
    this.#server(grant.csi).setReplicas(grant)
  }

  becomeNone(csi: string): void {
    this.#servers.get(csi)?.becomeNone()
  }

  own(owner: StreamOwner): void {
    this.#owners.push(owner)
  }

  content(name: string): CheckpointSnapshot {
    return this.#server(name).snapshot()
  }

  commit(name: string, batch: CheckpointBatch): Promise<void> {
    return new Promise((resolve, reject) => {
      this.#assertOpen()
      const deadlineMs = this.#clock() + COMMIT_TIMEOUT_MS
      this.#server(name).commitLocal({ batch, deadlineMs, answer: resolve, fail: reject })
    })
  }

  remove(name: string): void {
    this.#assertOpen()
    this.#servers.get(name)?.becomeNone()
    this.#servers.delete(name)
    this.#store.remove(name)
    this.#removed.add(name)
    const [oldest] = this.#removed
    if (this.#removed.size > REMOVED_COUNT_MAX && oldest !== undefined) this.#removed.delete(oldest)
  }

  names(prefix: string): readonly string[] {
    return this.#store.names(prefix)
  }

  standing(name: string): ReplicaStanding | null {
    if (this.#removed.has(name) || !this.#store.has(name)) return null
    const { isReliable, replica } = this.#store.replica(name, false)
    return { isSound: isReliable, lastEpoch: replica.lastEpoch, sequence: replica.sequence }
  }

  records(prefix: string): ReadonlyMap<string, Uint8Array> | null {
    return this.#store.records(prefix)
  }

  putRecords(
    prefix: string,
    changes: ReadonlyMap<string, Uint8Array | null>,
    isDurable: boolean,
  ): void {
    this.#assertOpen()
    this.#store.putRecords(prefix, changes, isDurable)
  }

  dropConnection(caller: string): void {
    for (const server of this.#servers.values()) server.dropConnection(caller)
  }

  async close(): Promise<void> {
    if (this.#isClosed) return
    this.#stopPresence()
    for (const server of this.#servers.values()) server.becomeNone()
    this.#isClosed = true
    if (this.#timer !== null) clearInterval(this.#timer)
    this.#timer = null
    await this.#store.close()
  }

  #serve(call: IncomingCall): void {
    const { attach, commit, detach, status } = Checkpoint.methods
    switch (call.functionNumber) {
      case attach.functionNumber: {
        const { csi, durable } = attach.input.decode(call.payload)
        const refusal = this.#options.refusal?.(csi) ?? null
        if (refusal !== null) throw new SdkError('NOT_SUPPORTED', refusal)
        this.#known(csi, durable).attach(call)
        break
      }
      case commit.functionNumber: {
        const { csi, batch } = commit.input.decode(call.payload)
        this.#known(csi).commit(call, batch)
        break
      }
      case detach.functionNumber:
        this.#known(detach.input.decode(call.payload).csi).detach(call)
        break
      case status.functionNumber:
        this.#known(status.input.decode(call.payload).csi).status(call)
        break
      default:
        call.fail(unknownFunction(call))
    }
  }

  #serveReplica(call: IncomingCall): void {
    const { open, append, replace, replacePart } = CheckpointReplica.methods
    switch (call.functionNumber) {
      case append.functionNumber: {
        const { csi, batch, under } = append.input.decode(call.payload)
        this.#server(csi).append(call, batch, under ?? batch.epoch)
        break
      }
      case open.functionNumber: {
        const { csi, epoch, durable } = open.input.decode(call.payload)
        this.#server(csi, durable).open(call, epoch)
        break
      }
      case replace.functionNumber: {
        const input = replace.input.decode(call.payload)
        this.#server(input.csi).replace(call, input)
        break
      }
      case replacePart.functionNumber: {
        const input = replacePart.input.decode(call.payload)
        this.#server(input.csi).replacePart(call, input)
        break
      }
      default:
        call.fail(unknownFunction(call))
    }
  }

  /** What local programs may ask about. A replica that is there stays reachable when its CSI left the model. */
  #known(csi: string, isDurable = false): CsiReplicaServer {
    const isKnown = this.#servers.has(csi) || this.#options.hasCsi(csi)
    if (isKnown && this.#ownerOf(csi) === undefined) return this.#server(csi, isDurable)
    throw new SdkError('NOT_EXIST', `checkpoint: the model has no CSI ${csi}`)
  }

  #server(csi: string, isDurable = false): CsiReplicaServer {
    let server = this.#servers.get(csi)
    if (server !== undefined && isDurable && !server.isDurable) {
      const message = `checkpoint ${csi}: its writes wait for the disk once this node process was started again`
      this.#options.log.warn({ csi }, message)
    }
    if (server === undefined) {
      if (this.#removed.has(csi)) {
        throw new SdkError('STALE_EPOCH', `checkpoint ${csi} was deleted on this node`)
      }
      const owner = this.#ownerOf(csi)
      const { nodeId, rmd, authority, replicaTimeoutMs, log } = this.#options
      server = new CsiReplicaServer({
        csi,
        nodeId,
        stored: this.#store.replica(csi, isDurable),
        rmd,
        authority: owner?.authority ?? authority,
        replicaTimeoutMs,
        log,
        clock: this.#clock,
        onBusy: () => this.#startTimer(),
        onApplied: (batch) => owner?.applied(csi, batch),
        onReplaced: () => owner?.replaced(csi),
      })
      this.#servers.set(csi, server)
    }
    return server
  }

  #ownerOf(name: string): StreamOwner | undefined {
    return this.#owners.find(({ prefix }) => name.startsWith(prefix))
  }

  /** A call that cannot be served is answered; nothing of it may end the node process. */
  #guard(call: IncomingCall, serve: () => void): void {
    try {
      this.#assertOpen()
      serve()
    } catch (error) {
      if (isSdkError(error)) {
        call.fail(error)
        return
      }
      this.#options.log.error(
        { err: error, function: call.functionNumber },
        'checkpoint call failed',
      )
      const why = error instanceof Error ? error.message : String(error)
      call.fail(new SdkError('NO_SPACE', `the checkpoint store failed: ${why}`, { cause: error }))
    }
  }

  #assertOpen(): void {
    if (this.#isClosed)
      throw new SdkError('TRY_AGAIN', 'the checkpoint server of the node is closing')
  }

  #startTimer(): void {
    if (this.#timer !== null || this.#isClosed) return
    const periodMs = Math.min(50, Math.max(5, this.#options.replicaTimeoutMs / 20))
    this.#timer = setInterval(() => this.#tick(), periodMs)
    this.#timer.unref()
  }

  #tick(): void {
    let isBusy = false
    for (const server of this.#servers.values()) {
      if (!server.needsTick) continue
      server.tick()
      isBusy ||= server.needsTick
    }
    if (isBusy || this.#timer === null) return
    clearInterval(this.#timer)
    this.#timer = null
  }
}

function isOf(functionNumber: number, first: number): boolean {
  return functionNumber >= first && functionNumber < first + FUNCTIONS
}

function onlyAgents(call: IncomingCall): SdkError {
  return new SdkError(
    'OP_NOT_PERMITTED',
    `replicas are called by agents only, not by ${call.source.node}:${call.source.port}`,
  )
}

function unknownFunction(call: IncomingCall): SdkError {
  return new SdkError(
    'FUNC_NOT_REGISTERED',
    `the checkpoint has no function ${call.functionNumber >> 6}.${call.functionNumber & 63}`,
  )
}
