import { SdkError, type ClRcT } from '../../idl/index.ts'
import { BufferPool, MessageBuffer, type SeekFrom } from '../basic/buffer/message-buffer.ts'
import type { BufferStatistics } from '../basic/buffer/pool.ts'
import { ClLibrary, given, handlesOf, uint32 } from './library.ts'
import type { ClOut } from './process.ts'

/** A message. */
export type ClBufferHandleT = MessageBuffer

/** From where an offset counts. SAFplus, section 20.1. */
export const CL_BUFFER_SEEK_SET = 0
export const CL_BUFFER_SEEK_CUR = 1
export const CL_BUFFER_SEEK_END = 2
const FROM: readonly SeekFrom[] = ['start', 'current', 'end']

const LIBRARY = new ClLibrary('BUFFER')
const handle = handlesOf(MessageBuffer)
/** The messages of the original are of one pool a process. */
const POOL = new BufferPool()

/** INITIALIZED the second time. */
export function clBufferInitialize(): ClRcT {
  return LIBRARY.initialize()
}

/** Until it is initialised again, everything answers NOT_INITIALIZED. */
export function clBufferFinalize(): ClRcT {
  return LIBRARY.finalize()
}

/** `BufferPool.create`. */
export function clBufferCreate(out: ClOut<ClBufferHandleT | undefined>): ClRcT {
  return LIBRARY.get(out, () => POOL.create())
}

/** `BufferPool.createAndAllocate`. */
export function clBufferCreateAndAllocate(
  size: number,
  out: ClOut<ClBufferHandleT | undefined>,
): ClRcT {
  return LIBRARY.get(out, () => POOL.createAndAllocate(size))
}

/** `MessageBuffer.delete`; the handle becomes null. */
export function clBufferDelete(message: ClOut<ClBufferHandleT | null>): ClRcT {
  return LIBRARY.run(() => {
    handle(given('message', message).value).delete()
    message.value = null
  })
}

/** `MessageBuffer.clear`. */
export function clBufferClear(message: ClBufferHandleT): ClRcT {
  return LIBRARY.run(() => handle(message).clear())
}

/** Bytes in the message. */
export function clBufferLengthGet(message: ClBufferHandleT, out: ClOut<number>): ClRcT {
  return LIBRARY.get(out, () => handle(message).length)
}

/** The same: nothing is kept that could differ. */
export function clBufferLengthCalc(message: ClBufferHandleT, out: ClOut<number>): ClRcT {
  return LIBRARY.get(out, () => handle(message).length)
}

/** Reads up to `count.value` bytes into `destination`; `count` becomes how many there were. */
export function clBufferNBytesRead(
  message: ClBufferHandleT,
  destination: Uint8Array,
  count: ClOut<number>,
): ClRcT {
  return LIBRARY.run(() => {
    const wanted = Math.min(given('count', count).value, given('destination', destination).length)
    const bytes = handle(message).read(wanted)
    destination.set(bytes)
    count.value = bytes.byteLength
  })
}

/** Writes the first `count` bytes of `source`. */
export function clBufferNBytesWrite(
  message: ClBufferHandleT,
  source: Uint8Array,
  count: number,
): ClRcT {
  return LIBRARY.run(() => handle(message).write(begin(source, count)))
}

/** Puts the first `count` bytes of `source` before the first byte. */
export function clBufferDataPrepend(
  message: ClBufferHandleT,
  source: Uint8Array,
  count: number,
): ClRcT {
  return LIBRARY.run(() => handle(message).prepend(begin(source, count)))
}

/** `MessageBuffer.trimHeader`. */
export function clBufferHeaderTrim(message: ClBufferHandleT, count: number): ClRcT {
  return LIBRARY.run(() => handle(message).trimHeader(count))
}

/** `MessageBuffer.trimTrailer`. */
export function clBufferTrailerTrim(message: ClBufferHandleT, count: number): ClRcT {
  return LIBRARY.run(() => handle(message).trimTrailer(count))
}

/** `MessageBuffer.concatenate`; the source becomes null. */
export function clBufferConcatenate(
  destination: ClBufferHandleT,
  source: ClOut<ClBufferHandleT | null>,
): ClRcT {
  return LIBRARY.run(() => {
    handle(destination).concatenate(handle(given('source', source).value))
    source.value = null
  })
}

