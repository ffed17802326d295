/**
 * A SAFplus return code: component id in the high 16 bits, error in the low 16. 0 is success. SAFplus, section 2.1.
 */
export type ClRcT = number

/** Success, whichever component answers. */
export const CL_OK: ClRcT = 0

/** Component ids, the high half of a return code. SAFplus, section 2.2. */
export const CL_CID = {
  UNSPECIFIED: 0x00,
  OSAL: 0x01,
  HAL: 0x02,
  DBAL: 0x03,
  EO: 0x04,
  IOC: 0x05,
  RMD: 0x06,
  NAMES: 0x07,
  TIMER: 0x08,
  SHM: 0x09,
  DSHM: 0x0a,
  LOG: 0x0b,
  MSG: 0x0c,
  DIAG: 0x0d,
  DEBUG: 0x0e,
  CPM: 0x0f,
  CAP: 0x10,
  RES: 0x11,
  GMS: 0x12,
  EVENTS: 0x13,
  DLOCK: 0x14,
  TXN: 0x15,
  CKPT: 0x16,
  COR: 0x17,
  CNT: 0x18,
  DCNT: 0x19,
  RCNT: 0x1a,
  ALARMS: 0x1b,
  POLICY: 0x1c,
  RULE: 0x1d,
  SCRIPTING: 0x1e,
  CM: 0x1f,
  HPI: 0x20,
  FAULTS: 0x21,
  AMS: 0x22,
  MED: 0x23,
  BUFFER: 0x24,
  QUEUE: 0x25,
  CLIST: 0x26,
  SNMP: 0x27,
  NS: 0x28,
  OM: 0x29,
  POOL: 0x2a,
  CD: 0x2b,
  DM: 0x2c,
  OAMP_RT: 0x2d,
  PROV: 0x2e,
  UM: 0x2f,
  HANDLE: 0x30,
  VERSION: 0x31,
  XDR: 0x32,
  IDL: 0x33,
  HEAP: 0x34,
  MEM: 0x35,
  PARSER: 0x36,
  BACKING_STORAGE: 0x37,
  JOB: 0x38,
  TASKPOOL: 0x39,
  BITMAP: 0x3a,
  LEAKY_BUCKET: 0x3b,
  MSO: 0x3c,
  PM: 0x3d,
  NTF: 0x3e,
} as const

/** Name of a component id, for example `IOC`. */
export type ClComponentName = keyof typeof CL_CID

/** Errors that every component shares, below 0x100: the `CL_ERR_...` values. SAFplus, section 2.1. */
export const CL_ERR = {
  NO_MEMORY: 0x01,
  INVALID_PARAMETER: 0x02,
  NULL_POINTER: 0x03,
  NOT_EXIST: 0x04,
  INVALID_HANDLE: 0x05,
  INVALID_BUFFER: 0x06,
  NOT_IMPLEMENTED: 0x07,
  DUPLICATE: 0x08,
  QUEUE_NOT_AVAILABLE: 0x09,
  OUT_OF_RANGE: 0x0a,
  NO_RESOURCE: 0x0b,
  INITIALIZED: 0x0c,
  BUFFER_OVERRUN: 0x0d,
  NOT_INITIALIZED: 0x0e,
  VERSION_MISMATCH: 0x0f,
  ALREADY_EXIST: 0x10,
  UNSPECIFIED: 0x11,
  INVALID_STATE: 0x12,
  DOESNT_EXIST: 0x13,
  TIMEOUT: 0x14,
  INUSE: 0x15,
  TRY_AGAIN: 0x16,
  NO_CALLBACK: 0x17,
  MUTEX_ERROR: 0x18,
  NO_OP: 0x19,
  NAME_TOO_LONG: 0x1a,
  NAME_NOT_FOUND: 0x1b,
  MESSAGE_ERROR: 0x1c,
  TOO_BIG: 0x1d,
  NO_SECTIONS: 0x1e,
  FAILED_OPERATION: 0x1f,
  OP_NOT_PERMITTED: 0x20,
  NO_SPACE: 0x21,
  BAD_FLAG: 0x22,
  BAD_OPERATION: 0x23,
  LIBRARY: 0x24,
  NOT_SUPPORTED: 0x25,
  INTERRUPT: 0x26,
  CONTINUE: 0x27,
} as const

