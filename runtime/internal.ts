/** The door for the floors above (`amf/`). Outside users take `runtime/index.ts`. */
export {
  addressSchema,
  CLIENT_ID,
  COMPONENT_ENV,
  Cpm,
  CpmCallbacks,
  csiDescriptorSchema,
  haStateSchema,
  nameEntrySchema,
  recoverySchema,
} from './cpm/interface.ts'
export type { CsiDescriptor, HaState, Recovery, Transition } from './cpm/interface.ts'
export { Dispatcher } from './services/dispatcher.ts'
export { runComponentFile } from './eo/boot.ts'
export { CRASH_EXIT_CODE, readCrashRecord } from './eo/crash-record.ts'
export type { CrashPlace, CrashRecord } from './eo/crash-record.ts'
