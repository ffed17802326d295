import type { IocAddress } from './address.ts'
import type { Connection } from './connection.ts'
import type { FrameHeader, Heartbeat } from './frame.ts'
import type { FrameFault } from './frame-parser.ts'
import type { LaneName } from './lane.ts'
import type { IocLimits } from './limits.ts'
import type { Link, LinkFailure } from './transport/transport.ts'

/** Outcome of a send. `full`: the bound of the send queue. `tooBig`: above the largest message. */
export type SendOutcome = 'sent' | 'full' | 'tooBig' | 'closed'

/** Why a connection was closed by this side. */
export type ConnectionFault =
  | FrameFault
  | {
      readonly kind: 'malformed' | 'noHello' | 'fragment' | 'wrongPeer' | 'wrongNode'
      readonly detail: string
    }

/** What a port is told by its connections. */
export interface ConnectionEvents {
  onHello(connection: Connection): void
  /** One whole message. The payload may be kept; the header is filled again at the next one. */
  onMessage(connection: Connection, header: Readonly<FrameHeader>, payload: Uint8Array): void
  /** One whole message to a group. */
  onGroupMessage(connection: Connection, group: string, message: GroupMessage): void
  /** A lane refuses (`blocked`) since it is full, or has room again (`resumed`). */
  onFlow(connection: Connection, lane: LaneName, kind: 'blocked' | 'resumed'): void
  onHeartbeat(connection: Connection, heartbeat: Heartbeat): void
  onFault(connection: Connection, fault: ConnectionFault): void
  onLinkOpen(connection: Connection): void
  onClose(connection: Connection, cause: LinkFailure | null): void
}

/** What arrives for a group: header as of any message, payload without the group's name. */
export interface GroupMessage {
  readonly header: Readonly<FrameHeader>
  readonly payload: Uint8Array
}

/** What a connection is made with. */
export interface ConnectionSetup {
  readonly link: Link
  readonly limits: IocLimits
  readonly events: ConnectionEvents
  /** This side's hello, encoded, and its list of groups when it has any: the first frames that leave. */
  readonly hello: Uint8Array
  /** Where this side connects to; null on an accepted connection. */
  readonly dialed: IocAddress | null
  readonly nowMs: () => number
}