/** Name of a shared error, for example `TRY_AGAIN`. */
export type ClCommonError = keyof typeof CL_ERR

/**
 * Errors of one component, 0x100 and above. Those below 0x200 are SAFplus's (sections 3.3, 4.3, 17, 20 and 21); from
 * 0x200 on they
 * are Holdfast's own.
 */
export const CL_PRIVATE_ERR = {
  EO: {
    EO_SUSPENDED: 0x101,
    FUNC_NOT_REGISTERED: 0x102,
    INVALID_CLIENTID: 0x103,
    INVALID_SERVICEID: 0x104,
    LIB_ID_INVALID: 0x105,
    WATER_MARK_ID_INVALID: 0x106,
    IMPROPER_STATE: 0x107,
    QUEUE_OVERFLOW: 0x108,
    ENQUEUE_MSG: 0x109,
    WORKER_DIED: 0x200,
    JOB_QUARANTINED: 0x201,
  },
  IOC: {
    INIT_FAILED: 0x100,
    COMMPORT_REG_FAIL: 0x101,
    IOC_TRY_AGAIN: 0x102,
    COMMPORT_INVALID_MODE: 0x103,
    TL_LIMIT_EXCEEDED: 0x104,
    TL_DUPLICATE_ENTRY: 0x105,
    TL_ACTIVE_INST_NOT_PRESENT: 0x106,
    INVALID_SESSION: 0x107,
    COMP_UNREACHABLE: 0x108,
    XPORT_NOT_REGISTERED: 0x109,
    XPORT_ALREADY_REGISTERED: 0x10a,
    LINK_NOT_REGISTERED: 0x10b,
    LINK_NOT_DELETED: 0x10c,
    HOST_UNREACHABLE: 0x10d,
    COMMPORT_BLOCKED: 0x10e,
    ROUTE_NOT_EXIST: 0x10f,
    PROTO_IN_USE: 0x110,
    FLOW_XOFF_STATE: 0x111,
    RECV_UNBLOCKED: 0x112,
    INVALID_MSG_OPTION: 0x113,
    LINK_LIMIT_EXCEEDED: 0x114,
    NODE_EXISTS: 0x115,
  },
  CPM: {
    OPERATION_NOT_ALLOWED: 0x100,
    EO_UNREACHABLE: 0x101,
    INVALID_ARGUMENTS: 0x102,
    OPERATION_FAILED: 0x103,
    FORWARDING_FAILED: 0x104,
    OPERATION_IN_PROGRESS: 0x105,
    INIT: 0x106,
    BAD_OPERATION: 0x107,
    EXIST: 0x108,
    OPER_ABANDONED: 0x109,
  },
  RMD: {
    HANDLER_FAILED: 0x200,
    DEADLINE_PASSED: 0x201,
  },
  OSAL: {
    OS_ERROR: 0x100,
  },
  DBAL: {
    DB_ERROR: 0x100,
    COMMIT_FAILED: 0x101,
    ABORT_FAILED: 0x102,
  },
  TIMER: {
    INVALID_TIMER: 0x100,
    TIMER_EXPIRED: 0x101,
    INVALID_TIMER_TYPE: 0x102,
    INVALID_TIMER_CONTEXT: 0x103,
    NULL_TIMER_CALLBACK: 0x104,
  },
  QUEUE: {
    MAXSIZE_REACHED: 0x100,
  },
  CLIST: {
    MAXSIZE_REACHED: 0x100,
  },
  RULE: {
    OFFSET_OUT_OF_RANGE: 0x100,
  },
  AMS: {
    NOT_ACTIVE: 0x200,
    STALE_TERM: 0x201,
    REPAIR_PENDING: 0x202,
  },
  GMS: {
    GROUP_DOESNT_EXIST: 0x103,
  },
  NS: {
    ENTRY_NOT_FOUND: 0x100,
    LIMIT_EXCEEDED: 0x101,
    CONTEXT_NOT_CREATED: 0x102,
    SERVICE_NOT_REGISTERED: 0x103,
    OPERATION_NOT_PERMITTED: 0x105,
    CONTEXT_ALREADY_CREATED: 0x106,
  },
  EVENTS: {
    INIT_NOT_DONE: 0x100,
    INTERNAL: 0x101,
    INVALID_PARAM: 0x102,
    BAD_FLAGS: 0x103,
    INVALID_CHANNEL_HANDLE: 0x104,
    BAD_HANDLE: 0x105,
    NO_MEM: 0x106,
    NULL_PTR: 0x107,
    CHANNEL_ALREADY_OPENED: 0x108,
    CHANNEL_NOT_OPENED: 0x109,
    DUPLICATE_SUBSCRIPTION: 0x10a,
    NOT_OPENED_FOR_SUBSCRIPTION: 0x10b,
    NOT_OPENED_FOR_PUBLISH: 0x10c,
    INFO_WALK_STOP: 0x10d,
    ALREADY_INITIALIZED: 0x10e,
    STOP_WALK: 0x10f,
    NO_SPACE: 0x110,
    VERSION: 0x111,
    EXIST: 0x112,
    NO_RESOURCE: 0x113,
    INIT: 0x114,
  },
  TXN: {
    VALIDATE_FAILED: 0x100,
    TRANSACTION_ROLLED_BACK: 0x101,
    TRANSACTION_FAILURE: 0x102,
    NO_REGD_SERVICE: 0x103,
    INVALID_CMP_CAPABILITY: 0x104,
    AGENT_FAILED_VOID: 0x105,
    NO_JOBS: 0x106,
    NO_COMPONENTS: 0x107,
  },
  LOG: {
    FILE_FULL: 0x101,
    INVALID_XML_FILE: 0x102,
  },
  CKPT: {
    STALE_EPOCH: 0x200,
    OUT_OF_SYNC: 0x201,
  },
} as const

