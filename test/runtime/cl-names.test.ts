import { expect, test } from 'vitest'
import * as cl from '../../runtime/cl/index.ts'

/** Functions of the original by area: SAFplus, sections 3.8, 4.2, 5.1, 7.1, 15, 20 and 21. */
const NAMES: Readonly<Record<string, string>> = {
  clEo:
    'ClientInstall ClientUninstall ClientInstallTable ClientInstallTables ' +
    'ClientInstallTablesWithCookie ClientUninstallTable ClientUninstallTables ' +
    'ClientTableRegister ClientTableFilter ClientDataSet ClientDataGet ServiceInstall ' +
    'ServiceUninstall ServiceValidate Walk WalkWithVersion PrivateDataSet PrivateDataGet ' +
    'MyEoObjectGet MyEoObjectSet MyEoIocPortGet MyEoIocPortSet RefInc RefDec ProtoInstall ' +
    'ProtoUninstall ProtoSwitch ThreadSafeInstall NotificationCallbackInstall ' +
    'NotificationCallbackUninstall CustomActionRegister CustomActionTrigger ' +
    'CrashNotificationRegister QueueStatsGet ProgNameGet NameGet',
  clIoc:
    'CommPortCreate CommPortDelete CommPortFdGet CommPortGet PortNotification Send Receive ' +
    'ReceiveAsync ReceiveWithBuffer ReceiveWithBufferAsync CommPortReceiverUnblock ' +
    'TransparencyRegister TransparencyDeregister MulticastRegister MulticastDeregister ' +
    'MulticastDeregisterAll LocalAddressGet TotalNeighborEntryGet NeighborListGet ' +
    'RemoteNodeStatusGet CompStatusGet MasterAddressGet MasterAddressGetExtended ' +
    'MaxPayloadSizeGet VersionCheck HeartBeatStart HeartBeatStop HeartBeatPause HeartBeatUnpause',
  clRmd:
    'WithMsg WithMsgVer ResponseDefer SyncResponseSend SourceAddressGet StatsGet ' +
    'MaxNumbRetriesGet MaxPayloadSizeGet',
  clCpm:
    'ClientInitialize ClientFinalize SelectionObjectGet Dispatch ComponentRegister ' +
    'ComponentUnregister ComponentNameGet ComponentIdGet Response CSIQuiescingComplete ' +
    'HAStateGet ComponentFailureReport ComponentFailureClear HealthcheckStart ' +
    'HealthcheckConfirm HealthcheckStop ProtectionGroupTrack ProtectionGroupTrackStop ' +
    'ComponentStatusGet ComponentAddressGet ComponentAddressGetFast MasterAddressGet ' +
    'MasterAddressGetExtended IsMaster IsSC IsSCCapable NodeShutDown NodeRestart ' +
    'NodeSwitchover MiddlewareRestart CompStatusGet NodeStatusGet NotificationCallbackInstall ' +
    'NotificationCallbackUninstall CompCSIList CompInfoGet ComponentPIDGet LocalNodeNameGet ' +
    'SlotInfoGet IsCompRestarted HAReadinessStateSet PmStart PmStop',
  clTxn:
    'ClientInitialize ClientFinalize TransactionCreate JobAdd JobRemove ComponentSet ' +
    'TransactionStart TransactionStartAsync TransactionCancel JobInfoGet ReadAgentJobsAsync ' +
    'AgentInitialize AgentServiceRegister AgentServiceUnRegister AgentFinalize',
  clBuffer:
    'Initialize Finalize Create CreateAndAllocate Delete Clear LengthGet LengthCalc NBytesRead ' +
    'NBytesWrite DataPrepend HeaderTrim TrailerTrim Concatenate Duplicate Clone ToBufferCopy ' +
    'ReadOffsetGet ReadOffsetSet WriteOffsetGet WriteOffsetSet Flatten Vectorize AppendHeap ' +
    'Checksum16Compute Checksum32Compute Shrink StatsGet PoolStatsGet',
  clHeap:
    'Allocate Calloc Realloc Free Shrink ModeGet StatsGet PoolStatsGet HooksRegister ' +
    'HooksDeregister LibInitialize LibFinalize LibCustomInitialize LibCustomFinalize',
  clTimer:
    'Initialize Finalize Create Start Stop Delete DeleteAsync CheckAndDelete Restart Update ' +
    'TypeGet IsRunning IsStopped StatsGet CreateAndStart CreateCluster ClusterRegister ' +
    'ClusterPack ClusterUnpack ClusterSync',
  clCnt:
    'LlistCreate OrderedLlistCreate HashtblCreate RbtreeCreate ThreadSafeLlistCreate ' +
    'ThreadSafeOrderedLlistCreate ThreadSafeHashtblCreate ThreadSafeRbtreeCreate NodeAdd ' +
    'NodeAddAndNodeGet NodeFind DataForKeyGet NonUniqueKeyFind FirstNodeGet LastNodeGet ' +
    'NextNodeGet PreviousNodeGet NodeUserKeyGet NodeUserDataGet SizeGet KeySizeGet NodeDelete ' +
    'AllNodesForKeyDelete NonUniqueKeyDelete AllNodesDelete Delete Walk WalkFailSafe',
  clClist:
    'Create FirstNodeAdd LastNodeAdd AfterNodeAdd BeforeNodeAdd NodeDelete FirstNodeGet ' +
    'LastNodeGet NextNodeGet PreviousNodeGet Walk DataGet SizeGet Delete',
  clQueue: 'Create NodeInsert NodeDelete Walk SizeGet Delete',
  clRule:
    'ExprAllocate ExprDeallocate ExprAppend ExprDuplicate ExprEvaluate DoubleExprEvaluate ' +
    'ExprLocalConvert ExprConvert ExprFlagsSet ExprFlagsGet ExprOffsetSet ExprOffsetGet ' +
    'ExprMaskSet ExprMaskGet ExprValueSet ExprValueGet ExprMemLenGet ExprPack ExprUnpack ExprPrint',
  clOsal:
    'Initialize Finalize TaskCreateAttached TaskCreateDetached TaskJoin TaskDetach TaskDelay ' +
    'TaskKill TaskDelete SelfTaskIdGet TaskNameGet TaskKeyCreate TaskKeyDelete TaskDataSet ' +
    'TaskDataGet TaskPriorityGet TaskPrioritySet MutexCreate RecursiveMutexInit ' +
    'MutexErrorCheckCreate MutexCreateAndLock MutexLock MutexTryLock MutexUnlock MutexDelete ' +
    'CondCreate CondWait CondSignal CondBroadcast CondDelete SemCreate SemLock SemTryLock ' +
    'SemUnlock SemValueGet SemDelete ShmCreate ShmAttach ShmDetach ShmDelete ProcessCreate ' +
    'ProcessWait ProcessDelete ProcessSelfIdGet Mmap Munmap FileOpen FileClose FileRead ' +
    'FileWrite FileUnlink FileRename PageSizeGet MaxPathGet TimeOfDayGet StopWatchTimeGet ' +
    'NanoTimeGet SigHandlerInitialize',
  clEvent:
    'Initialize InitializeWithVersion SelectionObjectGet Dispatch Finalize ChannelOpen ' +
    'ChannelOpenAsync ChannelClose ChannelUnlink Allocate Free AttributesSet AttributesGet ' +
    'DataGet CookieGet Publish Subscribe Unsubscribe RetentionTimeClear ExtSubscribe ' +
    'ExtWithRbeSubscribe ExtAttributesSet ExtAttributesGet',
  clGms:
    'Initialize Finalize ClusterTrack ClusterTrackStop ClusterMemberGet ClusterMemberGetAsync ' +
    'ClusterJoin ClusterJoinAsync ClusterLeave ClusterLeaveAsync ClusterLeaderElect ' +
    'ClusterMemberEject',
  clTms:
    'GroupCreate GroupDestroy GroupJoin GroupLeave GroupTrack GroupTrackStop ListGroups ' +
    'GetGroupInfo SendAll',
  clName:
    'Register RegisterAndOverwrite ComponentDeregister ServiceDeregister ContextCreate ' +
    'ContextDelete ToObjectReferenceGet ToObjectMappingGet ObjectMappingCleanup ' +
    'LibInitialize LibFinalize',
  clCkpt:
    'Initialize SelectionObjectGet Dispatch Finalize CheckpointOpen CheckpointOpenAsync ' +
    'CheckpointClose CheckpointDelete CheckpointRetentionDurationSet ActiveReplicaSet ' +
    'CheckpointStatusGet SectionCreate SectionDelete SectionExpirationTimeSet ' +
    'SectionIterationInitialize SectionIterationNext SectionIterationFinalize CheckpointWrite ' +
    'SectionOverwrite CheckpointRead CheckpointReadSections CheckpointSynchronize ' +
    'CheckpointSynchronizeAsync ImmediateConsumptionRegister ReplicaChangeRegister ' +
    'ReplicaChangeDeregister SectionOverwriteVector IOVectorFree LibraryInitialize ' +
    'LibraryFinalize LibraryCkptCreate LibraryCkptDelete LibraryCkptDataSetCreate ' +
    'LibraryCkptDataSetDelete LibraryCkptDataSetWrite LibraryCkptDataSetRead ' +
    'LibraryCkptElementCreate LibraryCkptElementDelete LibraryCkptElementWrite ' +
    'LibraryDoesCkptExist LibraryDoesDatasetExist',
  clLog:
    'Initialize SelectionObjectGet Dispatch Finalize StreamOpen StreamClose WriteAsync ' +
    'WriteAsyncWithHeader Write FilterSet HandlerRegister HandlerDeregister HandlerRecordAck ' +
    'FileOpen FileClose FileMetaDataGet FileRecordsGet StreamListGet SeverityStringGet ' +
    'SeverityValueGet',
  clDebug: 'PromptSet Register Deregister PrintInitialize Print PrintFinalize',
  clDbal:
    'Open Close Sync RecordInsert RecordReplace RecordGet RecordDelete FirstRecordGet ' +
    'NextRecordGet KeyFree RecordFree TxnOpen TransactionBegin TransactionCommit TransactionAbort',
}

