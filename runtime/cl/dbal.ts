import { join } from 'node:path'
import { SdkError, type ClRcT } from '../../idl/index.ts'
import { Database, type DatabaseMode, type DatabaseRecord } from '../dbal/database.ts'
import { ClLibrary, given, handlesOf } from './library.ts'
import type { ClOut } from './process.ts'

/** A database. */
export type ClDBHandleT = Database

/** How a database is opened, and that every write is to be on the disk. SAFplus, section 21. */
export const CL_DB_CREAT = 1
export const CL_DB_OPEN = 2
export const CL_DB_APPEND = 4
export const CL_DB_SYNC = 8
const MODES: Readonly<Record<number, DatabaseMode>> = {
  [CL_DB_CREAT]: 'create',
  [CL_DB_OPEN]: 'open',
  [CL_DB_APPEND]: 'append',
}

const LIBRARY = new ClLibrary('DBAL')
const handle = handlesOf(Database)

/** Opens the database `name` in the directory `file`. A flag that is none is INVALID_PARAMETER. */
export function clDbalOpen(
  file: string,
  name: string,
  flag: number,
  maxKey: number,
  maxRecord: number,
  out: ClOut<ClDBHandleT | undefined>,
): ClRcT {
  return LIBRARY.get(out, () => {
    const mode = MODES[flag & ~CL_DB_SYNC]
    if (mode === undefined) throw new SdkError('INVALID_PARAMETER', `there is no flag ${flag}`)
    const directory = join(given('file', file), given('name', name))
    const sync = (flag & CL_DB_SYNC) !== 0
    return new Database({ directory, mode, sync, keyBytesMax: maxKey, recordBytesMax: maxRecord })
  })
}

/** The same: every database has transactions. */
export const clDbalTxnOpen = clDbalOpen

/** `Database.close`; the handle becomes null. */
export function clDbalClose(database: ClOut<ClDBHandleT | null>): Promise<ClRcT> {
  return LIBRARY.wait(async () => {
    await handle(given('database', database).value).close()
    database.value = null
  })
}

/** `Database.sync`. */
export function clDbalSync(database: ClDBHandleT): Promise<ClRcT> {
  return LIBRARY.wait(async () => handle(database).sync())
}

/** `Database.insert`. */
export function clDbalRecordInsert(
  database: ClDBHandleT,
  key: Uint8Array,
  record: Uint8Array,
): ClRcT {
  return LIBRARY.run(() => handle(database).insert(given('key', key), given('record', record)))
}

/** `Database.replace`. */
export function clDbalRecordReplace(
  database: ClDBHandleT,
  key: Uint8Array,
  record: Uint8Array,
): ClRcT {
  return LIBRARY.run(() => handle(database).replace(given('key', key), given('record', record)))
}

/** `Database.get`; NOT_EXIST where there is none. */
export function clDbalRecordGet(
  database: ClDBHandleT,
  key: Uint8Array,
  out: ClOut<Uint8Array | undefined>,
): ClRcT {
  return LIBRARY.get(out, () => handle(database).get(given('key', key)))
}

/** `Database.delete`. */
export function clDbalRecordDelete(database: ClDBHandleT, key: Uint8Array): ClRcT {
  return LIBRARY.run(() => handle(database).delete(given('key', key)))
}

/** `Database.first`; NOT_EXIST at the end. */
export function clDbalFirstRecordGet(
  database: ClDBHandleT,
  out: ClOut<DatabaseRecord | undefined>,
): ClRcT {
  return LIBRARY.get(out, () => handle(database).first())
}

/** `Database.next`; NOT_EXIST at the end. */
export function clDbalNextRecordGet(
  database: ClDBHandleT,
  currentKey: Uint8Array,
  out: ClOut<DatabaseRecord | undefined>,
): ClRcT {
  return LIBRARY.get(out, () => handle(database).next(given('currentKey', currentKey)))
}

/** Nothing is to be freed: answers OK, so that programs that do port unchanged. */
export function clDbalKeyFree(database: ClDBHandleT, key: Uint8Array): ClRcT {
  return LIBRARY.run(() => void [handle(database), given('key', key)])
}

/** The same for a record. */
export function clDbalRecordFree(database: ClDBHandleT, record: Uint8Array): ClRcT {
  return LIBRARY.run(() => void [handle(database), given('record', record)])
}

/** `Database.begin`. */
export function clDbalTransactionBegin(database: ClDBHandleT): ClRcT {
  return LIBRARY.run(() => handle(database).begin())
}

/** `Database.commit`. */
export function clDbalTransactionCommit(database: ClDBHandleT): ClRcT {
  return LIBRARY.run(() => handle(database).commit())
}

/** `Database.abort`. */
export function clDbalTransactionAbort(database: ClDBHandleT): ClRcT {
  return LIBRARY.run(() => handle(database).abort())
}
