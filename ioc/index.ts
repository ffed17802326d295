/** The public door of `ioc/`. */
export { addressText, tryParseAddress } from './address-text.ts'
export { destinationText, parseDestination, portRange } from './destination-text.ts'
export { IOC_PORT, IOC_PORT_RANGE } from './address.ts'
export type { Epoch, IocAddress, IocDestination, NameEntry, NameResolver } from './address.ts'
export { systemClock } from './clock.ts'
export type { Clock } from './clock.ts'
export { USER_PROTOCOL } from './frame.ts'
export type { Heartbeat } from './frame.ts'
export type { LaneName } from './lane.ts'
export { DEFAULT_IOC_LIMITS } from './limits.ts'
export type { IocLimits } from './limits.ts'
export type { IocLog } from './log.ts'
export { SEND_PRIORITY } from './messenger.ts'
export type { IocMessage, IocSendOptions, IocSendReport } from './messenger.ts'
export { openPort } from './port.ts'
export type { FlowEvent, Port, PortOptions } from './port.ts'
export type { NodePresenceEvent, PeerInfo } from './presence.ts'
export { createRmd, DEFAULT_TIMEOUT_MS, TIMEOUT_MS_MAX } from './rmd/create-rmd.ts'
export { newTrace } from './rmd/trace.ts'
export type { RmdOptions } from './rmd/create-rmd.ts'
export { DEFAULT_DEDUPE_LIMITS } from './rmd/dedupe-table.ts'
export type { DedupeLimits } from './rmd/dedupe-table.ts'
export type {
  Destination,
  IncomingCall,
  PresenceEvent,
  ReplyStream,
  Rmd,
  RmdCallOptions,
  RmdPriority,
  RmdRawCallOptions,
} from './rmd/rmd.ts'
export { RETRY_COUNT_MAX } from './rmd/retry.ts'
export type { RmdCounters } from './rmd/statistics.ts'
export type { ConnectionStatistics, PeerStatistics, PortStatistics } from './statistics.ts'
export { memoryTransport } from './transport/memory-transport.ts'
export type { MemoryTransportOptions } from './transport/memory-transport.ts'
export { tcpTransport } from './transport/tcp-transport.ts'
export type { TcpNode, TcpTransport, TcpTransportOptions } from './transport/tcp-transport.ts'
export type { TcpTls } from './transport/tcp-tls.ts'
export type {
  Link,
  LinkEvents,
  LinkFailure,
  Listener,
  Refusal,
  RefusalReason,
  Transport,
} from './transport/transport.ts'
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
