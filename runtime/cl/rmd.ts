import {
  CL_CID,
  CL_ERR,
  CL_OK,
  ERRORS,
  rcOf,
  rcOfCode,
  rcText,
  SdkError,
  type ClRcT,
} from '../../idl/index.ts'
import {
  DEFAULT_IOC_LIMITS,
  RETRY_COUNT_MAX,
  TIMEOUT_MS_MAX,
  type Destination,
  type IocAddress,
  type RmdCounters,
  type RmdPriority,
  type RmdRawCallOptions,
} from '../../ioc/index.ts'
import type { Call } from '../eo/app.ts'
import { boundApp, rcOfAsync, type ClOut } from './process.ts'

/** Flags of a call. SAFplus RMD, section 5.1. */
export const CL_RMD_CALL_ASYNC = 0x01
export const CL_RMD_CALL_NEED_REPLY = 0x02
export const CL_RMD_CALL_ATMOST_ONCE = 0x04
/** Holds always: local calls travel like remote ones. */
export const CL_RMD_CALL_DO_NOT_OPTIMIZE = 0x08
/** The caller leaves its input to RMD. There is nothing to free here. */
export const CL_RMD_CALL_NON_PERSISTENT = 0x10
/** Holds always: a peer has one connection. */
export const CL_RMD_CALL_IN_SESSION = 0x20
export const CL_RMD_CALL_ORDERED = 0x40

const FLAGS_KNOWN = 0x7f
const DEFAULT_TRY_MS = 10_000
const DEFAULT_RETRIES = 5
const FOREVER = 0xffff_ffff

/** Options of a call. SAFplus RMD, section 5.1. */
export interface ClRmdOptionsT {
  /** Milliseconds of one try; 0 and 0xffffffff: as long as a call may last (600 s). @defaultValue 10_000 */
  readonly timeout?: number
  /** Tries after the first, 0 to 8. @defaultValue 5 */
  readonly retries?: number
  readonly priority?: RmdPriority
}

/** What is told of an asynchronous call, exactly once for each one that was accepted. */
export type ClRmdAsyncCallbackT<C> = (
  rc: ClRcT,
  cookie: C,
  inMessage: Uint8Array | null,
  outMessage: ClOut<Uint8Array>,
) => void

/** Where the reply of an asynchronous call goes. */
export interface ClRmdAsyncOptionsT<C = unknown> {
  readonly cookie: C
  readonly fpCallback: ClRmdAsyncCallbackT<C>
}

/**
 * One call by number and bytes, in any version of the callee's interface.
 * - flags 0, or NEED_REPLY: the answer is waited for; NEED_REPLY puts it into `outMessage`.
 * - ASYNC | NEED_REPLY: OK at once, then the callback. ASYNC alone: one way, OK when it was sent.
 *
 * The whole call lasts at most `timeout * (retries + 1)`, and 600 s. Only ATMOST_ONCE calls are sent again; the flag is
 * dropped where there are no retries or no time-out, as in the original. INVALID_STATE before `clEoMyEoObjectSet`;
 * INVALID_PARAMETER and INVALID_BUFFER as in SAFplus RMD, section 5.2.
 */
export function clRmdWithMsg<C>(
  to: Destination,
  functionNumber: number,
  inMessage: Uint8Array | null,
  outMessage: ClOut<Uint8Array> | null,
  flags: number,
  options: ClRmdOptionsT = {},
  asyncOptions: ClRmdAsyncOptionsT<C> | null = null,
): Promise<ClRcT> {
  return send({ to, functionNumber, inMessage, outMessage, flags, options, asyncOptions })
}

/** As {@link clRmdWithMsg}, for functions of one version of an interface, such as `B.1.1`. */
export function clRmdWithMsgVer<C>(
  to: Destination,
  version: string,
  functionNumber: number,
  inMessage: Uint8Array | null,
  outMessage: ClOut<Uint8Array> | null,
  flags: number,
  options: ClRmdOptionsT = {},
  asyncOptions: ClRmdAsyncOptionsT<C> | null = null,
): Promise<ClRcT> {
  return send({ to, version, functionNumber, inMessage, outMessage, flags, options, asyncOptions })
}

/** What the EO's calls have come to: `app.rmd.statistics()`, in the order of SAFplus RMD, section 5.6. */
export function clRmdStatsGet(out: ClOut<RmdCounters | undefined>): ClRcT {
  if (!out) return NULL_POINTER
  out.value = boundApp()?.rmd.statistics()
  return out.value === undefined ? INVALID_STATE : CL_OK
}

/** Most retries that a call may ask for. */
export function clRmdMaxNumbRetriesGet(out: ClOut<number>): ClRcT {
  if (!out) return NULL_POINTER
  out.value = RETRY_COUNT_MAX
  return CL_OK
}

/** Bytes of the largest input. */
export function clRmdMaxPayloadSizeGet(out: ClOut<number>): ClRcT {
  if (!out) return NULL_POINTER
  out.value = DEFAULT_IOC_LIMITS.messageSizeBytesMax
  return CL_OK
}

/** Who made the call that a function was given. */
export function clRmdSourceAddressGet(call: Call, out: ClOut<IocAddress | undefined>): ClRcT {
  if (!out) return NULL_POINTER
  out.value = call.source
  return CL_OK
}

/** An answer that is given later. The function that asked for it returns `response`. */
export class ClRmdResponseContextHandleT<T> {
  readonly response: Promise<T>
  #settle: { resolve: (output: T) => void; reject: (error: Error) => void } | null = null

