import { existsSync, mkdirSync, renameSync, rmSync, statSync } from 'node:fs'
import { join } from 'node:path'
import { open, type RootDatabase } from 'lmdb'
import type { Logger } from 'pino'
import { SdkError } from '../../../idl/index.ts'
import { lmdbFileProblem } from '../../../ioc/internal.ts'
import { seal, unseal } from './stored-value.ts'
import { StoredReplica, type StoredReplicaLimits } from './stored-replica.ts'

export interface ReplicaLogOptions {
  /** The environment's own directory. Made when missing (0700). */
  readonly directory: string
  readonly log: Pick<Logger, 'info' | 'warn' | 'error'>
  /** Monotonic, in milliseconds. */
  readonly clock: () => number
  readonly limits?: StoredReplicaLimits
  /** An environment that is open already: a simulation hands in its own. @defaultValue the one of `directory` */
  readonly database?: RootDatabase<Buffer>
}

/**
 * The checkpoints of one node in one LMDB environment without fsync: it survives the death of every process, not of the
 * machine. Exactly one process opens it, the node process.
 *
 * An environment that cannot be opened is put aside as `DIRECTORY.damaged` (the one before it goes), and every replica
 * starts as lost: it is rebuilt from a peer.
 */
export class ReplicaLog {
  readonly #options: ReplicaLogOptions
  readonly #database: RootDatabase<Buffer>
  readonly #replicas = new Map<string, StoredReplica>()
  #isClosed = false

  /** @throws SdkError LIBRARY when the directory cannot be made or used. */
  constructor(options: ReplicaLogOptions) {
    this.#options = options
    this.#database = options.database ?? openEnvironment(options)
  }

  /** The replica of a CSI: read from the store at first use, new when there is none. */
  replica(csi: string): StoredReplica {
    let replica = this.#replicas.get(csi)
    if (replica === undefined) {
      const { log, clock, limits } = this.#options
      replica = new StoredReplica(
        limits === undefined
          ? { csi, database: this.#database, log, clock }
          : { csi, database: this.#database, log, clock, limits },
      )
      this.#replicas.set(csi, replica)
    }
    return replica
  }

  /** Whether the store has anything of a replica. */
  has(name: string): boolean {
    return this.#database.getBinary(['m', name]) !== undefined
  }

  /** Names of the replicas in the store that begin with `prefix`. */
  names(prefix: string): string[] {
    return [...this.#database.getKeys({ start: ['m', prefix], end: ['m', `${prefix}\u{10ffff}`] })]
      .map((key) => (Array.isArray(key) ? String(key[1]) : ''))
      .filter((name) => name.startsWith(prefix))
  }

  /**
   * Small records of somebody who has replicas here: lost with them, if they are lost.
   * @returns null when one of them does not check.
   */
  records(of: string): ReadonlyMap<string, Uint8Array> | null {
    const records = new Map<string, Uint8Array>()
    const range = { start: ['d', of], end: ['d', of, Buffer.from([0xff, 0xff])] }
    for (const { key, value } of this.#database.getRange(range)) {
      const body = unseal(value)
      if (body === undefined) return null
      records.set(Array.isArray(key) ? String(key[2]) : '', body)
    }
    return records
  }

  /** Stores records, all or none; null removes one. */
  putRecords(of: string, changes: ReadonlyMap<string, Uint8Array | null>): void {
    this.#database.transactionSync(() => {
      for (const [name, body] of changes) {
        const key = ['d', of, name]
        if (body === null) this.#database.removeSync(key)
        else this.#database.putSync(key, Buffer.from(seal(body)))
      }
    })
  }

  /** Forgets a replica with everything that is stored of it. */
  remove(csi: string): void {
    this.replica(csi).destroy()
    this.#replicas.delete(csi)
  }

  async close(): Promise<void> {
    if (this.#isClosed) return
    this.#isClosed = true
    for (const replica of this.#replicas.values()) replica.close()
    await this.#database.close()
  }
}

function openEnvironment(options: ReplicaLogOptions): RootDatabase<Buffer> {
  const { directory, log } = options
  try {
    mkdirSync(directory, { recursive: true, mode: 0o700 })
    const file = join(directory, 'data.mdb')
    const problem = existsSync(file) && statSync(file).size > 0 ? lmdbFileProblem(file) : undefined
    if (problem !== undefined) putAside(options, problem)
    try {
      return openDatabase(directory)
    } catch (error) {
      putAside(options, error instanceof Error ? error.message : String(error))
      return openDatabase(directory)
    }
  } catch (cause) {
    const message = `the checkpoint store ${directory} cannot be opened; check its owner and the space left on its disk`
    log.error({ err: cause }, message)
    throw new SdkError('LIBRARY', message, { cause, context: { directory } })
  }
}

function putAside({ directory, log }: ReplicaLogOptions, why: string): void {
  const aside = `${directory}.damaged`
  log.error(
    { directory, aside },
    `the checkpoint store is damaged (${why}): put aside, replicas are rebuilt from their peers`,
  )
  rmSync(aside, { recursive: true, force: true })
  renameSync(directory, aside)
  mkdirSync(directory, { recursive: true, mode: 0o700 })
}

function openDatabase(directory: string): RootDatabase<Buffer> {
  const database = open<Buffer>({
    path: directory,
    noSubdir: false,
    noSync: true,
    overlappingSync: false,
    encoding: 'binary',
    keyEncoding: 'ordered-binary',
    cache: false,
  })
  try {
    database.readerCheck()
    examine(database)
    return database
  } catch (error) {
    void database.close()
    throw error
  }
}

/** Goes through every page of keys, and the free ones: what is torn there is noticed now and not at a commit. */
function examine(database: RootDatabase<Buffer>): void {
  const probe = ['examined']
  for (const key of database.getKeys()) void key
  database.transactionSync(() => {
    database.putSync(probe, Buffer.alloc(1))
    database.removeSync(probe)
  })
}
