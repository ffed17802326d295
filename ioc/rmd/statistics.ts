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
  nBadRequests = 0
  nCallTimeouts = 0
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
  nFailedAtmostOnceAcksRecvd = 0
}
