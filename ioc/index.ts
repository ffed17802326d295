/** The public door of `ioc/`. */
export { addressText, tryParseAddress } from './address-text.ts'
export { IOC_PORT } from './address.ts'
export type { Epoch, IocAddress, NameEntry, NameResolver } from './address.ts'
export { systemClock } from './clock.ts'
export type { Clock } from './clock.ts'
export type { Heartbeat } from './frame.ts'
export { DEFAULT_IOC_LIMITS } from './limits.ts'
export type { IocLimits } from './limits.ts'
export type { IocLog } from './log.ts'
export { openPort } from './port.ts'
export type { Port, PortOptions } from './port.ts'
export { createRmd, DEFAULT_TIMEOUT_MS, TIMEOUT_MS_MAX } from './rmd/create-rmd.ts'
export type { RmdOptions } from './rmd/create-rmd.ts'
export { DEFAULT_DEDUPE_LIMITS } from './rmd/dedupe-table.ts'
export type { DedupeLimits } from './rmd/dedupe-table.ts'
export type {
  Destination,
  IncomingCall,
  PresenceEvent,
  Rmd,
  RmdCallOptions,
  RmdPriority,
} from './rmd/rmd.ts'
export { memoryTransport } from './transport/memory-transport.ts'
export type { MemoryTransportOptions } from './transport/memory-transport.ts'
export type { Link, LinkEvents, LinkFailure, Listener, Transport } from './transport/transport.ts'
export { unixTransport } from './transport/unix-transport.ts'
export type { UnixTransportOptions } from './transport/unix-transport.ts'
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