/** Copies up to `count` bytes from `offset` on to where the destination is written next. */
export function clBufferToBufferCopy(
  source: ClBufferHandleT,
  offset: number,
  destination: ClBufferHandleT,
  count: number,
): ClRcT {
  return LIBRARY.run(() => handle(destination).write(handle(source).slice(offset, count)))
}

/** `MessageBuffer.duplicate`. */
export function clBufferDuplicate(
  message: ClBufferHandleT,
  out: ClOut<ClBufferHandleT | undefined>,
): ClRcT {
  return LIBRARY.get(out, () => handle(message).duplicate())
}

/** `MessageBuffer.clone`. */
export function clBufferClone(
  message: ClBufferHandleT,
  out: ClOut<ClBufferHandleT | undefined>,
): ClRcT {
  return LIBRARY.get(out, () => handle(message).clone())
}

/** `MessageBuffer.readOffset`. */
export function clBufferReadOffsetGet(message: ClBufferHandleT, out: ClOut<number>): ClRcT {
  return LIBRARY.get(out, () => handle(message).readOffset)
}

/** `MessageBuffer.writeOffset`. */
export function clBufferWriteOffsetGet(message: ClBufferHandleT, out: ClOut<number>): ClRcT {
  return LIBRARY.get(out, () => handle(message).writeOffset)
}

/** `MessageBuffer.seekRead`, from one of `CL_BUFFER_SEEK_...`. */
export function clBufferReadOffsetSet(
  message: ClBufferHandleT,
  offset: number,
  from: number,
): ClRcT {
  return LIBRARY.run(() => handle(message).seekRead(offset, FROM[from] ?? ('none' as SeekFrom)))
}

/** `MessageBuffer.seekWrite`, from one of `CL_BUFFER_SEEK_...`. */
export function clBufferWriteOffsetSet(
  message: ClBufferHandleT,
  offset: number,
  from: number,
): ClRcT {
  return LIBRARY.run(() => handle(message).seekWrite(offset, FROM[from] ?? ('none' as SeekFrom)))
}

/** `MessageBuffer.flatten`. */
export function clBufferFlatten(message: ClBufferHandleT, out: ClOut<Uint8Array>): ClRcT {
  return LIBRARY.get(out, () => handle(message).flatten())
}

/** `MessageBuffer.vectors`. */
export function clBufferVectorize(
  message: ClBufferHandleT,
  out: ClOut<readonly Uint8Array[]>,
): ClRcT {
  return LIBRARY.get(out, () => handle(message).vectors())
}

/** `MessageBuffer.adopt`. */
export function clBufferAppendHeap(message: ClBufferHandleT, bytes: Uint8Array): ClRcT {
  return LIBRARY.run(() => handle(message).adopt(given('bytes', bytes)))
}

/** `MessageBuffer.checksum16`. */
export function clBufferChecksum16Compute(
  message: ClBufferHandleT,
  start: number,
  length: number,
  out: ClOut<number>,
): ClRcT {
  return LIBRARY.get(out, () => handle(message).checksum16(start, length))
}

/** `MessageBuffer.checksum32`. */
export function clBufferChecksum32Compute(
  message: ClBufferHandleT,
  start: number,
  length: number,
  out: ClOut<number>,
): ClRcT {
  return LIBRARY.get(out, () => handle(message).checksum32(start, length))
}

/** `MessageBuffer.shrink`. */
export function clBufferShrink(message: ClBufferHandleT): ClRcT {
  return LIBRARY.run(() => handle(message).shrink())
}

/** What all messages of this thread take. */
export function clBufferStatsGet(out: ClOut<BufferStatistics | undefined>): ClRcT {
  return LIBRARY.get(out, () => POOL.statistics())
}

/** Chunks in use by their size. */
export function clBufferPoolStatsGet(out: ClOut<ReadonlyMap<number, number> | undefined>): ClRcT {
  return LIBRARY.get(out, () => POOL.statistics().chunks)
}

/** @throws SdkError INVALID_PARAMETER when there are not so many bytes. */
function begin(source: Uint8Array, count: number): Uint8Array {
  if (uint32('count', count) <= given('source', source).byteLength) {
    return source.subarray(0, count)
  }
  const message = `${count} bytes of a source of ${source.byteLength}`
  throw new SdkError('INVALID_PARAMETER', message)
}
