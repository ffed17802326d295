import type { ValueCodec } from '../../../idl/index.ts'
import type { CachedReply, CheckpointBatch, CheckpointRecord } from './interface.ts'
import type { MsgpackReader } from './msgpack-reader.ts'
import type { MsgpackWriter } from './msgpack-writer.ts'
import { onePassCodec } from './one-pass-codec.ts'

/** Input of `commit`, `append` and `applied`. */
interface BatchInput {
  csi: string
  batch: CheckpointBatch
  under?: number | undefined
}

/** Output of `commit` and `append`. */
interface SequenceOutput {
  sequence: number
}

/** Of batches on every write's way. */
export function batchCodec<T extends BatchInput>(general: ValueCodec<T>): ValueCodec<T> {
  const read = (reader: MsgpackReader): T => readInput(reader) as T
  return onePassCodec(general, { sizeOf: sizeOfInput, write: writeInput, read })
}

/** Of their answers. */
export function sequenceCodec<T extends SequenceOutput>(general: ValueCodec<T>): ValueCodec<T> {
  return onePassCodec(general, {
    sizeOf: (writer, { sequence }) => 1 + writer.sizeOfInteger(sequence),
    write: (writer, { sequence }) => {
      writer.array(1)
      writer.integer(sequence)
    },
    read: (reader) => {
      reader.arrayOf(1)
      return { sequence: reader.integer() } as T
    },
  })
}

function sizeOfInput(writer: MsgpackWriter, { csi, batch, under }: BatchInput): number {
  const { epoch, firstSequence, records } = batch
  let size = 1 + writer.sizeOfText(csi)
  if (under !== undefined) size += writer.sizeOfInteger(under)
  size += 1 + writer.sizeOfInteger(epoch) + writer.sizeOfInteger(firstSequence)
  size += writer.sizeOfArray(records.length)
  for (const record of records) size += sizeOfRecord(writer, record)
  return size
}

function sizeOfRecord(
  writer: MsgpackWriter,
  { writes, reply, acknowledged, expired }: CheckpointRecord,
): number {
  let size = 1 + writer.sizeOfArray(writes.length)
  for (const [name, value] of writes) {
    size += 1 + writer.sizeOfText(name) + (value === null ? 1 : writer.sizeOfBytes(value))
  }
  size += reply === null ? 1 : sizeOfReply(writer, reply)
  size += writer.sizeOfArray(acknowledged.length)
  for (const key of acknowledged) size += sizeOfKey(writer, key)
  size += writer.sizeOfArray(expired.length)
  for (const key of expired) size += sizeOfKey(writer, key)
  return size
}

function sizeOfReply(writer: MsgpackWriter, reply: CachedReply): number {
  return (
    1 +
    writer.sizeOfText(reply.caller) +
    writer.sizeOfInteger(reply.messageId) +
    writer.sizeOfInteger(reply.functionNumber) +
    writer.sizeOfInteger(reply.rc) +
    writer.sizeOfBytes(reply.payload) +
    writer.sizeOfInteger(reply.keepMs)
  )
}

function sizeOfKey(writer: MsgpackWriter, [caller, id]: readonly [string, number]): number {
  return 1 + writer.sizeOfText(caller) + writer.sizeOfInteger(id)
}

function writeInput(writer: MsgpackWriter, { csi, batch, under }: BatchInput): void {
  writer.array(under === undefined ? 2 : 3)
  writer.text(csi)
  writer.array(3)
  writer.integer(batch.epoch)
  writer.integer(batch.firstSequence)
  writer.array(batch.records.length)
  for (const record of batch.records) writeRecord(writer, record)
  if (under !== undefined) writer.integer(under)
}

function writeRecord(writer: MsgpackWriter, record: CheckpointRecord): void {
  const { writes, reply } = record
  writer.array(4)
  writer.array(writes.length)
  for (const [name, value] of writes) {
    writer.array(2)
    writer.text(name)
    if (value === null) writer.nil()
    else writer.bytes(value)
  }
  if (reply === null) writer.nil()
  else {
    writer.array(6)
    writer.text(reply.caller)
    writer.integer(reply.messageId)
    writer.integer(reply.functionNumber)
    writer.integer(reply.rc)
    writer.bytes(reply.payload)
    writer.integer(reply.keepMs)
  }
  writeKeys(writer, record.acknowledged)
  writeKeys(writer, record.expired)
}

function writeKeys(writer: MsgpackWriter, keys: readonly (readonly [string, number])[]): void {
  writer.array(keys.length)
  for (const [caller, id] of keys) {
    writer.array(2)
    writer.text(caller)
    writer.integer(id)
  }
}

function readInput(reader: MsgpackReader): BatchInput {
  const members = reader.array()
  if (members !== 2 && members !== 3) reader.isUsual = false
  const csi = reader.text()
  reader.arrayOf(3)
  const epoch = reader.integer()
  const firstSequence = reader.integer()
  const records: CheckpointRecord[] = []
  for (let left = reader.array(); left > 0 && reader.isUsual; left--) {
    records.push(readRecord(reader))
  }
  const batch = { epoch, firstSequence, records }
  return members === 3 ? { csi, batch, under: reader.integer() } : { csi, batch }
}

function readRecord(reader: MsgpackReader): CheckpointRecord {
  reader.arrayOf(4)
  const writes: CheckpointRecord['writes'] = []
  for (let left = reader.array(); left > 0 && reader.isUsual; left--) {
    reader.arrayOf(2)
    const name = reader.text()
    writes.push([name, reader.takeNil() ? null : reader.bytes()])
  }
  const reply = reader.takeNil() ? null : readReply(reader)
  return { writes, reply, acknowledged: readKeys(reader), expired: readKeys(reader) }
}

function readReply(reader: MsgpackReader): CachedReply {
  reader.arrayOf(6)
  return {
    caller: reader.text(),
    messageId: reader.integer(),
    functionNumber: reader.integer(),
    rc: reader.integer(),
    payload: reader.bytes(),
    keepMs: reader.integer(),
  }
}

function readKeys(reader: MsgpackReader): [string, number][] {
  const keys: [string, number][] = []
  for (let left = reader.array(); left > 0 && reader.isUsual; left--) {
    reader.arrayOf(2)
    const caller = reader.text()
    keys.push([caller, reader.integer()])
  }
  return keys
}
