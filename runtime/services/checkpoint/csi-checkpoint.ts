import type { Logger } from 'pino'
import { decodeValue, encodeValue, isSdkError, rcOfCode, SdkError } from '../../../idl/index.ts'
import type { Epoch } from '../../../ioc/index.ts'
import type { Call, Checkpoint, CheckpointOptions, CheckpointView } from '../../eo/app.ts'
import type { CallKey, CommitGate } from './commit-gate.ts'
import { CommitQueue, type CommitItem, type OutgoingBatch } from './commit-queue.ts'
import type {
  CachedReply,
  CheckpointBatch,
  CheckpointRecord,
  CheckpointSnapshot,
} from './interface.ts'
import { PendingCalls } from './pending-calls.ts'
import { ReplyCache } from './reply-cache.ts'
import { TransactionTable, type FinalChanges, type Transaction } from './transaction-table.ts'

export type CheckpointRole = 'ACTIVE' | 'STANDBY' | 'QUIESCING' | 'QUIESCED' | null

export const CHECKPOINT_LIMITS = {
  replyCountMax: 65_536,
  /** Bytes of all kept replies; a call beyond gets TRY_AGAIN, as beyond the count. */
  replySizeBytesMax: 16 * 1_024 * 1_024,
  /** Whole contents travel as one message, so this has to stay well below the largest message. */
  sizeBytesMax: 32 * 1_024 * 1_024,
  sectionNameLengthMax: 255,
  /** Added to what is left of a call's deadline: so long its reply is kept at least. */
  keepMarginMs: 10_000,
  /** A write outside any call waits for its commit at most. */
  writeTimeoutMs: 10_000,
  /** A role that is given up waits for running commits at most. */
  drainTimeoutMs: 5_000,
  /** Refusals of the oldest batch in a row, of kinds that time does not heal, before the process gives up. */
  refusalCountMax: 5,
} as const

export interface CsiCheckpointOptions {
  readonly csi: string
  readonly options: CheckpointOptions
  readonly log: Pick<Logger, 'info' | 'warn' | 'error'>
  /** Monotonic, in milliseconds: the clock of `Call.deadlineMs`. */
  readonly clock: () => number
  /** Sends a batch to the replica of the own node. */
  readonly send: (batch: CheckpointBatch) => Promise<unknown>
  /** The role is gone, or the replica cannot go on with this process: it has to end. */
  readonly onFenced: (error: Error) => void
  /** Content was missed: it has to be fetched again. */
  readonly onGap: () => void
  /** Calls back again and again until the returned function is called. @defaultValue setInterval, unreferenced */
  readonly every?: (periodMs: number, run: () => void) => () => void
}

/** One call, or one write outside any, until its commit is through. */
interface Unit {
  readonly key: CallKey | null
  transaction: Transaction | null
  view: View | null
  phase: 'running' | 'finishing' | 'ended'
  reply: CachedReply | null
  deadlineMs: number
  resolve: (result: { epoch: Epoch }) => void
  reject: (error: SdkError) => void
}

/**
 * The checkpoint of one CSI inside a component: content and kept replies, the views of running calls, and, while the
 * role is held, the way of what they change to the replica. On a standby it follows the pushes.
 */
export class CsiCheckpoint implements Checkpoint, CommitGate {
  readonly #options: CsiCheckpointOptions
  readonly #table: TransactionTable
  readonly #replies = new ReplyCache()
  readonly #pending = new PendingCalls()
  readonly #queue = new CommitQueue<Unit>()
  readonly #calls = new WeakMap<Call, Unit>()
  readonly #units = new Set<Unit>()
  readonly #unitOf = new Map<Transaction, Unit>()
  #role: CheckpointRole = null
  #epoch: Epoch = 0
  #sequence = 0
  /**
   * What was replicated here by a former active may not be on every replica yet: before the first commit under this
   * grant is through, none of the replies kept from before may leave.
   */
  #isConfirmed = false
  #isFlushScheduled = false
  #stopTimer: (() => void) | null = null
  #expiredAtMs = 0
  #drainWaiters: (() => void)[] = []

