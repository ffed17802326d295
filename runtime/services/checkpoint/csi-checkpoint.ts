import type { Logger } from 'pino'
import { decodeValue, SdkError } from '../../../idl/index.ts'
import type { Epoch } from '../../../ioc/index.ts'
import type { Checkpoint, CheckpointOptions } from '../../eo/app.ts'
import type { BeginVerdict, CallKey, CommitGate } from './commit-gate.ts'
import { CHECKPOINT_LIMITS } from './checkpoint-limits.ts'
import { answerOf, givenUp, givenUpAtEnd, lateCommit } from './commit-errors.ts'
import { conflictError, TransactionView } from './checkpoint-view.ts'
import type { CommitItem } from './commit-queue.ts'
import { CommitSender } from './commit-sender.ts'
import type { CheckpointBatch, CheckpointRecord, CheckpointSnapshot } from './interface.ts'
import { KeptReplies } from './kept-replies.ts'
import { newUnit, type CallOf, type CommitUnit } from './commit-unit.ts'
import { TransactionTable, type FinalChanges, type Transaction } from './transaction-table.ts'
import { UnconfirmedReplies } from './unconfirmed-replies.ts'

export type CheckpointRole = 'ACTIVE' | 'STANDBY' | 'QUIESCING' | 'QUIESCED' | null

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

/**
 * The checkpoint of one CSI inside a component: content and kept replies, the views of running calls, and, while the
 * role is held, the way of what they change to the replica. On a standby it follows the pushes.
 */
export class CsiCheckpoint implements Checkpoint, CommitGate {
  readonly #options: CsiCheckpointOptions
  readonly #table: TransactionTable
  readonly #replies: KeptReplies
  readonly #sender: CommitSender<CommitUnit>
  readonly #calls = new WeakMap<CallOf, CommitUnit>()
  readonly #units = new Set<CommitUnit>()
  readonly #unitOf = new Map<Transaction, CommitUnit>()
  #role: CheckpointRole = null
  #epoch: Epoch = 0
  #sequence = 0
  /**
   * What was replicated here by a former active may not be on every replica yet: before the first commit under this
   * grant is through, none of the replies kept from before may leave. null: it is through.
   */
  #unconfirmed: UnconfirmedReplies | null = null
  #roleChanges = 0
  #stopTimer: (() => void) | null = null
  #drainWaiters: (() => void)[] = []

