import { mkdirSync } from 'node:fs'
import { ABORT, open, type RootDatabase } from 'lmdb'
import { isSdkError, SdkError } from '../../../idl/index.ts'
import type { ProcessIdentity, Store, StoreEntry } from '../backplane.ts'
import {
  encodeLeaderRecord,
  FORMAT_VERSION,
  sameRecord,
  tryDecodeLeaderRecord,
} from './leader-record.ts'
import type { LeaderRecord } from './leader-record.ts'
import {
  checkStoreFile,
  damaged,
  markStoreComplete,
  removeHalfMade,
  storeExists,
  withOpeningMarker,
} from './store-file.ts'

/**
 * The control store: one LMDB environment for all node processes of the machine.
 *
 * I1 A process stopped inside a write transaction blocks every other writer until it is killed, and
 *    opening LMDB for writing takes that same lock. So processes hold the store open read-only
 *    (never blocked), and open it for writing only as leader or, while they hold the writer's lock,
 *    to claim the leadership of a leader that is proven gone.
 * I2 Reads see everything committed by any process before: each read begins a new snapshot.
 * I3 Without fsync the store survives the death of every process, not of the machine.
 */

const KEY_SIZE_BYTES_MAX = 500
const VALUE_SIZE_BYTES_MAX = 1024 * 1024
const STORE_SIZE_BYTES_MAX = 256 * 1024 * 1024
/** Version byte and revision stand before each value. */
const HEADER_SIZE_BYTES = 9

const LEADER_KEY = Buffer.from('m/leader')
const REVISION_KEY = Buffer.from('m/revision')
const DATA_PREFIX = 'd/'

const OPTIONS = {
  noSync: true,
  overlappingSync: false,
  encoding: 'binary',
  keyEncoding: 'binary',
  cache: false,
} as const

type Database = RootDatabase<Buffer, Buffer>
type Mode = 'closed' | 'reading' | 'writing'

export interface StoreOptions {
  readonly directory: string
  /** File-name form of the node's name. */
  readonly node: string
  readonly own: ProcessIdentity
}

export class EmbeddedStore implements Store {
  readonly #options: StoreOptions
  #database: Database | null = null
  #mode: Mode = 'closed'

  constructor(options: StoreOptions) {
    this.#options = options
  }

  /** False before the first leader of all made the store. */
  get exists(): boolean {
    return storeExists(this.#options.directory)
  }

  /** Opens an existing store read-only. @throws SdkError FAILED_OPERATION when it is damaged. */
  openForReading(): void {
    if (this.#mode === 'closed') this.#open(true)
  }

  /**
   * Opens for writing, and makes the store when there is none. Only for the holder of the writer's
   * lock (I1).
   */
  async openForWriting(): Promise<void> {
    if (this.#mode === 'writing') return
    await this.close()
    const { directory } = this.#options
    mkdirSync(directory, { recursive: true, mode: 0o700 })
    if (!this.exists) removeHalfMade(directory)
    this.#open(false)
    markStoreComplete(directory)
  }

  async close(): Promise<void> {
    const database = this.#database
    this.#database = null
    this.#mode = 'closed'
    await database?.close()
  }

  /** @returns null before the first leader of all. */
  leaderRecord(): LeaderRecord | null {
    if (this.#mode === 'closed') {
      if (!this.exists) return null
      this.openForReading()
    }
    return this.#leaderRecord(this.#fresh())
  }

  /**
   * One transaction: sets `next` if the record is still `expected`. @returns false when it is not.
   */
  replaceLeader(expected: LeaderRecord | null, next: LeaderRecord): boolean {
    return this.#write((database) => {
      if (!sameRecord(this.#leaderRecord(database), expected)) return false
      database.putSync(LEADER_KEY, Buffer.from(encodeLeaderRecord(next)))
      return true
    })
  }

  get(key: string): StoreEntry | undefined {
    const bytes = this.#fresh().get(dataKey(key))
    return bytes === undefined ? undefined : this.#entry(key, bytes)
  }

  list(prefix: string): readonly StoreEntry[] {
    const start = dataKey(prefix)
    const entries: StoreEntry[] = []
    for (const { key, value } of this.#fresh().getRange({ start })) {
      if (!key.subarray(0, start.length).equals(start)) break
      entries.push(this.#entry(key.subarray(DATA_PREFIX.length).toString(), value))
    }
    return entries
  }

  putIf(key: string, value: Uint8Array, expectedRevision: number): boolean {
    checkValue(key, value)
    const at = dataKey(key)
    return this.#writeIf(at, expectedRevision, (database, revision) => {
      database.putSync(at, dataValue(value, revision))
    })
  }

  deleteIf(key: string, expectedRevision: number): boolean {
    const at = dataKey(key)
    return this.#writeIf(at, expectedRevision, (database) => {
      database.removeSync(at)
    })
  }

