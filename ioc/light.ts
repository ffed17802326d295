/**
 * A small door for threads that import next to nothing (the watchdog): frames of a raw connection, no library
 * behind it.
 */
export {
  encodeHeartbeat,
  encodeHello,
  HEADER_SIZE_BYTES,
  makeFrameHeader,
  PROTOCOL,
  readHeader,
  viewOf,
} from './frame.ts'
export type { Heartbeat, Hello } from './frame.ts'
