import { CL_CID, CL_ERR, CL_OK, rcOf, rcText, type ClRcT } from '../../idl/index.ts'
import type { HaReadiness, ProcessError, Recovery } from '../cpm/interface.ts'
import type { ProtectionGroupNotification, TrackFlag } from '../cpm/protection-group.ts'
import type { ClCpmHandleT } from './cpm.ts'
import { rcOfAsync, type ClOut } from './process.ts'

/** Who begins a health check. SAFplus AMF, section 7.1. */
export const CL_CPM_HEALTHCHECK_AMF_INVOKED = 1
export const CL_CPM_HEALTHCHECK_CLIENT_INVOKED = 2

/** Flags of protection group tracking. SAFplus AMF, section 7.1. */
export const CL_AMS_PG_TRACK_CURRENT = 0x01
export const CL_AMS_PG_TRACK_CHANGES = 0x02
export const CL_AMS_PG_TRACK_CHANGES_ONLY = 0x04

/** Ends of a process that are errors, for passive monitoring. SAF AMF B.04.01, SaAmfPmErrorsT. */
export const CL_AMS_PM_ZERO_EXIT = 0x01
export const CL_AMS_PM_NON_ZERO_EXIT = 0x02
export const CL_AMS_PM_ABNORMAL_END = 0x04

/** What passive monitoring stops to look at. SAF AMF B.04.01, SaAmfPmStopQualifierT. */
export const CL_AMS_PM_PROC = 1
export const CL_AMS_PM_PROC_AND_DESCENDENTS = 2
export const CL_AMS_PM_ALL_PROCESSES = 3

/** How far a component can take a CSI. SAF AMF B.04.01, SaAmfHAReadinessStateT. */
export const CL_AMS_HARS_READY_FOR_ASSIGNMENT = 1
export const CL_AMS_HARS_READY_FOR_ACTIVE_DEGRADED = 2
export const CL_AMS_HARS_NOT_READY_FOR_ACTIVE = 3
export const CL_AMS_HARS_NOT_READY_FOR_ASSIGNMENT = 4

const INVALID_PARAMETER = rcOf(CL_CID.CPM, CL_ERR.INVALID_PARAMETER)

const INVOCATION = new Map<number, 'AMF_INVOKED' | 'COMPONENT_INVOKED'>([
  [CL_CPM_HEALTHCHECK_AMF_INVOKED, 'AMF_INVOKED'],
  [CL_CPM_HEALTHCHECK_CLIENT_INVOKED, 'COMPONENT_INVOKED'],
])
const READINESS = new Map<number, HaReadiness>([
  [CL_AMS_HARS_READY_FOR_ASSIGNMENT, 'READY_FOR_ASSIGNMENT'],
  [CL_AMS_HARS_READY_FOR_ACTIVE_DEGRADED, 'READY_FOR_ACTIVE_DEGRADED'],
  [CL_AMS_HARS_NOT_READY_FOR_ACTIVE, 'NOT_READY_FOR_ACTIVE'],
  [CL_AMS_HARS_NOT_READY_FOR_ASSIGNMENT, 'NOT_READY_FOR_ASSIGNMENT'],
])
const SCOPE = new Map<number, 'PROCESS' | 'PROCESS_AND_DESCENDANTS' | 'ALL'>([
  [CL_AMS_PM_PROC, 'PROCESS'],
  [CL_AMS_PM_PROC_AND_DESCENDENTS, 'PROCESS_AND_DESCENDANTS'],
  [CL_AMS_PM_ALL_PROCESSES, 'ALL'],
])
const TRACK_FLAGS: readonly (readonly [number, TrackFlag])[] = [
  [CL_AMS_PG_TRACK_CURRENT, 'CURRENT'],
  [CL_AMS_PG_TRACK_CHANGES, 'CHANGES'],
  [CL_AMS_PG_TRACK_CHANGES_ONLY, 'CHANGES_ONLY'],
]
const PROCESS_ERRORS: readonly (readonly [number, ProcessError])[] = [
  [CL_AMS_PM_ZERO_EXIT, 'EXIT_ZERO'],
  [CL_AMS_PM_NON_ZERO_EXIT, 'EXIT_NON_ZERO'],
  [CL_AMS_PM_ABNORMAL_END, 'ABNORMAL_END'],
]

