import {
  CL_AMS_HA_STATE_ACTIVE,
  CL_AMS_HA_STATE_NONE,
  CL_AMS_HA_STATE_QUIESCING,
  CL_AMS_HA_STATE_STANDBY,
  CL_CPM_EO_ALIVE,
  CL_EO_BUSY_POLL,
  CL_LOG_DEBUG,
  CL_LOG_ERROR,
  CL_LOG_HANDLE_APP,
  CL_NS_DEFT_GLOBAL_CONTEXT,
  CL_NS_GET_OBJ_REF,
  CL_NS_PRIORITY_HIGH,
  clCkptFinalize,
  clCkptInitialize,
  clCpmClientFinalize,
  clCpmClientInitialize,
  clCpmComponentIdGet,
  clCpmComponentNameGet,
  clCpmComponentRegister,
  clCpmComponentUnregister,
  clCpmCSIQuiescingComplete,
  clCpmResponse,
  clEoMyEoIocPortGet,
  clEoMyEoObjectGet,
  clIocLocalAddressGet,
  clLogWrite,
  clNameComponentDeregister,
  clNameRegister,
  clOsalMutexCreate,
  clOsalMutexDelete,
  type ClCpmCallbacksT,
  type ClCpmHandleT,
  type ClOut,
} from 'holdfast/cl'
import { CL_OK, type ClRcT, rcText, SdkError } from 'holdfast/idl'
import type {
  App,
  ClEoConfig,
  CsiDescriptor,
  EoStateChange,
  HealthFeedback,
} from 'holdfast/runtime'
import {
  clAppCSIRemove,
  clAppFinalize,
  clAppSetActiveState,
  clAppSetQuiescingState,
  clAppSetStandbyState,
  idlClientInstall,
} from './comp-a-app.ts'
import { compADebugRegister } from './comp-a-debug.ts'
import * as compA from './comp-a.ts'
import * as config from './comp-app-config.ts'

const { compADbgPrint, COMP_A_SERVICE_NAME } = compA
const { COMP_EO_NAME } = config

const cpmHandle: ClOut<ClCpmHandleT | undefined> = { value: undefined }
const gAppGlobal: compA.AppGlobal = {
  version: 'B.1.1',
  cpmHandle: undefined,
  count: 0,
  mutex: { value: undefined },
  compId: { value: 0 },
  nameObjRef: { value: CL_NS_GET_OBJ_REF },
  ckptSvcHdl: { value: undefined },
  ckptHdl: { value: undefined },
  haState: CL_AMS_HA_STATE_NONE,
}

async function clCompAppTerminate(invocation: number, compName: string): Promise<ClRcT> {
  compADbgPrint('Inside clCompAppTerminate')
  const cpm = cpmHandle.value!
  // Do the App Finalization
  await clAppFinalize(gAppGlobal)
  compADbgPrint(`Unregister with CPM before Exit ................. ${compName}`)
  await clCpmComponentUnregister(cpm, compName, null)
  compADbgPrint(`Finalize before Exit ................. ${compName}`)
  await clCpmClientFinalize(cpm)
  clCpmResponse(cpm, invocation, CL_OK)
  return CL_OK
}

async function clCompAppAMFCSISet(
  invocation: number,
  compName: string,
  haState: number,
  csiDescriptor: CsiDescriptor,
): Promise<ClRcT> {
  let rc: ClRcT = CL_OK
  compADbgPrint(`Inside Function clCompAppAMFCSISet for ${csiDescriptor.csi} of ${compName}`)
  const cpm = cpmHandle.value!
  if (haState === CL_AMS_HA_STATE_QUIESCING) {
    rc = await clAppSetQuiescingState(gAppGlobal)
    compADbgPrint(`######## before clCpmCSIQuiescingComplete for ${COMP_EO_NAME} ########`)
    clCpmCSIQuiescingComplete(cpm, invocation, rc)
  } else if (haState === CL_AMS_HA_STATE_ACTIVE) {
    rc = await clAppSetActiveState(gAppGlobal)
    compADbgPrint(`######## before clCpmResponse(ACTIVE) for ${COMP_EO_NAME} ########`)
    clCpmResponse(cpm, invocation, rc)
  } else if (haState === CL_AMS_HA_STATE_STANDBY) {
    rc = await clAppSetStandbyState(gAppGlobal)
    compADbgPrint(`######## before clCpmResponse(STANDBY) for ${COMP_EO_NAME} ########`)
    clCpmResponse(cpm, invocation, rc)
  } else {
    compADbgPrint(`######## before clCpmResponse(${haState}) for ${COMP_EO_NAME} ########`)
    clCpmResponse(cpm, invocation, CL_OK)
  }
  if (CL_OK !== rc) {
    compADbgPrint(`clCompAppAMFCSISet failed with ${rcText(rc)} for ${COMP_EO_NAME}`)
  }
  return CL_OK
}

