/** A place that receives messages: one port of one node. Text form `2:64`. SAFplus IOC, section 4.1. */
export interface IocAddress {
  /** 1 to 1023. 0 means "no listening port": a program that only calls. */
  readonly node: number
  /** 1 to 1023: 1-63 platform, 64-127 well-known for users, 128-1023 ephemeral. */
  readonly port: number
}

/**
 * One grant of a CSI's ACTIVE role, as one safe integer: `term * 2^32 + counter`. A larger epoch is a later grant.
 * 0 means "no role". A frame carries the epoch of its sender's role.
 */
export type Epoch = number

/** What `@name` stands for at this moment. Pushed from the director through the node agents. */
export interface NameEntry {
  readonly name: string
  /** The CSI behind the name; empty for a name that a component registered. */
  readonly csi: string
  /** Where the active one is; null while the name is known but nobody is active. */
  readonly address: IocAddress | null
  /**
   * Epoch of the grant that made `address` the active one (or of the last one, while null). 0: no grant decides who it
   * is, and whatever answers there counts.
   */
  readonly epoch: Epoch
}

/** Name resolution, handed in from the floor above. `lookup` of an unknown name gives undefined. */
export interface NameResolver {
  /** Resolves once the table was received for the first time: before that, unknown is not known to be unknown. */
  readonly ready: Promise<void>
  lookup(name: string): NameEntry | undefined
  /** Calls back at each change of any entry. Returns the function that stops it. */
  onChange(listener: (entry: NameEntry) => void): () => void
}

/** Well-known ports of the platform's services. SAFplus IOC, section 4.1. */
export const IOC_PORT = {
  /** The node agent: what the original calls CPM. */
  agent: 0x01,
  event: 0x02,
  message: 0x03,
  log: 0x04,
  name: 0x05,
  sharedMemory: 0x06,
  diagnostics: 0x07,
  fault: 0x08,
  membership: 0x09,
  lock: 0x0a,
  transaction: 0x0b,
  checkpoint: 0x0c,
  objectRegistry: 0x0d,
  chassis: 0x0e,
  platformInterface: 0x0f,
  snmp: 0x10,
  alarm: 0x11,
  debug: 0x12,
  upgrade: 0x13,
  deviceManager: 0x14,
  alarmApplication: 0x15,
  /** The availability director: what the original calls AMS. */
  director: 0x16,
  notification: 0x17,
  membershipUnicast: 0x18,
  membershipMulticast: 0x19,
} as const

/** First and last port of each range. SAFplus IOC, section 4.1. */
export const IOC_PORT_RANGE = {
  /** Reserved for the platform, {@link IOC_PORT} among them. */
  platform: { first: 1, last: 63 },
  /** Well-known ports of users. */
  user: { first: 64, last: 127 },
  /** Given out by `openPort({ port: 0 })`. */
  ephemeral: { first: 128, last: 1023 },
} as const

/**
 * Where a message goes. SAFplus IOC, section 4.1.
 *
 * | kind | text | receivers |
 * |---|---|---|
 * | physical | `2:64` | the program that listens there |
 * | logical | `@name` | whoever is active for the name at the moment of sending |
 * | multicast | `#group` | every port that joined the group |
 * | broadcast | `*:64` | that port of every node |
 * | intranode | `.:*` | every port of the sender's node |
 *
 * The last three reach every receiver once and never the sending port itself, member or not.
 */
export type IocDestination =
  | { readonly kind: 'physical'; readonly address: IocAddress }
  | { readonly kind: 'logical'; readonly name: string }
  | { readonly kind: 'multicast'; readonly group: string }
  | { readonly kind: 'broadcast'; readonly port: number }
  | { readonly kind: 'intranode' }
