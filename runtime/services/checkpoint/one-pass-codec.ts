import type { ValueCodec } from '../../../idl/index.ts'
import { MsgpackReader } from './msgpack-reader.ts'
import { MsgpackWriter } from './msgpack-writer.ts'

/** One kind of value, as it is written and read in one pass. */
export interface OnePass<T> {
  /** @returns its size in bytes; the writer notes when something of it is not usual. */
  readonly sizeOf: (writer: MsgpackWriter, value: T) => number
  readonly write: (writer: MsgpackWriter, value: T) => void
  /** The reader notes when it is something else. */
  readonly read: (reader: MsgpackReader) => T
}

/** Bytes beyond which the general codec decides: it bounds the number of values. */
const SIZE_BYTES_MAX = 4_194_304

/**
 * A codec for what is on every write's way: the same bytes and values as `general`, in one pass over each instead of
 * four. What it does not know at once (text beyond ASCII, negative numbers, another kind of value) is left to
 * `general`, with its errors.
 */
export function onePassCodec<T>(
  general: ValueCodec<T>,
  { sizeOf, write, read }: OnePass<T>,
): ValueCodec<T> {
  const writer = new MsgpackWriter()
  const reader = new MsgpackReader()
  return {
    encode(value) {
      writer.isUsual = true
      const sizeBytes = sizeOf(writer, value)
      if (!writer.isUsual || sizeBytes > SIZE_BYTES_MAX) return general.encode(value)
      writer.start(sizeBytes)
      write(writer, value)
      return writer.finish()
    },
    decode(bytes) {
      if (bytes.byteLength > SIZE_BYTES_MAX) return general.decode(bytes)
      reader.start(bytes)
      const value = read(reader)
      return reader.finish() ? value : general.decode(bytes)
    },
    shape: general.shape,
  }
}
