import { existsSync, mkdirSync, renameSync, rmSync, statSync } from 'node:fs'
import { join } from 'node:path'
import { open, type RootDatabase } from 'lmdb'
import type { Logger } from 'pino'
import { lmdbFileProblem } from '../../../ioc/internal.ts'
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

type Database = RootDatabase<Buffer, Buffer>

const KEY = { open: 'o', ended: 'e', forgotten: Buffer.from('f') } as const

/**
 * The transactions that one node knows, in an LMDB environment without fsync: outlives its processes, not the machine.
 * Written before anything follows from it: I1 what an agent was told to commit, the log of its node has as decided.
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
      for (const { key, value: record } of database.getRange()) {
        try {
          const kind = String.fromCharCode(key[0] ?? 0)
          if (kind === KEY.open) open.push(storedTransactionCodec.decode(record))
          else if (kind === KEY.ended) ended.push(endedTransactionCodec.decode(record))
          else forgotten = Number(record.toString())
        } catch (err) {
          const name = key.toString()
          this.#options.log.error({ err, name }, 'a logged transaction cannot be read')
        }
      }
    })
    return { open, ended, forgotten }
  }

  put(incarnation: string, transaction: Transaction): void {
    const bytes = storedTransactionCodec.encode({ incarnation, transaction })
    this.#write((database) => {
      database.putSync(keyOf(KEY.open, transaction.id), Buffer.from(bytes))
    })
  }

  /** @param ended - null: how it ended is kept elsewhere. */
  end(id: string, ended: EndedTransaction | null): void {
    this.#write((database) => {
      database.transactionSync(() => {
        database.removeSync(keyOf(KEY.open, id))
        if (ended === null) return
        const bytes = endedTransactionCodec.encode(ended)
        database.putSync(keyOf(KEY.ended, id), Buffer.from(bytes))
      })
    })
  }

  /** Ends that are kept no longer. @param upTo - all that began up to here. */
  forget(ids: readonly string[], upTo: number): void {
    if (ids.length === 0) return
    this.#write((database) => {
      database.transactionSync(() => {
        for (const id of ids) database.removeSync(keyOf(KEY.ended, id))
        database.putSync(KEY.forgotten, Buffer.from(String(upTo)))
      })
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
  try {
    return openFile(directory)
  } catch (error) {
    if (!existsSync(file)) throw error
    putAside(options, error instanceof Error ? error.message : String(error))
    return openFile(directory)
  }
}

function openFile(directory: string): Database {
  mkdirSync(directory, { recursive: true, mode: 0o700 })
  const database = open<Buffer, Buffer>({
    path: directory,
    noSubdir: false,
    noSync: true,
    overlappingSync: false,
    encoding: 'binary',
    keyEncoding: 'binary',
    cache: false,
  })
  database.readerCheck()
  return database
}

function putAside({ directory, log }: TransactionLogOptions, why: string): void {
  const aside = `${directory}.damaged`
  log.error({ directory, aside }, `the log of transactions is damaged (${why}): put aside`)
  rmSync(aside, { recursive: true, force: true })
  renameSync(directory, aside)
}

function keyOf(kind: string, id: string): Buffer {
  return Buffer.from(kind + id)
}
