import {
  CL_CID,
  CL_ERR,
  CL_OK,
  CL_PRIVATE_ERR,
  isSdkError,
  rcOf,
  rcText,
  SdkError,
  servesVersion,
  versionNumber,
  type ClRcT,
} from '../../idl/index.ts'
import type { App } from '../eo/app.ts'
import { Cpm, type CsiDescriptor, type HaState, type Recovery } from '../cpm/interface.ts'
import type { ProtectionGroupNotification } from '../cpm/protection-group.ts'
import { boundApp, rcOfAsync, type ClOut } from './process.ts'

/** HA states by the original's numbers. SAFplus AMF, section 8.2. */
export const CL_AMS_HA_STATE_NONE = 0
export const CL_AMS_HA_STATE_ACTIVE = 1
export const CL_AMS_HA_STATE_STANDBY = 2
export const CL_AMS_HA_STATE_QUIESCED = 3
export const CL_AMS_HA_STATE_QUIESCING = 4

const HA_NUMBER: Readonly<Record<HaState, number>> = {
  ACTIVE: CL_AMS_HA_STATE_ACTIVE,
  STANDBY: CL_AMS_HA_STATE_STANDBY,
  QUIESCED: CL_AMS_HA_STATE_QUIESCED,
  QUIESCING: CL_AMS_HA_STATE_QUIESCING,
}

/** The original's callback table. Each callback with an invocation is answered by `clCpmResponse`. */
export interface ClCpmCallbacksT {
  readonly appHealthCheck: ((invocation: number, compName: string, key: string) => unknown) | null
  readonly appTerminate: (invocation: number, compName: string) => unknown
  readonly appCSISet: (
    invocation: number,
    compName: string,
    haState: number,
    descriptor: CsiDescriptor,
  ) => unknown
  readonly appCSIRmv: (invocation: number, compName: string, csiName: string) => unknown
  /** For a proxy. */
  readonly appProxiedComponentInstantiate?:
    ((invocation: number, compName: string) => unknown) | null
  readonly appProxiedComponentCleanup?: ((invocation: number, compName: string) => unknown) | null
  /** For `clCpmProtectionGroupTrack` with CHANGES or CHANGES_ONLY. */
  readonly appProtectionGroupTrack?:
    | ((
        csiName: string,
        members: ProtectionGroupNotification['members'],
        numMembers: number,
        rc: ClRcT,
      ) => unknown)
    | null
}

/** What `clCpmClientInitialize` gives back, and every other function takes: one component's client. */
export class ClCpmHandleT {
  readonly app: App
  readonly #answers = new Map<number, { resolve: () => void; reject: (error: Error) => void }>()
  #invocation = 0

  constructor(app: App) {
    this.app = app
  }

  /** Runs a callback and waits for its answer, which may come from anywhere later. @internal */
  ask(run: (invocation: number) => unknown): Promise<void> {
    const invocation = ++this.#invocation
    return new Promise((resolve, reject) => {
      this.#answers.set(invocation, { resolve, reject })
      // What it throws, at once or later, is its answer.
      const running = (async () => run(invocation))()
      running.catch((error: unknown) => {
        this.#answers.delete(invocation)
        reject(error instanceof Error ? error : new Error(String(error)))
      })
    })
  }

  /** @internal */
  answer(invocation: number, rc: ClRcT): ClRcT {
    const waiting = this.#answers.get(invocation)
    if (waiting === undefined) return rcOf(CL_CID.CPM, CL_ERR.DOESNT_EXIST)
    this.#answers.delete(invocation)
    if (rc === CL_OK) waiting.resolve()
    else waiting.reject(new SdkError('FAILED_OPERATION', `answered with ${rcText(rc)}`))
    return CL_OK
  }
}

/**
 * `app.cpm.initialize` with the original's callbacks. INVALID_STATE before `clEoMyEoObjectSet`; VERSION_MISMATCH, with
 * the version that there is in `version`.
 */
