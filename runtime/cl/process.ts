import {
  CL_CID,
  CL_ERR,
  CL_OK,
  isSdkError,
  rcComponent,
  rcError,
  rcOf,
  type ClRcT,
} from '../../idl/index.ts'
import type { App } from '../eo/app.ts'
import { bindMyEo, myEo, type EoIdentity } from '../eo/my-eo.ts'

/** An out-parameter of the original: the function puts its result into `value`. */
export interface ClOut<T> {
  value: T
}

const NULL_POINTER = rcOf(CL_CID.EO, CL_ERR.NULL_POINTER)

/** The EO of the calling thread, undefined when it is bound to none. */
function bound(): EoIdentity | undefined {
  try {
    return myEo()
  } catch {
    return undefined
  }
}

/** Binds the calling thread to an EO: first line of a ported `clCompAppInitialize`, and of a thread of its own. */
export function clEoMyEoObjectSet(eo: EoIdentity): ClRcT {
  if (!eo) return NULL_POINTER
  bindMyEo(eo)
  return CL_OK
}

/** INVALID_STATE on a thread that is bound to no EO. SAFplus EO, section 3.4. */
export function clEoMyEoObjectGet(out: ClOut<EoIdentity | undefined>): ClRcT {
  if (!out) return NULL_POINTER
  out.value = bound()
  return out.value === undefined ? rcOf(CL_CID.EO, CL_ERR.INVALID_STATE) : CL_OK
}

/** The EO's port; INVALID_STATE on a thread that is bound to no EO. */
export function clEoMyEoIocPortGet(out: ClOut<number>): ClRcT {
  const eo = bound()
  if (!out) return NULL_POINTER
  if (eo === undefined) return rcOf(CL_CID.EO, CL_ERR.INVALID_STATE)
  out.value = eo.address.port
  return CL_OK
}

/** The port of an EO is fixed when it opens: OK for that one, else INVALID_PARAMETER. */
export function clEoMyEoIocPortSet(port: number): ClRcT {
  const eo = bound()
  if (eo === undefined) return rcOf(CL_CID.EO, CL_ERR.INVALID_STATE)
  return port === eo.address.port ? CL_OK : rcOf(CL_CID.EO, CL_ERR.INVALID_PARAMETER)
}

/** The node part of the EO's address, 0 on a thread that is bound to no EO. */
export function clIocLocalAddressGet(): number {
  return bound()?.address.node ?? 0
}

/** The bound EO, where it runs on this thread: only there calls can be made by it. @internal */
export function boundApp(): App | undefined {
  const eo = bound()
  return eo !== undefined && 'rmd' in eo ? (eo as App) : undefined
}

/** The return code of anything that was thrown. @internal */
export function rcOfError(error: unknown): ClRcT {
  return isSdkError(error) ? error.rc : rcOf(CL_CID.UNSPECIFIED, CL_ERR.UNSPECIFIED)
}

/**
 * The same of a library: it carries its component id. But a private code of the way there (a node that cannot be
 * reached) stays what it is: its number means something else in the library. SAFplus, section 2.1. @internal
 */
export function rcOfLibrary(cid: number, error: unknown): ClRcT {
  const rc = rcOfError(error)
  const isOfWay = rcError(rc) >= PRIVATE_CODES && WAY.has(rcComponent(rc))
  return isOfWay ? rc : rcOf(cid, rcError(rc))
}

const PRIVATE_CODES = 0x100
const WAY: ReadonlySet<number> = new Set([CL_CID.IOC, CL_CID.RMD, CL_CID.EO])

/** Runs a step and answers with its return code. @internal */
export async function rcOfAsync(step: () => Promise<unknown>): Promise<ClRcT> {
  try {
    await step()
    return CL_OK
  } catch (error) {
    return rcOfError(error)
  }
}
