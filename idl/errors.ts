import { common, own, type SdkErrorRow } from './error-row.ts'
import { CL_CID, CL_PRIVATE_ERR, rcOf, type ClRcT } from './return-code.ts'
import { EVENT_ERRORS } from './event-errors.ts'
import { TRANSACTION_ERRORS } from './transaction-errors.ts'

/** Every code that the SDK itself uses, with its return code, what it means and what to do about it. */
export const ERRORS = {
  INVALID_PARAMETER: common('INVALID_PARAMETER', [
    'refused',
    false,
    'a value has the wrong shape or is outside its bounds',
    'correct the value that the message names',
  ]),
  NOT_EXIST: common('NOT_EXIST', [
    'refused',
    false,
    'there is no such entity',
    'check the name; `holdfast status` lists what there is',
  ]),
  DOESNT_EXIST: common('DOESNT_EXIST', [
    'refused',
    false,
    'the callee has no such service or version',
    'check that caller and callee use the same interface',
  ]),
  ALREADY_EXIST: common('ALREADY_EXIST', [
    'refused',
    false,
    'the name or number is taken',
    'choose another one, or remove the first',
  ]),
  DUPLICATE: common('DUPLICATE', [
    'refused',
    false,
    'the key is there already, and keys are unique here',
    'replace or delete what is there, or use another key',
  ]),
  NULL_POINTER: common('NULL_POINTER', [
    'local',
    false,
    'an argument that is needed was left out',
    'pass the argument that the message names',
  ]),
  INVALID_BUFFER: common('INVALID_BUFFER', [
    'refused',
    false,
    'the bytes are not what was expected, or too few',
    'see the message for the place',
  ]),
  MUTEX_ERROR: common(
    'MUTEX_ERROR',
    [
      'local',
      false,
      'a lock is used by a thread in a way that it may not',
      'unlock what the thread itself has locked, once for each lock',
    ],
    'OSAL',
  ),
  NAME_NOT_FOUND: common('NAME_NOT_FOUND', [
    'notCalled',
    false,
    'no such logical name is known in the cluster',
    'check the name against the CSIs of the model',
  ]),
  NAME_TOO_LONG: common('NAME_TOO_LONG', [
    'refused',
    false,
    'a name passes its limit',
    'shorten the name',
  ]),
  TIMEOUT: common(
    'TIMEOUT',
    [
      'mayHaveRun',
      false,
      'no answer in time; the callee may have run the call',
      'use atMostOnce and a longer time-out, or find out what happened before repeating it',
    ],
    'RMD',
  ),
  TRY_AGAIN: common('TRY_AGAIN', [
    'refused',
    true,
    'not possible at this moment',
    'repeat the request after a short delay',
  ]),
  INUSE: common(
    'INUSE',
    ['refused', false, 'the thing is in use, or the same call still runs', 'wait until it is free'],
    'RMD',
  ),
  NO_OP: common('NO_OP', [
    'refused',
    false,
    'the requested state holds already',
    'nothing is to be done',
  ]),
  BAD_OPERATION: common('BAD_OPERATION', [
    'refused',
    false,
    'the operation is not legal in the present state',
    'bring the entity into a state that allows it first',
  ]),
  OP_NOT_PERMITTED: common('OP_NOT_PERMITTED', [
    'refused',
    false,
    'the caller may not do this',
    'use an identity or a place that may',
  ]),
  BAD_FLAG: common('BAD_FLAG', [
    'refused',
    false,
    'flags that are unknown, missing, or exclude each other',
    'use the flags that the message names',
  ]),
  NO_SPACE: common('NO_SPACE', [
    'refused',
    false,
    'a configured bound on size or count is reached',
    'free something, or raise the bound',
  ]),
  NO_MEMORY: common('NO_MEMORY', [
    'refused',
    false,
    'memory ran out',
    'give the process or the worker a higher limit, or smaller requests',
  ]),
  NO_RESOURCE: common('NO_RESOURCE', [
    'refused',
    true,
    'nothing is left to do it with',
    'free something, then repeat the request',
  ]),
  TOO_BIG: common('TOO_BIG', [
    'notCalled',
    false,
    'the value passes the largest size or depth that can travel',
    'send it in parts, or raise the limit on both sides',
  ]),
  MESSAGE_ERROR: common(
    'MESSAGE_ERROR',
    [
      'refused',
      false,
      'the bytes are not of this protocol or codec',
      'check that both sides use the same version of the SDK',
    ],
    'IDL',
  ),
  NOT_INITIALIZED: common('NOT_INITIALIZED', [
    'local',
    false,
    'it was used before it was initialised, or after it was closed',
    'call initialize first, and nothing after finalize',
  ]),
  INITIALIZED: common('INITIALIZED', [
    'local',
    false,
    'it is initialised already',
    'harmless: go on with what is there',
  ]),
  VERSION_MISMATCH: common(
    'VERSION_MISMATCH',
    [
      'refused',
      false,
      'the two sides have no version in common',
      'upgrade the older side, or ask for a version that it has',
    ],
    'VERSION',
  ),
  INVALID_STATE: common('INVALID_STATE', [
    'refused',
    false,
    'it is not in a state in which this makes sense',
    'see the message for the state that is needed',
  ]),
  INVALID_HANDLE: common('INVALID_HANDLE', [
    'local',
    false,
    'the handle is closed or was never opened',
    'open it again',
  ]),
  OUT_OF_RANGE: common('OUT_OF_RANGE', [
    'refused',
    false,
    'a number is outside its range',
    'use a number inside the range that the message names',
  ]),
  INTERRUPT: common('INTERRUPT', [
    'mayHaveRun',
    false,
    'the caller gave the call up; the callee may have run it',
    'find out what happened before repeating it',
  ]),
  NOT_SUPPORTED: common('NOT_SUPPORTED', [
    'refused',
    false,
    'this implementation or platform cannot do it',
    'use another way; the message names one where there is one',
  ]),
  NOT_IMPLEMENTED: common('NOT_IMPLEMENTED', [
    'refused',
    false,
    'the component provides no such callback',
    'provide it, or do not ask for it',
  ]),
  FAILED_OPERATION: common('FAILED_OPERATION', [
    'refused',
    false,
    'it was tried and failed',
    'see the message and its cause',
  ]),
  LIBRARY: common('LIBRARY', [
    'local',
    false,
    'a library or the operating system reported an error',
    'see the cause',
  ]),
  UNSPECIFIED: common('UNSPECIFIED', [
    'refused',
    false,
    'an error without a known code',
    'see the message',
  ]),

  COMP_UNREACHABLE: own('IOC', CL_PRIVATE_ERR.IOC.COMP_UNREACHABLE, [
    'notCalled',
    true,
    'nobody listens at the address',
    'call by logical name, so that the call follows the active one',
  ]),
  HOST_UNREACHABLE: own('IOC', CL_PRIVATE_ERR.IOC.HOST_UNREACHABLE, [
    'notCalled',
    true,
    'the node of the address is down',
    'call by logical name, so that the call follows the active one',
  ]),
  TL_ACTIVE_INST_NOT_PRESENT: own('IOC', CL_PRIVATE_ERR.IOC.TL_ACTIVE_INST_NOT_PRESENT, [
    'notCalled',
    true,
    'the name is known, but nobody was active for it in time',
    'see `holdfast status` for whom the cluster is waiting',
  ]),
  FLOW_XOFF_STATE: own('IOC', CL_PRIVATE_ERR.IOC.FLOW_XOFF_STATE, [
    'notCalled',
    true,
    'the receiver is slow and its send queue is full',
    'send less at a time, and repeat after a delay',
  ]),
  NODE_EXISTS: own('IOC', CL_PRIVATE_ERR.IOC.NODE_EXISTS, [
    'local',
    false,
    'another process already is this node or holds this run directory',
    'stop it first, or use another run directory',
  ]),

  EO_SUSPENDED: own('EO', CL_PRIVATE_ERR.EO.EO_SUSPENDED, [
    'refused',
    true,
    'the execution object is suspended',
    'resume it, then repeat the call',
  ]),
  FUNC_NOT_REGISTERED: own('EO', CL_PRIVATE_ERR.EO.FUNC_NOT_REGISTERED, [
    'refused',
    false,
    'the callee has no function with this number',
    'install the interface at the callee, or correct the destination',
  ]),
  INVALID_CLIENTID: own('EO', CL_PRIVATE_ERR.EO.INVALID_CLIENTID, [
    'refused',
    false,
    'the client id is out of bounds or reserved',
    'use an id that the interface may have',
  ]),
  INVALID_SERVICEID: own('EO', CL_PRIVATE_ERR.EO.INVALID_SERVICEID, [
    'refused',
    false,
    'the service id is out of bounds',
    'use 0 to 63',
  ]),
  IMPROPER_STATE: own('EO', CL_PRIVATE_ERR.EO.IMPROPER_STATE, [
    'refused',
    false,
    'the requested state cannot be set',
    'ask for suspend, resume or kill',
  ]),
  QUEUE_OVERFLOW: own('EO', CL_PRIVATE_ERR.EO.QUEUE_OVERFLOW, [
    'refused',
    true,
    'the job queue of the callee is full',
    'send less at a time, and repeat after a delay',
  ]),
  WORKER_DIED: own('EO', CL_PRIVATE_ERR.EO.WORKER_DIED, [
    'mayHaveRun',
    false,
    'the worker thread ended while it ran this job',
    'see the crash record; the job may have had effects',
  ]),
  JOB_QUARANTINED: own('EO', CL_PRIVATE_ERR.EO.JOB_QUARANTINED, [
    'refused',
    false,
    'the same job ended several worker threads and is not run again',
    'correct the function or its input',
  ]),

  HANDLER_FAILED: own('RMD', CL_PRIVATE_ERR.RMD.HANDLER_FAILED, [
    'refused',
    false,
    'the function of the callee threw something that is no SdkError',
    'see the log of the callee',
  ]),
  DEADLINE_PASSED: own('RMD', CL_PRIVATE_ERR.RMD.DEADLINE_PASSED, [
    'refused',
    false,
    'the deadline of the call had passed before it could run; it did not run',
    'use a longer time-out, or make fewer calls at a time',
  ]),

  OS_ERROR: own('OSAL', CL_PRIVATE_ERR.OSAL.OS_ERROR, [
    'local',
    false,
    'the operating system refused it',
    'see the cause',
  ]),
  DB_ERROR: own('DBAL', CL_PRIVATE_ERR.DBAL.DB_ERROR, [
    'local',
    false,
    'the database reported an error',
    'see the cause',
  ]),
  COMMIT_FAILED: own('DBAL', CL_PRIVATE_ERR.DBAL.COMMIT_FAILED, [
    'local',
    false,
    'the transaction could not be committed; nothing of it is stored',
    'see the cause, then repeat the transaction',
  ]),
  NULL_TIMER_CALLBACK: own('TIMER', CL_PRIVATE_ERR.TIMER.NULL_TIMER_CALLBACK, [
    'local',
    false,
    'a timer needs a function to call',
    'pass the function',
  ]),
  INVALID_TIMER_TYPE: own('TIMER', CL_PRIVATE_ERR.TIMER.INVALID_TIMER_TYPE, [
    'local',
    false,
    'there is no such type of timer',
    'use oneShot, repetitive or volatile',
  ]),
  INVALID_TIMER_CONTEXT: own('TIMER', CL_PRIVATE_ERR.TIMER.INVALID_TIMER_CONTEXT, [
    'local',
    false,
    'there is no such context of timers',
    'use task or separate',
  ]),
  MAXSIZE_REACHED: own('QUEUE', CL_PRIVATE_ERR.QUEUE.MAXSIZE_REACHED, [
    'refused',
    true,
    'the queue or list is full',
    'take something out first, or make it larger',
  ]),
  OFFSET_OUT_OF_RANGE: own('RULE', CL_PRIVATE_ERR.RULE.OFFSET_OUT_OF_RANGE, [
    'refused',
    false,
    'the word is outside what the expression looks at',
    'use a word from its offset on, within its length',
  ]),

  NOT_ACTIVE: own('AMS', CL_PRIVATE_ERR.AMS.NOT_ACTIVE, [
    'notCalled',
    true,
    'the callee does not hold the ACTIVE role that the call needs',
    'call by logical name, so that the call follows the active one',
  ]),
  STALE_TERM: own('AMS', CL_PRIVATE_ERR.AMS.STALE_TERM, [
    'refused',
    false,
    'the command is of a director that was replaced',
    'the present director repeats what is still needed',
  ]),
  REPAIR_PENDING: own('AMS', CL_PRIVATE_ERR.AMS.REPAIR_PENDING, [
    'refused',
    false,
    'the operation was carried out, and a component could not be started or stopped in it',
    'remove the cause, then `holdfast repair` the component that the message names',
  ]),
  ENTRY_NOT_FOUND: own('NS', CL_PRIVATE_ERR.NS.ENTRY_NOT_FOUND, [
    'refused',
    false,
    'nothing is registered under this name with these attributes',
    'check name, attributes and context; the provider may have ended',
  ]),
  LIMIT_EXCEEDED: own('NS', CL_PRIVATE_ERR.NS.LIMIT_EXCEEDED, [
    'refused',
    false,
    'the name service holds as many entries or contexts as it may',
    'deregister what is not needed',
  ]),
  CONTEXT_NOT_CREATED: own('NS', CL_PRIVATE_ERR.NS.CONTEXT_NOT_CREATED, [
    'refused',
    false,
    'the name service has no such context',
    'create it first, or use a default one',
  ]),
  SERVICE_NOT_REGISTERED: own('NS', CL_PRIVATE_ERR.NS.SERVICE_NOT_REGISTERED, [
    'refused',
    false,
    'this component has not registered that name',
    'harmless when it is to go anyway; else check name and context',
  ]),
  OPERATION_NOT_PERMITTED: own('NS', CL_PRIVATE_ERR.NS.OPERATION_NOT_PERMITTED, [
    'refused',
    false,
    'the default contexts of the name service cannot be deleted',
    'delete contexts that were created only',
  ]),
  CONTEXT_ALREADY_CREATED: own('NS', CL_PRIVATE_ERR.NS.CONTEXT_ALREADY_CREATED, [
    'refused',
    false,
    'a context has this cookie already',
    'choose another cookie, or use the context that is there',
  ]),
  GROUP_DOESNT_EXIST: own('GMS', CL_PRIVATE_ERR.GMS.GROUP_DOESNT_EXIST, [
    'refused',
    false,
    'there is no such group to leave',
    'check the id; the group may have been destroyed',
  ]),
  NO_CALLBACK: common('NO_CALLBACK', [
    'local',
    false,
    'what was asked for is told by a callback that was not given',
    'give the callback to initialize',
  ]),
  ...EVENT_ERRORS,
  ...TRANSACTION_ERRORS,
  STALE_EPOCH: own('CKPT', CL_PRIVATE_ERR.CKPT.STALE_EPOCH, [
    'refused',
    false,
    'the role under which this was done was given to another one',
    'the process that gets it ends; it is started again without the role',
  ]),
  FILE_FULL: own('LOG', CL_PRIVATE_ERR.LOG.FILE_FULL, [
    'refused',
    false,
    'the file of a log stream that halts is full',
    'close the stream and remove its files, or give it another action',
  ]),
  OUT_OF_SYNC: own('CKPT', CL_PRIVATE_ERR.CKPT.OUT_OF_SYNC, [
    'refused',
    true,
    'the replica lacks earlier records',
    'open the stream again; the replica then catches up',
  ]),
} as const satisfies Readonly<Record<string, SdkErrorRow>>

/** A code of the table. Other texts are codes too: of applications, or of a newer peer. */
export type SdkErrorCode = keyof typeof ERRORS

/** The row of a code; undefined for codes that are not the SDK's. */
export function errorRow(code: string): SdkErrorRow | undefined {
  return Object.hasOwn(ERRORS, code) ? ERRORS[code as SdkErrorCode] : undefined
}

/** The return code of an error code: `UNSPECIFIED` (0x11) for codes that are not the SDK's. */
export function rcOfCode(code: string): ClRcT {
  const row = errorRow(code) ?? ERRORS.UNSPECIFIED
  return rcOf(CL_CID[row.component], row.error)
}
