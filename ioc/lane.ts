import { PROTOCOL } from './frame.ts'
import { Outbox } from './outbox.ts'

/** Lanes of a send queue in the order in which they leave. */
export const LANES = ['urgent', 'normal', 'low'] as const
/** One of {@link LANES}. */
export type LaneName = (typeof LANES)[number]

/**
 * Lane by priority on the wire (SAFplus IOC, section 4.2): HIGH, NOTIFICATION and RESERVED go first, LOW goes last,
 * DEFAULT, ORDERED and the user's 6 to 16 between.
 */
const LANE_OF_PRIORITY = [1, 0, 2, 1, 0, 0, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1] as const
const NORMAL = 1

/**
 * Index of the lane in which a frame waits. Ordered calls share one lane whatever their priority: they must not
 * overtake each other.
 */
export function laneOf(protocol: number, priority: number): number {
  if (priority === 0 || protocol === PROTOCOL.ordered) return NORMAL
  return LANE_OF_PRIORITY[priority] ?? NORMAL
}

/** What waits in one lane of one connection, and how much of it has left. Frames of one lane keep their order. */
export class Lane {
  readonly name: LaneName
  readonly outbox = new Outbox()
  /** Bytes of the unfinished write that came from this lane. */
  inFlightBytes = 0
  /** Bytes ever taken: a frame's place in its lane is this value after its send. */
  acceptedBytes = 0
  /** Bytes ever given to the transport: a frame whose place is beyond it has surely not reached the peer. */
  handedBytes = 0
  /** True from a refusal until the low watermark: senders are refused meanwhile. */
  blocked = false

  constructor(name: LaneName) {
    this.name = name
  }

  get queuedBytes(): number {
    return this.outbox.length + this.inFlightBytes
  }
}