/** Builds a return code from a component id and an error. An error of 0 gives {@link CL_OK} for every component. */
export function rcOf(cid: number, error: number): ClRcT {
  return error === 0 ? CL_OK : (((cid & 0xffff) << 16) | (error & 0xffff)) >>> 0
}

/** The component id of a return code. */
export function rcComponent(rc: ClRcT): number {
  return (rc >>> 16) & 0xffff
}

/** The error of a return code, without its component. */
export function rcError(rc: ClRcT): number {
  return rc & 0xffff
}

/**
 * A return code in words: `OK`, `IOC/COMP_UNREACHABLE (0x50108)`, or numbers where there is no name.
 * Meant for logs; compare codes, never this text.
 */
export function rcText(rc: ClRcT): string {
  if (rc === CL_OK) return 'OK'
  const cid = rcComponent(rc)
  const component = nameOf(CL_CID, cid)
  const own: Readonly<Record<string, number>> =
    component !== undefined && component in CL_PRIVATE_ERR
      ? CL_PRIVATE_ERR[component as keyof typeof CL_PRIVATE_ERR]
      : {}
  const error = nameOf(CL_ERR, rcError(rc)) ?? nameOf(own, rcError(rc))
  return `${component ?? hex(cid)}/${error ?? hex(rcError(rc))} (${hex(rc)})`
}

function nameOf(table: Readonly<Record<string, number>>, value: number): string | undefined {
  return Object.keys(table).find((name) => table[name] === value)
}

function hex(value: number): string {
  return `0x${value.toString(16)}`
}
