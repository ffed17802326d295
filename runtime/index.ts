/** The public door of `runtime/`: what components and other programs are written with. */
export { connect } from './connect.ts'
export type { Connection, ConnectOptions } from './connect.ts'
export type { TrackRequest } from './cpm/group-tracking.ts'
export type {
  CsiDescriptor,
  HaReadiness,
  HaState,
  ProcessError,
  Recovery,
  Transition,
} from './cpm/interface.ts'
export type {
  MemberChange,
  ProtectionGroupMember,
  ProtectionGroupNotification,
  TrackFlag,
} from './cpm/protection-group.ts'
export type {
  App,
  Call,
  Checkpoint,
  CheckpointClient,
  CheckpointOptions,
  CheckpointView,
  ClientInstallOptions,
  CpmCallbackTable,
  CpmClient,
  EoClient,
  MonitorRequest,
} from './eo/app.ts'
export { runComponent } from './eo/boot.ts'
export type {
  ClEoBasicLibs,
  ClEoClientLibs,
  ClEoConfig,
  ComponentModule,
  QueueCrossing,
} from './eo/config.schema.ts'
export type { MainFunction, MainThread } from './eo/main-thread.ts'
export { bindMyEo, myEo } from './eo/my-eo.ts'
export type { EoIdentity } from './eo/my-eo.ts'
export type { EoStateChange, HealthFeedback } from './eo/health.ts'
export type { DebugClient, DebugCommand, DebugRegistration } from './services/debug/client.ts'
export { ocEv } from './services/cluster-events/oc-ev.ts'
export type {
  OcEvConstants,
  OcEvEvent,
  OcEvFunctions,
  OcEvOwner,
  OcEvVersion,
} from './services/cluster-events/oc-ev.ts'
export type { OcEvFd, OcEvSignal } from './services/cluster-events/activation.ts'
export type { ClusterEvents } from './services/cluster-events/client.ts'
export type { OcEvClass, OcEvStyle } from './services/cluster-events/descriptor.ts'
export type {
  OcEvCallback,
  OcEvCookie,
  OcEvDataOf,
  OcEvHandle,
} from './services/cluster-events/handle.ts'
export type {
  OcEvConnectivity,
  OcEvData,
  OcEvGroup,
  OcEvGroupMember,
  OcEvMembership,
  OcEvNode,
} from './services/cluster-events/interface.ts'
export type { OcEvReadiness } from './services/cluster-events/readiness.ts'
export type {
  EventChannel,
  EventFilter,
  PublishRequest,
  SubscribeRequest,
} from './services/event/channel.ts'
export type {
  ChannelFlag,
  ChannelOpenAnswer,
  ChannelOpenRequest,
  EventCallbacks,
  EventClient,
  EventHandle,
} from './services/event/client.ts'
export { LOST_EVENT_PATTERN } from './services/event/delivered-event.ts'
export type { DeliveredEvent, EventPriority } from './services/event/delivered-event.ts'
export { EVENT_LIMITS } from './services/event/interface.ts'
export type { ChannelScope, FilterType } from './services/event/interface.ts'
export type {
  GroupCallbacks,
  GroupClient,
  GroupEjection,
  GroupHandle,
  GroupJoin,
} from './services/group/client.ts'
export type {
  GroupEjectReason,
  GroupInfo,
  GroupMember,
  GroupMemberChange,
  GroupMessage,
  GroupNotification,
} from './services/group/interface.ts'
export type {
  LogClient,
  LogFileQuery,
  LogFileReader,
  LogFilterChange,
  LogOutcome,
  LogStream,
  LogStreamRequest,
} from './services/log/client.ts'
export type { ComponentLog } from './services/log/component-log.ts'
export type { LogHandler, LogHandlerRequest } from './services/log/handlers.ts'
export type {
  LogAttributes,
  LogFileInfo,
  LogFilter,
  LogScope,
  LogStreamInfo,
  StoredRecord,
} from './services/log/interface.ts'
export type { LogEntry } from './services/log/make-record.ts'
export { LOG_SEVERITY } from './services/log/severity.ts'
export type { LogSeverity } from './services/log/severity.ts'
export type {
  NameClient,
  NameQuery,
  NameRegistration,
  NameWatcher,
} from './services/name/client.ts'
export { NAME_CONTEXT } from './services/name/interface.ts'
export type {
  NameAttribute,
  NameChange,
  NameMapping,
  NamePriority,
} from './services/name/interface.ts'
export type { TransactionCallbacks, TransactionJob } from './services/transaction/agent-jobs.ts'
export type {
  TransactionAgentHandle,
  TransactionServiceRegistration,
} from './services/transaction/agent-handle.ts'
export type { TransactionClient } from './services/transaction/client.ts'
export type {
  AgentJobReading,
  Transaction,
  TransactionClientHandle,
  TransactionCompletion,
  TransactionOptions,
  TransactionState,
} from './services/transaction/client-handle.ts'
export { SERVICE_TYPE_ANY } from './services/transaction/interface.ts'
export type {
  Participation,
  TransactionFailure,
  TransactionPhase,
  TransactionReport,
} from './services/transaction/interface.ts'
export type {
  CheckpointCreation,
  CheckpointOpenFlag,
  CheckpointOpenRequest,
  NamedCheckpointCallbacks,
  NamedCheckpointClient,
  NamedCheckpointService,
} from './services/named-checkpoint/client.ts'
export type {
  NamedCheckpointHandle,
  NamedCheckpointStatus,
  SectionCreation,
  SectionRead,
  SectionWrite,
  UpdateConsumer,
} from './services/named-checkpoint/handle-contract.ts'
export type {
  CreationFlag,
  SectionDescriptor,
  SectionsChosen,
  SectionUpdate,
} from './services/named-checkpoint/interface.ts'
export { EoManagement } from './eo/management-interface.ts'
export { MessageBuffer, BufferPool } from './basic/buffer/message-buffer.ts'
export type { SeekFrom } from './basic/buffer/message-buffer.ts'
export type { BufferPoolOptions, BufferStatistics } from './basic/buffer/pool.ts'
export { CircularList } from './basic/circular-list.ts'
export type { CircularListNode, CircularListOptions } from './basic/circular-list.ts'
export { Container } from './basic/container/container.ts'
export type { ContainerKind, ContainerOptions } from './basic/container/container.ts'
export type { Compare, ContainerNode } from './basic/container/order.ts'
export { Heap, heapUse, watchHeap } from './basic/heap.ts'
export type { HeapOptions, HeapStatistics, HeapUse, HeapWatchOptions } from './basic/heap.ts'
export { Queue } from './basic/queue.ts'
export type { QueueOptions, QueueStatistics } from './basic/queue.ts'
export {
  appendRule,
  convertRule,
  duplicateRule,
  evaluateDouble,
  evaluateRule,
  localizeRule,
  RULE_FLAG,
  RuleExpression,
} from './basic/rule/expression.ts'
export { packedBytes, packRule, ruleText, unpackRule } from './basic/rule/pack.ts'
export { Timer, Timers } from './basic/timer/timers.ts'
export type {
  TimerContext,
  TimerOptions,
  TimersOptions,
  TimerStatistics,
  TimerType,
} from './basic/timer/timers.ts'
export { MEMORY_LEVELS } from './basic/watermark.ts'
export type { Crossing, Level } from './basic/watermark.ts'
export { Database } from './dbal/database.ts'
export type { DatabaseMode, DatabaseOptions, DatabaseRecord } from './dbal/database.ts'
export { Condition, Mutex, Semaphore, WAIT_MS_DEFAULT } from './osal/lock.ts'
export type { MutexKind, SharedMutex } from './osal/lock.ts'
export { HANDLED_SIGNALS, handleSignals, OsProcess } from './osal/process.ts'
export type { ProcessEnd, ProcessOptions } from './osal/process.ts'
export { delay, Task, taskData, taskId, taskName } from './osal/task.ts'
export type { TaskOptions } from './osal/task.ts'
export { createTaskKey, deleteTaskLocal, setTaskLocal, taskLocal } from './osal/task-local.ts'
export type { TaskKey } from './osal/task-local.ts'
