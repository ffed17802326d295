import { basename } from 'node:path'
import {
  CL_OK,
  type ClRcT,
  type HandlersOf,
  type Interface,
  type MethodSpecs,
} from '../../idl/index.ts'
import type { Destination } from '../../ioc/index.ts'
import type { App, Call, ClientInstallOptions } from '../eo/app.ts'
import { EoManagement } from '../eo/management-interface.ts'
import { given } from './library.ts'
import { rcOfAsync, rcOfError, type ClOut } from './process.ts'

/** Values of the health callback's feedback. SAFplus EO, section 3.7. */
export const CL_EO_DONT_POLL = 'none'
export const CL_EO_BUSY_POLL = 'busy'
export const CL_EO_DEFAULT_POLL = 'default'
export const CL_CPM_EO_ALIVE = 'alive'
export const CL_CPM_EO_DEAD = 'dead'
/** Values of `clEoConfig.threadModel`. */
export const CL_EO_USE_THREAD_FOR_RECV = 'recv'
export const CL_EO_USE_THREAD_FOR_APP = 'app'

/**
 * Installs a function table: `app.eo.clientInstall`. Installed again, it covers the earlier one. Functions that are
 * left out are a worker module's.
 */
export function clEoClientInstall<M extends MethodSpecs>(
  eo: App,
  face: Interface<M>,
  functions: Partial<HandlersOf<M, Call>> | null,
  options?: ClientInstallOptions,
): ClRcT {
  // What is missing is found out, and named, where it is installed.
  return rcOfCall(() =>
    app(eo).eo.clientInstall(given('face', face), functions as HandlersOf<M, Call>, options),
  )
}

/** Removes the latest function table: `app.eo.clientUninstall`. */
export function clEoClientUninstall<M extends MethodSpecs>(eo: App, face: Interface<M>): ClRcT {
  return rcOfCall(() => app(eo).eo.clientUninstall(face))
}

/** Sets what functions of a table find as `call.data`: `app.eo.clientDataSet`. */
export function clEoClientDataSet<M extends MethodSpecs>(
  eo: App,
  face: Interface<M>,
  data: unknown,
): ClRcT {
  return rcOfCall(() => app(eo).eo.clientDataSet(face, data))
}

/** `app.eo.clientDataGet`. */
export function clEoClientDataGet<M extends MethodSpecs>(
  eo: App,
  face: Interface<M>,
  out: ClOut<unknown>,
): ClRcT {
  return rcOfCall(() => void (given('out', out).value = app(eo).eo.clientDataGet(face)))
}

/** Visits the stacked functions of a method, the latest first, until one visit answers with another code than OK. */
export function clEoWalk<M extends MethodSpecs, K extends keyof M & string>(
  eo: App,
  face: Interface<M>,
  method: K,
  caller: (run: HandlersOf<M, Call>[K]) => ClRcT,
): ClRcT {
  let rc: ClRcT = CL_OK
  const walked = rcOfCall(() =>
    app(eo).eo.walk(face, method, (run) => {
      rc = caller(run)
      return rc === CL_OK
    }),
  )
  return walked === CL_OK ? rc : walked
}

/** OK when a function answers to the number: `app.eo.serviceValidate`. */
export function clEoServiceValidate(eo: App, functionNumber: number): ClRcT {
  return rcOfCall(() => app(eo).eo.serviceValidate(functionNumber))
}

/** `app.eo.privateDataSet`. */
export function clEoPrivateDataSet(eo: App, key: number, value: unknown): ClRcT {
  return rcOfCall(() => app(eo).eo.privateDataSet(key, value))
}

/** `app.eo.privateDataGet`; NOT_EXIST when nothing was set. */
export function clEoPrivateDataGet(eo: App, key: number, out: ClOut<unknown>): ClRcT {
  return rcOfCall(() => void (given('out', out).value = app(eo).eo.privateDataGet(key)))
}

/** `app.eo.customActionRegister`. */
export function clEoCustomActionRegister(
  eo: App,
  action: Parameters<App['eo']['customActionRegister']>[0],
): ClRcT {
  return rcOfCall(() => app(eo).eo.customActionRegister(action))
}

function rcOfCall(step: () => void): ClRcT {
  try {
    step()
    return CL_OK
  } catch (error) {
    return rcOfError(error)
  }
}

/** The same as `clEoClientInstall`: an interface carries its version, and versions stand side by side. */
export const clEoClientInstallTable = clEoClientInstall

/** The same as `clEoClientUninstall`. */
export const clEoClientUninstallTable = clEoClientUninstall

/** The same as `clEoWalk`: the version is that of the interface. */
export const clEoWalkWithVersion = clEoWalk

/** What `clEoClientInstallTables` installs: the arguments of `clEoClientInstall` without the EO. */
export interface ClEoTableT<M extends MethodSpecs = MethodSpecs> {
  readonly face: Interface<M>
  readonly functions: HandlersOf<M, Call> | null
  readonly options?: ClientInstallOptions
}

/** Installs tables in their order, all or none. */
export function clEoClientInstallTables(eo: App, tables: readonly ClEoTableT[]): ClRcT {
  const done: ClEoTableT[] = []
  for (const table of tables) {
    const rc = clEoClientInstall(eo, table.face, table.functions, table.options)
    if (rc !== CL_OK) {
      for (const { face } of done.reverse()) clEoClientUninstall(eo, face)
      return rc
    }
    done.push(table)
  }
  return CL_OK
}

/** `clEoClientInstallTables`, with one value that every function finds as `call.data`. */
export function clEoClientInstallTablesWithCookie(
  eo: App,
  tables: readonly ClEoTableT[],
  data: unknown,
): ClRcT {
  const withData = tables.map((table) => ({ ...table, options: { ...table.options, data } }))
  return clEoClientInstallTables(eo, withData)
}

/** Removes tables in their order; the first code that is not OK. */
export function clEoClientUninstallTables(eo: App, tables: readonly ClEoTableT[]): ClRcT {
  const codes = tables.map(({ face }) => clEoClientUninstall(eo, face))
  return codes.find((rc) => rc !== CL_OK) ?? CL_OK
}

/** Custom action of another component, or of this one: management function 7. */
export function clEoCustomActionTrigger(
  eo: App,
  to: Destination,
  type: number,
  data: Uint8Array,
): Promise<ClRcT> {
  return rcOfAsync(() =>
    app(eo)
      .rmd.client(EoManagement, { to })
      .customAction({ type, data: Uint8Array.from(data) }),
  )
}

/** Name of an EO, `clEoConfig.name`: management function 8. */
export function clEoNameGet(eo: App, to: Destination, out: ClOut<string>): Promise<ClRcT> {
  return rcOfAsync(async () => {
    given('out', out).value = (await app(eo).rmd.client(EoManagement, { to }).describe({})).eo
  })
}

/** Counters of an EO and its queues: management function 3. */
export function clEoQueueStatsGet(
  eo: App,
  to: Destination,
  out: ClOut<Readonly<Record<string, number>>>,
): Promise<ClRcT> {
  return rcOfAsync(async () => {
    given('out', out).value = (await app(eo).rmd.client(EoManagement, { to }).statistics({})).eo
  })
}

/** Name of the program's file. */
export function clEoProgNameGet(out: ClOut<string>): ClRcT {
  return rcOfCall(() => {
    given('out', out).value = basename(process.argv[1] ?? process.execPath)
  })
}

/** @throws SdkError NULL_POINTER where there is no EO. */
function app(eo: App): App {
  return given('eo', eo)
}
