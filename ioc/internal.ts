/** The door of `ioc/` for the floors above; programs take `index.ts`. */
export { addressKey, isListenAddress } from './address-text.ts'
export {
  encodeHeartbeat,
  encodeHello,
  FLAG,
  FRAME_VERSION,
  HEADER_SIZE_BYTES,
  makeFrameHeader,
  PROTOCOL,
  readHeader,
  viewOf,
  writeHeader,
} from './frame.ts'
export type { FrameHeader, Hello } from './frame.ts'
export { LimitedLog, silentLog } from './log.ts'
export { DedupeTable } from './rmd/dedupe-table.ts'
export type { DedupeRequest, DedupeVerdict, KeptReply } from './rmd/dedupe-table.ts'
export { versionNumber } from './rmd/wire.ts'
export { SOCKET_PATH_BYTES_MAX, socketDirectory, socketPath } from './transport/socket-directory.ts'
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