  constructor(options: CsiCheckpointOptions) {
    this.#options = options
    this.#replies = new KeptReplies(options.csi, options.options)
    this.#table = new TransactionTable(
      options.options.sizeBytesMax ?? CHECKPOINT_LIMITS.sizeBytesMax,
    )
    this.#sender = new CommitSender({
      csi: options.csi,
      clock: options.clock,
      send: options.send,
      onCommitted: (items) => this.#committed(items),
      onFenced: (error) => this.#fence(error),
      onWaiting: () => this.#startTimer(),
    })
  }

  // ---- Checkpoint: what the application uses

  in(call: CallOf): TransactionView {
    const unit = this.#calls.get(call)
    if (unit === undefined || unit.phase !== 'running') {
      throw new SdkError(
        'INVALID_STATE',
        `checkpoint ${this.#options.csi}: the call ${call.caller}/${call.messageId} has ended, or is ` +
          `of a function that was installed without { csi: '${this.#options.csi}' }`,
      )
    }
    unit.view ??= new TransactionView(this.#options.csi, this.#table, this.#begin(unit))
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
      const unit = newUnit(null, deadlineMs)
      unit.resolve = () => resolve()
      unit.reject = reject
      this.#units.add(unit)
      try {
        new TransactionView(this.#options.csi, this.#table, this.#begin(unit)).write(section, value)
        this.#finish(unit)
      } catch (error) {
        this.#giveUp(unit)
        throw error
      }
    })
  }

  // ---- CommitGate: what the EO uses

  begin(call: CallOf, key: CallKey): BeginVerdict {
    this.#assertActive()
    if (key.atMostOnce) {
      const admittance = this.#replies.admit(key)
      switch (admittance.kind) {
        case 'run':
          break
        case 'inProgress':
          return 'inProgress'
        case 'done':
          return this.#unconfirmed?.tell(admittance.reply) ?? admittance.reply
        case 'full':
          throw this.#noRoom(admittance)
      }
    }
    const unit = newUnit(key, key.deadlineMs)
    this.#calls.set(call, unit)
    this.#units.add(unit)
    return 'run'
  }

  finish(
    call: CallOf,
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
      const { key } = unit
      const refusal = key === null ? undefined : this.#replies.refusalOf(key, reply)
      // The call has run: asked again, it gets the same answer.
      if (refusal !== undefined) unit.resolve = () => reject(refusal)
      const answer = refusal === undefined ? reply : answerOf(refusal)
      if (answer.rc !== 0 && !this.#undo(unit)) return
      if (key !== null) unit.reply = this.#replies.replyOf(key, answer, this.#options.clock())
      this.#finish(unit)
    })
  }

  abort(call: CallOf): void {
    const unit = this.#calls.get(call)
    if (unit?.phase === 'running') this.#giveUp(unit)
  }

  // ---- the service's side

  /**
   * Changes the role. Leaving ACTIVE waits for what is under way, and gives up what does not end in time.
   * @returns false when something was given up whose fate is unknown: the content has to be fetched again.
   */
  async roleChanged(role: CheckpointRole, epoch: Epoch): Promise<boolean> {
    const change = ++this.#roleChanges
    if (role === 'ACTIVE') {
      this.#becomeActive(epoch)
      return true
    }
    const wasActive = this.#isWriter()
    this.#role = wasActive ? 'QUIESCING' : role
    if (!wasActive || role === 'QUIESCING') return true
    const isDrained = await inTime(this.drained(), CHECKPOINT_LIMITS.drainTimeoutMs)
    if (change !== this.#roleChanges) return true
    if (!isDrained) {
      const message = `checkpoint ${this.#options.csi}: the role was given up meanwhile`
      this.#failAll(() => new SdkError('TIMEOUT', message))
    }
    this.#role = role
    return isDrained
  }

  /** Resolves when no call runs and nothing waits for a commit. */
  drained(): Promise<void> {
    if (this.#units.size === 0) return Promise.resolve()
    return new Promise((resolve) => this.#drainWaiters.push(resolve))
  }

  /** A caller holds every reply below an id. When no other record says so soon, one of its own does. */
  acknowledged(caller: string, below: number): void {
    if (this.#role === 'ACTIVE' && this.#replies.acknowledged(caller, below)) this.#startTimer()
  }

  /** Forgets everything and takes this content. */
  replace(snapshot: CheckpointSnapshot): void {
    if (this.#isWriter()) {
      const message = `checkpoint ${this.#options.csi}: another content replaced that of the active`
      this.#fence(new SdkError('STALE_EPOCH', message))
      return
    }
    this.#table.replace(snapshot.sections)
    this.#replies.replace(snapshot, this.#options.clock())
    this.#sequence = snapshot.sequence
    this.#tellUpdate(snapshot.sections)
  }

  /** The next batch of the active, as the own node's replica applied it. */
  replicate(batch: CheckpointBatch): void {
    if (this.#isWriter()) {
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
    this.#failAll((unit) => givenUpAtEnd(this.#options.csi, unit))
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

  #isWriter(): boolean {
    return this.#role === 'ACTIVE' || this.#role === 'QUIESCING'
  }

  #becomeActive(epoch: Epoch): void {
    const isSameGrant = this.#isWriter() && this.#epoch === epoch
    this.#role = 'ACTIVE'
    if (isSameGrant) return
    if (!this.#sender.isIdle) {
      // Granted again while commits of the former grant are on their way: nobody knows their fate.
      const message = `epoch ${epoch} came while commits of ${this.#epoch} were under way`
      this.#fence(new SdkError('STALE_EPOCH', message))
      return
    }
    this.#epoch = epoch
    this.#sender.start(epoch, this.#sequence)
    if (this.#sequence === 0) return
    this.#unconfirmed = new UnconfirmedReplies()
    this.#commitAlone(null)
  }

  /** What may go by age goes now, with a record of its own: there may be no other for long. */
  #noRoom({ count, sizeBytes }: { readonly count: number; readonly sizeBytes: number }): SdkError {
    const expired = this.#replies.takeExpired(this.#options.clock())
    if (expired.length > 0) {
      this.#commitAlone({ writes: [], reply: null, acknowledged: [], expired })
    }
    return new SdkError(
      'TRY_AGAIN',
      `checkpoint ${this.#options.csi}: ${count} replies (${sizeBytes} bytes) are kept and none ` +
        'may go yet; raise replyCountMax, or have callers make further calls, which acknowledge',
    )
  }

  /** Commits something that no call waits for. */
  #commitAlone(record: CheckpointRecord | null): void {
    const unit = newUnit(null, Infinity)
    unit.phase = 'finishing'
    this.#units.add(unit)
    this.#commit([{ record, token: unit }])
  }

  #begin(unit: CommitUnit): Transaction {
    const transaction = this.#table.begin()
    unit.transaction = transaction
    this.#unitOf.set(transaction, unit)
    return transaction
  }

  /**
   * Drops what the call wrote, with everything that saw it. Its answer may be made of what others wrote, so it still
   * waits for their commits. @returns false when it was given up itself.
   */
  #undo(unit: CommitUnit): boolean {
    const { transaction } = unit
    if (transaction === null) return true
    if (!isLost(transaction)) this.#doom(this.#table.withdraw(transaction))
    if (!isLost(transaction)) return true
    this.#giveUp(unit)
    unit.reject(conflictError(this.#options.csi))
    return false
  }

  #finish(unit: CommitUnit): void {
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

  #itemOf(changes: FinalChanges): CommitItem<CommitUnit>[] {
    const unit = this.#unitOf.get(changes.transaction)
    this.#unitOf.delete(changes.transaction)
    return unit === undefined ? [] : [this.#item(unit, changes.writes)]
  }

  #item(unit: CommitUnit, writes: CheckpointRecord['writes']): CommitItem<CommitUnit> {
    const isRead = writes.length === 0 && (unit.reply === null || unit.key?.staleReads === true)
    if (isRead) return { record: null, token: unit }
    const news = this.#replies.takeNews(this.#options.clock())
    return { record: { writes, reply: unit.reply, ...news }, token: unit }
  }

  #commit(group: readonly CommitItem<CommitUnit>[]): void {
    const [only] = group
    if (only === undefined) return
    for (const { token } of group) token.phase = 'committing'
    if (group.length === 1 && only.record === null && only.token.key?.staleReads === true) {
      // Nothing changed and nobody wants the role confirmed; but what it saw must be committed before it is told.
      if (this.#sender.isIdle) {
        this.#through(only)
        return
      }
    }
    this.#sender.add(group)
  }

  #committed(items: readonly CommitItem<CommitUnit>[]): void {
    const nowMs = this.#options.clock()
    this.#unconfirmed?.confirm()
    this.#unconfirmed = null
    for (const item of items) {
      if (item.record !== null) {
        this.#sequence++
        this.#table.confirm(item.record.writes)
        this.#replies.apply(item.record, nowMs)
      }
      this.#through(item)
    }
  }

  #through(item: CommitItem<CommitUnit>): void {
    const unit = item.token
    this.#end(unit)
    unit.resolve({ epoch: this.#epoch })
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

  #giveUp(unit: CommitUnit): void {
    this.#end(unit)
    if (unit.transaction !== null) this.#doom(this.#table.abort(unit.transaction))
  }

  /** Calls that saw writes which are taken back: those that finished fail now, the others when they finish. */
  #doom(transactions: readonly Transaction[]): void {
    for (const transaction of transactions) {
      const unit = this.#unitOf.get(transaction)
      if (unit?.phase === 'finishing') this.#fail(unit, conflictError(this.#options.csi))
    }
  }

  #fail(unit: CommitUnit, error: SdkError): void {
    if (unit.phase === 'ended') return
    this.#end(unit)
    unit.reject(error)
  }

  #failAll(error: (unit: CommitUnit) => SdkError): void {
    this.#sender.drop()
    this.#unconfirmed?.refuse(givenUp(this.#options.csi))
    this.#unconfirmed = null
    for (const unit of [...this.#units]) {
      const wasRunning = unit.phase === 'running'
      const reason = error(unit)
      if (unit.transaction !== null) this.#table.abort(unit.transaction)
      this.#end(unit)
      if (!wasRunning) unit.reject(reason)
    }
  }

  #end(unit: CommitUnit): void {
    if (unit.phase === 'ended') return
    unit.phase = 'ended'
    this.#units.delete(unit)
    if (unit.transaction !== null) this.#unitOf.delete(unit.transaction)
    if (unit.key?.atMostOnce === true) this.#replies.end(unit.key, unit.reply)
    if (this.#units.size > 0) return
    for (const resolve of this.#drainWaiters.splice(0)) resolve()
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
      if (unit.phase === 'running' || unit.deadlineMs > nowMs) continue
      this.#late(unit)
    }
    if (this.#sender.isIdle && this.#role === 'ACTIVE' && this.#replies.hasNews) {
      this.#commitAlone({ writes: [], reply: null, ...this.#replies.takeNews(nowMs) })
    }
    this.#sender.flush()
    if (!this.#sender.isIdle || this.#units.size > 0) return
    this.#stopTimer?.()
    this.#stopTimer = null
  }

  /** Its record may be committed later: the key stays taken until then, only the wait ends. */
  #late(unit: CommitUnit): void {
    unit.deadlineMs = Infinity
    unit.reject(lateCommit(this.#options.csi))
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

function everyMs(periodMs: number, run: () => void): () => void {
  const timer = setInterval(run, periodMs)
  timer.unref()
  return () => clearInterval(timer)
}

function isLost(transaction: Transaction): boolean {
  return transaction.state.phase === 'doomed' || transaction.state.isInConflict
}

async function inTime(promise: Promise<void>, timeoutMs: number): Promise<boolean> {
  let timer: NodeJS.Timeout | undefined
  const late = new Promise<false>((resolve) => {
    timer = setTimeout(resolve, timeoutMs, false)
  })
  const isInTime = await Promise.race([promise.then(() => true as const), late])
  clearTimeout(timer)
  return isInTime
}
