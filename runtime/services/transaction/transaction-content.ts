import { SdkError } from '../../../idl/index.ts'
import { Agents } from './agents.ts'
import { EndedTransactions } from './ended-transactions.ts'
import { TRANSACTION_LIMITS, type JobOfAgent, type TransactionReport } from './interface.ts'
import type { TransactionPhase } from './interface.ts'
import type { Transaction, TransactionOperation, TransactionsSnapshot } from './operations.ts'
import { planOf } from './plan.ts'
import {
  absentOnly,
  expire,
  fail,
  halfOf,
  involves,
  isEnded,
  loseAgent,
  participantOf,
  reportOf,
} from './progress.ts'
import { Restoring } from './restoring.ts'
import { advance, rollBack, succeeded, tasksOf, wantedOf } from './unit.ts'

type Operation<K extends TransactionOperation['kind']> = Extract<TransactionOperation, { kind: K }>

/** What followed from operations. */
export interface TransactionEffects {
  /** Transactions of which something changed; true: what a node must not forget. */
  readonly changed: ReadonlyMap<string, boolean>
  readonly ended: readonly { readonly transaction: Transaction; readonly isKept: boolean }[]
  /** Ends that are kept no longer, and up to where such ones began. */
  readonly forgotten: { readonly ids: readonly string[]; readonly upTo: number }
}

/** Something that an agent is to do now. */
export interface TransactionTask extends JobOfAgent {
  readonly phase: TransactionPhase
  readonly eo: string
  readonly timeoutMs: number
}

/** Where an operation stands in the order, and who put it there. */
export interface OperationPlace {
  readonly revision: number
  readonly life: string
}

/**
 * All agents, and all transactions under way: a core, the same on every node. What agents answer are operations too, so
 * the decision follows from the order alone: there is no coordinator that could end. SAFplus, section 17.
 *
 * I1 An operation that throws has changed nothing.
 * I2 An agent is asked to commit or to roll back only after the decision stands in the order.
 * I3 An answer counts while the very same thing is wanted of the very same EO; else it changes nothing.
 */
export class TransactionContent {
  readonly agents = new Agents()
  readonly #open = new Map<string, Transaction>()
  readonly #ended = new EndedTransactions()
  readonly #restoring = new Restoring()
  #incarnation: string | null = null
  #members: number[] = []
  #openBytes = 0
  #changed = new Map<string, boolean>()
  #over: { transaction: Transaction; isKept: boolean }[] = []

  /** One life of the whole: who has been in it knows better than logs that come from it. */
  get incarnation(): string | null {
    return this.#incarnation
  }

  /** What followed since it was last asked. */
  takeEffects(): TransactionEffects {
    const effects = {
      changed: this.#changed,
      ended: this.#over,
      forgotten: this.#ended.takeForgotten(),
    }
    this.#changed = new Map()
    this.#over = []
    return effects
  }

  /** @throws SdkError */
  apply(operation: TransactionOperation, { revision, life }: OperationPlace): void {
    this.#incarnation ??= life
    switch (operation.kind) {
      case 'begin':
        return this.#begin(operation, revision)
      case 'cancel':
        return this.#cancel(operation.id)
      case 'done':
        return this.#done(operation)
      case 'expire':
        return this.#expire(operation)
      case 'register':
        if (this.agents.register(operation)) this.#lost([operation.agent])
        return this.#touch([operation.agent])
      case 'unregister': {
        const { agent, eo, service } = operation
        if (this.agents.unregister(agent, eo, service)) this.#lost([agent])
        return
      }
      case 'ended':
        return this.#lost(this.agents.drop(({ eo }) => eo === operation.eo))
      case 'recovered':
        return this.#recovered(operation)
      case 'reported':
        return this.#reported(operation)
    }
  }

  /** Who is there from now on: the agents of others are gone. */
  viewChanged(nodes: readonly number[], lives: ReadonlySet<string>): void {
    this.#members = [...nodes]
    this.#lost(this.agents.drop(({ life }) => !lives.has(life)))
    for (const transaction of this.#open.values()) {
      const { witnesses } = transaction
      const fresh = nodes.filter((node) => !witnesses.includes(node))
      // Whoever is there while it is open may decide it.
      if (fresh.length === 0 || halfOf(transaction) !== 'decide') continue
      witnesses.push(...fresh)
      this.#change(transaction, true)
    }
  }

