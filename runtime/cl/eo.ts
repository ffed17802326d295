import {
  CL_OK,
  type ClRcT,
  type HandlersOf,
  type Interface,
  type MethodSpecs,
} from '../../idl/index.ts'
import type { App, Call, ClientInstallOptions } from '../eo/app.ts'
import { rcOfError } from './process.ts'

/** Values of the health callback's feedback. SAFplus EO, section 3.7. */
export const CL_EO_DONT_POLL = 'none'
export const CL_EO_BUSY_POLL = 'busy'
export const CL_EO_DEFAULT_POLL = 'default'
export const CL_CPM_EO_ALIVE = 'alive'
export const CL_CPM_EO_DEAD = 'dead'
/** Values of `clEoConfig.threadModel`. */
export const CL_EO_USE_THREAD_FOR_RECV = 'recv'
export const CL_EO_USE_THREAD_FOR_APP = 'app'

/** Installs a function table: `app.eo.clientInstall`. */
export function clEoClientInstall<M extends MethodSpecs>(
  eo: App,
  face: Interface<M>,
  functions: HandlersOf<M, Call> | null,
  options?: ClientInstallOptions,
): ClRcT {
  try {
    eo.eo.clientInstall(face, functions, options)
    return CL_OK
  } catch (error) {
    return rcOfError(error)
  }
}

/** Removes a function table: `app.eo.clientUninstall`. */
export function clEoClientUninstall<M extends MethodSpecs>(eo: App, face: Interface<M>): ClRcT {
  try {
    eo.eo.clientUninstall(face)
    return CL_OK
  } catch (error) {
    return rcOfError(error)
  }
}
