import type { ValueCodec } from '../../../idl/index.ts'
import { MsgpackReader } from '../checkpoint/msgpack-reader.ts'
import { MsgpackWriter } from '../checkpoint/msgpack-writer.ts'
import type { SectionOperation, SectionResult } from './interface.ts'

interface PerformInput {
  id: string
  epoch: number
  operation: SectionOperation
}

type Overwrite = Extract<SectionOperation, { kind: 'overwrite' }>

const OVERWRITE = 'overwrite'
/** Beyond, the general codec decides: it bounds the number of values. */
const SIZE_BYTES_MAX = 4_194_304
/** `['done']`. */
const DONE = new Uint8Array([0x91, 0xa4, 0x64, 0x6f, 0x6e, 0x65])

/**
 * A codec for what a component asks for, by far most often that sections are overwritten: that in one pass, with
 * the bytes and values of `general`, to which everything else is left.
 */
export function performCodec<T extends PerformInput>(general: ValueCodec<T>): ValueCodec<T> {
  const writer = new MsgpackWriter()
  const reader = new MsgpackReader()
  return {
    encode(value) {
      const { operation } = value
      if (operation.kind !== OVERWRITE) return general.encode(value)
      const sizeBytes = sizeOf(writer, value, operation)
      if (!writer.isUsual || sizeBytes > SIZE_BYTES_MAX) return general.encode(value)
      writer.start(sizeBytes)
      write(writer, value, operation)
      return writer.finish()
    },
    decode(bytes) {
      if (bytes.byteLength > SIZE_BYTES_MAX) return general.decode(bytes)
      reader.start(bytes)
      const value = read(reader)
      return reader.finish() ? (value as T) : general.decode(bytes)
    },
    shape: general.shape,
  }
}

/** The same for its answer, that it is done. */
export function resultCodec<T extends SectionResult>(general: ValueCodec<T>): ValueCodec<T> {
  return {
    encode: (value) => (value.kind === 'done' ? DONE : general.encode(value)),
    decode: (bytes) => (isDone(bytes) ? ({ kind: 'done' } as T) : general.decode(bytes)),
    shape: general.shape,
  }
}

function isDone(bytes: Uint8Array): boolean {
  if (bytes.byteLength !== DONE.byteLength) return false
  for (let i = 0; i < DONE.byteLength; i++) if (bytes[i] !== DONE[i]) return false
  return true
}

/** Also looks whether all of it is usual. */
function sizeOf(writer: MsgpackWriter, { id, epoch }: PerformInput, operation: Overwrite): number {
  writer.isUsual = true
  const { elements } = operation
  let size = 1 + writer.sizeOfText(id) + writer.sizeOfInteger(epoch)
  size += 1 + writer.sizeOfText(OVERWRITE) + writer.sizeOfArray(elements.length)
  for (const { id: section, data } of elements) {
    size += 1 + writer.sizeOfText(section) + writer.sizeOfBytes(data)
  }
  return size
}

function write(writer: MsgpackWriter, { id, epoch }: PerformInput, operation: Overwrite): void {
  writer.array(3)
  writer.text(id)
  writer.integer(epoch)
  writer.array(2)
  writer.text(OVERWRITE)
  writer.array(operation.elements.length)
  for (const { id: section, data } of operation.elements) {
    writer.array(2)
    writer.text(section)
    writer.bytes(data)
  }
}

function read(reader: MsgpackReader): PerformInput {
  reader.arrayOf(3)
  const id = reader.text()
  const epoch = reader.integer()
  reader.arrayOf(2)
  if (reader.text() !== OVERWRITE) reader.isUsual = false
  const elements: Overwrite['elements'] = []
  for (let left = reader.array(); left > 0 && reader.isUsual; left--) {
    reader.arrayOf(2)
    const section = reader.text()
    elements.push({ id: section, data: reader.bytes() })
  }
  return { id, epoch, operation: { kind: OVERWRITE, elements } }
}