  constructor(options: CsiCheckpointOptions) {
    this.#options = options
    this.#table = new TransactionTable(
      options.options.sizeBytesMax ?? CHECKPOINT_LIMITS.sizeBytesMax,
    )
  }

  /** Last record known here. */
  get sequence(): number {
    return this.#sequence
  }

  get role(): CheckpointRole {
    return this.#role
  }

  // ---- Checkpoint: what the application uses

  in(call: Call): CheckpointView {
    const unit = this.#calls.get(call)
    if (unit === undefined || unit.phase !== 'running') {
      throw new SdkError(
        'INVALID_STATE',
        `checkpoint ${this.#options.csi}: the call ${call.caller}/${call.messageId} has ended or is of a function that ` +
          `was installed without { csi: '${this.#options.csi}' }`,
      )
    }
    unit.view ??= new View(this.#options.csi, this.#table, this.#begin(unit))
    return unit.view
  }

  read(section: string): unknown {
    const value = this.#table.committed(section)
    return value === null ? undefined : decodeValue(value)
  }

  sections(): readonly string[] {
    return this.#table.committedNames()
  }

  write(section: string, value: unknown): Promise<void> {
    return new Promise((resolve, reject) => {
      this.#assertActive()
      const deadlineMs = this.#options.clock() + CHECKPOINT_LIMITS.writeTimeoutMs
      const unit: Unit = {
        key: null,
        transaction: null,
        view: null,
        phase: 'running',
        reply: null,
        deadlineMs,
        resolve: () => resolve(),
        reject,
      }
      this.#units.add(unit)
      try {
        new View(this.#options.csi, this.#table, this.#begin(unit)).write(section, value)
        this.#finish(unit)
      } catch (error) {
        this.#giveUp(unit)
        throw error
      }
    })
  }

  // ---- CommitGate: what the EO uses

  begin(call: Call, key: CallKey): 'run' | 'inProgress' | CachedReply {
    this.#assertActive()
    if (key.atMostOnce) {
      const known = this.#replies.lookup(key.caller, key.messageId)
      if (known.kind === 'done') return this.#isConfirmed ? known.reply : 'inProgress'
      if (known.kind === 'acknowledged' || this.#pending.has(key)) return 'inProgress'
      this.#assertRoomForReply()
      if (key.acknowledgedBelow > this.#replies.acknowledgedBelow(key.caller)) {
        this.#pending.acknowledge(key.caller, key.acknowledgedBelow)
      }
      this.#pending.add(key)
    }
    const unit: Unit = {
      key,
      transaction: null,
      view: null,
      phase: 'running',
      reply: null,
      deadlineMs: key.deadlineMs,
      resolve: () => undefined,
      reject: () => undefined,
    }
    this.#calls.set(call, unit)
    this.#units.add(unit)
    return 'run'
  }

  finish(
    call: Call,
    reply: { readonly rc: number; readonly payload: Uint8Array },
  ): Promise<{ readonly epoch: Epoch }> {
    return new Promise((resolve, reject) => {
      const unit = this.#calls.get(call)
      if (unit === undefined || unit.phase !== 'running') {
        reject(givenUp(this.#options.csi))
        return
      }
      unit.resolve = resolve
      unit.reject = reject
      if (reply.rc !== 0 && !this.#undo(unit)) return
      unit.reply = this.#keptReply(unit, reply)
      this.#finish(unit)
    })
  }

  abort(call: Call): void {
    const unit = this.#calls.get(call)
    if (unit?.phase === 'running') this.#giveUp(unit)
  }

  // ---- the service's side

  /**
   * Changes the role. Leaving ACTIVE waits for what is under way, and gives up what does not end in time.
   * @returns false when something was given up whose fate is unknown: the content has to be fetched again.
   */
  async roleChanged(role: CheckpointRole, epoch: Epoch): Promise<boolean> {
    if (role === 'ACTIVE') {
      if (this.#role === 'ACTIVE' && this.#epoch === epoch) return true
      if (!this.#queue.isIdle) {
        // Granted again while commits of the former grant are on their way: what became of them cannot be known.
        this.#fence(new SdkError('STALE_EPOCH', `epoch ${epoch} came while ${this.#epoch} commits`))
        return true
      }
      this.#role = 'ACTIVE'
      this.#epoch = epoch
      this.#queue.start(epoch, this.#sequence)
      this.#isConfirmed = this.#sequence === 0
      if (!this.#isConfirmed) this.#commitAlone(null)
      return true
    }
    const wasActive = this.#role === 'ACTIVE' || this.#role === 'QUIESCING'
    this.#role = role
    if (!wasActive || role === 'QUIESCING') return true
    this.#role = 'QUIESCING'
    const isDrained = await this.#drainedWithin(CHECKPOINT_LIMITS.drainTimeoutMs)
    if (!isDrained) {
      this.#failAll(
        () =>
          new SdkError(
            'TIMEOUT',
            `checkpoint ${this.#options.csi}: the role was given up meanwhile`,
          ),
      )
    }
    this.#role = role
    return isDrained
  }

  /** Resolves when no call runs and nothing waits for a commit. */
  drained(): Promise<void> {
    if (this.#units.size === 0) return Promise.resolve()
    return new Promise((resolve) => this.#drainWaiters.push(resolve))
  }

  /** Forgets everything and takes this content. */
  replace(snapshot: CheckpointSnapshot): void {
    if (this.#role === 'ACTIVE' || this.#role === 'QUIESCING') {
      this.#fence(
        new SdkError(
          'STALE_EPOCH',
          `checkpoint ${this.#options.csi}: another node's content replaced that of the active`,
        ),
      )
      return
    }
    this.#table.replace(snapshot.sections)
    this.#replies.replace(snapshot.replies, snapshot.acknowledged, this.#options.clock())
    this.#pending.clear()
    this.#sequence = snapshot.sequence
    this.#tellUpdate(snapshot.sections)
  }

  /** The next batch of the active, as the own node's replica applied it. */
  replicate(batch: CheckpointBatch): void {
    if (this.#role === 'ACTIVE' || this.#role === 'QUIESCING') {
      if (batch.epoch > this.#epoch) {
        this.#fence(new SdkError('STALE_EPOCH', `epoch ${batch.epoch} has replaced ${this.#epoch}`))
      }
      return
    }
    const held = this.#sequence - batch.firstSequence + 1
    if (held < 0) {
      this.#options.onGap()
      return
    }
    const records = batch.records.slice(held)
    for (const record of records) {
      this.#table.replicate(record.writes)
      this.#replies.apply(record, this.#options.clock())
    }
    this.#sequence += records.length
    this.#tellUpdate(records.flatMap((record) => record.writes))
  }

  /** Gives up everything that waits. */
  close(): void {
    this.#failAll(() => givenUp(this.#options.csi))
    this.#role = null
    this.#stopTimer?.()
    this.#stopTimer = null
  }

  #assertActive(): void {
    if (this.#role === 'ACTIVE') return
    throw new SdkError(
      'NOT_ACTIVE',
      `checkpoint ${this.#options.csi}: this component is ${this.#role ?? 'not assigned'}, not ACTIVE`,
    )
  }

  #assertRoomForReply(): void {
    const countMax = this.#options.options.replyCountMax ?? CHECKPOINT_LIMITS.replyCountMax
    if (this.#replies.count + this.#pending.count < countMax) {
      if (this.#replies.sizeBytes < CHECKPOINT_LIMITS.replySizeBytesMax) return
    }
    const expired = this.#expireReplies()
    if (expired.length > 0) {
      this.#commitAlone({ writes: [], reply: null, acknowledged: [], expired })
    }
    throw new SdkError(
      'TRY_AGAIN',
      `checkpoint ${this.#options.csi}: ${this.#replies.count} replies (${this.#replies.sizeBytes} bytes) are kept and ` +
        `none may go yet; raise replyCountMax or let callers acknowledge`,
    )
  }

  /** Commits something that no call waits for. */
  #commitAlone(record: CheckpointRecord | null): void {
    const unit: Unit = {
      key: null,
      transaction: null,
      view: null,
      phase: 'finishing',
      reply: null,
      deadlineMs: Infinity,
      resolve: () => undefined,
      reject: () => undefined,
    }
    this.#units.add(unit)
    this.#commit([{ record, token: unit }])
  }

  #begin(unit: Unit): Transaction {
    const transaction = this.#table.begin()
    unit.transaction = transaction
    this.#unitOf.set(transaction, unit)
    return transaction
  }

  /** Drops what the call wrote, with everything that saw it. @returns false when it was given up itself before. */
  #undo(unit: Unit): boolean {
    const { transaction } = unit
    if (transaction === null) return true
    const wasLost = isLost(transaction)
    this.#doom(this.#table.abort(transaction))
    this.#unitOf.delete(transaction)
    unit.transaction = null
    if (wasLost) this.#fail(unit, conflict(this.#options.csi))
    return !wasLost
  }

  #keptReply(unit: Unit, reply: { rc: number; payload: Uint8Array }): CachedReply | null {
    const { key } = unit
    if (key === null || !key.atMostOnce) return null
    // "Try again" is an invitation to run it: such an answer is not kept.
    if (reply.rc === rcOfCode('TRY_AGAIN')) return null
    const leftMs = Math.max(0, Math.ceil(key.deadlineMs - this.#options.clock()))
    return {
      caller: key.caller,
      messageId: key.messageId,
      functionNumber: key.functionNumber,
      rc: reply.rc,
      payload: reply.payload,
      keepMs: leftMs + CHECKPOINT_LIMITS.keepMarginMs,
    }
  }

  #finish(unit: Unit): void {
    const { transaction } = unit
    if (transaction !== null && isLost(transaction)) {
      this.#undo(unit)
      return
    }
    unit.phase = 'finishing'
    this.#startTimer()
    if (transaction === null) {
      this.#commit([this.#item(unit, [])])
      return
    }
    for (const group of this.#table.finish(transaction)) {
      this.#commit(group.flatMap((changes) => this.#itemOf(changes)))
    }
  }

  #itemOf(changes: FinalChanges): CommitItem<Unit>[] {
    const unit = this.#unitOf.get(changes.transaction)
    this.#unitOf.delete(changes.transaction)
    return unit === undefined ? [] : [this.#item(unit, changes.writes)]
  }

  #item(unit: Unit, writes: CheckpointRecord['writes']): CommitItem<Unit> {
    const isRead = writes.length === 0 && (unit.reply === null || unit.key?.staleReads === true)
    if (isRead) return { record: null, token: unit }
    const record = {
      writes,
      reply: unit.reply,
      acknowledged: this.#pending.takeAcknowledged(),
      expired: this.#expireReplies(),
    }
    return { record, token: unit }
  }

  #commit(group: readonly CommitItem<Unit>[]): void {
    const [only] = group
    if (only === undefined) return
    if (group.length === 1 && only.record === null && only.token.key?.staleReads === true) {
      // Nothing changed and nobody wants the role confirmed; but what it saw must be committed before it is told.
      if (this.#queue.isIdle) {
        this.#through(only)
        return
      }
    }
    this.#queue.add(group)
    this.#scheduleFlush()
  }

  #expireReplies(): [string, number][] {
    const nowMs = this.#options.clock()
    const isDue = nowMs - this.#expiredAtMs >= 1_000
    if (!isDue || this.#replies.count === 0) return []
    this.#expiredAtMs = nowMs
    return this.#replies.expired(nowMs, 1_024)
  }

  #scheduleFlush(): void {
    if (this.#isFlushScheduled) return
    this.#isFlushScheduled = true
    process.nextTick(() => {
      this.#isFlushScheduled = false
      this.#flush()
    })
  }

  #flush(): void {
    const nowMs = this.#options.clock()
    for (let next = this.#queue.next(nowMs); next !== undefined; next = this.#queue.next(nowMs)) {
      this.#send(next)
    }
  }

  #send(outgoing: OutgoingBatch<Unit>): void {
    const { attempt } = outgoing
    this.#options.send(outgoing.batch).then(
      () => {
        for (const each of this.#queue.acknowledged(outgoing, attempt)) this.#acknowledged(each)
        this.#flush()
      },
      (error: unknown) => this.#refused(outgoing, attempt, error),
    )
  }

  #acknowledged(outgoing: OutgoingBatch<Unit>): void {
    const nowMs = this.#options.clock()
    this.#isConfirmed = true
    for (const item of outgoing.items) {
      if (item.record !== null) {
        this.#sequence++
        this.#table.confirm(item.record.writes)
        this.#replies.apply(item.record, nowMs)
      }
      this.#through(item)
    }
  }

  #through(item: CommitItem<Unit>): void {
    const unit = item.token
    this.#end(unit)
    unit.resolve({ epoch: this.#epoch })
  }

  #refused(outgoing: OutgoingBatch<Unit>, attempt: number, error: unknown): void {
    const code = isSdkError(error) ? error.code : 'UNSPECIFIED'
    if (code === 'STALE_EPOCH') {
      this.#fence(error as SdkError)
      return
    }
    const isOldest = this.#queue.failed(outgoing, attempt, this.#options.clock())
    const isHealable = !HOPELESS.has(code)
    if (isOldest && !isHealable && this.#queue.failures > CHECKPOINT_LIMITS.refusalCountMax) {
      this.#fence(
        new SdkError(
          'STALE_EPOCH',
          `checkpoint ${this.#options.csi}: the replica refuses to go on`,
          {
            cause: error,
            context: { csi: this.#options.csi, code },
          },
        ),
      )
      return
    }
    this.#startTimer()
  }

  /** A refused commit: whatever this process says from now on would be wrong. */
  #fence(error: SdkError): void {
    this.#options.log.error({ err: error, csi: this.#options.csi }, 'the ACTIVE role is gone')
    this.#role = null
    this.#failAll(
      () => new SdkError('STALE_EPOCH', error.message, { cause: error, mayHaveRun: true }),
    )
    this.#options.onFenced(error)
  }

  #giveUp(unit: Unit): void {
    this.#end(unit)
    if (unit.transaction !== null) this.#doom(this.#table.abort(unit.transaction))
  }

  /** Calls that saw writes which are taken back: those that finished fail now, the others when they finish. */
  #doom(transactions: readonly Transaction[]): void {
    for (const transaction of transactions) {
      const unit = this.#unitOf.get(transaction)
      if (unit?.phase === 'finishing') this.#fail(unit, conflict(this.#options.csi))
    }
  }

  #fail(unit: Unit, error: SdkError): void {
    if (unit.phase === 'ended') return
    this.#end(unit)
    unit.reject(error)
  }

  #failAll(error: () => SdkError): void {
    this.#queue.takeAll()
    for (const unit of [...this.#units]) {
      const wasRunning = unit.phase === 'running'
      if (unit.transaction !== null) this.#table.abort(unit.transaction)
      this.#end(unit)
      if (!wasRunning) unit.reject(error())
    }
  }

  #end(unit: Unit): void {
    if (unit.phase === 'ended') return
    unit.phase = 'ended'
    this.#units.delete(unit)
    if (unit.transaction !== null) this.#unitOf.delete(unit.transaction)
    if (unit.key?.atMostOnce === true) this.#pending.remove(unit.key)
    if (this.#units.size > 0) return
    for (const resolve of this.#drainWaiters.splice(0)) resolve()
  }

  async #drainedWithin(timeoutMs: number): Promise<boolean> {
    let timer: NodeJS.Timeout | undefined
    const late = new Promise<false>((resolve) => {
      timer = setTimeout(resolve, timeoutMs, false)
    })
    const isDrained = await Promise.race([this.drained().then(() => true as const), late])
    clearTimeout(timer)
    return isDrained
  }

  /** Deadlines and retries are looked after in one sweep; it stops when nothing waits. */
  #startTimer(): void {
    if (this.#stopTimer !== null) return
    const every = this.#options.every ?? everyMs
    this.#stopTimer = every(SWEEP_PERIOD_MS, () => this.#sweep())
  }

  #sweep(): void {
    const nowMs = this.#options.clock()
    for (const unit of this.#units) {
      if (unit.phase !== 'finishing' || unit.deadlineMs > nowMs) continue
      this.#late(unit)
    }
    this.#flush()
    if (!this.#queue.isIdle || this.#units.size > 0) return
    this.#stopTimer?.()
    this.#stopTimer = null
  }

  /** Its record may be committed later: the key stays taken until then, only the wait ends. */
  #late(unit: Unit): void {
    unit.deadlineMs = Infinity
    unit.reject(
      new SdkError(
        'TIMEOUT',
        `checkpoint ${this.#options.csi}: no commit before the deadline of the call; it may be committed later`,
      ),
    )
  }

  #tellUpdate(writes: readonly (readonly [string, Uint8Array | null])[]): void {
    const { onUpdate } = this.#options.options
    if (onUpdate === undefined || writes.length === 0) return
    try {
      const sections = new Map<string, unknown>()
      for (const [name, value] of writes) {
        sections.set(name, value === null ? undefined : decodeValue(value))
      }
      onUpdate(sections)
    } catch (error) {
      this.#options.log.error({ err: error, csi: this.#options.csi }, 'onUpdate failed')
    }
  }
}

