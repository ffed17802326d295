/**
 * Event descriptors and the names of the OCF draft. An event descriptor is an unsigned 32-bit number: the class in its
 * upper 10 bits, the event in its lower 22. OCF cluster event notification, draft 0.1, section 4.1. Where drafts 0.1
 * and 0.2 have two names for one number, both are here.
 */

export const OC_EV_CLASS_SHIFT = 22
/** Bits of a class. The draft defines it and uses it nowhere: events are masked, not shifted. */
export const OC_EV_EVENT_SHIFT = 10
export const OC_EV_EVENT_MASK = 0x003f_ffff

const CLASS_MAX = 0x3ff

/**
 * The draft's `OC_EV_SET_CLASS`.
 * @throws RangeError for a class outside 0 to 1,023 or an event outside 0 to 4,194,303, where the draft's macro gives
 * the number of another event.
 */
export function makeDescriptor(eventClass: number, event: number): number {
  check('class', eventClass, 0, CLASS_MAX)
  check('event', event, 0, OC_EV_EVENT_MASK)
  return ((eventClass << OC_EV_CLASS_SHIFT) | event) >>> 0
}

/** The draft's `OC_EV_GET_CLASS`. Takes a signed 32-bit number too. @throws RangeError for what has not 32 bits. */
export function getClass(descriptor: number): number {
  return unsigned(descriptor) >>> OC_EV_CLASS_SHIFT
}

/** The draft's `OC_EV_GET_EVENT`. Takes a signed 32-bit number too. @throws RangeError for what has not 32 bits. */
export function getEvent(descriptor: number): number {
  return unsigned(descriptor) & OC_EV_EVENT_MASK
}

export const CONN = 1
export const MEMB = 2
export const GROUP = 3
/** Connectivity, membership, groups: what callbacks are set for. */
export type OcEvClass = typeof CONN | typeof MEMB | typeof GROUP

/** Within the service: the membership class for those who are told of memberships without quorum too. */
export const MEMB_SPECIAL = 4

export function isEventClass(value: number): value is OcEvClass {
  return value === CONN || value === MEMB || value === GROUP
}

/** Event numbers of the three classes, as descriptors. */
export const EVENT = {
  interface: makeDescriptor(CONN, 1),
  eligible: makeDescriptor(CONN, 2),
  connect: makeDescriptor(CONN, 3),
  /** A membership without quorum. */
  invalid: makeDescriptor(MEMB, 0),
  newMembership: makeDescriptor(MEMB, 1),
  notPrimary: makeDescriptor(MEMB, 2),
  primaryRestored: makeDescriptor(MEMB, 3),
  evicted: makeDescriptor(MEMB, 4),
  serviceShutdown: makeDescriptor(MEMB, 5),
  join: makeDescriptor(GROUP, 1),
  leave: makeDescriptor(GROUP, 2),
  cast: makeDescriptor(GROUP, 3),
  reply: makeDescriptor(GROUP, 4),
} as const

/** Activation styles. The draft names the first three; DIRECT is its kernel clients' way. */
export const STYLE = { NORETURN: 1, GET_FD: 2, SIGNAL: 3, DIRECT: 4 } as const
export type OcEvStyle = (typeof STYLE)[keyof typeof STYLE]

export const PRIORITY = { HIGH: 0, MED: 100, LOW: 200 } as const

/** Every constant of the draft, under its own name. */
export const OC_EV_CONSTANTS = {
  OC_SUCCESS: 0,
  OC_FAILURE: -1,
  OC_EV_CLASS_SHIFT,
  OC_EV_EVENT_SHIFT,
  OC_EV_EVENT_MASK,

  OC_EV_COMM_CLASS: CONN,
  OC_EV_CONN_CLASS: CONN,
  OC_EV_MEMB_CLASS: MEMB,
  /** The name that the draft's example uses for it. */
  OC_EV_MS_CLASS: MEMB,
  OC_EV_GROUP_CLASS: GROUP,

  OC_EV_CS_INVALID: makeDescriptor(CONN, 0),
  OC_EV_CS_INTERFACE: EVENT.interface,
  OC_EV_CS_ELIGIBLE: EVENT.eligible,
  OC_EV_CS_CONNECT: EVENT.connect,

  OC_EV_MS_INVALID: EVENT.invalid,
  OC_EV_MS_NEW_MEMBERSHIP: EVENT.newMembership,
  OC_EV_MS_NEWVIEW: EVENT.newMembership,
  OC_EV_MS_NOT_PRIMARY: EVENT.notPrimary,
  OC_EV_MS_SUSPECT: EVENT.notPrimary,
  OC_EV_MS_PRIMARY_RESTORED: EVENT.primaryRestored,
  OC_EV_MS_RECOVERED: EVENT.primaryRestored,
  OC_EV_MS_EVICTED: EVENT.evicted,
  OC_EV_MS_SERVICE_SHUTDOWN: EVENT.serviceShutdown,

  OC_EV_GS_INVALID: makeDescriptor(GROUP, 0),
  OC_EV_GS_JOIN: EVENT.join,
  OC_EV_GS_LEAVE: EVENT.leave,
  OC_EV_GS_CAST: EVENT.cast,
  OC_EV_GS_REPLY: EVENT.reply,

  OC_EV_AS_NORETURN: STYLE.NORETURN,
  OC_EV_AS_GET_FD: STYLE.GET_FD,
  OC_EV_AS_SIGNAL: STYLE.SIGNAL,
  OC_EV_AS_DIRECT: STYLE.DIRECT,

  OC_EV_PRIO_HIGH: PRIORITY.HIGH,
  OC_EV_PRIO_MED: PRIORITY.MED,
  OC_EV_PRIO_LOW: PRIORITY.LOW,

  /** Draft 0.1 has event 4 of the membership class as the service's shutdown; from 0.2 on it is EVICTED. */
  draft01: { OC_EV_MS_SHUTDOWN: EVENT.evicted },
} as const

function unsigned(descriptor: number): number {
  check('event descriptor', descriptor, -0x8000_0000, 0xffff_ffff)
  return descriptor >>> 0
}

function check(what: string, value: number, least: number, most: number): void {
  if (Number.isInteger(value) && value >= least && value <= most) return
  throw new RangeError(`${what} ${String(value)} is not an integer from ${least} to ${most}`)
}
