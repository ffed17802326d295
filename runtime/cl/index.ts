/**
 * The original's own function names over the API of `holdfast/runtime`, so that its programs port line by line:
 * return
 * codes instead of exceptions, out-parameters as `{ value }`, answers by invocation. One thin line each; nothing here
 * has an implementation of its own.
 */
export {
  CL_AMS_HA_STATE_ACTIVE,
  CL_AMS_HA_STATE_NONE,
  CL_AMS_HA_STATE_QUIESCED,
  CL_AMS_HA_STATE_QUIESCING,
  CL_AMS_HA_STATE_STANDBY,
  clCpmClientFinalize,
  clCpmClientInitialize,
  clCpmComponentFailureClear,
  clCpmComponentFailureReport,
  clCpmComponentNameGet,
  clCpmComponentRegister,
  clCpmComponentUnregister,
  clCpmCSIQuiescingComplete,
  clCpmHAStateGet,
  ClCpmHandleT,
  clCpmResponse,
} from './cpm.ts'
export type { ClCpmCallbacksT } from './cpm.ts'
export {
  CL_AMS_HARS_NOT_READY_FOR_ACTIVE,
  CL_AMS_HARS_NOT_READY_FOR_ASSIGNMENT,
  CL_AMS_HARS_READY_FOR_ACTIVE_DEGRADED,
  CL_AMS_HARS_READY_FOR_ASSIGNMENT,
  CL_AMS_PG_TRACK_CHANGES,
  CL_AMS_PG_TRACK_CHANGES_ONLY,
  CL_AMS_PG_TRACK_CURRENT,
  CL_AMS_PM_ABNORMAL_END,
  CL_AMS_PM_ALL_PROCESSES,
  CL_AMS_PM_NON_ZERO_EXIT,
  CL_AMS_PM_PROC,
  CL_AMS_PM_PROC_AND_DESCENDENTS,
  CL_AMS_PM_ZERO_EXIT,
  CL_CPM_HEALTHCHECK_AMF_INVOKED,
  CL_CPM_HEALTHCHECK_CLIENT_INVOKED,
  clCpmHAReadinessStateSet,
  clCpmHealthcheckConfirm,
  clCpmHealthcheckStart,
  clCpmHealthcheckStop,
  clCpmPmStart,
  clCpmPmStop,
  clCpmProtectionGroupTrack,
  clCpmProtectionGroupTrackStop,
} from './cpm-watch.ts'
export {
  CL_CPM_EO_ALIVE,
  CL_CPM_EO_DEAD,
  CL_EO_BUSY_POLL,
  CL_EO_DEFAULT_POLL,
  CL_EO_DONT_POLL,
  CL_EO_USE_THREAD_FOR_APP,
  CL_EO_USE_THREAD_FOR_RECV,
  clEoClientDataGet,
  clEoClientDataSet,
  clEoClientInstall,
  clEoClientUninstall,
  clEoCustomActionRegister,
  clEoPrivateDataGet,
  clEoPrivateDataSet,
  clEoServiceValidate,
  clEoWalk,
} from './eo.ts'
export {
  clEoMyEoIocPortGet,
  clEoMyEoIocPortSet,
  clEoMyEoObjectGet,
  clEoMyEoObjectSet,
  clIocLocalAddressGet,
} from './process.ts'
export type { ClOut } from './process.ts'
export {
  CL_RMD_CALL_ASYNC,
  CL_RMD_CALL_ATMOST_ONCE,
  CL_RMD_CALL_DO_NOT_OPTIMIZE,
  CL_RMD_CALL_IN_SESSION,
  CL_RMD_CALL_NEED_REPLY,
  CL_RMD_CALL_NON_PERSISTENT,
  CL_RMD_CALL_ORDERED,
  clRmdMaxNumbRetriesGet,
  clRmdMaxPayloadSizeGet,
  clRmdResponseDefer,
  ClRmdResponseContextHandleT,
  clRmdSourceAddressGet,
  clRmdStatsGet,
  clRmdSyncResponseSend,
  clRmdWithMsg,
  clRmdWithMsgVer,
} from './rmd.ts'
export type { ClRmdAsyncCallbackT, ClRmdAsyncOptionsT, ClRmdOptionsT } from './rmd.ts'