async function clCompAppAMFCSIRemove(
  invocation: number,
  compName: string,
  csiName: string,
): Promise<ClRcT> {
  compADbgPrint(`Inside Function clCompAppAMFCSIRemove for ${csiName} of ${compName}`)
  const rc = await clAppCSIRemove(gAppGlobal)
  clCpmResponse(cpmHandle.value!, invocation, rc)
  return CL_OK
}

/**
 * Service Initialization:
 * 1. Initialize your counter and create mutex.
 * 2. Register Name and generate Logical Address
 * 3. Initialize Checkpoint Service
 */
async function clAppInitialize(handle: ClCpmHandleT): Promise<ClRcT> {
  const compName = { value: '' }
  log(CL_LOG_DEBUG, compA.CL_COMPA_LOG_0_INIT_ENTER)
  gAppGlobal.cpmHandle = handle
  // counter is initialized here
  gAppGlobal.count = 0

  let rc = clOsalMutexCreate(gAppGlobal.mutex)
  if (rc !== CL_OK) return failed('mutex create', compA.CL_COMPA_LOG_1_MUTEX_CREATE_FAILED, rc)

  // register your name with Name Service and get the logical address
  rc = clCpmComponentNameGet(handle, compName)
  if (CL_OK !== rc) {
    failed('component name get', compA.CL_COMPA_LOG_1_NAME_GET_FAILED, rc)
    return mutexCleanup(rc)
  }
  rc = clCpmComponentIdGet(handle, compName.value, gAppGlobal.compId)
  if (CL_OK !== rc) {
    failed('component ID get', compA.CL_COMPA_LOG_1_ID_GET_FAILED, rc)
    return mutexCleanup(rc)
  }
  const nameRegInfo = {
    name: COMP_A_SERVICE_NAME,
    compId: gAppGlobal.compId.value,
    priority: CL_NS_PRIORITY_HIGH,
    attrCount: 0,
  }
  gAppGlobal.nameObjRef.value = CL_NS_GET_OBJ_REF
  rc = await clNameRegister(CL_NS_DEFT_GLOBAL_CONTEXT, nameRegInfo, gAppGlobal.nameObjRef)
  if (rc !== CL_OK) {
    failed('register with name', compA.CL_COMPA_LOG_1_NAME_REGISTER_FAILED, rc)
    return mutexCleanup(rc)
  }
  log(CL_LOG_DEBUG, compA.CL_COMPA_LOG_0_NAME_REGISTERED)

  // Initialize the Checkpoint Service
  rc = clCkptInitialize(gAppGlobal.ckptSvcHdl, null, gAppGlobal.version)
  if (rc !== CL_OK) {
    failed('checkpoint initialize', compA.CL_COMPA_LOG_1_CKPT_INIT_FAILED, rc)
    return nameCleanup(rc)
  }
  rc = compADebugRegister(gAppGlobal)
  if (rc !== CL_OK) {
    compADbgPrint(`Failed to register with debug rc [${rcText(rc)}]`)
    return ckptCleanup(rc)
  }
  compADbgPrint('Successfully completed initialization')
  log(CL_LOG_DEBUG, compA.CL_COMPA_LOG_0_INIT_DONE)
  return CL_OK
}

/** What the original jumps to: each step undoes one of the initialization, then the ones before it. */
async function ckptCleanup(rc: ClRcT): Promise<ClRcT> {
  if (gAppGlobal.ckptSvcHdl.value) await clCkptFinalize(gAppGlobal.ckptSvcHdl.value)
  return nameCleanup(rc)
}

