import type { Key, RootDatabase } from 'lmdb'
import type { Logger } from 'pino'
import { z } from 'zod'
import type { BatchLog } from './batch-log.ts'
import { BatchTail, type KeptBatch } from './batch-tail.ts'
import { lastSequenceOf } from './commit-pipeline.ts'
import type { EpochHistory } from './history.ts'
import {
  CheckpointReplica,
  type CachedReply,
  type CheckpointBatch,
  type CheckpointSnapshot,
} from './interface.ts'
import { Replica, type AppendOutcome } from './replica.ts'
import { seal, sealValue, unseal, unsealValue } from './stored-value.ts'

export interface StoredReplicaLimits {
  /**
   * Records in the log after which content is written out, and the log goes: a node that starts reads them all, some
   * 20 us each while its code is cold, and hears nobody meanwhile.
   */
  readonly logCountMax: number
  readonly logSizeBytesMax: number
  /** Keys written in one go while others wait. */
  readonly sliceCount: number
}

export const STORED_REPLICA_LIMITS: StoredReplicaLimits = {
  logCountMax: 8_192,
  logSizeBytesMax: 8 * 1_024 * 1_024,
  sliceCount: 256,
}

export interface StoredReplicaOptions {
  readonly csi: string
  /** What is written waits for the disk. */
  readonly isDurable: boolean
  readonly database: RootDatabase<Buffer>
  /** Of this replica; closed by whoever made it. */
  readonly batches: BatchLog
  readonly log: Pick<Logger, 'info' | 'warn' | 'error'>
  readonly clock: () => number
  readonly limits?: StoredReplicaLimits
}

const metaSchema = z.strictObject({
  epoch: z.int(),
  /** False: the content was lost or never there; only a peer can say what belongs here. */
  isReliable: z.boolean(),
  /** Records up to this one are in the written-out content; the log has the later ones. */
  writtenOut: z.int(),
  /** First piece of the log that counts. */
  logFrom: z.int(),
  history: z.array(z.tuple([z.int(), z.int()])),
})
type Meta = z.infer<typeof metaSchema>

const replySchema = z.strictObject({
  caller: z.string(),
  messageId: z.int(),
  functionNumber: z.int(),
  rc: z.int(),
  payload: z.custom<Uint8Array>((value) => value instanceof Uint8Array),
  keepMs: z.int(),
})

const appendCodec = CheckpointReplica.methods.append.input

/** What {@link StoredReplica.append} did. */
export type StoredOutcome = StoredBatch | Exclude<AppendOutcome, { readonly kind: 'applied' }>

/** A batch that is stored: what was new of it, and that in wire form. */
export interface StoredBatch {
  readonly kind: 'applied'
  readonly batch: CheckpointBatch
  readonly payload: Uint8Array
}

/**
 * A {@link Replica} that outlives its process: batches go to a log, and from time to time the content to the store.
 * Keys of the store, for a CSI: `m` meta; `s` and the name: a section; `r`, caller and id: a reply.
 *
 * I1 What a method answers is in the log or the store before it returns: in the kernel's pages, if durable on the disk.
 * I2 Content written out may be newer than `writtenOut` says: replaying the log over it gives the same end, since a
 *    record says values, not differences.
 * I3 A piece of the log is forgotten only after `writtenOut` and `logFrom` say that it is not needed.
 */
export class StoredReplica {
  readonly csi: string
  readonly #replica = new Replica((caller, id) => this.#noteDirtyReply(caller, id))
  readonly #tail = new BatchTail()
  readonly #options: StoredReplicaOptions
  readonly #limits: StoredReplicaLimits
  #isReliable = false
  #writtenOut = 0
  #logFrom = 1
  #logCount = 0
  #logSizeBytes = 0
  #dirtySections = new Set<string>()
  #dirtyReplies = new Map<string, Set<number>>()
  /** Grows when content is replaced or the store closes: a running write-out then stops. */
  #generation = 0
  #isWritingOut = false
  /** In the log, and not in the content yet. */
  #unsettled: { readonly stored: StoredBatch; readonly under: number } | null = null

  constructor(options: StoredReplicaOptions) {
    this.csi = options.csi
    this.#options = options
    this.#limits = options.limits ?? STORED_REPLICA_LIMITS
    this.#load()
  }

  /** True when the content is what this node held when it last answered; false when new, or damaged. */
  get isReliable(): boolean {
    return this.#isReliable
  }

