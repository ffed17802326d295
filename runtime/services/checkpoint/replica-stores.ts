import { existsSync } from 'node:fs'
import { ReplicaLog, type ReplicaLogOptions } from './replica-log.ts'
import type { StoredReplica } from './stored-replica.ts'

/**
 * Where a node keeps its replicas: the durable ones in a store of their own beside the other, since only they are to
 * wait for the disk. It is there from the first of them on.
 */
export class ReplicaStores {
  readonly #options: ReplicaLogOptions
  readonly #plain: ReplicaLog
  #durable: ReplicaLog | null = null
  /** Whose small records have been found in which of the two. */
  readonly #durableOwners = new Set<string>()
  readonly #plainOwners = new Set<string>()

  /** @throws SdkError LIBRARY when a store cannot be opened. */
  constructor(options: ReplicaLogOptions) {
    this.#options = options
    this.#plain = new ReplicaLog(options)
    if (existsSync(durableDirectory(options))) this.#openDurable()
  }

  /** A replica that was not durable takes its content with it when it becomes so; a durable one stays that. */
  replica(name: string, isDurable: boolean): StoredReplica {
    if (this.#durable?.has(name) === true) return this.#durable.replica(name)
    if (!isDurable) return this.#plain.replica(name)
    const durable = this.#openDurable().replica(name)
    if (!this.#plain.has(name)) return durable
    const { replica, isReliable } = this.#plain.replica(name)
    durable.promise(replica.epoch)
    if (isReliable) durable.replace(replica.snapshot(), replica.history)
    this.#plain.remove(name)
    return durable
  }

  has(name: string): boolean {
    return this.#plain.has(name) || this.#durable?.has(name) === true
  }

  remove(name: string): void {
    const store = this.#durable?.has(name) === true ? this.#durable : this.#plain
    store.remove(name)
  }

  /** See {@link ReplicaLog.names}. */
  names(prefix: string): string[] {
    return [...this.#plain.names(prefix), ...(this.#durable?.names(prefix) ?? [])]
  }

  /** See {@link ReplicaLog.records}. */
  records(of: string): ReadonlyMap<string, Uint8Array> | null {
    return (this.#hasDurableRecords(of) ? this.#durable : this.#plain)?.records(of) ?? null
  }

  /**
   * See {@link ReplicaLog.putRecords}. From the first durable change on all records of the owner are durable: of two
   * stores, one of which the machine's death takes, each would say something else.
   */
  putRecords(
    of: string,
    changes: ReadonlyMap<string, Uint8Array | null>,
    isDurable: boolean,
  ): void {
    if (this.#hasDurableRecords(of)) return this.#openDurable().putRecords(of, changes)
    if (!isDurable) return this.#plain.putRecords(of, changes)
    const former = this.#plain.records(of) ?? new Map<string, Uint8Array>()
    this.#openDurable().putRecords(of, new Map([...former, ...changes]))
    this.#durableOwners.add(of)
    this.#plainOwners.delete(of)
    this.#plain.putRecords(of, new Map([...former.keys()].map((name) => [name, null])))
  }

  #hasDurableRecords(of: string): boolean {
    // Those that do not check are there too.
    if (this.#durable === null || this.#durableOwners.has(of)) return this.#durable !== null
    if (this.#plainOwners.has(of)) return false
    const isThere = this.#durable.records(of)?.size !== 0
    const owners = isThere ? this.#durableOwners : this.#plainOwners
    owners.add(of)
    return isThere
  }

  async close(): Promise<void> {
    await Promise.all([this.#plain.close(), this.#durable?.close()])
  }

  #openDurable(): ReplicaLog {
    const directory = durableDirectory(this.#options)
    const { log, clock } = this.#options
    this.#durable ??= new ReplicaLog({ directory, log, clock, isDurable: true })
    return this.#durable
  }
}

const durableDirectory = ({ directory }: ReplicaLogOptions): string => `${directory}-durable`