  ids(): string[] {
    return [...this.#open.keys()]
  }

  open(id: string): Transaction | undefined {
    return this.#open.get(id)
  }

  /** @throws SdkError NOT_EXIST. */
  report(id: string): TransactionReport {
    const transaction = this.#open.get(id)
    const report = transaction === undefined ? this.#ended.report(id) : reportOf(transaction)
    if (report !== undefined) return report
    throw new SdkError('NOT_EXIST', `no transaction ${id} is known`)
  }

  /** It ended; or it is rolled back wherever somebody listens. */
  isSettled(id: string): boolean {
    const transaction = this.#open.get(id)
    return transaction === undefined || absentOnly(transaction, this.agents)
  }

  /** What agents of one node process are to do for it now, in the order of its jobs. */
  tasks(id: string, life: string): TransactionTask[] {
    const transaction = this.#open.get(id)
    if (transaction === undefined) return []
    const { jobTimeoutMs } = transaction.options
    return transaction.units.flatMap((unit) =>
      tasksOf(unit).flatMap(({ job, participant, phase }) => {
        const agent = this.agents.get(participant.agent)
        if (agent?.life !== life) return []
        const { job: number, service, definition } = job
        const of = { transaction: id, agent: agent.agent, job: number, service, definition }
        return [{ ...of, phase, eo: agent.eo, timeoutMs: jobTimeoutMs }]
      }),
    )
  }

  /** Still to be done, by the same EO. */
  isWanted(task: Pick<TransactionTask, 'transaction' | 'job' | 'agent' | 'phase' | 'eo'>): boolean {
    const { transaction: id, job, agent, phase, eo } = task
    const found = participantOf(this.#open.get(id), job, agent)
    if (found === null || this.agents.get(agent)?.eo !== eo) return false
    return wantedOf(found.unit, found.participant) === phase
  }

  /** A no to commit counts: it is the first one-phase participant that is asked. */
  isDeciding({ transaction: id, job, agent }: TransactionTask): boolean {
    return participantOf(this.#open.get(id), job, agent)?.unit.phase === 'PREPARED'
  }

  snapshot(): TransactionsSnapshot {
    return {
      incarnation: this.#incarnation,
      members: this.#members,
      reported: this.#restoring.snapshot(),
      agents: this.agents.snapshot(),
      open: [...this.#open.values()],
      ...this.#ended.snapshot(),
    }
  }

  /** Replaces everything: all that is open has changed. */
  restore(snapshot: TransactionsSnapshot): void {
    this.#incarnation = snapshot.incarnation
    this.#members = snapshot.members
    this.#restoring.restore(snapshot.reported)
    this.agents.restore(snapshot.agents)
    this.#ended.restore(snapshot)
    this.#open.clear()
    this.#openBytes = 0
    this.#changed = new Map()
    for (const transaction of snapshot.open) this.#add(transaction)
  }

  #begin(operation: Operation<'begin'>, revision: number): void {
    const { id, options } = operation
    // Submitted again: it stands already.
    if (this.#open.has(id) || this.#ended.report(id) !== undefined) return
    const units = planOf(operation, this.agents)
    const transaction: Transaction = {
      id,
      begun: revision,
      options,
      units,
      failures: [],
      witnesses: [...this.#members],
      knownBy: [],
    }
    const { openCount, openBytes } = TRANSACTION_LIMITS
    const isFull = this.#openBytes + sizeOf(transaction) > openBytes
    if (this.#open.size >= openCount || isFull) {
      const message = `${openCount} transactions with ${openBytes} bytes may be under way`
      throw new SdkError('NO_SPACE', message)
    }
    this.#add(transaction)
    for (const unit of units) advance(unit)
    this.#settle(transaction, true)
  }

  #cancel(id: string): void {
    const transaction = this.#open.get(id)
    if (transaction === undefined) {
      const { state } = this.report(id)
      throw new SdkError('INVALID_STATE', `transaction ${id} is ${state}`)
    }
    // While its one-phase participant decides, it is too late.
    const units = transaction.units.filter(({ phase }) => phase === 'PREPARING')
    if (units.length === 0) {
      throw new SdkError('INVALID_STATE', `transaction ${id} is ${reportOf(transaction).state}`)
    }
    for (const unit of units) rollBack(unit)
    this.#settle(transaction, true)
  }

  #done({ id, job, agent, eo, phase, failure }: Operation<'done'>): void {
    const transaction = this.#open.get(id)
    const found = participantOf(transaction, job, agent)
    if (transaction === undefined || found === null) return
    if (!this.isWanted({ transaction: id, job, agent, phase, eo })) return
    const { unit, participant } = found
    const before = unit.phase
    if (failure === null) succeeded(unit, participant, phase)
    else if (phase === 'prepare' || before === 'PREPARED') {
      const isVerified = participant.participation === 'VERIFY' && !failure.mayHaveRun
      const code = isVerified ? 'VALIDATE_FAILED' : failure.code
      fail(transaction, { job, agent, phase, code, message: failure.message })
      // Without an answer it may have prepared: it is told to roll back too.
      if (!failure.mayHaveRun) participant.step = 'REFUSED'
      rollBack(unit)
    }
    this.#settle(transaction, unit.phase !== before)
  }

  #expire({ id, half }: Operation<'expire'>): void {
    const transaction = this.#open.get(id)
    if (transaction === undefined) return
    for (const unit of transaction.units) expire(transaction, unit, half)
    this.#settle(transaction, true)
  }

  #recovered({ node, incarnation, transaction }: Operation<'recovered'>): void {
    const { id } = transaction
    if (incarnation === this.#incarnation || this.#ended.report(id) !== undefined) return
    const known = this.#open.get(id)
    if (known === undefined) this.#add(this.#restoring.take(transaction, node))
    else this.#restoring.merge(known, transaction, node)
    this.#settle(known ?? transaction, true)
    this.#review(id)
  }

  #reported({ node, ended, forgotten }: Operation<'reported'>): void {
    this.#restoring.reported(node, forgotten)
    for (const { id, begun, state } of ended) {
      const open = this.#open.get(id)
      if (open !== undefined && open.units.every(({ phase }) => phase === 'RESTORED')) {
        this.#remove(open, false)
      }
      if (!this.#open.has(id)) this.#ended.add(begun, { id, state, jobs: [], failures: [] })
    }
    for (const id of this.ids()) this.#review(id)
  }

  /** Goes on with what was restored, once everybody has been heard who may know its decision. */
  #review(id: string): void {
    const transaction = this.#open.get(id)
    if (transaction === undefined) return
    const verdict = this.#restoring.verdict(transaction)
    if (verdict === 'ended') return this.#remove(transaction, false)
    if (verdict === 'wait') return
    for (const unit of transaction.units) {
      if (unit.phase !== 'RESTORED') continue
      if (unit.wasPrepared) unit.phase = 'PREPARED'
      else rollBack(unit)
    }
    this.#settle(transaction, true)
  }

  #lost(agents: readonly string[]): void {
    for (const agent of agents) {
      for (const transaction of [...this.#open.values()]) {
        if (!involves(transaction, agent)) continue
        const isTurn = loseAgent(transaction, agent)
        this.#settle(transaction, isTurn)
      }
    }
  }

  #touch(agents: readonly string[]): void {
    for (const transaction of this.#open.values()) {
      if (agents.some((agent) => involves(transaction, agent))) this.#change(transaction, false)
    }
  }

  #settle(transaction: Transaction, isTurn: boolean): void {
    if (isEnded(transaction)) this.#remove(transaction, true)
    else this.#change(transaction, isTurn)
  }

  #change({ id }: Transaction, isTurn: boolean): void {
    this.#changed.set(id, isTurn || this.#changed.get(id) === true)
  }

  #add(transaction: Transaction): void {
    this.#open.set(transaction.id, transaction)
    this.#openBytes += sizeOf(transaction)
    this.#change(transaction, true)
  }

  /** @param isKept - false: how it ended is known elsewhere. */
  #remove(transaction: Transaction, isKept: boolean): void {
    const { id, begun } = transaction
    this.#open.delete(id)
    this.#changed.delete(id)
    this.#openBytes -= sizeOf(transaction)
    this.#over.push({ transaction, isKept })
    if (isKept) this.#ended.add(begun, reportOf(transaction))
  }
}

function sizeOf({ units }: Transaction): number {
  const jobs = units.flatMap((unit) => unit.jobs)
  const { participantBytes } = TRANSACTION_LIMITS
  return jobs.reduce(
    (sum, { definition, participants }) =>
      sum + definition.byteLength + participants.length * participantBytes,
    0,
  )
}
