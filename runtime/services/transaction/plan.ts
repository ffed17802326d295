import { SdkError } from '../../../idl/index.ts'
import { type Agents, referenceText, serviceOf } from './agents.ts'
import type { JobDefinition } from './interface.ts'
import type { Job, Participant, Transaction, TransactionOperation, Unit } from './operations.ts'

type Begin = Extract<TransactionOperation, { kind: 'begin' }>

/**
 * The units of a new transaction, its participants by the names of their agents.
 * @throws SdkError NO_JOBS, NO_COMPONENTS, NO_REGD_SERVICE, INVALID_CMP_CAPABILITY; INVALID_PARAMETER for
 * what is named twice.
 */
export function planOf({ jobs, options }: Begin, agents: Agents): Transaction['units'] {
  if (jobs.length === 0) {
    throw new SdkError('NO_JOBS', 'the transaction has no jobs: add one before the start')
  }
  checkOnce(
    'job',
    jobs.map(({ job }) => job),
  )
  const planned = jobs.map((job) => planJob(job, agents, options.ignoreNoServiceRegisteredAgent))
  if (options.atomicity === 'TRANSACTION') return [unitOf(planned)]
  return planned.map((job) => unitOf([job]))
}

function unitOf(jobs: Job[]): Unit {
  return { phase: 'PREPARING', wasPrepared: false, jobs }
}

function planJob(
  { job, service, definition, participants }: JobDefinition,
  agents: Agents,
  isMissingIgnored: boolean,
): Job {
  if (participants.length === 0) {
    const message = `job ${job} has no components: set one before the start`
    throw new SdkError('NO_COMPONENTS', message)
  }
  const planned = participants.map(({ agent: reference, participation }): Participant => {
    const agent = agents.find(reference)
    const found = serviceOf(agent, service)
    const name = agent?.agent ?? referenceText(reference)
    if (found === null) {
      if (isMissingIgnored) return { agent: name, participation, step: 'IGNORED' }
      const message = `job ${job}: ${name} has no agent with a service for type ${service}`
      throw new SdkError('NO_REGD_SERVICE', message)
    }
    if (participation !== 'ONE_PHASE' && !found.isTwoPhase) {
      const message = `job ${job}: the service of ${name} for type ${service} cannot prepare`
      throw new SdkError('INVALID_CMP_CAPABILITY', message)
    }
    return { agent: name, participation, step: 'PENDING' }
  })
  checkOnce(
    `job ${job}: component`,
    planned.map(({ agent }) => agent),
  )
  return { job, service, definition, participants: planned }
}

function checkOnce(what: string, names: readonly (string | number)[]): void {
  const twice = names.find((name, index) => names.indexOf(name) !== index)
  if (twice === undefined) return
  throw new SdkError('INVALID_PARAMETER', `${what} ${twice} is there twice: name it once`)
}
