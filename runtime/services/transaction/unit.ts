import type { TransactionPhase } from './interface.ts'
import type { Job, Participant, Unit } from './operations.ts'

/**
 * The protocol for one unit of work that is all or nothing. A core. SAFplus, section 17.
 *
 * PREPARING, until everybody who can has said yes; PREPARED, while the first one-phase participant decides (left out
 * without one); COMMITTING; COMMITTED. One no leads to ROLLING_BACK and ROLLED_BACK. RESTORED: not decided as far as
 * this is known, and others are still to be heard.
 *
 * I1 COMMITTING and ROLLING_BACK are decisions: neither ever turns into the other.
 */

/** What is to be asked of a participant now; null: nothing. */
export function wantedOf(unit: Unit, participant: Participant): TransactionPhase | null {
  const { participation, step } = participant
  if (step !== 'PENDING' && step !== 'PREPARED') return null
  switch (unit.phase) {
    case 'PREPARING':
      return participation !== 'ONE_PHASE' && step === 'PENDING' ? 'prepare' : null
    case 'PREPARED':
      return participant === deciderOf(unit) ? 'commit' : null
    case 'COMMITTING':
      return participation === 'VERIFY' ? null : 'commit'
    case 'ROLLING_BACK':
      // A one-phase participant has done nothing before the decision, one that verifies nothing at all.
      return participation === 'TWO_PHASE' ? 'rollback' : null
    default:
      return null
  }
}

/** Everything that is to be asked now. */
export function tasksOf(
  unit: Unit,
): { readonly job: Job; readonly participant: Participant; readonly phase: TransactionPhase }[] {
  return unit.jobs.flatMap((job) =>
    job.participants.flatMap((participant) => {
      const phase = wantedOf(unit, participant)
      return phase === null ? [] : [{ job, participant, phase }]
    }),
  )
}

/** Goes on as far as the answers allow. */
export function advance(unit: Unit): void {
  if (tasksOf(unit).length > 0) return
  const next = nextPhase(unit)
  if (next === null) return
  unit.phase = next
  advance(unit)
}

function nextPhase(unit: Unit): Unit['phase'] | null {
  switch (unit.phase) {
    case 'PREPARING':
      return deciderOf(unit) === undefined ? 'COMMITTING' : 'PREPARED'
    case 'COMMITTING':
      return 'COMMITTED'
    case 'ROLLING_BACK':
      return 'ROLLED_BACK'
    default:
      return null
  }
}

/** Decides against it. Nothing happens to what is decided already. */
export function rollBack(unit: Unit): void {
  if (!isUndecided(unit)) return
  unit.phase = 'ROLLING_BACK'
  advance(unit)
}

/** A participant has done what was wanted of it. */
export function succeeded(unit: Unit, participant: Participant, phase: TransactionPhase): void {
  if (phase === 'prepare') participant.step = 'PREPARED'
  else if (phase === 'rollback') participant.step = 'ROLLED_BACK'
  else {
    participant.step = 'COMMITTED'
    // The yes of the first one-phase participant is the decision.
    if (unit.phase === 'PREPARED') unit.phase = 'COMMITTING'
  }
  advance(unit)
}

export function isUndecided({ phase }: Unit): boolean {
  return phase === 'PREPARING' || phase === 'PREPARED' || phase === 'RESTORED'
}

export function isOver({ phase }: Unit): boolean {
  return phase === 'COMMITTED' || phase === 'ROLLED_BACK'
}

export function participantsOf(unit: Unit): Participant[] {
  return unit.jobs.flatMap(({ participants }) => participants)
}

function deciderOf(unit: Unit): Participant | undefined {
  return participantsOf(unit).find(
    ({ participation, step }) => participation === 'ONE_PHASE' && step === 'PENDING',
  )
}