/** `app.cpm.healthCheckStart`. */
export function clCpmHealthcheckStart(
  handle: ClCpmHandleT,
  compName: string,
  key: string,
  invocationType: number,
  recovery: Recovery,
): Promise<ClRcT> {
  const invocation = INVOCATION.get(invocationType)
  return own(handle, compName, invocation, (known) =>
    handle.app.cpm.healthCheckStart({ key, invocation: known, recovery }),
  )
}

/** `app.cpm.healthCheckConfirm`: any `rc` but CL_OK says that the check has failed. */
export function clCpmHealthcheckConfirm(
  handle: ClCpmHandleT,
  compName: string,
  key: string,
  rc: ClRcT,
): Promise<ClRcT> {
  const confirmation = rc === CL_OK ? { key } : { key, error: rcText(rc) }
  return own(handle, compName, confirmation, (said) => handle.app.cpm.healthCheckConfirm(said))
}

/** `app.cpm.healthCheckStop`. */
export function clCpmHealthcheckStop(
  handle: ClCpmHandleT,
  compName: string,
  key: string,
): Promise<ClRcT> {
  return own(handle, compName, key, () => handle.app.cpm.healthCheckStop({ key }))
}

/** `app.cpm.pmStart`. `descendents`: levels that are monitored too, -1 for all. */
export function clCpmPmStart(
  handle: ClCpmHandleT,
  compName: string,
  pid: number,
  descendents: number,
  pmErrors: number,
  recovery: Recovery,
): Promise<ClRcT> {
  return own(handle, compName, words(PROCESS_ERRORS, pmErrors), (errors) =>
    handle.app.cpm.pmStart({ pid, descendants: descendents, errors, recovery }),
  )
}

/** `app.cpm.pmStop`. */
export function clCpmPmStop(
  handle: ClCpmHandleT,
  compName: string,
  stopQualifier: number,
  pid: number,
  pmErrors: number,
): Promise<ClRcT> {
  const scope = SCOPE.get(stopQualifier)
  const errors = words(PROCESS_ERRORS, pmErrors)
  const request = scope === undefined || errors === undefined ? undefined : { pid, scope, errors }
  return own(handle, compName, request, (known) => handle.app.cpm.pmStop(known))
}

/** `app.cpm.haReadinessStateSet`; `csi` null: for all CSIs of the component. */
export function clCpmHAReadinessStateSet(
  handle: ClCpmHandleT,
  compName: string,
  csi: string | null,
  state: number,
): Promise<ClRcT> {
  return own(handle, compName, READINESS.get(state), (known) =>
    handle.app.cpm.haReadinessStateSet({ csi: csi ?? 'all', state: known }),
  )
}

/** `app.cpm.protectionGroupTrack`; `buffer` is filled with CL_AMS_PG_TRACK_CURRENT, and may be null without it. */
export function clCpmProtectionGroupTrack(
  handle: ClCpmHandleT,
  csi: string,
  trackFlags: number,
  buffer: ClOut<ProtectionGroupNotification | null> | null,
): Promise<ClRcT> {
  return rcOfAsync(async () => {
    const flags = words(TRACK_FLAGS, trackFlags) ?? []
    const group = await handle.app.cpm.protectionGroupTrack({ csi, flags })
    if (buffer !== null) buffer.value = group
  })
}

/** `app.cpm.protectionGroupTrackStop`. */
export function clCpmProtectionGroupTrackStop(handle: ClCpmHandleT, csi: string): Promise<ClRcT> {
  return rcOfAsync(() => handle.app.cpm.protectionGroupTrackStop({ csi }))
}

/** A component asks for itself only; a number that stands for nothing is undefined here. */
function own<T>(
  handle: ClCpmHandleT,
  compName: string,
  known: T | undefined,
  step: (known: T) => Promise<unknown>,
): Promise<ClRcT> {
  if (compName !== handle.app.component || known === undefined) {
    return Promise.resolve(INVALID_PARAMETER)
  }
  return rcOfAsync(() => step(known))
}

/** The words of a mask; undefined for a mask that is empty or has other bits. */
function words<T>(table: readonly (readonly [number, T])[], mask: number): T[] | undefined {
  const found = table.filter(([bit]) => (mask & bit) !== 0)
  const rest = found.reduce((left, [bit]) => left & ~bit, mask)
  return rest === 0 && found.length > 0 ? found.map(([, word]) => word) : undefined
}