/** What is left out, by the reason. */
const LEFT_OUT: Readonly<Record<string, string>> = {
  'versions travel with each call: an interface carries its own':
    'clEoClientTableRegister clEoClientTableFilter clIocVersionCheck',
  'a function belongs to the table of an interface, typed as a whole':
    'clEoServiceInstall clEoServiceUninstall',
  'the EO counts what runs by itself, and drains it': 'clEoRefInc clEoRefDec',
  'protocols belong to ports: clIocSend and clIocReceive':
    'clEoProtoInstall clEoProtoUninstall clEoProtoSwitch',
  'threads share no variables: there is nothing to serialize': 'clEoThreadSafeInstall',
  'the agent reads crash records; a process that hangs cannot tell of itself':
    'clEoCrashNotificationRegister',
  'Node.js gives programs no descriptors to select on: promises and callbacks tell':
    'clIocCommPortFdGet clCpmSelectionObjectGet clCpmDispatch ' +
    'clEventSelectionObjectGet clEventDispatch clCkptSelectionObjectGet clCkptDispatch ' +
    'clLogSelectionObjectGet clLogDispatch',
  'clIocReceive is asynchronous, and its memory is that of the message':
    'clIocReceiveAsync clIocReceiveWithBuffer clIocReceiveWithBufferAsync',
  'names follow roles: the director publishes them, nobody registers':
    'clIocTransparencyRegister clIocTransparencyDeregister ' +
    'clIocMasterAddressGet clIocMasterAddressGetExtended clCpmMasterAddressGet ' +
    'clCpmMasterAddressGetExtended clCpmComponentAddressGet clCpmComponentAddressGetFast',
  'liveness is the watchdog and the agent': [
    'clIocHeartBeatStart clIocHeartBeatStop clIocHeartBeatPause clIocHeartBeatUnpause',
  ].join(''),
  'about the whole cluster: the director answers at @amf, on a floor above this one':
    'clCpmComponentStatusGet clCpmIsMaster clCpmIsSC clCpmIsSCCapable clCpmNodeShutDown ' +
    'clCpmNodeRestart clCpmNodeSwitchover clCpmMiddlewareRestart clCpmCompStatusGet ' +
    'clCpmNodeStatusGet clCpmCompCSIList clCpmCompInfoGet clCpmComponentPIDGet ' +
    'clCpmSlotInfoGet clCpmIsCompRestarted',
  'clCkptCheckpointStatusGet names the replicas; which they are is the business of the service':
    'clCkptReplicaChangeRegister clCkptReplicaChangeDeregister',
  'parts of a section are written by clCkptCheckpointWrite': 'clCkptSectionOverwriteVector',
  'a program keeps files of its own by clDbal, and what a standby goes on with in a checkpoint':
    'clCkptLibraryInitialize clCkptLibraryFinalize clCkptLibraryCkptCreate ' +
    'clCkptLibraryCkptDelete clCkptLibraryCkptDataSetCreate clCkptLibraryCkptDataSetDelete ' +
    'clCkptLibraryCkptDataSetWrite clCkptLibraryCkptDataSetRead ' +
    'clCkptLibraryCkptElementCreate clCkptLibraryCkptElementDelete ' +
    'clCkptLibraryCkptElementWrite clCkptLibraryDoesCkptExist clCkptLibraryDoesDatasetExist',
  'there is one table of callbacks: clEventInitialize takes the version':
    'clEventInitializeWithVersion',
  'the garbage collector owns the memory':
    'clNameObjectMappingCleanup clCkptIOVectorFree ' +
    'clHeapShrink clHeapPoolStatsGet clHeapHooksRegister clHeapHooksDeregister ' +
    'clHeapLibCustomInitialize clHeapLibCustomFinalize',
  'state that a standby goes on with is kept in a checkpoint':
    'clTimerCreateCluster clTimerClusterRegister clTimerClusterPack clTimerClusterUnpack ' +
    'clTimerClusterSync',
  'Node.js has no shared memory between processes, no mapped files, no priorities of threads':
    'clOsalShmCreate clOsalShmAttach clOsalShmDetach clOsalShmDelete clOsalMmap clOsalMunmap ' +
    'clOsalPageSizeGet clOsalTaskPriorityGet clOsalTaskPrioritySet',
}

const names = Object.entries(NAMES).flatMap(([prefix, list]) =>
  list.split(' ').map((name) => prefix + name),
)
const leftOut = Object.values(LEFT_OUT).flatMap((list) => list.split(' '))
const exported: Readonly<Record<string, unknown>> = cl

test('every function of the original is there, or left out for a reason', () => {
  const missing = names.filter((name) => typeof exported[name] !== 'function')
  expect(missing.sort()).toEqual([...leftOut].sort())
})

test('no function of these areas is missing from the list', () => {
  const areas = Object.keys(NAMES)
  const functions = Object.keys(exported).filter((name) =>
    areas.some((area) => name.startsWith(area) && /[A-Z]/.test(name.charAt(area.length))),
  )
  expect(functions.filter((name) => !names.includes(name))).toEqual([])
})