/** Deadlines and retries are this exact. */
const SWEEP_PERIOD_MS = 10

/** Refusals that another try does not heal. */
const HOPELESS: ReadonlySet<string> = new Set([
  'OUT_OF_SYNC',
  'NO_SPACE',
  'INVALID_PARAMETER',
  'MESSAGE_ERROR',
  'TOO_BIG',
  'LIBRARY',
  'UNSPECIFIED',
  'HANDLER_FAILED',
])

/** What one call, or one write outside any, sees and changes. */
class View implements CheckpointView {
  readonly #csi: string
  readonly #table: TransactionTable
  readonly #transaction: Transaction

  constructor(csi: string, table: TransactionTable, transaction: Transaction) {
    this.#csi = csi
    this.#table = table
    this.#transaction = transaction
  }

  read(section: string): unknown {
    const value = this.#table.read(this.#transaction, section)
    if (value === undefined) throw conflict(this.#csi)
    return value === null ? undefined : decodeValue(value)
  }

  write(section: string, value: unknown): void {
    if (section.length === 0 || section.length > CHECKPOINT_LIMITS.sectionNameLengthMax) {
      throw new SdkError(
        'INVALID_PARAMETER',
        `checkpoint ${this.#csi}: a section id has 1 to ${CHECKPOINT_LIMITS.sectionNameLengthMax} characters, not ${section.length}`,
      )
    }
    this.#put(section, encodeValue(value))
  }

  delete(section: string): void {
    this.#put(section, null)
  }

  #put(section: string, value: Uint8Array | null): void {
    switch (this.#table.write(this.#transaction, section, value)) {
      case 'written':
        return
      case 'noSpace':
        throw new SdkError(
          'NO_SPACE',
          `checkpoint ${this.#csi}: section ${section} does not fit; ${this.#table.sizeBytes} bytes are in use (sizeBytesMax)`,
        )
      case 'conflict':
      case 'doomed':
        throw conflict(this.#csi)
      case 'ended':
        throw new SdkError('INVALID_STATE', `checkpoint ${this.#csi}: the call has ended`)
    }
  }
}

function everyMs(periodMs: number, run: () => void): () => void {
  const timer = setInterval(run, periodMs)
  timer.unref()
  return () => clearInterval(timer)
}

function isLost(transaction: Transaction): boolean {
  return transaction.state.phase === 'doomed' || transaction.state.isInConflict
}

/** Nothing of the call is committed and it may be made again. */
function conflict(csi: string): SdkError {
  return new SdkError(
    'TRY_AGAIN',
    `checkpoint ${csi}: a call that ran at the same time changed what this one had read, or was given up after this ` +
      `one had read its writes; nothing of this call was committed`,
    { mayHaveRun: false },
  )
}

function givenUp(csi: string): SdkError {
  return new SdkError('NOT_ACTIVE', `checkpoint ${csi}: the call was given up`)
}
