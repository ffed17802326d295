/** The door for the floors above (`amf/`). Outside users take `runtime/index.ts`. */
export {
  addressSchema,
  CLIENT_ID,
  COMPONENT_ENV,
  Cpm,
  CpmCallbacks,
  csiDescriptorSchema,
  haReadinessSchema,
  haStateSchema,
  protectionGroupSchema,
  nameEntrySchema,
  recoverySchema,
} from './cpm/interface.ts'
export type {
  CsiDescriptor,
  HaReadiness,
  HaState,
  ProcessError,
  ProtectionGroup,
  Recovery,
  Transition,
} from './cpm/interface.ts'
export { RegisteredNames } from './cpm/registered-names.ts'
export type { RegisteredNamesNews } from './cpm/registered-names.ts'
export { isNotLater } from './cpm/protection-group.ts'
export { DebugCommands } from './services/debug/interface.ts'
export { eventLibrary } from './services/event/client.ts'
export { LogFollower } from './services/log/follow.ts'
export { LogService } from './services/log/interface.ts'
export { recordText } from './services/log/record-line.ts'
export { levelOfSeverity, parseSeverity } from './services/log/severity.ts'
export { Dispatcher } from './services/dispatcher.ts'
export { tappedOutput } from './eo/logger.ts'
export { CRASH_EXIT_CODE, readCrashRecord } from './eo/crash-record.ts'
export type { CrashPlace, CrashRecord } from './eo/crash-record.ts'
