import { existsSync, mkdirSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { open } from 'node:fs/promises'
import { createRequire } from 'node:module'
import { join } from 'node:path'
import type { RootDatabase } from 'lmdb'
import { SdkError } from '../../idl/index.ts'
import { lmdbFileProblem } from '../../ioc/internal.ts'
import { compareBytes, PendingWrites } from './pending-writes.ts'

/**
 * create: empty, whatever was there. open: must be there. append: what is there, or a new one. SAFplus, section 21.
 */
export type DatabaseMode = 'create' | 'open' | 'append'

export interface DatabaseOptions {
  /** Directory of this database; only this library's databases can be opened. */
  readonly directory: string
  readonly mode: DatabaseMode
  /**
   * Every write is on the disk when it returns, after some milliseconds. Without, it survives the process; what a crash
   * of the machine leaves of writes since the last `sync` may be torn. @defaultValue false
   */
  readonly sync?: boolean
  /** 1 to 1_024. @defaultValue 1_024 */
  readonly keyBytesMax?: number
  /** 1 to 64 MiB. @defaultValue 1 MiB */
  readonly recordBytesMax?: number
}

export interface DatabaseRecord {
  readonly key: Uint8Array
  readonly record: Uint8Array
}

const KEY_BYTES_MAX = 1_024
const RECORD_BYTES_MAX = 64 * 1_024 * 1_024
const TRANSACTION_WRITES_MAX = 65_536
const TRANSACTION_BYTES_MAX = 64 * 1_024 * 1_024
/** Marks a directory as a database of this library: others, the cluster's own stores above all, are out of reach. */
const MARK_FILE = 'holdfast-dbal.json'
const DATA_FILE = 'data.mdb'
const LOCK_FILE = 'lock.mdb'
const MARK = '{"format":1}\n'

/**
 * Records by key, in one LMDB environment. Reads inside a transaction see its writes; what a process had not
 * committed when it ended is not there. Several processes may have it open: their writes exclude each other, and what a
 * transaction has written wins at its commit over what others wrote before.
 */
export class Database {
  readonly #store: RootDatabase<Buffer, Buffer>
  readonly #directory: string
  readonly #keyBytesMax: number
  readonly #recordBytesMax: number
  #transaction: PendingWrites | undefined
  #closed = false

  /**
   * Opens it. LMDB is loaded by the first database that a process opens.
   * @throws SdkError NOT_EXIST for `open` without a database; OP_NOT_PERMITTED for a directory with somebody else's;
   * INVALID_PARAMETER; DB_ERROR with the cause.
   */
  constructor(options: DatabaseOptions) {
    const { directory, mode, sync = false } = options
    const { keyBytesMax = KEY_BYTES_MAX, recordBytesMax = 1_024 * 1_024 } = options
    checkBound('keyBytesMax', keyBytesMax, KEY_BYTES_MAX)
    checkBound('recordBytesMax', recordBytesMax, RECORD_BYTES_MAX)
    this.#directory = directory
    this.#keyBytesMax = keyBytesMax
    this.#recordBytesMax = recordBytesMax
    this.#store = guarded(`open ${directory}`, () => openStore(directory, mode, sync))
  }

  /** @throws SdkError DUPLICATE when the key is there. */
  insert(key: Uint8Array, record: Uint8Array): void {
    this.#check(key)
    this.#write(key, record, (isThere) => {
      if (isThere) throw new SdkError('DUPLICATE', 'there is a record of this key')
    })
  }

  /** Inserts, or replaces what is there. */
  replace(key: Uint8Array, record: Uint8Array): void {
    this.#check(key)
    this.#write(key, record)
  }

  /** @throws SdkError NOT_EXIST. */
  delete(key: Uint8Array): void {
    this.#check(key)
    this.#write(key, null, (isThere) => {
      if (!isThere) throw new SdkError('NOT_EXIST', 'there is no record of this key')
    })
  }

  /** The record; undefined where there is none. It is the caller's. */
  get(key: Uint8Array): Uint8Array | undefined {
    this.#check(key)
    const pending = this.#transaction?.get(key)
    if (pending !== undefined) return copyOf(pending.record) ?? undefined
    const stored = guarded('get', () => this.#store.get(asBuffer(key)))
    return stored === undefined ? undefined : new Uint8Array(stored)
  }

  /** The record with the smallest key. */
  first(): DatabaseRecord | undefined {
    this.#checkOpen()
    return this.#after(undefined)
  }

  /** The record with the next key, whether `key` itself is there or not. */
  next(key: Uint8Array): DatabaseRecord | undefined {
    this.#check(key)
    return this.#after(key)
  }

  /** From now on writes are kept until `commit`. @throws SdkError INVALID_STATE inside a transaction. */
  begin(): void {
    this.#checkOpen()
    if (this.#transaction !== undefined) {
      throw new SdkError('INVALID_STATE', 'a transaction is under way: commit or abort it first')
    }
    this.#transaction = new PendingWrites()
  }

  /**
   * All writes since `begin` at once. @throws SdkError INVALID_STATE; COMMIT_FAILED: none of them, the transaction
   * is over.
   */
  commit(): void {
    const { all } = this.#endTransaction()
    try {
      this.#store.transactionSync(() => {
        for (const { key, record } of all) {
          if (record === null) this.#store.removeSync(asBuffer(key))
          else this.#store.putSync(asBuffer(key), asBuffer(record))
        }
      })
    } catch (cause) {
      throw new SdkError('COMMIT_FAILED', `${all.length} writes are not stored`, { cause })
    }
  }

  /** Forgets all writes since `begin`. @throws SdkError INVALID_STATE outside a transaction. */
  abort(): void {
    this.#endTransaction()
  }

  /** Resolves when everything committed is on the disk. */
  async sync(): Promise<void> {
    this.#checkOpen()
    const file = await open(join(this.#directory, DATA_FILE))
    try {
      await file.datasync()
    } finally {
      await file.close()
    }
  }

  /** Ends it; a transaction under way is forgotten. INVALID_HANDLE for every use afterwards. */
  async close(): Promise<void> {
    this.#checkOpen()
    this.#closed = true
    this.#transaction = undefined
    await this.#store.close()
  }

  /** @param check - whether the record's being there fits: asked under the lock of all writers. */
  #write(
    key: Uint8Array,
    record: Uint8Array | null,
    check: (isThere: boolean) => void = () => {},
  ): void {
    if (record !== null && record.byteLength > this.#recordBytesMax) {
      const message = `a record of ${record.byteLength} bytes: at most ${this.#recordBytesMax}`
      throw new SdkError('TOO_BIG', message)
    }
    if (this.#transaction !== undefined) {
      check(this.get(key) !== undefined)
      checkRoom(this.#transaction)
      this.#transaction.set({ key: new Uint8Array(key), record: copyOf(record) })
      return
    }
    const step = (): void => {
      check(this.#store.doesExist(asBuffer(key)))
      if (record === null) this.#store.removeSync(asBuffer(key))
      else this.#store.putSync(asBuffer(key), asBuffer(record))
    }
    guarded('write', () => this.#store.transactionSync(step))
  }

  #after(key: Uint8Array | undefined): DatabaseRecord | undefined {
    for (let from = key; ;) {
      const stored = this.#storedAfter(from)
      const pending = this.#transaction?.after(from)
      if (pending === undefined) return stored
      if (stored !== undefined && compareBytes(stored.key, pending.key) < 0) return stored
      if (pending.record !== null) {
        return { key: new Uint8Array(pending.key), record: new Uint8Array(pending.record) }
      }
      from = pending.key
    }
  }

  #storedAfter(key: Uint8Array | undefined): DatabaseRecord | undefined {
    // Nothing is between a key and the same key with a zero byte after it.
    const start = key === undefined ? {} : { start: Buffer.concat([key, Buffer.of(0)]) }
    const [found] = guarded('read', () => [...this.#store.getRange({ ...start, limit: 1 })])
    if (found === undefined) return undefined
    return { key: new Uint8Array(found.key), record: new Uint8Array(found.value) }
  }

  #endTransaction(): PendingWrites {
    this.#checkOpen()
    const transaction = this.#transaction
    if (transaction === undefined) {
      throw new SdkError('INVALID_STATE', 'no transaction is under way: begin one first')
    }
    this.#transaction = undefined
    return transaction
  }

  #check(key: Uint8Array): void {
    this.#checkOpen()
    if (key.byteLength >= 1 && key.byteLength <= this.#keyBytesMax) return
    const message = `a key of ${key.byteLength} bytes: 1 to ${this.#keyBytesMax} are possible`
    throw new SdkError('INVALID_PARAMETER', message)
  }

  #checkOpen(): void {
    if (this.#closed) throw new SdkError('INVALID_HANDLE', 'the database is closed')
  }
}

function openStore(
  directory: string,
  mode: DatabaseMode,
  sync: boolean,
): RootDatabase<Buffer, Buffer> {
  const isThere = existsSync(join(directory, DATA_FILE))
  if (mode === 'open' && !isThere) {
    throw new SdkError('NOT_EXIST', `there is no database in ${directory}`)
  }
  if (isThere && !existsSync(join(directory, MARK_FILE))) {
    const message = `the database in ${directory} is not one of this library: use a directory of its own`
    throw new SdkError('OP_NOT_PERMITTED', message)
  }
  if (isThere) checkFile(directory, mode)
  mkdirSync(directory, { recursive: true, mode: 0o700 })
  writeFileSync(join(directory, MARK_FILE), MARK)
  const lmdb = createRequire(import.meta.url)('lmdb') as typeof import('lmdb')
  const store = lmdb.open<Buffer, Buffer>({
    path: directory,
    noSubdir: false,
    noSync: !sync,
    overlappingSync: false,
    encoding: 'binary',
    keyEncoding: 'binary',
    cache: false,
  })
  if (mode === 'create') store.clearSync()
  return store
}

/** LMDB ends the process over a file that is torn: it gets none. What `create` would empty is removed instead. */
function checkFile(directory: string, mode: DatabaseMode): void {
  const path = join(directory, DATA_FILE)
  const problem = statSync(path).size === 0 ? undefined : lmdbFileProblem(path)
  if (problem === undefined) return
  if (mode === 'create') {
    for (const file of [DATA_FILE, LOCK_FILE]) rmSync(join(directory, file), { force: true })
    return
  }
  const remedy = 'remove the directory, or open it with mode create, and fill it again'
  throw new SdkError('DB_ERROR', `${path}: ${problem}; remedy: ${remedy}`)
}

/** Errors of LMDB and of the file system in the library's words. */
function guarded<T>(what: string, step: () => T): T {
  try {
    return step()
  } catch (cause) {
    if (cause instanceof SdkError) throw cause
    throw new SdkError('DB_ERROR', `${what}: ${String(cause)}`, { cause })
  }
}

function checkRoom({ all, bytes }: PendingWrites): void {
  if (all.length < TRANSACTION_WRITES_MAX && bytes < TRANSACTION_BYTES_MAX) return
  const message = `a transaction has ${TRANSACTION_WRITES_MAX} writes and ${TRANSACTION_BYTES_MAX} bytes at most`
  throw new SdkError('NO_SPACE', message)
}

function checkBound(name: string, value: number, max: number): void {
  if (Number.isInteger(value) && value >= 1 && value <= max) return
  throw new SdkError('INVALID_PARAMETER', `${name} is ${value}: 1 to ${max} are possible`)
}

/** Not by `slice`: that of a Buffer is a view. */
function copyOf(bytes: Uint8Array | null): Uint8Array | null {
  return bytes === null ? null : new Uint8Array(bytes)
}

function asBuffer(bytes: Uint8Array): Buffer {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength)
}
