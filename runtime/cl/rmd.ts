import { CL_CID, CL_ERR, rcOf, type ClRcT } from '../../idl/index.ts'
import type { Destination, RmdPriority } from '../../ioc/index.ts'
import { boundApp, rcOfAsync, type ClOut } from './process.ts'

/** Flags of a call. SAFplus RMD, section 5.1. */
export const CL_RMD_CALL_ASYNC = 0x01
export const CL_RMD_CALL_NEED_REPLY = 0x02
export const CL_RMD_CALL_ATMOST_ONCE = 0x04
export const CL_RMD_CALL_ORDERED = 0x40

/** Options of a call; the time-out is that of the whole call. */
export interface ClRmdOptionsT {
  readonly timeout?: number
  readonly priority?: RmdPriority
}

/**
 * One call by number and bytes. ASYNC without NEED_REPLY is one way; every other call is awaited, and `outMessage` is
 * set where a reply is needed. INVALID_STATE before `clEoMyEoObjectSet`.
 */
export function clRmdWithMsg(
  to: Destination,
  functionNumber: number,
  inMessage: Uint8Array,
  outMessage: ClOut<Uint8Array> | null,
  flags: number,
  options: ClRmdOptionsT = {},
): Promise<ClRcT> {
  const app = boundApp()
  if (app === undefined) return Promise.resolve(rcOf(CL_CID.RMD, CL_ERR.INVALID_STATE))
  const needsReply = (flags & CL_RMD_CALL_NEED_REPLY) !== 0
  return rcOfAsync(async () => {
    const reply = await app.rmd.call(to, functionNumber, inMessage, {
      ...(options.timeout === undefined ? {} : { timeoutMs: options.timeout }),
      ...(options.priority === undefined ? {} : { priority: options.priority }),
      atMostOnce: (flags & CL_RMD_CALL_ATMOST_ONCE) !== 0,
      ordered: (flags & CL_RMD_CALL_ORDERED) !== 0,
      oneWay: (flags & CL_RMD_CALL_ASYNC) !== 0 && !needsReply,
    })
    if (needsReply && outMessage !== null) outMessage.value = reply
  })
}