  /** The content, with everything that was appended. */
  get replica(): Replica {
    this.settle()
    return this.#replica
  }

  get tail(): BatchTail {
    this.settle()
    return this.#tail
  }

  get isDurable(): boolean {
    return this.#options.isDurable
  }

  /** Refuses older epochs from now on, also after a restart. @returns false when a newer one was promised. */
  promise(epoch: number): boolean {
    if (epoch < this.replica.epoch) return false
    if (epoch > this.replica.epoch) {
      this.#putMeta({ epoch })
      this.replica.promise(epoch)
    }
    return true
  }

  /**
   * Stores a batch. The content takes it with {@link settle}, or when somebody looks: an answer that waits for the log
   * only may leave before.
   * @param payload - its wire form as an `append` without `under`, or null to have it encoded.
   * @throws SdkError of LMDB's failure: nothing changed.
   */
  append(batch: CheckpointBatch, under: number, payload: Uint8Array | null): StoredOutcome {
    const outcome = this.replica.examine(batch, under)
    if (outcome.kind !== 'applied') return outcome
    const bytes =
      payload !== null && outcome.batch === batch
        ? payload
        : appendCodec.encode({ csi: this.csi, batch: outcome.batch })
    this.#options.batches.append(bytes)
    const stored: StoredBatch = { kind: 'applied', batch: outcome.batch, payload: bytes }
    this.#unsettled = { stored, under }
    return stored
  }

