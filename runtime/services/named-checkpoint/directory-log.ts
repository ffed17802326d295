import type { Logger } from 'pino'
import { makeMethodCodec } from '../../../idl/index.ts'
import { bootId } from '../../../ioc/internal.ts'
import type { CheckpointStreams } from '../checkpoint/server.ts'
import type { Directory } from './directory.ts'
import { before, elapsedMs, type Moment } from './idle-time.ts'
import {
  type Coverage,
  type DirectoryEntry,
  type DirectoryOperation,
  type RecoveredCheckpoint,
  type StoredDirectory,
  storedDirectorySchema,
  type StoredEntry,
  storedEntrySchema,
} from './operations.ts'

const DIRECTORY = 'directory'
const ENTRY = 'entry '
/** Lives of the directory of which it is known what they had; of older ones a store says nothing. */
const COVERED_COUNT_MAX = 32
const TOLD_COUNT = 50

const directoryCodec = makeMethodCodec('stored checkpoint directory', storedDirectorySchema)
const entryCodec = makeMethodCodec('stored checkpoint', storedEntrySchema)

export interface DirectoryLogOptions {
  readonly prefix: string
  readonly node: number
  readonly life: string
  readonly streams: Pick<CheckpointStreams, 'names' | 'standing' | 'records' | 'putRecords'>
  readonly log: Pick<Logger, 'error'>
  /** Numbers of the nodes of the model. */
  readonly nodes: () => readonly number[]
}

/**
 * What one node keeps of the directory, in the store of its replicas: so it outlives the process, and is lost when they
 * are. First it tells what it has from before; from then on it follows the directory.
 *
 * I1 What an operation changes is stored before anything follows from it. A write that fails is reported, and done with
 * the next one: other nodes have it. I2 That this node asks to add another one to those in sync is stored before it
 * asks: the others may hear of the addition, and go on with it, when this node is dead already.
 */
export class DirectoryLog {
  readonly #options: DirectoryLogOptions
  /** As it was found; null: nothing that could be read. */
  readonly #found: StoredDirectory | null
  /** Replicas were found, or records, and not what the directory said of them: anybody may know more. */
  #isTorn = false
  readonly #entries = new Map<string, StoredEntry>()
  /** Replicas that were there at the start. */
  readonly #replicas: ReadonlySet<string>
  /** What is still to be stored. */
  readonly #dirty = new Set<string>()
  #isFollowing = false

  constructor(options: DirectoryLogOptions) {
    this.#options = options
    this.#replicas = new Set(options.streams.names(options.prefix))
    this.#found = this.#load()
  }

  /** What the store had is told, and the directory has it: it is followed. */
  get isFollowing(): boolean {
    return this.#isFollowing
  }

