import type { IocAddress } from './address.ts'

/** Counters of one connection, since it was made. */
export interface ConnectionStatistics {
  /** Whole frames; a long message is several. */
  readonly framesIn: number
  readonly bytesIn: number
  /** Frames taken for sending; `bytesOut` counts those that the transport has. */
  readonly framesOut: number
  readonly bytesOut: number
  /** Messages refused since a lane of the send queue was full. */
  readonly refusedCount: number
  /** Bytes that wait now, and the most that ever waited in one lane. */
  readonly queuedBytes: number
  readonly queuedBytesHigh: number
}

/** Counters of one connection with its peer's name. */
export interface PeerStatistics extends ConnectionStatistics {
  /** Null before the peer's hello, `{ node: 0, port: 0 }` when it listens nowhere. */
  readonly address: IocAddress | null
  readonly caller: string
  readonly name: string
}

/** Counters of a port since it was opened: connections that are gone included. */
export interface PortStatistics extends ConnectionStatistics {
  readonly connectionCount: number
  readonly connectionsMade: number
  /** What was dropped, refused or closed, by reason. */
  readonly drops: Readonly<Record<string, number>>
  /** Connections of now. */
  readonly peers: readonly PeerStatistics[]
}

export const NO_TRAFFIC: ConnectionStatistics = {
  framesIn: 0,
  bytesIn: 0,
  framesOut: 0,
  bytesOut: 0,
  refusedCount: 0,
  queuedBytes: 0,
  queuedBytesHigh: 0,
}

/** Sums, and the higher of two high-water marks. */
export const addTraffic = (
  a: ConnectionStatistics,
  b: ConnectionStatistics,
): ConnectionStatistics => ({
  framesIn: a.framesIn + b.framesIn,
  bytesIn: a.bytesIn + b.bytesIn,
  framesOut: a.framesOut + b.framesOut,
  bytesOut: a.bytesOut + b.bytesOut,
  refusedCount: a.refusedCount + b.refusedCount,
  queuedBytes: a.queuedBytes + b.queuedBytes,
  queuedBytesHigh: Math.max(a.queuedBytesHigh, b.queuedBytesHigh),
})

/** A port's counters as plain numbers, drops as `drops.REASON`: for records that hold nothing else. */
export function flatStatistics(statistics: PortStatistics): Record<string, number> {
  const { drops, peers: _peers, ...counters } = statistics
  const flat: Record<string, number> = { ...counters }
  for (const [reason, count] of Object.entries(drops)) flat[`drops.${reason}`] = count
  return flat
}