  commit(term: number, changes: readonly { key: string; value: Uint8Array | null }[]): void {
    for (const { key, value } of changes) {
      if (value !== null) checkValue(key, value)
      dataKey(key)
    }
    this.#write((database) => {
      const present = this.#leaderRecord(database)
      if (present === null || present.term !== term || present.released) {
        throw new SdkError(
          'STALE_TERM',
          `commit under term ${term} refused: the present term is ${present?.term ?? 0}` +
            (present?.released === true ? ' and its leader has given it up' : ''),
          { context: { term, presentTerm: present?.term ?? 0 } },
        )
      }
      const revision = nextRevision(database)
      for (const { key, value } of changes) {
        if (value === null) database.removeSync(dataKey(key))
        else database.putSync(dataKey(key), dataValue(value, revision))
      }
      return true
    })
  }

  #open(readOnly: boolean): void {
    const { directory } = this.#options
    checkStoreFile(directory)
    try {
      this.#database = withOpeningMarker(this.#options, () => {
        const database: Database = open({ ...OPTIONS, path: directory, readOnly })
        database.readerCheck()
        for (const { key, value } of database.getRange({})) checkStored(key, value)
        return database
      })
      this.#mode = readOnly ? 'reading' : 'writing'
    } catch (error) {
      if (isSdkError(error)) throw error
      throw damaged(directory, error instanceof Error ? error.message : String(error), error)
    }
  }

  #leaderRecord(database: Database): LeaderRecord | null {
    const bytes = database.get(LEADER_KEY)
    if (bytes === undefined) return null
    const record = tryDecodeLeaderRecord(bytes)
    if (record !== undefined) return record
    throw damaged(this.#options.directory, 'its leader record cannot be read by this version')
  }

  #fresh(): Database {
    const database = this.#database
    if (database === null) {
      throw new SdkError('NOT_INITIALIZED', 'the store is open from start() to stop() only')
    }
    database.resetReadTxn()
    return database
  }

  #writeIf(
    at: Buffer,
    expectedRevision: number,
    change: (database: Database, revision: number) => void,
  ): boolean {
    return this.#write((database) => {
      const bytes = database.get(at)
      if ((bytes === undefined ? 0 : revisionOf(bytes)) !== expectedRevision) return false
      change(database, nextRevision(database))
      return true
    })
  }

  /** One transaction, all or nothing: false and anything thrown undo it. */
  #write(run: (database: Database) => boolean): boolean {
    const database = this.#fresh()
    if (this.#mode !== 'writing') {
      throw new SdkError(
        'INVALID_STATE',
        'only the leader writes to the store; ask it by a message',
      )
    }
    const { lastPageNumber, pageSize } = database.getStats() as Record<string, number>
    if ((lastPageNumber ?? 0) * (pageSize ?? 0) > STORE_SIZE_BYTES_MAX) {
      throw new SdkError('NO_SPACE', `the control store has reached ${STORE_SIZE_BYTES_MAX} bytes`)
    }
    let failure: unknown
    const done = database.transactionSync(() => {
      try {
        return run(database) ? true : ABORT
      } catch (error) {
        failure = error
        return ABORT
      }
    })
    if (failure !== undefined) throw failure
    return done === true
  }

  #entry(key: string, bytes: Buffer): StoreEntry {
    return {
      key,
      value: new Uint8Array(bytes.subarray(HEADER_SIZE_BYTES)),
      revision: revisionOf(bytes),
    }
  }
}

function dataKey(key: string): Buffer {
  const bytes = Buffer.from(DATA_PREFIX + key)
  if (bytes.length - DATA_PREFIX.length <= KEY_SIZE_BYTES_MAX) return bytes
  throw new SdkError(
    'TOO_BIG',
    `a key has at most ${KEY_SIZE_BYTES_MAX} bytes: ${key.slice(0, 40)}...`,
  )
}

function checkValue(key: string, value: Uint8Array): void {
  if (value.length <= VALUE_SIZE_BYTES_MAX) return
  throw new SdkError(
    'TOO_BIG',
    `value of ${key}: ${value.length} bytes, at most ${VALUE_SIZE_BYTES_MAX} fit in the control store`,
  )
}

function dataValue(value: Uint8Array, revision: number): Buffer {
  const bytes = Buffer.allocUnsafe(HEADER_SIZE_BYTES + value.length)
  bytes[0] = FORMAT_VERSION
  bytes.writeBigUInt64BE(BigInt(revision), 1)
  bytes.set(value, HEADER_SIZE_BYTES)
  return bytes
}

const revisionOf = (bytes: Buffer): number => Number(bytes.readBigUInt64BE(1))

function nextRevision(database: Database): number {
  const bytes = database.get(REVISION_KEY)
  const revision = (bytes === undefined ? 0 : revisionOf(bytes)) + 1
  database.putSync(REVISION_KEY, dataValue(new Uint8Array(0), revision))
  return revision
}

/** Touches each value, so that a torn page shows while the opening marker is set. */
function checkStored(key: Buffer, value: Buffer): void {
  if (value[0] === FORMAT_VERSION) return
  throw new SdkError(
    'VERSION_MISMATCH',
    `record ${key.toString()} of the control store has format ${value[0]}, this version reads ` +
      `${FORMAT_VERSION}; remedy: run the version that wrote it, or start with an empty run directory`,
  )
}
