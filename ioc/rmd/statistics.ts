/** {@link RmdStatistics} as they are read: the names and the order of SAFplus RMD, section 5.6. */
export type RmdCounters = Readonly<Pick<RmdStatistics, keyof RmdStatistics>>

/** The counters of RMD, in the order of SAFplus RMD, section 5.6. The order is part of the management reply. */
export class RmdStatistics {
  nRmdCalls = 0
  nFailedCalls = 0
  nResendRequests = 0
  nFailedResendRequests = 0
  nRmdReplies = 0
  /** Replies that nobody waits for (any more), of an older epoch, or without the shape of a reply. */
  nBadReplies = 0
  nRmdRequests = 0
  /** Requests for a function or version that is not there, or that cannot be read. */
  nBadRequests = 0
  nCallTimeouts = 0
  /** Copies of at-most-once calls that came while the first one ran, or after it. */
  nDupRequests = 0
  nAtmostOnceCalls = 0
  nFailedAtmostOnceCalls = 0
  nReplySend = 0
  nFailedReplySend = 0
  nResendReplies = 0
  nFailedResendReplies = 0
  /** Always 0: local calls travel like remote ones, so that the two cannot drift apart. */
  nRmdCallOptimized = 0
  nAtmostOnceAcksSent = 0
  nFailedAtmostOnceAcksSent = 0
  nAtmostOnceAcksRecvd = 0
  /** Acknowledgements that name no id. */
  nFailedAtmostOnceAcksRecvd = 0
}
