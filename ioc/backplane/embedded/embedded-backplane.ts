import { createHash } from 'node:crypto'
import { join, resolve } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import { isSdkError, SdkError } from '../../../idl/index.ts'
import { systemClock, type Clock } from '../../clock.ts'
import { silentLog, type IocLog } from '../../log.ts'
import { socketDirectory } from '../../transport/socket-directory.ts'
import type { Backplane, BackplaneEvent, Leader, Member, Store } from '../backplane.ts'
import { isAlive, ownIdentity, proveGone, sameProcess } from '../process-identity.ts'
import { tryProcessLock, type ProcessLockResult } from '../process-lock.ts'
import { backplaneSockets, type BackplaneSockets } from './backplane-sockets.ts'
import { decideContest } from './contest.ts'
import { followLeader } from './follower-link.ts'
import { LeaderPulse } from './leader-pulse.ts'
import { sameRecord, type LeaderRecord } from './leader-record.ts'
import { LeaderServer } from './leader-server.ts'
import { EmbeddedStore } from './store.ts'

export interface EmbeddedBackplaneOptions {
  /** Names the cluster on this machine. Made with mode 0700 when it does not exist. */
  readonly runDir: string
  /** This node's name, unique in the run directory, 1 to 255 characters. */
  readonly node: string
  /** How often leader and followers give a sign of life. @defaultValue 100 */
  readonly beatMs?: number
  /**
   * A peer that is not heard for so long is contested or leaves the view. At least 3 beats.
   * @defaultValue 1000
   */
  readonly silenceMs?: number
  readonly log?: IocLog
  readonly clock?: Pick<Clock, 'nowMs'>
}

/** How long one attempt to see a killed leader gone may take before it is tried anew. */
const FENCE_TIMEOUT_MS = 5_000
const WRITER_POLL_MS = 2

/**
 * The backplane of one machine: LMDB for what lasts, one unix socket a node for who is there. No
 * server to install.
 *
 * I1 A new leader's term is written only after the former leader's process is proven gone, or gave
 *    up by itself.
 * I2 A node is never fenced by a judge that was late itself, nor for closing a connection: only
 *    when it cannot be heard while the record still names it.
 * I3 At any moment at most one process can begin a write transaction: the living leader of the
 *    record, or, when there is none, the holder of `store/writer.lock.N`. A holder that stays
 *    frozen is fenced too.
 *
 * @throws SdkError INVALID_PARAMETER for options out of bounds. `start` rejects with ALREADY_EXIST
 * when a living process has the node's name, FAILED_OPERATION when the store is damaged,
 * OP_NOT_PERMITTED when the run directory is not private.
 */
export function createEmbeddedBackplane(options: EmbeddedBackplaneOptions): Backplane {
  return new EmbeddedBackplane(options)
}

class EmbeddedBackplane implements Backplane {
  readonly #runDir: string
  readonly #self: Member
  readonly #beatMs: number
  readonly #silenceMs: number
  readonly #tickMs: number
  readonly #log: IocLog
  readonly #nowMs: () => number
  readonly #store: EmbeddedStore
  readonly #pulse: LeaderPulse
  readonly #sockets: BackplaneSockets
  readonly #stopping = new AbortController()
  readonly #queue: BackplaneEvent[] = []
  #onEvent: ((event: BackplaneEvent) => void) | null = null
  #delivering = false
  #state: 'new' | 'started' | 'stopped' = 'new'
  #server: LeaderServer | null = null
  #releaseName: (() => void) | null = null
  #timers: NodeJS.Timeout[] = []
  #running: Promise<void> = Promise.resolve()
  #stopped: Promise<void> | null = null
  #leader: Leader | null = null
  /** Ends the term of this node, while it leads. */
  #endTerm: (() => void) | null = null
  #unheardTerm = 0
  /** Since when the connection to the leader of a term cannot be made. */
  #closed: { readonly term: number; readonly sinceMs: number } | null = null
  #firstOutcome: { resolve: () => void; reject: (error: unknown) => void } | null = null