  /** The content takes what was appended last. */
  settle(): void {
    if (this.#unsettled === null) return
    const { stored, under } = this.#unsettled
    this.#unsettled = null
    this.#keep(stored.batch, stored.payload)
    this.#replica.append(stored.batch, under, this.#options.clock())
    this.#noteDirty(stored.batch)
    this.#maybeWriteOut()
  }

  /** Takes the whole content of another replica, in one transaction. From then on it can be relied on. */
  replace(snapshot: CheckpointSnapshot, history: EpochHistory): void {
    const { database, batches } = this.#options
    this.settle()
    this.#generation++
    this.#isWritingOut = false
    const logFrom = batches.turn()
    database.transactionSync(() => {
      this.#clearStore()
      for (const [name, value] of snapshot.sections) {
        database.putSync(this.#sectionKey(name), sealed(value))
      }
      for (const reply of snapshot.replies) {
        database.putSync(this.#replyKey(reply.caller, reply.messageId), sealedReply(reply))
      }
      this.#putMeta({ isReliable: true, writtenOut: snapshot.sequence, history, logFrom })
    })
    this.#isReliable = true
    this.#writtenOut = snapshot.sequence
    this.#forgetLog(logFrom)
    this.replica.replace(snapshot, history, this.#options.clock())
  }

  /** Nothing was ever acknowledged for the CSI: what is here may be relied on, whatever it is. */
  makeReliable(): void {
    if (this.#isReliable) return
    this.#putMeta({ isReliable: true })
    this.#isReliable = true
  }

  /** The wire form of a kept batch in a stream under `epoch`. */
  payloadUnder(kept: KeptBatch, epoch: number): Uint8Array {
    if (kept.epoch === epoch) return kept.payload
    return appendCodec.encode({ ...appendCodec.decode(kept.payload), under: epoch })
  }

  /** Nothing of it is left in the store. Not to be used after it. */
  destroy(): void {
    const { database, batches } = this.#options
    this.close()
    // Before the log goes: half of a content may not pass for one.
    this.#putMeta({ isReliable: false })
    batches.dropBefore(Infinity)
    database.transactionSync(() => {
      this.#clearStore()
      database.removeSync(this.#metaKey())
    })
  }

  /** Stops background work. */
  close(): void {
    this.settle()
    this.#generation++
  }

  /** Notes a batch of the log. @param payload - kept as it is */
  #keep(batch: CheckpointBatch, payload: Uint8Array): void {
    const { epoch, firstSequence } = batch
    this.#tail.push({ epoch, firstSequence, lastSequence: lastSequenceOf(batch), payload })
    this.#logCount += batch.records.length
    this.#logSizeBytes += payload.byteLength
  }

  #putMeta(changes: Partial<Omit<Meta, 'history'>> & { history?: EpochHistory }): void {
    const meta = {
      epoch: this.replica.epoch,
      isReliable: this.#isReliable,
      writtenOut: this.#writtenOut,
      logFrom: this.#logFrom,
      history: this.replica.history,
      ...changes,
    }
    this.#options.database.putSync(this.#metaKey(), Buffer.from(sealValue(meta)))
  }

  #load(): void {
    const meta = this.#loadMeta()
    if (meta !== undefined) this.replica.promise(meta.epoch)
    if (meta === undefined || !meta.isReliable) {
      this.#forgetLog(this.#options.batches.turn())
      return
    }
    const problem = this.#loadContent(meta)
    if (problem !== undefined) this.#lose(problem)
    else this.#isReliable = true
  }

  #loadMeta(): Meta | undefined {
    const stored = this.#options.database.getBinary(this.#metaKey())
    if (stored === undefined) return undefined
    const meta = metaSchema.safeParse(unsealValue(stored))
    if (meta.success) return meta.data
    this.#lose('its meta record does not check')
    return undefined
  }

  /** @returns what is wrong with it, if anything. */
  #loadContent(meta: Meta): string | undefined {
    const { database, clock } = this.#options
    const content: CheckpointSnapshot = {
      epoch: 0,
      sequence: meta.writtenOut,
      sections: [],
      replies: [],
      acknowledged: [],
    }
    for (const { key, value } of database.getRange(this.#range('s'))) {
      const body = unseal(value)
      if (body === undefined) return `section ${String(nameOf(key))} does not check`
      content.sections.push([String(nameOf(key)), body])
    }
    for (const { value } of database.getRange(this.#range('r'))) {
      const reply = replySchema.safeParse(unsealValue(value))
      if (!reply.success) return 'a cached reply does not check'
      content.replies.push(reply.data)
    }
    const written = meta.history.filter(([, first]) => first <= meta.writtenOut)
    this.replica.replace(content, written, clock())
    this.#writtenOut = meta.writtenOut
    this.#logFrom = meta.logFrom
    return this.#replayLog(meta)
  }

  #replayLog(meta: Meta): string | undefined {
    const { batches, clock } = this.#options
    const problem = batches.read(meta.logFrom, (payload) => {
      const batch = decodeBatch(this.csi, payload)
      if (batch === undefined) return 'a batch of the log does not check'
      this.#keep(batch, new Uint8Array(payload))
      if (lastSequenceOf(batch) <= meta.writtenOut) return undefined
      const outcome = this.replica.append(batch, this.replica.epoch, clock())
      if (outcome.kind !== 'applied') {
        return `the log has a gap: ${batch.firstSequence} follows ${this.replica.sequence}`
      }
      this.#noteDirty(batch)
      return undefined
    })
    if (problem !== undefined) return problem
    const last = meta.history.at(-1)
    const isThere = (entry: EpochHistory[number]): boolean =>
      entry[0] === last?.[0] && entry[1] === last[1]
    return last === undefined || this.replica.history.some(isThere)
      ? undefined
      : 'the log ends before the record that its history names'
  }

  /** Content that cannot be trusted goes, durably: a peer has to give it again. */
  #lose(why: string): void {
    const { csi } = this
    this.#options.log.error({ csi }, `checkpoint ${csi} is lost on this node: ${why}`)
    const empty = { epoch: 0, sequence: 0, sections: [], replies: [], acknowledged: [] }
    this.replica.replace(empty, [], this.#options.clock())
    this.#writtenOut = 0
    this.#isReliable = false
    const logFrom = this.#options.batches.turn()
    this.#options.database.transactionSync(() => {
      this.#clearStore()
      this.#putMeta({ logFrom })
    })
    this.#forgetLog(logFrom)
  }

