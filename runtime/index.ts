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
export { EoManagement } from './eo/management-interface.ts'
