/**
 * A small door for threads that import next to nothing (the watchdog): frames of a raw connection, no library
 * behind it.
 */
export { encodeHeartbeat, encodeHello } from './frame.ts'
export type { Heartbeat, Hello } from './frame.ts'
