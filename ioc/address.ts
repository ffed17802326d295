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
  /** The CSI behind the name. */
  readonly csi: string
  /** Where the active one is; null while the name is known but nobody is active. */
  readonly address: IocAddress | null
  /** Epoch of the grant that made `address` the active one (or of the last one, while null). */
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

/** Ports and reserved numbers of the platform. SAFplus IOC, section 4.1. */
export const IOC_PORT = { agent: 0x01, checkpoint: 0x0c, director: 0x16 } as const
