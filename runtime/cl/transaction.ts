import { CL_CID, CL_OK, type ClRcT, rcText, SdkError } from '../../idl/index.ts'
import type { IocAddress } from '../../ioc/index.ts'
import type { EoIdentity } from '../eo/my-eo.ts'
import type { TransactionAgentHandle } from '../services/transaction/agent-handle.ts'
import type { TransactionJob } from '../services/transaction/agent-jobs.ts'
import type {
  AgentJobReading,
  Transaction,
  TransactionClientHandle,
} from '../services/transaction/client-handle.ts'
import type { Participation, TransactionFailure } from '../services/transaction/interface.ts'
import { given, handle as handleOf } from './library.ts'
import { boundApp, rcOfLibrary, type ClOut } from './process.ts'

/** Values of the transaction service. SAFplus, section 17. */
export const CL_TXN_CONFIG_TXN_ATOMICITY = 0
export const CL_TXN_CONFIG_JOB_ATOMICITY = 1
export const CL_TXN_CONFIG_RESTART_ON_RESOURCE_UNAVAILABILITY = 2
export const CL_TXN_CONFIG_IGNORE_NO_SERVICE_REGD_AGENT = 4
export const CL_TXN_COMPONENT_CFG_1PC_CAPABLE = 1
export const CL_TXN_COMPONENT_CFG_2PC_CAPABLE = 2
export const CL_TXN_COMPONENT_CFG_FOR_VERIFY_PHASE = 4

/** One user of the library: what `clTxnClientInitialize` gives. */
export type ClTxnClientHandleT = TransactionClientHandle
/** A transaction that is made, started or over. */
export type ClTxnTransactionHandleT = Transaction
/** One service of the agent. */
export interface ClTxnAgentServiceHandleT {
  readonly serviceType: number
}

/** Told of the end of what was started without waiting. */
export type ClTxnCompletionCallbackT = (transaction: Transaction, rc: ClRcT) => void

type OfJob = (job: TransactionJob) => ClRcT | Promise<ClRcT>

/** What an agent does; each answers with a return code. null for prepare and rollback: one phase. */
export interface ClTxnAgentCallbacksT {
  readonly start?: (transaction: string) => ClRcT | Promise<ClRcT>
  readonly prepare: OfJob | null
  readonly commit: OfJob
  readonly rollback: OfJob | null
  readonly stop?: (transaction: string) => ClRcT | Promise<ClRcT>
}

/** Which agent failed in a job. */
export type ClTxnJobInfoT = TransactionFailure

let client: TransactionClientHandle | null = null
let agent: TransactionAgentHandle | null = null

/** `app.transaction.initialize`; transactions are made by the one that was initialized last. */
export function clTxnClientInitialize(
  version: string,
  completion: ClTxnCompletionCallbackT | null,
  out: ClOut<TransactionClientHandle | undefined>,
): ClRcT {
  return run(() => {
    const told = completion && {
      completion: (transaction: Transaction, error: SdkError | null) =>
        completion(transaction, error === null ? CL_OK : rcOfLibrary(CL_CID.TXN, error)),
    }
    client = openTransactions().initialize({ version, ...told })
    given('out', out).value = client
  })
}

/** `finalize` of a client. */
export function clTxnClientFinalize(handle: TransactionClientHandle): ClRcT {
  return run(() => handleOf(handle).finalize())
}

/** `create`; `config` is made of the bits CL_TXN_CONFIG. */
export function clTxnTransactionCreate(config: number, out: ClOut<Transaction | undefined>): ClRcT {
  return run(() => {
    if (client === null) throw new SdkError('NOT_INITIALIZED', 'call clTxnClientInitialize first')
    const has = (bit: number): boolean => (config & bit) !== 0
    given('out', out).value = client.create({
      atomicity: has(CL_TXN_CONFIG_JOB_ATOMICITY) ? 'JOB' : 'TRANSACTION',
      restartOnResourceUnavailability: has(CL_TXN_CONFIG_RESTART_ON_RESOURCE_UNAVAILABILITY),
      ignoreNoServiceRegisteredAgent: has(CL_TXN_CONFIG_IGNORE_NO_SERVICE_REGD_AGENT),
    })
  })
}

/** `jobAdd`; the first `size` bytes of the definition count. */
export function clTxnJobAdd(
  transaction: Transaction,
  definition: Uint8Array,
  size: number,
  serviceType: number,
  out: ClOut<number>,
): ClRcT {
  return run(() => {
    const bytes = new Uint8Array(given('definition', definition).subarray(0, size))
    given('out', out).value = handleOf(transaction).jobAdd({ serviceType, definition: bytes })
  })
}

/** `jobRemove`. */
export function clTxnJobRemove(transaction: Transaction, job: number): ClRcT {
  return run(() => handleOf(transaction).jobRemove(job))
}