  constructor() {
    this.response = new Promise((resolve, reject) => {
      this.#settle = { resolve, reject }
    })
  }

  /** @internal */
  send(output: T, rc: ClRcT): ClRcT {
    const settle = this.#settle
    if (settle === null) return INVALID_HANDLE
    this.#settle = null
    if (rc === CL_OK) settle.resolve(output)
    else settle.reject(errorOf(rc))
    return CL_OK
  }
}

/** Puts the answer of a call off: its function returns `out.value.response`. The caller's deadline stays. */
export function clRmdResponseDefer<T>(
  out: ClOut<ClRmdResponseContextHandleT<T> | undefined>,
): ClRcT {
  if (!out) return NULL_POINTER
  out.value = new ClRmdResponseContextHandleT<T>()
  return CL_OK
}

/** Gives the answer that was put off, once; INVALID_HANDLE when it was given already. */
export function clRmdSyncResponseSend<T>(
  handle: ClRmdResponseContextHandleT<T>,
  output: T,
  rc: ClRcT,
): ClRcT {
  if (!(handle instanceof ClRmdResponseContextHandleT)) return INVALID_HANDLE
  return handle.send(output, rc)
}

const INVALID_HANDLE = rcOf(CL_CID.RMD, CL_ERR.INVALID_HANDLE)
const NULL_POINTER = rcOf(CL_CID.RMD, CL_ERR.NULL_POINTER)
const INVALID_STATE = rcOf(CL_CID.RMD, CL_ERR.INVALID_STATE)
const INVALID_PARAMETER = rcOf(CL_CID.RMD, CL_ERR.INVALID_PARAMETER)
const INVALID_BUFFER = rcOf(CL_CID.RMD, CL_ERR.INVALID_BUFFER)
const NO_BYTES = new Uint8Array(0)

interface Order<C> {
  readonly to: Destination
  readonly version?: string
  readonly functionNumber: number
  readonly inMessage: Uint8Array | null
  readonly outMessage: ClOut<Uint8Array> | null
  readonly flags: number
  readonly options: ClRmdOptionsT
  readonly asyncOptions: ClRmdAsyncOptionsT<C> | null
}

async function send<C>(order: Order<C>): Promise<ClRcT> {
  const app = boundApp()
  if (app === undefined) return INVALID_STATE
  const refused = check(order)
  if (refused !== CL_OK) return refused
  const { to, functionNumber, inMessage, outMessage, asyncOptions } = order
  const answered = rcOfAsync(async () => {
    const reply = await app.rmd.call(to, functionNumber, inMessage ?? NO_BYTES, optionsOf(order))
    if (outMessage !== null) outMessage.value = reply
  })
  if (asyncOptions === null || outMessage === null) return answered
  // A callback that throws is a bug of the program, and ends it like any other.
  void answered.then((rc) =>
    asyncOptions.fpCallback(rc, asyncOptions.cookie, inMessage, outMessage),
  )
  return CL_OK
}

/** SAFplus RMD, section 5.2. */
function check<C>({ inMessage, outMessage, flags, options, asyncOptions }: Order<C>): ClRcT {
  const isAsync = (flags & CL_RMD_CALL_ASYNC) !== 0
  const needsReply = (flags & CL_RMD_CALL_NEED_REPLY) !== 0
  const { retries = DEFAULT_RETRIES, timeout = DEFAULT_TRY_MS } = options
  const isSound =
    (flags & ~FLAGS_KNOWN) === 0 &&
    inMessage?.length !== 0 &&
    (inMessage?.length ?? 0) <= DEFAULT_IOC_LIMITS.messageSizeBytesMax &&
    Number.isInteger(retries) &&
    retries >= 0 &&
    retries <= RETRY_COUNT_MAX &&
    timeout >= 0 &&
    (!needsReply || outMessage !== null) &&
    (isAsync && needsReply) === (asyncOptions !== null) &&
    (asyncOptions === null || typeof asyncOptions.fpCallback === 'function')
  if (!isSound) return INVALID_PARAMETER
  return outMessage !== null && !needsReply ? INVALID_BUFFER : CL_OK
}

function optionsOf<C>({ flags, options, version }: Order<C>): RmdRawCallOptions {
  const { retries = DEFAULT_RETRIES, timeout = DEFAULT_TRY_MS, priority = 'default' } = options
  const isForever = timeout === 0 || timeout >= FOREVER
  const tryTimeoutMs = isForever ? TIMEOUT_MS_MAX : Math.min(timeout, TIMEOUT_MS_MAX)
  const atMostOnce = (flags & CL_RMD_CALL_ATMOST_ONCE) !== 0 && retries > 0 && !isForever
  const isReplied = (flags & CL_RMD_CALL_NEED_REPLY) !== 0
  return {
    timeoutMs: Math.min(tryTimeoutMs * (retries + 1), TIMEOUT_MS_MAX),
    ...(atMostOnce ? { atMostOnce, retries, tryTimeoutMs } : {}),
    priority,
    ordered: (flags & CL_RMD_CALL_ORDERED) !== 0,
    oneWay: (flags & CL_RMD_CALL_ASYNC) !== 0 && !isReplied,
    ...(version === undefined ? {} : { version }),
  }
}

/** A return code as an error that carries it to the caller, where it is one that errors have. */
function errorOf(rc: ClRcT): SdkError {
  const code = Object.keys(ERRORS).find((one) => rcOfCode(one) === rc) ?? 'FAILED_OPERATION'
  return new SdkError(code, `answered with ${rcText(rc)}`)
}