export function clCpmClientInitialize(
  handle: ClOut<ClCpmHandleT | undefined>,
  callbacks: ClCpmCallbacksT,
  version?: ClOut<string>,
): Promise<ClRcT> {
  if (!handle || !callbacks) return Promise.resolve(rcOf(CL_CID.CPM, CL_ERR.NULL_POINTER))
  const app = boundApp()
  if (app === undefined) return Promise.resolve(rcOf(CL_CID.CPM, CL_ERR.INVALID_STATE))
  if (version !== undefined) {
    const asked = versionNumber(version.value)
    version.value = Cpm.version
    if (!servesVersion(versionNumber(Cpm.version), 0, asked)) {
      return Promise.resolve(rcOf(CL_CID.CPM, CL_ERR.VERSION_MISMATCH))
    }
  }
  const made = new ClCpmHandleT(app)
  handle.value = made
  const {
    appHealthCheck,
    appProxiedComponentInstantiate: instantiate,
    appProxiedComponentCleanup: cleanup,
    appProtectionGroupTrack: track,
  } = callbacks
  return rcOfAsync(() =>
    app.cpm.initialize({
      csiSet: (haState, descriptor, name) =>
        made.ask((i) => callbacks.appCSISet(i, name, HA_NUMBER[haState], descriptor)),
      csiRemove: (csi, name) => made.ask((i) => callbacks.appCSIRmv(i, name, csi)),
      terminate: (name) => made.ask((i) => callbacks.appTerminate(i, name)),
      ...(appHealthCheck === null
        ? {}
        : { healthCheck: (key, name) => made.ask((i) => appHealthCheck(i, name, key)) }),
      ...(instantiate
        ? { proxiedComponentInstantiate: (name) => made.ask((i) => instantiate(i, name)) }
        : {}),
      ...(track
        ? {
            protectionGroupTrack: ({ csi, members, numberOfMembers }) => {
              track(csi, members, numberOfMembers, CL_OK)
            },
          }
        : {}),
      ...(cleanup ? { proxiedComponentCleanup: (name) => made.ask((i) => cleanup(i, name)) } : {}),
    }),
  )
}

/**
 * "I am ready for work": `app.cpm.register`. A proxy names the component that it registers; its own name, which the
 * original takes beside it, is known.
 */
export function clCpmComponentRegister(
  handle: ClCpmHandleT,
  compName?: string,
  _proxyCompName?: string | null,
): Promise<ClRcT> {
  return ofLife(handle, () =>
    handle.app.cpm.register(compName === undefined ? {} : { component: compName }),
  )
}

/** `app.cpm.unregister`: of the calling component, or of one that it acts for. */
export function clCpmComponentUnregister(
  handle: ClCpmHandleT,
  compName?: string,
  _proxyCompName?: string | null,
): Promise<ClRcT> {
  return ofLife(handle, () =>
    handle.app.cpm.unregister(compName === undefined ? {} : { component: compName }),
  )
}

/** `app.cpm.finalize`. */
export function clCpmClientFinalize(handle: ClCpmHandleT): Promise<ClRcT> {
  return ofLife(handle, () => handle.app.cpm.finalize())
}

/** Answers a callback. DOESNT_EXIST for an invocation that nobody waits for. */
export function clCpmResponse(handle: ClCpmHandleT, invocation: number, rc: ClRcT): ClRcT {
  return isHandle(handle) ? handle.answer(invocation, rc) : INVALID_HANDLE
}

/** Answers csiSet QUIESCING when the work is drained. */
export function clCpmCSIQuiescingComplete(
  handle: ClCpmHandleT,
  invocation: number,
  rc: ClRcT,
): ClRcT {
  return isHandle(handle) ? handle.answer(invocation, rc) : INVALID_HANDLE
}

/** The component's name. */
export function clCpmComponentNameGet(handle: ClCpmHandleT, out: ClOut<string>): ClRcT {
  if (!isHandle(handle)) return INVALID_HANDLE
  if (!out) return NULL_POINTER
  out.value = handle.app.component
  return CL_OK
}