/** `componentSet`, by address; `capability` is made of the bits CL_TXN_COMPONENT_CFG. */
export function clTxnComponentSet(
  transaction: Transaction,
  job: number,
  component: IocAddress | string,
  capability: number,
): ClRcT {
  return run(() => handleOf(transaction).componentSet(job, component, participationOf(capability)))
}

/** `start`. */
export function clTxnTransactionStart(transaction: Transaction): Promise<ClRcT> {
  return wait(() => handleOf(transaction).start())
}

/** `startAsync`. */
export function clTxnTransactionStartAsync(transaction: Transaction): ClRcT {
  return run(() => handleOf(transaction).startAsync())
}

/** `cancel`. */
export function clTxnTransactionCancel(transaction: Transaction): Promise<ClRcT> {
  return wait(() => handleOf(transaction).cancel())
}

/** `jobInfoGet`: the agents that failed in a job. */
export function clTxnJobInfoGet(
  transaction: Transaction,
  job: number,
  out: ClOut<readonly TransactionFailure[] | undefined>,
): Promise<ClRcT> {
  return wait(async () => {
    given('out', out).value = (await handleOf(transaction).jobInfoGet(job)).failures
  })
}

/** `readAgentJobs`; the callback has what the agents said. */
export function clTxnReadAgentJobsAsync(
  transaction: Transaction,
  callback: (transaction: Transaction, readings: readonly AgentJobReading[]) => void,
): Promise<ClRcT> {
  return wait(async () => callback(transaction, await handleOf(transaction).readAgentJobs()))
}

/** `app.transaction.agentInitialize`: of the EO to which the thread is bound, whatever `eo` says. */
export function clTxnAgentInitialize(_eo: EoIdentity | null, version: string): ClRcT {
  return run(() => {
    if (agent !== null) throw new SdkError('INITIALIZED', 'the agent is initialized already')
    agent = openTransactions().agentInitialize(version)
  })
}

/** `serviceRegister`, under the name of the component. */
export function clTxnAgentServiceRegister(
  serviceType: number,
  callbacks: ClTxnAgentCallbacksT,
  out: ClOut<ClTxnAgentServiceHandleT | undefined>,
): Promise<ClRcT> {
  return wait(async () => {
    given('out', out)
    const { start, prepare, commit, rollback, stop } = given('callbacks', callbacks)
    await openAgent().serviceRegister({
      serviceType,
      callbacks: {
        ...(start !== undefined && { start: thrown(start) }),
        prepare: prepare && thrown(prepare),
        commit: thrown(commit),
        rollback: rollback && thrown(rollback),
        ...(stop !== undefined && { stop: thrown(stop) }),
      },
    })
    out.value = { serviceType }
  })
}

/** `serviceUnregister`. */
export function clTxnAgentServiceUnRegister(service: ClTxnAgentServiceHandleT): Promise<ClRcT> {
  return wait(() => openAgent().serviceUnregister(service))
}

/** `finalize` of the agent. */
export function clTxnAgentFinalize(): Promise<ClRcT> {
  return wait(async () => {
    await openAgent().finalize()
    agent = null
  })
}

function openTransactions() {
  const app = boundApp()
  if (app === undefined) throw new SdkError('NOT_INITIALIZED', 'this thread has no EO')
  return app.transaction
}

function openAgent(): TransactionAgentHandle {
  if (agent !== null) return agent
  throw new SdkError('NOT_INITIALIZED', 'call clTxnAgentInitialize first')
}

/** Of a component that can do both, two phases are used. */
function participationOf(capability: number): Participation {
  if ((capability & CL_TXN_COMPONENT_CFG_FOR_VERIFY_PHASE) !== 0) return 'VERIFY'
  if ((capability & CL_TXN_COMPONENT_CFG_2PC_CAPABLE) !== 0) return 'TWO_PHASE'
  if ((capability & CL_TXN_COMPONENT_CFG_1PC_CAPABLE) !== 0) return 'ONE_PHASE'
  throw new SdkError('INVALID_PARAMETER', `capability ${capability}: 1, 2 and 4 are possible`)
}

/** A function that answers with a code, as one that throws. */
function thrown<T>(of: (value: T) => ClRcT | Promise<ClRcT>): (value: T) => Promise<void> {
  return async (value) => {
    const rc = await of(value)
    if (rc !== CL_OK) throw new SdkError('FAILED_OPERATION', `answered ${rcText(rc)}`)
  }
}

function run(step: () => void): ClRcT {
  try {
    step()
    return CL_OK
  } catch (error) {
    return rcOfLibrary(CL_CID.TXN, error)
  }
}

async function wait(step: () => Promise<unknown>): Promise<ClRcT> {
  try {
    await step()
    return CL_OK
  } catch (error) {
    return rcOfLibrary(CL_CID.TXN, error)
  }
}
