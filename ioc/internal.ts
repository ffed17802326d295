/** The door of `ioc/` for the floors above; programs take `index.ts`. */
export { bootId } from './backplane/process-identity.ts'
export {
  encodeHeartbeat,
  encodeHello,
  FLAG,
  HEADER_SIZE_BYTES,
  makeFrameHeader,
  PROTOCOL,
  viewOf,
  writeHeader,
} from './frame.ts'
export type { FrameHeader, Hello } from './frame.ts'
export { lmdbFileProblem } from './lmdb-file.ts'
export type { DedupeRequest, DedupeVerdict, KeptReply } from './rmd/dedupe-table.ts'
export { flatStatistics } from './statistics.ts'
export { FAULT_DELAY_MS_MAX, FAULT_FILE_ENV } from './transport/faults.schema.ts'
export type { FaultTable } from './transport/faults.schema.ts'
export { socketDirectory, socketPath } from './transport/socket-directory.ts'
// Types only: the backplane's own door brings its store library, which component processes do not load.
export type {
  Backplane,
  BackplaneEvent,
  Leader,
  Member,
  MembershipView,
  ProcessIdentity,
  Store,
  StoreEntry,
} from './backplane/backplane.ts'