/**
 * The number of this life of the component, as the name service takes it: node and port of its address, 16 bits each.
 * DOESNT_EXIST for another component.
 */
export function clCpmComponentIdGet(
  handle: ClCpmHandleT,
  compName: string,
  out: ClOut<number>,
): ClRcT {
  if (!isHandle(handle)) return INVALID_HANDLE
  if (!out) return NULL_POINTER
  const { component, address } = handle.app
  if (compName !== component) return rcOf(CL_CID.CPM, CL_ERR.DOESNT_EXIST)
  out.value = address.node * 0x1_0000 + address.port
  return CL_OK
}

/** The component's state for a CSI, `CL_AMS_HA_STATE_NONE` when it has none. DOESNT_EXIST for another component. */
export function clCpmHAStateGet(
  handle: ClCpmHandleT,
  compName: string,
  csi: string,
  out: ClOut<number>,
): ClRcT {
  if (!isHandle(handle)) return INVALID_HANDLE
  if (!out) return NULL_POINTER
  if (compName !== handle.app.component) return rcOf(CL_CID.CPM, CL_ERR.DOESNT_EXIST)
  const haState = handle.app.cpm.haStateGet(csi)
  out.value = haState === null ? CL_AMS_HA_STATE_NONE : HA_NUMBER[haState]
  return CL_OK
}

/**
 * `app.cpm.errorReport`. The time, in ns since 1970, goes into the message; 0: now. Where the original takes the handle
 * of an alarm stands what is told of the error.
 */
export function clCpmComponentFailureReport(
  handle: ClCpmHandleT,
  compName: string,
  errorDetectionTime: bigint,
  recovery: Recovery,
  message: string,
): Promise<ClRcT> {
  const at = new Date(Number(BigInt(errorDetectionTime) / 1_000_000n))
  const text = at.getTime() === 0 ? message : `${message} (detected at ${at.toISOString()})`
  return ofLife(handle, () => handle.app.cpm.errorReport(text, recovery, compName))
}

/** `app.cpm.errorClear`. */
export function clCpmComponentFailureClear(handle: ClCpmHandleT, compName: string): Promise<ClRcT> {
  return ofLife(handle, () => handle.app.cpm.errorClear(compName))
}

/** Name of the node that the component runs on. */
export function clCpmLocalNodeNameGet(handle: ClCpmHandleT, out: ClOut<string>): ClRcT {
  if (!isHandle(handle)) return INVALID_HANDLE
  if (!out) return NULL_POINTER
  out.value = handle.app.node
  return CL_OK
}

const INVALID_HANDLE = rcOf(CL_CID.CPM, CL_ERR.INVALID_HANDLE)
const NULL_POINTER = rcOf(CL_CID.CPM, CL_ERR.NULL_POINTER)

function isHandle(handle: unknown): boolean {
  return handle instanceof ClCpmHandleT
}

/** Codes of the component manager for what is in the wrong order in a component's life. SAFplus AMF, section 7.1. */
const CODES_OF_LIFE = new Map([
  ['NOT_INITIALIZED', CL_PRIVATE_ERR.CPM.INIT],
  ['ALREADY_EXIST', CL_PRIVATE_ERR.CPM.EXIST],
  ['BAD_OPERATION', CL_PRIVATE_ERR.CPM.BAD_OPERATION],
])

async function ofLife(handle: ClCpmHandleT, step: () => Promise<unknown>): Promise<ClRcT> {
  if (!isHandle(handle)) return INVALID_HANDLE
  let code: number | undefined
  const rc = await rcOfAsync(async () => {
    try {
      await step()
    } catch (error) {
      if (isSdkError(error)) code = CODES_OF_LIFE.get(error.code)
      throw error
    }
  })
  return code === undefined ? rc : rcOf(CL_CID.CPM, code)
}
