import { CL_CID, CL_ERR, CL_OK, isSdkError, rcOf, type ClRcT } from '../../idl/index.ts'
import type { App } from '../eo/app.ts'

/** An out-parameter of the original: the function puts its result into `value`. */
export interface ClOut<T> {
  value: T
}

/**
 * What the original keeps once a process: the Execution Object that the functions without a handle work on. It is the
 * only state of this folder that outlives a call, and `clEoMyEoObjectSet` is the only thing that sets it.
 */
const bound: { app: App | undefined } = { app: undefined }

/** Binds the process to an EO: first line of a ported `clCompAppInitialize`. */
export function clEoMyEoObjectSet(app: App): ClRcT {
  bound.app = app
  return CL_OK
}

/** INVALID_STATE before `clEoMyEoObjectSet`. SAFplus EO, section 3.4. */
export function clEoMyEoObjectGet(out: ClOut<App | undefined>): ClRcT {
  out.value = bound.app
  return bound.app === undefined ? rcOf(CL_CID.EO, CL_ERR.INVALID_STATE) : CL_OK
}

/** The EO's port; INVALID_STATE before `clEoMyEoObjectSet`. */
export function clEoMyEoIocPortGet(out: ClOut<number>): ClRcT {
  if (bound.app === undefined) return rcOf(CL_CID.EO, CL_ERR.INVALID_STATE)
  out.value = bound.app.address.port
  return CL_OK
}

/** The port of an EO is fixed when it opens: OK for that one, else INVALID_PARAMETER. */
export function clEoMyEoIocPortSet(port: number): ClRcT {
  if (bound.app === undefined) return rcOf(CL_CID.EO, CL_ERR.INVALID_STATE)
  return port === bound.app.address.port ? CL_OK : rcOf(CL_CID.EO, CL_ERR.INVALID_PARAMETER)
}

/** The node part of the EO's address, 0 before `clEoMyEoObjectSet`. */
export function clIocLocalAddressGet(): number {
  return bound.app?.address.node ?? 0
}

/** The bound EO. @internal */
export function boundApp(): App | undefined {
  return bound.app
}

/** The return code of anything that was thrown. @internal */
export function rcOfError(error: unknown): ClRcT {
  return isSdkError(error) ? error.rc : rcOf(CL_CID.UNSPECIFIED, CL_ERR.UNSPECIFIED)
}

/** Runs a step and answers with its return code. @internal */
export async function rcOfAsync(step: () => Promise<unknown>): Promise<ClRcT> {
  try {
    await step()
    return CL_OK
  } catch (error) {
    return rcOfError(error)
  }
}