  /** The log begins anew with a piece; the store does not need the earlier ones any more. */
  #forgetLog(from: number): void {
    this.#logFrom = from
    this.#options.batches.dropBefore(from)
    this.#logCount = 0
    this.#logSizeBytes = 0
    this.#dirtySections.clear()
    this.#dirtyReplies.clear()
    this.#tail.clear()
  }

  #clearStore(): void {
    const { database } = this.#options
    for (const kind of ['s', 'r'] as const) {
      for (const key of [...database.getKeys(this.#range(kind))]) database.removeSync(key)
    }
  }

  #noteDirty(batch: CheckpointBatch): void {
    for (const record of batch.records) {
      for (const [name] of record.writes) this.#dirtySections.add(name)
    }
  }

  #noteDirtyReply(caller: string, id: number): void {
    const ids = this.#dirtyReplies.get(caller)
    if (ids === undefined) this.#dirtyReplies.set(caller, new Set([id]))
    else ids.add(id)
  }

  #maybeWriteOut(): void {
    if (this.#isWritingOut) return
    const { logCountMax, logSizeBytesMax } = this.#limits
    if (this.#logCount <= logCountMax && this.#logSizeBytes <= logSizeBytesMax) return
    this.#isWritingOut = true
    this.#inSlices(this.#writeOutSteps(), this.#generation)
  }

  /** Runs one step a turn of the event loop, so that commits are not held up. */
  #inSlices(steps: Iterator<undefined>, generation: number): void {
    setImmediate(() => {
      if (generation !== this.#generation) return
      try {
        if (steps.next().done === true) this.#isWritingOut = false
        else this.#inSlices(steps, generation)
      } catch (error) {
        // The log still has everything; the next commit tries again.
        this.#isWritingOut = false
        this.#options.log.error(
          { err: error, csi: this.csi },
          'checkpoint could not be written out',
        )
      }
    })
  }

  *#writeOutSteps(): Generator<undefined> {
    const { batches } = this.#options
    const target = this.replica.sequence
    const sections = this.#dirtySections
    const replies = this.#dirtyReplies
    const count = this.#logCount
    const sizeBytes = this.#logSizeBytes
    this.#dirtySections = new Set()
    this.#dirtyReplies = new Map()
    try {
      const logFrom = batches.turn()
      const keys = [...replies].flatMap(([caller, ids]) =>
        [...ids].map((id): [string, number] => [caller, id]),
      )
      yield* this.#writeDirty([...sections], keys)
      this.#putMeta({ writtenOut: target, logFrom })
      this.#logFrom = logFrom
    } catch (error) {
      for (const name of sections) this.#dirtySections.add(name)
      for (const [caller, ids] of replies) for (const id of ids) this.#noteDirtyReply(caller, id)
      throw error
    }
    this.#writtenOut = target
    this.#logCount -= count
    this.#logSizeBytes -= sizeBytes
    batches.dropBefore(this.#logFrom)
  }

  *#writeDirty(
    sections: readonly string[],
    replies: readonly (readonly [string, number])[],
  ): Generator<undefined> {
    const { database } = this.#options
    for (const names of slices(sections, this.#limits.sliceCount)) {
      database.transactionSync(() => {
        for (const name of names) this.#writeSection(name)
      })
      yield
    }
    for (const keys of slices(replies, this.#limits.sliceCount)) {
      database.transactionSync(() => {
        for (const [caller, id] of keys) this.#writeReply(caller, id)
      })
      yield
    }
  }

  #writeSection(name: string): void {
    const { database } = this.#options
    const value = this.replica.sections.get(name)
    if (value === undefined) database.removeSync(this.#sectionKey(name))
    else database.putSync(this.#sectionKey(name), sealed(value))
  }

  #writeReply(caller: string, id: number): void {
    const { database } = this.#options
    const found = this.replica.replies.lookup(caller, id)
    if (found.kind !== 'done') database.removeSync(this.#replyKey(caller, id))
    else database.putSync(this.#replyKey(caller, id), sealedReply(found.reply))
  }

  #metaKey(): Key {
    return ['m', this.csi]
  }

  #sectionKey(name: string): Key {
    return ['s', this.csi, name]
  }

  #replyKey(caller: string, id: number): Key {
    return ['r', this.csi, caller, id]
  }

  #range(kind: 's' | 'r'): { start: Key; end: Key } {
    return { start: [kind, this.csi], end: [kind, this.csi, Buffer.from([0xff, 0xff])] }
  }
}

function sealed(body: Uint8Array): Buffer {
  return asBuffer(seal(body))
}

function sealedReply(reply: CachedReply): Buffer {
  return asBuffer(sealValue(reply))
}

function asBuffer(bytes: Uint8Array): Buffer {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength)
}

function decodeBatch(csi: string, payload: Uint8Array): CheckpointBatch | undefined {
  try {
    const input = appendCodec.decode(payload)
    return input.csi === csi ? input.batch : undefined
  } catch {
    return undefined
  }
}

/** Last part of a key: the section. */
function nameOf(key: Key): unknown {
  return Array.isArray(key) ? key.at(-1) : key
}

function* slices<T>(items: readonly T[], count: number): Generator<readonly T[]> {
  for (let at = 0; at < items.length; at += count) yield items.slice(at, at + count)
}