async function nameCleanup(rc: ClRcT): Promise<ClRcT> {
  await clNameComponentDeregister(gAppGlobal.compId.value)
  return mutexCleanup(rc)
}

function mutexCleanup(rc: ClRcT): ClRcT {
  clOsalMutexDelete({ value: gAppGlobal.mutex.value ?? null })
  return rc
}

function log(severity: number, message: string, ...args: readonly unknown[]): void {
  clLogWrite(CL_LOG_HANDLE_APP, severity, COMP_A_SERVICE_NAME, message, ...args)
}

function failed(what: string, message: string, rc: ClRcT): ClRcT {
  compADbgPrint(`Failure in ${what} [${rcText(rc)}]`)
  log(CL_LOG_ERROR, message, rc)
  return rc
}

async function clCompAppInitialize(app: App): Promise<void> {
  // Do the CPM client init/Register
  const version = { value: 'B.1.1' }
  const callbacks: ClCpmCallbacksT = {
    appHealthCheck: null,
    appTerminate: clCompAppTerminate,
    appCSISet: clCompAppAMFCSISet,
    appCSIRmv: clCompAppAMFCSIRemove,
    appProtectionGroupTrack: null,
    appProxiedComponentInstantiate: null,
    appProxiedComponentCleanup: null,
  }
  const iocPort = { value: 0 }
  clEoMyEoIocPortGet(iocPort)
  compADbgPrint(`Application Address ${clIocLocalAddressGet()} Port ${iocPort.value}`)

  let rc = await clCpmClientInitialize(cpmHandle, callbacks, version)
  compADbgPrint(`After clCpmClientInitialize ${rcText(rc)}`)
  const cpm = cpmHandle.value
  if (cpm === undefined) throw new SdkError('FAILED_OPERATION', rcText(rc))

  const pEoObj: Parameters<typeof clEoMyEoObjectGet>[0] = { value: undefined }
  rc = clEoMyEoObjectGet(pEoObj)
  if (rc === CL_OK) rc = idlClientInstall(app, gAppGlobal)
  if (rc === CL_OK) rc = await clAppInitialize(cpm)
  // The original goes on; a component that has not become ready must not be given work.
  if (rc !== CL_OK) throw new SdkError('FAILED_OPERATION', rcText(rc))

  const appName = { value: '' }
  rc = clCpmComponentNameGet(cpm, appName)
  compADbgPrint(`After clCpmComponentNameGet ${rcText(rc)} ${appName.value}`)
  rc = await clCpmComponentRegister(cpm, appName.value, null)
  compADbgPrint(`After clCpmComponentRegister ${rcText(rc)}`)
}

function clCompAppStateChange(eoState: EoStateChange): void {
  // Application state change
  compADbgPrint(`state change: ${eoState}`)
}

function clCompAppHealthCheck(schFeedback: HealthFeedback): void {
  // Modify following as per App requirement
  schFeedback.frequency = CL_EO_BUSY_POLL
  schFeedback.status = CL_CPM_EO_ALIVE
}

export const clEoConfig: ClEoConfig = {
  name: COMP_EO_NAME, // EO Name
  threadPriority: config.COMP_EO_THREAD_PRIORITY, // EO Thread Priority
  threads: config.COMP_EO_NUM_THREAD, // No of EO thread needed
  iocPort: config.COMP_IOC_PORT, // Required Ioc Port
  userClients: config.COMP_EO_USER_CLIENT_ID,
  threadModel: config.COMP_EO_USE_THREAD_MODEL, // Whether to use main thread for eo Recv or not
  initialize: clCompAppInitialize, // Function CallBack to initialize the Application
  finalize: null, // Deprecated: the original's clCompAppFinalize does nothing
  stateChange: clCompAppStateChange, // Function Callback to change the Application state
  healthCheck: clCompAppHealthCheck, // Function Callback to check the Application health
}

export const clEoBasicLibs = config.COMP_EO_BASICLIB

export const clEoClientLibs = config.COMP_EO_CLIENTLIB
