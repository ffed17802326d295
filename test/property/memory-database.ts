import type { RootDatabase } from 'lmdb'
import type { BatchLog } from '../../runtime/services/checkpoint/batch-log.ts'
import type { ReplicaEnvironment } from '../../runtime/services/checkpoint/replica-log.ts'
import { seal, unseal } from '../../runtime/services/checkpoint/stored-value.ts'

type Key = readonly (string | number | Uint8Array)[]

/** The part of LMDB that a stored replica uses, in memory: it survives the simulated death of its process. */
export class MemoryDatabase {
  #entries = new Map<string, { key: Key; value: Buffer }>()

  /** What a disk has when its process is killed now: later writes do not reach it. */
  clone(): MemoryDatabase {
    const copy = new MemoryDatabase()
    copy.#entries = new Map(this.#entries)
    return copy
  }

  /** Bytes of some entries are others now, as a torn file has them. */
  tear(isTorn: (key: Key) => boolean): void {
    for (const entry of this.#entries.values()) {
      if (isTorn(entry.key)) entry.value.fill(0xa5)
    }
  }

  keys(): Key[] {
    return [...this.#entries.values()].map(({ key }) => key)
  }

  close(): Promise<void> {
    return Promise.resolve()
  }

  asLmdb(): RootDatabase<Buffer> {
    return this as unknown as RootDatabase<Buffer>
  }

  asEnvironment(): ReplicaEnvironment {
    const batches = { log: (name: string) => this.batchLog(name), close: () => undefined }
    return { database: this.asLmdb(), batches }
  }

  /** Its batches are entries too: `l`, the name, the piece, the place in it. */
  batchLog(name: string): BatchLog {
    const all = (): [number, number][] =>
      this.getKeys({ start: ['l', name], end: ['l', name, ''] }).map((key) => [
        Number(key[2]),
        Number(key[3]),
      ])
    let newest = all().at(-1)?.[0] ?? 1
    let place = all().at(-1)?.[1] ?? 0
    const dropBefore = (before: number): void => {
      for (const [piece, at] of all()) if (piece < before) this.removeSync(['l', name, piece, at])
    }
    return {
      append: (payload) => this.putSync(['l', name, newest, ++place], Buffer.from(seal(payload))),
      turn: () => (all().some(([piece]) => piece === newest) ? ++newest : newest),
      dropBefore,
      read: (from, take) => {
        dropBefore(from)
        newest = all().at(-1)?.[0] ?? from
        for (const [piece, at] of all()) {
          const payload = unseal(this.getBinary(['l', name, piece, at]))
          const problem = payload === undefined ? 'a batch does not check' : take(payload)
          if (problem !== undefined) return problem
        }
        return undefined
      },
      close: () => undefined,
    }
  }

  putSync(key: Key, value: Buffer): void {
    this.#entries.set(JSON.stringify(key), { key, value: Buffer.from(value) })
  }

  removeSync(key: Key): boolean {
    return this.#entries.delete(JSON.stringify(key))
  }

  getBinary(key: Key): Buffer | undefined {
    return this.#entries.get(JSON.stringify(key))?.value
  }

  getRange(range: { start: Key; end: Key }): { key: Key; value: Buffer }[] {
    return [...this.#entries.values()]
      .filter(({ key }) => compare(key, range.start) >= 0 && compare(key, range.end) < 0)
      .sort((a, b) => compare(a.key, b.key))
  }

  getKeys(range: { start: Key; end: Key }): Key[] {
    return this.getRange(range).map(({ key }) => key)
  }

  transactionSync<T>(action: () => T): T {
    return action()
  }
}

function compare(a: Key, b: Key): number {
  for (let i = 0; i < Math.max(a.length, b.length); i++) {
    const order = comparePart(a[i], b[i])
    if (order !== 0) return order
  }
  return 0
}

function comparePart(a: Key[number] | undefined, b: Key[number] | undefined): number {
  const rank = rankOf(a) - rankOf(b)
  if (rank !== 0 || a === undefined || b === undefined) return rank
  if (a === b) return 0
  return a < b ? -1 : 1
}

function rankOf(part: Key[number] | undefined): number {
  if (part === undefined) return 0
  return typeof part === 'number' ? 1 : typeof part === 'string' ? 2 : 3
}
