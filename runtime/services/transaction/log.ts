import { existsSync, renameSync, rmSync, statSync } from 'node:fs'
import { join } from 'node:path'
import type { Logger } from 'pino'
import { SdkError } from '../../../idl/index.ts'
import { lmdbFileProblem } from '../../../ioc/internal.ts'
import { Database } from '../../dbal/database.ts'
import {
  type EndedTransaction,
  endedTransactionCodec,
  storedTransactionCodec,
  type Transaction,
} from './operations.ts'

export interface TransactionLogOptions {
  /** The log's own directory. Made with the first transaction. */
  readonly directory: string
  readonly log: Pick<Logger, 'warn' | 'error'>
}

/** What a log has from an earlier life of the node process. */
export interface LoggedTransactions {
  readonly open: readonly { readonly incarnation: string; readonly transaction: Transaction }[]
  readonly ended: readonly EndedTransaction[]
  /** It may have forgotten the end of what began up to here. */
  readonly forgotten: number
}

const RECORD_BYTES_MAX = 1_024 * 1_024
const KEY = { open: 'o', ended: 'e', forgotten: Buffer.from('f') } as const

/**
 * The transactions that one node knows, in an LMDB environment that outlives its processes (not the machine). Written
 * before anything follows from it: I1 what an agent was told to commit, the log of its node has as decided.
 *
 * A damaged one is put aside as `DIRECTORY.damaged`. A write that fails is reported, and the transaction goes on: the
 * other nodes have it.
 */
export class TransactionLog {
  readonly #options: TransactionLogOptions
  #database: Database | null = null
  #isClosed = false

  constructor(options: TransactionLogOptions) {
    this.#options = options
  }

  /** Everything that is there. Records that cannot be read are left out, and reported. */
  load(): LoggedTransactions {
    const open: LoggedTransactions['open'][number][] = []
    const ended: EndedTransaction[] = []
    let forgotten = -1
    if (!existsSync(join(this.#options.directory, 'data.mdb'))) return { open, ended, forgotten }
    this.#read((database) => {
      for (let one = database.first(); one !== undefined; one = database.next(one.key)) {
        const { key, record } = one
        try {
          const kind = String.fromCharCode(key[0] ?? 0)
          if (kind === KEY.open) open.push(storedTransactionCodec.decode(Buffer.from(record)))
          else if (kind === KEY.ended) ended.push(endedTransactionCodec.decode(Buffer.from(record)))
          else forgotten = Number(Buffer.from(record).toString())
        } catch (err) {
          const name = Buffer.from(key).toString()
          this.#options.log.error({ err, name }, 'a logged transaction cannot be read')
        }
      }
    })
    return { open, ended, forgotten }
  }

  put(incarnation: string, transaction: Transaction): void {
    const bytes = storedTransactionCodec.encode({ incarnation, transaction })
    this.#write((database) => {
      database.replace(keyOf(KEY.open, transaction.id), bytes)
    })
  }

  /** @param ended - null: how it ended is kept elsewhere. */
  end(id: string, ended: EndedTransaction | null): void {
    this.#write((database) => {
      const key = keyOf(KEY.open, id)
      database.begin()
      if (database.get(key) !== undefined) database.delete(key)
      if (ended !== null) {
        database.replace(keyOf(KEY.ended, id), endedTransactionCodec.encode(ended))
      }
      database.commit()
    })
  }

  /** Ends that are kept no longer. @param upTo - all that began up to here. */
  forget(ids: readonly string[], upTo: number): void {
    if (ids.length === 0) return
    this.#write((database) => {
      database.begin()
      for (const key of ids.map((id) => keyOf(KEY.ended, id))) {
        if (database.get(key) !== undefined) database.delete(key)
      }
      database.replace(KEY.forgotten, Buffer.from(String(upTo)))
      database.commit()
    })
  }

  /** Drops what is open no longer. */
  keepOnly(ids: ReadonlySet<string>): void {
    for (const { transaction } of this.load().open) {
      if (!ids.has(transaction.id)) this.end(transaction.id, null)
    }
  }

  /** What comes later is not logged any more. */
  async close(): Promise<void> {
    this.#isClosed = true
    await this.#database?.close()
    this.#database = null
  }

  #write(step: (database: Database) => void): void {
    if (this.#isClosed) return
    const { directory, log } = this.#options
    try {
      step(this.#open())
    } catch (err) {
      log.error({ err, directory }, 'a transaction cannot be logged here: other nodes have it')
    }
  }

  #read(step: (database: Database) => void): void {
    const { directory, log } = this.#options
    try {
      step(this.#open())
    } catch (err) {
      log.error({ err, directory }, 'the log of transactions cannot be read')
    }
  }

  #open(): Database {
    return (this.#database ??= openDatabase(this.#options))
  }
}

function openDatabase(options: TransactionLogOptions): Database {
  const { directory } = options
  const file = join(directory, 'data.mdb')
  const problem = existsSync(file) && statSync(file).size > 0 ? lmdbFileProblem(file) : undefined
  if (problem !== undefined) putAside(options, problem)
  const open = (): Database =>
    new Database({ directory, mode: 'append', recordBytesMax: RECORD_BYTES_MAX })
  try {
    return open()
  } catch (error) {
    if (!(error instanceof SdkError) || error.code !== 'DB_ERROR') throw error
    putAside(options, error.message)
    return open()
  }
}

function putAside({ directory, log }: TransactionLogOptions, why: string): void {
  const aside = `${directory}.damaged`
  log.error({ directory, aside }, `the log of transactions is damaged (${why}): put aside`)
  rmSync(aside, { recursive: true, force: true })
  renameSync(directory, aside)
}

function keyOf(kind: string, id: string): Uint8Array {
  return Buffer.from(kind + id)
}
