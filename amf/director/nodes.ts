import type { Logger } from 'pino'
import { SdkError } from '../../idl/index.ts'
import { sameProcess } from '../../ioc/backplane/internal.ts'
import type { ProcessIdentity } from '../../ioc/internal.ts'
import type { RecordStore } from './record-store.ts'

/** One try to prove a process gone; it is repeated until it is proven. */
const PROVE_TIMEOUT_MS = 2_000
const RETRY_DELAY_MS = 100
/** A node process that stops in order closes its connections a moment before it exits. */
const LEAVE = { timeoutMs: 100, pollMs: 2 } as const

export interface NodesOptions {
  readonly records: RecordStore
  /** This process: never fenced. */
  readonly self: ProcessIdentity
  readonly log: Logger
  /** SIGKILL by identity; resolves when the process has vanished or is a zombie. */
  readonly proveGone: (process: ProcessIdentity, timeoutMs: number) => Promise<void>
  /** Kills every process that belonged to a node process that is gone, and waits until none is left. */
  readonly sweep: (node: string, process: ProcessIdentity) => Promise<void>
  readonly isAlive: (process: ProcessIdentity) => boolean
  /** Present identity of a pid; undefined when there is no such process. */
  readonly identityOf: (pid: number) => ProcessIdentity | undefined
  readonly onGone: (node: string, cause: string) => void
}

/**
 * Which process is (or last was) the agent of each node, durable, and the fencing of those that are lost.
 *
 * Rules: a node process is recorded before the first command can reach it. A recorded one is forgotten only when it and
 * every process that it started are proven gone; only then `onGone` tells the engine. While a node is being fenced its
 * next life waits.
 */
export class Nodes {
  readonly #options: NodesOptions
  readonly #members: Map<string, ProcessIdentity>
  readonly #fences = new Map<string, Promise<void>>()
  #closed = false

  constructor(options: NodesOptions) {
    this.#options = options
    this.#members = options.records.members()
  }

  /** Recorded node processes. */
  get members(): ReadonlyMap<string, ProcessIdentity> {
    return this.#members
  }

  isFencing(node: string): boolean {
    return this.#fences.has(node)
  }

  /**
   * Records the process of a node that wants to join. A recorded earlier life is fenced first.
   * @throws SdkError INVALID_STATE when there is no such process; STALE_TERM.
   */
  async admit(node: string, pid: number): Promise<void> {
    await this.#fences.get(node)
    const identity = this.#options.identityOf(pid)
    if (identity === undefined) {
      throw new SdkError('INVALID_STATE', `node ${node}: there is no process ${pid}`)
    }
    const known = this.#members.get(node)
    if (known !== undefined && sameProcess(known, identity)) return
    if (known !== undefined) await this.fence(node, `a new node process ${pid} took its place`)
    if (this.#closed) throw new SdkError('STALE_TERM', 'this director has ended')
    this.#members.set(node, identity)
    this.#options.records.putMember(node, identity)
    this.#options.records.flush()
  }

  /** Proves a node gone, then tells the engine. Resolves when that is done; repeats share one run. */
  fence(node: string, cause: string): Promise<void> {
    const running = this.#fences.get(node)
    if (running !== undefined) return running
    const identity = this.#members.get(node)
    if (identity !== undefined && sameProcess(identity, this.#options.self))
      return Promise.resolve()
    const run = this.#fence(node, identity, cause).finally(() => this.#fences.delete(node))
    this.#fences.set(node, run)
    return run
  }

  /** Fences under way go on (what they kill is to be killed), but nobody is told. */
  close(): void {
    this.#closed = true
  }

  async #fence(node: string, identity: ProcessIdentity | undefined, cause: string): Promise<void> {
    const { log, records, proveGone, sweep, onGone } = this.#options
    const startedMs = performance.now()
    if (identity !== undefined) {
      log.warn({ node, pid: identity.pid, cause }, 'fencing a node')
      await this.#letLeave(identity)
      await this.#repeat(node, () => proveGone(identity, PROVE_TIMEOUT_MS))
      await this.#repeat(node, () => sweep(node, identity))
    }
    if (this.#closed) return
    this.#members.delete(node)
    records.putMember(node, null)
    log.info({ node, cause, tookMs: performance.now() - startedMs }, 'node proven gone')
    onGone(node, cause)
  }

  async #letLeave(identity: ProcessIdentity): Promise<void> {
    const deadlineMs = performance.now() + LEAVE.timeoutMs
    while (this.#options.isAlive(identity) && performance.now() < deadlineMs) {
      await new Promise((resolve) => setTimeout(resolve, LEAVE.pollMs))
    }
  }

  /** A proof is never given up: without it the roles of the node must not move. */
  async #repeat(node: string, attempt: () => Promise<void>): Promise<void> {
    while (!this.#closed) {
      try {
        await attempt()
        return
      } catch (error) {
        this.#options.log.error({ err: error, node }, 'node not proven gone yet')
        await new Promise((resolve) => setTimeout(resolve, RETRY_DELAY_MS))
      }
    }
  }
}
