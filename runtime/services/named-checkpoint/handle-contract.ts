import type { CreationFlag, SectionDescriptor, SectionsChosen, SectionUpdate } from './interface.ts'

/** An element of a vector that is written. */
export interface SectionWrite {
  /** Empty or left out: the default section. */
  readonly id?: string
  readonly data: Uint8Array
  /** Where in the section; bytes between its end and here become zero. @defaultValue 0 */
  readonly offset?: number
}

/** An element of a vector that is read. */
export interface SectionRead {
  /** Empty or left out: the default section. */
  readonly id?: string
  /** @defaultValue 0 */
  readonly offset?: number
  /** Bytes at most. @defaultValue all of the section */
  readonly size?: number
}

export interface SectionCreation {
  /** Left out: one is generated. */
  readonly id?: string
  /** Not empty. Left out: the section has no bytes yet. */
  readonly data?: Uint8Array
  /** Wall-clock milliseconds since 1970. @defaultValue never */
  readonly expiresAtMs?: number
}

/** SAFplus, section 14.2: StatusGet. */
export interface NamedCheckpointStatus {
  readonly attributes: {
    readonly creationFlags: readonly CreationFlag[]
    readonly checkpointSize: number
    readonly retentionDurationMs: number
    readonly maxSections: number
    readonly maxSectionSize: number
    readonly maxSectionIdSize: number
    readonly durable?: boolean
  }
  readonly sectionCount: number
  /** Bytes of all sections. */
  readonly memoryUsed: number
  /** Number of the node of the active replica, of those that are to hold one, and of those that hold everything. */
  readonly active: number | null
  readonly replicas: readonly number[]
  readonly inSync: readonly number[]
}

/** What one commit changed; `isGap`: something before it was missed, so read what is needed. */
export type UpdateConsumer = (
  update: { readonly elements: SectionUpdate['elements']; readonly isGap: boolean },
  name: string,
) => void

/**
 * An open checkpoint. Requests find the active replica wherever it is, also when its node dies meanwhile, and are done
 * once. One call moves at most 8 MiB: larger sections are written and read in parts, by their offsets.
 *
 * Every function throws INVALID_HANDLE after close, OP_NOT_PERMITTED when the handle's flags do not allow it, NOT_EXIST
 * once the checkpoint is gone, and for what is not answered in time TRY_AGAIN or TIMEOUT (it may have been done).
 */
export interface NamedCheckpointHandle {
  readonly name: string
  /** @throws SdkError INVALID_HANDLE the second time. */
  close(): Promise<void>
  status(): Promise<NamedCheckpointStatus>
  /** Infinity: for ever. @throws SdkError BAD_OPERATION after unlink. */
  retentionDurationSet(durationMs: number): Promise<void>
  /**
   * Puts the active replica on this node; resolves when it works there.
   * @throws SdkError BAD_OPERATION without COLLOCATED; STALE_EPOCH when a newer active of the CSI has been here.
   */
  activeReplicaSet(): Promise<void>
  /**
   * @returns the id.
   * @throws SdkError ALREADY_EXIST (also where maxSections is 1), INVALID_PARAMETER, NO_SPACE.
   */
  sectionCreate(section: SectionCreation): Promise<string>
  /** @throws SdkError INVALID_PARAMETER for the default section; NOT_EXIST. */
  sectionDelete(id: string): Promise<void>
  /**
   * Infinity: never. @throws SdkError INVALID_PARAMETER for the default section or a time that has passed; NOT_EXIST.
   */
  sectionExpirationTimeSet(id: string, expiresAtMs: number): Promise<void>
  /** Replaces whole contents. @throws SdkError as `write`. */
  sectionOverwrite(id: string, data: Uint8Array): Promise<void>
  /** Of several sections, all or none. @throws SdkError as `write`. */
  sectionOverwriteVector(
    vector: readonly { readonly id: string; readonly data: Uint8Array }[],
  ): Promise<void>
  /**
   * Writes all elements or none; of a weak checkpoint, those before the first wrong one.
   * @throws SdkError NOT_EXIST, INVALID_PARAMETER, NO_SPACE, with the number of the element in `context.errorIndex`;
   * TOO_BIG; STALE_EPOCH when the role of the CSI that it goes with is over.
   */
  write(vector: readonly SectionWrite[]): Promise<void>
  /**
   * @returns the bytes of each element: fewer than asked for where the section ends.
   * @throws SdkError as `write`.
   */
  read(vector: readonly SectionRead[]): Promise<Uint8Array[]>
  /**
   * Sections in the order of their ids: each one that is there all the while is given once.
   * @param chosen - those that never end, that end until or from `timeMs` on, or all. CORRUPTED gives none: content
   * that
   * does not check is replaced by that of another node before anybody sees it.
   */
  sections(chosen?: SectionsChosen, timeMs?: number): AsyncIterableIterator<SectionDescriptor>
  /** Waits until every replica in sync has what was written. @throws SdkError BAD_OPERATION for synchronous ones. */
  synchronize(timeoutMs?: number): Promise<void>
  /** The same; the callback `checkpointSynchronize` tells. @throws SdkError INITIALIZED (sic) without the callback. */
  synchronizeAsync(invocation: number): void
  /**
   * Calls back for each commit that the replica on this node takes, in order, with what it changed; not for this
   * component's own. Sections above 16 KiB come without their bytes. At most 512 updates wait for a slow component.
   * A second call replaces the callback; null ends it.
   * @throws SdkError OP_NOT_PERMITTED unless DISTRIBUTED.
   */
  immediateConsumptionRegister(consumer: UpdateConsumer | null): Promise<void>
}