  constructor({
    runDir,
    node,
    beatMs = 100,
    silenceMs = 1000,
    log = silentLog,
    clock = systemClock,
  }: EmbeddedBackplaneOptions) {
    checkOptions(node, beatMs, silenceMs)
    this.#runDir = resolve(runDir)
    this.#self = { node, process: ownIdentity() }
    this.#beatMs = beatMs
    this.#silenceMs = silenceMs
    this.#tickMs = Math.max(1, Math.min(beatMs, silenceMs / 4))
    this.#log = log
    this.#nowMs = () => clock.nowMs()
    const directory = join(this.#runDir, 'store')
    this.#pulse = new LeaderPulse(join(directory, 'pulse'))
    this.#sockets = backplaneSockets(node, process.env)
    this.#store = new EmbeddedStore({ directory, node: shortName(node), own: this.#self.process })
  }

  get store(): Store {
    return this.#store
  }

  get leader(): Leader | null {
    return this.#leader
  }

  async start(onEvent: (event: BackplaneEvent) => void): Promise<void> {
    if (this.#state !== 'new') throw new SdkError('INVALID_STATE', 'a backplane starts once')
    this.#state = 'started'
    try {
      const sockets = socketDirectory(this.#runDir)
      this.#takeName()
      if (this.#store.exists) this.#store.openForReading()
      await this.#listen(sockets)
      await new Promise<void>((resolve, reject) => {
        this.#firstOutcome = { resolve, reject }
        this.#running = this.#run(sockets)
      })
    } catch (error) {
      await this.stop()
      throw error
    }
    setImmediate(() => {
      this.#onEvent = onEvent
      this.#deliver()
    })
  }

  proveGone = (...[process, timeoutMs]: Parameters<Backplane['proveGone']>): Promise<void> =>
    proveGone(process, timeoutMs)

  stop(): Promise<void> {
    this.#stopped ??= this.#stop()
    return this.#stopped
  }

  async #stop(): Promise<void> {
    this.#state = 'stopped'
    this.#queue.length = 0
    for (const timer of this.#timers) clearInterval(timer)
    this.#stopping.abort()
    this.#giveUp()
    await this.#running
    this.#server?.close()
    await this.#store.close()
    this.#releaseName?.()
  }

  /** Followers learn of it after the record says so: they read it at once. */
  #giveUp(): void {
    const record = this.#leader
    if (this.#endTerm === null || record === null) return
    try {
      const { node, term, process } = record
      const held = { node, term, process, released: false }
      this.#store.replaceLeader(held, { ...held, released: true })
    } catch (error) {
      this.#log.warn({ error: textOf(error) }, 'leadership could not be given up in the store')
    }
    this.#server?.resign({ kind: 'released' })
    this.#endTerm()
  }

  #takeName(): void {
    const { node } = this.#self
    const path = join(this.#runDir, 'nodes', fileName(node), 'node')
    const lock = tryProcessLock(path)
    if (lock.held) {
      this.#releaseName = lock.release
      return
    }
    throw new SdkError(
      'ALREADY_EXIST',
      `node ${node} runs already in ${this.#runDir} (process ${lock.holder.pid}); ` +
        'remedy: give this node another name, or stop the other one',
      { context: { node, pid: lock.holder.pid } },
    )
  }

  async #listen(sockets: string): Promise<void> {
    const server = new LeaderServer({
      path: socketPathOf(sockets, this.#self.node),
      self: this.#self,
      silenceMs: this.#silenceMs,
      tickMs: this.#tickMs,
      nowMs: this.#nowMs,
      onView: (view) => this.#emit({ kind: 'membership', view }),
      taken: (socket) => this.#sockets.taken(socket),
    })
    await server.listen()
    this.#server = server
    const tick = (): void => server.tick()
    // Judged after the sockets of the turn were read.
    this.#timers.push(setInterval(() => setImmediate(tick), this.#tickMs))
    this.#timers.push(setInterval(() => this.#beat(), this.#beatMs))
  }

  #beat(): void {
    if (this.#endTerm === null || this.#leader === null) return
    const present = this.#store.leaderRecord()
    if (present !== null && present.term !== this.#leader.term) this.#depose(present)
    else {
      this.#pulse.beat()
      this.#server?.beat()
    }
  }

  #depose(present: LeaderRecord): void {
    const { term } = this.#leader ?? present
    this.#log.warn({ term, presentTerm: present.term }, 'deposed: a newer term is in the store')
    this.#emit({ kind: 'deposed', term })
    this.#server?.resign({ kind: 'refused', leading: false, reason: 'deposed' })
    this.#leader = null
    this.#endTerm?.()
    this.#stopping.abort()
  }

  async #run(sockets: string): Promise<void> {
    while (!this.#stopping.signal.aborted) {
      try {
        await this.#turn(sockets)
      } catch (error) {
        // Before the first outcome start() reports it. Later: whatever it was may pass, and others
        // may lead.
        if (this.#firstOutcome !== null) return this.#firstOutcome.reject(error)
        this.#log.warn({ error: textOf(error) }, 'contest failed; it is tried again')
        await this.#pause(this.#beatMs)
      }
    }
    const stopped = new SdkError('INTERRUPT', 'the backplane was stopped while it started')
    this.#firstOutcome?.reject(stopped)
  }

  async #turn(sockets: string): Promise<void> {
    const record = this.#store.leaderRecord()
    const step = decideContest({
      record,
      self: this.#self,
      leaderAlive: record !== null && !record.released && isAlive(record.process),
      unheardTerm: this.#unheardTerm,
    })
    this.#log.debug({ step: step.kind, why: step.why, term: record?.term ?? 0 }, 'contest')
    if (step.kind === 'follow' && record !== null) return this.#follow(sockets, record)
    if (step.kind === 'fence' && record !== null) {
      this.#log.warn({ leader: record.node, pid: record.process.pid }, 'fencing the leader')
      await proveGone(record.process, FENCE_TIMEOUT_MS)
    }
    const next = await this.#claim(record)
    if (next !== null) await this.#lead(next)
  }

  /** @returns the record that names this node, or null when another one was faster. */
  async #claim(record: LeaderRecord | null): Promise<LeaderRecord | null> {
    const lock = tryProcessLock(join(this.#runDir, 'store', 'writer'))
    if (!lock.held) {
      await this.#awaitWriter(lock)
      return null
    }
    try {
      if (!sameRecord(this.#store.leaderRecord(), record)) return null
      await this.#store.openForWriting()
      const { node, process } = this.#self
      const next = { node, term: (record?.term ?? 0) + 1, process, released: false }
      if (!this.#stopping.signal.aborted && this.#store.replaceLeader(record, next)) return next
      await this.#store.close()
      return null
    } finally {
      lock.release()
    }
  }

  /** Waits until the writer's lock moves on; fences a holder that stays frozen with it. */
  async #awaitWriter(lock: ProcessLockResult & { readonly held: false }): Promise<void> {
    const path = join(this.#runDir, 'store', 'writer')
    let waitedMs = 0
    while (!this.#stopping.signal.aborted) {
      await this.#pause(WRITER_POLL_MS)
      // Counted in polls, not by the clock: a pause of this process must not count against the
      // holder.
      waitedMs += WRITER_POLL_MS
      const now = tryProcessLock(path)
      if (now.held) return now.release()
      if (now.generation !== lock.generation) return
      if (waitedMs < this.#silenceMs || sameProcess(now.holder, this.#self.process)) continue
      this.#log.warn({ pid: now.holder.pid }, 'fencing a process that is frozen with the store')
      await proveGone(now.holder, FENCE_TIMEOUT_MS)
    }
  }

  async #lead(record: LeaderRecord): Promise<void> {
    const { node, term, process } = record
    this.#leader = { node, term, process }
    const ended = new Promise<void>((resolve) => {
      this.#endTerm = resolve
    })
    this.#emit({ kind: 'elected', term })
    this.#server?.lead(term)
    this.#decided()
    await ended
    this.#endTerm = null
  }

  async #follow(sockets: string, record: LeaderRecord): Promise<void> {
    const { node, term, process } = record
    const leader = { node, term, process }
    const attemptMs = this.#nowMs()
    const end = await followLeader({
      path: socketPathOf(sockets, node),
      leader,
      self: this.#self,
      silenceMs: this.#silenceMs,
      tickMs: this.#tickMs,
      beatMs: this.#beatMs,
      nowMs: this.#nowMs,
      signal: this.#stopping.signal,
      connect: (path) => this.#sockets.connect(path, node),
      pulse: () => this.#pulse.read(),
      onView: (view) => {
        this.#heard(leader)
        this.#emit({ kind: 'membership', view })
      },
    })
    if (end.kind === 'stopped') return
    if (end.kind === 'silent') {
      this.#unheardTerm = term
      return this.#lost(leader, end.cause)
    }
    if (end.kind === 'cut') {
      // Until it is fenced, and should nobody do so, this node asks again.
      if (this.#leader !== null) this.#lost(leader, end.cause, 'leaderCut')
      return
    }
    if (end.kind === 'released' || !isAlive(process)) return this.#lost(leader, end.cause)
    if (end.kind === 'closed') this.#notReached(leader, end.cause, attemptMs)
    await this.#pause(end.kind === 'refused' ? this.#beatMs : Math.min(10, this.#beatMs))
  }

  /**
   * The leader lives but has no connection with this node: it may have closed it because this node
   * was frozen. It is asked again for the silence time; only an attempt that began after that time,
   * and failed, counts.
   */
  #notReached(leader: Leader, cause: string, attemptMs: number): void {
    if (this.#closed?.term !== leader.term) {
      this.#closed = { term: leader.term, sinceMs: this.#nowMs() }
    }
    if (attemptMs - this.#closed.sinceMs <= this.#silenceMs) return
    this.#unheardTerm = leader.term
    this.#lost(leader, cause)
  }

  #heard(leader: Leader): void {
    this.#closed = null
    if (this.#leader?.term === leader.term) return
    this.#leader = leader
    this.#emit({ kind: 'following', leader })
    this.#decided()
  }

  #lost(leader: Leader, cause: string, kind: 'leaderLost' | 'leaderCut' = 'leaderLost'): void {
    this.#leader = null
    this.#log.warn({ leader: leader.node, term: leader.term, cause }, kind)
    this.#emit({ kind, leader, cause })
  }

  #decided(): void {
    this.#firstOutcome?.resolve()
    this.#firstOutcome = null
  }

  async #pause(ms: number): Promise<void> {
    await delay(ms, undefined, { signal: this.#stopping.signal }).catch(() => undefined)
  }

  #emit(event: BackplaneEvent): void {
    if (this.#state !== 'started') return
    this.#queue.push(event)
    this.#deliver()
  }

  /** One at a time: an event raised while one is handled waits its turn. */
  #deliver(): void {
    if (this.#delivering || this.#onEvent === null) return
    this.#delivering = true
    try {
      for (let event = this.#queue.shift(); event !== undefined; event = this.#queue.shift()) {
        this.#onEvent(event)
      }
    } finally {
      this.#delivering = false
    }
  }
}

function checkOptions(node: string, beatMs: number, silenceMs: number): void {
  if (node.length < 1 || node.length > 255) {
    throw new SdkError('INVALID_PARAMETER', `node: a name has 1 to 255 characters: ${node}`)
  }
  if (!(beatMs >= 1)) throw new SdkError('INVALID_PARAMETER', `beatMs: ${beatMs} is not at least 1`)
  if (silenceMs >= 3 * beatMs) return
  throw new SdkError(
    'INVALID_PARAMETER',
    `silenceMs: ${silenceMs} is less than three beats of ${beatMs} ms; remedy: raise it or lower beatMs`,
  )
}

/** Short and unique for any name, so that socket paths keep their length. */
const shortName = (node: string): string =>
  createHash('sha256').update(node).digest('hex').slice(0, 16)

const socketPathOf = (sockets: string, node: string): string =>
  join(sockets, `b.${shortName(node)}.sock`)

/** The node's name where it can be a file's name as it is, else a hash of it. */
const fileName = (node: string): string =>
  /^[A-Za-z0-9_-][A-Za-z0-9_.-]*$/.test(node) ? node : shortName(node)

function textOf(error: unknown): string {
  if (isSdkError(error)) return `${error.code}: ${error.message}`
  return error instanceof Error ? error.message : String(error)
}
