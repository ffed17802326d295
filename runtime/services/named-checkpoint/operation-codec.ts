import type { ValueCodec } from '../../../idl/index.ts'
import type { MsgpackReader } from '../checkpoint/msgpack-reader.ts'
import type { MsgpackWriter } from '../checkpoint/msgpack-writer.ts'
import { onePassCodec } from '../checkpoint/one-pass-codec.ts'
import type { SectionOperation, SectionResult } from './interface.ts'

interface PerformInput {
  id: string
  epoch: number
  operation: SectionOperation
}

type Overwrite = Extract<SectionOperation, { kind: 'overwrite' }>

const OVERWRITE = 'overwrite'
/** `['done']`. */
const DONE = new Uint8Array([0x91, 0xa4, 0x64, 0x6f, 0x6e, 0x65])

/** Of what a component asks for, by far most often that sections are overwritten: only that goes in one pass. */
export function performCodec<T extends PerformInput>(general: ValueCodec<T>): ValueCodec<T> {
  return onePassCodec(general, { sizeOf, write, read: (reader) => read(reader) as T })
}

/** Of its answer, that it is done. */
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

function sizeOf(writer: MsgpackWriter, { id, epoch, operation }: PerformInput): number {
  if (operation.kind !== OVERWRITE) {
    writer.isUsual = false
    return 0
  }
  const { elements } = operation
  let size = 1 + writer.sizeOfText(id) + writer.sizeOfInteger(epoch)
  size += 1 + writer.sizeOfText(OVERWRITE) + writer.sizeOfArray(elements.length)
  for (const { id: section, data } of elements) {
    size += 1 + writer.sizeOfText(section) + writer.sizeOfBytes(data)
  }
  return size
}

function write(writer: MsgpackWriter, { id, epoch, operation }: PerformInput): void {
  if (operation.kind !== OVERWRITE) return
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
