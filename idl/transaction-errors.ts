import { own } from './error-row.ts'
import { CL_PRIVATE_ERR } from './return-code.ts'

/** Errors of the transaction service. SAFplus, section 17. */
export const TRANSACTION_ERRORS = {
  VALIDATE_FAILED: own('TXN', CL_PRIVATE_ERR.TXN.VALIDATE_FAILED, [
    'refused',
    false,
    'a participant that only verifies said no',
    'see the failures of the job',
  ]),
  TRANSACTION_ROLLED_BACK: own('TXN', CL_PRIVATE_ERR.TXN.TRANSACTION_ROLLED_BACK, [
    'refused',
    false,
    'the transaction was rolled back everywhere: nothing of it took effect',
    'see the failures in its context, then start it again',
  ]),
  TRANSACTION_FAILURE: own('TXN', CL_PRIVATE_ERR.TXN.TRANSACTION_FAILURE, [
    'refused',
    false,
    'the transaction ended, and not everywhere with the same outcome',
    'see the failures in its context, and put those participants right',
  ]),
  NO_REGD_SERVICE: own('TXN', CL_PRIVATE_ERR.TXN.NO_REGD_SERVICE, [
    'refused',
    false,
    'a participant has no agent with the service of the job',
    'register the service there, or let the transaction ignore such participants',
  ]),
  INVALID_CMP_CAPABILITY: own('TXN', CL_PRIVATE_ERR.TXN.INVALID_CMP_CAPABILITY, [
    'refused',
    false,
    'the service of the participant cannot do what the transaction wants of it',
    'register it with prepare and rollback, or let it take part in one phase',
  ]),
  AGENT_FAILED_VOID: own('TXN', CL_PRIVATE_ERR.TXN.AGENT_FAILED_VOID, [
    'refused',
    false,
    'the outcome was decided, and the participant did not take it in time',
    'put the participant right by hand',
  ]),
  NO_JOBS: own('TXN', CL_PRIVATE_ERR.TXN.NO_JOBS, [
    'refused',
    false,
    'the transaction has no jobs',
    'add one before the start',
  ]),
  NO_COMPONENTS: own('TXN', CL_PRIVATE_ERR.TXN.NO_COMPONENTS, [
    'refused',
    false,
    'a job of the transaction has no components',
    'set one for each job before the start',
  ]),
} as const
