import type { Agents } from './agents.ts'
import { TRANSACTION_LIMITS, type TransactionFailure, type TransactionReport } from './interface.ts'
import type { Participant, Transaction, TransactionOperation, Unit } from './operations.ts'
import { advance, isOver, isUndecided, participantsOf, rollBack, tasksOf } from './unit.ts'

const MESSAGE_LENGTH_MAX = 200
/** What has a time: to decide, then to follow the decision. */
export type Half = Extract<TransactionOperation, { kind: 'expire' }>['half']

/** From the first to the last: a transaction is in the least advanced state of its units. */
const ADVANCE: readonly Unit['phase'][] = [
  'RESTORED',
  'PREPARING',
  'PREPARED',
  'COMMITTING',
  'ROLLING_BACK',
]

/** How it stands. Units that ended differently have no common state: UNKNOWN. */
export function reportOf({ id, units, failures }: Transaction): TransactionReport {
  const phases = new Set(units.map(({ phase }) => phase))
  const open = ADVANCE.find((phase) => phases.has(phase))
  const [only = 'COMMITTED'] = phases
  const state = open ?? (phases.size > 1 ? 'UNKNOWN' : only)
  const jobs = units.flatMap((unit) => unit.jobs.map(({ job }) => ({ job, state: unit.phase })))
  return { id, state, jobs, failures: [...failures] }
}

export function isEnded({ units }: Transaction): boolean {
  return units.every(isOver)
}

/** What its time runs for; null: it waits for others, without limit. */
export function halfOf({ units }: Transaction): Half | null {
  const open = units.filter(({ phase }) => phase !== 'RESTORED').filter((unit) => !isOver(unit))
  if (open.length === 0) return null
  return open.some(isUndecided) ? 'decide' : 'finish'
}

/** Nothing is left of it but telling agents to roll back who are not there. */
export function absentOnly({ units }: Transaction, agents: Agents): boolean {
  return units.every((unit) => {
    if (unit.phase !== 'ROLLING_BACK') return isOver(unit)
    return tasksOf(unit).every(({ participant }) => agents.get(participant.agent) === undefined)
  })
}

export function involves({ units }: Transaction, agent: string): boolean {
  return units.some((unit) => participantsOf(unit).some((one) => one.agent === agent))
}

export function participantOf(
  transaction: Transaction | undefined,
  job: number,
  agent: string,
): { readonly unit: Unit; readonly participant: Participant } | null {
  for (const unit of transaction?.units ?? []) {
    for (const one of unit.jobs) {
      if (one.job !== job) continue
      const participant = one.participants.find((each) => each.agent === agent)
      if (participant !== undefined) return { unit, participant }
    }
  }
  return null
}

/** Notes who failed. */
export function fail({ failures }: Transaction, failure: TransactionFailure): void {
  if (failures.length >= TRANSACTION_LIMITS.failureCount) return
  failures.push({ ...failure, message: failure.message.slice(0, MESSAGE_LENGTH_MAX) })
}

/**
 * The EO of an agent is gone, and what it had prepared perhaps too. Before the decision that is a no; with the option
 * to restart it is waited for, and prepares again. After the decision it will be told when it is there again.
 * @returns true when a unit took another way.
 */
export function loseAgent(transaction: Transaction, agent: string): boolean {
  const isAwaited = transaction.options.restartOnResourceUnavailability
  let isTurn = false
  for (const unit of transaction.units.filter(({ phase }) => phase === 'PREPARING')) {
    for (const { job, participants } of unit.jobs) {
      for (const participant of participants) {
        if (participant.agent !== agent || participant.step === 'IGNORED') continue
        if (isAwaited) {
          participant.step = 'PENDING'
          continue
        }
        const message = 'its agent is gone'
        fail(transaction, { job, agent, phase: 'prepare', code: 'COMP_UNREACHABLE', message })
        rollBack(unit)
        isTurn = true
      }
    }
  }
  return isTurn
}

/** Its time is over: for the decision, or for those that are still to follow it. */
export function expire(transaction: Transaction, unit: Unit, half: Half): void {
  const isDeciding = isUndecided(unit)
  if (isDeciding !== (half === 'decide') || unit.phase === 'RESTORED') return
  const { restartOnResourceUnavailability, timeoutMs } = transaction.options
  // It is waited for as long as it takes.
  if (unit.phase === 'COMMITTING' && restartOnResourceUnavailability) return
  for (const { job, participant, phase } of tasksOf(unit)) {
    const of = { job: job.job, agent: participant.agent, phase }
    if (phase === 'prepare') {
      fail(transaction, { ...of, code: 'TIMEOUT', message: `no answer within ${timeoutMs} ms` })
    } else {
      // After it nobody knows what it did: the others go on without it.
      const message = `not done within ${timeoutMs} ms: it is asked no more`
      fail(transaction, { ...of, code: 'AGENT_FAILED_VOID', message })
      participant.step = 'VOID'
    }
  }
  if (isDeciding) rollBack(unit)
  else advance(unit)
}