  /** What the directory has to hear of this store. */
  report(): DirectoryOperation[] {
    const { node, life, streams } = this.#options
    const incarnation = this.#found?.incarnation ?? null
    const ids = [...new Set([...this.#entries.keys(), ...this.#replicas])]
    const now = moment()
    const told = ids.map((id): RecoveredCheckpoint => {
      const stored = this.#entries.get(id)
      const idleMs = stored?.idleSince ? elapsedMs(stored.idleSince, now) : 0
      const entry = stored === undefined ? null : { ...stored.entry, idleMs }
      return { id, entry, joining: stored?.joining ?? [], replica: streams.standing(id) }
    })
    const parts: DirectoryOperation[] = []
    for (let at = 0; at === 0 || at < told.length; at += TOLD_COUNT) {
      const checkpoints = told.slice(at, at + TOLD_COUNT)
      parts.push({ kind: 'recovered', node, incarnation, isFirst: at === 0, checkpoints })
    }
    const covered = this.#found?.covered ?? []
    const others = this.#found?.others ?? (this.#isTorn ? [...this.#options.nodes()] : [])
    return [...parts, { kind: 'reported', node, life, incarnation, covered, others }]
  }

  /** Takes over all of the directory. @returns replicas of the time before that nobody knows any more. */
  begin(directory: Directory, members: readonly number[]): string[] {
    this.#isFollowing = true
    const ids = new Set(directory.ids())
    this.write(directory, members, new Set([...ids, ...this.#entries.keys()]))
    return [...this.#replicas].filter((id) => !ids.has(id))
  }

  /**
   * This node is going to ask that another one counts as in sync: I2.
   * @throws Error of the store: then it must not ask.
   */
  joining(id: string, epoch: number, node: number): void {
    const known = this.#entries.get(id)
    // Under another epoch it will be refused.
    if (known?.entry.epoch !== epoch || known.joining.includes(node)) return
    const stored = { ...known, joining: [...known.joining, node] }
    const { streams, prefix } = this.#options
    const changes = new Map([[`${ENTRY}${id}`, entryCodec.encode(stored)]])
    streams.putRecords(prefix, changes, isDurable(stored))
    this.#entries.set(id, stored)
  }

  /** This node has heard what came of it; stored with the entry. */
  joined(id: string, node: number): void {
    const known = this.#entries.get(id)
    if (known?.joining.includes(node) !== true) return
    this.#entries.set(id, { ...known, joining: known.joining.filter((one) => one !== node) })
    this.#dirty.add(id)
  }

  /** Stores what has changed: I1. */
  write(directory: Directory, members: readonly number[], ids: Iterable<string>): void {
    for (const id of ids) this.#dirty.add(id)
    const { streams, prefix, log } = this.#options
    const changes = new Map<string, Uint8Array | null>()
    const now = moment()
    for (const id of this.#dirty) {
      const entry = directory.storable(id)
      const stored = entry === undefined ? null : this.#stored(entry, now)
      if (stored === null) this.#entries.delete(id)
      else this.#entries.set(id, stored)
      changes.set(`${ENTRY}${id}`, stored === null ? null : entryCodec.encode(stored))
    }
    changes.set(DIRECTORY, directoryCodec.encode(this.#directory(directory, members)))
    try {
      streams.putRecords(prefix, changes, [...this.#entries.values()].some(isDurable))
      this.#dirty.clear()
    } catch (err) {
      log.error({ err }, 'the directory of checkpoints cannot be stored here: other nodes have it')
    }
  }

  #directory({ recovery, revision }: Directory, members: readonly number[]): StoredDirectory {
    const { begun, awaited } = recovery
    const incarnation = recovery.incarnation ?? ''
    const isSame = this.#found?.incarnation === incarnation
    const former: Coverage = this.#found?.covered.slice(0, isSame ? -1 : undefined) ?? []
    const covered: Coverage = [...former, [begun, revision]]
    const others = [...new Set([...members, ...awaited])]
    return { incarnation, covered: covered.slice(-COVERED_COUNT_MAX), others }
  }

  #stored(entry: DirectoryEntry, now: Moment): StoredEntry {
    const known = this.#entries.get(entry.id)
    const isSame = known?.entry.generation === entry.generation
    const since = isSame ? (known?.idleSince ?? null) : null
    const idleSince = entry.openers.length > 0 ? null : (since ?? before(now, entry.idleMs))
    // What was asked under an older epoch has come to nothing, or is part of the entry.
    const joining = known?.entry.epoch === entry.epoch ? known.joining : []
    return { entry: { ...entry, openers: [] }, joining, idleSince }
  }

  #load(): StoredDirectory | null {
    const { streams, prefix, log } = this.#options
    try {
      const records = streams.records(prefix)
      if (records === null) throw new Error('a record does not check')
      const directory = records.get(DIRECTORY)
      if (directory === undefined && records.size === 0 && this.#replicas.size === 0) return null
      if (directory === undefined) throw new Error('the record of the whole is missing')
      const found = directoryCodec.decode(directory)
      for (const [name, record] of records) {
        if (!name.startsWith(ENTRY)) continue
        const stored = entryCodec.decode(record)
        this.#entries.set(stored.entry.id, stored)
      }
      return found
    } catch (err) {
      log.error({ err }, 'the stored directory of checkpoints cannot be read: other nodes tell it')
      this.#entries.clear()
      this.#isTorn = true
      return null
    }
  }
}

/** What is written there outlives the machine, and so must what is known of it. */
function isDurable({ entry }: StoredEntry): boolean {
  return entry.attributes.durable === true
}

function moment(): Moment {
  const monotonicMs = Number(process.hrtime.bigint() / 1_000_000n)
  return { bootId: bootId(), monotonicMs, wallMs: Date.now() }
}
