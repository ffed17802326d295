import { existsSync, mkdirSync, renameSync, rmSync, statSync } from 'node:fs'
import { join } from 'node:path'
import { open, type RootDatabase } from 'lmdb'
import type { Logger } from 'pino'
import { SdkError } from '../../../idl/index.ts'
import { lmdbFileProblem } from '../../../ioc/internal.ts'
import { BatchFiles } from './batch-files.ts'
import type { BatchLogs } from './batch-log.ts'
import { seal, unseal } from './stored-value.ts'
import { StoredReplica, type StoredReplicaLimits } from './stored-replica.ts'

export interface ReplicaLogOptions {
  /** The environment's own directory. Made when missing (0700). */
  readonly directory: string
  readonly log: Pick<Logger, 'info' | 'warn' | 'error'>
  /** Monotonic, in milliseconds. */
  readonly clock: () => number
  readonly limits?: StoredReplicaLimits
  /** What is written is on the disk when it counts. @defaultValue false: in the kernel's pages */
  readonly isDurable?: boolean
  /** An environment that is open already: a simulation hands in its own. @defaultValue the one of `directory` */
  readonly environment?: ReplicaEnvironment
}

/** Where replicas are kept: contents in a database, batches in logs. */
export interface ReplicaEnvironment {
  readonly database: RootDatabase<Buffer>
  readonly batches: BatchLogs
}

/**
 * Checkpoints of one node in one LMDB environment, and their logs of batches in its folder `batches`: without fsync, so
 * that they survive the death of every process, or durable, so that they survive that of the machine. Exactly one
 * process opens them, the node process.
 *
 * An environment that cannot be opened is put aside as `DIRECTORY.damaged` (the one before it goes), and every replica
 * starts as lost: it is rebuilt from a peer.
 */
export class ReplicaLog {
  readonly #options: ReplicaLogOptions
  readonly #database: RootDatabase<Buffer>
  readonly #batches: BatchLogs
  readonly #replicas = new Map<string, StoredReplica>()
  #isClosed = false

  /** @throws SdkError LIBRARY when the directory cannot be made or used. */
  constructor(options: ReplicaLogOptions) {
    this.#options = options
    const { database, batches } = options.environment ?? openEnvironment(options)
    this.#database = database
    this.#batches = batches
  }

  /** The replica of a CSI: read from the store at first use, new when there is none. */
  replica(csi: string): StoredReplica {
    let replica = this.#replicas.get(csi)
    if (replica === undefined) {
      const { log, clock, limits, isDurable = false } = this.#options
      const [database, batches] = [this.#database, this.#batches.log(csi)]
      const common = { csi, isDurable, database, batches, log, clock }
      replica = new StoredReplica(limits === undefined ? common : { ...common, limits })
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
    this.#batches.close()
    await this.#database.close()
  }
}

function openEnvironment(options: ReplicaLogOptions): ReplicaEnvironment {
  const { directory, log } = options
  try {
    mkdirSync(directory, { recursive: true, mode: 0o700 })
    const file = join(directory, 'data.mdb')
    const problem = existsSync(file) && statSync(file).size > 0 ? lmdbFileProblem(file) : undefined
    if (problem !== undefined) putAside(options, problem)
    const database = openOrPutAside(options)
    const batches = new BatchFiles(join(directory, 'batches'), options.isDurable === true)
    return { database, batches }
  } catch (cause) {
    const message = `the checkpoint store ${directory} cannot be opened; check its owner and the space left on its disk`
    log.error({ err: cause }, message)
    throw new SdkError('LIBRARY', message, { cause, context: { directory } })
  }
}

function openOrPutAside(options: ReplicaLogOptions): RootDatabase<Buffer> {
  try {
    return openDatabase(options)
  } catch (error) {
    putAside(options, error instanceof Error ? error.message : String(error))
    return openDatabase(options)
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

function openDatabase({ directory, isDurable }: ReplicaLogOptions): RootDatabase<Buffer> {
  const database = open<Buffer>({
    path: directory,
    noSubdir: false,
    noSync: isDurable !== true,
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
